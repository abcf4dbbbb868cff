"""Layers that several networks share. Weights are stored with unit variance and scaled when used (equalized learning rate)."""

from collections.abc import Sequence
from math import sqrt
from typing import cast

import torch
from torch import Tensor, nn

from ops.backend import needs_gradient
from ops.bias_act import ACTIVATIONS, ActivationName, bias_act
from ops.conv2d_resample import conv2d_resample
from ops.filters import setup_filter
from ops.styles import LatentStyles, affine_map


class FullyConnected(nn.Module):
    """Dense layer with activation."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: ActivationName = 'linear',
        bias: bool = True,
        lr_multiplier: float = 1.0,
        weight_init: float = 1.0,
        bias_init: float | Sequence[float] = 0.0,
    ) -> None:
        """`lr_multiplier`: how fast it learns, relative to others. `weight_init`: deviation of the weights used at start."""
        super().__init__()
        self.activation: ActivationName = activation
        self.weight = nn.Parameter(torch.randn(out_features, in_features) * (weight_init / lr_multiplier))
        start = torch.as_tensor(bias_init, dtype=torch.float32).expand(out_features)
        self.bias = nn.Parameter(start / lr_multiplier) if bias else None
        self.weight_gain = lr_multiplier / sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """[batch, in features] -> [batch, out features]."""
        if self.bias is None:
            return bias_act(x @ self.weight.to(x.dtype).t() * self.weight_gain, act=self.activation)
        x = affine_map(x, self.weight, self.bias, self.weight_gain, self.bias_gain)
        return x if self.activation == 'linear' else bias_act(x, act=self.activation)

    def styles(self, w: Tensor, gain: float = 1.0) -> Tensor | LatentStyles:
        """`gain` times the output for `w`, left to the layer that takes it unless a gradient or a hook wants to see it."""
        bias = self._parameters['bias']
        watched = self._forward_hooks or self._forward_pre_hooks or needs_gradient(w, self.weight, bias)
        if watched or bias is None or self.activation != 'linear':
            return self(w) * gain if gain != 1 else self(w)
        return LatentStyles(w, self.weight, bias, self.weight_gain * gain, self.bias_gain * gain)


class Conv2d(nn.Module):
    """Convolution with bias and activation, resampling by 2 if asked (Karras et al. 2020, Appendix B)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        activation: ActivationName = 'linear',
        up: int = 1,
        down: int = 1,
        resample_filter: Sequence[float] = (1, 3, 3, 1),
        conv_clamp: float | None = None,
        trainable: bool = True,
    ) -> None:
        """`trainable` False keeps the weights as buffers, so that no optimizer sees them."""
        super().__init__()
        self.activation: ActivationName = activation
        self.up, self.down = up, down
        self.clamp = conv_clamp
        self.weight_gain = 1 / sqrt(in_channels * kernel_size**2)
        self.register_buffer('resample_filter', setup_filter(resample_filter))
        weight = torch.randn(out_channels, in_channels, kernel_size, kernel_size)
        start = torch.zeros(out_channels) if bias else None
        if trainable:
            self.weight = nn.Parameter(weight)
            self.bias = None if start is None else nn.Parameter(start)
        else:
            self.register_buffer('weight', weight)
            self.register_buffer('bias', start)

    def forward(self, x: Tensor, *, gain: float = 1.0) -> Tensor:
        """[batch, in channels, height, width] -> [batch, out channels, height * up / down, …], times `gain`."""
        x = conv2d_resample(
            x,
            (self.weight * self.weight_gain).to(x.dtype),
            cast(Tensor, self.resample_filter),
            up=self.up,
            down=self.down,
            padding=self.weight.shape[2] // 2,
            flip_weight=self.up == 1,  # transposed convolutions of the file format are stored the other way round
        )
        clamp = None if self.clamp is None else self.clamp * gain
        return bias_act(x, self.bias, act=self.activation, gain=ACTIVATIONS[self.activation].gain * gain, clamp=clamp)


def unit_rms(x: Tensor) -> Tensor:
    """`x` [batch, features] scaled to a root mean square of 1 per sample."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def runs_in_half(half_precision: bool, x: Tensor, float32: bool) -> bool:
    """Whether a layer marked for float16 uses it now: on CUDA only, where it is what the network was trained with."""
    return half_precision and x.device.type == 'cuda' and not float32

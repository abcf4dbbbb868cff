"""One layer of StyleGAN2's synthesis network as one operator: modulated convolution, noise, bias, leaky ReLU (2020, Sec. 2.2).

With `up` 2 the convolution is a transposed one and a low-pass filter follows it. Joined, a backend passes over the result once.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import torch
from torch import Tensor

from ops.backend import implements, needs_gradient, pick
from ops.bias_act import bias_act
from ops.modulated_conv2d import modulated_conv2d_resample


@dataclass(frozen=True, slots=True)
class ClassicSpec:
    """Everything about one call except its tensors; usable as a key."""

    up: int
    demodulate: bool
    slope: float
    gain: float
    clamp: float | None
    weight_shape: tuple[int, ...]
    filter_shape: tuple[int, ...]
    """() = no filter."""
    has_noise: bool
    needs_gradient: bool


def classic_layer(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor | None,
    *,
    noise: Tensor | None = None,
    resample_filter: Tensor | None = None,
    up: int = 1,
    demodulate: bool = True,
    slope: float = 0.2,
    gain: float = sqrt(2),
    clamp: float | None = None,
) -> Tensor:
    """`x` convolved by weights that its styles modulate, plus noise and bias, through a leaky ReLU; then gain and clamp.

    `x`: [batch, in channels, height, width].  `weight`: [out channels, in channels, side, side], an odd side; for `up` 2
    stored as for a transposed convolution, as published snapshots do.  `styles`: [batch, in channels].  `bias`: [out channels]
    or None.  `noise`: broadcastable to the result.  `slope` 1: linear.
    Returns [batch, out channels, height * up, width * up], on the CPU with the channels of a pixel together
    (`torch.channels_last`) where that is faster.
    """
    spec = _spec(
        up,
        demodulate,
        slope,
        gain,
        clamp,
        tuple(weight.shape),
        () if resample_filter is None else tuple(resample_filter.shape),
        noise is not None,
        needs_gradient(x, weight, styles, bias, noise, resample_filter),
    )
    return pick('classic_layer', x, spec)(x, weight, styles, bias, noise, resample_filter, spec)


@lru_cache(maxsize=256)
def _spec(
    up: int,
    demodulate: bool,
    slope: float,
    gain: float,
    clamp: float | None,
    weight_shape: tuple[int, ...],
    filter_shape: tuple[int, ...],
    has_noise: bool,
    needs_gradient: bool,
) -> ClassicSpec:
    """The same object for the same values."""
    return ClassicSpec(up, demodulate, slope, gain, clamp, weight_shape, filter_shape, has_noise, needs_gradient)


@implements('classic_layer', 'reference')
def classic_layer_reference(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor | None,
    noise: Tensor | None,
    resample_filter: Tensor | None,
    spec: ClassicSpec,
) -> Tensor:
    """The two operators, each by its best backend."""
    x = modulated_conv2d_resample(
        x,
        weight,
        styles,
        noise=noise,
        up=spec.up,
        padding=weight.shape[2] // 2,
        resample_filter=resample_filter,
        demodulate=spec.demodulate,
        flip_weight=spec.up == 1,  # transposed convolutions of the file format are stored the other way round
        fused=not torch.is_grad_enabled(),  # for a batch with gradients, shared weights are faster
    )
    if spec.slope == 1:
        return bias_act(x, bias, gain=spec.gain, clamp=spec.clamp)
    return bias_act(x, bias, act='lrelu', alpha=spec.slope, gain=spec.gain, clamp=spec.clamp)

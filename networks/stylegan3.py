"""The alias-free generator of StyleGAN3 (Karras et al. 2021). Its layers follow the table of `networks.schedule`.

Names of modules and tensors are those of published snapshots, so that their tensors load as they are.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import sqrt
from typing import Any, cast

import torch
from torch import Tensor, nn

from networks.batch_mean import batch_mean
from networks.config import AliasFreeConfig, MappingConfig, from_keywords
from networks.fourier_features import SynthesisInput
from networks.layers import FullyConnected, runs_in_half
from networks.mapping import MappingNetwork
from networks.schedule import LayerRecord, Schedule, make_schedule
from networks.whole_picture import picture
from ops.bias_act import bias_act
from ops.modulated_conv2d import modulated_conv2d
from ops.parallel import one_thread_if_small
from ops.synthesis_layer import LayerOptions, synthesis_layer
from ops.upfirdn2d import upsample2d


class SynthesisLayer(nn.Module):
    """Modulated convolution and filtered non-linearity; filters that a call replaces may have other lengths."""

    def __init__(self, w_dim: int, record: LayerRecord, *, conv_clamp: float | None, magnitude_ema_beta: float) -> None:
        super().__init__()
        self.record = record
        self.clamp = conv_clamp
        self.magnitude_ema_beta = magnitude_ema_beta
        self.weight = nn.Parameter(torch.randn(record.channels, record.channels_in, record.kernel, record.kernel))
        self.bias = nn.Parameter(torch.zeros(record.channels))
        self.affine = FullyConnected(w_dim, record.channels_in, bias_init=1)
        self.register_buffer('magnitude_ema', torch.ones([]))
        self.register_buffer('up_filter', record.up_filter())
        self.register_buffer('down_filter', record.down_filter())

    def forward(self, x: Tensor, w: Tensor, *, update_emas: bool = False, float32: bool = False) -> Tensor:
        """x [batch, channels_in, size_in, size_in], w [batch, w_dim] -> [batch, channels, size, size].

        `update_emas`: let the mean square of the input, by whose root it is divided, follow this batch first.
        """
        record, buffers = self.record, self._buffers
        magnitude = cast(Tensor, buffers['magnitude_ema'])
        if update_emas:
            now = batch_mean(x.detach().to(magnitude.dtype).square().mean())
            magnitude.copy_(now.lerp(magnitude, self.magnitude_ema_beta))
        styles = self.affine.styles(w, 1 / sqrt(record.channels_in * record.kernel**2) if record.torgb else 1.0)
        if runs_in_half(record.half_precision, x, float32):
            x = x.half()
        if not record.filtered:
            return self._unfiltered(x, styles if isinstance(styles, Tensor) else styles.compute(), magnitude)
        up_filter, down_filter = buffers['up_filter'], buffers['down_filter']
        options = layer_options(
            record,
            self.clamp,
            None if up_filter is None else up_filter.shape,
            None if down_filter is None else down_filter.shape,
        )
        gain = magnitude.rsqrt()
        return synthesis_layer(x, self.weight, styles, up_filter, down_filter, self.bias, options, input_gain=gain)

    def _unfiltered(self, x: Tensor, styles: Tensor, magnitude: Tensor) -> Tensor:
        """Rung E: upsample, convolve at the new rate with zeros around, bare leaky ReLU, crop to the margin."""
        record = self.record
        if record.up_factor > 1:
            x = upsample2d(x, cast(Tensor, self.up_filter), up=record.up_factor)
        x = modulated_conv2d(x, self.weight, styles, padding=record.kernel // 2, input_gain=magnitude.rsqrt())
        x = bias_act(x, self.bias, act='lrelu', clamp=self.clamp)
        spare = (x.shape[3] - record.size) // 2
        return x[:, :, spare : spare + record.size, spare : spare + record.size]


class SynthesisNetwork(nn.Module):
    """w [batch, num_ws, w_dim] -> images [batch, channels, side, side]."""

    def __init__(self, w_dim: int, img_resolution: int, img_channels: int, config: AliasFreeConfig) -> None:
        super().__init__()
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.config = config
        self.schedule: Schedule = make_schedule(img_resolution, img_channels, config)
        self.num_ws = self.schedule.num_ws
        self.input = SynthesisInput(w_dim, self.schedule.input)
        self.layer_names = tuple(record.name for record in self.schedule.layers)
        for record in self.schedule.layers:
            layer = SynthesisLayer(
                w_dim, record, conv_clamp=config.conv_clamp, magnitude_ema_beta=config.magnitude_ema_beta
            )
            self.add_module(record.name, layer)

    def forward(self, ws: Tensor, *, update_emas: bool = False, float32: bool = False) -> Tensor:
        """Images, float32, nominally in [-1, 1]. `float32`: no half precision on a GPU either."""
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(
                f'this network needs w of shape [batch, {self.num_ws}, {self.w_dim}], got {tuple(ws.shape)}'
            )
        ws = ws.to(self.input.weight.dtype)

        def one_by_one() -> Tensor:
            return self._one_by_one(ws, update_emas=update_emas, float32=float32)

        alone = update_emas or torch.is_grad_enabled()
        x = one_by_one() if alone else picture(self, ws, one_by_one, self._usual_layers)
        with one_thread_if_small(x.numel()):
            return x.to(ws.dtype) * self.config.output_scale

    def _one_by_one(self, ws: Tensor, *, update_emas: bool, float32: bool) -> Tensor:
        """The last layer's result."""
        x = self.input(ws[:, 0])
        rows = ws[:, 1:] if self.schedule.input.affine else ws
        layers = cast(dict[str, nn.Module], self._modules)
        for name, w in zip(self.layer_names, rows.unbind(1), strict=True):
            x = layers[name](x, w, update_emas=update_emas, float32=float32)
        return x

    def _usual_layers(self) -> list[nn.Module] | None:
        """The input and the layers; None where one is of another kind than here, so that nobody knows what it does."""
        layers = [self.input, *(self._modules[name] for name in self.layer_names)]
        kinds = (SynthesisInput, *(SynthesisLayer for _ in self.layer_names))
        usual = all(type(layer) is kind for layer, kind in zip(layers, kinds, strict=True))
        return cast(list[nn.Module], layers) if usual and type(self) is SynthesisNetwork else None


class Generator(nn.Module):
    """Latents to images, built from the keywords of a published snapshot, or with `rung` from an older schedule."""

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        mapping_kwargs: Mapping[str, Any] | None = None,
        **synthesis_kwargs: Any,
    ) -> None:
        """Keywords: those of `MappingConfig` and `AliasFreeConfig`. Raises `ValueError` for one that does not exist."""
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        config = from_keywords(AliasFreeConfig, synthesis_kwargs)
        self.synthesis = SynthesisNetwork(w_dim, img_resolution, img_channels, config)
        self.num_ws = self.synthesis.num_ws
        mapping = from_keywords(MappingConfig, mapping_kwargs or {}, num_layers=2)
        self.mapping = MappingNetwork(z_dim, c_dim, w_dim, self.num_ws, mapping)

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        update_emas: bool = False,
        float32: bool = False,
    ) -> Tensor:
        """Images of z [batch, z_dim] and classes c [batch, c_dim]; see the two networks for the options."""
        ws = self.mapping(
            z,
            c,
            truncation_psi=truncation_psi,
            truncation_cutoff=truncation_cutoff,
            update_emas=update_emas,
        )
        return self.synthesis(ws, update_emas=update_emas, float32=float32)


@lru_cache(maxsize=1024)
def layer_options(
    record: LayerRecord, clamp: float | None, up_shape: tuple[int, ...] | None, down_shape: tuple[int, ...] | None
) -> LayerOptions:
    """How a layer runs with filters of these shapes."""
    (up_x, up_y), (down_x, down_y) = _taps(up_shape), _taps(down_shape)
    return LayerOptions(
        demodulate=not record.torgb,
        conv_padding=record.kernel - 1,
        up=record.up_factor,
        down=record.down_factor,
        padding=(*record.padding(up_x, down_x), *record.padding(up_y, down_y, vertical=True)),
        gain=1 if record.torgb else sqrt(2),
        slope=1 if record.torgb else 0.2,
        clamp=clamp,
    )


def _taps(shape: tuple[int, ...] | None) -> tuple[int, int]:
    """Width and height of a filter; (1, 1) for none."""
    return (1, 1) if shape is None else (shape[-1], shape[0])

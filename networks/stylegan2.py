"""The generator of StyleGAN2 (Karras et al. 2020): the baseline whose texture sticks.

Names of modules and tensors are those of published snapshots, so that their tensors load as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log2, sqrt
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from networks.config import MappingConfig, StyleGAN2Config, from_keywords
from networks.fourier_features import SynthesisInput
from networks.layers import Conv2d, FullyConnected, runs_in_half
from networks.mapping import MappingNetwork
from networks.schedule import InputRecord
from ops.classic_layer import classic_layer
from ops.classic_picture import add_upsampled
from ops.filters import setup_filter
from ops.parallel import one_thread_if_small

NoiseMode = Literal['none', 'constant', 'random']
NoiseDraw = Callable[[tuple[int, int, int, int]], Tensor]
"""Unit normal noise of a shape; called once per layer, in the order of execution."""


@dataclass(frozen=True, slots=True)
class NoisePlan:
    """Where the noise inputs come from in one call."""

    mode: NoiseMode = 'random'
    draw: NoiseDraw | None = None
    """For 'random'. None = torch's global generator."""

    def noise(self, constant: Tensor, batch: int) -> Tensor | None:
        """Noise for a layer whose constant noise is `constant` [side, side]; None for none."""
        if self.mode == 'none':
            return None
        if self.mode == 'constant':
            return constant
        if self.mode != 'random':
            raise ValueError(f"there is no noise mode {self.mode!r}; choose 'none', 'constant' or 'random'")
        shape = (batch, 1, constant.shape[0], constant.shape[1])
        drawn = torch.randn(shape, device=constant.device) if self.draw is None else self.draw(shape)
        return drawn.to(constant.device, constant.dtype)


class SynthesisLayer(nn.Module):
    """Modulated convolution, noise, bias and leaky ReLU (Sec. 2.2)."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, side: int, up: int, config: StyleGAN2Config):
        super().__init__()
        self.side, self.up = side, up
        self.clamp = config.conv_clamp
        kernel = config.kernel_size
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.register_buffer('resample_filter', setup_filter(config.resample_filter))
        self.use_noise = config.use_noise
        if config.use_noise:
            self.register_buffer('noise_const', torch.randn(side, side))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1)

    def forward(self, x: Tensor, w: Tensor, plan: NoisePlan, gain: float = 1.0) -> Tensor:
        """x [batch, in channels, side / up, side / up], w [batch, w_dim] -> [batch, out channels, side, side]."""
        noise = plan.noise(cast(Tensor, self.noise_const), x.shape[0]) if self.use_noise else None
        if noise is not None:
            with one_thread_if_small(noise.numel()):
                noise = noise * self.noise_strength
        return self.run(x, self.affine(w), noise, gain)

    def run(self, x: Tensor, styles: Tensor, noise: Tensor | None, gain: float) -> Tensor:
        """The layer for styles [batch, in channels] and noise; the leaky ReLU runs at the rate of the result, unfiltered."""
        return classic_layer(
            x,
            self.weight,
            styles,
            self.bias,
            noise=noise,
            resample_filter=cast(Tensor, self.resample_filter),
            up=self.up,
            gain=sqrt(2) * gain,
            clamp=None if self.clamp is None else self.clamp * gain,
        )


class ToRGBLayer(nn.Module):
    """Modulated 1 x 1 convolution to the channels of the image, without demodulation."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, config: StyleGAN2Config) -> None:
        super().__init__()
        self.clamp = config.conv_clamp
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [batch, in channels, side, side], w [batch, w_dim] -> [batch, image channels, side, side]."""
        styles = self.affine(w) / sqrt(self.weight.shape[1])
        return classic_layer(x, self.weight, styles, self.bias, demodulate=False, slope=1, gain=1, clamp=self.clamp)


class SynthesisBlock(nn.Module):
    """All layers of one resolution; reads one latent per convolution and one for ToRGB."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        side: int,
        image_channels: int,
        config: StyleGAN2Config,
        *,
        last: bool,
        half_precision: bool,
    ) -> None:
        """`in_channels` 0: the first block, which starts from a learned constant, or from Fourier features."""
        super().__init__()
        self.side = side
        self.architecture = config.architecture
        self.half_precision = half_precision
        self.register_buffer('resample_filter', setup_filter(config.resample_filter))
        if in_channels == 0 and config.fourier_bandwidth is not None:
            record = InputRecord(out_channels, side, float(side), config.fourier_bandwidth, affine=False)
            self.input = SynthesisInput(w_dim, record)
        elif in_channels == 0:
            self.const = nn.Parameter(torch.randn(out_channels, side, side))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, w_dim, side, 2, config)
        self.first = in_channels == 0
        self.has_const = self.first and config.fourier_bandwidth is None
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim, side, 1, config)
        self.num_conv = 1 if self.first else 2
        self.has_torgb = last or config.architecture == 'skip'
        if self.has_torgb:
            self.torgb = ToRGBLayer(out_channels, image_channels, w_dim, config)
        if not self.first and config.architecture == 'resnet':
            self.skip = Conv2d(in_channels, out_channels, 1, bias=False, up=2, resample_filter=config.resample_filter)

    def forward(
        self, x: Tensor | None, image: Tensor | None, ws: Tensor, plan: NoisePlan, *, float32: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Features and image of the block before, ws [batch, convolutions + 1, w_dim] -> the same at this resolution."""
        features = self._start(ws) if x is None else x
        if runs_in_half(self.half_precision, features, float32):
            features = features.half()
        if self.first:
            features = self.conv1(features, ws[:, 0], plan)
        elif self.architecture == 'resnet':
            around = self.skip(features, gain=sqrt(0.5))
            features = around + self.conv1(self.conv0(features, ws[:, 0], plan), ws[:, 1], plan, gain=sqrt(0.5))
        else:
            features = self.conv1(self.conv0(features, ws[:, 0], plan), ws[:, 1], plan)
        if self.has_torgb:
            own = self.torgb(features, ws[:, self.num_conv]).to(ws.dtype)
            image = own if image is None else add_upsampled(image, own, cast(Tensor, self.resample_filter))
        return features, image

    def _start(self, ws: Tensor) -> Tensor:
        """What the first block starts from, [batch, channels, side, side]."""
        return self.const.expand(ws.shape[0], -1, -1, -1) if self.has_const else self.input(ws[:, 0])


class SynthesisNetwork(nn.Module):
    """w [batch, num_ws, w_dim] -> images [batch, channels, side, side]."""

    def __init__(self, w_dim: int, img_resolution: int, img_channels: int, config: StyleGAN2Config) -> None:
        super().__init__()
        if img_resolution < 8 or img_resolution & (img_resolution - 1):
            raise ValueError(f'the image side must be a power of two from 8 on, got {img_resolution}')
        if config.architecture not in ('orig', 'skip', 'resnet'):
            raise ValueError(f"there is no architecture {config.architecture!r}; choose 'orig', 'skip' or 'resnet'")
        if config.fourier_bandwidth is not None and not 0 < config.fourier_bandwidth <= 2:
            raise ValueError(
                f'Fourier features on the 4 x 4 grid reach at most 2 cycles per image, got {config.fourier_bandwidth}'
            )
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.config = config
        self.block_resolutions = block_resolutions(img_resolution)
        half_from = first_half_resolution(img_resolution, config.num_fp16_res)
        before = 0
        for side in self.block_resolutions:
            channels = channels_at(side, config.channel_base, config.channel_max)
            last = side == img_resolution
            block = SynthesisBlock(
                before, channels, w_dim, side, img_channels, config, last=last, half_precision=side >= half_from
            )
            self.add_module(f'b{side}', block)
            before = channels
        self.num_ws = 2 * len(self.block_resolutions)  # the latent of ToRGB is the next block's first

    def forward(
        self,
        ws: Tensor,
        *,
        noise_mode: NoiseMode = 'random',
        noise_draw: NoiseDraw | None = None,
        update_emas: bool = False,
        float32: bool = False,
    ) -> Tensor:
        """Images, float32, nominally in [-1, 1]. `update_emas`: there is nothing to update here; as in StyleGAN3."""
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(
                f'this network needs w of shape [batch, {self.num_ws}, {self.w_dim}], got {tuple(ws.shape)}'
            )
        plan = NoisePlan(noise_mode, noise_draw)
        ws = ws.to(torch.promote_types(ws.dtype, torch.float32))
        x = image = None
        row = 0
        for side in self.block_resolutions:
            block = cast(SynthesisBlock, self.get_submodule(f'b{side}'))
            x, image = block(x, image, ws[:, row : row + block.num_conv + 1], plan, float32=float32)
            row += block.num_conv
        return cast(Tensor, image)


class Generator(nn.Module):
    """Latents to images, built from the keywords of a published snapshot, of StyleGAN3's time or (nested) of ADA's."""

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        mapping_kwargs: Mapping[str, Any] | None = None,
        synthesis_kwargs: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> None:
        """Keywords: those of `MappingConfig` and `StyleGAN2Config`, the latter in `synthesis_kwargs` if that is given.

        The two code bases differ in what an omitted keyword means: the older one clamps nothing and uses no float16.
        """
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        older: dict[str, Any] = {} if synthesis_kwargs is None else {'conv_clamp': None, 'num_fp16_res': 0}
        config = from_keywords(StyleGAN2Config, {**(synthesis_kwargs or {}), **keywords}, **older)
        self.synthesis = SynthesisNetwork(w_dim, img_resolution, img_channels, config)
        self.num_ws = self.synthesis.num_ws
        beta = 0.998 if synthesis_kwargs is None else 0.995
        mapping = from_keywords(MappingConfig, mapping_kwargs or {}, num_layers=8, w_avg_beta=beta)
        self.mapping = MappingNetwork(z_dim, c_dim, w_dim, self.num_ws, mapping)

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        update_emas: bool = False,
        noise_mode: NoiseMode = 'random',
        noise_draw: NoiseDraw | None = None,
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
        return self.synthesis(ws, noise_mode=noise_mode, noise_draw=noise_draw, float32=float32)


def block_resolutions(resolution: int) -> tuple[int, ...]:
    """Sides of the blocks, 4 to `resolution`."""
    return tuple(2**power for power in range(2, round(log2(resolution)) + 1))


def channels_at(side: int, base: int, maximum: int) -> int:
    """Channels of features with `side` samples per side."""
    return max(min(base // side, maximum), 1)


def first_half_resolution(resolution: int, count: int) -> int:
    """Smallest side that runs in float16 when the `count` highest do; sides below 8 never do."""
    return max(2 * resolution // 2**count, 8)

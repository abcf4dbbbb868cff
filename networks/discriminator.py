"""The discriminator of StyleGAN2 (Karras et al. 2020), which StyleGAN3 uses unchanged.

Names of modules and tensors are those of published snapshots, so that their tensors load as they are.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any, cast

import torch
from torch import Tensor, nn

from networks.config import DiscriminatorConfig, MappingConfig, from_keywords
from networks.layers import Conv2d, FullyConnected, runs_in_half
from networks.mapping import MappingNetwork
from networks.stylegan2 import block_resolutions, channels_at, first_half_resolution
from ops.filters import setup_filter
from ops.upfirdn2d import downsample2d


class MinibatchStd(nn.Module):
    """Appends channels that say how much the samples of a group differ (Karras et al. 2018)."""

    def __init__(self, group_size: int | None, num_channels: int = 1) -> None:
        """`group_size` None: the whole batch is one group."""
        super().__init__()
        self.group_size, self.num_channels = group_size, num_channels

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] -> [batch, channels + num_channels, …].

        Sample i belongs to group i modulo the number of groups. Raises `ValueError` when the batch cannot be divided.
        """
        batch, channels, height, width = x.shape
        group = batch if self.group_size is None else min(self.group_size, batch)
        if batch % group:
            raise ValueError(f'a batch of {batch} cannot be divided into groups of {group}; use a multiple of {group}')
        y = x.reshape(group, -1, self.num_channels, channels // self.num_channels, height, width)
        deviation = ((y - y.mean(0)).square().mean(0) + 1e-8).sqrt()  # [groups, num_channels, channels, height, width]
        y = deviation.mean([2, 3, 4]).repeat(group, 1)[:, :, None, None]
        return torch.cat([x, y.expand(-1, -1, height, width)], 1)


class DiscriminatorBlock(nn.Module):
    """All layers of one resolution, then half of it."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        image_channels: int,
        config: DiscriminatorConfig,
        *,
        first_layer: int,
        half_precision: bool,
    ) -> None:
        """`in_channels` 0: the first block, which reads the image. `first_layer`: how many layers come before (Freeze-D)."""
        super().__init__()
        self.half_precision = half_precision
        self.architecture = config.architecture
        self.register_buffer('resample_filter', setup_filter(config.resample_filter))
        self.reads_image = in_channels == 0 or config.architecture == 'skip'
        names = (['fromrgb'] if self.reads_image else []) + ['conv0', 'conv1']
        names += ['skip'] if config.architecture == 'resnet' else []
        self.num_layers = len(names)
        frozen = {name for index, name in enumerate(names) if first_layer + index < config.freeze_layers}

        def layer(name: str, ins: int, outs: int, kernel: int, **options: Any) -> Conv2d:
            return Conv2d(
                ins, outs, kernel, resample_filter=config.resample_filter, trainable=name not in frozen, **options
            )

        act: dict[str, Any] = {'activation': 'lrelu', 'conv_clamp': config.conv_clamp}
        if self.reads_image:
            self.fromrgb = layer('fromrgb', image_channels, channels, 1, **act)
        self.conv0 = layer('conv0', channels, channels, 3, **act)
        self.conv1 = layer('conv1', channels, out_channels, 3, down=2, **act)
        if config.architecture == 'resnet':
            self.skip = layer('skip', channels, out_channels, 1, bias=False, down=2)

    def forward(self, x: Tensor | None, image: Tensor | None, *, float32: bool = False) -> tuple[Tensor, Tensor | None]:
        """Features and image at this resolution -> features, and ('skip') the image, at half of it."""
        reference = cast(Tensor, image if x is None else x)
        half = runs_in_half(self.half_precision, reference, float32)
        dtype = torch.float16 if half else torch.promote_types(reference.dtype, torch.float32)
        x = None if x is None else x.to(dtype)
        if self.reads_image:
            image = cast(Tensor, image).to(dtype)
            read = self.fromrgb(image)
            x = read if x is None else x + read
            image = downsample2d(image, cast(Tensor, self.resample_filter)) if self.architecture == 'skip' else None
        x = cast(Tensor, x)
        if self.architecture != 'resnet':
            return self.conv1(self.conv0(x)), image
        around = self.skip(x, gain=sqrt(0.5))
        return around + self.conv1(self.conv0(x), gain=sqrt(0.5)), image


class DiscriminatorEpilogue(nn.Module):
    """4 x 4 features to scores, one per sample."""

    def __init__(self, in_channels: int, cmap_dim: int, image_channels: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.cmap_dim = cmap_dim
        filters = config.resample_filter
        self.reads_image = config.architecture == 'skip'
        if self.reads_image:
            self.fromrgb = Conv2d(image_channels, in_channels, 1, activation='lrelu', resample_filter=filters)
        extra = config.mbstd_num_channels
        self.mbstd = MinibatchStd(config.mbstd_group_size, extra) if extra > 0 else None
        self.conv = Conv2d(
            in_channels + extra,
            in_channels,
            3,
            activation='lrelu',
            resample_filter=filters,
            conv_clamp=config.conv_clamp,
        )
        self.fc = FullyConnected(in_channels * 16, in_channels, activation='lrelu')
        self.out = FullyConnected(in_channels, cmap_dim or 1)

    def forward(self, x: Tensor, image: Tensor | None, cmap: Tensor | None) -> Tensor:
        """x [batch, channels, 4, 4], mapped class [batch, cmap_dim] -> scores [batch, 1]."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.reads_image:
            x = x + self.fromrgb(cast(Tensor, image).to(x.dtype))
        if self.mbstd is not None:
            x = self.mbstd(x)
        x = self.out(self.fc(self.conv(x).flatten(1)))
        if self.cmap_dim == 0:
            return x
        return (x * cast(Tensor, cmap)).sum(1, keepdim=True) / sqrt(self.cmap_dim)


class Discriminator(nn.Module):
    """Images to scores, built from the keywords of a published snapshot."""

    def __init__(
        self,
        c_dim: int,
        img_resolution: int,
        img_channels: int,
        block_kwargs: Mapping[str, Any] | None = None,
        mapping_kwargs: Mapping[str, Any] | None = None,
        epilogue_kwargs: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> None:
        """Keywords: those of `DiscriminatorConfig` and `MappingConfig`. Raises `ValueError` for one that does not exist."""
        super().__init__()
        joined = {**keywords, **(block_kwargs or {}), **(epilogue_kwargs or {})}
        config = from_keywords(DiscriminatorConfig, joined)
        if img_resolution < 8 or img_resolution & (img_resolution - 1):
            raise ValueError(f'the image side must be a power of two from 8 on, got {img_resolution}')
        self.c_dim, self.img_resolution, self.img_channels = c_dim, img_resolution, img_channels
        self.config = config
        self.block_resolutions = tuple(reversed(block_resolutions(img_resolution)[1:]))
        half_from = first_half_resolution(img_resolution, config.num_fp16_res)
        layers = in_channels = 0
        for side in self.block_resolutions:
            channels, after = self._channels(side), self._channels(side // 2)
            block = DiscriminatorBlock(
                in_channels,
                channels,
                after,
                img_channels,
                config,
                first_layer=layers,
                half_precision=side >= half_from,
            )
            self.add_module(f'b{side}', block)
            layers, in_channels = layers + block.num_layers, after
        cmap_dim = (self._channels(4) if config.cmap_dim is None else config.cmap_dim) if c_dim > 0 else 0
        if c_dim > 0:
            mapping = from_keywords(MappingConfig, mapping_kwargs or {}, num_layers=8, w_avg_beta=None)
            self.mapping = MappingNetwork(0, c_dim, cmap_dim, None, mapping)
        self.b4 = DiscriminatorEpilogue(in_channels, cmap_dim, img_channels, config)

    def forward(
        self, image: Tensor, c: Tensor | None = None, *, update_emas: bool = False, float32: bool = False
    ) -> Tensor:
        """Scores [batch, 1] of images [batch, channels, side, side] and classes c [batch, c_dim].

        `update_emas`: there is nothing to update here; as in the generators.
        """
        expected = (self.img_channels, self.img_resolution, self.img_resolution)
        if image.ndim != 4 or tuple(image.shape[1:]) != expected:
            raise ValueError(f'this discriminator needs images [batch, {expected}], got {tuple(image.shape)}')
        x, rest = None, cast(Tensor | None, image)
        for side in self.block_resolutions:
            x, rest = self.get_submodule(f'b{side}')(x, rest, float32=float32)
        cmap = self.mapping(None, c) if self.c_dim > 0 else None
        return self.b4(x, rest, cmap)

    def _channels(self, side: int) -> int:
        return channels_at(side, self.config.channel_base, self.config.channel_max)

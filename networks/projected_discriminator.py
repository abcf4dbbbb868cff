"""A discriminator that looks through a fixed network's eyes (Sauer et al. 2021, "Projected GANs Converge Faster").

A few thousand pictures are too few to learn from nothing what stone or grass looks like; features that were learned from
photographs know it already, so that only small heads remain to be trained.
"""

from math import sqrt
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks.feature_network import CHANNELS, FeatureNetwork, load_features
from networks.layers import Conv2d, FullyConnected

_JUDGED = 4
"""Each scale is judged at 4 x 4 places."""


class _Mixing(nn.Module):
    """Fixed random mixing of channels, and of scales from coarse to fine (Sec. 3.2): no head can rely on a few features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for index, channels in enumerate(CHANNELS):
            self.register_buffer(f'channels{index}', torch.randn(width, channels, 1, 1) / sqrt(channels))
            if index + 1 < len(CHANNELS):
                self.register_buffer(f'scales{index}', torch.randn(width, width, 3, 3) / sqrt(width * 9))

    def forward(self, features: tuple[Tensor, ...]) -> list[Tensor]:
        """Features of each scale, finest first -> [batch, width, …] of each scale."""
        found: list[Tensor] = []
        for index in reversed(range(len(features))):
            x = F.conv2d(features[index], cast(Tensor, getattr(self, f'channels{index}')))
            if found:
                coarser = F.conv2d(found[0], cast(Tensor, getattr(self, f'scales{index}')), padding=1)
                x = x + F.interpolate(coarser, size=x.shape[2:], mode='bilinear', align_corners=False)
            found.insert(0, x)
        return found


class _Head(nn.Module):
    """Judges one scale: how real each place looks, for its class."""

    def __init__(self, width: int, c_dim: int, *, down: int) -> None:
        super().__init__()
        self.conv0 = Conv2d(width, width, 3, activation='lrelu', down=down)
        self.conv1 = Conv2d(width, width, 3, activation='lrelu')
        self.out = Conv2d(width, 1, 1)
        self.embed = FullyConnected(c_dim, width) if c_dim > 0 else None

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """[batch, width, side, side] -> [batch, 16]."""
        x = self.conv1(self.conv0(x / _FEATURE_SCALE))
        score = self.out(x)
        if self.embed is not None:
            embedded = self.embed(cast(Tensor, c))[:, :, None, None]
            score = score + (x * embedded).sum(1, keepdim=True) / sqrt(x.shape[1])
        return F.adaptive_avg_pool2d(score, _JUDGED).flatten(1)


_FEATURE_SCALE = 10.0
"""Roughly the deviation of mixed features, so that heads start with signals around 1."""


class ProjectedDiscriminator(nn.Module):
    """Images to scores: four scales, judged at 16 places each."""

    def __init__(
        self, c_dim: int, img_resolution: int, *, width: int = 64, features: FeatureNetwork | None = None
    ) -> None:
        """`width`: features of each scale after mixing. `features`: None = the bundled weights. Raises BadFile."""
        super().__init__()
        if img_resolution < 64:
            raise ValueError(f'the projected discriminator needs images of 64 pixels or more, got {img_resolution}')
        self.c_dim, self.img_resolution = c_dim, img_resolution
        self.features = load_features() if features is None else features
        self.mixing = _Mixing(width)
        self.heads = nn.ModuleList([_Head(width, c_dim, down=2 if index == 0 else 1) for index in range(len(CHANNELS))])

    def forward(
        self, image: Tensor, c: Tensor | None = None, *, update_emas: bool = False, float32: bool = False
    ) -> Tensor:
        """Scores [batch, 64] of images [batch, 3, side, side] and classes c [batch, c_dim]; options as in `Discriminator`."""
        scales = self.mixing(self.features(image))
        return torch.cat([head(x, c) for head, x in zip(self.heads, scales, strict=True)], 1)

"""A generator whose right answers are known: plane waves through linear layers, moved exactly by any map."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from networks.adapters.base import Inspectable, NoiseMode
from networks.info import GeneratorInfo, LayerInfo
from render.models import ModelStore
from render.renderer import Renderer
from render.request import ModelKey, RenderRequest

RATE, MARGIN, CHANNELS = 32, 10, 6
KEY = ModelKey('fourier', '0')


class Waves(nn.Module):
    """Plane waves of up to 4 cycles per image width; the latent sets their phases."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.register_buffer('transform', torch.eye(3, dtype=torch.float64))
        angle = torch.rand(CHANNELS, generator=generator, dtype=torch.float64) * 2 * math.pi
        radius = 1 + 3 * torch.rand(CHANNELS, generator=generator, dtype=torch.float64)
        self.register_buffer('freqs', torch.stack([angle.cos(), angle.sin()], 1) * radius[:, None])

    def forward(self, w: Tensor) -> Tensor:
        size = RATE + 2 * MARGIN
        axis = (torch.arange(size, dtype=torch.float64) + 0.5 - size / 2) / RATE
        y, x = torch.meshgrid(axis, axis, indexing='ij')
        places = torch.stack([x, y, torch.ones_like(x)], -1) @ self.transform.T
        turns = places[..., :2] @ self.freqs.T + w[:, None, None, :].double()
        return torch.sin(2 * math.pi * turns).permute(0, 3, 1, 2).float()


class Network(nn.Module):
    """Waves, a mixing layer, and the picture; `stuck` adds a pattern to the mixing layer that stays on its pixels."""

    def __init__(self, *, stuck: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.waves = Waves()
        self.mix = Mix(torch.randn(CHANNELS, CHANNELS, generator=generator), stuck)
        self.picture = nn.Conv2d(CHANNELS, 3, 1, bias=False)
        self.picture.weight.data = torch.randn(3, CHANNELS, 1, 1, generator=generator) * 0.1

    def forward(self, w: Tensor) -> Tensor:
        return self.picture(self.mix(self.waves(w)))[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


class Mix(nn.Module):
    """A 1 x 1 convolution plus a fixed pattern."""

    def __init__(self, weight: Tensor, stuck: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight[:, :, None, None])
        pattern = torch.randn(
            1, CHANNELS, RATE + 2 * MARGIN, RATE + 2 * MARGIN, generator=torch.Generator().manual_seed(4)
        )
        self.register_buffer('pattern', stuck * pattern)

    def forward(self, x: Tensor) -> Tensor:
        return torch.conv2d(x, self.weight) + self.pattern


class Fourier(Inspectable):
    """Answers for `Network`."""

    def __init__(self, *, stuck: float = 0.0) -> None:
        self.module = Network(stuck=stuck).eval().requires_grad_(False)
        size = RATE + 2 * MARGIN
        layers = tuple(
            LayerInfo(name, name, channels, size, size, rate=float(RATE), margin=MARGIN)
            for name, channels in (('waves', CHANNELS), ('mix', CHANNELS), ('picture', 3))
        )
        self.info = GeneratorInfo(
            'fourier',
            'plane waves',
            RATE,
            3,
            CHANNELS,
            CHANNELS,
            1,
            0,
            1,
            layers=layers,
            capabilities=frozenset({'transform'}),
        )

    def latents(self, z: Tensor, class_index: int | None = None) -> Tensor:
        return z.float()[:, None]

    def synthesize(
        self,
        latents: Tensor,
        overrides: Mapping[str, Tensor] | None = None,
        *,
        noise: NoiseMode = 'constant',
        noise_seed: int = 0,
        float32: bool = False,
    ) -> Tensor:
        return functional_call(self.module, dict(overrides or {}), (latents[:, 0],))

    def transform(self, matrix: Tensor) -> Mapping[str, Tensor]:
        return {'waves.transform': torch.linalg.inv(matrix.double())}


def opened(adapter: Inspectable) -> tuple[Renderer, RenderRequest]:
    """A renderer that has `adapter` open, and a request for it."""
    store = ModelStore('cpu')
    store.put(KEY, adapter)
    return Renderer(store), RenderRequest(KEY)

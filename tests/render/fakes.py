"""Generators and renderers of a few lines, so that `render/` is tested without networks or files."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from networks.adapters.base import Inspectable
from networks.info import FilterInfo, GeneratorInfo, LayerInfo
from ops.filters import lowpass
from render.models import ModelStore
from render.request import ModelKey

SIZE = 32
MARGIN = 4
CHANNELS = 6
KEY = ModelKey('fake', 'a' * 64)
OTHER_KEY = ModelKey('fake-2', 'b' * 64)


class FourierInput(nn.Module):
    """Sinusoids that a transform moves exactly: [batch, CHANNELS, padded size, padded size]."""

    def __init__(self, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer('freqs', (torch.rand([CHANNELS, 2], generator=generator) - 0.5) * 8)
        self.register_buffer('phases', torch.rand([CHANNELS], generator=generator))
        self.register_buffer('transform', torch.eye(3))

    def forward(self, w: Tensor) -> Tensor:
        size = SIZE + 2 * MARGIN
        steps = (torch.arange(size) + 0.5 - size / 2) / SIZE
        grid = torch.stack([steps[None, :].expand(size, size), steps[:, None].expand(size, size)], -1)
        points = grid @ self.transform[:2, :2].T + self.transform[:2, 2]
        turns = points @ self.freqs.T + self.phases
        return (2 * math.pi * turns).sin().permute(2, 0, 1)[None] * (1 + w[:, 0, :1, None, None])


class Layer(nn.Module):
    """A pointwise mix of channels, then a low-pass filter along x."""

    def __init__(self, channels: int, row: int, seed: int, *, crop: bool = False):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer('weight', torch.randn([channels, CHANNELS], generator=generator) / CHANNELS**0.5)
        self.register_buffer('down_filter', lowpass(5, 4.0, 4.0, float(SIZE)))
        self.row, self.crop = row, crop
        self.runs = 0

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        self.runs += 1
        mixed = torch.einsum('oc,bchw->bohw', self.weight, x) * (1 + 0.1 * w[:, self.row, 1, None, None, None])
        taps = self.down_filter if self.down_filter.ndim == 1 else self.down_filter.sum(0)
        pad = nn.functional.pad(mixed, (2, 2, 0, 0))
        mixed = sum(pad[..., i : i + mixed.shape[-1]] * tap for i, tap in enumerate(taps))
        return mixed[..., MARGIN:-MARGIN, MARGIN:-MARGIN] if self.crop else mixed


class Synthesis(nn.Module):
    def __init__(self, seed: int):
        super().__init__()
        self.input = FourierInput(seed)
        self.L0 = Layer(CHANNELS, 0, seed + 1)
        self.L1 = Layer(CHANNELS, 1, seed + 2)
        self.L2 = Layer(3, 2, seed + 3, crop=True)

    def forward(self, w: Tensor, noise: Tensor | None = None) -> Tensor:
        x = self.L1(self.L0(self.input(w), w), w)
        return self.L2(x if noise is None else x + noise, w)


class Whole(nn.Module):
    def __init__(self, seed: int):
        super().__init__()
        self.synthesis = Synthesis(seed)


class FakeGenerator(Inspectable):
    """Everything that the renderer may ask for, in microseconds. Counts its own calls."""

    def __init__(self, seed: int = 0, *, capabilities: frozenset[str] | None = None, class_count: int = 0):
        self.module = Whole(seed).eval()
        self.mapped = self.synthesized = 0
        all_of_them = {'transform', 'filters', 'noise', 'truncation', 'style_mixing'} | (
            {'classes'} if class_count else set()
        )
        self.info = GeneratorInfo(
            family='fake', title=f'Fake {seed}', resolution=SIZE, image_channels=3, z_dim=4, w_dim=4, num_ws=3,
            class_count=class_count, parameters=0, layers=tuple(self._layers()),
            capabilities=frozenset(all_of_them) if capabilities is None else capabilities,
        )  # fmt: skip

    def _layers(self):
        padded = SIZE + 2 * MARGIN
        yield LayerInfo('synthesis.input', 'input', CHANNELS, padded, padded, rate=SIZE, cutoff=4.0, margin=MARGIN)
        for index in range(3):
            size, channels = (SIZE, 3) if index == 2 else (padded, CHANNELS)
            buffer = f'synthesis.L{index}.down_filter'
            yield LayerInfo(
                f'synthesis.L{index}', f'L{index}', channels, size, size, rate=SIZE, cutoff=4.0, margin=(padded - size) // 2,
                styles=(index,), filters=(FilterInfo(buffer, 'down', 1, 5, float(SIZE), 4.0, 2.0),),
            )  # fmt: skip

    def latents(self, z: Tensor, class_index: int | None = None) -> Tensor:
        self.mapped += 1
        return (z.tanh() + (class_index or 0))[:, None].repeat(1, 3, 1)

    def synthesize(self, latents, overrides=None, *, noise='constant', noise_seed=0, float32=False) -> Tensor:
        self.synthesized += 1
        drawn = None
        if noise != 'none':
            seed = noise_seed if noise == 'random' else 12345
            drawn = 0.1 * torch.randn(
                [1, 1, SIZE + 2 * MARGIN, SIZE + 2 * MARGIN], generator=torch.Generator().manual_seed(seed)
            )
        inside = {name.removeprefix('synthesis.'): tensor for name, tensor in (overrides or {}).items()}
        return functional_call(self.module.synthesis, inside, (latents, drawn))

    def average(self) -> Tensor | None:
        return torch.full([4], 0.25) if 'truncation' in self.info.capabilities else None

    def filters(self) -> Mapping[str, Tensor]:
        buffers = dict(self.module.named_buffers())
        return {info.buffer: buffers[info.buffer] for layer in self.info.layers for info in layer.filters}

    def transform(self, matrix: Tensor) -> Mapping[str, Tensor]:
        return {'synthesis.input.transform': torch.linalg.inv(matrix).to(torch.float32)}


def fake_store(*generators: FakeGenerator) -> ModelStore:
    """A store that holds these, the first as `KEY`, the second as `OTHER_KEY`."""
    store = ModelStore('cpu')
    for key, generator in zip((KEY, OTHER_KEY), generators, strict=False):
        store.put(key, generator)
    return store

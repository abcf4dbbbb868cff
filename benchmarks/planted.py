"""Alias-free generators with random weights and one planted defect each, for `benchmarks.diagnose` and tests.

Every defect is something that real networks do: a noise input, zeros instead of a margin, another kernel, a record with
another oversampling or cutoff, a constant that ignores the transform.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from networks.config import ladder_keywords
from networks.stylegan3 import Generator, SynthesisInput, SynthesisLayer
from ops.filters import FilterShape, design, lowpass

CAUSES = ('noise', 'border', 'up-filter', 'down-filter', 'nonlinearity', 'cutoff', 'constant', 'separable')
POSITIONS = ('early', 'middle', 'late')


@dataclass(frozen=True, slots=True)
class Plan:
    """One network of the benchmark."""

    rung: str
    cause: str | None
    """None = healthy."""
    position: str
    seed: int


@dataclass(frozen=True, slots=True)
class Planted:
    """A network and what is wrong with it."""

    generator: Generator
    layer: str | None
    """Label of the layer with the defect."""
    detail: str


def build(plan: Plan, *, size: int = 64, channels: int = 32, **keywords: Any) -> Planted:
    """The network of `plan`: random weights, the defect, then magnitudes calibrated on one batch.

    `keywords`: of the synthesis network, instead of those of T and R.
    """
    draw = random.Random(f'{plan.rung} {plan.cause} {plan.position} {plan.seed}')
    generator = untrained(plan.rung, size=size, channels=channels, seed=plan.seed, **keywords)
    layer, detail = None, 'as designed'
    if plan.cause is not None:
        index = _choose(generator, plan, draw)
        layer, detail = _PLANTERS[plan.cause](generator, index, draw)
    torch.manual_seed(plan.seed + 1)
    generator(torch.randn(4, generator.z_dim), update_emas=True)
    return Planted(generator.eval(), layer, detail)


def untrained(rung: str, *, size: int, channels: int, seed: int, **keywords: Any) -> Generator:
    """A generator of configuration T or R with up to `channels` channels; magnitudes not calibrated yet."""
    torch.manual_seed(seed)
    options = {**ladder_keywords(rung, size), 'channel_max': channels, 'magnitude_ema_beta': 0.0, **keywords}
    generator = Generator(32, 0, 32, size, 3, **options).requires_grad_(False)
    for index in range(len(generator.synthesis.layer_names)):  # biases of trained networks are not zero
        bias = layer_at(generator, index).bias
        bias.copy_(0.1 * torch.randn_like(bias))
    return generator


def layer_at(generator: Generator, index: int) -> SynthesisLayer:
    """The synthesis layer number `index`."""
    module = generator.synthesis.get_submodule(generator.synthesis.layer_names[index])
    assert isinstance(module, SynthesisLayer)
    return module


class NoisyLayer(SynthesisLayer):
    """Adds noise that is fixed to the pixels, as StyleGAN2's layers do."""

    noise_strength: float
    noise_const: Tensor

    def forward(self, x: Tensor, w: Tensor, **options: Any) -> Tensor:
        """As the base class, plus noise."""
        return super().forward(x, w, **options) + self.noise_strength * self.noise_const


class RandomNoiseLayer(SynthesisLayer):
    """Adds fresh noise in every call."""

    noise_strength: float

    def forward(self, x: Tensor, w: Tensor, **options: Any) -> Tensor:
        """As the base class, plus noise."""
        x = super().forward(x, w, **options)
        return x + self.noise_strength * torch.randn(len(x), 1, *x.shape[2:], device=x.device)


class ZeroPaddedLayer(SynthesisLayer):
    """Knows its input on the canvas only, zeros around it: no margin."""

    def forward(self, x: Tensor, w: Tensor, **options: Any) -> Tensor:
        """As the base class, with zeros instead of the margin of the input."""
        spare = (x.shape[3] - int(self.record.rate_in)) // 2
        inside = x[:, :, spare : x.shape[2] - spare, spare : x.shape[3] - spare]
        return super().forward(F.pad(inside, [spare] * 4), w, **options)


class EmptyMarginLayer(SynthesisLayer):
    """Computes the canvas only and hands on zeros around it."""

    def forward(self, x: Tensor, w: Tensor, **options: Any) -> Tensor:
        """As the base class, the margin of the result zero."""
        x = super().forward(x, w, **options)
        spare = self.record.margin
        return F.pad(x[:, :, spare : x.shape[2] - spare, spare : x.shape[3] - spare], [spare] * 4)


class ConstantInput(SynthesisInput):
    """A learned constant: transform and latent do not reach it."""

    const: Tensor

    def forward(self, w: Tensor) -> Tensor:
        """The constant for every latent."""
        return self.const.expand(len(w), -1, -1, -1)


def _choose(generator: Generator, plan: Plan, draw: random.Random) -> int:
    """An index in the third of the layers that the plan names and where the defect can be."""
    last = len(generator.synthesis.layer_names) - 2  # ToRGB left out
    stop = last if plan.cause in ('up-filter', 'down-filter', 'nonlinearity', 'noise') else last - 1
    if plan.cause in ('cutoff', 'separable'):
        stop = last - 2  # the last two are sampled critically anyway
    third = (stop + 1) / 3
    start = round(third * POSITIONS.index(plan.position))
    return draw.randrange(start, max(round(start + third), start + 1))


def _noise(generator: Generator, index: int, draw: random.Random) -> tuple[str, str]:
    layer = layer_at(generator, index)
    strength = 10 ** draw.uniform(-1.3, -0.3)
    fresh = draw.random() < 0.25
    layer.__class__ = RandomNoiseLayer if fresh else NoisyLayer
    layer.noise_strength = strength  # type: ignore[assignment]
    if not fresh:
        layer.register_buffer('noise_const', torch.randn(layer.record.size, layer.record.size))
    return layer.record.name, f'{"fresh" if fresh else "fixed"} noise, strength {strength:.2f}'


def _border(generator: Generator, index: int, draw: random.Random) -> tuple[str, str]:
    layer = layer_at(generator, index)
    kind = draw.choice(('padded', 'emptied', 'cropped'))
    if kind == 'cropped':
        following = layer_at(generator, index + 1)
        side = int(layer.record.rate)
        layer.record = replace(layer.record, size=side)
        following.record = replace(following.record, size_in=side)
    else:
        layer.__class__ = ZeroPaddedLayer if kind == 'padded' else EmptyMarginLayer
    return generator.synthesis.layer_names[index], f'margin {kind}'


def _kernel(shape: FilterShape, draw: random.Random) -> tuple[str, Tensor]:
    """A kernel of image processing, or a Kaiser design that is much too short; sum 1."""
    short = replace(shape, taps=2 * shape.factor)
    kinds: dict[str, Callable[[], Tensor]] = {
        'bilinear': lambda: design('bilinear', shape),
        'short bilinear': lambda: design('bilinear', short),
        'nearest': lambda: design('nearest', shape),
        'gaussian': lambda: design('gaussian', shape),
        'lanczos, two lobes': lambda: design('lanczos', replace(shape, taps=4 * shape.factor)),
        'two taps a sample': lambda: design('sinc', short),
    }
    name = draw.choice(sorted(kinds))
    return name, kinds[name]()


def _up_filter(generator: Generator, index: int, draw: random.Random) -> tuple[str, str]:
    layer = layer_at(generator, index)
    r = layer.record
    shape = FilterShape('up', r.up_factor, r.up_taps, r.rate_inside, r.cutoff_in, r.half_width_in, False)
    name, taps = _kernel(shape, draw)
    layer.register_buffer('up_filter', taps)
    return r.name, name


def _down_filter(generator: Generator, index: int, draw: random.Random) -> tuple[str, str]:
    layer = layer_at(generator, index)
    r = layer.record
    shape = FilterShape('down', r.down_factor, r.down_taps, r.rate_inside, r.cutoff, r.half_width, False)
    name, taps = _kernel(shape, draw)
    layer.register_buffer('down_filter', torch.outer(taps, taps) if r.radial and draw.random() < 0.5 else taps)
    return r.name, name


def _nonlinearity(generator: Generator, index: int, draw: random.Random) -> tuple[str, str]:
    layer = layer_at(generator, index)
    layer.record = replace(layer.record, rate_inside=max(layer.record.rate_in, layer.record.rate))
    layer.register_buffer('up_filter', layer.record.up_filter())
    layer.register_buffer('down_filter', None)
    return layer.record.name, 'm = 1'


def _cutoff(generator: Generator, index: int, draw: random.Random) -> tuple[str, str]:
    layer = layer_at(generator, index)
    r = layer.record
    rigid = draw.random() < 0.5
    half_width = (math.sqrt(2) - 1) * r.rate / 2 if rigid else r.half_width
    layer.record = replace(r, cutoff=r.rate / 2, half_width=half_width)
    layer.register_buffer('down_filter', layer.record.down_filter())
    follows = draw.random() < 0.5
    if follows:
        following = layer_at(generator, index + 1)
        following.record = replace(following.record, cutoff_in=r.rate / 2, half_width_in=half_width)
        following.register_buffer('up_filter', following.record.up_filter())
    wide = 'rung E' if rigid else 'own'
    return r.name, f'f_c = s/2, {wide} transition band{", next filter follows" if follows else ""}'


def _constant(generator: Generator, index: int, draw: random.Random) -> tuple[str, str]:
    first = generator.synthesis.input
    kind = draw.choice(('frozen features', 'random numbers', 'one bump'))
    record = first.record
    shape = (1, record.channels, record.size, record.size)
    if kind == 'frozen features':
        const = first(torch.zeros(1, generator.w_dim))
    elif kind == 'random numbers':
        const = torch.randn(shape)
    else:
        x = torch.linspace(-2, 2, record.size)
        const = torch.randn(shape[:2])[..., None, None] * torch.exp(-(x[:, None] ** 2) - x[None, :] ** 2) * 3
    first.__class__ = ConstantInput
    first.register_buffer('const', const)
    return 'input', kind


def _separable(generator: Generator, index: int, draw: random.Random) -> tuple[str, str]:
    layer = layer_at(generator, index)
    r = layer.record
    taps = lowpass(r.down_taps, r.cutoff, 2 * r.half_width, r.rate_inside)
    assert taps is not None
    full = draw.random() < 0.5
    layer.register_buffer('down_filter', torch.outer(taps, taps) if full else taps)
    return r.name, 'outer product' if full else 'along both axes'


_PLANTERS: dict[str, Callable[[Generator, int, random.Random], tuple[str, str]]] = {
    'noise': _noise,
    'border': _border,
    'up-filter': _up_filter,
    'down-filter': _down_filter,
    'nonlinearity': _nonlinearity,
    'cutoff': _cutoff,
    'constant': _constant,
    'separable': _separable,
}

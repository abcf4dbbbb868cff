"""Equivariance of an open model, as jobs: the paper's metrics over many latents, and the ladder of its layers.

Like every job, a generator that yields `Progress` after each short step and can be closed at any time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from render.request import IDENTITY, Affine, RenderRequest
from render.worker import Job, Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from networks.adapters.base import Inspectable
    from render.renderer import Renderer

Metric = Literal['eq-t', 'eq-t-frac', 'eq-r']
METRICS: tuple[Metric, ...] = ('eq-t', 'eq-t-frac', 'eq-r')
GOOD_DB = {'eq-t': 50.0, 'eq-t-frac': 40.0, 'eq-r': 40.0}
"""From where on the paper calls a result good (Appendix A; EQ-T_frac saturates below 50 dB, E.2)."""


@dataclass(frozen=True, slots=True)
class EquivarianceScore:
    """One metric over all samples so far."""

    metric: Metric
    decibels: float
    """PSNR pooled over all samples; NaN when no pixel was valid, infinite without any error."""
    samples: int
    lowest: float
    """Of single samples."""
    highest: float


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One layer for every shift."""

    layer: str
    label: str
    rate: float
    decibels: tuple[float, ...]
    """Per shift; NaN where the shift leaves nothing to compare or the layer does not vary."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Equivariance of every layer for shifts of falling size."""

    shifts: tuple[float, ...]
    """In image widths, along x."""
    rows: tuple[LadderRow, ...]
    samples: int


def equivariance(
    renderer: Renderer, *, request: RenderRequest, metric: Metric, samples: int, first_seed: int = 0
) -> Job:
    """One of the paper's metrics for what `request` shows of the image, over `samples` latents; `EquivarianceScore`.

    Truncation, class, noise and filters are the request's; transform, layer and edits are not. Each latent has its
    own random shift or angle, drawn by its seed. Raises `ValueError` for a model without an input transform.
    """
    import torch

    from analysis.equivariance import PooledError, rotation_error, translation_error, uniform_angle, uniform_shift

    adapter = _movable(renderer, request)
    if samples < 1:
        raise ValueError(f'a metric needs at least one sample, got {samples}.')
    total, single, score = PooledError(), [], None
    for index in range(samples):
        draw = torch.Generator().manual_seed(first_seed + index)
        generate = _Generate(adapter, request, first_seed + index)
        with torch.inference_mode():
            base = generate(torch.eye(3, dtype=torch.float64))
            if metric == 'eq-r':
                error = rotation_error(generate, base, uniform_angle(draw))
            else:
                x, y = uniform_shift(draw)
                error = translation_error(generate, base, x, y, fractional=metric == 'eq-t-frac')
        total = total + error
        single.append(error.psnr())
        score = EquivarianceScore(metric, total.psnr(), index + 1, min(single), max(single))
        yield Progress((index + 1) / samples, f'{score.decibels:.1f} dB after {index + 1} of {samples}', score)
    return score


def layer_ladder(renderer: Renderer, *, request: RenderRequest, samples: int = 1, first_seed: int = 0) -> Job:
    """Equivariance of every layer and of the image for shifts from 1/16 image width to below a pixel; `Ladder`."""
    from analysis.layer_equivariance import FeatureError, dyadic_shifts

    adapter = _movable(renderer, request)
    shifts = dyadic_shifts(adapter.info.resolution)
    layers = [layer for layer in adapter.info.layers if layer.rate is not None]
    totals = {(layer.name, shift): FeatureError() for layer in layers for shift in shifts}
    ladder, steps = None, samples * len(shifts)
    for index in range(samples):
        base = _features(adapter, request, first_seed + index, IDENTITY)
        for number, shift in enumerate(shifts):
            moved = _features(adapter, request, first_seed + index, (1.0, 0.0, shift, 0.0, 1.0, 0.0))
            for layer in layers:
                if layer.name in base and layer.name in moved:
                    error = _layer_error(base[layer.name], moved[layer.name], layer.rate or 1.0, shift)
                    totals[layer.name, shift] = totals[layer.name, shift] + error
            rows = tuple(
                LadderRow(x.name, x.label, x.rate or 1.0, tuple(totals[x.name, s].psnr() for s in shifts))
                for x in layers
            )
            ladder = Ladder(shifts, rows, index + 1)
            done = index * len(shifts) + number + 1
            yield Progress(
                done / steps, f'shift {number + 1} of {len(shifts)}, latent {index + 1} of {samples}', ladder
            )
    return ladder


class _Generate:
    """Pictures of one seed under any map of the input."""

    def __init__(self, adapter: Inspectable, request: RenderRequest, seed: int):
        from render.renderer import make_latents

        self._adapter = adapter
        self._latents, _ = make_latents(adapter, replace(request.latent, seeds=((seed, 1.0),)))
        self._synthesis = replace(request.synthesis, layer=None, edits=())

    def __call__(self, matrix: Tensor) -> Tensor:
        from render.renderer import synthesize

        rows: Affine = tuple(matrix[:2].flatten().tolist())  # type: ignore[assignment]
        return synthesize(self._adapter, self._latents, replace(self._synthesis, transform=rows))[0][None]


def _movable(renderer: Renderer, request: RenderRequest) -> Inspectable:
    adapter = renderer.models.get(request.model)
    why_not = adapter.info.why_not('transform')
    if why_not is not None:
        raise ValueError(f'Equivariance cannot be measured: {why_not}')
    return adapter


def _features(adapter: Inspectable, request: RenderRequest, seed: int, transform: Affine) -> dict[str, torch.Tensor]:
    """Every layer's output for one seed, by layer name."""
    import torch

    from render.capture import observe
    from render.renderer import make_latents, synthesize

    found: dict[str, torch.Tensor] = {}
    names = [layer.name for layer in adapter.info.layers]

    def keep(name: str, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4:
            found[name] = output.float()

    with torch.inference_mode():
        latents, _ = make_latents(adapter, replace(request.latent, seeds=((seed, 1.0),)))
        spec = replace(request.synthesis, layer=None, edits=(), transform=transform)
        with observe(adapter.module, names, keep):
            synthesize(adapter, latents, spec)
    return found


def _layer_error(base: torch.Tensor, moved: torch.Tensor, rate: float, shift: float):
    import torch

    from analysis.layer_equivariance import Grid, layer_error

    with torch.inference_mode():
        return layer_error(base, moved, Grid(rate, *base.shape[-2:]), shift, 0.0)


def verdict(score: EquivarianceScore) -> str:
    """What the number means, in words."""
    if math.isnan(score.decibels):
        return 'no valid pixel to compare'
    if score.decibels >= GOOD_DB[score.metric]:
        return 'good: detail moves with the picture'
    return 'detail stays behind' if score.decibels >= 25 else 'detail sticks to the screen'

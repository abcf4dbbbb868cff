"""Equivariance of an open model, as jobs: the paper's metrics over many latents, and the ladder of its layers.

Like every job, a generator that yields `Progress` after each short step and can be closed at any time.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from render.measures import EquivarianceScore, Metric
from render.measures import Ladder as Ladder
from render.measures import LadderRow as LadderRow
from render.request import Affine, RenderRequest
from render.worker import Job, Progress

if TYPE_CHECKING:
    from torch import Tensor

    from analysis.equivariance import PooledError
    from networks.adapters.base import Inspectable
    from render.renderer import Renderer

METRICS: tuple[Metric, ...] = ('eq-t', 'eq-t-frac', 'eq-r')
GOOD_DB = {'eq-t': 50.0, 'eq-t-frac': 40.0, 'eq-r': 40.0}
"""From where on the paper calls a result good (Appendix A; EQ-T_frac saturates below 50 dB, E.2)."""
FEW_SAMPLES = 8
"""Over fewer, all shifts may be ones that show no aliasing: bilinear filters once had 120 dB over two latents."""


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
    total, single, score, varies = PooledError(), [], None, False
    for index in range(samples):
        draw = torch.Generator().manual_seed(first_seed + index)
        generate = _Generate(adapter, request, first_seed + index)
        with torch.inference_mode():
            base = generate(torch.eye(3, dtype=torch.float64))
            varies = varies or float(base.amax() - base.amin()) != 0
            if metric == 'eq-r':
                error = rotation_error(generate, base, uniform_angle(draw))
            else:
                x, y = uniform_shift(draw)
                error = translation_error(generate, base, x, y, fractional=metric == 'eq-t-frac')
        total = total + error
        single.append(error.psnr())
        score = _score(metric, total, single, varies=varies)
        yield Progress((index + 1) / samples, f'{score.decibels:.1f} dB after {index + 1} of {samples}', score)
    return score


def layer_ladder(renderer: Renderer, *, request: RenderRequest, samples: int = 1, first_seed: int = 0) -> Job:
    """Equivariance of every layer and of the image for shifts from 1/16 image width to below a pixel; `Ladder`.

    Without an input transform only `created`: what each layer makes of an ideally moved input.
    """
    from render.measuring.equivariance import ladder_job

    return (yield from ladder_job(renderer, request, samples, first_seed))


def lie_ladder(renderer: Renderer, *, request: RenderRequest, samples: int = 1, first_seed: int = 0) -> Job:
    """Lie derivative of every layer for small translations and rotations; `LieLadder`."""
    from render.measuring.equivariance import lie_job

    return (yield from lie_job(renderer, request, samples, first_seed))


def _score(metric: Metric, total: PooledError, single: list[float], *, varies: bool) -> EquivarianceScore:
    """The score of all samples so far, or the sentence why there is none."""
    known = [value for value in single if not math.isnan(value)] or [math.nan]
    decibels, note = total.psnr(), ''
    if math.isnan(total.squared):
        note = 'The picture holds values that are not finite numbers.'
    elif total.count == 0:
        note = 'The motion leaves nothing of the picture that could be compared.'
    elif not varies:
        decibels, known = math.nan, [math.nan]
        note = 'The picture is the same everywhere, so nothing can be seen to move in it.'
    return EquivarianceScore(metric, decibels, len(single), min(known), max(known), note)


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
    adapter = renderer.adapter(request)
    why_not = adapter.info.why_not('transform')
    if why_not is not None:
        raise ValueError(f'Equivariance cannot be measured: {why_not}')
    return adapter


def verdict(score: EquivarianceScore) -> str:
    """What the number means, in words."""
    if math.isnan(score.decibels):
        return score.note or 'no valid pixel to compare'
    if score.metric == 'eq-t' and score.decibels >= GOOD_DB['eq-t'] and score.samples < FEW_SAMPLES:
        return f'good so far; below {FEW_SAMPLES} latents, shifts that miss the aliasing flatter'
    if score.metric == 'eq-r':
        return (
            'good: detail turns with the picture' if score.decibels >= GOOD_DB['eq-r'] else 'detail does not turn along'
        )
    if score.decibels >= GOOD_DB[score.metric]:
        return 'good: detail moves with the picture'
    return 'detail stays behind' if score.decibels >= 25 else 'detail sticks to the screen'

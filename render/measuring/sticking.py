"""Pictures along a latent walk and around a latent, step by step: does fine detail stay where it is?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from analysis.sticking import HIGH, Decay, high_pass, line_samples, strip_score
from networks.adapters.base import Inspectable
from render.layer_calls import request_seeds
from render.measures import Neighbourhood, Strip
from render.renderer import Renderer, make_latents, synthesize
from render.request import LatentSpec, RenderRequest
from render.views import to_rgb8
from render.worker import Job, Progress

Point = tuple[float, float]
MAX_POINTS = 16384
SMOOTHING = 5
CONSTANT = (
    'The picture is the same everywhere, so there is no detail to measure; '
    'a transform may have pushed everything out of the band: use a scale nearer to 1.'
)


def picture_of(adapter: Inspectable, request: RenderRequest, latent: LatentSpec) -> Tensor:
    """The picture [channels, height, width] of a latent, with all else as in `request`. Raises `ValueError` for values that
    are not finite."""
    with torch.inference_mode():
        latents, _ = make_latents(adapter, latent)
        image = synthesize(adapter, latents, replace(request.synthesis, layer=None))[0].float()
    if not bool(image.isfinite().all()):
        raise ValueError('The picture holds values that are not finite numbers, so nothing can be measured on it.')
    return image


def walk_latents(latent: LatentSpec, seeds: range, frames: int) -> list[LatentSpec]:
    """`frames` points on straight lines in W from seed to seed."""
    points = []
    for frame in range(frames):
        position = frame * (len(seeds) - 1) / (frames - 1)
        first = min(int(position), len(seeds) - 2)
        weight = position - first
        mixed = tuple((seeds[first + side], part) for side, part in ((0, 1 - weight), (1, weight)) if part > 0)
        points.append(replace(latent, seeds=mixed))
    return points


def walk_job(
    renderer: Renderer,
    request: RenderRequest,
    line: tuple[Point, Point],
    frames: int,
    stops: int,
    first_seed: int,
    points: int | None,
) -> Job:
    """See `render.jobs_measure.walk_strip`."""
    if frames < 2 or stops < 2:
        raise ValueError(
            f'A walk needs at least 2 pictures and 2 latents to go between, got {frames} and {stops}; make it longer.'
        )
    (x0, y0), (x1, y1) = line
    if not all(math.isfinite(value) for value in (x0, y0, x1, y1)) or (x0, y0) == (x1, y1):
        raise ValueError(f'The line from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) has no length; drag its ends apart.')
    adapter = renderer.adapter(request)
    side = adapter.info.resolution
    count = points or round(math.hypot(x1 - x0, y1 - y0) * side)
    if not 8 <= count <= MAX_POINTS:
        raise ValueError(f'The line is {count} points long; choose from 8 to {MAX_POINTS} for a strip.')
    rate = count / math.hypot(x1 - x0, y1 - y0)
    rows: list[Tensor] = []
    strip = None
    for index, latent in enumerate(walk_latents(request.latent, request_seeds(request, stops, first_seed), frames)):
        image = picture_of(adapter, request, latent)
        rows.append(line_samples(image, line[0], line[1], count).cpu())
        if len(rows) >= 2:
            strip = _strip(torch.stack(rows), line, rate, min(side / rate, 1.0))
        yield Progress((index + 1) / frames, f'picture {index + 1} of {frames}', strip)
    return strip


def _strip(values: Tensor, line: tuple[Point, Point], rate: float, filled: float) -> Strip:
    """`filled`: the part of the line's band that the picture can hold; detail is a part of that."""
    score = strip_score(values, high=HIGH * filled)
    constant = float(values.amax(dim=-1).sub(values.amin(dim=-1)).max()) < 1e-6
    image = to_rgb8(values.permute(1, 0, 2))
    return Strip(
        image,
        values.permute(0, 2, 1).contiguous().numpy(),
        share=math.nan if constant else score.share,
        moved=score.moved,
        frames=len(values),
        start=line[0],
        end=line[1],
        above=HIGH * filled * rate / 2,
        note=CONSTANT if constant else score.why_not(),
    )


def neighbourhood_job(renderer: Renderer, request: RenderRequest, radius: float, samples: int, first_seed: int) -> Job:
    """See `render.jobs_measure.neighbourhood`."""
    if not 0 < radius <= 1:
        raise ValueError(
            f'The radius of a neighbourhood is from above 0 to 1 (another latent altogether), got {radius}.'
        )
    if samples < 2:
        raise ValueError(f'An average needs at least 2 pictures, got {samples}.')
    adapter = renderer.adapter(request)
    decay, total, result = Decay(), None, None
    centre, single = to_rgb8(picture_of(adapter, request, request.latent)), None
    yield Progress(0.0, 'the picture in the middle')
    for index, seed in enumerate(request_seeds(request, samples, first_seed)):
        around = tuple((own, weight * (1 - radius)) for own, weight in request.latent.seeds)
        mixed = tuple((own, weight) for own, weight in (*around, (seed, radius)) if weight)
        image = picture_of(adapter, request, replace(request.latent, seeds=mixed))
        detail = high_pass(image)
        decay.add(detail)
        total = image.double() if total is None else total + image.double()
        energy = detail.square().mean(dim=0)
        single = energy if single is None else single + energy
        result = _neighbourhood(total / (index + 1), decay, single / (index + 1), radius, centre)
        yield Progress((index + 1) / samples, f'picture {index + 1} of {samples}', result)
    return result


def _neighbourhood(mean: Tensor, decay: Decay, single: Tensor, radius: float, centre: np.ndarray) -> Neighbourhood:
    counts, energies = decay.curve()
    share = decay.share()
    total = decay.total
    assert total is not None
    residual = _common_amplitude((total / decay.count).square().mean(dim=0), single, decay.count)
    note = CONSTANT if not counts else ''
    return Neighbourhood(
        to_rgb8(mean.float()),
        residual.float().cpu().numpy(),
        counts,
        energies,
        share,
        samples=decay.count,
        radius=radius,
        note=note,
        centre=centre,
    )


def _common_amplitude(coherent: Tensor, single: Tensor, count: int) -> Tensor:
    """[height, width] amplitude of what all pictures share relative to single ones, without what chance leaves; averaged
    over `SMOOTHING` pixels. `coherent`: energy of the average, `single`: average of the energies."""
    both = avg_pool2d(torch.stack([coherent, single])[:, None], SMOOTHING, 1, SMOOTHING // 2, count_include_pad=False)
    coherent, single = both[0, 0], both[1, 0]
    common = (count * coherent - single).clamp(min=0) / max(count - 1, 1)
    return torch.where(single > 0, common / single.clamp(min=torch.finfo(single.dtype).tiny), 0.0).sqrt().clamp(max=1)

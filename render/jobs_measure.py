"""The measurements of a model as jobs: generators that yield `Progress` after short steps and can be closed. No torch at import.

Each takes the renderer first (the worker adds it) and answers with a value of `render.measures`; `Progress.partial` is
the answer so far. Latent, filters and precision are those of `request`; its layer, edits and view are not used. Seeds run
from `first_seed`, truncated and with the class as `request` says. Bad input raises `ValueError` with one sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from render.request import RenderRequest
from render.worker import Job

if TYPE_CHECKING:
    from render.renderer import Renderer

LINE = ((0.0, 0.5), (1.0, 0.5))
"""Across the middle of the picture."""


def layer_stages(
    renderer: Renderer,
    *,
    request: RenderRequest,
    layer: str,
    samples: int = 4,
    first_seed: int | None = 0,
    channels: int | None = None,
    budget_channels: int = 16,
) -> Job:
    """Inside the non-linearity of `layer` (`LayerInfo.name`): spectra of its stages and its alias budget; `LayerStages`.

    `first_seed` None: of the latent of `request` alone, with one sample. `channels`, `budget_channels`: at most so many of
    the layer's channels, evenly chosen, for the spectra (None: all) and for the budget.
    """
    from render.measuring.nonlinearity import stages_job

    return (yield from stages_job(renderer, request, layer, samples, first_seed, channels, budget_channels))


def alias_budgets(
    renderer: Renderer, *, request: RenderRequest, samples: int = 1, first_seed: int = 0, channels: int = 8
) -> Job:
    """The alias budget of every layer, by up to `channels` of its channels, evenly chosen; `AliasBudgets`."""
    from render.measuring.nonlinearity import budgets_job

    return (yield from budgets_job(renderer, request, samples, first_seed, channels))


def walk_strip(
    renderer: Renderer,
    *,
    request: RenderRequest,
    start: tuple[float, float] = LINE[0],
    end: tuple[float, float] = LINE[1],
    frames: int = 64,
    stops: int = 5,
    first_seed: int = 0,
    points: int | None = None,
) -> Job:
    """A line of the picture during a latent walk through `stops` seeds, `frames` pictures in all; `Strip`.

    `start`, `end`: in image sizes from the top left corner. `points`: samples along the line, by default one a pixel.
    """
    from render.measuring.sticking import walk_job

    return (yield from walk_job(renderer, request, (start, end), frames, stops, first_seed, points))


def neighbourhood(
    renderer: Renderer, *, request: RenderRequest, radius: float = 0.5, samples: int = 32, first_seed: int = 1000
) -> Job:
    """Average of pictures around the latent of `request`, each `radius` of the way to another seed; `Neighbourhood`."""
    from render.measuring.sticking import neighbourhood_job

    return (yield from neighbourhood_job(renderer, request, radius, samples, first_seed))


def fixed_patterns(renderer: Renderer, *, request: RenderRequest, samples: int = 32, first_seed: int = 0) -> Job:
    """Every layer averaged over latents and, where the input can be moved, over moves; `FixedPatterns`."""
    from render.measuring.patterns import patterns_job

    return (yield from patterns_job(renderer, request, samples, first_seed))


def registered_average(
    renderer: Renderer, *, request: RenderRequest, samples: int = 16, rotate: bool = False, first_seed: int = 0
) -> Job:
    """Average of moved pictures of the latent of `request`, each moved back; `RegisteredAverage`.

    Raises `ValueError` for a generator without an input transform.
    """
    from render.measuring.patterns import registered_job

    return (yield from registered_job(renderer, request, samples, rotate, first_seed))


def channel_triage(
    renderer: Renderer,
    *,
    request: RenderRequest,
    layer: str,
    samples: int = 8,
    first_seed: int = 0,
    alias_samples: int = 2,
) -> Job:
    """The channels of `layer`, in the order of alias leak, of stickiness and of likeness to a phase; `Triage`.

    The alias leak is by far the slowest to measure: `alias_samples` of the latents are enough, with 0 it is left out.
    """
    from render.measuring.triage import triage_job

    return (yield from triage_job(renderer, request, layer, samples, first_seed, alias_samples))


def waterfall(
    renderer: Renderer,
    *,
    request: RenderRequest,
    samples: int = 16,
    first_seed: int = 0,
    real: Path | str | None = None,
    real_limit: int = 2000,
) -> Job:
    """Radial spectra of all layers, averaged over latents; `Waterfall`.

    `real`: folder or ZIP of pictures of the generator's size, of which at most `real_limit` are read.
    """
    from render.measuring.spectra import waterfall_job

    return (yield from waterfall_job(renderer, request, samples, first_seed, real, real_limit))

"""Long tasks as generators: they yield `Progress` after every short step and return their outcome. No torch at import.

    worker.start(partial(jobs.open_model, path='x.pkl'), name='open a')

Each takes the renderer first (the worker adds it) and options by keyword. Closing the generator cancels it. `run_to_end`
does the same for commands, without a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from networks.info import GeneratorInfo
from render.request import ModelKey, RenderRequest, SpectrumSpec
from render.worker import Abandoned, Job, Progress

if TYPE_CHECKING:
    from render.renderer import Renderer

_PATIENCE_SECONDS = 0.01
"""How long one step of `open_model` waits for the reading thread: frames go on meanwhile."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Outcome of `open_model`."""

    key: ModelKey
    info: GeneratorInfo


def run_to_end(job: Job, on_progress: Callable[[Progress], None] = lambda progress: None) -> Any:
    """The outcome of `job`, without a worker."""
    while True:
        try:
            on_progress(next(job))
        except StopIteration as end:
            return end.value


def open_model(renderer: Renderer, *, path: str, network: str = 'G_ema', allow_code: bool = False) -> Job:
    """Read a model on a thread of its own, so that the old one stays alive on screen; returns `Opened`.

    Raises `BadFile` when it cannot be had. Cancelling stops the reading at its next report.
    """
    reading = _Reading(renderer, path, network, allow_code)
    try:
        while not reading.finished(_PATIENCE_SECONDS):
            yield reading.progress
    finally:
        reading.stop = True
    return reading.outcome()


def average_spectrum(renderer: Renderer, *, request: RenderRequest, count: int, first_seed: int = 0) -> Job:
    """Mean power spectrum of what `request` shows over `count` latents (seeds from `first_seed`); returns `Spectrum`.

    Each progress carries the mean so far.
    """
    from render.views import spectrum_of_power

    if count < 1:
        raise ValueError(f'an average needs at least one latent, got {count}.')
    spectrum = request.view.spectrum or SpectrumSpec()
    request = replace(request, view=replace(request.view, spectrum=spectrum))
    total = None
    result = None
    for index in range(count):
        latent = replace(request.latent, seeds=((first_seed + index, 1.0),))
        power = renderer.power(replace(request, latent=latent)).double()
        total = power if total is None else total + power
        mean = (total / (index + 1)).float()
        result = spectrum_of_power(mean, renderer.rate_of(request, power.shape[-1]), samples=index + 1)
        yield Progress((index + 1) / count, f'{index + 1} of {count} latents', partial=result)
    return result


def clip(
    renderer: Renderer,
    *,
    requests: Sequence[RenderRequest],
    path: str | Path,
    frames_per_second: int = 30,
    session_text: str = '',
) -> Job:
    """Write one frame a request to an MP4 that carries `session_text`; returns its `Path`.

    The file appears when it is complete; cancelling leaves nothing behind. Each progress carries the newest frame.
    """
    from render.video import ClipWriter

    if not requests:
        raise ValueError('a clip needs at least one frame; open a generator first.')
    with ClipWriter(Path(path), frames_per_second, session_text) as writer:
        for index, request in enumerate(requests):
            result = renderer.render(request)
            if result.image is None:
                raise ValueError(result.error or 'the renderer gave no picture.')
            writer.add(result.image)
            yield Progress((index + 1) / len(requests), f'{index + 1} of {len(requests)} frames', result.image)
        writer.finish()
    return Path(path)


class _Reading:
    """A model that is being read on its own thread."""

    def __init__(self, renderer: Renderer, path: str, network: str, allow_code: bool):
        self.progress = Progress(0.0, 'Opening')
        self.stop = False
        self._opened: Opened | None = None
        self._error: Exception | None = None
        self._arguments = (renderer, path, network, allow_code)
        self._thread = threading.Thread(target=self._run, name='open model', daemon=True)
        self._thread.start()

    def finished(self, seconds: float) -> bool:
        """Whether the reading ended, one way or the other, after at most `seconds`."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def outcome(self) -> Opened:
        """What was read; raises what went wrong."""
        if self._error is not None:
            raise self._error
        assert self._opened is not None
        return self._opened

    def _run(self) -> None:
        renderer, path, network, allow_code = self._arguments
        try:
            key, info = renderer.models.open(path, network, allow_code=allow_code, on_progress=self._report)
            self._opened = Opened(key, info)
        except Exception as error:  # raised again on the worker's thread
            self._error = error

    def _report(self, fraction: float, text: str) -> None:
        if self.stop:
            raise Abandoned
        self.progress = Progress(fraction, text)

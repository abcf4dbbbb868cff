"""A drag over a model: how many pictures are shown, and how late the last position is, in renders.

    python -m benchmarks.drag [--path PATH] [--seconds N] [--json]

Requests come 60 times a second, as a hand makes them; the last one counts as shown when its own picture arrives. With a render
under way when the hand stops, one more render is the least that is possible; "within one render" allows just that.
"""

import json
import math
import statistics
import time
from dataclasses import dataclass
from functools import partial

import tyro

from benchmarks.inputs import run_checked
from render.jobs import Opened, open_model
from render.request import RenderRequest, SpectrumSpec, SynthesisSpec, ViewSpec
from render.result import RenderResult
from render.worker import RenderWorker, make_renderer

REQUESTS_A_SECOND = 60
VIEW = ViewSpec(spectrum=SpectrumSpec())
"""As in the window: the spectrum is on."""


@dataclass(frozen=True)
class Options:
    path: str = 'demo:'
    """What is dragged."""
    seconds: float = 5.0
    """How long."""
    json: bool = False
    """Print JSON instead of lines."""


def opened(worker: RenderWorker, path: str) -> Opened:
    """The model, once it is there."""
    worker.start(partial(open_model, path=path), name='open')
    while True:
        report = worker.poll_job('open')
        if report is not None and report.done:
            if not isinstance(report.outcome, Opened):
                raise SystemExit(report.error or 'the model could not be opened')
            return report.outcome
        time.sleep(0.01)


def drag(worker: RenderWorker, model: Opened, seconds: float) -> list[tuple[float, RenderResult]]:
    """(seconds after the hand stopped, result) of every picture; the last belongs to the last request."""
    arrivals: list[tuple[float, RenderResult]] = []
    start, count = time.perf_counter(), round(seconds * REQUESTS_A_SECOND)
    request = RenderRequest(model.key, view=VIEW)
    for index in range(count):
        x = 0.2 * math.sin(2 * math.pi * index / 150)
        request = RenderRequest(model.key, synthesis=SynthesisSpec(transform=(1, 0, x, 0, 1, index * 1e-6)), view=VIEW)
        worker.submit(request)
        while (left := start + (index + 1) / REQUESTS_A_SECOND - time.perf_counter()) > 0:
            _take(worker, arrivals)
            time.sleep(min(left, 0.002))
    stopped = time.perf_counter()
    while not (arrivals and arrivals[-1][1].request == request):
        _take(worker, arrivals)
        time.sleep(0.0005)
    return [(at - stopped, result) for at, result in arrivals]


def _take(worker: RenderWorker, arrivals: list[tuple[float, RenderResult]]) -> None:
    result = worker.poll()
    if result is not None:
        arrivals.append((time.perf_counter(), result))


def main(options: Options) -> None:
    worker = RenderWorker(partial(make_renderer, 'auto', wait_for_kernels=True))
    try:
        model = opened(worker, options.path)
        drag(worker, model, 0.5)  # kernels and caches
        arrivals = drag(worker, model, options.seconds)
    finally:
        worker.close()
    render = [result.seconds for _, result in arrivals]
    row = {
        'requests': round(options.seconds * REQUESTS_A_SECOND),
        'pictures': len(arrivals),
        'median_render_ms': 1000 * statistics.median(render),
        'longest_render_ms': 1000 * max(render),
        'last_position_late_ms': max(1000 * arrivals[-1][0], 0.0),
    }
    if options.json:
        print(json.dumps(row, indent=2))
    else:
        print('\n'.join(f'{name:24}{value:10.1f}' for name, value in row.items()))


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

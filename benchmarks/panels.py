"""What the window costs in Python: each panel alone, and a whole frame of the default layout.

python -m benchmarks.panels [--frames N] [--json]

No network runs: the picture comes from the fake renderer of the tests. Times are of the drawing thread's own CPU, so that
other programs on the machine do not count; rasterising and waiting for the screen are not included.
"""

import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import tyro

from benchmarks.inputs import run_checked
from gui_utils.dialogs import FileDialog
from gui_utils.texture import TexturePool
from gui_utils.window import Frame, Window, open_window
from render.session import Session
from render.worker import RenderWorker
from tests.viz.fake_renderer import FakeRenderer
from viz.application import App
from viz.panels import PANELS, Panel

TARGET_MS = 1.5
WHOLE = 'whole frame'


@dataclass(frozen=True)
class Options:
    frames: int = 300
    """How many frames each is measured."""
    json: bool = False
    """Print JSON instead of a table."""


def measure(options: Options) -> dict[str, dict[str, float]]:
    """Milliseconds a frame by panel, and of everything: median, least, 90th percentile."""
    with ExitStack() as stack:
        window = stack.enter_context(open_window('Benchmark', (1600, 1000), headless=True))
        textures = TexturePool()
        worker = RenderWorker(FakeRenderer)
        app = App(window, worker, Session(), textures, dialog=FileDialog(use_system=False))
        for undo in (textures.close, app.close, worker.close):
            stack.callback(undo)
        app.open('demo:')
        while app.view.a.result is None or not app.is_current:
            run(window, app.draw, 1)
            worker.wait(10)
        rows = {WHOLE: summary(run(window, app.draw, options.frames))}
        for panel in PANELS:

            def draw(_: Frame, panel: Panel = panel) -> None:
                app.session = panel.draw(app.session, app.desk())

            rows[panel.title] = summary(run(window, draw, options.frames))
    return rows


def run(window: Window, draw: Callable[[Frame], object], count: int) -> list[float]:
    """Milliseconds of CPU that each of `count` frames took to draw."""
    times = []
    for _ in range(count):
        with window.frame() as frame:
            started = time.thread_time()
            draw(frame)
            times.append(1000 * (time.thread_time() - started))
    return times


def summary(times: list[float]) -> dict[str, float]:
    """Of a list of milliseconds."""
    ordered = sorted(times)
    return {
        'median_ms': statistics.median(ordered),
        'min_ms': ordered[0],
        'p90_ms': ordered[int(0.9 * len(ordered))],
    }


def main(options: Options) -> None:
    rows = measure(options)
    if options.json:
        print(json.dumps({'target_ms': TARGET_MS, 'rows': rows}, indent=2))
        return
    print(f'{"":14}{"median ms":>10}{"least":>8}{"90 %":>8}')
    for name, row in rows.items():
        print(f'{name:14}{row["median_ms"]:10.3f}{row["min_ms"]:8.3f}{row["p90_ms"]:8.3f}')
    print(f'The whole frame may take {TARGET_MS} ms.')


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

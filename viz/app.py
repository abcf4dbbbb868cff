"""The way into the window: `run_window`.

This module imports next to nothing, so that torch is on its way before imgui and OpenGL are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from render.worker import RenderWorker, make_renderer


def run_window(
    path: str | None,
    second: str | None = None,
    *,
    headless: bool = False,
    screenshot: Path | None = None,
    size: tuple[int, int] = (1600, 1000),
    scale: float | None = None,
    session: Path | None = None,
    frames: int | None = None,
    device: str = 'auto',
    timings: bool = False,
    on_no_display: Callable[[str], int] | None = None,
) -> int:
    """Show the window until it is closed; returns the exit code of the program.

    `path`: what to open; None: where the last session was, else the demo. `second`: a generator beside it. `session`: a session file to open instead.
    `headless`: draws `frames` frames without a display, waits until the picture is current, saves the whole window as
    `screenshot`; a failure is one line on stderr and exit code 1. `on_no_display`: what to do instead of failing where no
    window can be opened; gets the reason, returns the exit code. `timings`: print when the window and the first picture
    stood there, for benchmarks.
    """
    waker = Waker()
    worker = RenderWorker(partial(make_renderer, device, wait_for_kernels=headless), on_result=waker)
    try:
        # Only now: while the other thread imports torch, this one opens the window.
        from viz.running import WindowWish, open_and_run
    except (ImportError, OSError) as error:  # libGL or libX11 are not there
        worker.close(0.0)
        if (getattr(error, 'name', None) or '').split('.')[0] in OURS:
            raise  # a fault of ours, which no installation cures
        return _without_libraries(error, headless, on_no_display)
    try:
        wish = WindowWish(path, second, headless, screenshot, size, scale, session, frames, timings, on_no_display)
        return open_and_run(wish, worker, waker)
    finally:
        worker.close()


OURS = ('viz', 'gui_utils', 'render', 'networks')


def _without_libraries(error: Exception, headless: bool, on_no_display: Callable[[str], int] | None) -> int:
    """What to do where nothing can be drawn at all. Raises RuntimeError with the reason if nobody wants to know it."""
    from viz.doctor import cannot_draw

    reason = cannot_draw(error, headless=headless)
    if on_no_display is None:
        raise RuntimeError(reason) from error
    return on_no_display(reason)


class Waker:
    """Wakes the window when the worker has something; before there is a window, nobody."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] | None = None

    def __call__(self) -> None:
        wake = self.wake
        if wake is not None:
            wake()

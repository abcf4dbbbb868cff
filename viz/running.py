"""Keeping the window open: what it begins with, its loop, screenshots, and the session between two starts."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gui_utils.graphics import draws_in_software
from gui_utils.texture import TexturePool
from gui_utils.window import GraphicsLost, NoDisplay, Window, open_window
from render import compare, interop
from render.png_session import save_png, shared_text
from render.session import Session, is_animating
from render.session_file import BadFile, load_session, recover_session, save_session
from render.worker import RenderWorker
from viz import files
from viz.app import Waker
from viz.application import App
from viz.ending import ends_between_frames
from viz.first_start import first_plans
from viz.opening import Plan, plans_of_session
from viz.shortcuts import toggle_animation

LOG = logging.getLogger(__name__)
AUTOSAVE_SECONDS = 30.0
PATIENCE_SECONDS = 600.0
"""How long a headless window waits for its picture."""
SOFTWARE_PAUSE_SECONDS = 0.05
"""Between two frames of a window that the processor draws, while it also computes a picture."""
SETTLING_FRAMES = 3
"""imgui shows the full effect of a change so many frames later."""


@dataclass(frozen=True, slots=True)
class WindowWish:
    """What `run_window` was asked for."""

    path: str | None
    second: str | None
    headless: bool
    screenshot: Path | None
    size: tuple[int, int]
    scale: float | None
    session: Path | None
    frames: int | None
    timings: bool
    on_no_display: Callable[[str], int] | None


def open_and_run(wish: WindowWish, worker: RenderWorker, waker: Waker) -> int:
    """Open the window, run it, close it; returns the exit code."""
    folder = files.config_folder() if not wish.headless and wish.frames is None else None
    ini = folder / files.LAYOUT_FILE if folder else None
    try:
        window = open_window('AliasScope', wish.size, headless=wish.headless, scale=wish.scale, ini_path=ini)
    except NoDisplay as error:
        worker.close(0.0)  # torch may still be on its way
        return _fail(str(error)) if wish.on_no_display is None else wish.on_no_display(str(error))
    waker.wake = window.wake
    with window:
        try:
            frames = wish.frames or (1 if wish.headless else None)
            start = _Start(wish.path, wish.second, wish.session, folder)
            return _run(window, worker, start, wish.screenshot, frames, _Timings(wish.timings))
        except GraphicsLost as error:
            return _fail(str(error))
        finally:
            waker.wake = None


@dataclass(frozen=True, slots=True)
class _Start:
    """What the window begins with."""

    path: str | None
    second: str | None
    """A generator beside it."""
    session: Path | None
    folder: Path | None
    """Where the session is kept between two starts; None: nowhere."""

    @property
    def paths(self) -> tuple[str, ...]:
        """What is to be opened."""
        return tuple(path for path in (self.path, self.second) if path is not None)

    @property
    def restores(self) -> bool:
        """Whether the session of the last time is wanted."""
        return self.folder is not None and self.path is None and self.session is None


class _Timings:
    """Prints when something happened for the first time, as JSON lines with the clock's time."""

    def __init__(self, wanted: bool) -> None:
        self._missing = {'window', 'first_picture'} if wanted else set()

    def note(self, app: App) -> None:
        """Look what the frame that was just drawn showed."""
        if not self._missing:
            return
        shown = {'window'} if app.view.a.result is None else {'window', 'first_picture'}
        for event in sorted(shown & self._missing, reverse=True):
            print(json.dumps({'event': event, 'time': time.time()}), flush=True)
        self._missing -= shown


def _run(
    window: Window,
    worker: RenderWorker,
    start: _Start,
    screenshot: Path | None,
    frames: int | None,
    timings: _Timings,
) -> int:
    textures = TexturePool(upload=interop.upload)
    app = _make_app(window, worker, start, textures)

    def end() -> None:
        app.quit = True

    try:
        with ends_between_frames(end):
            if frames is None and screenshot is None:
                _loop(app, start.folder, timings)
                return 0
            return _draw_frames(app, frames or 1, screenshot, timings)
    finally:
        app.close()
        textures.close()


def _make_app(window: Window, worker: RenderWorker, start: _Start, textures: TexturePool) -> App:
    """The application with what it opens first under way."""
    last, remarks = recover_session(start.folder / files.SESSION_FILE) if start.folder else (Session(), ())
    kept = Session(window=last.window, recent=last.recent, capture=last.capture)
    app = App(window, worker, kept, textures)
    for remark in remarks:
        app.say(remark, 'warning')
    if start.session is not None:
        _open_session(app, start.session, start.path, start.second)
    elif start.path is not None:
        app.open(*start.paths, allow_code=True)
    elif start.restores and last.a.model is not None:
        app.begin(plans_of_session(last))
    else:
        app.begin(first_plans())
    return app


def _open_session(app: App, file: Path, path: str | None, second: str | None) -> None:
    """Open a session, with other generators than its own if paths name some."""
    if path is None:
        app.open(str(file))
        return
    try:
        target, remarks = load_session(file)
    except BadFile as error:
        app.complain(str(error))
        return
    for remark in remarks:
        app.say(remark, 'warning')
    network = target.a.model.network if target.a.model else 'G_ema'
    beside = target.b if second is not None else None
    target = replace(target, a=replace(target.a, model=None), b=beside, active=target.active if beside else 'a')
    first = Plan(path, 'a', network, target, allow_code=True)
    app.begin((first,) if second is None else (first, Plan(second, 'b', allow_code=True, beside=True)))


def _loop(app: App, folder: Path | None, timings: _Timings) -> None:
    """Frames until the window closes; the session is kept now and then, and at the end."""
    keeper = _Keeper(app, folder)
    while not (app.quit or app.window.should_close()):
        with app.window.frame(app.wait_seconds, pause_seconds=pause_seconds(app)) as frame:
            app.draw(frame)
        timings.note(app)
        keeper.keep(time.monotonic())
    keeper.keep(None)


def pause_seconds(app: App) -> float:
    """How long the window shall rest before its next frame unless a picture arrives.

    OpenGL on the processor takes it from the generator: while a picture is under way, the window is drawn when it comes, and a few
    times a second.
    """
    pictures_due = any(app.worker.is_busy(name) for name in compare.PICTURES)
    return SOFTWARE_PAUSE_SECONDS if pictures_due and draws_in_software(app.view.graphics) else 0.0


class _Keeper:
    """Writes the session into the user's folder when it changed, at most every `AUTOSAVE_SECONDS`."""

    def __init__(self, app: App, folder: Path | None) -> None:
        self._app, self._folder = app, folder
        self._kept, self._at = app.session, time.monotonic()

    def keep(self, now: float | None) -> None:
        """Write if it is time; `now` None: it is."""
        session = self._app.session
        if self._folder is None or session is self._kept or session.a.model is None:
            return
        if now is not None and now - self._at < AUTOSAVE_SECONDS:
            return
        self._kept, self._at = session, time.monotonic()
        try:
            save_session(self._folder / files.SESSION_FILE, session)
        except BadFile as error:
            LOG.warning('%s', error)
            self._app.say(str(error), 'warning')


def _draw_frames(app: App, count: int, screenshot: Path | None, timings: _Timings) -> int:
    """Draw `count` frames and as many more as the picture needs, and save the window; returns the exit code."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    drawn = 0
    while drawn < count or not app.is_current:
        if time.monotonic() > deadline:
            return _fail(f'The picture was not there after {PATIENCE_SECONDS:.0f} seconds: try a smaller model.')
        if app.quit:
            return 0
        if drawn >= count and is_animating(app.session):
            app.session = toggle_animation(app.session)  # what moves is never current
        with app.window.frame(None if drawn < count else app.wait_seconds) as frame:
            app.draw(frame)
        timings.note(app)
        drawn += 1
    app.hold_still()
    for _ in range(SETTLING_FRAMES):
        with app.window.frame() as frame:
            app.draw(frame)
    problem = app.view.complaint or next((side.error for side in (app.view.a, app.view.b) if side.error), None)
    if screenshot is not None:
        try:
            save_png(screenshot, app.window.pixels(), shared_text(app.session))
        except BadFile as error:
            return _fail(str(error))
    return _fail(problem) if problem else 0


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1

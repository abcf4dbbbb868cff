"""Pictures a second in the running window, all of it: panels, spectrum, upload, OpenGL in software where there is no other.

    python -m benchmarks.window [--family T R] [--size 128 256] [--channel-base 2048 4096] [--path PATH …] [--seconds N] [--screen] [--json]

Each generator (random weights, saved and opened as a file; sizes and C_base in pairs) is moved by its 'translate' animation, as with the key;
frames of the window and pictures that arrived are counted. Without `--screen` the window is headless and draws through EGL; with it, on $DISPLAY, where
`xvfb-run -s '-screen 0 1280x800x24'` provides one. `OMP_NUM_THREADS` and `taskset` limit it as usual.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import tyro

from benchmarks.frame_time import make_generator
from benchmarks.inputs import run_checked
from gui_utils.dialogs import FileDialog
from gui_utils.texture import TexturePool
from gui_utils.window import Window, open_window
from networks.checkpoint import Checkpoint, save_checkpoint
from render.session import Session
from render.worker import RenderWorker, make_renderer
from viz.application import App
from viz.running import pause_seconds

WARM_UP_SECONDS = 2.0
OPENING_SECONDS = 120.0


@dataclass(frozen=True)
class Options:
    family: tuple[Literal['T', 'R'], ...] = ('T',)
    """StyleGAN3-T, StyleGAN3-R."""
    size: tuple[int, ...] = (128, 256)
    """Pixels along a side."""
    channel_base: tuple[int, ...] = (2048, 4096)
    """C_base of T for each of the sizes; R has twice as many channels, as published."""
    path: tuple[str, ...] = ()
    """Models to be opened too."""
    window: tuple[int, int] = (1280, 800)
    """Its size in pixels."""
    seconds: float = 6.0
    """How long each is watched, after two seconds of warming up."""
    screen: bool = False
    """On $DISPLAY instead of headless."""
    motion: Literal['translate', 'rotate'] = 'translate'
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class Row:
    """One model in the window."""

    model: str
    pictures_per_second: float
    frames_per_second: float
    """Of the window."""
    slowest_frame_ms: float
    opengl: str


@dataclass
class Rig:
    """The application as it runs."""

    window: Window
    app: App
    worker: RenderWorker

    def frame(self) -> None:
        """One turn of the window's loop."""
        with self.window.frame(self.app.wait_seconds, pause_seconds=pause_seconds(self.app)) as frame:
            self.app.draw(frame)

    def open(self, path: str, motion: Literal['translate', 'rotate']) -> None:
        """Open a model and let it move. Raises `SystemExit` where that fails."""
        self._move('none')
        self.app.open(path)
        deadline = time.perf_counter() + OPENING_SECONDS
        self.frame()
        while not self.app.is_current:
            self.frame()
            if self.app.view.complaint or time.perf_counter() > deadline:
                raise SystemExit(self.app.view.complaint or f'{path} could not be opened in {OPENING_SECONDS:.0f} s')
            self.worker.wait(0.05)
        self._move(motion)

    def _move(self, motion: Literal['none', 'translate', 'rotate']) -> None:
        session = self.app.session
        transform = replace(session.a.transform, animate=motion)
        self.app.session = replace(session, a=replace(session.a, transform=transform))

    def watch(self, seconds: float) -> tuple[int, list[float]]:
        """Pictures that arrived in so many seconds, and the seconds of each frame."""
        pictures, frames, seen = 0, [], self.app.view.side('a').result
        now = start = time.perf_counter()
        while now - start < seconds:
            self.frame()
            result = self.app.view.side('a').result
            pictures, seen = pictures + (result is not seen), result
            before, now = now, time.perf_counter()
            frames.append(now - before)
        return pictures, frames


@contextmanager
def running(options: Options) -> Iterator[Rig]:
    """The application in a window, with a worker of its own."""
    with ExitStack() as stack:
        window = stack.enter_context(open_window('AliasScope', options.window, headless=not options.screen, scale=1))
        renderer = partial(make_renderer, 'cpu', wait_for_kernels=True)
        textures, worker = TexturePool(), RenderWorker(renderer, on_result=window.wake)
        app = App(window, worker, Session(), textures, dialog=FileDialog(use_system=False))
        for undo in (textures.close, app.close, worker.close):
            stack.callback(undo)
        yield Rig(window, app, worker)


def models(options: Options, folder: Path) -> Iterator[tuple[str, str]]:
    """(name, path) of each model; random ones are written when they are asked for."""
    for family in options.family:
        for size, channel_base in zip(options.size, options.channel_base, strict=True):
            path = folder / f'{family}-{size}-{channel_base}.safetensors'
            write_model(path, family, size, channel_base)
            yield f'{family}-{size} {channel_base}/{channel_base // 64}', str(path)
    yield from ((path, path) for path in options.path)


def write_model(path: Path, family: str, size: int, channel_base: int) -> None:
    """A file with the generator of `benchmarks.frame_time`."""
    wide = 1 if family == 'T' else 2
    config: dict[str, object] = {'z_dim': 512, 'c_dim': 0, 'w_dim': 512, 'img_resolution': size, 'img_channels': 3}
    config |= {'channel_base': wide * channel_base, 'channel_max': wide * channel_base // 64}
    if family == 'R':
        config |= {'conv_kernel': 1, 'use_radial_filters': True}
    generator = make_generator(family, size, channel_base, channel_base // 64)
    save_checkpoint(path, Checkpoint('stylegan3', config, generator.state_dict(), '', path.name))


def measure(options: Options) -> Iterator[Row]:
    """A row for each model."""
    with tempfile.TemporaryDirectory() as name, running(options) as rig:
        for model, path in models(options, Path(name)):
            rig.open(path, options.motion)
            rig.watch(WARM_UP_SECONDS)
            pictures, frames = rig.watch(options.seconds)
            total = sum(frames)
            opengl = rig.window.gl_info().get('renderer', '')
            yield Row(model, pictures / total, len(frames) / total, 1000 * max(frames), opengl)


def main(options: Options) -> None:
    if len(options.size) != len(options.channel_base):
        raise SystemExit('--size and --channel-base go in pairs; give as many of the one as of the other.')
    rows = list(measure(options))
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(f'{"model":24}{"pictures/s":>12}{"frames/s":>10}{"slowest frame ms":>18}  OpenGL')
    for row in rows:
        print(
            f'{row.model:24}{row.pictures_per_second:12.1f}{row.frames_per_second:10.1f}'
            f'{row.slowest_frame_ms:18.0f}  {row.opengl}'
        )


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

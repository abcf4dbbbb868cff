"""Does the window leak? Models opened in turn, then random events; memory after warm-up against memory at the end.

python -m benchmarks.soak [--swaps N] [--events N] [--seed S] [--json]

Exit code 1 if memory grew by more than 5 %. `--fake` runs no network, so that only the window is looked at.
"""

import contextlib
import gc
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from imgui_bundle import imgui

from benchmarks.inputs import run_checked
from gui_utils.dialogs import FileDialog
from gui_utils.texture import TexturePool, count_textures
from gui_utils.window import Window, open_window
from render.session import Session
from render.worker import Rendering, RenderWorker, make_renderer
from viz.application import App
from viz.measure import process_bytes

GROWTH_LIMIT = 0.05
WARM_UP = 0.2
"""Part of each phase that may still grow: caches fill, libraries load."""
SAMPLES = 20
SIZE = (1100, 760)
KEYS = (
    *'abcdefghijklmnopqrstuvwxyz', '_0', '_1', '_5', '_9', 'space', 'enter', 'escape', 'tab', 'backspace', 'f1', 'minus',
    'equal', 'period', 'comma', 'left_bracket', 'right_bracket', 'left_arrow', 'right_arrow', 'up_arrow', 'down_arrow',
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    swaps: int = 2000
    """How often another model is opened."""
    events: int = 10_000
    """How many random events follow."""
    seed: int = 0
    """Of the events: the same seed repeats them."""
    fake: bool = False
    """Without networks."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass
class Rig:
    """An application in a headless window, in a folder of its own."""

    window: Window
    app: App
    worker: RenderWorker

    def frame(self) -> None:
        """Draw one frame."""
        with self.window.frame() as frame:
            self.app.draw(frame)

    def settle(self) -> None:
        """Draw until the picture is current."""
        for _ in range(2000):
            self.frame()
            if self.app.is_current:
                return
            self.worker.wait(1.0)
        raise RuntimeError('The picture never becomes current.')


@contextlib.contextmanager
def make_rig(options: Options) -> Iterator[tuple[Rig, list[str]]]:
    """The application, and the models that it opens in turn."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        before = Path.cwd()
        paths = model_paths(folder, fake=options.fake)
        os.chdir(folder)  # whatever folder a random event names is below it
        stack.callback(os.chdir, before)
        window = stack.enter_context(open_window('Soak', SIZE, headless=True))
        textures = TexturePool()
        worker = RenderWorker(make_fake if options.fake else partial(make_renderer, 'cpu'))
        app = App(window, worker, Session(), textures, dialog=FileDialog(use_system=False))
        for undo in (textures.close, app.close, worker.close):
            stack.callback(undo)
        yield Rig(window, app, worker), paths


def model_paths(folder: Path, *, fake: bool) -> list[str]:
    """The demo and a copy of it, which is another model to the program; and a file that cannot be opened."""
    bad = folder / 'bad.pkl'
    bad.write_bytes(b'not a model')
    if fake:
        return ['demo:', 'other', str(bad)]
    from networks.sources import resolve

    copy = folder / 'copy.safetensors'
    shutil.copy(resolve('demo:'), copy)
    return ['demo:', str(copy), str(bad)]


def make_fake() -> Rendering:
    """The renderer without a network."""
    from tests.viz.fake_renderer import FakeRenderer, make_info, make_layers

    return FakeRenderer({'demo:': make_info(), 'other': make_info(title='Other', layers=make_layers(6), class_count=0)})


def swap_models(rig: Rig, paths: list[str], count: int) -> list[dict[str, float]]:
    """Open models in turn, every third of them a broken one; returns samples of what is in use."""
    return phase(rig, count, lambda index: (rig.app.open(paths[index % len(paths)]), rig.settle()))


def play_events(rig: Rig, count: int, seed: int) -> list[dict[str, float]]:
    """Random events, one a frame; returns samples of what is in use."""
    rig.app.open('demo:')
    rig.settle()
    chance = random.Random(seed)
    return phase(rig, count, lambda index: (random_event(rig, chance), rig.frame()))


def phase(rig: Rig, count: int, step: Callable[[int], object]) -> list[dict[str, float]]:
    """Run `step` for 0 … `count` - 1; returns samples taken after the warm-up."""
    samples = []
    warm, stride = int(WARM_UP * count), max(int((1 - WARM_UP) * count / SAMPLES), 1)
    for index in range(count):
        step(index)
        if index + 1 >= warm and (index + 1 - warm) % stride == 0:
            rig.window.resize(SIZE)  # a larger window holds more
            rig.frame()
            gc.collect()
            samples.append({'step': index + 1, 'mib': process_bytes() / 2**20, 'textures': count_textures()})
    return samples


def random_event(rig: Rig, chance: random.Random) -> None:
    """One thing that a user, or a cat, may do."""
    io, kind = imgui.get_io(), chance.random()
    width, height = rig.window.size
    if kind < 0.45:
        io.add_mouse_pos_event(chance.uniform(0, width), chance.uniform(0, height))
    elif kind < 0.70:
        io.add_mouse_button_event(chance.choice((0, 0, 0, 0, 1, 2)), chance.random() < 0.5)
    elif kind < 0.75:
        io.add_mouse_wheel_event(0.0, chance.choice((-1.0, 1.0)))
    elif kind < 0.90:
        key = getattr(imgui.Key, chance.choice(KEYS))
        io.add_key_event(key, chance.random() < 0.5)
    elif kind < 0.94:
        io.add_key_event(chance.choice((imgui.Key.mod_ctrl, imgui.Key.mod_shift)), chance.random() < 0.4)
    elif kind < 0.98:
        io.add_input_characters_utf8(chance.choice('0123456789-eé漢'))
    elif kind < 0.99:
        rig.window.resize((chance.randrange(300, 1400), chance.randrange(200, 1000)))
    else:
        rig.window.drop_files([chance.choice(('demo:', 'missing.pkl', 'photo.jpg', 'bad.pkl'))])


def growth(samples: list[dict[str, float]]) -> float:
    """How much more memory the last quarter of the samples shows than the first, as a share."""
    quarter = max(len(samples) // 4, 1)
    first = min(sample['mib'] for sample in samples[:quarter])
    last = min(sample['mib'] for sample in samples[-quarter:])
    return last / first - 1


def soak(options: Options) -> dict[str, dict[str, float]]:
    """Run both phases; returns per phase: steps, seconds, MiB at the end, growth, textures more than after warm-up."""
    rows = {}
    with make_rig(options) as (rig, paths):
        phases = (
            ('model swaps', options.swaps, lambda: swap_models(rig, paths, options.swaps)),
            ('random events', options.events, lambda: play_events(rig, options.events, options.seed)),
        )
        for name, count, run in phases:
            started = time.perf_counter()
            samples = run() if count else []
            if samples:
                rows[name] = {
                    'steps': count,
                    'seconds': time.perf_counter() - started,
                    'mib': samples[-1]['mib'],
                    'growth': growth(samples),
                    'more_textures': samples[-1]['textures'] - samples[0]['textures'],
                }
    return rows


def main(options: Options) -> int:
    logging.disable()  # every third model is a broken one
    rows = soak(options)
    failed = any(row['growth'] > GROWTH_LIMIT for row in rows.values())
    if options.json:
        print(json.dumps({'limit': GROWTH_LIMIT, 'rows': rows}, indent=2))
        return int(failed)
    print(f'{"":16}{"steps":>8}{"seconds":>9}{"MiB":>8}{"growth":>9}{"textures":>10}')
    for name, row in rows.items():
        print(
            f'{name:16}{row["steps"]:8.0f}{row["seconds"]:9.0f}{row["mib"]:8.0f}{row["growth"]:8.1%}'
            f'{row["more_textures"]:+10.0f}'
        )
    print(f'Memory may grow by {GROWTH_LIMIT:.0%}: {"it grew by more" if failed else "kept"}.')
    return int(failed)


if __name__ == '__main__':
    sys.exit(run_checked(main, tyro.cli(Options, description=__doc__)))

"""What measuring costs while a picture is dragged: frames a second with the meter, and with the map, against none.

    python -m benchmarks.meter [--path PATH] [--family T R] [--size 64 256] [--motion shift turn] [--rounds N] [--json]

Each round renders the same drag three times in turn: without, with the meter, with meter and map; ratios compare times of one round,
so they hold on a busy machine too. "kept" is the share of the frame rate that is left, its range in brackets. Without a path: the
bundled demo, and generators with random weights, C_base 4096 as `benchmarks.frame_time` has them.
"""

import json
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

import torch
import tyro

from analysis.picture_error import UP
from analysis.turn_kernels import turn_lowpass
from benchmarks.frame_time import make_generator
from benchmarks.inputs import run_checked
from networks.adapters.wrap import wrap
from ops.fast_cpu import library
from render.models import ModelStore, choose_device
from render.renderer import Renderer
from render.request import Affine, ModelKey, RenderRequest, SpectrumSpec, SynthesisSpec, ViewSpec

TURN_STEP = 0.013
"""Radians a picture: about 45 degrees a second at 60 pictures."""
Motion = Literal['shift', 'turn']
LEAST_KEPT = 0.7
"""The budget: meters cost at most 30 % of the frame rate."""
CHANNEL_BASE = 4096
PLAIN = ViewSpec(spectrum=SpectrumSpec())
"""As in the window: the spectrum is on."""
VIEWS = (PLAIN, replace(PLAIN, meter=True), replace(PLAIN, meter=True, error_map=True))


@dataclass(frozen=True)
class Options:
    path: tuple[str, ...] = ('demo:',)
    """Generators from files."""
    family: tuple[Literal['T', 'R'], ...] = ('T', 'R')
    """StyleGAN3-T, StyleGAN3-R with random weights."""
    size: tuple[int, ...] = (64, 256)
    """Pixels along a side, of these."""
    motion: tuple[Motion, ...] = ('shift', 'turn')
    frames: int = 6
    """Of one drag."""
    rounds: int = 5
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'
    threads: int = 2
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class Row:
    """One generator, dragged in one way."""

    generator: str
    motion: Motion
    plain_ms: float
    meter_ms: float
    map_ms: float
    meter_kept: float
    """Share of the frame rate that is left with the meter: median of the rounds."""
    meter_kept_low: float
    meter_kept_high: float
    map_kept: float
    map_kept_low: float
    map_kept_high: float


def transforms(motion: Motion, frames: int, start: int) -> list[Affine]:
    """Positions of a drag, none of them twice. Shifts are never by whole pixels: that would be cheaper."""
    found: list[Affine] = []
    for index in range(start, start + frames):
        if motion == 'shift':
            found.append((1.0, 0.0, 0.1 * math.sin(index) + 1e-4, 0.0, 1.0, 0.07 * math.cos(index)))
        else:
            cos, sin = math.cos(TURN_STEP * index), math.sin(TURN_STEP * index)
            found.append((cos, sin, 0.0, -sin, cos, 0.0))
    return found


def drag_ms(renderer: Renderer, key: ModelKey, places: list[Affine], view: ViewSpec) -> float:
    """Mean time of a picture."""
    start = time.perf_counter()
    for place in places:
        renderer.render(RenderRequest(key, synthesis=SynthesisSpec(transform=place), view=view))
    return 1000 * (time.perf_counter() - start) / len(places)


def measure(renderer: Renderer, key: ModelKey, name: str, motion: Motion, options: Options) -> Row:
    """All numbers of one generator and motion."""
    times: list[list[float]] = []
    for degrees in range(91):  # as after a first turn, whose pictures take about 3 ms a degree longer
        for up in (1, UP):
            turn_lowpass(math.radians(degrees), up=up)
    for view in VIEWS:  # kernels, caches, and the reference
        drag_ms(renderer, key, transforms(motion, 2, -10), view)
    for number in range(options.rounds):
        # Of each view other places, or the memory of the renderer would answer.
        first = 1000 * number
        times.append([
            drag_ms(renderer, key, transforms(motion, options.frames, first + 100 * index), view)
            for index, view in enumerate(VIEWS)
        ])  # fmt: skip
    plain, meter, shown = (statistics.median(column) for column in zip(*times, strict=True))
    kept = [[row[0] / row[index] for row in times] for index in (1, 2)]
    spans = [value for one in kept for value in (statistics.median(one), min(one), max(one))]
    return Row(name, motion, plain, meter, shown, *spans)


def generators(store: ModelStore, options: Options) -> Iterator[tuple[ModelKey, str]]:
    """What is dragged, one after the other."""
    for path in options.path:
        key, info = store.open(path)
        yield key, f'{info.title} ({path})'
    for family in options.family:
        for size in options.size:
            module = make_generator(family, size, CHANNEL_BASE, CHANNEL_BASE // 64).to(store.device)
            key = ModelKey(f'benchmark:{family}-{size}', 'random weights')
            store.put(key, wrap(module))
            yield key, f'{family}-{size} random weights'


def line(row: Row) -> str:
    """A row of the table as text."""
    times = f'{row.plain_ms:9.1f}{row.meter_ms:9.1f}{row.map_ms:9.1f}'
    meter = f'{100 * row.meter_kept:5.0f} % [{100 * row.meter_kept_low:.0f}-{100 * row.meter_kept_high:.0f}]'
    shown = f'{100 * row.map_kept:5.0f} % [{100 * row.map_kept_low:.0f}-{100 * row.map_kept_high:.0f}]'
    return f'{row.generator:<30}{row.motion:<7}{times}  {meter:<20}{shown}'


def main(options: Options) -> None:
    """Print the table; the exit code says whether the budget is kept."""
    torch.set_num_threads(options.threads)
    renderer, rows = Renderer(ModelStore(choose_device(options.device))), []
    if not options.json:
        print(f'{"generator":<30}{"drag":<7}{"ms":>9}{"meter":>9}{"map":>9}  {"meter: kept":<20}map: kept')
    for key, name in generators(renderer.models, options):
        for motion in options.motion:
            rows.append(measure(renderer, key, name, motion, options))
            if not options.json:
                print(line(rows[-1]), flush=True)
    least = min(min(row.meter_kept, row.map_kept) for row in rows)
    if options.json:
        print(json.dumps({'rows': [asdict(row) for row in rows], 'least_kept': least}, indent=1))
    else:
        print(
            f'least share of the frame rate that is kept: {100 * least:.0f} % (budget: {100 * LEAST_KEPT:.0f} %); {library.status()}'
        )
    raise SystemExit(0 if least >= LEAST_KEPT else 1)


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

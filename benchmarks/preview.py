"""What a hand sees that is faster than the network: exact parts of the picture against the whole one, in turns.

    python -m benchmarks.preview [--path PATH | --untrained T-1024] [--sides 512 256 128] [--rounds N] [--markdown]

Every picture is moved a little further, as in a drag, and rendered whole and in part by the renderer of the window, with nothing
measured. Gain: whole to part in the same round, median, lowest and highest; 'counted': by the work of the layers, what the
window predicts with. Error: largest difference to that cut of the whole picture, relative to the largest value; and its PSNR.
"""

import math
import statistics
from dataclasses import dataclass

import numpy as np
import torch
import tyro

from benchmarks.frame_time import make_generator
from benchmarks.inputs import run_checked
from networks.adapters.base import Inspectable
from networks.adapters.wrap import wrap
from networks.sources import open_model
from render.models import ModelStore
from render.renderer import Renderer
from render.request import ModelKey, Part, RenderRequest, SynthesisSpec
from render.result import RenderResult

HEADINGS = ('part', 'ms', 'pictures/s', 'gain', 'lowest–highest', 'counted', 'error', 'PSNR')
STEP = 0.0037
"""Image widths between two pictures."""
_KEY = ModelKey('benchmark', '')


@dataclass(frozen=True)
class Options:
    path: str = ''
    """Which generator; empty: an untrained one."""
    untrained: str = 'T-256'
    """Family (T, R or SG2) and side of a generator with random weights."""
    channel_base: int = 32768
    """C_base of that one; R has twice as many channels, as published."""
    sides: tuple[int, ...] = ()
    """Of the parts, in pixels; empty: a half, a quarter and an eighth of the picture."""
    rounds: int = 5
    """How often all are timed, in turns."""
    markdown: bool = False
    """Print the table as Markdown."""


@dataclass(frozen=True)
class Row:
    """Parts of one side."""

    name: str
    milliseconds: float
    gains: tuple[float, ...] = ()
    counted: float = 1.0
    error: float = 0.0
    decibels: float = math.inf

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        span = f'{min(self.gains):.1f}–{max(self.gains):.1f}' if self.gains else ''
        gain = f'{statistics.median(self.gains):.1f}' if self.gains else ''
        times = f'{self.milliseconds:.0f}', f'{1000 / self.milliseconds:.1f}'
        if not self.gains:
            return (self.name, *times, '', '', '', '', '')
        return (self.name, *times, gain, span, f'{self.counted:.1f}', f'{self.error:.1e}', f'{self.decibels:.0f} dB')


def opened(options: Options) -> Inspectable:
    """The generator that is asked for."""
    if options.path:
        return open_model(options.path, torch.device('cpu'))
    family, _, side = options.untrained.partition('-')
    return wrap(make_generator(family, int(side), options.channel_base, options.channel_base // 64))


def request_at(round_number: int, part: Part | None = None) -> RenderRequest:
    """A picture of a drag."""
    return RenderRequest(_KEY, synthesis=SynthesisSpec(transform=(1, 0, STEP * round_number, 0, 1, 0), part=part))


def compared(whole: RenderResult, part: RenderResult) -> tuple[float, float]:
    """(Largest error relative to the largest value, PSNR in dB) of a part."""
    place = part.part
    assert place is not None and whole.values is not None and part.values is not None
    cut = whole.values[:, place.top : place.top + place.height, place.left : place.left + place.width]
    difference = (part.values - cut).astype(np.float64)
    square = float((difference**2).mean())
    decibels = 10 * math.log10(4 / square) if square else math.inf
    return float(np.abs(difference).max() / np.abs(whole.values).max()), decibels


def measure(options: Options) -> tuple[str, list[Row]]:
    """Title of the generator, and a row for the whole picture and for each part."""
    adapter, store = opened(options), ModelStore('cpu')
    store.put(_KEY, adapter)
    renderer, resolution = Renderer(store), adapter.info.resolution
    if (reason := adapter.why_no_parts()) is not None:
        raise SystemExit(reason)
    sides = options.sides or tuple(resolution // fraction for fraction in (2, 4, 8))
    parts = [Part((resolution - side) // 2, (resolution - side) // 2, side, side) for side in sides]
    times: list[list[float]] = [[] for _ in (None, *parts)]
    errors: list[tuple[float, float]] = []
    for number in range(-1, options.rounds):
        results = [renderer.render(request_at(number, part)) for part in (None, *parts)]
        if number < 0:  # compiles and warms up
            errors = [compared(results[0], result) for result in results[1:]]
            continue
        for known, result in zip(times, results, strict=True):
            known.append(result.seconds)
    rows = [Row('whole', 1000 * statistics.median(times[0]))]
    for part, known, error in zip(parts, times[1:], errors, strict=True):
        gains = tuple(whole / one for whole, one in zip(times[0], known, strict=True))
        counted = adapter.part((part.left, part.left + part.width), (part.top, part.top + part.height))[1]
        rows.append(Row(f'{part.width} px', 1000 * statistics.median(known), gains, counted, *error))
    return adapter.info.title, rows


def main(options: Options) -> None:
    title, rows = measure(options)
    print(f'{title}, {torch.get_num_threads()} threads, {options.rounds} rounds')
    lines = [HEADINGS, *(row.cells() for row in rows)]
    if options.markdown:
        lines.insert(1, ('---',) + ('---:',) * (len(HEADINGS) - 1))
        print('\n'.join('| ' + ' | '.join(line) + ' |' for line in lines))
        return
    print('\n'.join(''.join(f'{cell:>{9 if index == 0 else 15}}' for index, cell in enumerate(line)) for line in lines))


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

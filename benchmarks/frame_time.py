"""Whole generators on the CPU: milliseconds a picture, our kernels against two versions in plain torch.

python -m benchmarks.frame_time [--family T R SG2] [--size 64 128 256] [--channel-base 2048 4096] [--threads 1 2] [--rounds N] [--markdown | --json]

'reference' is the definition, step by step: zeros inserted, convolutions at the high rate, samples dropped, weights modulated
for each sample. 'torch' is our better version in plain torch, by strided convolutions. Random weights, batch 1, the synthesis
network alone; mapping costs the same in all. A round times reference and torch once each, then the kernels a few times, as in an
animation; each after pictures that are not counted. Ratios compare times of the same round.
Frames a second include the conversion to RGBA8. The error is the largest one, relative to the largest value, against the
reference in float64.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
import tyro
from torch import Tensor

from benchmarks.inputs import run_checked
from benchmarks.steady import warm_up
from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator
from ops.backend import BackendName, report, use_backend
from ops.fast_cpu import library
from ops.memory import keep_freed_memory
from render.views import to_rgba8

FRAMES_PER_ROUND = 5
"""Of the kernels."""
HEADINGS = (
    'network',
    'threads',
    'reference ms',
    'torch ms',
    'kernels ms',
    '× reference',
    '× torch',
    'frames/s',
    'error',
    'backend',
)


@dataclass(frozen=True)
class Options:
    family: tuple[Literal['T', 'R', 'SG2'], ...] = ('T', 'R')
    """StyleGAN3-T, StyleGAN3-R; SG2: StyleGAN2, configuration F (skip), constant noise."""
    size: tuple[int, ...] = (64, 128, 256)
    """Pixels along a side."""
    channel_base: tuple[int, ...] = (2048, 4096)
    """C_base of T; R has twice as many channels, as published. 16384 is the published one of 256 pixels: minutes."""
    channel_max: int = 0
    """C_max of T and SG2; 0 = C_base / 64."""
    threads: tuple[int, ...] = (1, 2)
    """Threads, for all backends."""
    rounds: int = 3
    """How often all are timed, in turn."""
    exact: bool = True
    """Also compute the error against float64, which takes as long as a few rounds."""
    keep_freed: bool = True
    """Keep freed memory for the next tensor, as the program does; without, as torch does by itself."""
    clock: Literal['wall', 'cpu'] = 'wall'
    """'cpu': processor time, for one thread on a machine that is busy with other things."""
    json: bool = False
    """Print JSON instead of a table."""
    markdown: bool = False
    """Print the table as Markdown, when it is complete."""


@dataclass(frozen=True)
class Row:
    """One network with one number of threads. Ranges: lowest, median, highest."""

    network: str
    threads: int
    backend: str
    """What the dispatch reports for the layers."""
    reference_ms: float
    torch_ms: float
    kernels_ms: tuple[float, float, float]
    ratio: tuple[float, float, float]
    """Reference to kernels."""
    torch_ratio: tuple[float, float, float]
    """Torch to kernels."""
    frames_per_second: float
    error: float | None


def make_generator(family: str, size: int, channel_base: int, channel_max: int) -> Generator | StyleGAN2:
    """A network with random weights, always the same."""
    if family not in ('T', 'R', 'SG2'):
        raise SystemExit(f'there is no family {family!r}; choose T, R or SG2')
    if family == 'SG2':
        torch.manual_seed(0)
        classic = StyleGAN2(512, 0, 512, size, 3, channel_base=channel_base, channel_max=channel_max)
        return classic.eval().requires_grad_(False)
    wide = 1 if family == 'T' else 2
    options: dict[str, Any] = {'channel_base': wide * channel_base, 'channel_max': wide * channel_max}
    if family == 'R':
        options |= {'conv_kernel': 1, 'use_radial_filters': True}
    torch.manual_seed(0)
    return Generator(512, 0, 512, size, 3, **options).eval().requires_grad_(False)


def milliseconds(
    call: Callable[[], Tensor], backend: BackendName | None = None, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Time of one call, by the default backend or the named one."""
    if backend is not None:
        with use_backend(backend):
            return milliseconds(call, clock=clock)
    start = clock()
    call()
    return 1000 * (clock() - start)


def measure(family: str, size: int, channel_base: int, options: Options) -> list[Row]:
    """All numbers of one network, a row for each number of threads."""
    channel_max = options.channel_max or channel_base // 64
    generator = make_generator(family, size, channel_base, channel_max)
    ws = generator.mapping(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)))
    fixed: dict[str, Any] = {'noise_mode': 'constant'} if isinstance(generator, StyleGAN2) else {}
    synthesis, error = generator.synthesis, None
    if options.exact:
        with use_backend('reference'):
            exact = synthesis.double()(ws.double(), **fixed)
        synthesis.float()
        error = float((synthesis(ws, **fixed) - exact).abs().max() / exact.abs().max())
    name = f'{family}-{size} {channel_base}/{channel_max}'
    return [_timed(lambda: synthesis(ws, **fixed), threads, options, name, error) for threads in options.threads]


def _timed(picture: Callable[[], Tensor], threads: int, options: Options, name: str, error: float | None) -> Row:
    torch.set_num_threads(threads)
    picture()  # compiles and warms up
    backend = report()['classic_layer' if name.startswith('SG2') else 'synthesis_layer']
    clock = time.perf_counter if options.clock == 'wall' else time.process_time
    reference, plain, kernels, shown = [], [], [], []
    for _ in range(options.rounds):
        reference.append(_next(picture, 'reference', 1, clock))
        plain.append(_next(picture, 'torch', 1, clock))
        kernels.append(_next(picture, None, FRAMES_PER_ROUND, clock))
        shown.append(_next(lambda: to_rgba8(picture()[0]), None, FRAMES_PER_ROUND, clock))
    return Row(
        name,
        threads,
        backend,
        statistics.median(reference),
        statistics.median(plain),
        _spread(kernels),
        _spread([slow / fast for slow, fast in zip(reference, kernels, strict=True)]),
        _spread([slow / fast for slow, fast in zip(plain, kernels, strict=True)]),
        1000 / statistics.median(shown),
        error,
    )


def _next(call: Callable[[], Tensor], backend: BackendName | None, times: int, clock: Callable[[], float]) -> float:
    """Time of one call, the median of several, after some that are not counted."""
    warm_up(lambda: milliseconds(call, backend))
    return statistics.median(milliseconds(call, backend, clock) for _ in range(times))


def _spread(values: list[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


def cells(row: Row) -> list[str]:
    """A row of the table as texts, in the order of `HEADINGS`."""

    def text(spread: tuple[float, float, float]) -> str:
        low, median, high = spread
        return f'{median:.1f} [{low:.1f}-{high:.1f}]'

    return [
        row.network,
        str(row.threads),
        f'{row.reference_ms:.0f}',
        f'{row.torch_ms:.0f}',
        text(row.kernels_ms),
        text(row.ratio),
        text(row.torch_ratio),
        f'{row.frames_per_second:.0f}',
        '-' if row.error is None else f'{row.error:.0e}',
        row.backend,
    ]


def _line(texts: list[str]) -> str:
    widths = (16, 8, 13, 10, 22, 20, 18, 9, 8, 0)
    return ''.join(f'{text:<{width}}' for text, width in zip(texts, widths, strict=True)).rstrip()


def means(rows: list[Row]) -> dict[int, dict[str, float]]:
    """Geometric means of the ratios, and the smallest one, for each number of threads."""
    found = {}
    for threads in sorted({row.threads for row in rows}):
        ratios = [row.ratio[1] for row in rows if row.threads == threads]
        plain = [row.torch_ratio[1] for row in rows if row.threads == threads]
        found[threads] = {
            'reference': statistics.geometric_mean(ratios),
            'smallest': min(ratios),
            'torch': statistics.geometric_mean(plain),
        }
    return found


def show(rows: list[Row], options: Options) -> None:
    """Print what `main` has not printed row by row."""
    summary = means(rows)
    if options.json:
        machine = {'cpu': platform.processor() or platform.machine(), 'torch': torch.__version__}
        print(json.dumps({'machine': machine, 'rows': [asdict(row) for row in rows], 'means': summary}, indent=1))
        return
    if options.markdown:
        print(f'| {" | ".join(HEADINGS)} |\n|{"---|" * len(HEADINGS)}')
        for row in rows:
            print(f'| {" | ".join(cells(row))} |')
        print()
    for threads, mean in summary.items():
        print(
            f'{threads} thread(s): geometric mean {mean["reference"]:.1f} × reference (smallest {mean["smallest"]:.1f}), '
            f'{mean["torch"]:.1f} × torch'
        )
    print(library.status())


def main(options: Options) -> None:
    """Print the table."""
    if options.keep_freed:
        keep_freed_memory()
    rows: list[Row] = []
    live = not (options.json or options.markdown)
    if live:
        print(f'{options.rounds} rounds, median [range]; network: C_base/C_max of T, R has twice as many channels')
        print(_line(list(HEADINGS)))
    with torch.inference_mode(), library.use_policy('wait'):
        for family in options.family:
            for size in options.size:
                for channel_base in options.channel_base:
                    new = measure(family, size, channel_base, options)
                    rows += new
                    if live:
                        print('\n'.join(_line(cells(row)) for row in new), flush=True)
    show(rows, options)


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

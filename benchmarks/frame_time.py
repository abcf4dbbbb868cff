"""Whole alias-free generators on the CPU: milliseconds a picture, the fast backend against the plain-torch reference.

python -m benchmarks.frame_time [--family T R] [--size 64 128 256] [--channel-base 2048 4096] [--threads 2] [--rounds N] [--json]

Random weights, batch 1, the synthesis network alone; mapping costs the same in both. A round times the reference once, then the fast
backend a few times, as in an animation; ratios compare times of the same round. Frames a second include the conversion to RGBA8. The
error is the largest one, relative to the largest value, against the reference in float64.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import tyro
from torch import Tensor

from networks.stylegan3 import Generator
from ops.backend import report, use_backend
from ops.fast_cpu import library
from render.views import to_rgba8

FRAMES_PER_ROUND = 5
"""Of the fast backend."""


@dataclass(frozen=True)
class Options:
    family: tuple[str, ...] = ('T', 'R')
    """StyleGAN3-T, StyleGAN3-R."""
    size: tuple[int, ...] = (64, 128, 256)
    """Pixels along a side."""
    channel_base: tuple[int, ...] = (2048, 4096)
    """C_base of T; R has twice as many channels, as published."""
    channel_max: int = 0
    """C_max of T; 0 = C_base / 64."""
    threads: int = 2
    """Threads of torch, for both backends."""
    rounds: int = 5
    """How often both are timed, in turn."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class Row:
    """One network."""

    network: str
    backend: str
    """What the dispatch reports for the layers."""
    reference_ms: float
    fast_ms: float
    fast_ms_low: float
    fast_ms_high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    frames_per_second: float
    error: float


def make_generator(family: str, size: int, channel_base: int, channel_max: int) -> Generator:
    """A network with random weights, always the same."""
    if family not in ('T', 'R'):
        raise SystemExit(f'there is no family {family!r}; choose T or R')
    wide = 1 if family == 'T' else 2
    options: dict[str, Any] = {'channel_base': wide * channel_base, 'channel_max': wide * channel_max}
    if family == 'R':
        options |= {'conv_kernel': 1, 'use_radial_filters': True}
    torch.manual_seed(0)
    return Generator(512, 0, 512, size, 3, **options).eval().requires_grad_(False)


def milliseconds(call: Callable[[], Tensor]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def measure(family: str, size: int, channel_base: int, options: Options) -> Row:
    """All numbers of one network."""
    channel_max = options.channel_max or channel_base // 64
    generator = make_generator(family, size, channel_base, channel_max)
    ws = generator.mapping(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)))
    synthesis = generator.synthesis
    with use_backend('reference'):
        exact = synthesis.double()(ws.double())
    synthesis.float()
    error = float((synthesis(ws) - exact).abs().max() / exact.abs().max())
    backend = report()['synthesis_layer']
    reference, fast, shown, ratios = [], [], [], []
    for _ in range(options.rounds):
        with use_backend('reference'):
            reference.append(milliseconds(lambda: synthesis(ws)))
        frames = [milliseconds(lambda: synthesis(ws)) for _ in range(FRAMES_PER_ROUND)]
        shown.append(statistics.median(milliseconds(lambda: to_rgba8(synthesis(ws)[0])) for _ in frames))
        fast.append(statistics.median(frames))
        ratios.append(reference[-1] / fast[-1])
    return Row(
        f'{family}-{size} {channel_base}/{channel_max}',
        backend,
        statistics.median(reference),
        statistics.median(fast),
        min(fast),
        max(fast),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        1000 / statistics.median(shown),
        error,
    )


def line(row: Row) -> str:
    """A row of the table as text."""
    fast = f'{row.fast_ms:.1f} [{row.fast_ms_low:.1f}-{row.fast_ms_high:.1f}]'
    ratio = f'{row.ratio:.1f} [{row.ratio_low:.1f}-{row.ratio_high:.1f}]'
    head = f'{row.network:<18}{row.backend:<10}{row.reference_ms:>10.1f}  {fast:<22}{ratio:<20}'
    return f'{head}{row.frames_per_second:>8.1f}{row.error:>10.1e}'


def main(options: Options) -> None:
    """Print the table."""
    torch.set_num_threads(options.threads)
    rows = []
    if not options.json:
        print(f'{options.threads} threads, {options.rounds} rounds; channels: C_base/C_max of T, R has twice as many')
        print(
            f'{"network":<18}{"backend":<10}{"reference":>10}  {"fast, ms":<22}{"times faster":<20}{"frames/s":>8}{"error":>10}'
        )
    with torch.inference_mode(), library.use_policy('wait'):
        for family in options.family:
            for size in options.size:
                for channel_base in options.channel_base:
                    rows.append(measure(family, size, channel_base, options))
                    if not options.json:
                        print(line(rows[-1]), flush=True)
    mean = statistics.geometric_mean(row.ratio for row in rows)
    if options.json:
        print(json.dumps({'rows': [asdict(row) for row in rows], 'geometric_mean': mean}, indent=1))
    else:
        print(f'geometric mean of the ratios: {mean:.1f}; {library.status()}')


if __name__ == '__main__':
    main(tyro.cli(Options, description=__doc__))

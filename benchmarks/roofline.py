"""What an operator must at least compute and move, counted, and what this machine can do at most, measured.

Counted is the work of the definition without its waste: no product with an inserted zero, nothing that is dropped, a radial filter
as its separable terms; input and output pass the memory once. A convolution counts as the direct one: Winograd's algorithm needs up to
four times less, so it can exceed the ceiling.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from networks.schedule import LayerRecord
from ops.fast_cpu.terms import separable_terms

_SIDE, _FLOATS = 1024, 2**25
"""Of the matrices multiplied, and copied: beyond every cache."""
_SECONDS = 0.4
"""For each ceiling."""


@dataclass(frozen=True)
class Work:
    """Of one call."""

    operations: float
    """Floating point; a multiplication and an addition are two."""
    bytes: float


@dataclass(frozen=True)
class Ceiling:
    """Of this machine with the present number of threads."""

    gflops: float
    """Product of two matrices by torch, float32, the best of a few."""
    copy_gbs: float
    """Read and written, the best of a few copies."""

    def fraction(self, work: Work, milliseconds: float) -> float:
        """Achieved part of what the machine could do in that time, by the tighter of the two limits."""
        least = max(work.operations / (1e9 * self.gflops), work.bytes / (1e9 * self.copy_gbs))
        return 1000 * least / milliseconds


def measure_ceiling(device: str = 'cpu', clock: Callable[[], float] = time.perf_counter) -> Ceiling:
    """Both ceilings, measured now."""
    a, b = (torch.randn(_SIDE, _SIDE, device=device) for _ in range(2))
    source = torch.randn(_FLOATS, device=device)
    target = torch.empty_like(source)
    product = _best(lambda: torch.mm(a, b), device, clock)
    copy = _best(lambda: target.copy_(source), device, clock)
    return Ceiling(2e-9 * _SIDE**3 / product, 2e-9 * 4 * _FLOATS / copy)


def filter_work(record: LayerRecord, batch: int = 1) -> Work:
    """The filtered leaky ReLU of a layer: upsampling along x, then y; four operations a sample; filtering down along x, then y."""
    side_in, side, channels = record.size_in + record.kernel - 1, record.size, record.channels * batch
    grid = (side - 1) * record.down_factor + record.down_taps
    reach = -(-record.up_taps // record.up_factor)
    radial = record.down_filter() if record.radial else None
    rank = 1 if radial is None else len(separable_terms(radial, flip=False, gain=1, precise=False)[0])
    up = 2 * reach * (side_in * grid + grid * grid)
    down = 2 * rank * record.down_taps * (grid * side + side * side)
    return Work(channels * (up + 4 * grid * grid + down), 4 * channels * (side_in**2 + side**2))


def convolution_work(channels: int, side: int, kernel: int) -> Work:
    """A convolution that keeps the number of channels, and pads by kernel - 1."""
    side_out = side + kernel - 1
    operations = 2 * channels**2 * kernel**2 * side_out**2
    return Work(operations, 4 * (channels * (side**2 + side_out**2) + channels**2 * kernel**2))


def resampling_work(channels: int, side: int, new_side: int, taps_up: int, taps_down: int) -> Work:
    """A separable step along x, then y, that multiplies so many samples for each of its own."""
    taps = taps_up * taps_down
    operations = 2 * taps * channels * (side * new_side + new_side**2)
    return Work(operations, 4 * channels * (side**2 + new_side**2))


def _best(call: Callable[[], object], device: str, clock: Callable[[], float]) -> float:
    """Seconds of the fastest call."""
    times: list[float] = []
    while sum(times) < _SECONDS or len(times) < 5:
        start = clock()
        call()
        if device == 'cuda':
            torch.cuda.synchronize()
        times.append(clock() - start)
    return min(times)

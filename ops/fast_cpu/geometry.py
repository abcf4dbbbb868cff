"""How a filtered leaky ReLU is laid out for its kernels: aligned grids, taps per phase, jobs."""

import numpy as np
import torch
from torch import Tensor

from ops.fast_cpu import library
from ops.fast_cpu.terms import Axis

_ROUNDING = 2e-7
_LOST = 1e-9
"""Part of a filter that may get lost when its terms are changed."""
_GROWTH = 1.5
"""How much larger than the filter its terms may be."""
_SEGMENT = 24
"""Rows that a job makes at least, where columns and channels are too few to share."""
_TWICE = 5
"""Rows of the result that a segment costs more, because it computes anew what its neighbours need too; measured."""
NARROWEST = 4
"""Channels that a kernel needs at least."""


def lanes_for(channels: int) -> int:
    """How many channels a vector of the kernels shall hold; 0 = too few for them."""
    if channels < NARROWEST:
        return 0
    if library.has_wide_vectors() and channels >= 16 and channels % 16 not in range(1, 9):
        return 16
    return 8 if channels >= 8 else 4


def align(line: Axis) -> tuple[int, int]:
    """The first input that the aligned grid needs, and where on that grid the padded signal starts.

    Position up * g + r, r = 1 … up, counted from the first sample of the signal, depends on the inputs from g + 1 on.
    """
    group = (-line.pad - 1) // line.up
    return group + 1, -line.pad - (line.up * group + 1)


def is_mirrored(taps: np.ndarray) -> bool:
    """Whether every row reads the same backwards."""
    return bool(np.abs(taps - taps[:, ::-1]).max() <= _ROUNDING * np.abs(taps).max())


def is_mirrored_in_phases(taps: np.ndarray) -> bool:
    """Whether the last phase is the first one backwards, and so on; [phases, reach]."""
    even = taps.shape[0] % 2 == taps.shape[1] % 2 == 0
    return even and bool(np.abs(taps - taps[::-1, ::-1]).max() <= _ROUNDING * np.abs(taps).max())


def fold(taps: np.ndarray) -> np.ndarray:
    """Factors of the sums, then of the differences, of samples that a phase and its mirror image multiply with the same taps."""
    half = taps.shape[1] // 2
    return (
        np.concatenate([taps + taps[:, ::-1], taps - taps[:, ::-1]], 1)[:, [*range(half), *range(2 * half, 3 * half)]]
        / 2
    )


def nest(taps_y: np.ndarray, taps_x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The same sum of as many terms, [rank, taps] each, of which each has two taps less than the one before; None where that is inexact.

    A quarter of the filter, Q = L D L' (Cholesky), counted from the middle: term k has no taps before number k, and along x
    that one is 1. `taps`: mirrored.
    """
    rank, taps = taps_y.shape
    half = taps // 2
    whole = taps_y.T @ taps_x
    quarter = whole[half:, half:]
    if taps % 2 or rank > half or np.abs(whole - whole.T).max() > _ROUNDING * np.abs(whole).max():
        return None
    rest, columns, factors = (quarter + quarter.T) / 2, np.zeros((rank, half)), np.zeros(rank)
    for term in range(rank):
        factors[term] = rest[term, term]
        if not factors[term]:
            return None
        columns[term, term:] = rest[term, term:] / factors[term]
        rest = rest - factors[term] * np.outer(columns[term], columns[term])
    inner = np.concatenate([columns[:, ::-1], columns], 1)
    outer = inner * factors[:, None]
    largest = np.abs(outer).T @ np.abs(inner)
    total = np.abs(whole).sum()
    if np.abs(rest).sum() > _LOST * total or largest.sum() > _GROWTH * total:
        return None
    return outer, inner


def phases(line: Axis, taps: bytes, reach: int) -> np.ndarray:
    """The taps that meet samples, [phase r = 1 … up, input g + 1 … g + reach]."""
    values = np.frombuffer(taps)
    index = line.up * (np.arange(reach)[None, :] + 1) - (np.arange(line.up)[:, None] + 1)
    return np.where(index < line.taps, values[np.minimum(index, line.taps - 1)], 0.0)


def share(size: int, most: int, multiple: int) -> tuple[int, int]:
    """How many parts of at most about `most`, and how long they are: a multiple of `multiple`."""
    parts = max(1, round(size / most))
    length = -(-size // parts)
    length = -(-length // multiple) * multiple
    return -(-size // length), length


def segment_rows(rows: int, others: int, threads: int) -> tuple[int, int]:
    """Segments of rows such that every thread finds two jobs or more, and none is left with much more than another."""
    if threads == 1:
        return 1, rows
    most = max(1, rows // _SEGMENT)
    least = min(most, -(-2 * threads // others))

    def longest(segments: int) -> int:
        """Rows that the busiest thread computes."""
        return -(-others * segments // threads) * (-(-rows // segments) + _TWICE)

    segments = min(range(least, min(most, 2 * least) + 1), key=longest)
    length = -(-rows // segments)
    return -(-rows // length), length


def tables(parts: list[np.ndarray]) -> tuple[Tensor, tuple[int, ...]]:
    """Arrays of taps one after the other, float32, and the address of each."""
    values = torch.from_numpy(np.concatenate([part.astype(np.float32).ravel() for part in parts]))
    starts = np.cumsum([0] + [part.size for part in parts[:-1]]) * values.element_size() + values.data_ptr()
    return values, tuple(int(start) for start in starts)

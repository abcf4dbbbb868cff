"""Filters as sums of separable terms, and the two axes of a resampling step.

A radial (jinc) filter is not separable, but its matrix has a low numerical rank: a few products of a column and a row
reproduce it to the rounding of float32 (singular value decomposition).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_SINGLE = 1e-6
_DOUBLE = 1e-14
"""Largest error of a result of a filter's terms, relative to the filter's largest possible result, in float32 and float64."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Geometry of a resampling step along one axis: y[o] = sum over i of taps[i * up + pad - o * down] * x[i]."""

    up: int
    down: int
    pad: int
    """Samples before the first one, at the upsampled rate; negative = cropped."""
    taps: int
    size_in: int
    size_out: int

    def transposed(self) -> 'Axis':
        """The adjoint step, whose taps are reversed."""
        return Axis(self.down, self.up, self.taps - 1 - self.pad, self.taps, self.size_out, self.size_in)

    def first_input(self, output: int) -> int:
        """Index of the first input that can reach `output`; may lie outside the signal."""
        return -((self.pad - output * self.down) // self.up)

    def last_input(self, output: int) -> int:
        """Index of the last input that can reach `output`; may lie outside the signal."""
        return (output * self.down + self.taps - 1 - self.pad) // self.up


@dataclass(frozen=True, slots=True, eq=False)
class Resampler:
    """A resampling step in two dimensions: the sum over `rank` terms of a step along y and a step along x.

    Compared by identity, because `resampler` returns the same object for the same arguments.
    """

    y: Axis
    x: Axis
    taps_y: tuple[bytes, ...]
    """One string of float64 per term, in the order in which `Axis` indexes them; bytes, because they are keys."""
    taps_x: tuple[bytes, ...]


def axis(size: int, *, up: int, down: int, pad: tuple[int, int], taps: int) -> Axis:
    """Geometry for a signal of `size` samples; its `size_out` is below 1 where nothing remains."""
    return Axis(up, down, pad[0], taps, size, (size * up + sum(pad) - taps) // down + 1)


def separable_terms(f: Tensor | None, *, flip: bool, gain: float, precise: bool) -> tuple[np.ndarray, np.ndarray]:
    """Taps along y and x, [rank, taps] each, float64, whose products sum to `f * gain`.

    `f`: [taps], [height, width] or None for the identity.  `flip`: as `flip_filter` of `upfirdn2d`.  `precise`: as
    many terms as float64 can tell apart, instead of float32.
    """
    if f is None:
        one = np.full((1, 1), abs(gain) ** 0.5)
        return one * np.sign(gain), one
    values = f.detach().to('cpu', torch.float64).contiguous().numpy()
    return _terms(values.tobytes(), values.shape, flip, gain, _DOUBLE if precise else _SINGLE)


@lru_cache(maxsize=256)
def _terms(
    values: bytes, shape: tuple[int, ...], flip: bool, gain: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    f = np.frombuffer(values).reshape(shape)
    if not flip:
        f = np.flip(f)  # `Axis` correlates; a filter convolves
    root = abs(gain) ** 0.5
    if f.ndim == 1:
        return np.sign(gain) * root * f[None], root * f[None]
    columns, strengths, rows = np.linalg.svd(f)
    rank, rest = 1, f - strengths[0] * np.outer(columns[:, 0], rows[0])
    while rank < len(strengths) and np.abs(rest).sum() > tolerance * np.abs(f).sum():
        rest = rest - strengths[rank] * np.outer(columns[:, rank], rows[rank])
        rank += 1
    balance = np.sqrt(strengths[:rank])[:, None]
    return np.sign(gain) * root * balance * columns.T[:rank], root * balance * rows[:rank]


def resampler(y: Axis, x: Axis, taps: tuple[np.ndarray, np.ndarray]) -> Resampler:
    """The step with these axes and terms; the same object for the same content."""
    return _resampler(y, x, tuple(row.tobytes() for row in taps[0]), tuple(row.tobytes() for row in taps[1]))


@lru_cache(maxsize=512)
def _resampler(y: Axis, x: Axis, taps_y: tuple[bytes, ...], taps_x: tuple[bytes, ...]) -> Resampler:
    return Resampler(y, x, taps_y, taps_x)


@lru_cache(maxsize=512)
def transposed(step: Resampler) -> Resampler:
    """The adjoint step: what a gradient passes through."""
    return _resampler(
        step.y.transposed(), step.x.transposed(), *(_reversed(taps) for taps in (step.taps_y, step.taps_x))
    )


def _reversed(taps: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(np.frombuffer(term)[::-1].tobytes() for term in taps)


@lru_cache(maxsize=1024)
def band(line: Axis, taps: bytes, first_output: int, count: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """Rows `first_output` … `first_output + count` of the matrix of a step along one axis, without its zero columns.

    `taps`: the float64 taps as bytes.  Returns [count, inputs] and the index of the first input. `down` inputs further on, for
    `up` outputs, the matrix is the same.
    """
    values = np.frombuffer(taps)
    start = line.first_input(first_output)
    inputs = np.arange(start, max(line.last_input(first_output + count - 1), start) + 1)
    index = inputs[None, :] * line.up + line.pad - np.arange(first_output, first_output + count)[:, None] * line.down
    inside = (index >= 0) & (index < line.taps)
    matrix = np.where(inside, values[np.clip(index, 0, line.taps - 1)], 0.0)
    return torch.from_numpy(matrix).to(dtype), start

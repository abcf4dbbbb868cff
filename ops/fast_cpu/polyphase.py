"""Filtered leaky ReLU, its adjoint, and resampling in plain torch, several times faster than the reference.

Polyphase: nothing is multiplied with an inserted zero, nothing is computed that would be dropped. Each axis of a filter is
a banded Toeplitz matrix; all its blocks are the same small dense matrix, so a step is a handful of matrix products,
which the BLAS library runs close to the processor's peak. Between the steps the signal lies as [rows, channels, columns]:
then a product along either axis spans all channels. The upsampled signal exists only for a few rows of a few
channels at a time, so that it stays in the cache; the backward pass computes it again instead of keeping it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.fast_cpu.terms import Axis, Resampler, axis, band, resampler, separable_terms, transposed
from ops.filtered_lrelu import LreluSpec

_CACHE_BYTES = 2**19
"""Upsampled rows kept at a time, per thread: half of a usual second-level cache."""
_TILE = 16
"""Rows of the result that are computed from one set of upsampled rows."""
_COLUMNS_UP, _COLUMNS_DOWN = 64, 16
_ROWS_UP, _ROWS_DOWN = 24, 8
"""Outputs per block of a Toeplitz matrix: longer blocks make faster matrix products that hold more zeros; measured."""

Pointwise = Callable[..., Tensor]
"""Of the upsampled signals, which it may overwrite: what the last step filters."""


@dataclass(frozen=True, slots=True)
class FilteredLrelu:
    """One filtered leaky ReLU without its bias, prepared: two resampling steps and what happens between them.

    The gain is part of the first step, since a leaky ReLU commutes with a positive factor.
    """

    up: Resampler
    down: Resampler
    slope: float
    clamp: float | None

    def activate(self, grid: Tensor) -> Tensor:
        """The activation of the upsampled signal, in place."""
        F.leaky_relu_(grid, self.slope)
        return grid if self.clamp is None else grid.clamp_(-self.clamp, self.clamp)

    def scale(self, grid: Tensor, other: Tensor) -> Tensor:
        """`other` times the derivative of the activation at `grid`, in place; overwrites `grid` as well."""
        torch.ops.aten.leaky_relu_backward.grad_input(other, grid, self.slope, False, grad_input=other)
        if self.clamp is not None:
            F.leaky_relu_(grid, self.slope)
            torch.ops.aten.hardtanh_backward.grad_input(other, grid, -self.clamp, self.clamp, grad_input=other)
        return other


def prepare(x: Tensor, up_filter: Tensor | None, down_filter: Tensor | None, spec: LreluSpec) -> FilteredLrelu | None:
    """The two steps for an input like `x`; None where there is nothing to gain or something wrong: the reference's part."""
    known = [f for f in (up_filter, down_filter) if f is not None]
    if x.ndim != 4 or x.numel() == 0 or spec.gain <= 0 or not known or any(f.ndim not in (1, 2) for f in known):
        return None
    left, right, top, bottom = spec.padding
    up_taps, down_taps = ((1, 1) if f is None else (f.shape[0], f.shape[-1]) for f in (up_filter, down_filter))
    up_y = axis(x.shape[2], up=spec.up, down=1, pad=(top, bottom), taps=up_taps[0])
    up_x = axis(x.shape[3], up=spec.up, down=1, pad=(left, right), taps=up_taps[1])
    down_y = axis(up_y.size_out, up=1, down=spec.down, pad=(0, 0), taps=down_taps[0])
    down_x = axis(up_x.size_out, up=1, down=spec.down, pad=(0, 0), taps=down_taps[1])
    if min(up_y.size_out, up_x.size_out, down_y.size_out, down_x.size_out) < 1:
        return None
    precise, gain = x.dtype == torch.float64, spec.up**2 * spec.gain
    up = resampler(up_y, up_x, separable_terms(up_filter, flip=spec.flip_filter, gain=gain, precise=precise))
    down = resampler(down_y, down_x, separable_terms(down_filter, flip=spec.flip_filter, gain=1, precise=precise))
    return FilteredLrelu(up, down, spec.slope, spec.clamp)


def forward(x: Tensor, steps: FilteredLrelu) -> Tensor:
    """The filtered leaky ReLU of [batch, channels, height, width]."""
    return _through((x,), (steps.up,), steps.activate, steps.down)


def adjoint(x: Tensor, gradient: Tensor, steps: FilteredLrelu) -> Tensor:
    """The gradient with respect to the input `x`, of that with respect to the output."""
    return _through((x, gradient), (steps.up, transposed(steps.down)), steps.scale, transposed(steps.up))


def derivative(x: Tensor, tangent: Tensor, steps: FilteredLrelu) -> Tensor:
    """The derivative of the output along `tangent`: the adjoint of `adjoint`."""
    return _through((x, tangent), (steps.up, steps.up), steps.scale, steps.down)


def _through(
    signals: tuple[Tensor, ...], steps: tuple[Resampler, ...], pointwise: Pointwise, last: Resampler
) -> Tensor:
    """`last` of `pointwise` of each signal taken to the upsampled grid by its step.

    `signals`: [batch, channels, height, width] each.  The first steps only upsample, the last only downsamples.
    """
    batch, channels = signals[0].shape[:2]
    planes = [signal.reshape(batch * channels, *signal.shape[2:]) for signal in signals]
    result = planes[0].new_empty(batch * channels, last.y.size_out, last.x.size_out)
    rows = _length(last.y.size_out, _TILE)
    row_bytes = last.x.size_in * planes[0].element_size() * len(signals)
    grid_rows = (rows - 1) * last.y.down + last.y.taps
    at_once = _CACHE_BYTES * torch.get_num_threads() // (grid_rows * row_bytes)
    for some in torch.arange(batch * channels).split(max(1, at_once)):
        chunk = slice(int(some[0]), int(some[-1]) + 1)
        wide = [_widen(plane[chunk], step) for plane, step in zip(planes, steps, strict=True)]
        result[chunk] = _narrow(_rows_through(wide, steps, pointwise, last, rows), last, len(some))
    return result.view(batch, channels, *result.shape[1:])


def _widen(planes: Tensor, step: Resampler) -> list[Tensor]:
    """Every term of a step along x, [height, channels * new width] each, of [channels, height, width]."""
    rows = planes.transpose(0, 1).reshape(-1, planes.shape[2])
    terms = []
    for taps in step.taps_x:
        wide = rows.new_empty(rows.shape[0], step.x.size_out)
        _along_x(rows, step.x, taps, wide)
        terms.append(wide.view(planes.shape[1], -1))
    return terms


def _narrow(terms: list[Tensor], step: Resampler, channels: int) -> Tensor:
    """The sum of the terms after a step along x, [channels, height, new width], of [height, channels * width] each."""
    height = terms[0].shape[0]
    out = terms[0].new_empty(height * channels, step.x.size_out)
    for index, (rows, taps) in enumerate(zip(terms, step.taps_x, strict=True)):
        _along_x(rows.view(height * channels, -1), step.x, taps, out, add=index > 0)
    return out.view(height, channels, -1).transpose(0, 1)


def _rows_through(
    wide: list[list[Tensor]], steps: tuple[Resampler, ...], pointwise: Pointwise, last: Resampler, rows: int
) -> list[Tensor]:
    """The part of `_through` along y, `rows` at a time: every term of `last`, [new height, channels * width]."""
    columns, height = wide[0][0].shape[1], last.y.size_out
    terms = [wide[0][0].new_empty(height, columns) for _ in last.taps_y]
    grids = [wide[0][0].new_empty((rows - 1) * last.y.down + last.y.taps, columns) for _ in steps]
    for first in range(0, height, rows):
        count = min(rows, height - first)
        needed = (count - 1) * last.y.down + last.y.taps
        start = last.y.first_input(first)
        for grid, sources, step in zip(grids, wide, steps, strict=True):
            _along_y(sources, step, start, grid[:needed])
        values = pointwise(*(grid[:needed] for grid in grids))
        for term, taps in zip(terms, last.taps_y, strict=True):
            for row in range(0, count, _ROWS_DOWN):
                out = term[first + row : first + min(row + _ROWS_DOWN, count)]
                _block(values, last.y, taps, first + row, out, offset=start)
    return terms


def _along_y(terms: list[Tensor], step: Resampler, first: int, out: Tensor) -> None:
    """Rows `first` … of the sum of the terms after a step along y, into `out` [rows, columns], of [height, columns] each."""
    block = _ROWS_UP if step.y.up >= step.y.down else _ROWS_DOWN
    for row in range(0, out.shape[0], block):
        for index, (term, taps) in enumerate(zip(terms, step.taps_y, strict=True)):
            _block(term, step.y, taps, first + row, out[row : row + block], add=index > 0)


def _along_x(rows: Tensor, line: Axis, taps: bytes, out: Tensor, *, add: bool = False) -> None:
    """A step along x of [rows, width] into (or added to) `out` [rows, new width]."""
    block = _length(line.size_out, _COLUMNS_UP if line.up > line.down else _COLUMNS_DOWN)
    for first in range(0, line.size_out, block):
        _block(rows.t(), line, taps, first, out[:, first : first + block].t(), add=add)


def _length(size: int, wanted: int) -> int:
    """`wanted`, or `size` where that is hardly more."""
    return size if size <= wanted * 3 // 2 else wanted


def _block(
    source: Tensor, line: Axis, taps: bytes, first: int, out: Tensor, *, add: bool = False, offset: int = 0
) -> None:
    """Outputs `first` … of a step along the first axis, into (or added to) `out`.

    `source`: the inputs from number `offset` on; what lies outside is zero.
    """
    period = line.up // gcd(line.up, line.down)
    matrix, start = band(line, taps, first % period, out.shape[0], out.dtype)
    start += first // period * period * line.down // line.up - offset
    low, high = max(start, 0), min(start + matrix.shape[1], source.shape[0])
    if low < high:
        _multiply(matrix[:, low - start : high - start], source[low:high], out, add=add)
    elif not add:
        out.zero_()


def _multiply(a: Tensor, b: Tensor, out: Tensor, *, add: bool) -> None:
    if add:
        torch.addmm(out, a, b, out=out)
    else:
        torch.mm(a, b, out=out)


def resample(x: Tensor, step: Resampler) -> Tensor:
    """A resampling step of [batch, channels, height, width]."""
    batch, channels = x.shape[:2]
    planes = x.reshape(batch * channels, *x.shape[2:])
    result = planes.new_empty(batch * channels, step.y.size_out, step.x.size_out)
    plane_bytes = max(planes[0].numel(), result[0].numel()) * x.element_size()
    for some in torch.arange(batch * channels).split(max(1, 8 * _CACHE_BYTES // plane_bytes)):
        chunk = slice(int(some[0]), int(some[-1]) + 1)
        result[chunk] = _resample_planes(planes[chunk], step)
    return result.view(batch, channels, *result.shape[1:])


def _resample_planes(planes: Tensor, step: Resampler) -> Tensor:
    """A resampling step of [channels, height, width]; along y first where that leaves fewer rows."""
    channels, height, width = planes.shape
    new_height = step.y.size_out
    if len(step.taps_y) == 1 and new_height < height:
        fewer = planes.new_empty(new_height, channels * width)
        _along_y([planes.transpose(0, 1).reshape(height, -1)], step, 0, fewer)
        return _narrow([fewer], step, channels)
    out = planes.new_empty(new_height, channels * step.x.size_out)
    _along_y(_widen(planes, step), step, 0, out)
    return out.view(new_height, channels, -1).transpose(0, 1)

"""Calls of the kernel for the filtered leaky ReLU: geometry, taps, jobs."""

from ctypes import string_at
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ops.fast_cpu import library, polyphase
from ops.fast_cpu.polyphase import FilteredLrelu
from ops.fast_cpu.shapes import FilterShape
from ops.fast_cpu.terms import Axis
from ops.fast_cpu.threads import NO_LIMIT, float_bits, run
from ops.filtered_lrelu import LreluSpec

_STRIP = 96
"""Columns of the result that a job makes at most: their part of the grid fits the second-level cache; measured."""
_SEGMENT = 24
"""Rows that a job makes at least, where columns and channels are too few to share."""
_NARROWEST = 4
_FOLDED = 4
"""Upsampling factor from which on it is faster to compute a phase together with its mirror image; measured."""
_ROUNDING = 2e-7
_MOST_TAPS = 256
"""Of all phases and terms of a kernel together: its code has an instruction for each."""


@dataclass(frozen=True, slots=True, eq=False)
class FilterPlan:
    """Everything about a call that does not change from frame to frame."""

    shape: FilterShape
    new_height: int
    new_width: int
    segments: int
    jobs: int
    """Per sample."""
    tail: tuple[int, ...]
    """The kernel's fields from 'channels' on."""
    tables: Tensor
    """The taps, which `tail` points to."""
    scratch_floats: int
    ones: Tensor
    zeros: Tensor


def lanes_for(channels: int, *, wide: bool) -> int:
    """How many channels a vector of the kernels shall hold; 0 = too few for them. `wide`: 16 fit a register."""
    if channels < _NARROWEST:
        return 0
    if wide and channels >= 16 and channels % 16 not in range(1, 9):
        return 16
    return 8 if channels >= 8 else 4


def plan_filter(
    x_shape: tuple[int, ...],
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    spec: LreluSpec,
    *,
    planar: bool,
    threads: int,
) -> FilterPlan | str:
    """The call for an input [batch, channels, height, width], or why the kernel cannot do it."""
    if not 0 <= spec.slope <= 1:
        return 'its kernel needs a slope from 0 to 1'
    filters = tuple(None if f is None else (_content(f), tuple(f.shape)) for f in (up_filter, down_filter))
    return _plan(x_shape[1:], *filters, spec, planar, threads)


def _content(f: Tensor) -> bytes:
    """The taps as a key: the same filter may come in another tensor, and another one in the same tensor."""
    f = f.to('cpu', torch.float32).contiguous()
    return string_at(f.data_ptr(), f.numel() * 4)


@lru_cache(maxsize=256)
def _plan(
    size: tuple[int, int, int],
    up_filter: tuple[bytes, tuple[int, ...]] | None,
    down_filter: tuple[bytes, tuple[int, ...]] | None,
    spec: LreluSpec,
    planar: bool,
    threads: int,
) -> FilterPlan | str:
    up, down = (
        None if f is None else torch.frombuffer(bytearray(f[0]), dtype=torch.float32).reshape(f[1])
        for f in (up_filter, down_filter)
    )
    steps = polyphase.prepare(torch.empty(1, *size, device='meta'), up, down, spec)
    lanes = lanes_for(size[0], wide=library.has_wide_vectors())
    if steps is None or lanes == 0:
        return 'there is nothing to filter' if steps is None else f'its kernel needs {_NARROWEST} channels or more'
    if len(steps.up.taps_y) > 1 or steps.up.y.taps != steps.up.x.taps:
        return 'its kernel needs a separable up filter'
    if steps.down.y.taps != steps.down.x.taps:
        return 'its kernel needs a square down filter'
    return _build(size, steps, lanes, planar, threads)


def _build(
    size: tuple[int, int, int], steps: FilteredLrelu, lanes: int, planar: bool, threads: int
) -> FilterPlan | str:
    channels, height, width = size
    up, down = steps.up, steps.down
    taps_y, taps_x = (np.stack([np.frombuffer(term) for term in terms]) for terms in (down.taps_y, down.taps_x))
    mirrored = taps_y.shape[1] > 1 and _is_mirrored(taps_y) and _is_mirrored(taps_x)
    reach = -(-up.x.taps // up.x.up)
    up_x, up_y = _phases(up.x, up.taps_x[0], reach), _phases(up.y, up.taps_y[0], reach)
    up_mirrored = up.x.up >= _FOLDED and _is_mirrored_in_phases(up_x) and _is_mirrored_in_phases(up_y)
    if 2 * (up.x.up * reach + taps_x.size) > _MOST_TAPS:
        return 'its kernel would be too long for these filters'
    shape = FilterShape(lanes, up.x.up, reach, down.x.down, down.x.taps, len(taps_y), mirrored, up_mirrored, planar)
    first_y, shift_y = _align(up.y)
    first_x, shift_x = _align(up.x)
    strips, strip = _share(down.x.size_out, _STRIP, 4)
    blocks = -(-channels // lanes)
    segments, segment = _segments(down.y.size_out, blocks * strips, threads)
    columns = ((strip + 4) * down.x.down + down.x.taps + 2 * up.x.up + reach) * lanes
    largest = np.abs(up_x).sum(1).max() * np.abs(up_y).sum(1).max()
    if up_mirrored:
        up_x, up_y = _fold(up_x), _fold(up_y)
    parts = [up_x, up_y, taps_x, taps_y]
    tables = torch.from_numpy(np.concatenate([part.astype(np.float32).ravel() for part in parts]))
    starts = np.cumsum([0] + [part.size for part in parts])[:4] * 4 + tables.data_ptr()
    clamp = NO_LIMIT if steps.clamp is None else steps.clamp
    harmless = 0.999 * clamp / largest
    tail = (channels, height, width, down.y.size_out, down.x.size_out, blocks, strips, strip, segments, segment)
    tail += (first_y, shift_y, first_x, shift_x, *(int(start) for start in starts))
    tail += (float_bits(steps.slope), float_bits(clamp), float_bits(min(harmless, NO_LIMIT)), columns)
    jobs, scratch = blocks * strips * segments, columns * shape.scratch_rows
    return FilterPlan(
        shape,
        down.y.size_out,
        down.x.size_out,
        segments,
        jobs,
        tail,
        tables,
        scratch,
        torch.ones(channels),
        torch.zeros(channels),
    )


def call_filter(plan: FilterPlan, kernel: int, x: Tensor, bias: Tensor | None, scale: Tensor | None) -> Tensor:
    """`x` [batch, channels, height, width] times `scale` [batch, channels], plus `bias`, through the kernel.

    A planar plan needs rows without gaps, the other kind pixels without gaps between channels.
    """
    batch, channels = x.shape[:2]
    layout = torch.contiguous_format if plan.shape.planar else torch.channels_last
    out = torch.empty((batch, channels, plan.new_height, plan.new_width), memory_format=layout)
    bias = plan.zeros if bias is None else bias
    factors, step = (plan.ones, 0) if scale is None else (scale, channels)
    fields = [x.data_ptr(), out.data_ptr(), bias.data_ptr(), factors.data_ptr(), step, *x.stride(), *out.stride()]
    run(kernel, batch * plan.jobs, plan.scratch_floats, [*fields, *plan.tail])
    return out


def _align(line: Axis) -> tuple[int, int]:
    """The first input that the aligned grid needs, and where on that grid the padded signal starts.

    Position up * g + r, r = 1 … up, counted from the first sample of the signal, depends on the inputs from g + 1 on.
    """
    group = (-line.pad - 1) // line.up
    return group + 1, -line.pad - (line.up * group + 1)


def _is_mirrored(taps: np.ndarray) -> bool:
    return bool(np.abs(taps - taps[:, ::-1]).max() <= _ROUNDING * np.abs(taps).max())


def _is_mirrored_in_phases(taps: np.ndarray) -> bool:
    """Whether the last phase is the first one backwards, and so on; [phases, reach]."""
    even = taps.shape[0] % 2 == taps.shape[1] % 2 == 0
    return even and bool(np.abs(taps - taps[::-1, ::-1]).max() <= _ROUNDING * np.abs(taps).max())


def _fold(taps: np.ndarray) -> np.ndarray:
    """Factors of the sums, then of the differences, of samples that a phase and its mirror image multiply with the same taps."""
    half = taps.shape[1] // 2
    return (
        np.concatenate([taps + taps[:, ::-1], taps - taps[:, ::-1]], 1)[:, [*range(half), *range(2 * half, 3 * half)]]
        / 2
    )


def _phases(line: Axis, taps: bytes, reach: int) -> np.ndarray:
    """The taps that meet samples, [phase r = 1 … up, input g + 1 … g + reach]."""
    values = np.frombuffer(taps)
    index = line.up * (np.arange(reach)[None, :] + 1) - (np.arange(line.up)[:, None] + 1)
    return np.where(index < line.taps, values[np.minimum(index, line.taps - 1)], 0.0)


def _share(size: int, most: int, multiple: int) -> tuple[int, int]:
    """How many parts of at most about `most`, and how long they are: a multiple of `multiple`."""
    parts = max(1, round(size / most))
    length = -(-size // parts)
    length = -(-length // multiple) * multiple
    return -(-size // length), length


def _segments(rows: int, others: int, threads: int) -> tuple[int, int]:
    """Segments of rows such that every thread finds two jobs or more."""
    wanted = -(-2 * threads // others) if threads > 1 else 1
    segments = max(1, min(wanted, rows // _SEGMENT))
    length = -(-rows // segments)
    return -(-rows // length), length

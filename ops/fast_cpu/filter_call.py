"""Calls of the kernel for the filtered leaky ReLU: geometry, taps, jobs."""

from ctypes import string_at
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ops.fast_cpu import blocks, library, polyphase
from ops.fast_cpu.filter_shape import FilterShape
from ops.fast_cpu.geometry import (
    NARROWEST,
    align,
    fold,
    is_mirrored,
    is_mirrored_in_phases,
    lanes_for,
    nest,
    phases,
    segment_rows,
    share,
    tables,
)
from ops.fast_cpu.polyphase import FilteredLrelu
from ops.fast_cpu.threads import NO_LIMIT, float_bits, run
from ops.filtered_lrelu import LreluSpec

_STRIP = 140
"""Columns of the result that a job makes at most: their part of the grid fits the second-level cache; measured."""
_TOGETHER = 3
_NARROW = 64
"""Batches of rows of the result that wait for each other, and up to how many columns: then the second cache holds their part of the grid."""
_MOST_TAPS = 2048
"""Of all phases and terms of a kernel together: its code has an instruction for each, and this many take a second or two to compile."""


@dataclass(frozen=True, slots=True, eq=False)
class FilterPlan:
    """Everything about a call that does not change from frame to frame."""

    shape: FilterShape
    new_height: int
    new_width: int
    jobs: int
    """Per sample."""
    tail: tuple[int, ...]
    """The kernel's fields from 'channels' on."""
    taps: Tensor
    """What `tail` points to."""
    scratch_floats: int
    ones: Tensor
    zeros: Tensor


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
    channels, height, width = x_shape[1:]
    return _plan((channels, height, width), _content(up_filter), _content(down_filter), spec, planar, threads)


_Content = tuple[bytes, tuple[int, ...]] | None


def _content(f: Tensor | None) -> _Content:
    """The taps and their shape as a key: the same filter may come in another tensor, and another one in the same tensor."""
    if f is None:
        return None
    if f.dtype != torch.float32 or not f.is_cpu or not f.is_contiguous():
        f = f.to('cpu', torch.float32).contiguous()
    return string_at(f.data_ptr(), f.numel() * 4), tuple(f.shape)


@lru_cache(maxsize=256)
def _plan(
    size: tuple[int, int, int],
    up_filter: _Content,
    down_filter: _Content,
    spec: LreluSpec,
    planar: bool,
    threads: int,
) -> FilterPlan | str:
    up, down = (
        None if f is None else torch.frombuffer(bytearray(f[0]), dtype=torch.float32).reshape(f[1])
        for f in (up_filter, down_filter)
    )
    steps = polyphase.prepare(torch.empty(1, *size, device='meta'), up, down, spec)
    return 'there is nothing to filter' if steps is None else plan_steps(size, steps, planar, threads)


@lru_cache(maxsize=256)
def plan_steps(size: tuple[int, int, int], steps: FilteredLrelu, planar: bool, threads: int) -> FilterPlan | str:
    """The call for an input [channels, height, width], or why the kernel cannot do it."""
    channels, height, width = size
    lanes = lanes_for(channels)
    reason = why_not(steps, lanes)
    if reason is not None:
        return reason
    up, down = steps.up, steps.down
    reach, taps = -(-up.x.taps // up.x.up), _taps(steps)
    rank, up_rank = len(down.taps_x), len(up.taps_x)
    first_x, shift_x = align(up.x)
    skipped = shift_x % up.x.up
    marks = taps.mirrored, taps.up_mirrored, taps.nested
    shape = FilterShape(lanes, up.x.up, reach, down.x.down, down.x.taps, rank, *marks, skipped, planar, up_rank)
    strips, strip = share(down.x.size_out, _STRIP, shape.outputs)
    blocks = -(-channels // lanes)
    segments, segment = segment_rows(down.y.size_out, blocks * strips, threads)
    columns, ring_columns = shape.columns(strip)
    together = 1 if planar or shape.along_y_first or down.x.size_out > _NARROW else _TOGETHER
    clamp = NO_LIMIT if steps.clamp is None else steps.clamp
    harmless = min(0.999 * clamp / taps.largest, NO_LIMIT)
    tail = (channels, height, width, down.y.size_out, down.x.size_out, blocks, strips, strip, segments, segment)
    tail += (*align(up.y), first_x, shift_x, *taps.starts)
    tail += (float_bits(steps.slope), float_bits(clamp), float_bits(harmless))
    tail += (columns * lanes, ring_columns * shape.spread, shape.ring(together), together)
    jobs, scratch = blocks * strips * segments, shape.scratch_floats(strip, together)
    sizes = down.y.size_out, down.x.size_out
    return FilterPlan(shape, *sizes, jobs, tail, taps.values, scratch, torch.ones(channels), torch.zeros(channels))


@dataclass(frozen=True, slots=True, eq=False)
class _Taps:
    """The taps of a call as its kernel reads them, and what was found out about them."""

    values: Tensor
    starts: tuple[int, ...]
    """Addresses of the taps up along x and y, and down along x and y."""
    mirrored: bool
    up_mirrored: bool
    nested: bool
    largest: float
    """Largest value of the grid for inputs of at most 1."""


def _taps(steps: FilteredLrelu) -> _Taps:
    up, down = steps.up, steps.down
    taps_y, taps_x = (np.stack([np.frombuffer(term) for term in terms]) for terms in (down.taps_y, down.taps_x))
    reach = -(-up.x.taps // up.x.up)
    up_x, up_y = (
        [phases(line, term, reach) for term in terms] for line, terms in ((up.x, up.taps_x), (up.y, up.taps_y))
    )
    up_mirrored = all(is_mirrored_in_phases(term) for term in (*up_x, *up_y))
    largest = sum(float(np.abs(x).sum(1).max() * np.abs(y).sum(1).max()) for x, y in zip(up_x, up_y, strict=True))
    if up_mirrored:
        up_x, up_y = [fold(term) for term in up_x], [fold(term) for term in up_y]
    mirrored = taps_y.shape[1] > 1 and is_mirrored(taps_y) and is_mirrored(taps_x)
    terms = nest(taps_y, taps_x) if mirrored else None
    if terms is not None:
        taps_y, taps_x = terms
    return _Taps(
        *tables([np.stack(up_x), np.stack(up_y), taps_x, taps_y]), mirrored, up_mirrored, terms is not None, largest
    )


def why_not(steps: FilteredLrelu, lanes: int) -> str | None:
    """Why the kernels cannot do these steps; None if they can."""
    if not 0 <= steps.slope <= 1:
        return 'its kernel needs a slope from 0 to 1'
    if lanes == 0:
        return f'its kernel needs {NARROWEST} channels or more'
    if steps.up.y.taps != steps.up.x.taps:
        return 'its kernel needs a square up filter'
    if steps.down.y.taps != steps.down.x.taps:
        return 'its kernel needs a square down filter'
    if 2 * (len(steps.up.taps_y) * steps.up.x.taps + len(steps.down.taps_y) * steps.down.x.taps) > _MOST_TAPS:
        return 'its kernel would be too long for these filters'
    return None


def forward_by_kernel(x: Tensor, steps: FilteredLrelu) -> Tensor | None:
    """The filtered leaky ReLU of [batch, channels, height, width]; None where its kernel cannot do that now."""
    if x.dtype != torch.float32:
        return None
    planar = is_planar(x)
    plan = plan_steps(tuple(x.shape[1:]), steps, planar, torch.get_num_threads())
    kernel = None if isinstance(plan, str) else library.get(plan.shape)
    if kernel is None or isinstance(plan, str):
        return None
    return call_filter(plan, kernel, x.contiguous() if planar else x, None, None)


def is_planar(x: Tensor) -> bool:
    """Whether kernels shall read `x` row by row of one channel; else it has the channels of a pixel together."""
    return not (x.stride(1) == 1 and x.stride(3) != 1)


def call_filter(plan: FilterPlan, kernel: int, x: Tensor, bias: Tensor | None, scale: Tensor | None) -> Tensor:
    """`x` [batch, channels, height, width] times `scale` [batch, channels], plus `bias`, through the kernel.

    A planar plan needs rows without gaps, the other kind pixels without gaps between channels.
    """
    batch, channels = x.shape[:2]
    height, width = plan.new_height, plan.new_width
    pixels = height * width
    strides = (pixels, width, 1) if plan.shape.planar else (1, width * channels, channels)
    out = blocks.result((batch, channels, height, width), (pixels * channels, *strides), batch * channels * pixels)
    bias = plan.zeros if bias is None else bias
    factors, step = (plan.ones, 0) if scale is None else (scale, channels)
    fields = [x.data_ptr(), out.data_ptr(), bias.data_ptr(), factors.data_ptr(), step, *x.stride(), *out.stride()]
    run(kernel, batch * plan.jobs, plan.scratch_floats, [*fields, *plan.tail])
    return out

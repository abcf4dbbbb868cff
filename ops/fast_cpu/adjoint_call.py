"""Calls of the kernel for the gradient of the filtered leaky ReLU: geometry, taps, jobs."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ops.fast_cpu import library
from ops.fast_cpu.filter_call import is_planar, why_not
from ops.fast_cpu.geometry import align, lanes_for, phases, segment_rows, share, tables
from ops.fast_cpu.polyphase import FilteredLrelu
from ops.fast_cpu.shapes import AdjointShape
from ops.fast_cpu.terms import Axis, Resampler, transposed
from ops.fast_cpu.threads import NO_LIMIT, float_bits, run

_STRIP = 96
"""Columns of the input that a job makes at most; measured."""
_MOST_TAPS = 256
"""Of all phases and terms of a kernel together: the filters of networks in training are not longer."""


@dataclass(frozen=True, slots=True, eq=False)
class AdjointPlan:
    """Everything about a call that does not change from step to step."""

    shape: AdjointShape
    jobs: int
    """Per sample."""
    tail: tuple[int, ...]
    """The kernel's fields from 'channels' on."""
    taps: Tensor
    """What `tail` points to."""
    scratch_floats: int


def adjoint_by_kernel(x: Tensor, gradient: Tensor, steps: FilteredLrelu) -> Tensor | None:
    """The gradient with respect to `x`, of that with respect to the output; None where the kernel cannot do that now."""
    if x.dtype != torch.float32 or gradient.dtype != torch.float32:
        return None
    planar = is_planar(x)
    plan = _plan(tuple(x.shape[1:]), steps, planar, torch.get_num_threads())
    kernel = None if plan is None else library.get(plan.shape)
    if plan is None or kernel is None:
        return None
    layout = torch.contiguous_format if planar else torch.channels_last
    x, gradient = x.contiguous(memory_format=layout), gradient.contiguous(memory_format=layout)
    out = torch.empty_like(x, memory_format=layout)
    fields = [x.data_ptr(), gradient.data_ptr(), out.data_ptr(), *x.stride(), *gradient.stride(), *out.stride()]
    run(kernel, x.shape[0] * plan.jobs, plan.scratch_floats, [*fields, *plan.tail])
    return out


@lru_cache(maxsize=256)
def _plan(size: tuple[int, int, int], steps: FilteredLrelu, planar: bool, threads: int) -> AdjointPlan | None:
    channels, height, width = size
    lanes = lanes_for(channels)
    taps = len(steps.up.taps_y) * steps.up.x.taps + len(steps.down.taps_y) * steps.down.x.taps
    if why_not(steps, lanes) is not None or len(steps.up.taps_y) > 1 or 2 * taps > _MOST_TAPS:
        return None
    up, back, out = steps.up, transposed(steps.down), transposed(steps.up)
    reach, gradient_reach = (-(-step.x.taps // step.x.up) for step in (up, back))
    shape = AdjointShape(lanes, up.x.up, reach, up.x.taps, back.x.up, gradient_reach, len(back.taps_x), planar)
    strips, strip = share(width, _STRIP, 4)
    blocks = -(-channels // lanes)
    segments, segment = segment_rows(height, blocks * strips, threads)
    parts = [_taps(step, along, taps) for step, taps in ((up, reach), (back, gradient_reach)) for along in ('x', 'y')]
    values, starts = tables([*parts, np.frombuffer(out.taps_x[0]), np.frombuffer(out.taps_y[0])])
    columns = ((strip + 4) * up.x.up + up.x.taps + 2 * (up.x.up + back.x.up) + reach + gradient_reach) * lanes
    tail = (channels, height, width, back.y.size_in, back.x.size_in, blocks, strips, strip, segments, segment)
    tail += (*_start(up.y, out.y), *_start(up.x, out.x), *_start(back.y, out.y), *_start(back.x, out.x))
    clamp = NO_LIMIT if steps.clamp is None else steps.clamp
    tail += (*starts, float_bits(steps.slope), float_bits(clamp), columns)
    return AdjointPlan(shape, blocks * strips * segments, tail, values, columns * shape.scratch_rows)


def _taps(step: Resampler, along: str, reach: int) -> np.ndarray:
    """[term, phase, reach] of an upsampling step along an axis."""
    line, terms = (step.x, step.taps_x) if along == 'x' else (step.y, step.taps_y)
    return np.stack([phases(line, taps, reach) for taps in terms])


def _start(line: Axis, out: Axis) -> tuple[int, int]:
    """The first input that a signal's aligned grid needs, and where on that grid the first row lies that `out` needs."""
    first, shift = align(line)
    shift -= out.pad
    groups = -(-max(0, -shift) // line.up)
    return first - groups, shift + groups * line.up

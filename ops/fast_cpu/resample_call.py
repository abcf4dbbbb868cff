"""Resampling steps by the kernel of the filtered leaky ReLU, whose activation then changes nothing."""

from functools import lru_cache

import numpy as np
from torch import Tensor

from ops.fast_cpu.filter_call import forward_by_kernel
from ops.fast_cpu.polyphase import FilteredLrelu
from ops.fast_cpu.terms import Axis, Resampler, resampler


def resample_by_kernel(x: Tensor, step: Resampler) -> Tensor | None:
    """The step of [batch, channels, height, width]; None where the kernel cannot do that now."""
    steps = _as_filtered_lrelu(step)
    return None if steps is None else forward_by_kernel(x, steps)


@lru_cache(maxsize=256)
def _as_filtered_lrelu(step: Resampler) -> FilteredLrelu | None:
    """The step followed by one that does nothing, or the other way round; None if it is neither up nor down alone."""
    if step.y.up != step.x.up or step.y.down != step.x.down or min(step.y.up, step.y.down) > 1:
        return None
    one = np.ones((1, 1))
    if step.y.down == 1:
        nothing = resampler(_plain(step.y.size_out), _plain(step.x.size_out), (one, one))
        return FilteredLrelu(step, nothing, 1.0, None)
    (padded_y, down_y), (padded_x, down_x) = _pad_first(step.y), _pad_first(step.x)
    taps_y, taps_x = (np.stack([np.frombuffer(term) for term in terms]) for terms in (step.taps_y, step.taps_x))
    padded = resampler(padded_y, padded_x, (one, one))
    return FilteredLrelu(padded, resampler(down_y, down_x, (taps_y, taps_x)), 1.0, None)


def _plain(size: int) -> Axis:
    """A step that does nothing."""
    return Axis(1, 1, 0, 1, size, size)


def _pad_first(line: Axis) -> tuple[Axis, Axis]:
    """A step down as one that only pads or crops, then one that does neither."""
    size = (line.size_out - 1) * line.down + line.taps
    return Axis(1, 1, line.pad, 1, line.size_in, size), Axis(1, line.down, 0, line.taps, size, line.size_out)

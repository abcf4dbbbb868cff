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
        nothing = (Axis(1, 1, 0, 1, line.size_out, line.size_out) for line in (step.y, step.x))
        return FilteredLrelu(step, resampler(*nothing, (one, one)), 1.0, None)
    padded = [
        Axis(1, 1, line.pad, 1, line.size_in, (line.size_out - 1) * line.down + line.taps) for line in (step.y, step.x)
    ]
    down = [
        Axis(1, line.down, 0, line.taps, mid.size_out, line.size_out)
        for line, mid in zip((step.y, step.x), padded, strict=True)
    ]
    taps = tuple(np.stack([np.frombuffer(term) for term in terms]) for terms in (step.taps_y, step.taps_x))
    return FilteredLrelu(resampler(*padded, (one, one)), resampler(*down, taps), 1.0, None)

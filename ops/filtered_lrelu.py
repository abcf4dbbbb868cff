"""Filtered leaky ReLU: the alias-free non-linearity of StyleGAN3 (Karras et al. 2021, Sec. 2.1 and 3.2).

A pointwise non-linearity creates frequencies beyond any band limit. So it is applied at a temporarily higher sampling
rate and what it created beyond the layer's cutoff is filtered away before returning to the lower rate.
"""

from dataclasses import dataclass
from math import sqrt

from torch import Tensor
from torch.nn import functional as F

from ops.backend import implements, needs_gradient, pick
from ops.upfirdn2d import FirSpec, Padding, parse_padding, upfirdn2d_reference, upfirdn2d_torch


@dataclass(frozen=True, slots=True)
class LreluSpec:
    """Everything about one call except its tensors; usable as a kernel-cache key."""

    up: int
    down: int
    padding: tuple[int, int, int, int]
    """Left, right, top, bottom, in samples of the upsampled signal."""
    gain: float
    slope: float
    clamp: float | None
    flip_filter: bool
    up_shape: tuple[int, ...]
    """Shape of the up filter: () = none, (taps,) = separable, (height, width) = full."""
    down_shape: tuple[int, ...]
    """Shape of the down filter, likewise."""
    has_bias: bool
    needs_gradient: bool


def filtered_lrelu(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    bias: Tensor | None = None,
    *,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    gain: float = sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
) -> Tensor:
    """Leaky ReLU at `up` times the rate, filtered and returned at that rate divided by `down`.

    `x`: [batch, channels, height, width].  Filters: [taps] separable, [height, width] full, None = identity.  `bias`: [channels].
    Steps: add bias; insert zeros, pad, filter (gain `up`² restores the amplitude); leaky ReLU with `slope`; times `gain`;
    limit to ±`clamp`; filter, keep every `down`-th sample.  `padding`: as for `upfirdn2d`, in upsampled samples.
    Returns [batch, channels, (height * up + top + bottom - up taps - down taps + 2 + down - 1) // down, likewise width].
    """
    spec = LreluSpec(
        up,
        down,
        parse_padding(padding),
        gain,
        slope,
        clamp,
        flip_filter,
        () if up_filter is None else tuple(up_filter.shape),
        () if down_filter is None else tuple(down_filter.shape),
        bias is not None,
        needs_gradient(x, bias, up_filter, down_filter),
    )
    return pick('filtered_lrelu', x, spec)(x, up_filter, down_filter, bias, spec)


@implements('filtered_lrelu', 'reference')
def filtered_lrelu_reference(
    x: Tensor, up_filter: Tensor | None, down_filter: Tensor | None, bias: Tensor | None, spec: LreluSpec
) -> Tensor:
    """The definition, step by step: any device, any float type, any order of derivative."""
    up_fir, down_fir = _steps(spec)
    x = upfirdn2d_reference(_biased(x, bias), up_filter, up_fir)
    x = F.leaky_relu(x, spec.slope) * spec.gain
    if spec.clamp is not None:
        x = x.clamp(-spec.clamp, spec.clamp)
    return upfirdn2d_reference(x, down_filter, down_fir)


@implements('filtered_lrelu', 'torch')
def filtered_lrelu_torch(
    x: Tensor, up_filter: Tensor | None, down_filter: Tensor | None, bias: Tensor | None, spec: LreluSpec
) -> Tensor:
    """The same by strided convolutions, with less memory: any device, any float type, any order of derivative."""
    up_fir, down_fir = _steps(spec)
    x = upfirdn2d_torch(_biased(x, bias), up_filter, up_fir)
    x = F.leaky_relu(x, spec.slope).mul_(spec.gain)  # in place: nobody else sees this, by far the largest, tensor
    if spec.clamp is not None:
        x = x.clamp_(-spec.clamp, spec.clamp)
    return upfirdn2d_torch(x, down_filter, down_fir)


def _biased(x: Tensor, bias: Tensor | None) -> Tensor:
    if x.ndim != 4:
        raise ValueError(f'filtered_lrelu needs [batch, channels, height, width], got {tuple(x.shape)}')
    return x if bias is None else x + bias.to(x.dtype)[:, None, None]


def _steps(spec: LreluSpec) -> tuple[FirSpec, FirSpec]:
    """The two resampling steps."""
    up, down = (spec.up, spec.up), (spec.down, spec.down)
    return (
        FirSpec(up, (1, 1), spec.padding, spec.flip_filter, float(spec.up**2), spec.up_shape, spec.needs_gradient),
        FirSpec((1, 1), down, (0, 0, 0, 0), spec.flip_filter, 1.0, spec.down_shape, spec.needs_gradient),
    )

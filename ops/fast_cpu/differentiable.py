"""Filtered leaky ReLU and resampling with all derivatives, for float32 and float64.

The steps are linear but for the activation, so the adjoint of each derivative is one of three: forward, adjoint, derivative. They run in
plain torch (`polyphase`); for float32, forward and adjoint by compiled kernels.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ops.fast_cpu import polyphase
from ops.fast_cpu.adjoint_call import adjoint_by_kernel
from ops.fast_cpu.filter_call import forward_by_kernel
from ops.fast_cpu.polyphase import FilteredLrelu
from ops.fast_cpu.resample_call import resample_by_kernel
from ops.fast_cpu.terms import Resampler, axis, resampler, separable_terms, transposed
from ops.filtered_lrelu import LreluSpec, filtered_lrelu_torch
from ops.upfirdn2d import FirSpec, upfirdn2d_torch

_SHORT = 6
"""Taps up to which a plain filter is best applied as one two-dimensional convolution; measured."""


def filtered_lrelu(
    x: Tensor, up_filter: Tensor | None, down_filter: Tensor | None, bias: Tensor | None, spec: LreluSpec
) -> Tensor:
    """`ops.filtered_lrelu` for float32 and float64 on the CPU."""
    steps = polyphase.prepare(x, up_filter, down_filter, spec)
    if steps is None or _differentiated(up_filter, down_filter):
        return filtered_lrelu_torch(x, up_filter, down_filter, bias, spec)
    if bias is not None:
        x = x + bias.to(x.dtype)[:, None, None]
    return _Forward.apply(x, steps) if spec.needs_gradient else polyphase.forward(x, steps)


def upfirdn2d(x: Tensor, f: Tensor | None, spec: FirSpec) -> Tensor:
    """`ops.upfirdn2d` for float32 and float64 on the CPU."""
    if f is None or x.ndim != 4 or f.ndim not in (1, 2) or _differentiated(f):
        return upfirdn2d_torch(x, f, spec)  # copies nothing but samples, or says what is wrong
    if spec.up == spec.down == (1, 1) and max(f.shape) <= _SHORT:
        whole = torch.outer(f, f) if f.ndim == 1 else f
        return upfirdn2d_torch(x, whole, spec)  # nothing to leave out: torch's own depthwise convolution is best
    left, right, top, bottom = spec.padding
    along_y = axis(x.shape[2], up=spec.up[1], down=spec.down[1], pad=(top, bottom), taps=f.shape[0])
    along_x = axis(x.shape[3], up=spec.up[0], down=spec.down[0], pad=(left, right), taps=f.shape[-1])
    if min(x.numel(), along_y.size_out, along_x.size_out) < 1:
        return upfirdn2d_torch(x, f, spec)
    taps = separable_terms(f, flip=spec.flip_filter, gain=spec.gain, precise=x.dtype == torch.float64)
    step = resampler(along_y, along_x, taps)
    return _Resample.apply(x, step) if spec.needs_gradient else polyphase.resample(x, step)


def _differentiated(*filters: Tensor | None) -> bool:
    """Whether a gradient for a filter is wanted, which only the reference has."""
    return torch.is_grad_enabled() and any(f is not None and f.requires_grad for f in filters)


class _Forward(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, steps: FilteredLrelu) -> Tensor:
        ctx.save_for_backward(x)
        ctx.steps = steps
        y = forward_by_kernel(x, steps)
        return polyphase.forward(x, steps) if y is None else y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Adjoint.apply(*ctx.saved_tensors, *gradients, ctx.steps), None


class _Adjoint(Function):
    """Linear in the gradient, and constant almost everywhere in `x`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: Tensor, steps: FilteredLrelu) -> Tensor:
        ctx.save_for_backward(x)
        ctx.steps = steps
        y = adjoint_by_kernel(x, gradient, steps)
        return polyphase.adjoint(x, gradient, steps) if y is None else y

    @staticmethod
    def backward(ctx: Any, *tangents: Tensor) -> tuple[None, Tensor, None]:
        return None, _Derivative.apply(*ctx.saved_tensors, *tangents, ctx.steps), None


class _Derivative(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tangent: Tensor, steps: FilteredLrelu) -> Tensor:
        ctx.save_for_backward(x)
        ctx.steps = steps
        return polyphase.derivative(x, tangent, steps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        return None, _Adjoint.apply(*ctx.saved_tensors, *gradients, ctx.steps), None


class _Resample(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Resampler) -> Tensor:
        ctx.step = step
        y = resample_by_kernel(x, step)
        return polyphase.resample(x, step) if y is None else y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Resample.apply(*gradients, transposed(ctx.step)), None

"""Filtered leaky ReLU by its CUDA kernel, with first and second derivatives.

Between its two filters the operator multiplies, so the derivative along a tangent, and the adjoint, are the same kernel
with the 2 bits a grid value that the forward pass kept; nothing else is kept for the backward pass.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ops.bias_act import ActSpec
from ops.cuda import launcher, shapes
from ops.cuda.bias_act import bias_act
from ops.cuda.shapes import Mode, Pass
from ops.filtered_lrelu import LreluSpec, filtered_lrelu_torch

_MAX_BLOCKS = 2**31 - 1


def supports(spec: LreluSpec) -> str | None:
    """Why the kernel does not run such calls; None if it does."""
    if spec.gain <= 0:
        return 'its kernel needs a gain above zero'
    if len(spec.up_shape) > 2 or len(spec.down_shape) > 2 or not shapes.fits(spec):
        return 'its kernel has no room for these filters'
    return None


def filtered_lrelu(
    x: Tensor, up_filter: Tensor | None, down_filter: Tensor | None, bias: Tensor | None, spec: LreluSpec
) -> Tensor:
    """`ops.filtered_lrelu` for float16 and float32 on a GPU; contiguous. Raises `launcher.LaunchFailed`."""
    one = shapes.forward_pass((x.shape[2], x.shape[3]), spec) if x.ndim == 4 and x.numel() else None
    odd = bias is not None and bias.shape != x.shape[1:2]
    if one is None or odd or _differentiated(up_filter, down_filter) or _blocks(x, one) > _MAX_BLOCKS:
        return filtered_lrelu_torch(x, up_filter, down_filter, bias, spec)
    if up_filter is None and down_filter is None and spec.up == spec.down == 1 and not any(spec.padding):
        act = ActSpec(1, 'lrelu', spec.slope, spec.gain, spec.clamp, bias is not None, spec.needs_gradient)
        return bias_act(x, bias, act)  # there is nothing to filter
    filters = _prepared(up_filter), _prepared(down_filter)
    if not spec.needs_gradient:
        return _run(x, one, 0, spec, filters, bias=bias)
    half = x.dtype == torch.float16
    for some in (one, one.transposed()):  # what cannot be compiled must be known before the backward pass
        launcher.prepare(shapes.code_of(some, 2, half=half), x.device.index or 0)
    return _Forward.apply(x, bias, one, spec, filters)


Filters = tuple[Tensor | None, Tensor | None]
"""Up and down, float32, contiguous."""


class _Forward(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, one: Pass, spec: LreluSpec, filters: Filters) -> Tensor:
        planes, (height, width) = x.shape[0] * x.shape[1], one.grid
        bits = torch.empty(planes, height, (width + 3) // 4, dtype=torch.uint8, device=x.device)
        ctx.save_for_backward(bits)
        ctx.one, ctx.spec, ctx.filters, ctx.bias = one, spec, filters, None if bias is None else bias.dtype
        return _run(x, one, 1, spec, filters, bias=bias, bits=bits)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        (bits,) = ctx.saved_tensors
        gradient = _Masked.apply(*gradients, bits, ctx.one.transposed(), ctx.spec, ctx.filters)
        bias = gradient.sum([0, 2, 3], dtype=torch.float32).to(ctx.bias) if ctx.needs_input_grad[1] else None
        return gradient, bias, None, None, None


class _Masked(Function):
    """Linear in its first argument; its adjoint is the transposed pass over the same bits."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bits: Tensor, one: Pass, spec: LreluSpec, filters: Filters) -> Tensor:
        ctx.save_for_backward(bits)
        ctx.one, ctx.spec, ctx.filters = one, spec, filters
        return _run(x, one, 2, spec, filters, bits=bits)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        gradient = _Masked.apply(*gradients, *ctx.saved_tensors, ctx.one.transposed(), ctx.spec, ctx.filters)
        return gradient, None, None, None, None


def _run(
    x: Tensor,
    one: Pass,
    mode: Mode,
    spec: LreluSpec,
    filters: Filters,
    *,
    bias: Tensor | None = None,
    bits: Tensor | None = None,
) -> Tensor:
    """One pass over `x` [batch, channels, height, width]."""
    if x.stride(3) != 1:
        x = x.contiguous()  # neighbouring threads read neighbouring columns
    bias = None if bias is None else bias.to(torch.float32).contiguous()
    y = torch.empty(*x.shape[:2], *one.size_out, dtype=x.dtype, device=x.device)
    up, down = reversed(filters) if one.is_swapped else filters
    tensors = (x, y, bias, up, down, bits)
    values = shapes.parameter(
        one,
        tuple(0 if given is None else given.data_ptr() for given in tensors),
        x.stride(),
        x.shape[1],
        gain=spec.gain * spec.up**2,
        slope=spec.slope,
        clamp=spec.clamp,
        has_bits=bits is not None,
    )
    code = shapes.code_of(one, mode, half=x.dtype == torch.float16)
    launcher.launch(code, _blocks(x, one), values, [given for given in tensors if given is not None])
    return y


def _blocks(x: Tensor, one: Pass) -> int:
    rows, columns = shapes.tiles_of(one)
    return x.shape[0] * x.shape[1] * rows * columns


def _prepared(f: Tensor | None) -> Tensor | None:
    return None if f is None else f.detach().to(torch.float32).contiguous()


def _differentiated(*filters: Tensor | None) -> bool:
    """Whether a gradient for a filter is wanted, which only the reference has."""
    return torch.is_grad_enabled() and any(f is not None and f.requires_grad for f in filters)

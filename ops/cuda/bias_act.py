"""Bias and activation by their CUDA kernel, with first and second derivatives."""

import struct
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ops.bias_act import ACTIVATIONS, ActSpec, bias_act_reference
from ops.cuda import launcher
from ops.cuda.code import THREADS, KernelCode

_LAYOUT = '5Qq2i3f4x'
_NUMBERS = tuple(ACTIVATIONS)
"""Their order is that of ACT in the kernel."""
_BENT = ('tanh', 'sigmoid', 'elu', 'selu', 'softplus', 'swish')
"""Second derivative other than zero."""
_ROUNDS = 4
"""Elements that a thread computes."""


def supports(spec: ActSpec) -> str | None:
    """Why the kernel does not run such calls; None if it does."""
    return None if spec.act in _NUMBERS else f'its kernel has no {spec.act}'


def bias_act(x: Tensor, b: Tensor | None, spec: ActSpec) -> Tensor:
    """`ops.bias_act` for float16 and float32 on a GPU; lies in memory as `x` if that is dense. Raises `launcher.LaunchFailed`."""
    if (b is not None and (b.ndim != 1 or b.shape[0] != x.shape[spec.dim])) or x.numel() == 0:
        return bias_act_reference(x, b, spec)
    if not spec.needs_gradient:
        return _run(0, spec, x, b)
    for order in (1, 2) if spec.act in _BENT else (1,):
        launcher.prepare(code_of(spec, order, half=x.dtype == torch.float16), x.device.index or 0)
    return _Forward.apply(x, b, spec)


def code_of(spec: ActSpec, order: int, *, half: bool) -> KernelCode:
    """The variant of the kernel."""
    constants = (('ACT', _NUMBERS.index(spec.act)), ('ORDER', order), ('HALF', int(half)))
    return KernelCode('bias_act', constants)


class _Forward(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, b: Tensor | None, spec: ActSpec) -> Tensor:
        ctx.save_for_backward(x, b)
        ctx.spec = spec
        return _run(0, spec, x, b)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, b = ctx.saved_tensors
        gradient = _Gradient.apply(*gradients, x, b, ctx.spec)
        return gradient, _of_bias(gradient, b, ctx.spec) if ctx.needs_input_grad[1] else None, None


class _Gradient(Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor, b: Tensor | None, spec: ActSpec) -> Tensor:
        ctx.save_for_backward(gradient, x, b)
        ctx.spec = spec
        return _run(1, spec, x, b, gradient)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *tangents: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        (gradient, x, b), spec = ctx.saved_tensors, ctx.spec
        by_gradient = _run(1, spec, x, b, *tangents)
        if spec.act not in _BENT or not any(ctx.needs_input_grad[1:3]):
            return by_gradient, None, None, None
        by_x = _run(2, spec, x, b, gradient, *tangents)
        return by_gradient, by_x, _of_bias(by_x, b, spec) if ctx.needs_input_grad[2] else None, None


def _of_bias(gradient: Tensor, b: Tensor, spec: ActSpec) -> Tensor:
    """Summed over every axis but the bias's."""
    others = [axis for axis in range(gradient.ndim) if axis != spec.dim % gradient.ndim]
    return gradient.sum(others, dtype=torch.float32).to(b.dtype) if others else gradient.to(b.dtype)


def _run(order: int, spec: ActSpec, x: Tensor, b: Tensor | None, *others: Tensor) -> Tensor:
    """The kernel over `x`, the gradient, the tangent: each as `x` lies in memory."""
    layout = torch.contiguous_format
    if x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        layout = torch.channels_last
    x, *same = (one.contiguous(memory_format=layout) for one in (x, *(one.to(x.dtype) for one in others)))
    b = None if b is None else b.detach().to(torch.float32).contiguous()
    y = torch.empty_like(x)
    tensors = [x, y, b, *same, *[None] * (2 - len(same))]
    values = struct.pack(
        _LAYOUT, *(0 if one is None else one.data_ptr() for one in tensors), x.numel(), x.stride(spec.dim), x.shape[spec.dim],
        spec.alpha, spec.gain, float('inf') if spec.clamp is None else spec.clamp,
    )  # fmt: skip
    blocks = min(-(-x.numel() // (THREADS * _ROUNDS)), 2**31 - 1)
    code = code_of(spec, order, half=x.dtype == torch.float16)
    launcher.launch(code, blocks, values, [one for one in tensors if one is not None])
    return y

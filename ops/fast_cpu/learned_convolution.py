"""Modulated 3x3 convolutions that learn: value and gradients by compiled kernels, for float32.

Derivatives of higher order, which only path length regularization needs, come from the same steps in plain torch.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.nn import Parameter

from ops.conv2d import ConvSpec, conv2d_reference
from ops.fast_cpu import library
from ops.fast_cpu.classic import finish
from ops.fast_cpu.convolution import convolve, prepared_now
from ops.fast_cpu.shapes import WeightGradientShape
from ops.fast_cpu.threads import NO_LIMIT, float_bits, run
from ops.fast_cpu.winograd_points import transform_matrix

_RESULT = 4
_TILES = 24
"""That are transformed at once."""
_FEWEST_CHANNELS = 8
_FEWEST_PIXELS = 900
"""Of a sample; with fewer, what is done once for the weights takes longer than what is gained. Measured."""
_NOTHING = (float_bits(1.0), float_bits(1.0), float_bits(NO_LIMIT))
"""An activation that changes nothing."""


def fits(x: Tensor, weight: Tensor, padding: tuple[int, int]) -> bool:
    """Whether `modulated` computes this convolution by kernels."""
    return (
        x.dtype == weight.dtype == torch.float32
        and type(x) in (Tensor, Parameter)
        and forward_ad._current_level < 0
        and x.ndim == 4
        and x.shape[0] > 0
        and x.shape[2] * x.shape[3] >= _FEWEST_PIXELS
        and weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= _FEWEST_CHANNELS
        and max(padding) <= 2
        and min(x.shape[2] + 2 * padding[0], x.shape[3] + 2 * padding[1]) >= 3
    )


def modulated(x: Tensor, weight: Tensor, factors: Tensor, scale: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """`x * factors` convolved by `weight`, times `scale`; with all derivatives, the channels of a pixel together.

    `x`: [batch, in, height, width].  `weight`: [out, in, 3, 3].  `factors`: [batch, in].  `scale`: [batch, out] or None.
    """
    if scale is None:
        scale = factors.new_ones(factors.shape[0], weight.shape[0])
    x = x.contiguous(memory_format=torch.channels_last)
    return _Modulated.apply(x, weight, factors.contiguous(), scale.contiguous(), padding)


def supports(x: Tensor, spec: ConvSpec) -> str | None:
    """None, or why these kernels do not run a plain convolution."""
    if not spec.needs_gradient:
        return 'it is for training'
    if x.dtype != torch.float32:
        return f'it computes in float32, not {str(x.dtype).removeprefix("torch.")}'
    if spec.stride > 1 or spec.groups > 1:
        return 'its kernels have a stride of 1 and one group'
    return None


def conv2d(x: Tensor, w: Tensor, spec: ConvSpec) -> Tensor:
    """`ops.conv2d` for float32 with gradients: 3x3 by kernels."""
    if x.ndim != 4 or w.ndim != 4 or w.shape[1] != x.shape[1] or not fits(x, w, spec.padding):
        return conv2d_reference(x, w, spec)
    return modulated(x, w, x.new_ones(x.shape[:2]), None, spec.padding)


def in_torch(x: Tensor, weight: Tensor, factors: Tensor, scale: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """The same in plain torch, for any type and weight."""
    x = (x * factors[:, :, None, None].to(x.dtype)).contiguous(memory_format=torch.channels_last)
    x = torch.conv2d(x, weight.to(x.dtype), padding=padding)
    return x if scale is None else x * scale[:, :, None, None]


class _Modulated(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, factors: Tensor, scale: Tensor, padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight, factors, scale)
        ctx.padding = padding
        y = _convolved(x, weight, factors, scale, padding)
        return in_torch(x, weight, factors, scale, padding) if y is None else y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[:4]
        if not torch.is_grad_enabled():
            found = _gradients(ctx.saved_tensors, gradients[0], ctx.padding, wanted)
            if found is not None:
                return (*found, None)
        with torch.enable_grad():
            given = tuple(one.view_as(one) for one in ctx.saved_tensors)  # so that no path leads from one to another
            x, weight, factors, scale = given
            y = in_torch(x, weight, factors, scale, ctx.padding)
            inputs = [one for one, is_wanted in zip(given, wanted, strict=True) if is_wanted]
            parts = iter(torch.autograd.grad(y, inputs, gradients[0], create_graph=True))
        return (*(next(parts) if is_wanted else None for is_wanted in wanted), None)


def _convolved(x: Tensor, weight: Tensor, factors: Tensor, scale: Tensor, padding: tuple[int, int]) -> Tensor | None:
    """By kernels, where they are there."""
    prepared = prepared_now(weight)
    kernel = None if prepared is None or prepared.shape is None else library.get(prepared.shape)
    if prepared is None or kernel is None:
        return None
    return finish(convolve(x, prepared, factors, padding, kernel), scale, None, None, _NOTHING)


def _gradients(
    saved: tuple[Tensor, Tensor, Tensor, Tensor], gradient: Tensor, padding: tuple[int, int], wanted: tuple[bool, ...]
) -> tuple[Tensor | None, ...] | None:
    """First derivatives by kernels; None where one is missing.

    Those of weights, factors and scale are sums of the same products of pixels.
    """
    x, weight, factors, scale = saved
    of_x = None
    if wanted[0]:
        turned = weight.flip([2, 3]).transpose(0, 1)
        of_x = _convolved(gradient, turned, scale, factors, (2 - padding[0], 2 - padding[1]))
        if of_x is None:
            return None
    if not any(wanted[1:]):
        return of_x, None, None, None
    products = _products(x, gradient, weight.shape, padding)
    if products is None:
        return None
    both = factors[:, None, :, None] * scale[:, None, None, :]
    channels_out, channels_in = weight.shape[:2]
    of_weight = (products * both).sum(0).permute(2, 1, 0).reshape(channels_out, channels_in, 3, 3)
    weighed = (products * weight.flatten(2).permute(2, 1, 0)).sum(1)  # [batch, in, out]
    of_factors = torch.bmm(weighed, scale[:, :, None]).squeeze(2)
    return of_x, of_weight, of_factors, torch.bmm(factors[:, None], weighed).squeeze(1)


def _products(x: Tensor, gradient: Tensor, size: torch.Size, padding: tuple[int, int]) -> Tensor | None:
    """Of each sample, the gradient of a plain convolution of `x` with respect to its weights, [batch, 9, in, out]."""
    wide = library.has_wide_vectors() and min(size[:2]) >= 16
    shape = WeightGradientShape(16 if wide else 8, 16 if wide else 12)
    kernel = library.get(shape)
    if kernel is None:
        return None
    x, gradient = (
        one if one.stride(1) == 1 else one.contiguous(memory_format=torch.channels_last) for one in (x, gradient)
    )
    channels_out, channels_in = size[:2]
    room_in = -(-channels_in // shape.rows) * shape.rows
    room_out = -(-channels_out // shape.lanes) * shape.lanes
    tiles_x = -(-gradient.shape[3] // _RESULT)
    tiles = -(-gradient.shape[2] // _RESULT) * tiles_x
    sums = x.new_zeros(x.shape[0], 36, room_in, room_out)
    fields = [x.data_ptr(), gradient.data_ptr(), sums.data_ptr(), *_strides(x), *x.shape[2:], *padding]
    fields += [*_strides(gradient), *gradient.shape[2:], channels_in, channels_out, room_in, room_out, tiles_x, tiles]
    run(kernel, x.shape[0], shape.scratch_floats(_TILES, room_in, room_out), [*fields, _TILES])
    taps = transform_matrix().float().t() @ sums.flatten(2)  # [batch, 9, room in * room out]
    return taps.view(-1, 9, room_in, room_out)[:, :, :channels_in, :channels_out]


def _strides(picture: Tensor) -> tuple[int, int, int]:
    """Of samples, rows and pixels, in floats."""
    sample, _, row, pixel = picture.stride()
    return sample, row, pixel

"""Filtered leaky ReLU and whole synthesis layers by compiled kernels, for pictures: float32, no gradients.

Each falls back to the polyphase version, or to the two operators that a layer consists of, while its kernels are being compiled.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.fast_cpu import library, polyphase
from ops.fast_cpu.convolution import convolve, modulate, prepared_weight, winograd_shape
from ops.fast_cpu.filter_call import FilterPlan, call_filter, plan_filter
from ops.fast_cpu.shapes import Shape
from ops.filtered_lrelu import LreluSpec
from ops.synthesis_layer import LayerSpec, synthesis_layer_reference

_MAX_REMEMBERED = 1024


@dataclass(slots=True)
class _Memory:
    """The one owner of why calls like those seen before cannot use kernels now."""

    reasons: dict[object, str | Shape] = field(default_factory=dict)
    """By spec: a sentence, or the kernel that is not there yet."""


_memory = _Memory()


def supports(x: Tensor, spec: Any) -> str | None:
    """None, or why compiled kernels do not run this call."""
    lrelu = spec.lrelu if isinstance(spec, LayerSpec) else spec
    if lrelu.needs_gradient:
        return 'its kernels have no gradients'
    if x.dtype != torch.float32:
        return f'its kernels compute in float32, not {str(x.dtype).removeprefix("torch.")}'
    known = _memory.reasons.get(spec)
    if known is None or isinstance(known, str):
        return known
    reason = library.why_not(known)
    if reason is None:
        del _memory.reasons[spec]
    return reason


def filtered_lrelu(
    x: Tensor, up_filter: Tensor | None, down_filter: Tensor | None, bias: Tensor | None, spec: LreluSpec
) -> Tensor:
    """`ops.filtered_lrelu` by its kernel."""
    if x.ndim == 4 and (bias is None or bias.shape == x.shape[1:2]):
        planar = not (x.stride(1) == 1 and x.stride(3) != 1)
        plan = plan_filter(x.shape, up_filter, down_filter, spec, planar=planar, threads=torch.get_num_threads())
        kernel = _kernel(plan, spec)
        if kernel is not None and isinstance(plan, FilterPlan):
            bias = None if bias is None else bias.to(torch.float32).contiguous()
            return call_filter(plan, kernel, x.contiguous() if planar else x, bias, None)
    return polyphase.filtered_lrelu(x, up_filter, down_filter, bias, spec)


def synthesis_layer(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    input_gain: Tensor | None,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    bias: Tensor,
    spec: LayerSpec,
) -> Tensor:
    """`ops.synthesis_layer` by kernels."""
    arguments = (x, weight, styles, input_gain, up_filter, down_filter, bias, spec)
    if not _fits(x, weight, styles, bias):
        return synthesis_layer_reference(*arguments)
    lrelu, padding = spec.lrelu, spec.modulation.padding
    winograd = winograd_shape(*weight.shape)
    convolution = None if winograd is None else library.get(winograd)
    if winograd is not None and convolution is None:
        _remember(spec, winograd)
        return synthesis_layer_reference(*arguments)
    if up_filter is None and down_filter is None and lrelu.up == lrelu.down == 1 and not any(lrelu.padding):
        return _bare(_convolved(x, weight, styles, input_gain, spec, convolution), bias, lrelu)
    size = (x.shape[2] + 2 * padding[0] - weight.shape[2] + 1, x.shape[3] + 2 * padding[1] - weight.shape[3] + 1)
    shape = (x.shape[0], weight.shape[0], *size)
    plan = plan_filter(shape, up_filter, down_filter, lrelu, planar=False, threads=torch.get_num_threads())
    kernel = _kernel(plan, spec)
    if kernel is None or not isinstance(plan, FilterPlan):
        return synthesis_layer_reference(*arguments)
    y, scale = _convolved(x, weight, styles, input_gain, spec, convolution)
    return call_filter(plan, kernel, y, bias.to(torch.float32).contiguous(), scale)


def _fits(x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor) -> bool:
    """Whether the shapes are right; if not, the reference says what is wrong."""
    return (
        x.ndim == 4
        and x.numel() > 0
        and weight.ndim == 4
        and weight.shape[1] == x.shape[1]
        and styles.shape == x.shape[:2]
        and bias.shape == weight.shape[:1]
        and weight.dtype == styles.dtype == torch.float32
    )


def _kernel(plan: FilterPlan | str, spec: object) -> Any:
    """The kernel of a plan; None where it is not there, which is remembered."""
    if isinstance(plan, str):
        _remember(spec, plan)
        return None
    kernel = library.get(plan.shape)
    if kernel is None:
        _remember(spec, plan.shape)
    return kernel


def _remember(spec: object, reason: 'str | Shape') -> None:
    if len(_memory.reasons) < _MAX_REMEMBERED:
        _memory.reasons[spec] = reason


def _convolved(
    x: Tensor, weight: Tensor, styles: Tensor, input_gain: Tensor | None, spec: LayerSpec, kernel: Any
) -> tuple[Tensor, Tensor | None]:
    """The convolution without demodulation, and the factors [batch, out] that demodulate it."""
    prepared = prepared_weight(weight, demodulate=spec.modulation.demodulate)
    factors, scale = modulate(styles, input_gain, prepared)
    if x.stride(1) != 1:
        x = x.contiguous(memory_format=torch.channels_last)
    return convolve(x, prepared, factors.expand(x.shape[0], -1).contiguous(), spec.modulation.padding, kernel), scale


def _bare(convolved: tuple[Tensor, Tensor | None], bias: Tensor, spec: LreluSpec) -> Tensor:
    """Bias, activation, gain and clamp where nothing is filtered."""
    x, scale = convolved
    x = x * scale[:, :, None, None] if scale is not None else x
    x = x + bias[:, None, None]
    if spec.slope != 1:
        F.leaky_relu_(x, spec.slope)
    if spec.gain != 1:
        x *= spec.gain
    return x if spec.clamp is None else x.clamp_(-spec.clamp, spec.clamp)

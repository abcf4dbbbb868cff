"""Modulated convolutions of 3x3 and 1x1 by compiled kernels, for pictures: float32, no gradients."""

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from ops.fast_cpu import library
from ops.fast_cpu.classic import finish, finish_shape
from ops.fast_cpu.convolution import FEWEST_PIXELS, convolve, modulate, prepared_weight
from ops.fast_cpu.filter_call import is_planar
from ops.fast_cpu.threads import NO_LIMIT, float_bits
from ops.modulated_conv2d import ModulationSpec, modulated_conv2d_reference

_FEWEST_CHANNELS = 4
_NOTHING = (float_bits(1.0), float_bits(1.0), float_bits(NO_LIMIT))
"""An activation that changes nothing."""


def supports(x: Tensor, spec: ModulationSpec) -> str | None:
    """None, or why compiled kernels do not run this call."""
    if spec.needs_gradient or forward_ad._current_level >= 0:
        return 'gradients are asked for'
    if type(x) not in (Tensor, Parameter):
        return f'its kernels take plain tensors, not a {type(x).__name__}'
    if x.dtype != torch.float32:
        return f'its kernels compute in float32, not {str(x.dtype).removeprefix("torch.")}'
    pointwise = spec.weight_shape[2:] == (1, 1)
    if spec.weight_shape[2:] != (3, 3) and not (pointwise and not any(spec.padding)):
        return 'its kernels are for weights of 3x3, or of 1x1 without padding'
    if min(spec.weight_shape[:2]) < _FEWEST_CHANNELS:
        return f'its kernels need {_FEWEST_CHANNELS} channels or more'
    if x.ndim == 4 and pointwise and x.shape[2] * x.shape[3] < FEWEST_PIXELS:
        return f'its kernel for weights of 1x1 needs {FEWEST_PIXELS} pixels or more'
    if x.ndim == 4 and pointwise and is_planar(x):
        return 'its kernel for weights of 1x1 wants the channels of a pixel together'  # else torch is faster
    return library.why_not(finish_shape(spec.weight_shape[0]))


def modulated_conv2d(
    x: Tensor, weight: Tensor, styles: Tensor, input_gain: Tensor | None, spec: ModulationSpec
) -> Tensor:
    """`ops.modulated_conv2d` by kernels, the channels of a pixel together."""
    result = _by_kernels(x, weight, styles, input_gain, spec) if _fits(x, weight, styles, input_gain, spec) else None
    return modulated_conv2d_reference(x, weight, styles, input_gain, spec) if result is None else result


def _by_kernels(
    x: Tensor, weight: Tensor, styles: Tensor, input_gain: Tensor | None, spec: ModulationSpec
) -> Tensor | None:
    prepared = prepared_weight(weight, demodulate=spec.demodulate, activated=False)
    kernel = None if prepared.shape is None else library.get(prepared.shape)
    if kernel is None:
        return None
    factors, scale = modulate(styles, input_gain, prepared, demodulate=spec.demodulate)
    if scale is None:
        scale = styles.new_ones(styles.shape[0], weight.shape[0])
    return finish(convolve(x, prepared, factors, spec.padding, kernel), scale, None, None, _NOTHING)


def _fits(x: Tensor, weight: Tensor, styles: Tensor, input_gain: Tensor | None, spec: ModulationSpec) -> bool:
    """Whether the shapes are right and usual; if not, the reference computes, or says what is wrong."""
    if (
        x.ndim != 4
        or x.numel() == 0
        or weight.ndim != 4
        or weight.shape[1] != x.shape[1]
        or styles.shape != x.shape[:2]
    ):
        return False
    grown = (
        size + 2 * more - side + 1 for size, more, side in zip(x.shape[2:], spec.padding, weight.shape[2:], strict=True)
    )
    others = [one for one in (weight, styles, input_gain) if one is not None]
    return min(grown) > 0 and all(one.dtype == torch.float32 and one.device == x.device for one in others)

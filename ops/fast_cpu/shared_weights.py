"""Modulated convolution for training: one set of weights for the whole batch, the style on the input and on the output.

The reference scales the weights, one set per sample; as scaling and convolving are linear, both give the same up to rounding.
That is about twice as fast as a convolution of as many groups as samples; 3x3 weights in float32 are convolved by kernels besides. All
has derivatives of any order.
"""

import torch
from torch import Tensor

from ops.fast_cpu import learned_convolution, modulated
from ops.modulated_conv2d import ModulationSpec

_EPSILON = 1e-8


def supports(x: Tensor, spec: ModulationSpec) -> str | None:
    """None, or why this version does not run the call."""
    if x.dtype not in (torch.float32, torch.float64):
        return f'it computes in float32 and float64, not {str(x.dtype).removeprefix("torch.")}'
    if not spec.needs_gradient:
        return modulated.supports(x, spec) or 'it is for training'  # the reason that matters is the kernels'
    return None


def modulated_conv2d(
    x: Tensor, weight: Tensor, styles: Tensor, input_gain: Tensor | None, spec: ModulationSpec
) -> Tensor:
    """As `ops.modulated_conv2d`, the channels of a pixel together."""
    scale = None
    if spec.demodulate:
        weight = weight * weight.square().mean([1, 2, 3], keepdim=True).rsqrt()
        styles = styles * styles.square().mean().rsqrt()
        scale = (styles.square() @ weight.square().sum([2, 3]).t() + _EPSILON).rsqrt()
    factors = styles if input_gain is None else styles * input_gain
    by_kernels = learned_convolution.fits(x, weight, spec.padding)
    compute = learned_convolution.modulated if by_kernels else learned_convolution.in_torch
    return compute(x, weight, factors.expand(x.shape[:2]), scale, spec.padding)

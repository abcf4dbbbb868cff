"""Modulated convolution for training: one set of weights for the whole batch, the style on the input and on the output.

The reference scales the weights, one set per sample; as scaling and convolving are linear, both give the same up to rounding.
Plain torch, so it has derivatives of any order. About twice as fast as a convolution of as many groups as samples.
"""

import torch
from torch import Tensor

from ops.modulated_conv2d import ModulationSpec

_EPSILON = 1e-8


def supports(x: Tensor, spec: ModulationSpec) -> str | None:
    """None, or why this version does not run the call."""
    if x.dtype not in (torch.float32, torch.float64):
        return f'it computes in float32 and float64, not {str(x.dtype).removeprefix("torch.")}'
    if not spec.needs_gradient:
        return 'it is for training'
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
    x = (x * factors[:, :, None, None].to(x.dtype)).contiguous(memory_format=torch.channels_last)
    x = torch.conv2d(x, weight.to(x.dtype), padding=spec.padding)
    return x if scale is None else x * scale[:, :, None, None]

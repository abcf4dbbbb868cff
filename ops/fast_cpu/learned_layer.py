"""StyleGAN2's layers that keep the rate and learn: the style on the convolution's input and output, by its kernels, for float32."""

import torch
from torch import Tensor

from ops.bias_act import bias_act
from ops.classic_layer import ClassicSpec, classic_layer_reference
from ops.fast_cpu import classic, learned_convolution

_EPSILON = 1e-8


def supports(x: Tensor, spec: ClassicSpec) -> str | None:
    """None, or why this version does not run the call."""
    if not spec.needs_gradient:
        return classic.supports(x, spec) or 'it is for training'  # the reason that matters is the kernels'
    if spec.up > 1 or spec.weight_shape[2:] != (3, 3):
        return 'gradients are asked for, and its kernels for them are for weights of 3x3 at the same rate'
    if x.dtype != torch.float32:
        return f'it computes in float32, not {str(x.dtype).removeprefix("torch.")}'
    return None


def classic_layer(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor | None,
    noise: Tensor | None,
    resample_filter: Tensor | None,
    spec: ClassicSpec,
) -> Tensor:
    """`ops.classic_layer` with all derivatives."""
    fits = x.ndim == 4 and weight.shape[1] == x.shape[1] and styles.shape == x.shape[:2]
    if not fits or not learned_convolution.fits(x, weight, (1, 1)):
        return classic_layer_reference(x, weight, styles, bias, noise, resample_filter, spec)
    scale = None
    if spec.demodulate:
        scale = (styles.square() @ weight.square().sum([2, 3]).t() + _EPSILON).rsqrt()
    y = learned_convolution.modulated(x, weight, styles, scale, (1, 1))
    y = y if noise is None else y + noise
    return bias_act(y, bias, act='lrelu', alpha=spec.slope, gain=spec.gain, clamp=spec.clamp)

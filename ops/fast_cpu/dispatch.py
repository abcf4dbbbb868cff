"""Offers the fast CPU implementations to `ops.backend`: compiled kernels first, then plain torch."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ops.backend import Supports, implements
from ops.fast_cpu import (
    classic,
    classic_picture,
    compiled,
    differentiable,
    learned_convolution,
    learned_layer,
    library,
    modulated,
    shared_weights,
    waves,
)

_KERNELS, _PLAIN = 10, 0
"""Priorities."""


def register() -> None:
    """Make the implementations known."""
    implements('synthesis_layer', 'cpu', with_kernels(compiled.supports), _KERNELS)(compiled.synthesis_layer)
    implements('classic_layer', 'cpu', with_kernels(classic.supports), _KERNELS)(classic.classic_layer)
    implements('add_upsampled', 'cpu', with_kernels(classic_picture.supports), _KERNELS)(classic_picture.add_upsampled)
    implements('filtered_lrelu', 'cpu', with_kernels(compiled.supports), _KERNELS)(compiled.filtered_lrelu)
    implements('upfirdn2d', 'cpu', with_kernels(compiled.supports), _KERNELS)(compiled.upfirdn2d)
    implements('modulated_conv2d', 'cpu', with_kernels(modulated.supports), _KERNELS)(modulated.modulated_conv2d)
    implements('fourier_features', 'cpu', with_kernels(waves.supports), _KERNELS)(waves.fourier_features)
    implements('modulated_conv2d', 'cpu', shared_weights.supports, _PLAIN)(shared_weights.modulated_conv2d)
    implements('classic_layer', 'cpu', learned_layer.supports, _PLAIN)(learned_layer.classic_layer)
    implements('conv2d', 'cpu', learned_convolution.supports, _PLAIN)(learned_convolution.conv2d)
    implements('filtered_lrelu', 'cpu', supports, _PLAIN, is_plain=is_plain)(differentiable.filtered_lrelu)
    implements('upfirdn2d', 'cpu', supports, _PLAIN, is_plain=is_plain)(differentiable.upfirdn2d)


def with_kernels(supports: Supports) -> Supports:
    """`supports`, and where nothing can be compiled at all, that: else the first calls would pass for those of kernels."""
    return lambda x, spec: supports(x, spec) or library.unusable()


def supports(x: Tensor, spec: Any) -> str | None:
    """None, or why the versions in plain torch do not run this call."""
    if forward_ad._current_level >= 0:
        return 'it has no forward derivatives'
    if x.dtype not in (torch.float32, torch.float64):
        return f'it computes in float32 and float64, not {str(x.dtype).removeprefix("torch.")}'
    return None


def is_plain(spec: Any) -> bool:
    """Whether those versions run a call with this spec in plain torch; with gradients, kernels do what they can."""
    return not spec.needs_gradient or library.unusable() is not None

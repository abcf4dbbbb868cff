"""Convolution whose weights are scaled by a style, per sample (Karras et al. 2020, Sec. 2.2; 2021, Appendix F)."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from ops.backend import implements, needs_gradient, pick
from ops.conv2d_resample import conv2d_resample
from ops.upfirdn2d import Padding

_EPSILON = 1e-8


@dataclass(frozen=True, slots=True)
class ModulationSpec:
    """Everything about one call except its tensors; usable as a key."""

    demodulate: bool
    padding: tuple[int, int]
    """Rows above and below, columns left and right."""
    weight_shape: tuple[int, ...]
    has_input_gain: bool
    needs_gradient: bool


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool = True,
    padding: int | tuple[int, int] = 0,
    input_gain: Tensor | None = None,
) -> Tensor:
    """Convolution with style-modulated weights, StyleGAN3's form.

    `x`: [batch, in channels, height, width].  `weight`: [out channels, in channels, kernel height, kernel width].
    `styles`: [batch, in channels].  `padding`: a number or (rows, columns).  `input_gain`: factor for the input
    that demodulation does not see; scalar, [in channels] or [batch, in channels].
    Returns [batch, out channels, height + 2 * rows - kernel height + 1, likewise the width].
    """
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    spec = ModulationSpec(
        demodulate,
        (rows, columns),
        tuple(weight.shape),
        input_gain is not None,
        needs_gradient(x, weight, styles, input_gain),
    )
    return pick('modulated_conv2d', x, spec)(x, weight, styles, input_gain, spec)


@implements('modulated_conv2d', 'reference')
def modulated_conv2d_reference(
    x: Tensor, weight: Tensor, styles: Tensor, input_gain: Tensor | None, spec: ModulationSpec
) -> Tensor:
    """The truth in plain torch: any device, any float type, any order of derivative."""
    _check(x, weight, styles)
    if spec.demodulate:  # no effect but through epsilon, and on the range of float16; one mean for the whole batch
        weight = weight * weight.square().mean([1, 2, 3], keepdim=True).rsqrt()
        styles = styles * styles.square().mean().rsqrt()
    weight = _modulate(weight, styles, demodulate=spec.demodulate)
    if input_gain is not None:
        weight = weight * input_gain.expand(x.shape[0], x.shape[1])[:, None, :, None, None]
    samples, channels = x.shape[:2]
    x = torch.conv2d(
        x.reshape(1, samples * channels, *x.shape[2:]),
        weight.reshape(-1, *weight.shape[2:]).to(x.dtype),
        padding=spec.padding,
        groups=samples,
    )
    return x.reshape(samples, -1, *x.shape[2:])


def modulated_conv2d_resample(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    noise: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    resample_filter: Tensor | None = None,
    demodulate: bool = True,
    flip_weight: bool = True,
    fused: bool = True,
) -> Tensor:
    """Convolution with style-modulated weights and resampling, then plus noise: StyleGAN2's form.

    `x`, `weight`, `styles`: as for `modulated_conv2d`.  `noise`: broadcastable to the result.  `up`, `down`, `padding`,
    `resample_filter`, `flip_weight`: as for `conv2d_resample`.  `fused`: scale the weights, one set per sample; else
    scale the input and the output, which gives the same up to rounding and shares the weights (faster for batches).
    """
    _check(x, weight, styles)
    if x.dtype == torch.float16 and demodulate:  # keeps the sums in range (Karras et al. 2020 b, Appendix B)
        peak = weight.abs().amax([1, 2, 3], keepdim=True)
        weight = weight / (peak * sqrt(weight[0].numel()))
        styles = styles / styles.abs().amax(1, keepdim=True)
    options = {'up': up, 'down': down, 'padding': padding, 'flip_weight': flip_weight}
    if not fused:
        scale = None
        if demodulate:
            scale = _modulate(weight, styles, demodulate=False).square().sum([2, 3, 4]).add(_EPSILON).rsqrt()
            scale = scale.to(x.dtype)[:, :, None, None]
        x = x * styles.to(x.dtype)[:, :, None, None]
        x = conv2d_resample(x, weight.to(x.dtype), resample_filter, **options)
        return _scale_and_add(x, scale, noise)
    weight = _modulate(weight, styles, demodulate=demodulate).to(x.dtype)
    samples, channels = x.shape[:2]
    x = x.reshape(1, samples * channels, *x.shape[2:])
    x = conv2d_resample(x, weight.reshape(-1, *weight.shape[2:]), resample_filter, groups=samples, **options)
    return _scale_and_add(x.reshape(samples, -1, *x.shape[2:]), None, noise)


def _check(x: Tensor, weight: Tensor, styles: Tensor) -> None:
    if x.ndim != 4 or weight.ndim != 4 or weight.shape[1] != x.shape[1] or styles.shape != x.shape[:2]:
        raise ValueError(
            'a modulated convolution needs x [batch, in, height, width], weight [out, in, rows, columns] and styles '
            f'[batch, in], got {tuple(x.shape)}, {tuple(weight.shape)} and {tuple(styles.shape)}'
        )


def _modulate(weight: Tensor, styles: Tensor, *, demodulate: bool) -> Tensor:
    """Weights per sample, [batch, out, in, rows, columns]; demodulated to unit expected output variance if asked (Eq. 1, 3)."""
    weight = weight * styles[:, None, :, None, None]
    if demodulate:
        weight = weight * (weight.square().sum([2, 3, 4], keepdim=True) + _EPSILON).rsqrt()
    return weight


def _scale_and_add(x: Tensor, scale: Tensor | None, noise: Tensor | None) -> Tensor:
    if noise is not None:
        noise = noise.to(x.dtype)
        return x + noise if scale is None else torch.addcmul(noise, x, scale)
    return x if scale is None else x * scale

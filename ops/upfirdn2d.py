"""Upsample, filter, downsample: the resampling step that every other operator is made of.

Karras et al. 2020 and 2021 (StyleGAN2, StyleGAN3): insert zeros, pad or crop, convolve with a finite impulse response,
keep every n-th sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.backend import implements, needs_gradient, pick

Factor = int | Sequence[int]
"""One number for both axes, or (x, y)."""
Padding = int | Sequence[int]
"""One number, or (x, y), or (left, right, top, bottom); negative = crop."""
Sides = tuple[int, int, int, int]
"""Padding as left, right, top, bottom."""


@dataclass(frozen=True, slots=True)
class FirSpec:
    """Everything about one call except its tensors; usable as a key."""

    up: tuple[int, int]
    """(x, y)."""
    down: tuple[int, int]
    """(x, y)."""
    padding: Sides
    """Left, right, top, bottom, in samples of the upsampled signal."""
    flip_filter: bool
    gain: float
    filter_shape: tuple[int, ...]
    """() = no filter, (taps,) = separable, (height, width) = full."""
    needs_gradient: bool


def parse_factor(factor: Factor) -> tuple[int, int]:
    """A resampling factor as (x, y); raises `ValueError` below 1."""
    x, y = (factor, factor) if isinstance(factor, int) else (int(factor[0]), int(factor[1]))
    if x < 1 or y < 1:
        raise ValueError(f'a resampling factor must be 1 or more, got {factor}')
    return x, y


def parse_padding(padding: Padding) -> Sides:
    """Padding as (left, right, top, bottom)."""
    if isinstance(padding, int):
        return padding, padding, padding, padding
    values = tuple(int(value) for value in padding)
    if len(values) == 2:
        return values[0], values[0], values[1], values[1]
    if len(values) != 4:
        raise ValueError(f'padding must be one number, (x, y) or (left, right, top, bottom), got {padding}')
    return values


def filter_size(f: Tensor | None) -> tuple[int, int]:
    """Width and height of a filter in taps; (1, 1) for None."""
    return (1, 1) if f is None else (f.shape[-1], f.shape[0])


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    *,
    up: Factor = 1,
    down: Factor = 1,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Resampled signal: `up`-fold zero insertion, padding, convolution with `f`, every `down`-th sample.

    `x`: [batch, channels, height, width].  `f`: [taps] (applied along both axes, each with the square root of `gain`),
    [height, width], or None for the identity.  `up`, `down`: a number or (x, y).  `padding`: a number, (x, y) or (left,
    right, top, bottom) in upsampled samples; negative crops.  `flip_filter`: correlate instead of convolve.
    Returns [batch, channels, (height * up + top + bottom - filter height) // down + 1, likewise the width].
    """
    spec = FirSpec(
        parse_factor(up),
        parse_factor(down),
        parse_padding(padding),
        flip_filter,
        gain,
        () if f is None else tuple(f.shape),
        needs_gradient(x, f),
    )
    return pick('upfirdn2d', x, spec)(x, f, spec)


@implements('upfirdn2d', 'reference')
def upfirdn2d_reference(x: Tensor, f: Tensor | None, spec: FirSpec) -> Tensor:
    """The definition, step by step: insert zeros, pad, convolve at the high rate, keep every n-th sample.

    Any device, any float type, any order of derivative. Slow on purpose: every product with an inserted zero is computed.
    """
    _check(x, f)
    x = _insert_zeros_and_pad(x, spec.up, spec.padding)
    if f is None:
        x = x if spec.gain == 1 else x * spec.gain
    else:
        taps = _taps(f, spec).to(x.dtype)
        x = _correlate(x, taps) if f.ndim == 2 else _correlate(_correlate(x, taps[None, :]), taps[:, None])
    return x[:, :, :: spec.down[1], :: spec.down[0]]


@implements('upfirdn2d', 'torch')
def upfirdn2d_torch(x: Tensor, f: Tensor | None, spec: FirSpec) -> Tensor:
    """The same by strided convolutions, one axis after the other: samples to be dropped are not computed, and there are
    fewer zeros. Any device, any float type, any order of derivative."""
    _check(x, f)
    (up_x, up_y), (down_x, down_y), (left, right, top, bottom) = spec.up, spec.down, spec.padding
    if f is None:
        x = _insert_zeros_and_pad(x, spec.up, spec.padding)[:, :, ::down_y, ::down_x]
        return x if spec.gain == 1 else x * spec.gain
    taps = _taps(f, spec).to(x.dtype)
    if f.ndim == 2:
        return _correlate(_insert_zeros_and_pad(x, spec.up, spec.padding), taps, stride=(down_y, down_x))
    x = _correlate(_insert_zeros_and_pad(x, (up_x, 1), (left, right, 0, 0)), taps[None, :], stride=(1, down_x))
    return _correlate(_insert_zeros_and_pad(x, (1, up_y), (0, 0, top, bottom)), taps[:, None], stride=(down_y, 1))


def filter2d(
    x: Tensor, f: Tensor | None, *, padding: Padding = 0, flip_filter: bool = False, gain: float = 1.0
) -> Tensor:
    """Filtered signal of the same size (plus `padding`), aligned to its input.  Arguments as `upfirdn2d`."""
    left, right, top, bottom = parse_padding(padding)
    width, height = filter_size(f)
    around = (left + width // 2, right + (width - 1) // 2, top + height // 2, bottom + (height - 1) // 2)
    return upfirdn2d(x, f, padding=around, flip_filter=flip_filter, gain=gain)


def upsample2d(
    x: Tensor,
    f: Tensor | None,
    *,
    up: Factor = 2,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Signal with `up` times the samples over the same extent; arguments as `upfirdn2d`.

    Zero insertion divides the mean by the number of new samples, so the filter gets that as gain.
    """
    up_x, up_y = parse_factor(up)
    around = add_padding(parse_padding(padding), padding_for_up(f, (up_x, up_y)))
    return upfirdn2d(x, f, up=(up_x, up_y), padding=around, flip_filter=flip_filter, gain=gain * up_x * up_y)


def downsample2d(
    x: Tensor,
    f: Tensor | None,
    *,
    down: Factor = 2,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Signal with every `down`-th of the samples, over the same extent; arguments as `upfirdn2d`."""
    factors = parse_factor(down)
    around = add_padding(parse_padding(padding), padding_for_down(f, factors))
    return upfirdn2d(x, f, down=factors, padding=around, flip_filter=flip_filter, gain=gain)


def padding_for_up(f: Tensor | None, up: tuple[int, int]) -> Sides:
    """Padding that makes upsampling by `up` = (x, y) with `f` return exactly `up` times the size, centred."""
    width, height = filter_size(f)
    return (width + up[0] - 1) // 2, (width - up[0]) // 2, (height + up[1] - 1) // 2, (height - up[1]) // 2


def padding_for_down(f: Tensor | None, down: tuple[int, int]) -> Sides:
    """Padding that makes downsampling by `down` = (x, y) with `f` return the size divided by `down`, centred."""
    width, height = filter_size(f)
    return (width - down[0] + 1) // 2, (width - down[0]) // 2, (height - down[1] + 1) // 2, (height - down[1]) // 2


def add_padding(a: Sides, b: Sides) -> Sides:
    """Sum of two paddings, side by side."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


def _insert_zeros_and_pad(x: Tensor, up: tuple[int, int], padding: Sides) -> Tensor:
    """`up - 1` zeros after every sample, also after the last; then `padding` samples more (or fewer) on each side."""
    batch, channels, height, width = x.shape
    if up != (1, 1):
        x = F.pad(x.reshape(batch, channels, height, 1, width, 1), (0, up[0] - 1, 0, 0, 0, up[1] - 1))
        x = x.reshape(batch, channels, height * up[1], width * up[0])
    if padding == (0, 0, 0, 0):
        return x
    left, right, top, bottom = padding
    if x.shape[2] + top + bottom < 1 or x.shape[3] + left + right < 1:
        raise ValueError(f'padding {padding} leaves nothing of a signal of {x.shape[3]} x {x.shape[2]} samples')
    return F.pad(x, padding)


def _check(x: Tensor, f: Tensor | None) -> None:
    if x.ndim != 4:
        raise ValueError(f'upfirdn2d needs [batch, channels, height, width], got {tuple(x.shape)}')
    if f is not None and f.ndim not in (1, 2):
        raise ValueError(f'a filter must be [taps] or [height, width], got {tuple(f.shape)}')


def _taps(f: Tensor, spec: FirSpec) -> Tensor:
    """The taps with their part of the gain, in the order in which torch multiplies them."""
    taps = f * spec.gain ** (f.ndim / 2)
    return taps if spec.flip_filter else taps.flip(list(range(f.ndim)))  # torch correlates; a filter convolves


def _correlate(x: Tensor, taps: Tensor, stride: tuple[int, int] = (1, 1)) -> Tensor:
    """Correlation of every channel with the same [height, width] taps, without padding."""
    if x.shape[2] < taps.shape[0] or x.shape[3] < taps.shape[1]:
        raise ValueError(f'the padded signal {tuple(x.shape[2:])} is smaller than the filter {tuple(taps.shape)}')
    weight = taps.expand(x.shape[1], 1, *taps.shape)
    return torch.conv2d(x, weight, stride=stride, groups=x.shape[1])

"""Convolution joined with resampling by a filter, as in StyleGAN2 (Karras et al. 2020, Appendix B)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.conv2d import conv2d
from ops.upfirdn2d import Padding, Sides, add_padding, padding_for_down, padding_for_up, parse_padding, upfirdn2d


def conv2d_resample(
    x: Tensor,
    w: Tensor,
    f: Tensor | None = None,
    *,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
) -> Tensor:
    """Upsample by `up` with `f`, convolve with `w`, downsample by `down` with `f`: `up` / `down` times the size.

    `x`: [batch, in channels, height, width].  `w`: [out channels, in channels / groups, kernel height, kernel width].
    `f`: as for `upfirdn2d`.  `padding`: in samples of the upsampled signal; (kernel - 1) / 2 keeps the size.
    `flip_weight`: True = correlation, what torch calls convolution; False = convolution.

    The three steps are linear and shift-invariant, so they are reordered to convolve where there are fewest samples.
    """
    around = parse_padding(padding)
    if up > 1:
        around = add_padding(around, padding_for_up(f, (up, up)))
    if down > 1:
        around = add_padding(around, padding_for_down(f, (down, down)))
    if not flip_weight:
        w = w.flip([2, 3])
    pointwise = w.shape[2] == w.shape[3] == 1

    if up > 1:
        if pointwise:
            x = upfirdn2d(_convolve(x, w, groups=groups), f, up=up, padding=around, flip_filter=flip_filter, gain=up**2)
        else:
            x = _zero_insert_and_convolve(x, w, up=up, groups=groups)
            x = upfirdn2d(x, f, padding=_rest(around, w, up), flip_filter=flip_filter, gain=up**2)
        return x if down == 1 else upfirdn2d(x, f, down=down, flip_filter=flip_filter)
    if down > 1 and pointwise:
        x = upfirdn2d(x, f, down=down, padding=around, flip_filter=flip_filter)
        return _convolve(x, w, groups=groups)
    if down > 1:
        x = upfirdn2d(x, f, padding=around, flip_filter=flip_filter)
        return _convolve(x, w, stride=down, groups=groups)
    return _convolve(x, w, around, groups=groups)


def _convolve(x: Tensor, w: Tensor, padding: Sides = (0, 0, 0, 0), *, stride: int = 1, groups: int = 1) -> Tensor:
    left, right, top, bottom = padding
    if left == right >= 0 and top == bottom >= 0:
        return conv2d(x, w, stride=stride, padding=(top, left), groups=groups)
    return conv2d(F.pad(x, padding), w, stride=stride, groups=groups)


def _rest(padding: Sides, w: Tensor, up: int) -> Sides:
    """Padding still missing behind `_zero_insert_and_convolve`, which has gone beyond the signal by itself."""
    left, right, top, bottom = padding
    height, width = w.shape[2:]
    return left + 1 - width, right + up - width, top + 1 - height, bottom + up - height


def _zero_insert_and_convolve(x: Tensor, w: Tensor, *, up: int, groups: int) -> Tensor:
    """Full correlation of the zero-inserted signal, [.., (height - 1) * up + kernel height, ..]: a transposed convolution."""
    out_channels, in_per_group = w.shape[:2]
    w = w.flip([2, 3]).reshape(groups, out_channels // groups, in_per_group, *w.shape[2:])
    w = w.transpose(1, 2).reshape(groups * in_per_group, out_channels // groups, *w.shape[3:])
    return torch.conv_transpose2d(x, w, stride=up, groups=groups)

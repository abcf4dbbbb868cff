"""Convolution joined with resampling by a filter, as in StyleGAN2 (Karras et al. 2020, Appendix B)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.upfirdn2d import Padding, padding_for_down, padding_for_up, parse_padding, upfirdn2d


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
    kernel_height, kernel_width = w.shape[2:]
    around = parse_padding(padding)
    if up > 1:
        around = _add(around, padding_for_up(f, (up, up)))
    if down > 1:
        around = _add(around, padding_for_down(f, (down, down)))
    if not flip_weight:
        w = w.flip([2, 3])

    if up == 1 and down == 1:
        return _convolve(x, w, around, groups=groups)
    pointwise = kernel_height == 1 and kernel_width == 1
    if up == 1:
        if pointwise:
            x = upfirdn2d(x, f, down=down, padding=around, flip_filter=flip_filter)
            return _convolve(x, w, groups=groups)
        x = upfirdn2d(x, f, padding=around, flip_filter=flip_filter)
        return _convolve(x, w, stride=down, groups=groups)

    x = _zero_insert_and_convolve(x, w, up=up, groups=groups)
    left, right, top, bottom = around  # of the valid convolution; the full one is already wider
    rest = (left + 1 - kernel_width, right + up - kernel_width, top + 1 - kernel_height, bottom + up - kernel_height)
    x = upfirdn2d(x, f, padding=rest, flip_filter=flip_filter, gain=up**2)
    return x if down == 1 else upfirdn2d(x, f, down=down, flip_filter=flip_filter)


def _add(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


def _convolve(
    x: Tensor, w: Tensor, padding: tuple[int, int, int, int] = (0, 0, 0, 0), *, stride: int = 1, groups: int = 1
) -> Tensor:
    left, right, top, bottom = padding
    if left == right >= 0 and top == bottom >= 0:
        return torch.conv2d(x, w, stride=stride, padding=(top, left), groups=groups)
    return torch.conv2d(F.pad(x, padding), w, stride=stride, groups=groups)


def _zero_insert_and_convolve(x: Tensor, w: Tensor, *, up: int, groups: int) -> Tensor:
    """Full correlation of the zero-inserted signal, [.., (height - 1) * up + kernel height, ..]: a transposed convolution."""
    out_channels, in_per_group = w.shape[:2]
    w = w.flip([2, 3]).reshape(groups, out_channels // groups, in_per_group, *w.shape[2:])
    w = w.transpose(1, 2).reshape(groups * in_per_group, out_channels // groups, *w.shape[3:])
    return torch.conv_transpose2d(x, w, stride=up, groups=groups)

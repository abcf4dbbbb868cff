"""Pixel blitting and geometric transformations of the augmentation (Karras et al. 2020 b, Appendix B).

Positions are in pixels from the centre of the image, x right and y down. Matrices are [batch, 3, 3] and say where each
point of the result comes from: the inverse of how the image moves. So the first step's matrix stands leftmost.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.upfirdn2d import downsample2d, upsample2d
from training.augment_options import AugmentOptions, Choice


def choose_motion(options: AugmentOptions, choice: Choice, *, width: int, height: int) -> Tensor | None:
    """Inverse map [batch, 3, 3] of a random motion; None when no kind of motion is switched on.

    Images that are not square keep their shape when they are turned.
    """
    # P(before or after) = p, so each of the two rotations happens with 1 - sqrt(1 - p).
    rotating = 1 - (1 - (options.rotate * choice.strength).clamp(0, 1)).sqrt()
    steps = (
        (options.xflip, lambda: _flip(options, choice)),
        (options.rotate90, lambda: _quarter_turn(options, choice)),
        (options.xint, lambda: _whole_shift(options, choice, width, height)),
        (options.scale, lambda: _scaling(options, choice)),
        (options.rotate, lambda: _rotation(options, choice, rotating)),
        (options.aniso, lambda: _stretch(options, choice)),
        (options.rotate, lambda: _second_rotation(options, choice, rotating)),
        (options.xfrac, lambda: _fractional_shift(options, choice, width, height)),
    )
    inverse = None
    for multiplier, step in steps:
        if multiplier > 0:
            inverse = step() if inverse is None else inverse @ step()
    return inverse


def warp(images: Tensor, inverse: Tensor, taps: Tensor) -> Tensor:
    """`images` [batch, channels, height, width] moved by `inverse`; same shape.

    Reflected at the edges, upsampled twice with the wavelet low-pass `taps`, looked up bilinearly, and downsampled with
    the same taps mirrored. The wavelet is orthogonal, so whole shifts give the pixels back; it is not symmetric, so
    mirroring and turning change the finest detail.
    """
    height, width = images.shape[-2:]
    border = len(taps) // 4  # pixels that the downsampling reaches beyond the result
    margins = left, right, top, bottom = _margins(inverse, width, height, 2 * border)
    padded = F.pad(images, margins, mode='reflect')
    fine = upsample2d(padded, taps, up=2)
    x, y = _sources(inverse.to(images.dtype), width, height, border)
    # grid_sample counts from -1 to 1 between the outer edges; fine sample 2 i, which shows pixel i, is half a fine sample
    # left of the pixel's centre, because the wavelet's middle is not that of its taps.
    grid = torch.stack(
        [(2 * x + left - right - 0.5) / padded.shape[3], (2 * y + top - bottom - 0.5) / padded.shape[2]], -1
    )
    # align_corners=False also keeps CUDA off cuDNN's sampler, which has no second derivative (R1 needs it).
    moved = F.grid_sample(fine, grid, mode='bilinear', padding_mode='zeros', align_corners=False)
    return downsample2d(moved, taps, down=2, padding=-2 * border, flip_filter=True)


def _sources(inverse: Tensor, width: int, height: int, border: int) -> tuple[Tensor, Tensor]:
    """Where each fine sample of the result comes from: x and y, each [batch, fine height, fine width], with a border."""
    across, down = (
        torch.arange(2 * (size + 2 * border), device=inverse.device, dtype=inverse.dtype) / 2 - border - (size - 1) / 2
        for size in (width, height)
    )
    rows = inverse[:, :2, :, None, None]  # [batch, x y, column, 1, 1]
    x, y = (rows[:, :, 0] * across + rows[:, :, 1] * down[:, None] + rows[:, :, 2]).unbind(1)
    return x, y


def _margins(inverse: Tensor, width: int, height: int, reach: int) -> tuple[int, int, int, int]:
    """Left, right, top, bottom: whole pixels that the look-ups of any image of the batch need around the image."""
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = inverse.new_tensor([[-x, x, x, -x], [-y, -y, y, y], [1, 1, 1, 1]])
    found = (inverse @ corners)[:, :2].transpose(0, 1).flatten(1)  # [x y, points]
    outside = torch.stack([-found.amin(1), found.amax(1)], 1) + reach - corners.new_tensor([[x], [y]])
    largest = outside.new_tensor([[width - 1], [height - 1]])
    (left, right), (top, bottom) = outside.ceil().clamp(min=0).minimum(largest).int().tolist()
    return left, right, top, bottom


def _flip(options: AugmentOptions, choice: Choice) -> Tensor:
    mirrored = choice.applied((choice.uniform() * 2).floor(), 0, options.xflip)
    return _scale(1 - 2 * mirrored, torch.ones_like(mirrored))


def _quarter_turn(options: AugmentOptions, choice: Choice) -> Tensor:
    return _rotate(choice.applied((choice.uniform() * 4).floor(), 0, options.rotate90) * (math.pi / 2))


def _whole_shift(options: AugmentOptions, choice: Choice, width: int, height: int) -> Tensor:
    shift = choice.applied((choice.uniform(2) * 2 - 1) * options.xint_max, 0, options.xint)
    return _translate(-(shift[:, 0] * width).round(), -(shift[:, 1] * height).round())


def _scaling(options: AugmentOptions, choice: Choice) -> Tensor:
    factor = choice.applied(torch.exp2(choice.normal() * options.scale_std), 1, options.scale)
    return _scale(1 / factor, 1 / factor)


def _stretch(options: AugmentOptions, choice: Choice) -> Tensor:
    factor = choice.applied(torch.exp2(choice.normal() * options.aniso_std), 1, options.aniso)
    return _scale(1 / factor, factor)


def _rotation(options: AugmentOptions, choice: Choice, probability: Tensor) -> Tensor:
    angle = (choice.uniform() * 2 - 1) * (math.pi * options.rotate_max)
    return _rotate(choice.applied_with(angle, 0, probability))


def _second_rotation(options: AugmentOptions, choice: Choice, probability: Tensor) -> Tensor:
    if choice.percentile is not None:  # one rotation by the percentile can be told apart, the sum of two cannot
        return _rotate(choice.strength.new_zeros(choice.count))
    return _rotation(options, choice, probability)


def _fractional_shift(options: AugmentOptions, choice: Choice, width: int, height: int) -> Tensor:
    shift = choice.applied(choice.normal(2) * options.xfrac_std, 0, options.xfrac)
    return _translate(-shift[:, 0] * width, -shift[:, 1] * height)


def _translate(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix(one, zero, x, zero, one, y)


def _scale(x: Tensor, y: Tensor) -> Tensor:
    zero = torch.zeros_like(x)
    return _matrix(x, zero, zero, zero, y, zero)


def _rotate(radians: Tensor) -> Tensor:
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
    return _matrix(cos, -sin, zero, sin, cos, zero)


def _matrix(*rows: Tensor) -> Tensor:
    """[batch, 3, 3] from the six entries [batch] of the first two rows."""
    zero = torch.zeros_like(rows[0])
    return torch.stack([*rows, zero, zero, zero + 1], 1).reshape(-1, 3, 3)

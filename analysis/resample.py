"""Moves images by fractions of a pixel, with a mask of where the result is known."""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, pad

from analysis.moving import LANCZOS_LOBES as LOBES
from analysis.moving import lanczos

Rows = tuple[float, float, float, float, float, float]
"""Rows of a 2x3 affine map."""


def apply_inverse_affine(image: Tensor, matrix: Rows, *, rate: float | None = None) -> tuple[Tensor, Tensor]:
    """Move a picture back by the inverse of `matrix`, which moved it: out(p) = image(matrix p).

    `image`: [channels, height, width].  `matrix`: rows of the 2x3 map about the centre, x right, y down, translations
    in image widths.  `rate`: samples per image width, the array's width unless given (layers with margins).
    Returns the picture (same shape, float32; 0 where unknown) and the mask [height, width] of what is known.

    Pure translations: separable Lanczos (a = 3, taps renormalised to sum 1), exact for whole pixels. Others: bilinear
    lookups in the picture enlarged twice by the same kernel, after a low-pass where the way back shrinks it.
    """
    if image.ndim != 3:
        raise ValueError(f'an image must be [channels, height, width], got {tuple(image.shape)}')
    rate = image.shape[-1] if rate is None else rate
    image = image.to(torch.float32)
    a, b, x, c, d, y = matrix
    if (a, b, c, d) == (1, 0, 0, 1):
        return translate(image, x * rate, y * rate)
    shrinks = math.sqrt(abs(a * d - b * c))
    if shrinks > 1.01:
        image = _lowpass(image, shrinks)
    return _affine_lookup(image, matrix, rate)


def translate(image: Tensor, x: float, y: float) -> tuple[Tensor, Tensor]:
    """out[j, i] = image[j + y, i + x] by separable Lanczos, and the mask of where all samples were inside.

    `image`: [channels, height, width]; `x`, `y`: pixels, fractions allowed.
    """
    image, known_x = _shift(image, x, axis=-1)
    image, known_y = _shift(image, y, axis=-2)
    mask = known_y[:, None] & known_x[None, :]
    return image * mask, mask


def _shift(image: Tensor, pixels: float, *, axis: int) -> tuple[Tensor, Tensor]:
    """out[i] = image[i + pixels] along one axis (-1 or -2), and which i are known."""
    size = image.shape[axis]
    whole = math.floor(pixels + 1e-9)
    fraction = pixels - whole
    if abs(fraction) < 1e-6:
        first, taps = whole, torch.ones(1)
    else:
        first = whole + 1 - LOBES
        weights = lanczos(torch.arange(1 - LOBES, LOBES + 1, dtype=torch.float64) - fraction)
        taps = weights / weights.sum()
    last = first + taps.shape[0] - 1  # pixel i needs the samples i + first … i + last
    position = torch.arange(size, device=image.device)
    known = (position + first >= 0) & (position + last < size)
    if first >= size or last <= -size:
        return torch.zeros_like(image), known
    before, after = max(-first, 0), max(last, 0)
    edges = (before, after, 0, 0) if axis == -1 else (0, 0, before, after)
    padded = pad(image, edges, mode='replicate')
    moved = torch.zeros_like(image, memory_format=torch.contiguous_format)
    for index, tap in enumerate(taps.tolist()):
        moved.add_(padded.narrow(axis, before + first + index, size), alpha=tap)
    return moved, known


def _affine_lookup(image: Tensor, matrix: Rows, rate: float) -> tuple[Tensor, Tensor]:
    """Bilinear lookups at matrix p for every output pixel p, in the picture enlarged twice."""
    _, height, width = image.shape
    a, b, x, c, d, y = matrix
    device = image.device
    py = ((torch.arange(height, device=device, dtype=torch.float64) + 0.5) - height / 2)[:, None]
    px = ((torch.arange(width, device=device, dtype=torch.float64) + 0.5) - width / 2)[None, :]
    sx = a * px + b * py + x * rate  # pixels from the centre
    sy = c * px + d * py + y * rate
    margin = LOBES - 0.5
    mask = (sx.abs() <= width / 2 - margin) & (sy.abs() <= height / 2 - margin)
    grid = torch.stack([sx * (2 / width), sy * (2 / height)], dim=-1).to(torch.float32)
    # align_corners=False: -1 and 1 are the outer edges of the picture, whatever its number of samples.
    found = grid_sample(_enlarge(image)[None], grid[None], mode='bilinear', padding_mode='border', align_corners=False)
    return found[0] * mask, mask


def _enlarge(image: Tensor) -> Tensor:
    """[channels, 2 height, 2 width]: the same picture on twice the samples, by Lanczos, edges repeated."""
    left, right = (_shift(image, pixels, axis=-1)[0] for pixels in (-0.25, 0.25))
    image = torch.stack([left, right], dim=-1).flatten(-2)
    above, below = (_shift(image, pixels, axis=-2)[0] for pixels in (-0.25, 0.25))
    return torch.stack([above, below], dim=-2).flatten(-3, -2)


def _lowpass(image: Tensor, factor: float) -> Tensor:
    """What `factor` times fewer samples can hold: a separable Lanczos kernel `factor` times wider."""
    reach = math.ceil(LOBES * factor)
    taps = lanczos(torch.arange(-reach, reach + 1, dtype=torch.float64) / factor)
    kernel = (taps / taps.sum()).to(image.device, torch.float32)
    rows = image[:, None]
    reach_x = min(reach, image.shape[-1] - 1)
    reach_y = min(reach, image.shape[-2] - 1)
    kernel_x = kernel[reach - reach_x : reach + reach_x + 1]
    kernel_y = kernel[reach - reach_y : reach + reach_y + 1]
    rows = conv2d(pad(rows, (reach_x, reach_x, 0, 0), mode='replicate'), kernel_x.view(1, 1, 1, -1))
    rows = conv2d(pad(rows, (0, 0, reach_y, reach_y), mode='replicate'), kernel_y.view(1, 1, -1, 1))
    return rows[:, 0]

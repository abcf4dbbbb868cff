"""Power spectra of images and layers (Karras et al. 2021, Appendix A and Fig. 13): pure functions of tensors.

Frequencies are bins here; a bin is (samples per image width) / (samples of the array) cycles per image width.
"""

import math

import torch
from torch import Tensor

FLOOR_DB = -160.0
"""Below what single precision can tell from nothing."""
_CHUNK_VALUES = 1 << 24


def kaiser_window(count: int, beta: float, *, device: torch.device | str = 'cpu') -> Tensor:
    """Symmetric Kaiser window with mean square 1, float32 [count]: windowing keeps the power of noise."""
    window = torch.kaiser_window(count, periodic=False, beta=beta, dtype=torch.float64)
    return (window / window.square().mean().sqrt()).to(device, torch.float32)


def power_spectrum(x: Tensor, beta: float = 8.0) -> Tensor:
    """Power of each frequency, averaged over everything but the last two axes.

    `x`: [..., height, width], real.  Returns [height, width] float32, zero frequency at [height // 2, width // 2].
    The mean of each image is removed, then the Kaiser window applied (`beta` 0 = none). Scaled so that the mean over
    all frequencies is the variance (Parseval; with a window, of the windowed image).
    """
    if x.ndim < 2 or x.numel() == 0:
        raise ValueError(f'a power spectrum needs [..., height, width] with values, got {tuple(x.shape)}')
    height, width = x.shape[-2:]
    images = x.reshape(-1, height, width)
    rows = kaiser_window(height, beta, device=x.device)
    columns = kaiser_window(width, beta, device=x.device)
    window = rows[:, None] * columns[None, :]
    power = torch.zeros([height, width // 2 + 1], dtype=torch.float32, device=x.device)
    for part in images.split(max(_CHUNK_VALUES // (height * width), 1)):
        part = part.to(torch.float32)
        centred = (part - part.mean(dim=(-2, -1), keepdim=True)) * window
        transformed = torch.fft.rfft2(centred)
        power += torch.view_as_real(transformed).square().sum(dim=(0, -1))
    return torch.fft.fftshift(_both_halves(power, width) / (images.shape[0] * height * width))


def decibel(power: Tensor, reference: float | None = None) -> Tensor:
    """10 log10(power / reference), not below `FLOOR_DB`; the reference is the mean power unless given."""
    scale = float(power.mean()) if reference is None else reference
    if not scale > 0:
        return torch.full_like(power, FLOOR_DB)
    return (10 * (power / scale).clamp(min=1e-30).log10()).clamp(min=FLOOR_DB)


def radial_profile(power: Tensor) -> Tensor:
    """Mean power on rings of one bin around zero frequency.

    `power`: [height, width], zero frequency at the centre.  Returns [min(height, width) // 2 + 1]: ring k holds the
    frequencies nearest to k bins of the shorter axis (both axes end at the same frequency).
    """
    height, width = power.shape
    short = min(height, width)
    fy = _bins(height, power.device) * (short / height)
    fx = _bins(width, power.device) * (short / width)
    ring = torch.hypot(fy[:, None], fx[None, :]).round().to(torch.int64).flatten()
    count = short // 2 + 1
    total = torch.zeros(int(ring.max()) + 1, dtype=torch.float64, device=power.device)
    sums = total.index_add(0, ring, power.flatten().to(torch.float64))
    members = torch.bincount(ring, minlength=total.shape[0]).clamp(min=1)
    return (sums / members)[:count].to(torch.float32)


def axis_slice(power: Tensor) -> Tensor:
    """Power along the horizontal frequency axis (0 degrees), at the frequencies of `radial_profile`."""
    return _sample(power, degrees=0)


def diagonal_slice(power: Tensor) -> Tensor:
    """Power along the line at 45 degrees, at the frequencies (distances from zero) of `radial_profile`.

    Between bins the power is interpolated linearly, which keeps it positive.
    """
    return _sample(power, degrees=45)


def with_both_edges(power: Tensor) -> Tensor:
    """`power` with its first row and column repeated at the end where the count is even.

    An even transform holds -s/2 but not +s/2, which is the same; with both, zero lies exactly in the middle.
    """
    height, width = power.shape
    if height % 2 == 0:
        power = torch.cat([power, power[:1]], dim=0)
    return torch.cat([power, power[:, :1]], dim=1) if width % 2 == 0 else power


def _bins(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device, dtype=torch.float64) - count // 2


def _both_halves(half: Tensor, width: int) -> Tensor:
    """[height, width] from the non-negative horizontal frequencies: real images have P(-f) = P(f)."""
    mirrored = half.flip(0).roll(1, 0)[:, 1 : (width + 1) // 2].flip(1)
    return torch.cat([half, mirrored], dim=1)


def _sample(power: Tensor, *, degrees: float) -> Tensor:
    """Power at k bins of the shorter axis from zero in one direction, bilinear between bins."""
    height, width = power.shape
    short = min(height, width)
    distance = torch.arange(short // 2 + 1, dtype=torch.float64, device=power.device)
    x = distance * math.cos(math.radians(degrees)) * (width / short) + width // 2
    y = distance * math.sin(math.radians(degrees)) * (height / short) + height // 2
    left, top = x.floor().long(), y.floor().long()
    fx, fy = (x - left), (y - top)
    result = torch.zeros_like(distance)
    for row, weight_y in ((top, 1 - fy), (top + 1, fy)):
        for column, weight_x in ((left, 1 - fx), (left + 1, fx)):
            # The transform is periodic: +s/2 is found where -s/2 is.
            result += power[row % height, column % width].to(torch.float64) * weight_y * weight_x
    return result.to(torch.float32)

"""Low-pass filters: the networks' own design, replacements of equal size and alignment, and their responses.

Karras et al. 2021 ("Alias-Free Generative Adversarial Networks"), Sec. 3.2 and Appendix C. Frequencies are in cycles per
image width, rates in samples per image width; any other unit works as long as it is the same for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Literal

import torch
from torch import Tensor

FilterKind = Literal['network', 'sinc', 'bilinear', 'lanczos', 'nearest', 'gaussian', 'jinc']

_FLOOR_DB = -200.0
_GAUSSIAN_SIGMA = 0.4
"""In samples of the lower rate: the ablation of Fig. 5, right."""


@dataclass(frozen=True, slots=True)
class FilterShape:
    """What a resampling filter must fit: enough to design a replacement."""

    direction: Literal['up', 'down']
    factor: int
    taps: int
    rate: float
    """Samples per image width at which the filter runs: the higher of its two rates."""
    cutoff: float
    """f_c, cycles per image width."""
    half_width: float
    """f_h, half of the transition band, cycles per image width; 0 = the family does not define one."""
    radial: bool


def lowpass(taps: int, cutoff: float, width: float, rate: float, radial: bool = False) -> Tensor | None:
    """Kaiser-windowed ideal low-pass filter, float32, sum 1; None (identity) for a single tap.

    `cutoff`: f_c.  `width`: of the whole transition band, 2 f_h.  `rate`: of the samples.
    Returns [taps], to be applied along both axes; or, if `radial`, [taps, taps]: the circularly symmetric jinc
    under the same separable window (Appendix C).
    """
    if taps < 1 or not (cutoff > 0 and width > 0 and rate > 0):
        raise ValueError(
            f'a low-pass filter needs positive taps, cutoff, width and rate, got {taps}, {cutoff}, {width}, {rate}'
        )
    if taps == 1:
        return None
    window = _kaiser(taps, width, rate)
    seconds = _positions(taps) / rate
    if not radial:
        return _unit_sum(2 * cutoff * torch.sinc(2 * cutoff * seconds) * window)
    radius = torch.hypot(seconds[:, None], seconds[None, :])
    return _unit_sum(_jinc(radius, cutoff) * window[:, None] * window[None, :])


def setup_filter(
    f: Tensor | Sequence[float] | Sequence[Sequence[float]] | float | None,
    *,
    separable: bool | None = None,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Filter taps, float32, ready for `upfirdn2d`, from a list, number or tensor (which is not changed).

    `separable`: keep [taps]; False makes the outer product [taps, taps]; None = keep from 8 taps on, where two passes are
    cheaper.  `normalize`: to sum 1.  `gain`: for the whole two-dimensional filter.  None stands for the identity.
    """
    taps = torch.as_tensor(1.0 if f is None else f, dtype=torch.float32)
    if taps.ndim > 2 or taps.numel() == 0:
        raise ValueError(f'a filter must be a number, [taps] or [height, width], got shape {tuple(taps.shape)}')
    if taps.ndim == 0:
        taps = taps[None]
    if separable is None:
        separable = taps.ndim == 1 and taps.numel() >= 8
    if separable and taps.ndim == 2:
        raise ValueError(f'a filter of shape {tuple(taps.shape)} cannot be used as separable; give it as [taps]')
    if taps.ndim == 1 and not separable:
        taps = torch.outer(taps, taps)
    if normalize:
        taps = taps / taps.sum()
    if flip_filter:
        taps = taps.flip(list(range(taps.ndim)))
    return taps * gain ** (taps.ndim / 2)


def design(kind: FilterKind, shape: FilterShape) -> Tensor:
    """Replacement filter with the tap count, centre and sum (1) of the original, so that a swap never shifts the picture.

    'network': what the layer itself would use.  'sinc': the same band limit, always separable.  'jinc': the same band
    limit, always circular.  The classic kernels of image processing ignore the band limit and follow the resampling
    factor: 'nearest' (box of one coarse sample), 'bilinear' (triangle of two), 'lanczos' (of as many lobes, up to
    3, as the taps hold), 'gaussian' (sigma 0.4 coarse samples).  Shorter kernels are padded with zeros on both sides,
    longer ones cut; where odd and even lengths do not match, edges fall on a tap and count half.

    Returns [taps], or [taps, taps] for 'jinc', and for 'network' where `shape.radial`.
    """
    if kind in ('network', 'sinc', 'jinc'):
        half_width = shape.half_width or (sqrt(2) - 1) * shape.cutoff  # config E's choice, where none is defined
        radial = kind == 'jinc' or (kind == 'network' and shape.radial)
        taps = lowpass(shape.taps, shape.cutoff, 2 * half_width, shape.rate, radial)
        return torch.ones([1, 1] if radial else [1]) if taps is None else taps
    distance = _positions(shape.taps).abs() / shape.factor  # in samples of the lower rate
    if kind == 'nearest':
        return _unit_sum(_box(distance, 0.5))
    if kind == 'bilinear':
        return _unit_sum((1 - distance).clamp(min=0))
    if kind == 'gaussian':
        return _unit_sum(torch.exp(-0.5 * (distance / _GAUSSIAN_SIGMA).square()))
    if kind == 'lanczos':
        lobes = min(max(shape.taps // (2 * shape.factor), 1), 3)
        return _unit_sum(torch.sinc(distance) * torch.sinc(distance / lobes) * _box(distance, lobes))
    raise ValueError(
        f"there is no filter kind {kind!r}; choose 'network', 'sinc', 'jinc', 'bilinear', 'lanczos', 'nearest' or 'gaussian'"
    )


def response_db(taps: Tensor, *, rate: float, count: int = 512, diagonal: bool = False) -> tuple[Tensor, Tensor]:
    """Frequencies from 0 to rate / 2 and the filter's magnitude response there in dB, both float64 [count].

    `taps`: [taps] (separable) or [height, width]; along the x axis, or with `diagonal` along the line at 45 degrees, where a
    separable filter lets more through than along an axis and a radial one does not. Not below -200 dB.
    """
    if taps.ndim not in (1, 2):
        raise ValueError(f'a filter must be [taps] or [height, width], got {tuple(taps.shape)}')
    taps = taps.detach().to('cpu', torch.float64)
    frequencies = torch.linspace(0, rate / 2, count, dtype=torch.float64)
    if not diagonal:
        along_x = taps if taps.ndim == 1 else taps.sum(0)
        magnitude = (_waves(frequencies / rate, along_x.shape[0]) @ along_x.to(torch.complex128)).abs()
    elif taps.ndim == 1:
        magnitude = (_waves(frequencies / rate / sqrt(2), taps.shape[0]) @ taps.to(torch.complex128)).abs().square()
    else:
        rows = _waves(frequencies / rate / sqrt(2), taps.shape[0])
        columns = _waves(frequencies / rate / sqrt(2), taps.shape[1])
        magnitude = ((rows @ taps.to(torch.complex128)) * columns).sum(1).abs()
    return frequencies, (20 * magnitude.clamp(min=1e-30).log10()).clamp(min=_FLOOR_DB)


def _positions(taps: int) -> Tensor:
    """Distance of each tap from the centre, in samples, float64."""
    return torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2


def _kaiser(taps: int, width: float, rate: float) -> Tensor:
    """Kaiser window for a transition band of `width` (Appendix C, Eq. 29-31; Kaiser 1974)."""
    attenuation = 2.285 * (taps - 1) * pi * width / (rate / 2) + 7.95  # A in dB
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation > 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    return torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float64)


def _jinc(radius: Tensor, cutoff: float) -> Tensor:
    """Impulse response of the ideal circular low-pass, J1(2 pi f_c r) f_c / r; its limit pi f_c² at the centre."""
    safe = torch.where(radius > 0, radius, 1.0)
    return torch.where(radius > 0, torch.special.bessel_j1(2 * pi * cutoff * safe) * cutoff / safe, pi * cutoff**2)


def _box(distance: Tensor, half: float) -> Tensor:
    """1 within `half`, 0.5 exactly at the edge, 0 beyond."""
    return 0.5 * ((distance < half).double() + (distance <= half).double())


def _unit_sum(taps: Tensor) -> Tensor:
    return (taps / taps.sum()).to(torch.float32)


def _waves(cycles_per_sample: Tensor, taps: int) -> Tensor:
    """e^(-2 pi i f n), [frequencies, taps], complex128."""
    return torch.exp(-2j * pi * cycles_per_sample[:, None] * _positions(taps)[None, :])

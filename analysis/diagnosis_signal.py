"""What a layer does to a test signal that fills its band: images, folding, leak, and how well the result moves.

The signal is periodic band-limited noise, so every step is exact in the Fourier domain: no border, no window. Only the
layer's resampling factors and filter taps enter (Karras et al. 2021, Sec. 2 and 3.2). Ratios in dB; negative is better.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLES = 64
"""Of the test signal along each axis, at the layer's incoming rate."""
CHANNELS = 2
SLOPE = 0.2
FINER = 4
"""The ideal non-linearity runs at so many times the layer's internal rate."""
FLOOR_DB = -200.0
SHIFT = (0.5, 0.31)
"""Of the equivariance test, in incoming samples: half a sample is where aliases disagree most."""
EQ_SCALE_DB = 10 * math.log10(16)
"""PSNR for a range of 2 and signals of deviation 0.5, as in EQ-T: signal to error plus this."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """The filters and factors around a layer's non-linearity."""

    up: int
    down: int
    up_taps: Tensor | None
    """[taps] or [taps, taps] of sum 1; None = no filter."""
    down_taps: Tensor | None


@dataclass(frozen=True, slots=True)
class Stress:
    """Unwanted energy relative to the layer's signal, in dB."""

    images_db: float
    """Left of the images of the input by the upsampling filter."""
    folding_db: float
    """Harmonics that fold at the rate of the non-linearity and reach the output."""
    leak_db: float
    """Energy from `stop` on that the downsampling filter leaves to fold at the output's rate."""
    equivariance_db: float
    """Of the whole layer under a fraction of a sample, on the scale of EQ-T; higher is better."""


def stress(layer: Resampling, band: float, stop: float, *, seed: int = 0) -> Stress:
    """The four numbers for noise in the disc of radius `band`, in units of the incoming Nyquist frequency.

    `stop`: from where on the leak counts, in units of the output's Nyquist frequency (1 = all of it).
    """
    signal = band_noise(band, seed=seed)
    upsampled, images = _upsampled(signal, layer)
    activated = _activate(upsampled)
    ideal = _ideally_activated(upsampled)
    passed = _response(layer.down_taps, activated.shape[-1])
    wanted = _inside(activated.shape[-1], 1 / layer.down)
    level = _energy(activated * passed * wanted)
    leak = _energy(activated * passed * ~_inside(activated.shape[-1], stop / layer.down))
    folding = _energy((activated - ideal) * passed)
    here, there = _decimated(activated * passed, layer.down), _run(_moved(signal, *SHIFT), layer)
    ratio = layer.up / layer.down  # output samples per incoming sample
    error = _comparable(_moved(here, SHIFT[0] * ratio, SHIFT[1] * ratio) - there)
    moving = _comparable(here)
    moving[..., moving.shape[-2] // 2, moving.shape[-1] // 2] = 0
    return Stress(
        images,
        _ratio_db(folding, level),
        _ratio_db(leak, level),
        EQ_SCALE_DB - _ratio_db(_energy(error), _energy(moving)),
    )


def folding_of(function: Callable[[Tensor], Tensor], band: float) -> float:
    """What a pointwise `function` of pictures folds at its own rate, relative to its signal, for noise in the disc `band`."""
    spectrum = band_noise(band)
    size = SAMPLES * FINER
    spare = (size - SAMPLES) // 2
    finer = torch.zeros(CHANNELS, size, size, dtype=spectrum.dtype)
    finer[:, spare : spare + SAMPLES, spare : spare + SAMPLES] = spectrum * FINER**2
    coarse, ideal = (_fft(function(_ifft(one)[:, None])[:, 0].double()) for one in (spectrum, finer))
    ideal = ideal[:, spare : spare + SAMPLES, spare : spare + SAMPLES] / FINER**2
    return _ratio_db(_energy(coarse - ideal), _energy(ideal))


def band_picture(band: float) -> Tensor:
    """The test signal itself, [channels, samples, samples]."""
    return _ifft(band_noise(band))


def images_beyond(pictures: Tensor, factor: int) -> float:
    """Energy of `pictures` [..., size, size] beyond 1 / `factor` of their Nyquist frequency, relative to that below."""
    spectrum = _fft(pictures)
    base = _inside(pictures.shape[-1], 1 / factor)
    return _ratio_db(_energy(spectrum * ~base), _energy(spectrum * base))


def common_detail_db(pictures: Tensor) -> float:
    """Energy of fine detail that is the same in all `pictures` [batch, channels, size, size], relative to that of one.

    Fine: beyond a quarter of the Nyquist frequency. What independent pictures have in common by chance is taken off; NaN
    for a single picture.
    """
    count = len(pictures)
    centred = pictures.double() - pictures.double().mean(dim=(-2, -1), keepdim=True)
    fine = _fft(centred) * ~_inside(pictures.shape[-1], 0.25)
    single = _energy(fine) / count
    if count < 2 or not single > 0:
        return math.nan
    common = _energy(fine.mean(0))
    return _ratio_db(max((common - single / count) / (1 - 1 / count), 0.0), single)


def anisotropy_db(taps: Tensor, factor: int) -> float:
    """How unlike the response is along an axis and along the diagonal, up to the output's Nyquist frequency.

    Energy of the difference of the two profiles relative to that along the axis; a circular filter has none.
    """
    radius = torch.linspace(0, 0.5 / factor, 65, dtype=torch.float64)  # cycles per sample
    axis = _at(taps, radius, torch.zeros_like(radius))
    diagonal = _at(taps, radius / math.sqrt(2), radius / math.sqrt(2))
    return _ratio_db(float((axis - diagonal).square().sum()), float(axis.square().sum()))


def separability(taps: Tensor) -> float:
    """Second singular value of a two-dimensional filter relative to the first: 0 = an outer product, as [taps] is."""
    if taps.ndim == 1:
        return 0.0
    values = torch.linalg.svdvals(taps.double())
    return float(values[1] / values[0]) if len(values) > 1 else 0.0


def half_amplitude(taps: Tensor, factor: int) -> float:
    """The frequency where the response along an axis first falls below one half (-6 dB), in units of the output's Nyquist
    frequency; `factor` is between the rate of the taps and the output's. `factor` itself if it never does."""
    radius = torch.linspace(0, 0.5, 1025, dtype=torch.float64)
    response = _at(taps, radius, torch.zeros_like(radius)).abs()
    below = (response < 0.5 * response[0]).nonzero()
    return float(radius[int(below[0])]) * 2 * factor if len(below) else float(factor)


def has_negative_lobes(taps: Tensor) -> bool:
    """Whether the filter is shaped like a windowed sinc: its profile falls clearly below zero somewhere."""
    profile = taps if taps.ndim == 1 else taps.sum(0)
    return bool(profile.min() < -0.005 * profile.max())


def band_noise(band: float, *, seed: int = 0) -> Tensor:
    """Spectrum [channels, samples, samples], zero frequency in the middle, of noise of unit variance in a disc.

    `band`: its radius in units of the Nyquist frequency.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(CHANNELS, SAMPLES, SAMPLES, generator=generator, dtype=torch.float64)
    f = torch.arange(SAMPLES, dtype=torch.float64) - SAMPLES // 2
    radius = torch.hypot(f[:, None], f[None, :])
    kept = (radius <= max(band * SAMPLES / 2, 2.0)) & (f[:, None] > f[0]) & (f[None, :] > f[0]) & (radius > 0)
    spectrum = _fft(noise) * kept
    return spectrum / (_energy(spectrum) / (CHANNELS * SAMPLES**4)) ** 0.5


def _run(signal: Tensor, layer: Resampling) -> Tensor:
    activated = _activate(_upsampled(signal, layer)[0])
    return _decimated(activated * _response(layer.down_taps, activated.shape[-1]), layer.down)


def _upsampled(signal: Tensor, layer: Resampling) -> tuple[Tensor, float]:
    """The spectrum after zero insertion and filter, and the level of the images in it."""
    count = signal.shape[-1]
    size = count * layer.up
    index = (torch.arange(size) - size // 2 + count // 2) % count
    filtered = signal[..., index, :][..., index] * _response(layer.up_taps, size) * layer.up**2
    base = _inside(size, 1 / layer.up)
    return filtered, _ratio_db(_energy(filtered * ~base), _energy(filtered * base))


def _activate(spectrum: Tensor) -> Tensor:
    return _fft(F.leaky_relu(_ifft(spectrum), SLOPE))


def _ideally_activated(spectrum: Tensor) -> Tensor:
    """The same non-linearity many times oversampled, cut to the frequencies of `spectrum`."""
    size = spectrum.shape[-1]
    spare = size * (FINER - 1) // 2
    finer = F.pad(torch.view_as_real(spectrum), (0, 0, spare, spare, spare, spare))
    activated = _activate(torch.view_as_complex(finer) * FINER**2)
    return activated[..., spare : spare + size, spare : spare + size] / FINER**2


def _decimated(spectrum: Tensor, down: int) -> Tensor:
    """Every `down`-th sample: the spectrum folds onto its middle."""
    size = spectrum.shape[-1]
    count = size // down
    index = (torch.arange(size) - size // 2 + count // 2) % count
    folded = torch.zeros(*spectrum.shape[:-2], count, size, dtype=spectrum.dtype).index_add(-2, index, spectrum)
    both = torch.zeros(*spectrum.shape[:-2], count, count, dtype=spectrum.dtype).index_add(-1, index, folded)
    return both / down**2


def _moved(spectrum: Tensor, x: float, y: float) -> Tensor:
    """Shifted by (x, y) samples."""
    size = spectrum.shape[-1]
    f = (torch.arange(size, dtype=torch.float64) - size // 2) / size
    return spectrum * torch.exp(-2j * math.pi * (f[None, :] * x + f[:, None] * y))


def _comparable(spectrum: Tensor) -> Tensor:
    """Without the Nyquist row and column, whose sign a fractional shift leaves open."""
    return spectrum[..., 1:, 1:].clone()


def _inside(size: int, share: float) -> Tensor:
    """[size, size], whether both frequencies are below `share` of the Nyquist frequency."""
    f = (torch.arange(size, dtype=torch.float64) - size // 2) / (size / 2)
    inside = f.abs() < share
    return inside[:, None] & inside[None, :]


def _response(taps: Tensor | None, size: int) -> Tensor:
    """Frequency response [size, size], zero frequency in the middle, of the filter centred on the origin, sum made 1."""
    if taps is None:
        return torch.ones(size, size, dtype=torch.complex128)
    f = (torch.arange(size, dtype=torch.float64) - size // 2) / size
    taps = (taps / taps.sum()).to('cpu', torch.complex128)
    if taps.ndim == 1:
        profile = _waves(f, len(taps)) @ taps
        return profile[:, None] * profile[None, :]
    return _waves(f, taps.shape[0]) @ taps @ _waves(f, taps.shape[1]).T


def _at(taps: Tensor, fx: Tensor, fy: Tensor) -> Tensor:
    """Real response at the points (fx, fy), cycles per sample."""
    full = torch.outer(taps, taps) if taps.ndim == 1 else taps
    full = (full / full.sum()).to('cpu', torch.complex128)
    return ((_waves(fy, full.shape[0]) @ full) * _waves(fx, full.shape[1])).sum(1).real


def _waves(cycles_per_sample: Tensor, taps: int) -> Tensor:
    position = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    return torch.exp(-2j * math.pi * cycles_per_sample[:, None] * position[None, :])


def _fft(x: Tensor) -> Tensor:
    return torch.fft.fftshift(torch.fft.fft2(x), dim=(-2, -1))


def _ifft(spectrum: Tensor) -> Tensor:
    return torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real


def _energy(spectrum: Tensor) -> float:
    return float(torch.view_as_real(spectrum.to(torch.complex128)).square().sum())


def _ratio_db(part: float, whole: float) -> float:
    if not whole > 0:
        return math.nan
    return max(10 * math.log10(part / whole), FLOOR_DB) if part > 0 else FLOOR_DB

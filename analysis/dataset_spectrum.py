"""Average power spectrum of a set of pictures, whitened, as in Fig. 13 of Karras et al. 2021 (Appendix A)."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class DatasetSpectrum:
    """Mean power over pictures and channels, zero frequency first (as the transform gives it)."""

    power: Tensor
    """[bins, bins] float64, linear; `interpolation` bins per frequency that the picture can hold."""
    count: int
    """Pictures averaged."""

    def centred_db(self) -> Tensor:
        """[bins + 1, bins + 1] in dB, zero frequency in the middle, both edges (-s/2 and +s/2) present."""
        half = len(self.power) // 2
        centred = 10 * self.power.roll((half, half), (0, 1)).log10()
        with_row = torch.cat([centred, centred[:1]], dim=0)
        return torch.cat([with_row, with_row[:, :1]], dim=1)

    def axis_db(self) -> Tensor:
        """Slice at 0 degrees without azimuthal averaging: [bins / 2 + 1], from 0 Hz to s/2."""
        return 10 * self.power[0, : len(self.power) // 2 + 1].log10()

    def diagonal_db(self) -> Tensor:
        """Slice at 45 degrees: [bins / 2 + 1], from 0 Hz to the corner (√2 s/2)."""
        return 10 * self.power.diagonal()[: len(self.power) // 2 + 1].log10()


def dataset_moments(images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation over all values of `images`: the scalars that whiten a set."""
    values = images.double()
    return float(values.mean()), float(values.std(unbiased=False))


def dataset_spectrum(
    batches: Iterable[Tensor], *, mean: float, std: float, beta: float = 8.0, interpolation: int = 4
) -> DatasetSpectrum:
    """Spectrum of square pictures, given in batches [batch, channels, side, side] on the scale of `mean` and `std`.

    Whitened by the scalars, windowed by a separable Kaiser window of unit power, zero-padded `interpolation` times;
    |FFT|² averaged over pictures and channels. The mean is not removed from each picture: 0 Hz means something here.
    Raises `ValueError` for pictures that are not square, differ in size, or when there are none.
    """
    total, count, channels, side = torch.zeros(0), 0, 0, 0
    for batch in batches:
        if batch.ndim != 4 or batch.shape[-1] != batch.shape[-2]:
            raise ValueError(
                f'a spectrum needs square pictures [batch, channels, side, side], got {tuple(batch.shape)}'
            )
        if side not in (0, batch.shape[-1]):
            raise ValueError(f'all pictures must have one size, got {side} and {batch.shape[-1]} pixels')
        channels, side = batch.shape[1], batch.shape[-1]
        window = torch.kaiser_window(side, periodic=False, beta=beta, dtype=torch.float64)
        window = window / window.square().sum().sqrt()
        whitened = (batch.double() - mean) / std * window[:, None] * window
        power = torch.fft.fft2(whitened, s=(side * interpolation, side * interpolation)).abs().square().sum(dim=(0, 1))
        total = power if count == 0 else total + power
        count += len(batch)
    if count == 0:
        raise ValueError('a spectrum needs at least one picture')
    return DatasetSpectrum(total / (count * channels), count)


def smoothed(decibels: Tensor, deviation: float) -> Tensor:
    """`decibels` [height, width] smoothed by a Gaussian of `deviation` bins, for contour plots; edges repeat."""
    reach = int(4 * deviation + 0.5)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / deviation).square())
    taps = (taps / taps.sum()).to(decibels)
    padded = F.pad(decibels[None, None], (reach, reach, reach, reach), mode='replicate')
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))[0, 0]

"""Signals on periodic grids by their spectra: change the number of samples without adding or folding frequencies."""

import torch
from torch import Tensor


def half_spectrum(x: Tensor) -> Tensor:
    """Spectrum [..., side, side // 2 + 1] of square signals [..., side, side]."""
    return torch.fft.rfft2(x)


def refit(spectrum: Tensor, old: int, new: int) -> Tensor:
    """The half spectrum of the same signal on `new` samples a side instead of `old`: zeros beyond, or the ideal low-pass.

    The frequency at half of an even sampling rate is shared between both signs, so there and back changes nothing.
    """
    if new == old:
        return spectrum
    scale = (new / old) ** 2
    smaller = min(old, new)
    columns = spectrum[..., : smaller // 2 + 1] * scale
    if smaller % 2 == 0:
        edge = columns[..., -1:]
        if new > old:
            edge = edge * 0.5
        else:  # what lies at the negative frequency is the conjugate at the mirrored row
            edge = edge + edge.flip(-2).roll(1, -2).conj()
        columns = torch.cat([columns[..., :-1], edge], dim=-1)
    rows = _refit_rows(columns, old, new)
    missing = new // 2 + 1 - rows.shape[-1]
    return rows if missing == 0 else torch.nn.functional.pad(rows, (0, missing))


def _refit_rows(spectrum: Tensor, old: int, new: int) -> Tensor:
    smaller = min(old, new)
    below, half = (smaller + 1) // 2, smaller // 2  # rows 0 … below - 1, and as many negative ones
    negative = spectrum[..., old - (smaller - 1) // 2 :, :] if smaller > 2 else spectrum[..., :0, :]
    first = spectrum[..., :below, :]
    if smaller % 2:
        middle = spectrum.new_zeros([*spectrum.shape[:-2], new - smaller, spectrum.shape[-1]])
    elif new > old:
        edge = spectrum[..., half : half + 1, :] * 0.5
        between = spectrum.new_zeros([*spectrum.shape[:-2], new - old - 1, spectrum.shape[-1]])
        middle = torch.cat([edge, between, edge], dim=-2)
    else:
        middle = spectrum[..., half : half + 1, :] + spectrum[..., old - half : old - half + 1, :]
    return torch.cat([first, middle, negative], dim=-2)


def repeat_spectrum(spectrum: Tensor, side: int, times: int) -> Tensor:
    """Half spectrum of the signal with `times - 1` zeros inserted after every sample: the old one, repeated."""
    if times == 1:
        return spectrum
    whole = full_spectrum(spectrum, side)
    return whole.tile((times, times))[..., : side * times // 2 + 1]


def fold_spectrum(spectrum: Tensor, side: int, keep_every: int) -> Tensor:
    """Half spectrum of every `keep_every`-th sample: frequencies beyond the new band fold into it."""
    if keep_every == 1:
        return spectrum
    new = side // keep_every
    whole = full_spectrum(spectrum, side)
    parts = whole.reshape(*whole.shape[:-2], keep_every, new, keep_every, new)
    return parts.mean(dim=(-4, -2))[..., : new // 2 + 1]


def full_spectrum(spectrum: Tensor, side: int) -> Tensor:
    """All columns of a half spectrum: [..., side, side]."""
    mirrored = spectrum[..., 1 : (side + 1) // 2].flip(-1).flip(-2).roll(1, -2).conj()
    return torch.cat([spectrum, mirrored], dim=-1)


def filter_spectrum(taps: Tensor, side: int) -> Tensor:
    """Half spectrum [side, side // 2 + 1] of a causal filter, [taps] along both axes or [height, width]."""
    plane = torch.outer(taps, taps) if taps.ndim == 1 else taps
    return torch.fft.rfft2(plane, s=(side, side))


def advance(spectrum: Tensor, side: int, rows: float, columns: float) -> Tensor:
    """Half spectrum of the signal moved so that what was at (rows, columns) comes to the origin."""
    down = torch.fft.fftfreq(side, device=spectrum.device, dtype=torch.float64) * rows
    across = torch.arange(side // 2 + 1, device=spectrum.device, dtype=torch.float64) / side * columns
    turns = down[:, None] + across[None, :]
    return spectrum * torch.polar(torch.ones_like(turns), 2 * torch.pi * turns).to(spectrum.dtype)


def smooth_side(at_least: int, multiple: int = 1) -> int:
    """The next multiple of `multiple` without prime factors above 5: quick to transform."""
    side = -(-at_least // multiple) * multiple
    while not _only_small_factors(side):
        side += multiple
    return side


def _only_small_factors(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1

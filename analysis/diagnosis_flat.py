"""What a layer makes of a featureless input: everything that is not flat in the answer, it added itself.

Convolution, resampling and pointwise functions map a constant to a constant. Noise inputs do not; zeros around the
features do not, from the border inwards (Karras et al. 2021, Sec. 2.1 and 3.2).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR_DB = -200.0
_DEEPEST = 12
"""Samples inside the canvas border that the filters of one layer can reach at most."""
_STANDS_OUT = 10.0
"""So many times the power of the lines in the middle; noise stays below it (chi-squared of four sides, one in a million)."""


@dataclass(frozen=True, slots=True)
class FlatResponse:
    """Deviation from flat, in dB relative to the standard deviation of the layer's usual features."""

    noise_db: float
    """In the middle of the canvas, where nothing but noise can come from."""
    border_db: float
    """Along the outermost row inside the canvas, averaged along it."""
    outside_db: float
    """Along the first row outside the canvas, where the layer has a margin; else the floor."""
    profile_db: tuple[float, ...] = ()
    """From the canvas border inwards, one number a sample."""


def flat_response(output: Tensor, deviation: float, rate: float, *, period: int = 1) -> FlatResponse:
    """Read the answer `output` [channels, height, width] to a constant input.

    `deviation`: of the layer's usual features. `rate`: samples per image width. `period`: of the pattern that an imperfect
    upsampling of a constant leaves, in samples; it counts as neither noise nor border.
    """
    width = output.shape[-1]
    margin = max((width - round(rate)) // 2, 0)
    half = max((width - 2 * margin) // 2, 1)
    inner = margin + max(min(_DEEPEST, half - 1), 1)
    output = output.double()
    residual = output - _middle(output, inner).flatten(1).median(1).values[:, None, None]
    residual = residual - _periodic(residual, inner, period)
    lines = [_line_power(residual, margin + step) for step in range(half)]
    usual = sorted(lines[half // 2 :])[(half - half // 2) // 2]
    # Noise gives every line a mean of its own; a border effect stands out of them.
    border = max(lines[0] - _STANDS_OUT * usual, 0.0)
    outside = max(_line_power(residual, margin - 1) - _STANDS_OUT * usual, 0.0) if margin else 0.0
    quiet = _middle(residual, inner if border or outside else margin)
    noise = _rms(quiet - quiet.mean(dim=(-2, -1), keepdim=True))
    return FlatResponse(
        _db(noise, deviation),
        _db(border**0.5, deviation),
        _db(outside**0.5, deviation),
        tuple(_db(power**0.5, deviation) for power in lines[:_DEEPEST]),
    )


def _middle(x: Tensor, inset: int) -> Tensor:
    return x[:, inset : x.shape[1] - inset, inset : x.shape[2] - inset]


def _line_power(residual: Tensor, index: int) -> float:
    """Mean square, over channels and the four sides, of the mean along the line `index` samples from each side."""
    height, width = residual.shape[-2:]
    rows, columns = slice(index, height - index), slice(index, width - index)
    sides = [
        residual[:, index, columns],
        residual[:, height - 1 - index, columns],
        residual[:, rows, index],
        residual[:, rows, width - 1 - index],
    ]
    return float(torch.stack([side.mean(1).square().mean() for side in sides]).mean())


def _periodic(residual: Tensor, inner: int, period: int) -> Tensor:
    """The part of the middle that repeats every `period` samples along both axes, continued over everything."""
    height, width = residual.shape[-2:]
    span = (width - 2 * inner) // period * period
    if period < 2 or span < 2 * period or height != width:
        return torch.zeros_like(residual)
    block = residual[:, inner : inner + span, inner : inner + span]
    tile = block.reshape(len(residual), span // period, period, span // period, period).mean(dim=(1, 3))
    shift = -inner % period
    count = -(-width // period) + 1
    return tile.repeat(1, count, count)[:, shift : shift + height, shift : shift + width]


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt()) if x.numel() else 0.0


def _db(amplitude: float, reference: float) -> float:
    if not reference > 0:
        return math.nan
    return max(20 * math.log10(amplitude / reference), FLOOR_DB) if amplitude > 0 else FLOOR_DB

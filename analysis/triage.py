"""Orders in which to look through hundreds of channels: those that alias, those that stick, those that look like a phase."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def phase_likeness(features: Tensor) -> list[float]:
    """How constant the local amplitude of each channel is: (mean A)² / mean A².

    `features`: [channels, height, width]. A² = f² + |R f|² with the Riesz transform R (the monogenic signal of Felsberg
    and Sommer 2001), so that a wave has the same A everywhere. 1 = a phase map (waves, "coordinate systems" of Fig. 6), 8 / (3π) = 0.85
    for Gaussian noise, towards 0 for isolated spots. NaN for a channel that does not vary.
    """
    centred = features.double() - features.double().mean(dim=(-2, -1), keepdim=True)
    height, width = features.shape[-2:]
    window = _tukey(height)[:, None] * _tukey(width)[None, :]
    spectrum = torch.fft.fft2(centred * window.to(features.device))
    fy = torch.fft.fftfreq(height, device=features.device, dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(width, device=features.device, dtype=torch.float64)[None, :]
    radius = torch.hypot(fx, fy)
    radius[0, 0] = 1
    parts = [torch.fft.ifft2(spectrum * (-1j * f / radius)).real for f in (fx, fy)]
    squared = torch.fft.ifft2(spectrum).real.square() + parts[0].square() + parts[1].square()
    top, left = height // 5, width // 5
    inner = squared[..., top : height - top, left : width - left]  # where the window has not faded
    mean = inner.sqrt().mean(dim=(-2, -1)).square()
    power = inner.mean(dim=(-2, -1))
    return [float(a / b) if float(b) > 0 else math.nan for a, b in zip(mean, power, strict=True)]


def order(values: Sequence[float], *, highest_first: bool) -> tuple[int, ...]:
    """Indices sorted by value; those without a number last, equal ones in their own order."""
    sign = -1 if highest_first else 1
    return tuple(sorted(range(len(values)), key=lambda i: (math.isnan(values[i]), sign * values[i], i)))


def _tukey(count: int) -> Tensor:
    """1 inside, a cosine's fall in the outer fifth on each side, float64 [count]."""
    distance = torch.minimum(torch.arange(count) + 0.5, count - 0.5 - torch.arange(count)).double()
    return 0.5 - 0.5 * torch.cos(math.pi * (distance / max(count / 5, 1)).clamp(max=1))

"""Upsampling by the phases of a filter: values of the grid from the samples around them.

A filter is a sum of separable terms; samples and taps come per term, taps also per phase. `mirrored`: the phases are mirror images of
each other, in pairs, and the taps those that `geometry.fold` makes of them.
"""

from ops.fast_cpu.kernels.emit import Vec
from ops.fast_cpu.kernels.rows import dot


def upsampled_groups(
    samples: list[list[Vec]], groups: int, taps: list[list[list[Vec]]], *, mirrored: bool
) -> list[Vec]:
    """The values of the grid of neighbouring groups."""
    reach = len(taps[0][0])
    windows = [[term[n : n + reach] for term in samples] for n in range(groups)]
    return [value for window in windows for value in upsampled(window, taps, mirrored=mirrored)]


def upsampled(samples: list[list[Vec]], taps: list[list[list[Vec]]], *, mirrored: bool) -> list[Vec]:
    """One value of the grid per phase: the sum of all terms."""
    first, *others = (_term(*term, mirrored=mirrored) for term in zip(samples, taps, strict=True))
    for other in others:
        first = [one + more for one, more in zip(first, other, strict=True)]
    return first


def _term(samples: list[Vec], taps: list[list[Vec]], *, mirrored: bool) -> list[Vec]:
    if not mirrored:
        return [dot(samples, row) for row in taps]
    half, phases = len(samples) // 2, len(taps)
    sums = [samples[n] + samples[-1 - n] for n in range(half)]
    differences = [samples[n] - samples[-1 - n] for n in range(half)]
    pairs = [(dot(sums, row[:half]), dot(differences, row[half:])) for row in taps[: phases // 2]]
    return [even + odd for even, odd in pairs] + [even - odd for even, odd in reversed(pairs)]

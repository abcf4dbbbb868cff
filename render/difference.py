"""How much two pictures differ, value by value. NumPy only: the window asks for it without the renderer's thread."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from render.result import RenderResult

PEAK = 2.0
"""From the darkest to the brightest of an image in [-1, 1]: I_max of the paper's EQ metrics."""


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """|A - B| of what two results show."""

    values: np.ndarray
    """[height, width] float32: the mean over the channels, as a share of `scale`; NaN where either is not known."""
    scale: float
    """Of the image its whole range, 2; of a layer the largest magnitude of A."""
    decibels: float
    """Of the image its PSNR, 10 log10(I_max^2 / mean (A - B)^2); of a layer the signal over the difference,
    10 log10(mean A^2 / mean (A - B)^2). Infinite where they are equal."""
    is_image: bool
    reduced: bool = False
    """One was brought to the other's smaller size first."""
    margin: float = 0.0
    """Samples around the image canvas, as in the layers; 0 where it was cut off to match the other's."""


def difference(a: RenderResult, b: RenderResult) -> Difference | str:
    """The difference of what `a` and `b` show, or a sentence why there is none."""
    if a.values is None or b.values is None or a.image is None or b.image is None:
        return 'One of the two pictures is not there yet.'
    if a.request.view.error_map or b.request.view.error_map:
        return 'The map of errors is shown (M): switch it off to subtract the pictures.'
    if (a.layer is None) != (b.layer is None):
        return 'One side shows the image, the other a layer: show the same on both.'
    one, other = _known(a), _known(b)
    margins = tuple(0 if result.layer is None else result.layer.margin for result in (a, b))
    margin = float(margins[0])
    if one.shape[1:] != other.shape[1:] or margins[0] != margins[1]:
        if 'sheet' in (a.request.view.mode, b.request.view.mode):
            return 'Contact sheets of layers of different size cannot be subtracted: show RGB or one channel.'
        one, other, margin = _without_margin(one, margins[0]), _without_margin(other, margins[1]), 0.0
    height, width = (min(pair) for pair in zip(one.shape[1:], other.shape[1:], strict=True))
    reduced = one.shape != other.shape
    channels = min(len(one), len(other))
    one, other = (area_mean(x[:channels], height, width) for x in (one, other))
    return _measured(one, other, is_image=a.layer is None, reduced=reduced, margin=margin)


def area_mean(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """`x` [channels, rows, columns] at a smaller size, each sample the mean over the area that it covers.

    NaN wherever a NaN takes part. The same array if it has that size.
    """
    if x.shape[1:] == (height, width):
        return x
    rows, columns = _shares(x.shape[1], height), _shares(x.shape[2], width).T
    known = np.isfinite(x)
    if known.all():
        return rows @ x @ columns
    covered = rows @ known.astype(np.float32) @ columns
    return np.where(covered > 1 - 1e-4, rows @ np.where(known, x, np.float32(0)) @ columns, np.float32(np.nan))


def _shares(size: int, smaller: int) -> np.ndarray:
    """[smaller, size]: what share of each new sample every old one is."""
    edges = np.linspace(0, size, smaller + 1)
    start = np.arange(size)
    overlap = np.minimum(edges[1:, None], start + 1) - np.maximum(edges[:-1, None], start)
    return (np.maximum(overlap, 0) * (smaller / size)).astype(np.float32)


def _known(result: RenderResult) -> np.ndarray:
    """[channels, height, width] float32, NaN outside what is valid."""
    values, image = result.values, result.image
    assert values is not None and image is not None
    outside = image[..., 3] == 0
    return np.where(outside, np.float32(np.nan), values) if outside.any() else values


def _without_margin(x: np.ndarray, margin: int) -> np.ndarray:
    return x[:, margin : x.shape[1] - margin, margin : x.shape[2] - margin] if margin else x


def _measured(one: np.ndarray, other: np.ndarray, *, is_image: bool, reduced: bool, margin: float) -> Difference | str:
    error = one - other
    valid = np.isfinite(error)
    if not valid.any():
        return 'The two pictures have no valid place in common.'
    kept = error[valid].astype(np.float64)
    signal = one[valid].astype(np.float64)
    scale = PEAK if is_image else float(np.abs(signal).max()) or 1.0
    power = PEAK**2 if is_image else float(np.mean(signal**2))
    noise = float(np.mean(kept**2))
    decibels = math.inf if noise == 0 else 10 * math.log10(power / noise) if power > 0 else -math.inf
    values = (np.abs(error).mean(axis=0) / scale).astype(np.float32)
    return Difference(values, scale, decibels, is_image, reduced, margin)

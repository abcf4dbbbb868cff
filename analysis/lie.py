"""Lie derivatives of layers: how their features change while the input is moved a little (Gruver et al. 2023).

For a motion with generator D (the rate at which an equivariant layer's features f change) the error is
D f - d f / d motion. Both sides are measured: D f by a long differentiating filter, the change by a central difference.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from analysis.layer_equivariance import FeatureError, Grid

Motion = Literal['x', 'y', 'rotation']
REACHES = (10, 6, 4)
"""Half the length of the differentiating filter; the shorter ones for layers whose margin is small."""


def gradient(features: Tensor, grid: Grid, reach: int = REACHES[0]) -> tuple[Tensor, Tensor]:
    """Slopes along x and y per image width, shape as `features`; good below 0.6 of half the sampling rate, and
    `reach` samples away from the array's border."""
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    # Kaiser window; the shape parameter that suits a length grows with it.
    taper = torch.i0(reach * (1 - (steps / (reach + 1)).square()).sqrt()) / torch.i0(torch.tensor(float(reach)))
    # The derivative of a sinc at whole samples is (-1)^n / n.
    slope = torch.where(steps == 0, 0.0, torch.cos(math.pi * steps) / torch.where(steps == 0, 1.0, steps)) * taper
    taps = (slope.flip(0) * grid.rate).to(features)  # torch correlates
    flat = features.reshape(-1, 1, *features.shape[-2:])
    along_x = torch.conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, reach))
    along_y = torch.conv2d(flat, taps.view(1, 1, -1, 1), padding=(reach, 0))
    return along_x.reshape(features.shape), along_y.reshape(features.shape)


def generator(features: Tensor, grid: Grid, motion: Motion, reach: int = REACHES[0]) -> Tensor:
    """D f: how features change per image width that the picture moves right ('x') or down ('y'), or per radian that it
    turns counter-clockwise as seen on screen."""
    along_x, along_y = gradient(features, grid, reach)
    if motion == 'x':
        return -along_x
    if motion == 'y':
        return -along_y
    x, y = grid.positions()
    return -(y.to(features) * along_x - x.to(features) * along_y)


def lie_difference(
    base: Tensor, forth: Tensor, back: Tensor, grid: Grid, motion: Motion, step: float, *, mask: Tensor, reach: int
) -> FeatureError:
    """Squared Lie derivative error and squared D f of a layer where `mask` is 1, to be pooled.

    `forth`, `back`: its output for an input moved by + and - `step`.  `reach`: of the differentiating filter.
    """
    expected = generator(base, grid, motion, reach).double()
    found = (forth.double() - back.double()) / (2 * step)
    valid = mask.double()
    count = float(valid.sum())
    if count == 0:
        return FeatureError()
    squared = float(((found - expected).square() * valid).sum())
    return FeatureError(squared, float((expected.square() * valid).sum()), count * base.shape[0] * base.shape[1])


def lie_ratio(error: FeatureError) -> float:
    """Amplitude of the error relative to that of D f: 0 = equivariant, 1 = the features stay where they are."""
    if error.count == 0 or not error.power > 0 or math.isnan(error.squared):
        return math.nan
    return math.sqrt(error.squared / error.power)

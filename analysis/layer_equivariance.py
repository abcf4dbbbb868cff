"""Translation equivariance of single layers: how much of a moved input's features is not the moved features.

The scale is that of EQ-T: a PSNR against a range of 2, with the layer's features scaled to the standard deviation that
images have (0.5), so a layer's number can be read beside the paper's marks. Magnitude normalisation is frozen in
evaluation mode, so both passes see the same network.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from analysis.moving import Moved, translate_samples

IMAGE_STD = 0.5
"""Standard deviation that features are scaled to before the PSNR."""
DYNAMIC_RANGE = 2.0
SINC_REACH = 10
"""Half the length of the interpolation filter, the layers' margin in the paper's networks."""
REACHES = (SINC_REACH, 6, 4)
"""For layers whose margin is small."""
ROUNDING = 1e-12
"""A layer whose variance is less than this part of its mean square is constant but for rounding."""
WHOLE = 1e-6
"""Shifts this near to whole samples need no interpolation."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the samples of a layer lie."""

    rate: float
    """Samples per image width."""
    height: int
    width: int

    def canvas_mask(self, inset: float = 0.0) -> Tensor:
        """[height, width], 1 where a sample lies on the image canvas, `inset` samples away from its border."""
        limit = self.rate / 2 - inset
        y = (torch.arange(self.height, dtype=torch.float64) + 0.5 - self.height / 2).abs() <= limit
        x = (torch.arange(self.width, dtype=torch.float64) + 0.5 - self.width / 2).abs() <= limit
        return (y[:, None] & x[None, :]).float()

    def positions(self) -> tuple[Tensor, Tensor]:
        """Places of the samples in image widths from the centre: x [1, width] and y [height, 1], float64."""
        x = (torch.arange(self.width, dtype=torch.float64) + 0.5 - self.width / 2) / self.rate
        y = (torch.arange(self.height, dtype=torch.float64) + 0.5 - self.height / 2) / self.rate
        return x[None, :], y[:, None]

    def edge_mask(self, share: float = 1 / 8) -> Tensor:
        """[height, width], 1 on the canvas within `share` of its width from its border."""
        return self.canvas_mask() - self.canvas_mask(inset=share * self.rate)

    def inside_mask(self, x: tuple[float, float], y: tuple[float, float]) -> Tensor:
        """[height, width], 1 on the canvas between two limits each, in image widths from the centre."""
        across, down = self.positions()
        inside = (across >= x[0]) & (across <= x[1]) & (down >= y[0]) & (down <= y[1])
        return inside.float() * self.canvas_mask()


@dataclass(frozen=True, slots=True)
class FeatureError:
    """Squared error and power of features, summed over valid values."""

    squared: float = 0.0
    power: float = 0.0
    """Squared deviation of the reference from its channel means."""
    count: float = 0.0

    def __add__(self, other: 'FeatureError') -> 'FeatureError':
        return FeatureError(self.squared + other.squared, self.power + other.power, self.count + other.count)

    def psnr(self) -> float:
        """In dB; infinite without error; NaN when nothing was valid, nothing varied, or a value was not a number."""
        if self.count == 0 or not self.power > 0 or math.isnan(self.squared):
            return math.nan
        if self.squared == 0:
            return math.inf
        return 10 * math.log10(DYNAMIC_RANGE**2 / IMAGE_STD**2 * self.power / self.squared)

    def why_not(self) -> str:
        """Why there is no number, as a sentence; empty where there is one."""
        if self.count == 0:
            return 'The motion leaves nothing of this layer that could be compared.'
        if math.isnan(self.squared) or math.isnan(self.power) or math.isinf(self.power):
            return 'The layer holds values that are not finite numbers.'
        if not self.power > 0:
            return 'The layer does not vary across the picture, so nothing can be seen to move in it.'
        return ''


def feature_errors(reference: Moved, test: Tensor, masks: Sequence[Tensor]) -> tuple[FeatureError, ...]:
    """Difference of `test` [batch, channels, height, width] from `reference` where its mask and each of `masks` are 1."""
    places = reference.mask.numel()
    valid = torch.stack([(reference.mask * mask).double().reshape(places) for mask in masks])  # [masks, places]
    counts = valid.sum(dim=1)
    expected = reference.image.double().reshape(-1, places)
    centred = expected - expected.mean(dim=1, keepdim=True)  # so that the means below are small against what varies
    differences = (reference.image - test).reshape(-1, places).double().square().sum(dim=0)
    squared, squares = valid @ differences, valid @ centred.square().sum(dim=0)
    power = squares - (centred @ valid.T).square().sum(dim=0) / counts.clamp(min=1)
    rounding = ROUNDING * (valid @ expected.square().sum(dim=0))
    power = torch.where(power < rounding, 0.0, power)
    numbers = zip(squared.tolist(), power.tolist(), counts.tolist(), strict=True)
    return tuple(FeatureError(a, b, n * len(expected)) if n else FeatureError() for a, b, n in numbers)


def feature_error(reference: Moved, test: Tensor, mask: Tensor) -> FeatureError:
    """`feature_errors` for one mask [height, width]."""
    return feature_errors(reference, test, [mask])[0]


def moved_features(features: Tensor, grid: Grid, x: float, y: float, *, reach: int = SINC_REACH) -> Moved:
    """Features moved by (x, y) image widths on their own grid: what an equivariant layer yields for a moved input."""
    return translate_samples(features, x * grid.rate, y * grid.rate, reach=reach)


@dataclass(frozen=True, slots=True)
class IdealShift:
    """A shift by (x, y) image widths of what a layer receives, and where its output then depends on known samples only."""

    inner: Grid
    """Of the input."""
    outer: Grid
    """Of the output."""
    x: float
    y: float
    support: float
    """How far the layer looks, in image widths."""
    reach: int = SINC_REACH
    """Of the interpolation, where the shift is not one of whole samples."""

    def known(self) -> Tensor:
        """[height, width] of the output, 1 where all that it depends on is known."""
        limits = [
            self._limits(self.x, self.inner.width, self.outer.width),
            self._limits(self.y, self.inner.height, self.outer.height),
        ]
        return self.outer.inside_mask(*limits)

    def fitting(self) -> 'IdealShift':
        """The same with the longest interpolation that leaves a quarter of the canvas; see `shift_limit` for its price."""
        enough = float(self.outer.canvas_mask().sum()) / 4
        tried = [replace(self, reach=reach) for reach in REACHES]
        return next((one for one in tried if float(one.known().sum()) >= enough), self)

    def _limits(self, shift: float, inner: int, outer: int) -> tuple[float, float]:
        lost_inner = self.support + _interpolated(shift, self.inner, self.reach)
        half = min(
            inner / self.inner.rate / 2 - lost_inner,
            outer / self.outer.rate / 2 - _interpolated(shift, self.outer, self.reach),
        )
        return -half + max(shift, 0.0), half + min(shift, 0.0)


def _interpolated(shift: float, grid: Grid, reach: int) -> float:
    """How much of the border the interpolation takes, in image widths."""
    samples = shift * grid.rate
    return 0.0 if abs(samples - round(samples)) < WHOLE else reach / grid.rate


def shift_limit(base: Tensor, ideal: IdealShift) -> float:
    """What the ideal shift itself is good for, in dB: it is compared with a shift there and back, whose error is twice as large.

    Infinite for whole samples; NaN where too little is known. Nothing above this number can be told apart.
    """
    x, y, grid, reach = ideal.x, ideal.y, ideal.outer, ideal.reach
    if _interpolated(x, grid, reach) == _interpolated(y, grid, reach) == 0:
        return math.inf
    there = moved_features(base, grid, x, y, reach=reach)
    back = moved_features(there.image, grid, -x, -y, reach=reach)
    inset = 2 * reach - (min(grid.height, grid.width) - grid.rate) / 2
    mask = grid.canvas_mask(max(inset, 0)).to(base.device)
    return feature_error(Moved(base, back.mask * there.mask), back.image, mask).psnr() + 20 * math.log10(2)


def created_error(base: Tensor, from_ideal_input: Tensor, ideal: IdealShift) -> FeatureError:
    """The part of the error that the layer makes itself: its input was moved by `ideal` instead of by the network.

    `base`: its output for the input that was not moved; `from_ideal_input`: for `moved_features` of that input.
    """
    reference = moved_features(base, ideal.outer, ideal.x, ideal.y, reach=ideal.reach)
    return feature_error(reference, from_ideal_input, ideal.known().to(base.device))


def dyadic_shifts(resolution: int) -> tuple[float, ...]:
    """The ladder's shifts in image widths: 1/16, 1/32, … down to a pixel, then a half and a quarter of one.

    A shift of 1/r is blind to aliasing on grids of r samples and exposes that of coarser ones, so the step at which a
    layer's error appears names the grid that made it.
    """
    count = max(int(math.log2(max(resolution, 16) / 16)), 0)
    return (*(1 / 16 / 2**step for step in range(count + 1)), 0.5 / resolution, 0.25 / resolution)

"""Translation equivariance of single layers: how much of a moved input's features is not the moved features.

The scale is that of EQ-T: a PSNR against a range of 2, with the layer's features scaled to the standard deviation that
images have (0.5), so a layer's number can be read beside the paper's marks. Magnitude normalisation is frozen in
evaluation mode, so both passes see the same network.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.moving import Moved, translate_samples

IMAGE_STD = 0.5
"""Standard deviation that features are scaled to before the PSNR."""
DYNAMIC_RANGE = 2.0
SINC_REACH = 10
"""Half the length of the interpolation filter, the layers' margin in the paper's networks."""


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


def feature_error(reference: Moved, test: Tensor, mask: Tensor) -> FeatureError:
    """Difference of `test` [batch, channels, height, width] from `reference` where both masks are 1."""
    valid = (reference.mask * mask).to(torch.float64)
    count = float(valid.sum())
    if count == 0:
        return FeatureError()
    expected, found = reference.image.double(), test.double()
    mean = (expected * valid).sum(dim=(-2, -1), keepdim=True) / count
    power = float(((expected - mean).square() * valid).sum())
    squared = float(((expected - found).square() * valid).sum())
    return FeatureError(squared, power, count * expected.shape[0] * expected.shape[1])


def moved_features(features: Tensor, grid: Grid, x: float, y: float) -> Moved:
    """Features moved by (x, y) image widths on their own grid: what an equivariant layer yields for a moved input."""
    return translate_samples(features, x * grid.rate, y * grid.rate, reach=SINC_REACH)


def layer_error(base: Tensor, moved: Tensor, grid: Grid, x: float, y: float) -> FeatureError:
    """Error of a layer after the input was moved by (x, y) image widths, on the canvas.

    `base`, `moved`: features [batch, channels, height, width] before and after. Counts what earlier layers did wrong as
    well; see `created_error` for this layer's own part.
    """
    return feature_error(moved_features(base, grid, x, y), moved, grid.canvas_mask().to(base.device))


def created_error(
    base: Tensor, from_ideal_input: Tensor, grid: Grid, x: float, y: float, *, border: float
) -> FeatureError:
    """The part of the error that the layer makes itself: its input was moved ideally instead of by the network.

    `from_ideal_input`: its output for `moved_features` of its input. `border`: samples at the canvas border, of this
    grid, that depend on input samples which the ideal shift could not know.
    """
    mask = grid.canvas_mask(inset=max(border, 0.0)).to(base.device)
    return feature_error(moved_features(base, grid, x, y), from_ideal_input, mask)


def lie_error(base: Tensor, moved: Tensor, grid: Grid, x: float, y: float) -> float:
    """Root mean square of the Lie derivative, relative to the features' standard deviation, per image width of motion.

    The finite difference (moved - shift(base)) / distance for a small (x, y); 0 for an equivariant layer
    (Gruver et al. 2023, "The Lie derivative for measuring learned equivariance"). NaN where nothing is valid.
    """
    error = layer_error(base, moved, grid, x, y)
    if error.count == 0 or not error.power > 0:
        return math.nan
    return math.sqrt(error.squared / error.power) / math.hypot(x, y)


def dyadic_shifts(resolution: int) -> tuple[float, ...]:
    """The ladder's shifts in image widths: 1/16, 1/32, … down to a pixel, then a half and a quarter of one.

    A shift of 1/r is blind to aliasing on grids of r samples and exposes that of coarser ones, so the step at which a
    layer's error appears names the grid that made it.
    """
    count = max(int(math.log2(max(resolution, 16) / 16)), 0)
    return (*(1 / 16 / 2**step for step in range(count + 1)), 0.5 / resolution, 0.25 / resolution)

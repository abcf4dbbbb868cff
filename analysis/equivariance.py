"""Equivariance of a picture-making function as the paper measures it: EQ-T, EQ-T_frac, EQ-R (Eq. 3, Appendix E).

Each is a PSNR in dB between what the network makes of a moved input and its moved output, on the valid region,
with a dynamic range of 2 (-1 to 1). Squared errors are pooled over all samples before the logarithm.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.moving import (
    Moved,
    pseudo_rotate,
    rotate,
    rotation_matrix,
    translate,
    translate_whole,
    translation_matrix,
)

DYNAMIC_RANGE = 2.0
"""I_max, from -1 to 1."""
Synthesize = Callable[[Tensor], Tensor]
"""Map of the picture [3, 3] -> pictures [batch, channels, height, width] of fixed latents."""


@dataclass(frozen=True, slots=True)
class PooledError:
    """Squared error summed over valid values, and how many those are."""

    squared: float = 0.0
    count: float = 0.0

    def __add__(self, other: 'PooledError') -> 'PooledError':
        return PooledError(self.squared + other.squared, self.count + other.count)

    def psnr(self) -> float:
        """In dB; infinite without error, NaN when nothing was valid."""
        if self.count == 0 or math.isnan(self.squared):
            return math.nan
        if self.squared == 0:
            return math.inf
        return 20 * math.log10(DYNAMIC_RANGE) - 10 * math.log10(self.squared / self.count)


def masked_error(reference: Tensor, test: Tensor, mask: Tensor) -> PooledError:
    """Squared difference of two picture sets [batch, channels, height, width] where `mask` [height, width] is 1."""
    difference = (reference.double() - test.double()).square() * mask.double()
    count = mask.double().sum() * reference.shape[0] * reference.shape[1]
    return PooledError(float(difference.sum()), float(count))


def translation_error(
    synthesize: Synthesize, base: Tensor, x: float, y: float, *, fractional: bool = False
) -> PooledError:
    """Error of one shift by (x, y) image sizes; `base` is the picture that was not moved.

    Whole (EQ-T, E.1): the shift is rounded to whole pixels first. Fractional (EQ-T_frac, E.2): Lanczos reference.
    """
    height, width = base.shape[-2:]
    if not fractional:
        x, y = round(x * width) / width, round(y * height) / height
    reference = translate(base, x, y) if fractional else translate_whole(base, x, y)
    return masked_error(reference.image, synthesize(translation_matrix(x, y)), reference.mask)


def rotation_error(synthesize: Synthesize, base: Tensor, radians: float) -> PooledError:
    """Error of one rotation (EQ-R, E.3): the rotated picture against the pseudo-rotated picture of the rotated input."""
    reference = rotate(base, radians)
    test: Moved = pseudo_rotate(synthesize(rotation_matrix(radians)), radians)
    return masked_error(reference.image, test.image, reference.mask * test.mask)


def uniform_shift(generator: torch.Generator, largest: float = 1 / 8) -> tuple[float, float]:
    """A random shift (x, y), each uniform in ± `largest` image sizes, as EQ-T draws it."""
    x, y = ((torch.rand(2, generator=generator) * 2 - 1) * largest).tolist()
    return x, y


def uniform_angle(generator: torch.Generator, largest: float = math.pi) -> float:
    """A random angle in radians, uniform in ± `largest`, as EQ-R draws it."""
    return float((torch.rand((), generator=generator) * 2 - 1) * largest)

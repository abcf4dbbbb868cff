"""What the augmentation may do (Karras et al. 2020 b, Appendix B), and what it does to each image of one call."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from networks.config import from_keywords
from training.random_source import RandomSource


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """How often (a multiplier of p, 0 = never) and how strongly each change happens, under the published keywords."""

    xflip: float = 0
    """Mirroring."""
    rotate90: float = 0
    """Quarter turns."""
    xint: float = 0
    """Shifts by whole pixels."""
    xint_max: float = 0.125
    """Largest of these, in image sizes."""
    scale: float = 0
    """Scaling of both axes."""
    rotate: float = 0
    """Rotation by any angle."""
    aniso: float = 0
    """Stretching of one axis and shrinking of the other."""
    xfrac: float = 0
    """Shifts by fractions."""
    scale_std: float = 0.2
    """Deviation of the scaling's logarithm, base 2."""
    rotate_max: float = 1
    """Largest angle, in half turns."""
    aniso_std: float = 0.2
    """Deviation of the stretching's logarithm, base 2."""
    xfrac_std: float = 0.125
    """Deviation, in image sizes."""
    brightness: float = 0
    contrast: float = 0
    lumaflip: float = 0
    """Light and dark exchanged, hue kept."""
    hue: float = 0
    saturation: float = 0
    brightness_std: float = 0.2
    contrast_std: float = 0.5
    """Of the factor's logarithm, base 2."""
    hue_max: float = 1
    """Largest angle, in half turns."""
    saturation_std: float = 1
    """Of the factor's logarithm, base 2."""
    imgfilter: float = 0
    """Amplification of four frequency bands."""
    imgfilter_bands: tuple[float, ...] = (1, 1, 1, 1)
    """Multiplier per band, lowest first."""
    imgfilter_std: float = 1
    """Of the amplification's logarithm, base 2."""
    noise: float = 0
    """Gaussian noise."""
    cutout: float = 0
    """A blanked rectangle."""
    noise_std: float = 0.1
    cutout_size: float = 0.5
    """Sides of the rectangle, in image sizes."""


def published_options(groups: str = 'bgc') -> AugmentOptions:
    """Options of one of the paper's sets, each change switched on with the multiplier 1.

    `groups`: 'b' blitting, 'bg' and geometry, 'bgc' and colour, 'bgcf' and filters, 'bgcfn' and noise, 'bgcfnc' and cutout.
    The paper recommends 'bgc' (Sec. 2.3).
    """
    names = (
        ('xflip', 'rotate90', 'xint'),
        ('scale', 'rotate', 'aniso', 'xfrac'),
        ('brightness', 'contrast', 'lumaflip', 'hue', 'saturation'),
        ('imgfilter',),
        ('noise',),
        ('cutout',),
    )
    if not groups or not 'bgcfnc'.startswith(groups):
        raise ValueError(
            f"there is no set of augmentations {groups!r}; choose 'b', 'bg', 'bgc', 'bgcf', 'bgcfn' or 'bgcfnc'"
        )
    return from_keywords(AugmentOptions, {name: 1 for group in names[: len(groups)] for name in group})


class Choice:
    """What happens to each of the `count` images of one call of the augmentation.

    A value is drawn for every image, then whether it is used there. With `percentile`, nothing is random: every value is
    that percentile of its distribution, and every value is used.
    """

    def __init__(self, count: int, strength: Tensor, source: RandomSource, percentile: float | None) -> None:
        """`strength`: p, the overall probability; the draws take its device and type."""
        self.count = count
        self.strength = strength
        self.percentile = percentile
        self._source = source

    def uniform(self, columns: int = 1) -> Tensor:
        """[count], or [count, columns] above one column, in [0, 1)."""
        shape = (self.count,) if columns == 1 else (self.count, columns)
        if self.percentile is not None:
            return self.strength.new_full(shape, self.percentile)
        return self._source.uniform(shape).to(self.strength)

    def normal(self, columns: int = 1) -> Tensor:
        """[count], or [count, columns] above one column, of deviation 1.

        A percentile q stands for erfinv(2 q - 1), which is 1 / sqrt(2) of the normal distribution's own: the convention
        of the goldens.
        """
        shape = (self.count,) if columns == 1 else (self.count, columns)
        if self.percentile is not None:
            return self.strength.new_full(shape, 2 * self.percentile - 1).erfinv()
        return self._source.normal(shape).to(self.strength)

    def half_normal(self) -> Tensor:
        """[count], the absolute value of a normal draw."""
        if self.percentile is not None:
            return self.strength.new_full((self.count,), self.percentile).erfinv()
        return self.normal().abs()

    def field(self, shape: Sequence[int]) -> Tensor:
        """Unit normal noise of `shape`: random with a percentile too, for a percentile of noise is a flat picture."""
        return self._source.normal(shape).to(self.strength)

    def applied(self, value: Tensor, neutral: float, multiplier: float) -> Tensor:
        """`value` [count, …] where it is used, `neutral` elsewhere; used with probability `multiplier` times p."""
        return self.applied_with(value, neutral, multiplier * self.strength)

    def applied_with(self, value: Tensor, neutral: float, probability: Tensor) -> Tensor:
        """`value` where it is used, `neutral` elsewhere; used with this probability."""
        if self.percentile is not None:
            return value
        used = self._source.uniform((self.count,)).to(probability.device) < probability
        return torch.where(used.reshape(-1, *[1] * (value.ndim - 1)), value, neutral)

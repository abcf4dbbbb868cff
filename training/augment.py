"""Adaptive discriminator augmentation: what the discriminator sees is changed at random, so that it cannot learn a small
data set by heart (Karras et al. 2020 b, "Training Generative Adversarial Networks with Limited Data", Appendix B).
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks.config import from_keywords
from training.augment_colour import choose_colours, recolour
from training.augment_geometry import choose_motion, warp
from training.augment_options import AugmentOptions, Choice
from training.random_source import RandomSource, TorchRandom

SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
"""Low-pass of Daubechies' least asymmetric wavelet with 6 vanishing moments (Daubechies 1992, Table 6.3)."""
SYM2 = tuple(taps / (4 * math.sqrt(2)) for taps in (1 - 3**0.5, 3 - 3**0.5, 3 + 3**0.5, 1 + 3**0.5))
"""The same with 2 vanishing moments, which is Daubechies' own wavelet of 4 taps."""
_BANDS = 4
_EXPECTED_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""lambda: share of each band in the power of natural images, whose spectrum falls as 1 / f."""


class AugmentPipe(nn.Module):
    """Images [batch, channels, height, width] -> randomly changed images of the same shape; differentiable, twice too.

    Buffer `p`: overall strength, set by the trainer (`adapted_strength`), 1 at first. `Hz_geom`, `Hz_fbank`: the filters.
    Even at p = 0 images are resampled when any motion is switched on, which is exact to about 4e-6.
    """

    def __init__(self, **keywords: Any) -> None:
        """Keywords: the fields of `AugmentOptions`. Raises `ValueError` for one that does not exist."""
        super().__init__()
        self.options = from_keywords(AugmentOptions, keywords)
        if len(self.options.imgfilter_bands) != _BANDS:
            raise ValueError(f'imgfilter_bands needs {_BANDS} numbers, got {self.options.imgfilter_bands}')
        self.register_buffer('p', torch.ones([]))
        low = torch.tensor(SYM6, dtype=torch.float64)
        self.register_buffer('Hz_geom', (low / low.sum()).float())
        self.register_buffer('Hz_fbank', band_filters().float())

    def forward(
        self, images: Tensor, source: RandomSource | None = None, *, debug_percentile: float | None = None
    ) -> Tensor:
        """Changed images. `source`: of random numbers, None = torch's global generator.

        `debug_percentile`: make the result predictable, everything applied at this percentile, in (0, 1).
        """
        if debug_percentile is not None and not 0 < debug_percentile < 1:
            raise ValueError(f'debug_percentile must lie between 0 and 1, without them, got {debug_percentile}')
        count, _, height, width = images.shape
        strength = cast(Tensor, self.p).to(images.device)
        choice = Choice(count, strength, source or TorchRandom(), debug_percentile)
        options = self.options
        motion = choose_motion(options, choice, width=width, height=height)
        if motion is not None:
            images = warp(images, motion, cast(Tensor, self.Hz_geom))
        colours = choose_colours(options, choice)
        if colours is not None:
            images = recolour(images, colours)
        if options.imgfilter > 0:
            gains = choose_band_gains(options, choice)
            images = filter_images(images, gains @ cast(Tensor, self.Hz_fbank))
        if options.noise > 0:
            sigma = choice.applied(choice.half_normal() * options.noise_std, 0, options.noise)
            images = images + choice.field(images.shape) * sigma[:, None, None, None]
        if options.cutout > 0:
            images = _cut_out(images, options, choice)
        return images


def adapted_strength(
    strength: float, mean_sign: float, *, images: int, target: float = 0.6, images_to_full: float = 500_000
) -> float:
    """p after `images` more images: higher when the discriminator is too sure of the reals, else lower; not below 0.

    `mean_sign`: r_t, the mean of sign(D(real)) since the last time; 0 = it guesses, 1 = it knows all of them.  `target`:
    what r_t should be.  `images_to_full`: how many images p needs from 0 to 1 (Sec. 3.1).
    """
    direction = (mean_sign > target) - (mean_sign < target)
    return max(strength + direction * images / images_to_full, 0.0)


def band_filters() -> Tensor:
    """Filters [4, 43] that split a signal into the octaves 0, pi/8, pi/4, pi/2, pi; they add up to a unit impulse. Float64.

    From the zero-phase low-pass H(z) H(1/z) / 2 of `SYM2` and the high-pass that is its mirror: a band is the high-pass
    after the low-passes of the finer bands, all dilated to its rate.
    """
    taps = torch.tensor(SYM2, dtype=torch.float64)
    low = _convolved(taps, taps.flip(0)) / 2
    alternating = (-1.0) ** torch.arange(len(low), dtype=torch.float64)
    high = low * alternating * -1  # its middle tap, the fourth, must stay positive
    bands, coarser = [], torch.ones(1, dtype=torch.float64)
    for level in range(_BANDS - 1):
        bands.insert(0, _convolved(_dilated(high, 2**level), coarser))
        coarser = _convolved(_dilated(low, 2**level), coarser)
    bands.insert(0, coarser)
    widest = len(coarser)
    return torch.stack([F.pad(band, [(widest - len(band)) // 2] * 2) for band in bands])


def choose_band_gains(options: AugmentOptions, choice: Choice) -> Tensor:
    """Amplification [batch, 4] of the bands; after each change scaled so that a natural image keeps its power."""
    gains = choice.strength.new_ones(choice.count, _BANDS)
    power = gains.new_tensor(_EXPECTED_POWER)
    for band, multiplier in enumerate(options.imgfilter_bands):
        if choice.percentile is not None and multiplier <= 0:
            continue
        change = torch.exp2(choice.normal() * options.imgfilter_std)
        changes = torch.ones_like(gains)
        changes[:, band] = choice.applied(change, 1, options.imgfilter * multiplier)
        gains = gains * changes / (power * changes.square()).sum(1, keepdim=True).sqrt()
    return gains


def filter_images(images: Tensor, taps: Tensor) -> Tensor:
    """`images` filtered along both axes, each with its own symmetric `taps` [batch, odd count]; reflected at the edges.

    Raises `ValueError` for images that are too small to be reflected.
    """
    batch, channels, height, width = images.shape
    reach = taps.shape[1] // 2
    if min(height, width) <= reach:
        raise ValueError(f'the filter augmentation needs images above {reach} pixels, got {width} x {height}')
    kernel = taps.to(images.dtype).repeat_interleave(channels, 0)[:, None, None]
    x = F.pad(images, [reach] * 4, mode='reflect').flatten(0, 1)[None]
    x = torch.conv2d(x, kernel, groups=batch * channels)
    x = torch.conv2d(x, kernel.transpose(2, 3), groups=batch * channels)
    return x.reshape(images.shape)


def _cut_out(images: Tensor, options: AugmentOptions, choice: Choice) -> Tensor:
    """`images` with a rectangle set to 0, where chosen; its centre anywhere in the image."""
    height, width = images.shape[-2:]
    size = choice.strength.new_full((choice.count,), options.cutout_size)
    size = choice.applied(size, 0, options.cutout)
    centre = choice.uniform(2)
    x = ((torch.arange(width, device=images.device) + 0.5) / width - centre[:, :1]).abs()  # [batch, width]
    y = ((torch.arange(height, device=images.device) + 0.5) / height - centre[:, 1:]).abs()
    half = size[:, None] / 2
    kept = (x >= half)[:, None, None, :] | (y >= half)[:, None, :, None]
    return images * kept


def _convolved(a: Tensor, b: Tensor) -> Tensor:
    """Product of two polynomials in z, [len(a) + len(b) - 1]."""
    return F.conv1d(a[None, None], b.flip(0)[None, None], padding=len(b) - 1)[0, 0]


def _dilated(taps: Tensor, factor: int) -> Tensor:
    """H(z^factor): zeros between the taps."""
    result = taps.new_zeros((len(taps) - 1) * factor + 1)
    result[::factor] = taps
    return result

"""Looks through a training set for what spoils a training, before hours are spent on it."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data import ImageZip
from training.errors import TrainingError

OnProgress = Callable[[int, int], None]
JAGGED_DB = -5.5
"""Power near the pixel grid's limit over that at half of it: resized without a filter, edges lie above this (measured -5 to
-2.5), properly resized pictures below (-7 to -12)."""
BLURRED_DB = -20.0
"""Below this a picture was enlarged or blurred (an enlargement by 2: -30)."""
BLOCKS_RATIO = 1.15
"""Step across 8 x 8 block edges over steps elsewhere; 1 in pictures without blocks."""
_BAR_SHARE = 0.04
"""Bars narrower than this part of the side are not counted."""
_BAR_RANGE = 3
"""Levels by which the pixels of a bar may differ."""
_NOTEWORTHY = 0.02
"""Part of the images from which on something is worth a word."""
_SMALLEST = 16


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was seen in a training set."""

    path: Path
    images: int
    checked: int
    side: int
    high_band_db: float
    """Median over images of the power near the limit of the pixel grid, over that at half of it."""
    blurred_share: float
    bars_share: float
    blocks_ratio: float
    doubles: int
    """Images equal to an earlier one, mirrored or not."""
    damaged: tuple[str, ...]

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each thing that should be put right."""
        found = []
        if self.damaged:
            found.append(f'{len(self.damaged)} images are damaged, first {self.damaged[0]}: replace or remove them.')
        if self.high_band_db > JAGGED_DB:
            found.append(
                f'Edges are jagged (power near the pixel limit {self.high_band_db:.1f} dB, above {JAGGED_DB:g} dB): resized '
                'without a filter, or noisy. An alias-free generator cannot learn such edges: prepare the set from the originals.'
            )
        elif self.blurred_share > 0.5:
            found.append(
                f'Most images have no fine detail ({self.high_band_db:.0f} dB near the pixel limit): enlarged or blurred. '
                'Use a lower --resolution.'
            )
        if self.bars_share > _NOTEWORTHY:
            found.append(
                f'{self.bars_share:.0%} of the images have bars of one colour at opposite edges: crop them off.'
            )
        if self.blocks_ratio > BLOCKS_RATIO:
            found.append(
                f'The 8 x 8 grid of JPEG blocks can be seen (steps across it are {self.blocks_ratio:.2f} times the others): '
                'make the set from larger or less compressed pictures.'
            )
        if self.doubles > self.checked * _NOTEWORTHY:
            found.append(
                f'{self.doubles} of {self.checked} images are equal to another one, or mirrored: remove doubles.'
            )
        return tuple(found)

    def lines(self) -> list[str]:
        """The result for a person."""
        head = f'{self.path.name}: {self.images} images of {self.side} x {self.side} pixels, {self.checked} looked at'
        return [head, *(self.warnings() or ('Nothing suspicious was found.',))]

    def as_json(self) -> str:
        """All numbers and warnings."""
        values = {name: getattr(self, name) for name in self.__slots__ if name not in ('path', 'damaged')}
        values = {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
        joined = {'path': str(self.path), **values, 'damaged': self.damaged, 'warnings': self.warnings()}
        return json.dumps(joined, indent=2, ensure_ascii=False)


def check_set(path: Path, *, samples: int = 5000, on_progress: OnProgress = lambda done, total: None) -> CheckResult:
    """Look at up to `samples` images of the set at `path`, evenly spread. Raises `TrainingError` for a set that is none."""
    with ImageZip(path) as images:
        return check_images(images, samples=samples, on_progress=on_progress)


def check_images(
    images: ImageZip, *, samples: int = 5000, on_progress: OnProgress = lambda done, total: None
) -> CheckResult:
    """The same for an open set."""
    count = min(samples, len(images))
    chosen = np.linspace(0, len(images) - 1, count).round().astype(int)
    bands, bars, steps, seen, doubles, damaged = [], 0, np.zeros(8), set[bytes](), 0, []
    for done, index in enumerate(chosen):
        on_progress(done, count)
        try:
            pixels = images.image(int(index))
        except TrainingError:
            damaged.append(images.names[int(index)])
            continue
        grey = pixels.astype(np.float32).mean(2)
        bands.append(high_band_db(grey))
        bars += has_bars(pixels)
        steps += block_steps(grey)
        marks = {hashlib.blake2b(view.tobytes(), digest_size=12).digest() for view in (pixels, pixels[:, ::-1])}
        doubles += bool(marks & seen)
        seen |= marks
    known = np.array([band for band in bands if band is not None] or [np.nan])
    return CheckResult(
        images.path,
        len(images),
        count,
        images.side,
        high_band_db=float(np.median(known)),
        blurred_share=float(np.mean(known < BLURRED_DB)),
        bars_share=bars / count,
        blocks_ratio=_peak_over_rest(steps),
        doubles=doubles,
        damaged=tuple(damaged),
    )


def high_band_db(grey: np.ndarray) -> float | None:
    """Power at 0.85 to 1 of the Nyquist frequency over that at 0.35 to 0.5, in dB, of [side, side]; None for a flat picture.

    Power of natural pictures falls as 1 / f², here to -7 dB, and the resizing filter takes some more; what is resized
    without one folds everything above the limit into this band.
    """
    side = len(grey)
    if side < _SMALLEST or np.ptp(grey) < 2:
        return None
    window = np.kaiser(side, 8)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window[:, None] * window)) ** 2
    frequency = np.abs(np.fft.fftfreq(side)) * 2
    radius = np.hypot(frequency[:, None], frequency)
    high = power[(radius >= 0.85) & (radius < 1.01)].mean()
    middle = power[(radius >= 0.35) & (radius < 0.5)].mean()
    return float(10 * np.log10(max(high, 1e-9) / max(middle, 1e-9)))


def has_bars(pixels: np.ndarray) -> bool:
    """Whether [side, side, 3] has bars of one colour above and below, or left and right, around something else."""
    width = max(int(len(pixels) * _BAR_SHARE), 2)
    if _is_flat(pixels):
        return False
    for view in (pixels, pixels.swapaxes(0, 1)):
        first, last, middle = view[:width], view[-width:], view[width:-width]
        if _is_flat(first) and _is_flat(last) and not _is_flat(middle):
            return bool(np.abs(first[0, 0].astype(int) - last[0, 0]).max() <= _BAR_RANGE)
    return False


def block_steps(grey: np.ndarray) -> np.ndarray:
    """Mean change of slope across each of the 8 positions of a grid of 8 pixels, over their mean: [8]."""
    slopes = [np.abs(np.diff(view, n=3, axis=1)).mean(0) for view in (grey, grey.T)]
    sums = np.array([sum(slope[phase::8].mean() for slope in slopes) for phase in range(8)])
    total = sums.mean()
    return sums / total if total > 0 else np.ones(8)


def _peak_over_rest(steps: np.ndarray) -> float:
    """The largest of the 8 over the fourth: 1 without a grid, for an edge raises up to three, and enlarging by two four."""
    ordered = np.sort(steps)[::-1]
    return float(ordered[0] / ordered[3]) if ordered[3] > 0 else 1.0


def _is_flat(pixels: np.ndarray) -> bool:
    flat = pixels.reshape(-1, pixels.shape[-1])
    return bool(np.ptp(flat, axis=0).max() <= _BAR_RANGE)

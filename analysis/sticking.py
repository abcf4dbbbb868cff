"""Texture sticking: how much fine detail stays where it is while the picture changes (Karras et al. 2021, Fig. 1).

Every share below is an estimate from N pictures without bias: N pictures that have nothing in common still have an average
with 1 / N of their energy, and that is taken off. So 0 means that all detail moves, 1 that all stays.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from analysis.moving import LANCZOS_LOBES, lanczos
from analysis.spectrum import kaiser_window

HIGH = 0.25
"""High spatial frequencies begin at this part of half the sampling rate, unless said otherwise."""
_BETA = 8.0


@dataclass(frozen=True, slots=True)
class StripScore:
    """What an x-t strip says."""

    share: float
    """Of the energy at high spatial frequencies, what does not move; NaN where there is none."""
    moved: float
    """1 - the same share at low spatial frequencies: near 0 the picture hardly changed, and `share` says nothing."""

    def why_not(self) -> str:
        """Why there is no number or no trust in it, as a sentence; empty if there is."""
        if math.isnan(self.share):
            return 'The line holds no detail, or values that are not finite numbers.'
        if self.moved < 0.1 and self.share > 0.5:
            return 'The picture hardly changed during the walk, so nothing can be told; walk further.'
        return ''


def line_samples(image: Tensor, start: tuple[float, float], end: tuple[float, float], points: int) -> Tensor:
    """Colours along a line, [channels, points]: `image` [channels, height, width], ends in image sizes from the top left
    corner. Between pixels by Lanczos interpolation (a = 3, taps of unit sum); beyond the border the border repeats."""
    if points < 2:
        raise ValueError(f'A line needs at least 2 points, got {points}.')
    height, width = image.shape[-2:]
    along = torch.linspace(0, 1, points, dtype=torch.float64)
    columns, across = _neighbours((start[0] + (end[0] - start[0]) * along) * width - 0.5, width)
    rows, down = _neighbours((start[1] + (end[1] - start[1]) * along) * height - 0.5, height)
    found = image[:, rows[:, :, None], columns[:, None, :]].double()  # [channels, points, 6, 6]
    weights = (down[:, :, None] * across[:, None, :]).to(image.device)
    return (found * weights).sum(dim=(-2, -1)).float()


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The six samples around each position and their Lanczos weights, both [points, 6]."""
    first = position.floor()
    steps = torch.arange(1 - LANCZOS_LOBES, LANCZOS_LOBES + 1, dtype=torch.float64)
    distance = steps[None, :] - (position - first)[:, None]
    weights = lanczos(distance)
    index = (first[:, None] + steps[None, :]).long().clamp(0, size - 1)
    return index, weights / weights.sum(dim=1, keepdim=True)


def common_share(coherent: float, single: float, count: int) -> float:
    """Share of energy that `count` signals have in common: `coherent` is the energy of their average, `single` the average of
    their energies. NaN where nothing is there. Not below 0."""
    if count < 2 or not single > 0 or not math.isfinite(single) or math.isnan(coherent):
        return math.nan
    return min(max((count * coherent / single - 1) / (count - 1), 0.0), 1.0)


def strip_score(strip: Tensor, *, high: float = HIGH) -> StripScore:
    """Score of an x-t strip [frames, channels, points]: what of each spatial frequency is the same in all frames.

    Spatial frequencies from `high` times half the sampling rate on count as detail. Raises `ValueError` for fewer than two
    frames.
    """
    if strip.ndim != 3 or strip.shape[0] < 2:
        raise ValueError(f'A walk needs at least 2 pictures to see something move, got {strip.shape[0]}.')
    points = strip.shape[-1]
    window = kaiser_window(points, _BETA, device=strip.device).double()
    values = strip.double()
    spectrum = torch.fft.rfft((values - values.mean(dim=-1, keepdim=True)) * window)
    cut = max(round(high * (points // 2)), 1)
    shares = []
    for part in (spectrum[..., cut:], spectrum[..., 1:cut] if cut > 1 else spectrum[..., :1]):
        single = float(part.abs().square().sum(dim=(1, 2)).mean())
        coherent = float(part.mean(dim=0).abs().square().sum())
        shares.append(common_share(coherent, single, len(strip)))
    return StripScore(shares[0], 1 - shares[1])


def high_pass(images: Tensor, *, high: float = HIGH) -> Tensor:
    """Detail of pictures [..., height, width]: spatial frequencies from `high` times half the sampling rate on, on circles;
    Kaiser-windowed, so it fades towards the border."""
    height, width = images.shape[-2:]
    window = kaiser_window(height, _BETA)[:, None] * kaiser_window(width, _BETA)[None, :]
    centred = images.double() - images.double().mean(dim=(-2, -1), keepdim=True)
    spectrum = torch.fft.rfft2(centred * window.to(images.device).double())
    rows = torch.fft.fftfreq(height, device=images.device).abs()
    columns = torch.fft.rfftfreq(width, device=images.device)
    keep = torch.hypot(rows[:, None], columns[None, :]) >= high * 0.5
    return torch.fft.irfft2(spectrum * keep, s=(height, width))


@dataclass(slots=True)
class Decay:
    """Energy of averages of 1, 2, 4, … pictures, each over all disjoint groups; holds one partial sum per size only."""

    _sums: list[Tensor | None] = field(default_factory=list)
    _energies: list[float] = field(default_factory=list)
    _groups: list[int] = field(default_factory=list)
    total: Tensor | None = None
    count: int = 0
    single: float = 0.0
    """Sum of the energies of the single pictures."""

    def add(self, detail: Tensor) -> None:
        """Take in one picture's detail (any shape, the same each time)."""
        self.count += 1
        self.total = detail.clone() if self.total is None else self.total + detail
        self.single += float(detail.square().mean())
        level, carried = 0, detail
        while True:
            if level == len(self._sums):
                self._sums.append(None)
                self._energies.append(0.0)
                self._groups.append(0)
            self._energies[level] += float((carried / 2**level).square().mean())
            self._groups[level] += 1
            waiting = self._sums[level]
            if waiting is None:
                self._sums[level] = carried
                return
            self._sums[level] = None
            carried, level = waiting + carried, level + 1

    def curve(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """N, and the energy of averages of N pictures relative to single ones."""
        first = self.single / self.count if self.count else math.nan
        if not first > 0:
            return (), ()
        counts = tuple(2**level for level in range(len(self._energies)))
        return counts, tuple(
            energy / groups / first for energy, groups in zip(self._energies, self._groups, strict=True)
        )

    def share(self) -> float:
        """Share of the detail that all pictures have in common."""
        if self.total is None or self.count < 2:
            return math.nan
        coherent = float((self.total / self.count).square().mean())
        return common_share(coherent, self.single / self.count, self.count)


@dataclass(slots=True)
class CommonPattern:
    """Sums for what pictures or features [channels, height, width] have in common: not flat = tied to the place."""

    count: int = 0
    total: Tensor | None = None
    energy: Tensor | None = None
    """Sum of the squares about each channel's mean, [channels, height, width]."""

    def add(self, features: Tensor) -> None:
        """Take in one sample [channels, height, width]; each channel's own mean is taken off."""
        x = features.float()
        centred = (x - x.mean(dim=(-2, -1), keepdim=True)).double()
        self.count += 1
        self.total = centred if self.total is None else self.total + centred
        self.energy = centred.square() if self.energy is None else self.energy + centred.square()

    def share(self, mask: Tensor | None = None) -> float:
        """Share of the variance that is tied to the place, where `mask` [height, width] is 1."""
        if self.total is None or self.energy is None:
            return math.nan
        weight = torch.ones_like(self.total[0]) if mask is None else mask.to(self.total)
        coherent = float(((self.total / self.count).square() * weight).sum())
        return common_share(coherent, float((self.energy / self.count * weight).sum()), self.count)

    def channel_shares(self) -> list[float]:
        """The share of each channel."""
        if self.total is None or self.energy is None:
            return []
        coherent = (self.total / self.count).square().sum(dim=(-2, -1)).tolist()
        single = (self.energy / self.count).sum(dim=(-2, -1)).tolist()
        return [common_share(a, b, self.count) for a, b in zip(coherent, single, strict=True)]

    def map(self) -> Tensor:
        """[height, width] amplitude of what is common, root mean square over channels, relative to the layer's deviation.

        Like the shares without what chance leaves: 0 where nothing is tied to the place. NaN for a layer that does not vary.
        """
        if self.total is None or self.energy is None:
            return torch.zeros(0, 0)
        coherent = (self.total / self.count).square().mean(dim=0)
        single = (self.energy / self.count).mean(dim=0)
        common = (self.count * coherent - single).clamp(min=0) / max(self.count - 1, 1)
        variance = single.mean()
        return (common / variance).sqrt().float() if variance > 0 else torch.full_like(common, math.nan).float()

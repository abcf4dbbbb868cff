"""What the measuring jobs answer: frozen values of numbers and NumPy arrays. No torch.

A number that cannot be had is NaN, and the `note` beside it says in a sentence why. Decibels of equivariance and aliasing
are on the scale of EQ-T: a range of 2 for signals of deviation 0.5, so a layer's number reads like the picture's.
Definitions and equations: docs/measures.md.
"""

import math
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import numpy as np

Metric = Literal['eq-t', 'eq-t-frac', 'eq-r']
LARGEST_DB = 300.0
"""Stands for 'no error at all' in JSON, which has no infinity."""


def _empty() -> np.ndarray:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class EquivarianceScore:
    """One of the paper's metrics over all samples so far."""

    metric: Metric
    decibels: float
    """PSNR pooled over all samples; NaN when no pixel was valid, infinite without any error."""
    samples: int
    lowest: float
    """Of single samples."""
    highest: float
    note: str = ''


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One layer, for every shift of the ladder. NaN where a shift leaves nothing to compare or the layer does not vary."""

    layer: str
    label: str
    rate: float
    decibels: tuple[float, ...]
    """All of the layer's error: what it received and what it made."""
    inherited: tuple[float, ...] = ()
    """The part that came with the input."""
    created: tuple[float, ...] = ()
    """The part that the layer makes of an ideally shifted input."""
    limit: tuple[float, ...] = ()
    """How much the measurement itself can tell: ideal shifts by fractions of a sample are not perfect either."""
    edge: tuple[float, ...] = ()
    """`decibels` of the outer eighth of the canvas alone."""
    centre: tuple[float, ...] = ()
    """`decibels` of the rest."""
    note: str = ''


@dataclass(frozen=True, slots=True)
class Ladder:
    """Equivariance of every layer for shifts of falling size."""

    shifts: tuple[float, ...]
    """In image widths, along x."""
    rows: tuple[LadderRow, ...]
    samples: int
    note: str = ''
    """Why `decibels` and `inherited` are missing, where the generator has no input transform."""


@dataclass(frozen=True, slots=True)
class LieRow:
    """Small motions of one layer: 0 = it moves with its input, 1 = it stays where it is (ratio of amplitudes)."""

    layer: str
    label: str
    translation: float
    rotation: float
    created_translation: float
    """The same for an input that is moved ideally."""
    created_rotation: float
    note: str = ''


@dataclass(frozen=True, slots=True)
class LieLadder:
    """Lie derivative of every layer."""

    rows: tuple[LieRow, ...]
    samples: int
    note: str = ''


@dataclass(frozen=True, slots=True)
class Stage:
    """One step inside a layer, and the mean power spectrum there."""

    key: Literal['convolution', 'upsampled', 'activated', 'lowpassed', 'output']
    label: str
    rate: float
    """Samples per image width."""
    frequencies: np.ndarray = field(compare=False)
    """Cycles per image width, from 0 to rate / 2."""
    radial_db: np.ndarray = field(compare=False)
    """Power density on rings, dB relative to the density of the layer's output averaged over its band."""
    beyond_db: float = math.nan
    """Power beyond the output's Nyquist frequency relative to the power within, dB; NaN where the rate holds none."""


@dataclass(frozen=True, slots=True)
class AliasBudget:
    """What a layer adds that an ideal non-linearity would not: signal to alias, in dB of EQ-T's scale."""

    layer: str
    label: str
    decibels: float
    """All of it."""
    images: float = math.nan
    """Only what the upsampling filter leaves of the images of its input."""
    folding: float = math.nan
    """Only the harmonics that fold at the rate of the non-linearity."""
    leak: float = math.nan
    """Only what the downsampling filter lets through to fold at the output's rate."""
    oversampling: int = 0
    """The ideal ran at so many times the rate of the layer's non-linearity."""
    channels: int = 0
    """Measured so many of the layer's channels."""
    samples: int = 0
    note: str = ''


@dataclass(frozen=True, slots=True)
class AliasBudgets:
    """Every layer's budget, in the order of execution."""

    rows: tuple[AliasBudget, ...]
    samples: int


@dataclass(frozen=True, slots=True)
class LayerStages:
    """Inside one layer."""

    layer: str
    label: str
    stages: tuple[Stage, ...]
    cutoff: float
    """f_c of the layer in cycles per image width; NaN where the family defines none."""
    half_width: float
    """f_h."""
    nyquist: float
    """s / 2 of the output."""
    beyond_db: float
    """Power beyond the output's Nyquist frequency before decimation, relative to the power within."""
    left_db: float
    """The same after the low-pass filter: what folds back."""
    budget: AliasBudget
    missing: tuple[str, ...] = ()
    """One sentence for each stage that does not exist."""
    samples: int = 0
    channels: int = 0
    """The spectra are means over so many of the layer's channels."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A line of the picture, frame by frame during a latent walk (Fig. 1, right): stuck detail makes straight streaks."""

    image: np.ndarray = field(compare=False)
    """[frames, points, rgb] uint8."""
    values: np.ndarray = field(compare=False)
    """[frames, points, channels] float32."""
    share: float
    """Of the energy at high spatial frequencies, how much does not move: 0 = all moves, 1 = all stays."""
    moved: float
    """How much of the low-frequency content changed during the walk, 0 to 1: near 0 the walk was too short to tell."""
    frames: int
    start: tuple[float, float] = (0.0, 0.5)
    """First point of the line, in image sizes from the top left corner."""
    end: tuple[float, float] = (1.0, 0.5)
    above: float = 0.0
    """High means from here on, in cycles per image width."""
    note: str = ''


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Average over latents around a point (Fig. 1, left): uniformly soft if nothing sticks."""

    average: np.ndarray = field(compare=False)
    """[height, width, rgb] uint8."""
    residual: np.ndarray = field(compare=False)
    """[height, width] float32: local amplitude of the fine detail that all pictures share; 0 = no more than chance, 1 = as
    strong as in single pictures."""
    counts: tuple[int, ...]
    """N of the decay curve: 1, 2, 4, …"""
    energies: tuple[float, ...]
    """Energy at high spatial frequencies of averages of N pictures, relative to single ones: 1 / N if all moves."""
    share: float
    """Where the curve ends for many pictures: 0 = all moves, 1 = all stays."""
    samples: int
    radius: float = 0.0
    note: str = ''
    centre: np.ndarray = field(default_factory=_empty, compare=False)
    """[height, width, rgb] uint8: the picture in the middle of the neighbourhood."""


@dataclass(frozen=True, slots=True)
class FixedPattern:
    """Average of one layer over latents and moves of the input: what is not flat is tied to the place."""

    layer: str
    label: str
    map: np.ndarray = field(compare=False)
    """[height, width] float32: amplitude of what is tied to the place, relative to the layer's deviation; 0 = nothing."""
    share: float
    """Of the layer's variance, how much is tied to the place: 0 = flat, 1 = the same in every picture."""
    edge_share: float = math.nan
    """The same of the outer eighth of the canvas."""
    samples: int = 0
    note: str = ''


@dataclass(frozen=True, slots=True)
class FixedPatterns:
    """Every layer's fixed pattern, the image last."""

    rows: tuple[FixedPattern, ...]
    samples: int
    moved: bool
    """Whether the input was moved as well; without that, what all pictures have in common counts too."""
    note: str = ''


@dataclass(frozen=True, slots=True)
class RegisteredAverage:
    """Average of moved pictures of one latent, each moved back: it must stay sharp."""

    average: np.ndarray = field(compare=False)
    """[height, width, rgb] uint8."""
    loss: np.ndarray = field(compare=False)
    """[height, width] float32: deviation between the pictures that were moved back; 0 = all the same."""
    kept: float
    """Of the energy at high spatial frequencies: 1 = all stays sharp."""
    samples: int
    note: str = ''


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a layer."""

    index: int
    alias_db: float
    """Signal to alias, dB; low = leaks."""
    stuck: float
    """Share of its variance that is tied to the place, 0 to 1."""
    phase: float
    """How much it looks like a phase: 1 = constant local amplitude, 0.85 = noise, 0 = isolated spots."""


@dataclass(frozen=True, slots=True)
class Triage:
    """The channels of a layer and three orders of them, worst (or most phase-like) first."""

    layer: str
    label: str
    channels: tuple[Channel, ...]
    by_alias: tuple[int, ...]
    by_stuck: tuple[int, ...]
    by_phase: tuple[int, ...]
    samples: int
    note: str = ''


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """Mean radial power spectrum of one layer."""

    layer: str
    label: str
    rate: float
    frequencies: np.ndarray = field(compare=False)
    """Cycles per image width."""
    radial_db: np.ndarray = field(compare=False)
    """Power per squared cycle per image width, dB relative to the layer's variance."""
    cutoff: float = math.nan
    stopband: float = math.nan
    note: str = ''


@dataclass(frozen=True, slots=True)
class PictureSpectrum:
    """Average spectrum of a set of pictures, whitened by one mean and deviation for all (Fig. 13)."""

    title: str
    frequencies: np.ndarray = field(default_factory=_empty, compare=False)
    """Cycles per image width, from 0 to s / 2."""
    axis_db: np.ndarray = field(default_factory=_empty, compare=False)
    """Slice at 0 degrees."""
    diagonal_db: np.ndarray = field(default_factory=_empty, compare=False)
    """Slice at 45 degrees; its last point is the corner, √2 times as far."""
    power_db: np.ndarray = field(default_factory=_empty, compare=False)
    """[bins + 1, bins + 1], zero frequency in the middle."""
    radial_db: np.ndarray = field(default_factory=_empty, compare=False)
    """Mean on rings, at `frequencies`, per squared cycle per image width like `WaterfallRow.radial_db`."""
    count: int = 0
    mean: float = math.nan
    std: float = math.nan


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Spectra over depth, the image last; with real pictures, their spectrum and the generated one's, whitened alike."""

    rows: tuple[WaterfallRow, ...]
    samples: int
    generated: PictureSpectrum | None = None
    real: PictureSpectrum | None = None


def to_json(value: Any) -> Any:
    """`value` (a result of this module) in JSON types: NaN = null, infinite = ±`LARGEST_DB`, arrays as lists."""
    if is_dataclass(value):
        return {one.name: to_json(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, (tuple, list)):
        return [to_json(one) for one in value]
    if isinstance(value, float):
        return None if math.isnan(value) else max(min(value, LARGEST_DB), -LARGEST_DB) if math.isinf(value) else value
    return value

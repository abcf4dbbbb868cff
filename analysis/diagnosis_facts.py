"""What is measured of a network for `diagnose`, and what is concluded: plain values."""

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from analysis.diagnosis_flat import FlatResponse
from analysis.diagnosis_signal import Resampling

Cause = Literal['noise', 'border', 'up-filter', 'down-filter', 'nonlinearity', 'cutoff', 'constant', 'separable']


@dataclass(frozen=True, slots=True)
class Band:
    """What a signal occupies, in cycles per image width."""

    cutoff: float
    """f_c."""
    half_width: float
    """f_h."""


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """Everything that was measured of one layer."""

    label: str
    rate_in: float
    rate: float
    flat: FlatResponse | None = None
    """None where the layer could not be run on a constant."""
    resampling: Resampling | None = None
    """None where the layer's filters are not known."""
    band_in: Band | None = None
    """For which its upsampling filter is meant; None where none is defined."""
    band: Band | None = None
    """For which its downsampling filter is meant."""
    pointwise: bool = False
    """It mixes channels only, so it could be equivariant to rotation."""
    nonlinear: bool = True
    last: bool = False
    """One of the two layers before the output, which may be sampled critically (Sec. 3.2)."""
    smooth: bool = True
    """False: it neither filters nor convolves over space, so it needs no margin."""
    folding_db: float = math.nan
    """Measured from outside, for a pointwise module whose rates are not known."""
    images_db: float = math.nan
    """Measured from outside, for an upsampling module whose filter is not known."""
    constant: bool = False
    """It starts from learned values that nothing moves."""


@dataclass(frozen=True, slots=True)
class InputFacts:
    """How the first features answer to a move of the input by whole samples."""

    label: str
    changed_db: float
    """Change relative to the features' deviation."""
    error_db: float
    """Signal to error against the moved features, on the scale of EQ-T."""


@dataclass(frozen=True, slots=True)
class Cure:
    """What to change in one layer, for one call."""

    layer: str
    up_taps: Tensor | None = field(default=None, compare=False)
    down_taps: Tensor | None = field(default=None, compare=False)
    oversampling: int = 1
    """Run the non-linearity at so many times its rate, with the two filters above."""
    without_noise: bool = False
    margin: bool = False
    moving_input: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """One piece of evidence."""

    name: str
    value: float
    unit: str = 'dB'
    healthy: float | None = None
    """What it would be without the defect, or with the cure."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A cause in a layer."""

    layer: str
    cause: Cause
    level_db: float
    """Unwanted energy relative to the layer's signal: how bad it is."""
    excess_db: float
    """How far beyond the threshold: how sure it is."""
    numbers: tuple[Number, ...]
    cure: Cure

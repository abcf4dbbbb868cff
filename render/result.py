"""What a render answers: frozen values of NumPy arrays and numbers. No torch."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from networks.info import Capability as Capability  # the window takes it from here
from networks.info import GeneratorInfo, LayerInfo
from render.request import Part, RenderRequest


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the tensor that is shown (all its channels)."""

    shape: tuple[int, ...]
    dtype: str
    minimum: float
    maximum: float
    mean: float
    std: float
    nan_count: int = 0


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Power spectrum of the shown tensor. Frequencies in cycles per image width."""

    power_db: np.ndarray = field(compare=False)
    """[height, width] float32, zero frequency at the centre, dB relative to the mean power."""
    extent: float = 0.0
    """The axes run from -extent to +extent (s/2 of the layer)."""
    frequencies: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), compare=False)
    """[count] of the three profiles, from 0 upwards."""
    radial_db: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), compare=False)
    axis_db: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), compare=False)
    """Slice at 0 degrees."""
    diagonal_db: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), compare=False)
    """Slice at 45 degrees (frequency = distance from 0 Hz)."""
    samples: int = 1
    """Over how many latents the power was averaged."""


@dataclass(frozen=True, slots=True)
class FilterCurve:
    """Magnitude response of one filter of a layer: the network's own and the one in use."""

    buffer: str
    direction: str
    rate: float
    cutoff: float
    half_width: float
    frequencies: np.ndarray = field(compare=False)
    network_db: np.ndarray = field(compare=False)
    current_db: np.ndarray = field(compare=False)
    taps: tuple[float, ...] = ()
    """Of the filter in use (1-D) or the centre row (2-D); empty: none runs."""
    factor: int = 1
    """Between its two rates; s = `rate` / `factor` is the lower."""


@dataclass(frozen=True, slots=True)
class ErrorScale:
    """How the map of errors is coloured. A pixel's dB are those that a whole picture with its error would have."""

    bright_db: float
    """From here down as bright as it gets."""
    dark_db: float
    """From here up as dark as it gets."""
    colours: np.ndarray = field(compare=False)
    """[1, 256, 4] uint8, brightest first."""


@dataclass(frozen=True, slots=True)
class Equivariance:
    """The error of one picture against its reference: the one that is not moved, moved ideally."""

    metric: Literal['eq-t', 'eq-t-frac', 'eq-r'] | None = None
    """Which of the paper's metrics it is a sample of; None: nothing could be measured."""
    squared: float = 0.0
    """Squared error summed over the valid values."""
    count: float = 0.0
    """How many those are."""
    decibels: float = math.nan
    sentence: str = ''
    """What was measured, or why nothing was."""
    scale: ErrorScale | None = None
    """If the picture is the map of errors."""


@dataclass(frozen=True, slots=True)
class PartSize:
    """How large parts of a picture may be, and what they spare."""

    side: int
    """Of the square, in pixels."""
    gain: float
    """How many times as much work the whole picture is as a part in its middle: about how many times as long it takes."""


Pace = Literal['steady', 'first', 'remembered']
"""What the time of a result stands for: that of the next pictures as well; that of a first one, which waited for kernels or
prepared weights; or that of another look at a picture that was at hand: no network ran."""


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The answer to `request`; `error` set means: keep showing the old picture and say this."""

    request: RenderRequest
    image: np.ndarray | None = field(default=None, compare=False)
    """[height, width, 4] uint8 RGBA, C-contiguous. Alpha 0 = outside the valid region (undone transform)."""
    values: np.ndarray | None = field(default=None, compare=False)
    """[shown channels, height, width] float32: what the pixel probe reads."""
    layer: LayerInfo | None = None
    """The layer that is shown; None = the image."""
    spectrum: Spectrum | None = field(default=None, compare=False)
    curves: tuple[FilterCurve, ...] = field(default=(), compare=False)
    statistics: Statistics | None = None
    model: GeneratorInfo | None = None
    seconds: float = 0.0
    pace: Pace = 'steady'
    notes: tuple[str, ...] = ()
    """E.g. 'filtered_lrelu: reference (no CUDA)'."""
    device: str = ''
    """Where the network ran, e.g. 'CPU' or 'NVIDIA H200'."""
    equivariance: Equivariance | None = None
    """None: not asked for."""
    provisional: bool = False
    """Kernels were still being compiled: the same request is answered once more, with the last bits right."""
    part_sizes: tuple[PartSize, ...] = ()
    """Of parts that this picture could be asked for, largest first; empty for a part itself."""
    why_no_parts: str = ''
    """A sentence, where there are none."""
    error: str | None = None

    @property
    def part(self) -> Part | None:
        """Which part of the picture `image` is; None = all of it. (What was asked in part may come whole.)"""
        return self.request.synthesis.part

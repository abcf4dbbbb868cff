"""What a render answers: frozen values of NumPy arrays and numbers. No torch."""

from dataclasses import dataclass, field

import numpy as np

from networks.info import Capability as Capability  # the window takes it from here
from networks.info import GeneratorInfo, LayerInfo
from render.request import RenderRequest


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
    """Of the filter in use (1-D) or the centre row (2-D)."""


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
    notes: tuple[str, ...] = ()
    """E.g. 'filtered_lrelu: reference (no CUDA)'."""
    device: str = ''
    """Where the network ran, e.g. 'CPU' or 'NVIDIA H200'."""
    provisional: bool = False
    """Kernels were still being compiled: the same request is answered once more, with the last bits right."""
    error: str | None = None

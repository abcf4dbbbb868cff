"""What a generator can do and how it is built: plain values that windows and reports may hold. No torch."""

from dataclasses import dataclass
from typing import Literal

Capability = Literal['transform', 'filters', 'noise', 'truncation', 'style_mixing', 'classes']
Direction = Literal['up', 'down']


@dataclass(frozen=True, slots=True)
class FilterInfo:
    """One resampling filter of a layer: what a replacement must fit."""

    buffer: str
    """Name of the buffer inside the module, e.g. 'synthesis.L3_52_512.up_filter'."""
    direction: Direction
    factor: int
    taps: int
    rate: float
    """Samples per image width at which the filter runs (s' = s * m)."""
    cutoff: float
    """f_c in cycles per image width."""
    half_width: float
    """f_h, half of the transition band, in cycles per image width."""
    radial: bool = False


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One inspectable layer, in the order of execution."""

    name: str
    """Module path below the generator, e.g. 'synthesis.L3_52_512'; what a request's `layer` holds."""
    label: str
    """Short name for lists, e.g. 'L3_52_512'."""
    channels: int
    height: int
    width: int
    dtype: str = 'float32'
    rate: float | None = None
    """Sampling rate s, samples per image width. None where the family does not define it."""
    cutoff: float | None = None
    """f_c, cycles per image width."""
    stopband: float | None = None
    """f_t, cycles per image width."""
    half_width: float | None = None
    """f_h, cycles per image width."""
    up_factor: int = 1
    down_factor: int = 1
    margin: int = 0
    """Samples around the canvas on each side (0 = the layer covers exactly the image)."""
    styles: tuple[int, ...] = ()
    """Indices of the latents (rows of w) that this layer reads."""
    filters: tuple[FilterInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class GeneratorInfo:
    """A generator as the window, the command line and reports describe it."""

    family: str
    """'stylegan3', 'stylegan2', 'module', …"""
    title: str
    """What a person calls it, e.g. 'StyleGAN3-T 256 px'."""
    resolution: int
    image_channels: int
    z_dim: int
    w_dim: int
    num_ws: int
    class_count: int
    parameters: int
    config: tuple[tuple[str, object], ...] = ()
    """Configuration in official keywords, in reading order."""
    layers: tuple[LayerInfo, ...] = ()
    capabilities: frozenset[Capability] = frozenset()
    missing: tuple[tuple[Capability, str], ...] = ()
    """For each capability that is absent: why, in a sentence for a tooltip."""
    notes: tuple[str, ...] = ()
    """What the reader noticed, e.g. 'The file carries program text (3 parts, 93 kB); it was not run.'"""
    origin: str = ''
    """Where the weights come from, as a file of ours says: the file that was converted, or the training. Empty: unknown."""

    def why_not(self, capability: Capability) -> str | None:
        """Why this generator lacks `capability`, or None when it has it."""
        if capability in self.capabilities:
            return None
        return dict(self.missing).get(
            capability, f'This {self.family} generator has no {capability.replace("_", " ")}.'
        )

    def layer(self, name: str) -> LayerInfo | None:
        """The layer called `name`, or None."""
        return next((layer for layer in self.layers if layer.name == name), None)

"""What decides the pixels: frozen values, compared to know whether a picture is current. Standard library only."""

from dataclasses import dataclass, field
from typing import Literal

FilterKind = Literal['network', 'sinc', 'bilinear', 'lanczos', 'nearest', 'gaussian', 'jinc']
FilterDirection = Literal['up', 'down', 'both']
OneDirection = Literal['up', 'down']
NoiseMode = Literal['none', 'constant', 'random']
Affine = tuple[float, float, float, float, float, float]
IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class ModelKey:
    """A model by content: a replaced file has another key, so the picture refreshes."""

    path: str
    """As `networks.sources.open_model` takes it: file, run directory, demo:NAME, package.module:function."""
    sha256: str
    network: str = 'G_ema'


@dataclass(frozen=True, slots=True)
class LatentSpec:
    """A point in latent space: weighted seeds, then style mixing, then truncation."""

    seeds: tuple[tuple[int, float], ...] = ((0, 1.0),)
    """(seed, weight): the weighted sum of the seeds' w (z is mapped first, so every weight set stays in W)."""
    mix_seed: int | None = None
    mix_layers: tuple[int, ...] = ()
    """Indices of w rows that take the latent of `mix_seed`."""
    truncation: float = 1.0
    """psi: 1 = none, 0 = the average image."""
    truncation_layers: int | None = None
    """How many w rows, from the first, are truncated. None = all."""
    class_index: int | None = None


@dataclass(frozen=True, slots=True)
class FilterEdit:
    """Another filter in one place. A number that is None is the network's own there."""

    layer: str
    """`LayerInfo.name`."""
    direction: OneDirection
    kind: FilterKind = 'network'
    """'network': designed as the network does, but by these numbers."""
    taps: int | None = None
    """n: taps per sample of the lower rate."""
    cutoff: float | None = None
    """f_c in cycles per image width. The classic kernels (bilinear, …) have none."""
    half_width: float | None = None
    """f_h in cycles per image width, of the transition band."""


@dataclass(frozen=True, slots=True)
class LayerOversampling:
    """m of one layer's non-linearity."""

    layer: str
    """`LayerInfo.name`."""
    factor: int


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """How the network's sampling differs from its own, weights untouched: filters, oversampling, margin, clamp."""

    kind: FilterKind = 'network'
    direction: FilterDirection = 'both'
    layers: tuple[str, ...] | None = None
    """Layer names (`LayerInfo.name`) of `kind` and `taps`. None = all."""
    taps: int | None = None
    """n: taps per sample of the lower rate. None = the network's own."""
    oversampling: int | None = None
    """m of all layers: 1, 2, 4 or 8. None = the network's own."""
    edits: tuple[FilterEdit, ...] = ()
    """Single places; each wins over `kind` and `taps`."""
    layer_oversampling: tuple[LayerOversampling, ...] = ()
    """Single layers; each wins over `oversampling`."""
    margin: int | None = None
    """Samples around the canvas of every layer. None = the network's own."""
    clamp: bool = True
    """Whether activations are cut at the network's limit."""


@dataclass(frozen=True, slots=True)
class LayerEdit:
    """A change of one layer's output before it goes on."""

    layer: str
    channel: int | None = None
    """None = all channels."""
    scale: float = 0.0
    """0 = ablate."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of the picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SynthesisSpec:
    """How the network runs on that point."""

    transform: Affine = IDENTITY
    """Rows of a 2x3 affine map applied to the image; translations in image widths, x right, y down."""
    filters: FilterSpec = FilterSpec()
    noise: NoiseMode = 'constant'
    noise_seed: int = 0
    precision: Literal['network', 'float32'] = 'network'
    edits: tuple[LayerEdit, ...] = ()
    layer: str | None = None
    """Stop here and show this layer (`LayerInfo.name`). None = the image."""
    part: Part | None = None
    """Compute just these pixels of the image, exactly. None = all. Where that is not possible, the answer is the whole."""


@dataclass(frozen=True, slots=True)
class SpectrumSpec:
    """The spectrum of what is shown: Kaiser window, power in dB, axes in cycles per image width."""

    kaiser_beta: float = 8.0
    channel: int | None = None
    """One channel, or None = mean power over all channels of the tensor."""


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """How the captured tensor becomes pixels and plots."""

    mode: Literal['rgb', 'channel', 'sheet'] = 'rgb'
    """rgb = `channels` as red, green, blue; channel = the first of `channels` through `colormap`; sheet = contact sheet."""
    channels: tuple[int, ...] = (0, 1, 2)
    sheet_first: int = 0
    """First channel of the contact sheet."""
    sheet_count: int = 64
    sheet_order: tuple[int, ...] = ()
    """Channels of the contact sheet in this order; those that the layer does not have are left out. Empty = by number."""
    gain_db: float = 0.0
    normalize: bool = False
    """Scale to the largest magnitude of what is shown (images: off)."""
    colormap: str = 'gray'
    undo_transform: bool = False
    """Move the picture back by the inverse of the transform, with the mask of what is then valid."""
    meter: bool = False
    """Measure the picture against its reference: the one that is not moved, moved ideally."""
    error_map: bool = False
    """Show that error, pixel by pixel, instead of the picture."""
    error_gain_db: float = 0.0
    """Of the map: errors so much smaller look as bright."""
    spectrum: SpectrumSpec | None = None
    response_layer: str | None = None
    """Layer whose filter response curves are wanted."""


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One picture: equal requests give bit-identical results."""

    model: ModelKey
    latent: LatentSpec = field(default_factory=LatentSpec)
    synthesis: SynthesisSpec = field(default_factory=SynthesisSpec)
    view: ViewSpec = field(default_factory=ViewSpec)


def makes_worthless(newer: RenderRequest, running: RenderRequest) -> bool:
    """Whether a picture that is being made need not be finished because of what is asked now: one of another model, or a part,
    since a whole picture that was begun while the hand rested must not hold up those that follow the hand."""
    return newer.model != running.model or (newer.synthesis.part is not None and running.synthesis.part is None)

"""Everything that the user chose, as one frozen value. Requests are derived from it, never stored in it."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from render.filter_state import FilterState as FilterState  # the window takes it from here
from render.filter_state import filter_spec as filter_spec
from render.request import Affine, LatentSpec, ModelKey, NoiseMode, RenderRequest, SpectrumSpec, SynthesisSpec, ViewSpec

LATTICE_ROW = 100
"""Seeds per row of the latent lattice: seed = column + LATTICE_ROW * row."""
SEED_LIMIT = 2**31
SideName = Literal['a', 'b']
PictureName = Literal['a', 'b', 'o']
"""A side, or the original: the active side by the network as its file has it (see `render.compare`)."""
CompareMode = Literal['side', 'wipe', 'blink', 'difference']
ChannelOrder = Literal['number', 'alias', 'stuck', 'phase']
"""Of a contact sheet: as numbered, or the worst alias leak, the most stuck, the most phase-like first."""
Motion = Literal['animations', 'latents', 'drag', 'turn']
"""Of a clip: what is animated now, a walk through latents, a drag in a circle, or one full turn."""


@dataclass(frozen=True, slots=True)
class LatentState:
    """A point on the lattice of seeds: whole numbers are seeds, between them their latents are blended."""

    x: float = 0.0
    y: float = 0.0
    class_index: int | None = None
    animate: bool = False
    speed: float = 0.25
    """Lattice steps a second while animating."""


@dataclass(frozen=True, slots=True)
class TruncationState:
    psi: float = 1.0
    layers: int | None = None
    """How many w rows, from the first. None = all."""


@dataclass(frozen=True, slots=True)
class MixingState:
    enabled: bool = False
    seed: int = 1
    layers: tuple[int, ...] = ()
    """Rows of w that come from `seed`."""


@dataclass(frozen=True, slots=True)
class NoiseState:
    mode: NoiseMode = 'constant'
    seed: int = 0
    animate: bool = False
    """With mode 'random': a new seed every frame."""


@dataclass(frozen=True, slots=True)
class TransformState:
    """How the input's Fourier features are moved: scale, then rotate about the centre, then translate."""

    x: float = 0.0
    y: float = 0.0
    """Image widths; x right, y down."""
    degrees: float = 0.0
    """Counter-clockwise as seen on screen."""
    scale: float = 1.0
    """Larger than 1 enlarges the picture."""
    animate: Literal['none', 'translate', 'rotate'] = 'none'
    speed: float = 0.05
    """Turns (or image widths) a second while animating."""


@dataclass(frozen=True, slots=True)
class LayerState:
    """Which tensor is shown, and how it becomes pixels."""

    layer: str | None = None
    """None = the image."""
    mode: Literal['rgb', 'channel', 'sheet'] = 'rgb'
    channel: int = 0
    """First of the three shown as RGB, the one shown alone, or the first of the sheet."""
    sort: ChannelOrder = 'number'
    """How the channels of the sheet are arranged."""
    order: tuple[int, ...] = ()
    """Channels in that order, filled in once it was measured. Empty = by number."""
    gain_db: float = 0.0
    normalize: bool = True
    """Of layers; the image is shown as it is."""
    colormap: str = 'gray'


@dataclass(frozen=True, slots=True)
class SpectrumState:
    visible: bool = True
    kaiser_beta: float = 8.0
    channel: int | None = None
    average_count: int = 32
    """How many latents 'Average' takes."""
    plot: Literal['both', 'image', 'profiles'] = 'both'
    shown: Literal['picture', 'stages', 'layers'] = 'picture'
    """The spectrum of what is shown, of the steps inside its layer, or of all layers."""
    hidden_stages: tuple[str, ...] = ()
    """Keys of stages (`render.measures.Stage`) whose curves are not drawn."""
    waterfall: Literal['map', 'lines', 'real'] = 'map'
    waterfall_count: int = 16
    """Latents that the spectra of all layers are averaged over."""
    log_frequency: bool = True
    """Of the axis of that view."""


@dataclass(frozen=True, slots=True)
class CanvasState:
    zoom: float = 1.0
    """1 = fit the picture into the pane."""
    pan_x: float = 0.0
    pan_y: float = 0.0
    """Of the picture's centre, in picture widths."""
    undo_transform: bool = False
    outline: bool = False
    """Draw where the image canvas lies inside a layer with margins."""
    probe: bool = True
    smooth: bool = False
    """Linear instead of nearest when magnified."""


@dataclass(frozen=True, slots=True)
class CompareState:
    """How two pictures are set against one another."""

    original: bool = False
    """The second picture is the original of the active side, instead of the other side."""
    mode: CompareMode = 'side'
    wipe: float = 0.5
    """Where the line is, in widths of the pane."""
    gain_db: float = 12.0
    """Of the difference."""
    colormap: Literal['inferno', 'viridis', 'grey'] = 'inferno'


@dataclass(frozen=True, slots=True)
class CaptureState:
    folder: str = 'out'
    what: Literal['picture', 'window'] = 'picture'
    motion: Motion = 'latents'
    """What moves in a clip."""
    seconds: float = 4.0
    """Length of a clip."""
    frames_per_second: int = 30


@dataclass(frozen=True, slots=True)
class PerformanceState:
    precision: Literal['network', 'float32'] = 'network'
    dragging: Literal['part', 'whole'] = 'part'
    """What a hand sees that is faster than the network: an exact part of the picture, or whole pictures, fewer of them."""


@dataclass(frozen=True, slots=True)
class WalkLine:
    """The line that a walk watches, in image sizes from the top left corner."""

    start_x: float = 0.0
    start_y: float = 0.5
    end_x: float = 1.0
    end_y: float = 0.5


@dataclass(frozen=True, slots=True)
class StickingState:
    """What the laboratory shows and how much it measures."""

    shown: Literal['diagnosis', 'equivariance', 'ladder'] = 'diagnosis'
    samples: int = 16
    """Latents for the metrics of the picture."""
    part: Literal['decibels', 'inherited', 'created'] = 'decibels'
    """Of a layer's error in the ladder: all, what it received, what it made."""
    ladder_of: Literal['both', 'first', 'second'] = 'both'
    """Of two pictures: bars of both, or the table of one."""
    ladder_shift: int | None = None
    """Which shift of the ladder the bars of both are for, from the largest. None = the smallest: shifts by whole samples of a
    coarse layer hide its aliasing."""
    view: Literal['measure', 'walk', 'average', 'patterns', 'registered'] = 'measure'
    """Which part of the laboratory is shown."""
    line: WalkLine = WalkLine()
    walk_frames: int = 64
    """Pictures of a latent walk."""
    walk_stops: int = 5
    """Latents that it passes."""
    neighbours: int = 32
    """Latents around the shown one that are averaged."""
    radius: float = 0.5
    """How far away they are: 1 = other latents altogether."""
    patterns: int = 16
    """Samples for the fixed pattern of every layer."""
    pattern: str | None = None
    """The layer whose pattern is drawn. None = the picture."""
    moves: int = 16
    """Moved pictures for the registered average."""
    turned: bool = False
    """Whether they are turned as well."""


@dataclass(frozen=True, slots=True)
class MeterState:
    """Measuring while the picture is dragged."""

    enabled: bool = True
    """Compare every moved picture with its reference."""
    error_map: bool = False
    """Show the error, pixel by pixel, instead of the picture."""
    gain_db: float = 0.0
    """Of the map."""
    whole_pixels: bool = False
    """The picture moves by whole pixels only, as EQ-T does."""


@dataclass(frozen=True, slots=True)
class WindowState:
    """The window itself; nothing here decides a pixel of the picture."""

    hidden: tuple[str, ...] = ()
    """Titles of the panels that are closed."""
    hint_seen: bool = False
    """The first-run hint was followed or closed."""
    scale: float | None = None
    """How large everything is drawn. None = as the monitor says."""


@dataclass(frozen=True, slots=True)
class Side:
    """One generator and how it is looked at. Two sides make an A/B comparison."""

    model: ModelKey | None = None
    latent: LatentState = LatentState()
    truncation: TruncationState = TruncationState()
    mixing: MixingState = MixingState()
    noise: NoiseState = NoiseState()
    transform: TransformState = TransformState()
    filters: FilterState = field(default_factory=FilterState)
    layer: LayerState = LayerState()
    spectrum: SpectrumState = SpectrumState()


@dataclass(frozen=True, slots=True)
class Session:
    """The whole choice. `asdict` of it is the session file."""

    a: Side = Side()
    b: Side | None = None
    """The second side of a comparison, or None."""
    active: SideName = 'a'
    link_latent: bool = True
    link_transform: bool = True
    link_view: bool = True
    canvas: CanvasState = CanvasState()
    compare: CompareState = CompareState()
    capture: CaptureState = CaptureState()
    performance: PerformanceState = PerformanceState()
    sticking: StickingState = StickingState()
    run_plot: Literal['losses', 'equivariance', 'spectra'] = 'losses'
    """Of the training run that is open."""
    meter: MeterState = MeterState()
    window: WindowState = WindowState()
    follow: str | None = None
    """Run directory whose newest snapshot is shown."""
    recent: tuple[str, ...] = ()

    def side(self, name: SideName) -> Side:
        """The side called `name`; 'b' without a comparison is 'a'."""
        return self.b if name == 'b' and self.b is not None else self.a

    @property
    def current(self) -> Side:
        """The side that the panels edit."""
        return self.side(self.active)

    def with_current(self, side: Side) -> 'Session':
        """This session with `side` in place of the active one."""
        return replace(self, b=side) if self.active == 'b' and self.b is not None else replace(self, a=side)


def lattice_seeds(x: float, y: float) -> tuple[tuple[int, float], ...]:
    """The seeds around a lattice point with their bilinear weights, zero weights left out."""
    column, row = math.floor(x), math.floor(y)
    fx, fy = x - column, y - row
    corners = (
        (column, row, (1 - fx) * (1 - fy)),
        (column + 1, row, fx * (1 - fy)),
        (column, row + 1, (1 - fx) * fy),
        (column + 1, row + 1, fx * fy),
    )
    return tuple(((cx + cy * LATTICE_ROW) % SEED_LIMIT, weight) for cx, cy, weight in corners if weight > 0)


def affine(state: TransformState) -> Affine:
    """Rows of the 2x3 map of the image: scale, rotate counter-clockwise on screen, translate."""
    angle = math.radians(state.degrees)
    # Exact at multiples of 90 degrees, so that "no rotation" is bit-identical to none.
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    s = state.scale
    # y points down, so a turn that looks counter-clockwise has +sin in the first row.
    return (s * cos, s * sin, state.x, -s * sin, s * cos, state.y)


def to_request(session: Session, name: SideName | None = None) -> RenderRequest | None:
    """What one side asks the renderer for; None while no model is open. Pure."""
    side = session.side(name or session.active)
    if side.model is None:
        return None
    mixing = side.mixing
    latent = LatentSpec(
        seeds=lattice_seeds(side.latent.x, side.latent.y),
        mix_seed=mixing.seed if mixing.enabled and mixing.layers else None,
        mix_layers=mixing.layers if mixing.enabled else (),
        truncation=side.truncation.psi,
        truncation_layers=side.truncation.layers,
        class_index=side.latent.class_index,
    )
    synthesis = SynthesisSpec(
        transform=affine(side.transform),
        filters=filter_spec(side.filters),
        noise=side.noise.mode,
        noise_seed=side.noise.seed if side.noise.mode == 'random' else 0,
        precision=session.performance.precision,
        layer=side.layer.layer,
    )
    return RenderRequest(side.model, latent, synthesis, _view_spec(session, side))


def _view_spec(session: Session, side: Side) -> ViewSpec:
    shown, is_layer = side.layer, side.layer.layer is not None
    first = shown.channel if is_layer else 0
    can_measure = why_not_measured(side) is None
    shows_error = session.meter.error_map and can_measure
    return ViewSpec(
        mode=shown.mode if is_layer else 'rgb',
        channels=(first, first + 1, first + 2) if shown.mode == 'rgb' or not is_layer else (first,),
        sheet_first=first,
        sheet_order=shown.order if is_layer and shown.mode == 'sheet' and shown.sort != 'number' else (),
        gain_db=shown.gain_db,
        normalize=shown.normalize and is_layer,
        colormap=shown.colormap,
        undo_transform=session.canvas.undo_transform and not shows_error,
        meter=session.meter.enabled and can_measure,
        error_map=shows_error,
        error_gain_db=session.meter.gain_db if shows_error else 0.0,
        spectrum=SpectrumSpec(side.spectrum.kaiser_beta, side.spectrum.channel) if side.spectrum.visible else None,
        response_layer=side.filters.response_layer or shown.layer,
    )


def why_not_measured(side: Side) -> str | None:
    """Why pictures of this side have no reference to compare with, as a sentence; None if they have."""
    if _noise_moves(side.noise):
        return 'The noise is new in every picture, so no two can be compared; stop its animation.'
    if side.latent.animate:
        return 'The latent walks, so every picture is another one; stop its animation.'
    return None


def is_animating(session: Session) -> bool:
    """Whether the picture moves by itself, so the window must not sleep."""
    sides = (session.a,) if session.b is None else (session.a, session.b)
    return any(s.latent.animate or s.transform.animate != 'none' or _noise_moves(s.noise) for s in sides)


def tick(session: Session, seconds: float) -> Session:
    """The session after `seconds` of its animations."""
    if not is_animating(session):
        return session
    a = _tick_side(session.a, seconds)
    return replace(session, a=a, b=None if session.b is None else _tick_side(session.b, seconds))


def _noise_moves(noise: NoiseState) -> bool:
    return noise.animate and noise.mode == 'random'


def _tick_side(side: Side, seconds: float) -> Side:
    if side.latent.animate:
        side = replace(side, latent=replace(side.latent, x=max(side.latent.x + side.latent.speed * seconds, 0.0)))
    step = side.transform.speed * seconds
    if side.transform.animate == 'rotate':
        degrees = (side.transform.degrees + 360 * step + 180) % 360 - 180
        side = replace(side, transform=replace(side.transform, degrees=degrees))
    if side.transform.animate == 'translate':
        x = (side.transform.x + step + 0.5) % 1 - 0.5
        side = replace(side, transform=replace(side.transform, x=x))
    if _noise_moves(side.noise):
        side = replace(side, noise=replace(side.noise, seed=(side.noise.seed + 1) % SEED_LIMIT))
    return side

"""The options of `visualizer.py`, one dataclass a command: the field is the option, its docstring the help."""

from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from render.request import FilterDirection, FilterKind, NoiseMode
from render.session import Motion

Device = Literal['auto', 'cpu', 'cuda']
Measurement = Literal['eq-t', 'eq-t-frac', 'eq-r', 'layers', 'spectrum', 'sticking', 'diagnose']
Opened = Annotated[str, arg(metavar='PATH')]
MaybeOpened = Annotated[str | None, arg(metavar='[PATH]', help_behavior_hint='')]
MaybeInt = Annotated[int | None, arg(metavar='N', help_behavior_hint='')]
MaybeFloat = Annotated[float | None, arg(metavar='X', help_behavior_hint='')]
MaybeFile = Annotated[Path | None, arg(metavar='FILE', help_behavior_hint='')]
MaybeFolder = Annotated[Path | None, arg(metavar='FOLDER', help_behavior_hint='')]
MaybeName = Annotated[str | None, arg(metavar='NAME', help_behavior_hint='')]
Pair = Annotated[tuple[float, float], arg(metavar='X Y', help_behavior_hint='')]
NOT_GIVEN = (nan, nan)


class WrongUsage(ValueError):
    """Options that do not go together or have no meaning: exit code 2."""


def is_given(pair: tuple[float, float]) -> bool:
    """Whether an option of two numbers was written."""
    return not isnan(pair[0])


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """Open the window on a model, a run directory, a session, or a picture that carries one."""

    path: Positional[MaybeOpened] = None
    """What to open: snapshot (.pkl, .safetensors), run directory, session .json, PNG or MP4 written by this program,
    demo:NAME, random-face:, package.module:function. Without it: where the last session was, else the bundled twins."""
    second: Positional[MaybeOpened] = None
    """A second model, beside the first: both are compared."""
    headless: bool = False
    """Draw without a display."""
    screenshot: MaybeFile = None
    """Save the whole window as PNG once the picture is current, then end."""
    size: Annotated[str, arg(metavar='WxH')] = '1600x1000'
    """Of the window, in pixels."""
    scale: MaybeFloat = None
    """How large everything is drawn; without it as the monitor says."""
    session: MaybeFile = None
    """Session file to begin with."""
    frames: MaybeInt = None
    """Draw at least so many frames, then end."""
    timings: bool = False
    """Print when the window and the first picture stood there, as JSON lines: for benchmarks."""
    fallback_folder: MaybeFolder = None
    """Where no window can be opened: render the demo into this folder instead."""
    device: Device = 'auto'
    """Where the network runs."""
    verbose: bool = False
    """Show the traceback of a failure."""


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """Write one picture, or a clip, without a window. A JSON with the request lies beside it."""

    path: Positional[Opened]
    """What to open; see `window --help`."""
    out: Annotated[Path, arg(metavar='FILE')]
    """F.png, F.npy or F.exr (float32 [C, H, W], unrounded), or F.mp4. Its folder is made if it is missing."""
    seed: MaybeInt = None
    """Latent."""
    class_index: MaybeInt = None
    """Class of a conditional model."""
    truncation: MaybeFloat = None
    """psi: 1 = none, 0 = the average image."""
    truncation_layers: MaybeInt = None
    """How many latents, from the first, are truncated."""
    translate: Pair = NOT_GIVEN
    """Move the picture by so many image widths: x right, y down."""
    rotate_degrees: MaybeFloat = None
    """Turn the picture, counter-clockwise as seen on screen."""
    scale: MaybeFloat = None
    """Enlarge the picture."""
    undo_transform: bool = False
    """Move the result back; what is then unknown is transparent (pictures only)."""
    layer: MaybeName = None
    """Show this layer instead of the image; `info` lists them."""
    channels: Annotated[tuple[int, ...], arg(metavar='C [C C]', help_behavior_hint='')] = ()
    """Channels: three as red, green and blue, or one; for .npy and .exr any."""
    sheet: bool = False
    """Show the layer's channels side by side."""
    gain_db: MaybeFloat = None
    """Brighten."""
    raw_scale: bool = False
    """Show layers as they are, not scaled to their largest value."""
    colormap: MaybeName = None
    """Of a single channel: gray, viridis, magma or diverging."""
    filters: Annotated[FilterKind | None, arg(metavar='KIND', help_behavior_hint='')] = None
    """Resampling filters: network, sinc, bilinear, lanczos, nearest, gaussian or jinc."""
    filter_direction: FilterDirection = 'both'
    """Which filters are replaced."""
    noise: Annotated[NoiseMode | None, arg(metavar='MODE', help_behavior_hint='')] = None
    """Noise inputs: none, constant or random."""
    noise_seed: MaybeInt = None
    """Of random noise."""
    full_precision: bool = False
    """Run every layer in float32."""
    motion: Annotated[Motion | None, arg(metavar='MOTION', help_behavior_hint='')] = None
    """Of a clip: drag, turn, latents, or animations (those of the session)."""
    seconds: MaybeFloat = None
    """Length of a clip."""
    frames_per_second: MaybeInt = None
    """Of a clip."""
    session: MaybeFile = None
    """Session file with the choices to begin with; PATH replaces its model."""
    network: str = 'G_ema'
    """Which network of a snapshot: G_ema or G."""
    device: Device = 'auto'
    """Where the network runs."""
    verbose: bool = False
    """Show the traceback of a failure."""


@dataclass(frozen=True, slots=True)
class InfoOptions:
    """Describe a model: family, configuration, parameters, and every layer."""

    path: Positional[Opened]
    """What to open; see `window --help`."""
    json: bool = False
    """Print JSON instead of a table."""
    network: str = 'G_ema'
    """Which network of a snapshot: G_ema or G."""
    device: Device = 'cpu'
    """Where the network is put."""
    verbose: bool = False
    """Show the traceback of a failure."""


@dataclass(frozen=True, slots=True)
class AnalyzeOptions:
    """Measure a model. Progress on stderr, the result on stdout."""

    path: Positional[Opened]
    """What to open; see `window --help`."""
    what: Measurement
    """Equivariance (eq-t, eq-t-frac, eq-r), per-layer equivariance and aliasing (layers), the average power spectrum,
    texture sticking, or a diagnosis of all."""
    samples: MaybeInt = None
    """Over how many latents; 32 unless given, 2 for layers."""
    seed: Annotated[int, arg(metavar='N')] = 0
    """The first of them."""
    layer: MaybeName = None
    """Of a spectrum: this layer instead of the image."""
    real: MaybeFile = None
    """Of a spectrum: folder or ZIP of real pictures of the generator's size to compare with."""
    json: bool = False
    """Print JSON instead of a table."""
    out: MaybeFolder = None
    """Folder for plots and numbers."""
    network: str = 'G_ema'
    """Which network of a snapshot: G_ema or G."""
    device: Device = 'auto'
    """Where the network runs."""
    verbose: bool = False
    """Show the traceback of a failure."""


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """Convert a snapshot to our .safetensors: weights and configuration only. Nothing in the file is run."""

    path: Positional[Opened]
    """Snapshot (.pkl), or a run directory."""
    out: Positional[Annotated[Path, arg(metavar='OUT.safetensors')]]
    """Where to write."""
    network: str = 'G_ema'
    """Which network of a snapshot: G_ema, G or D."""
    verbose: bool = False
    """Show the traceback of a failure."""


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """Say what this machine offers: Python, torch, device, OpenGL, and which operators run where and why."""

    json: bool = False
    """Print JSON instead of a table."""
    verbose: bool = False
    """Show the traceback of a failure."""


Options = WindowOptions | RenderOptions | InfoOptions | AnalyzeOptions | ConvertOptions | DoctorOptions
COMMANDS: dict[str, type] = {
    'window': WindowOptions,
    'render': RenderOptions,
    'info': InfoOptions,
    'analyze': AnalyzeOptions,
    'convert': ConvertOptions,
    'doctor': DoctorOptions,
}

"""What a panel can ask of the application: wishes as values, carried out after the frame is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from viz.surveys import SurveyCommand


@dataclass(frozen=True, slots=True)
class OpenPath:
    """Open a model, run folder, session or picture with a session."""

    path: str
    beside: bool = False
    """As side B, next to the generator that is open."""


@dataclass(frozen=True, slots=True)
class OpenTwins:
    """Open the two bundled generators of the first start, side by side."""


@dataclass(frozen=True, slots=True)
class ShowSnapshot:
    """Open another snapshot of the training run in place."""

    name: str | None
    """File name in the run's folder; None: the newest, and each one that follows."""


@dataclass(frozen=True, slots=True)
class Browse:
    """Show the system's dialog for choosing a file."""

    beside: bool = False
    """To be opened as side B."""


@dataclass(frozen=True, slots=True)
class CancelOpening:
    """Stop reading the file that is being opened."""


@dataclass(frozen=True, slots=True)
class AverageSpectrum:
    """Average the spectrum of what is shown over many latents."""

    count: int


@dataclass(frozen=True, slots=True)
class CancelAverage:
    """Stop the averaging."""


@dataclass(frozen=True, slots=True)
class ForgetAverage:
    """Show the spectrum of the current picture again."""


@dataclass(frozen=True, slots=True)
class ResetMeter:
    """Begin anew to pool the errors of the pictures that are seen."""


@dataclass(frozen=True, slots=True)
class MeasureEquivariance:
    """Measure the paper's three metrics over so many latents."""

    samples: int


@dataclass(frozen=True, slots=True)
class MeasureLadder:
    """Measure every layer for shifts of falling size."""


@dataclass(frozen=True, slots=True)
class Diagnose:
    """Say which layer sticks, why, and what cures it."""


@dataclass(frozen=True, slots=True)
class MeasureWalk:
    """Watch a line of the picture during a latent walk."""

    start: tuple[float, float]
    end: tuple[float, float]
    """Of the line, in image sizes from the top left corner."""
    frames: int
    stops: int
    """Latents that the walk passes."""
    first_seed: int = 0


@dataclass(frozen=True, slots=True)
class MeasureAverage:
    """Average pictures around the shown latent."""

    samples: int
    radius: float


@dataclass(frozen=True, slots=True)
class MeasurePatterns:
    """Find what of every layer is tied to the place."""

    samples: int


@dataclass(frozen=True, slots=True)
class MeasureRegistered:
    """Average moved pictures of the shown latent, each moved back."""

    samples: int
    rotate: bool


@dataclass(frozen=True, slots=True)
class SaveStrip:
    """Write the strip of the last walk into the capture folder."""


@dataclass(frozen=True, slots=True)
class CancelMeasuring:
    """Stop measuring; what is known so far stays."""

    what: tuple[str, ...]
    """Keys of measurements (see `viz.measuring`)."""


@dataclass(frozen=True, slots=True)
class SaveReport:
    """Write the diagnosis into the capture folder, as a page and as JSON."""


@dataclass(frozen=True, slots=True)
class SavePicture:
    """Write the shown picture, with its session inside, into the capture folder."""


@dataclass(frozen=True, slots=True)
class SaveWindow:
    """Write the whole window, with the session inside, into the capture folder."""


@dataclass(frozen=True, slots=True)
class RecordClip:
    """Write a clip of what the capture panel says into the capture folder."""


@dataclass(frozen=True, slots=True)
class CancelClip:
    """Stop the recording."""


@dataclass(frozen=True, slots=True)
class SaveSession:
    """Write the session into the capture folder."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Go one edit back."""


@dataclass(frozen=True, slots=True)
class Redo:
    """Go one edit forward."""


@dataclass(frozen=True, slots=True)
class ToggleHelp:
    """Show or hide the list of gestures and keys."""


@dataclass(frozen=True, slots=True)
class ResetLayout:
    """Put every panel back to its place."""


@dataclass(frozen=True, slots=True)
class DismissError:
    """Close the banner over the picture."""


@dataclass(frozen=True, slots=True)
class CopyText:
    """Put text on the clipboard."""

    text: str


@dataclass(frozen=True, slots=True)
class Quit:
    """Close the window."""


MeasuringCommand = (
    MeasureEquivariance
    | MeasureLadder
    | Diagnose
    | MeasureWalk
    | MeasureAverage
    | MeasurePatterns
    | MeasureRegistered
    | SaveStrip
    | CancelMeasuring
    | SaveReport
)
Command = (
    OpenPath
    | OpenTwins
    | ShowSnapshot
    | Browse
    | CancelOpening
    | AverageSpectrum
    | CancelAverage
    | ForgetAverage
    | ResetMeter
    | MeasuringCommand
    | SurveyCommand
    | SavePicture
    | SaveWindow
    | RecordClip
    | CancelClip
    | SaveSession
    | Undo
    | Redo
    | ToggleHelp
    | ResetLayout
    | DismissError
    | CopyText
    | Quit
)
Ask = Callable[[Command], None]
"""Takes a wish; it is carried out after the frame."""

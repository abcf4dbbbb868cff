"""What the window knows but the user did not choose: results, progress, notices, history, frame times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from gui_utils.dialogs import FileDialog
from gui_utils.readouts import Level, Toast
from gui_utils.texture import Textures
from render.request import RenderRequest
from render.result import GeneratorInfo, RenderResult, Spectrum
from render.session import PictureName, SideName
from viz.commands import Ask
from viz.findings import Laboratory
from viz.history import History
from viz.measure import Measured, Speed
from viz.run_view import RunView
from viz.running_meter import RunningMeter
from viz.surveys import Surveys

Value = TypeVar('Value')
Source = TypeVar('Source')
Other = TypeVar('Other')
TOAST_SECONDS = 6.0
TOAST_LIMIT = 4
FRAME_TIMES = 240


@dataclass(frozen=True, slots=True)
class Task:
    """Something that goes on in the background."""

    title: str
    fraction: float | None = None
    """0 to 1; None = unknown."""
    text: str = ''
    started: float = 0.0
    """Seconds on the window's clock."""


@dataclass(frozen=True, slots=True)
class Average:
    """A spectrum averaged over many latents, and of what."""

    spectrum: Spectrum
    subject: RenderRequest
    """The request with everything reset that the average does not depend on (see `average_subject`)."""


@dataclass(frozen=True, slots=True)
class SideView:
    """What is known about one side."""

    result: RenderResult | None = None
    """The newest one that holds a picture."""
    error: str | None = None
    """What the newest answer complained about; the picture is then an older one."""
    part: RenderResult | None = None
    """The newest part of the picture, if it came after `result`: what a hand sees that is faster than the network."""
    asked: RenderRequest | None = None
    """What the session asks for now."""
    sent: RenderRequest | None = None
    """What the renderer was asked for: that, or while the hand drags a part of it."""
    average: Average | None = None
    waiting_since: float = 0.0
    """Seconds on the window's clock, when the picture was last current."""
    meter: RunningMeter = field(default_factory=RunningMeter)
    """Errors of the pictures that were seen."""
    speed: Speed = field(default_factory=Speed)

    @property
    def model(self) -> GeneratorInfo | None:
        """The generator that is shown."""
        return None if self.result is None else self.result.model

    @property
    def is_current(self) -> bool:
        """Whether the picture, or the complaint, is the answer to what is asked now."""
        return self.asked is None or (self.result is not None and self.result.request == self.asked)

    @property
    def is_final(self) -> bool:
        """Whether the picture is current, and will not be made again with faster operators."""
        return self.is_current and not (self.result is not None and self.result.provisional)

    @property
    def shown_part(self) -> RenderResult | None:
        """The part that is newer than the whole picture, while that is not what is asked for."""
        if self.part is None or self.result is None or self.is_current:
            return None
        return self.part if self.part.request.model == self.result.request.model else None

    def answered(self, result: RenderResult) -> SideView:
        """With a new answer: a picture replaces the old one, an error leaves it."""
        if result.error is not None or result.image is None:
            return replace(self, error=result.error or 'The renderer gave no picture.')
        if result.part is not None:
            return replace(self, part=result, error=None, speed=self.speed.noted(result))
        meter, speed = self.meter.seen(result), self.speed.noted(result)
        return replace(self, result=result, part=None, error=None, meter=meter, speed=speed)

    def shown_spectrum(self) -> Spectrum | None:
        """The average, as long as it is one of what is shown; else the spectrum of the picture."""
        if self.result is None:
            return None
        if self.average is not None and self.average.subject == average_subject(self.result.request):
            return self.average.spectrum
        return self.result.spectrum


def average_subject(request: RenderRequest) -> RenderRequest:
    """The request without the latent's seeds and without how pixels are coloured: what an average is an average of."""
    latent = replace(request.latent, seeds=((0, 1.0),))
    view = replace(
        request.view, mode='rgb', channels=(0, 1, 2), sheet_first=0, gain_db=0.0, normalize=False, colormap='gray',
        undo_transform=False, response_layer=None, meter=False, error_map=False, error_gain_db=0.0,
    )  # fmt: skip
    return replace(request, latent=latent, view=view)


class FrameTimes:
    """The last frame and render times, in milliseconds, oldest first from `start`."""

    def __init__(self) -> None:
        self.frames = np.zeros(FRAME_TIMES, np.float32)
        self.panels = np.zeros(FRAME_TIMES, np.float32)
        self.start = 0

    def add(self, frame_seconds: float, panel_seconds: float) -> None:
        """Note one frame."""
        self.frames[self.start] = 1000 * frame_seconds
        self.panels[self.start] = 1000 * panel_seconds
        self.start = (self.start + 1) % FRAME_TIMES

    def mean_frame(self) -> float:
        """Milliseconds of the last half second's frames, 0 before the first."""
        recent = self.frames[np.arange(self.start - 30, self.start) % FRAME_TIMES]
        recent = recent[recent > 0]
        return float(recent.mean()) if len(recent) else 0.0


@dataclass(frozen=True, slots=True)
class View:
    """Everything the panels read beside the session. Frozen: each frame may give a new one."""

    a: SideView = SideView()
    b: SideView = SideView()
    o: SideView = SideView()
    """The original of the active side, while it is shown."""
    second: bool = False
    """Of two pictures that blink, the second shows at this moment."""
    complaint: str | None = None
    """A sentence that stays over the picture until it is closed."""
    opening: Task | None = None
    averaging: Task | None = None
    recording: Task | None = None
    toasts: tuple[Toast, ...] = ()
    """Sentences that are shown for a while."""
    history: History = field(default_factory=History)
    help_open: bool = False
    seconds: float = 0.0
    """The window's clock."""
    measured: Measured = field(default_factory=Measured)
    laboratory: Laboratory = field(default_factory=Laboratory)
    """What was measured about sticking, and what is being measured."""
    surveys: Surveys = field(default_factory=Surveys)
    """What views measured by themselves while they were looked at."""
    run: RunView | None = None
    """The training run that the model comes from, if it comes from one."""
    next_hint_until: float = 0.0
    """Of the window's clock: the second hint of a first start shows till then."""
    graphics: str = ''
    """Who draws the window."""

    def side(self, name: PictureName) -> SideView:
        """What is known about that side, or the original."""
        return self.a if name == 'a' else self.b if name == 'b' else self.o

    def with_side(self, name: PictureName, side: SideView) -> View:
        """With that knowledge about one side, or the original."""
        return self if side is self.side(name) else replace(self, **{name: side})

    def noticed(self, words: str, level: Level = 'info') -> View:
        """With one more sentence to show; the same sentence is not shown twice."""
        others = tuple(toast for toast in self.toasts if toast.words != words)
        toast = Toast(level, words, TOAST_SECONDS * (2 if level == 'bad' else 1))
        return replace(self, toasts=(*others, toast)[-TOAST_LIMIT:])


class Computed:
    """What panels compute from arrays and answers, kept while they show the same object. Bounded: one value a key."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[object, object, Any]] = {}

    def of(self, key: str, source: Source, compute: Callable[[Source], Value]) -> Value:
        """`compute(source)`, computed again only if `source` is another object than the last time for `key`."""
        return self.of_both(key, source, None, lambda one, _: compute(one))

    def of_both(self, key: str, one: Source, other: Other, compute: Callable[[Source, Other], Value]) -> Value:
        """`compute(one, other)`, computed again only if either is another object than the last time for `key`."""
        known = self._values.get(key)
        if known is None or known[0] is not one or known[1] is not other:
            known = self._values[key] = (one, other, compute(one, other))
        return known[2]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a panel is given beside its own state."""

    view: View
    ask: Ask
    textures: Textures
    dialog: FileDialog
    times: FrameTimes = field(default_factory=FrameTimes)
    memory: Computed = field(default_factory=Computed)
    active: SideName = 'a'
    shown: tuple[PictureName, ...] = ('a',)
    """The pictures, from left to right."""

    def computed(self, key: str, source: Source, compute: Callable[[Source], Value]) -> Value:
        """`compute(source)`, once per object."""
        return self.memory.of(key, source, compute)

    def computed_of_both(self, key: str, one: Source, other: Other, compute: Callable[[Source, Other], Value]) -> Value:
        """`compute(one, other)`, once per two objects."""
        return self.memory.of_both(key, one, other, compute)

    @property
    def side(self) -> SideView:
        """What is known about the side that the panels edit."""
        return self.view.side(self.active)

    def titles(self) -> dict[PictureName, str]:
        """What each picture that is shown is called, in a word."""
        if self.shown[-1] == 'o':
            return {self.shown[0]: 'Changed', 'o': 'Original'}
        return {name: name.upper() for name in self.shown}

    @property
    def model(self) -> GeneratorInfo | None:
        """The generator that the panels are about."""
        return self.side.model

"""What is asked for while a hand drags a model that cannot follow it: exact parts of the picture, the whole once it rests.

A part is no preview: its pixels are the whole network's (see docs/dragging.md). Nothing here draws.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field, replace

from render.compare import pictures
from render.request import Part, RenderRequest, ViewSpec
from render.result import PartSize, RenderResult
from render.session import PictureName, Session, is_animating
from viz.hand import Grip
from viz.view import SideView

FLUENT_SECONDS = 1 / 20
"""Renders that take longer do not follow a hand."""
LEAST_GAIN = 1.5
"""Parts that are not so many times as quick are not worth that the rest of the picture waits."""
REST_SECONDS = 0.25
"""A hand that has not moved for so long rests."""
LATEST = 5
"""Renders that a time is the median of."""
GRID = 4
"""Steps of a part's side that it is placed in."""


@dataclass(slots=True)
class Pace:
    """How long the pictures of one side take."""

    subject: object = None
    """What they are pictures of; another one has another pace."""
    sizes: tuple[PartSize, ...] = ()
    wholes: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    corrections: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    """Measured over predicted times of parts."""
    guess: float = 0.0
    """Of a whole picture, from a first one."""

    @property
    def whole_seconds(self) -> float:
        """0 if nothing is known."""
        return statistics.median(self.wholes) if self.wholes else self.guess

    @property
    def correction(self) -> float:
        return statistics.median(self.corrections) if self.corrections else 1.0

    def note(self, result: RenderResult) -> None:
        """A picture arrived."""
        if result.part is None:
            self._note_whole(result)
        elif result.pace == 'steady' and self.wholes:
            gain = next((size.gain for size in self.sizes if size.side == result.part.width), 0.0)
            if gain:
                self.corrections.append(result.seconds * gain / self.whole_seconds)

    def _note_whole(self, result: RenderResult) -> None:
        self.sizes = result.part_sizes
        if result.pace == 'steady':
            self.wholes.append(result.seconds)
        elif result.pace == 'first':
            self.guess = result.seconds

    def choose(self) -> PartSize | None:
        """The largest part that follows a hand, else the smallest; None where whole pictures are as good."""
        if self.whole_seconds <= FLUENT_SECONDS:
            return None
        worthy = [size for size in self.sizes if size.gain / self.correction >= LEAST_GAIN]
        fluent = [size for size in worthy if self.whole_seconds * self.correction / size.gain <= FLUENT_SECONDS]
        return fluent[0] if fluent else worthy[-1] if worthy else None


def differ(one: RenderRequest, other: RenderRequest) -> bool:
    """Whether the network runs differently for the two."""
    return (one.model, one.latent, one.synthesis) != (other.model, other.latent, other.synthesis)


def place_part(side: int, width: int, height: int, pixel: tuple[int, int] | None) -> Part:
    """The square of that side around a pixel (None: the middle) of a picture, on a coarse grid and inside the picture."""
    step = max(side // GRID, 1)
    middle = (width / 2, height / 2) if pixel is None else pixel
    left, top = (
        min(max(step * round((at - side / 2) / step), 0), size - side)
        for at, size in zip(middle, (width, height), strict=True)
    )
    return Part(left, top, side, side)


def has_parts(session: Session, request: RenderRequest, known: SideView) -> bool:
    """Whether a part may stand in for what is asked: a plain picture that is shown alone, by a network that can."""
    shown, view = known.result, request.view
    if shown is None or shown.image is None or not shown.part_sizes or shown.request.model != request.model:
        return False
    plain = request.synthesis.layer is None and view.mode == 'rgb' and not (view.undo_transform or view.error_map)
    alone = len(pictures(session)) == 1 and not is_animating(session)
    return session.performance.dragging == 'part' and plain and alone and fits_under(shown)


def fits_under(shown: RenderResult) -> bool:
    """Whether a part can lie on this picture: the pixels of the two correspond."""
    view = shown.request.view
    return shown.layer is None and not (view.undo_transform or view.error_map)


def part_request(request: RenderRequest, part: Part) -> RenderRequest:
    """The same picture, in part, and nothing measured."""
    view = ViewSpec(channels=request.view.channels, gain_db=request.view.gain_db, normalize=request.view.normalize)
    return replace(request, synthesis=replace(request.synthesis, part=part), view=view)


@dataclass(slots=True)
class _Drag:
    """One side, from frame to frame."""

    pace: Pace = field(default_factory=Pace)
    request: RenderRequest | None = None
    moved_at: float | None = None
    """Seconds on the window's clock, of the last change; None: the hand rests."""
    part: Part | None = None
    """Chosen once for as long as the hand holds on."""
    has_chosen: bool = False
    wanted: RenderRequest | None = None
    """In part, of `request`."""


class Dragging:
    """Decides, frame by frame, between the whole picture and a part of it."""

    def __init__(self) -> None:
        self._drags: dict[PictureName, _Drag] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a whole picture will be asked for as soon as the hand rests."""
        return any(drag.moved_at is not None for drag in self._drags.values())

    def note(self, name: PictureName, result: RenderResult) -> None:
        """A picture of that side arrived."""
        drag, request = self._drags.setdefault(name, _Drag()), result.request
        if result.image is None or request.synthesis.layer is not None:
            return
        subject = request.model, request.synthesis.filters, request.synthesis.precision
        if subject != drag.pace.subject:
            drag.pace = Pace(subject)
        drag.pace.note(result)

    def wanted(
        self,
        session: Session,
        name: PictureName,
        request: RenderRequest | None,
        known: SideView,
        grip: Grip,
        now: float,
    ) -> RenderRequest | None:
        """What to ask for: `request`, or a part of it. The same object as long as the answer is the same."""
        drag = self._drags.setdefault(name, _Drag())
        before, drag.request = drag.request, request
        if not grip.held:
            drag.has_chosen, drag.part = False, None
        if request is None or not grip.held or not has_parts(session, request, known):
            drag.moved_at = None
            return request
        if before is not None and request is not before and differ(before, request):
            drag.moved_at = now
        elif drag.moved_at is not None and now - drag.moved_at >= REST_SECONDS:
            drag.moved_at = None
        if drag.moved_at is None:
            return request
        if not drag.has_chosen:
            drag.has_chosen, drag.part = True, _chosen(drag.pace, known, grip)
        if drag.part is None:
            drag.moved_at = None
            return request
        wanted = part_request(request, drag.part)
        drag.wanted = drag.wanted if drag.wanted == wanted else wanted
        return drag.wanted


def _chosen(pace: Pace, known: SideView, grip: Grip) -> Part | None:
    size = pace.choose()
    if size is None or known.result is None or known.result.image is None:
        return None
    height, width = known.result.image.shape[:2]
    return place_part(size.side, width, height, grip.pixel)

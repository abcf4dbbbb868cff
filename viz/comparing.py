"""Two pictures against one another: which, how, and where the second lies on the screen. No drawing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from render.compare import original, pictures
from render.request import RenderRequest
from render.result import GeneratorInfo, LayerInfo
from render.session import CompareMode, LayerState, PictureName, Session, Side
from viz.editing import linked, with_named_side
from viz.geometry import Picture, Placement, Rectangle
from viz.view import View

MODES: dict[CompareMode, str] = {'side': 'Side by side', 'wipe': 'Wipe', 'blink': 'Blink', 'difference': 'Difference'}
BLINK_SECONDS = 1 / 3
"""How long each picture shows: both take turns 1.5 times a second."""
WIPE_RANGE = (0.02, 0.98)


def is_comparing(session: Session) -> bool:
    """Whether two pictures are shown."""
    return len(pictures(session)) > 1


def is_changed(request: RenderRequest | None) -> bool:
    """Whether the network runs otherwise than its file has it, so that there is an original to compare with."""
    return request is not None and original(request) is not request


def with_mode(session: Session, mode: CompareMode) -> Session:
    """Compare in this way; without a second picture, with the original."""
    alone = not is_comparing(session)
    compare = replace(session.compare, mode=mode, original=session.compare.original or alone)
    return session if compare == session.compare else replace(session, compare=compare)


def with_next_mode(session: Session, step: int = 1) -> Session:
    """Compare in the next way; where nothing is compared, begin with the original."""
    if not is_comparing(session):
        return with_original(session, on=True)
    names = list(MODES)
    return with_mode(session, names[(names.index(session.compare.mode) + step) % len(names)])


def with_original(session: Session, *, on: bool) -> Session:
    """The original beside the active side, or whatever was beside it before."""
    return replace(session, compare=replace(session.compare, original=on))


def with_links(session: Session, **links: bool) -> Session:
    """With other links (`link_latent`, …); what is linked anew is taken over from the active side."""
    session = replace(session, **links)
    if session.b is None:
        return session
    name = 'a' if session.active == 'b' else 'b'
    return with_named_side(session, name, linked(session, session.current, session.side(name)))


def is_linked(session: Session) -> bool:
    """Whether all that can be linked is."""
    return session.link_latent and session.link_transform and session.link_view


def aligned(lead: Placement, picture: Picture, pane: Rectangle) -> Placement:
    """Where another picture lies so that its image canvas covers the same place of its pane as that of `lead`.

    Contact sheets are as wide as each other: so their cells meet, if these are as many.
    """
    if picture.sheet is not None and lead.picture.sheet is not None:
        width, left, top = lead.frame.width, lead.frame.left - lead.pane.left, lead.frame.top - lead.pane.top
        size = width, width * picture.height / picture.width
        return Placement(picture, pane, Rectangle(pane.left + left, pane.top + top, *size))
    canvas = lead.canvas
    pixel = canvas.width / max(picture.cell_width - 2 * picture.margin, 1e-6)
    left = canvas.left - picture.margin * pixel + pane.left - lead.pane.left
    top = canvas.top - picture.margin * pixel + pane.top - lead.pane.top
    return Placement(picture, pane, Rectangle(left, top, picture.width * pixel, picture.height * pixel))


def matched(session: Session, view: View) -> Session:
    """The session with the side that is not edited showing the layer, and a class, that its own generator has."""
    if session.b is None:
        return session
    name: PictureName = 'a' if session.active == 'b' else 'b'
    model, source = view.side(name).model, view.side(session.active).model
    if model is None:
        return session
    side = session.side(name)
    found = _matched(side, model, source)
    return session if found is side else with_named_side(session, name, found)


def _matched(side: Side, model: GeneratorInfo, source: GeneratorInfo | None) -> Side:
    layer = side.layer.layer
    if layer is not None and model.layer(layer) is None:
        side = replace(side, layer=_layer_like(side.layer, model, source))
    index = side.latent.class_index
    if index is not None and 0 < model.class_count <= index:
        side = replace(side, latent=replace(side.latent, class_index=model.class_count - 1))
    return side


def _layer_like(state: LayerState, model: GeneratorInfo, source: GeneratorInfo | None) -> LayerState:
    """The layer as deep in `model` as the one of `state` is in `source`."""
    layer = as_deep(state.layer, source, model)
    if layer is None:
        return replace(state, layer=None, channel=0)
    return replace(state, layer=layer.name, channel=min(state.channel, layer.channels - 1))


def as_deep(name: str | None, source: GeneratorInfo | None, model: GeneratorInfo) -> LayerInfo | None:
    """The layer as deep in `model` as the one called `name` is in `source`; None for the image."""
    names = [layer.name for layer in source.layers] if source else []
    if name not in names or not model.layers:
        return None
    return model.layers[round(names.index(name) * (len(model.layers) - 1) / max(len(names) - 1, 1))]


class Blinker:
    """Says which of two pictures shows at this moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.still = False
        """The first stays, for a screenshot."""
        self._clock = clock
        self._since: float | None = None

    @property
    def wait_seconds(self) -> float | None:
        """Until the other one shows; None while nothing blinks."""
        return None if self._since is None else BLINK_SECONDS - (self._clock() - self._since) % BLINK_SECONDS

    def look(self, session: Session, view: View) -> View:
        """The view with what shows now."""
        if self.still or session.compare.mode != 'blink' or not is_comparing(session):
            self._since = None
        elif self._since is None:
            self._since = self._clock()
        second = self._since is not None and int((self._clock() - self._since) / BLINK_SECONDS) % 2 == 1
        return view if view.second == second else replace(view, second=second)

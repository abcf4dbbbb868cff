"""What the mouse does on the picture: it moves with the hand, turns with it, or is looked at from elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from imgui_bundle import imgui

from render.result import GeneratorInfo
from render.session import PictureName, Session, TransformState
from viz import geometry
from viz.editing import with_side
from viz.geometry import Placement

Doing = Literal['nothing', 'translate', 'rotate', 'pan', 'latent']
RING_WIDTH_EM = 0.7
_LEFT, _MIDDLE = imgui.MouseButton_.left, imgui.MouseButton_.middle
_FLAGS = int(
    imgui.ButtonFlags_.mouse_button_left
    | imgui.ButtonFlags_.mouse_button_middle
    | imgui.ButtonFlags_.mouse_button_right
)


@dataclass(slots=True)
class Hand:
    """What a pressed button does until it is released. Lives as long as the window."""

    doing: Doing = 'nothing'
    side: PictureName = 'a'
    """The picture below the hand."""
    space_panned: bool = False
    """The space key was used to pan, so releasing it does not start an animation."""
    began_at: tuple[float, float] = (0.0, 0.0)
    """On the screen, where the button was pressed."""
    rest: tuple[float, float] = (0.0, 0.0)
    """How far the hand is ahead of a picture that moves by whole pixels, in image widths."""
    grabbed: tuple[int, int] | None = None
    """Column and row of the picture's pixel that was pressed; None beside the picture."""
    has_moved: bool = False
    """The picture was moved at all; the first-run hint is then done."""


@dataclass(frozen=True, slots=True)
class Grip:
    """What is held in a frame."""

    held: bool = False
    """A mouse button, or a key that moves things."""
    pixel: tuple[int, int] | None = None
    """Of the picture, if the mouse holds it there."""


def hold(
    session: Session,
    name: PictureName,
    placement: Placement,
    hand: Hand,
    model: GeneratorInfo | None,
    *,
    identity: str = '',
) -> Session:
    """Place the invisible button over the pane and follow the hand; returns the session after it.

    `name`: of the picture below the mouse, whose side is edited from then on. `identity`: of the button, where it stays
    the same for two pictures.
    """
    pane = placement.pane
    imgui.set_cursor_screen_pos(imgui.ImVec2(pane.left, pane.top))
    imgui.invisible_button(
        identity or f'picture {name}', imgui.ImVec2(max(pane.width, 1.0), max(pane.height, 1.0)), _FLAGS
    )
    can_move = model is not None and model.why_not('transform') is None
    if imgui.is_item_activated():
        if session.b is not None and name != 'o':
            session = replace(session, active=name)
        mouse = imgui.get_mouse_pos()
        hand.rest, hand.grabbed = (0.0, 0.0), placement.pixel_at(mouse.x, mouse.y)
        hand.side, hand.began_at, hand.doing = name, (mouse.x, mouse.y), _begin(session, placement, can_move=can_move)
    if imgui.is_item_active() and hand.side == name:
        if not imgui.is_item_activated():  # on its way to where it pressed the mouse held nothing
            session = _follow(session, placement, hand, model)
    elif hand.side == name:
        hand.doing = 'nothing'
    if not imgui.is_item_hovered():
        return session
    _show_cursor(session, placement, hand, can_move=can_move)
    if imgui.is_mouse_double_clicked(_LEFT) and can_move:
        session = with_side(session, replace(session.current, transform=TransformState()))
    wheel = imgui.get_io().mouse_wheel
    if wheel:
        mouse = imgui.get_mouse_pos()
        zoomed = geometry.zoomed(session.canvas, geometry.WHEEL_STEP**wheel, placement, (mouse.x, mouse.y))
        session = replace(session, canvas=zoomed)
    return session


def is_on_ring(session: Session, placement: Placement, x: float, y: float) -> bool:
    """Whether a point of the screen is on the ring that rotates the picture; contact sheets have none."""
    if placement.picture.sheet is not None:
        return False
    center_x, center_y = geometry.pivot(session.current.transform, placement)
    distance = math.hypot(x - center_x, y - center_y)
    return abs(distance - geometry.ring_radius(placement)) < RING_WIDTH_EM * imgui.get_font_size()


def _begin(session: Session, placement: Placement, *, can_move: bool) -> Doing:
    io, mouse = imgui.get_io(), imgui.get_mouse_pos()
    if imgui.is_mouse_down(_MIDDLE) or imgui.is_key_down(imgui.Key.space):
        return 'pan'
    if not imgui.is_mouse_down(_LEFT):
        return 'nothing'
    if not can_move:
        return 'latent'
    wants_turn = io.key_ctrl or io.key_shift or is_on_ring(session, placement, mouse.x, mouse.y)
    return 'rotate' if wants_turn else 'translate'


def _translated(state: TransformState, placement: Placement, hand: Hand, step: float) -> TransformState:
    """The transform after the hand moved; `step`: image widths by which the picture moves, 0: as the hand does."""
    delta = imgui.get_io().mouse_delta
    free = replace(state, x=state.x + hand.rest[0], y=state.y + hand.rest[1])
    free = geometry.translated(free, delta.x, delta.y, placement)
    if not step:
        return free
    moved = replace(free, x=step * round(free.x / step), y=step * round(free.y / step))
    hand.rest = (free.x - moved.x, free.y - moved.y)
    return moved


def _follow(session: Session, placement: Placement, hand: Hand, model: GeneratorInfo | None) -> Session:
    io = imgui.get_io()
    dx, dy = io.mouse_delta.x, io.mouse_delta.y
    if not (dx or dy):
        return session
    side = session.current
    if hand.doing == 'pan':
        hand.space_panned = hand.space_panned or imgui.is_key_down(imgui.Key.space)
        return replace(session, canvas=geometry.panned(session.canvas, dx, dy, placement))
    if hand.doing == 'translate':
        hand.has_moved = True
        step = 1 / model.resolution if session.meter.whole_pixels and model is not None else 0.0
        return with_side(session, replace(side, transform=_translated(side.transform, placement, hand, step)))
    if hand.doing == 'rotate':
        hand.has_moved = True
        now = (io.mouse_pos.x, io.mouse_pos.y)
        turned = geometry.rotated(side.transform, (now[0] - dx, now[1] - dy), now, placement, near=hand.began_at)
        return with_side(session, replace(side, transform=turned))
    if hand.doing == 'latent':
        hand.has_moved = True
        return with_side(session, replace(side, latent=geometry.walked(side.latent, dx, dy, placement.pane)))
    return session


def _show_cursor(session: Session, placement: Placement, hand: Hand, *, can_move: bool) -> None:
    mouse = imgui.get_mouse_pos()
    if hand.doing == 'rotate' or (can_move and is_on_ring(session, placement, mouse.x, mouse.y)):
        imgui.set_mouse_cursor(imgui.MouseCursor_.hand)
    elif hand.doing != 'nothing' or placement.frame.contains(mouse.x, mouse.y):
        imgui.set_mouse_cursor(imgui.MouseCursor_.resize_all)

"""One picture in its pane: pixels, checkerboard, outlines, the ring for turning."""

from __future__ import annotations

import functools
import math

import numpy as np
from imgui_bundle import ImVec2, imgui

from gui_utils import theme
from render.compare import choices, pictures
from render.result import RenderResult
from render.session import CanvasState, PictureName, Session
from viz import geometry, overlay
from viz.comparing import aligned
from viz.dragging import fits_under
from viz.error_overlay import draw_error
from viz.geometry import Picture, Placement, Rectangle
from viz.hand import Hand, hold, is_on_ring
from viz.sheet_tiles import draw_scores, open_tile
from viz.view import Desk
from viz.walk_line import draw_line, hold_line

CHECKER_PIXELS = 10.0
"""Of a square of the checkerboard, at scale 1."""
DIMMED = 0.35
"""Opacity of a whole picture that is older than the part on it."""
SHARP_FROM = 2.0
"""Screen pixels per picture pixel from which enlarged pixels are shown as squares."""


def draw_side(
    session: Session, name: PictureName, pane: Rectangle, desk: Desk, hand: Hand, *, lead: Placement | None = None
) -> Session:
    """The picture of one side in its pane, with what is drawn over it; returns the session after the gestures.

    `lead`: where another picture lies in its pane, to lie in the same place.
    """
    known = desk.view.side(name)
    result = known.result
    canvas = imgui.get_window_draw_list()
    low, high = ImVec2(pane.left, pane.top), ImVec2(pane.right, pane.bottom)
    canvas.add_rect_filled(low, high, theme.faded(theme.rgba(theme.BACKGROUND)))
    picture = geometry.picture_of(result) if result is not None else None
    if result is None or result.image is None or picture is None:
        overlay.draw_empty(session, pane, desk)
        return session
    placement = _place(pane, picture, session.canvas, lead)
    session = hold_line(session, name, placement)
    session = hold(session, name, placement, hand, known.model)
    session = open_tile(session, placement, result, hand)
    hovered = imgui.is_item_hovered()
    canvas.push_clip_rect(low, high, True)
    placement = _place(pane, picture, session.canvas, lead)  # the wheel may just have moved it
    part = known.shown_part if fits_under(result) else None
    draw_picture(canvas, result, name, placement, session.canvas, desk, dimmed=part is not None)
    if part is not None:
        draw_part(canvas, part, name, placement, session.canvas, desk)
    if session.canvas.outline and placement.picture.margin:
        draw_outlines(canvas, placement)
    can_turn = known.model is not None and known.model.why_not('transform') is None
    draw_ring(canvas, session, name, placement, hand, can_turn=can_turn, hovered=hovered)
    taken = draw_error(result, placement, desk)
    if len(pictures(session)) > 1:
        overlay.draw_side_label(session, name, pane, known, taken=taken)
    draw_line(session, name, placement)
    draw_scores(session, name, placement, result, desk)
    if session.canvas.probe:
        row = len(pictures(session)) - 1
        overlay.draw_probe(part or result, placement, hovered=hovered, row=row, taken=taken)
    canvas.pop_clip_rect()
    return session


def _place(pane: Rectangle, picture: Picture, view: CanvasState, lead: Placement | None) -> Placement:
    return geometry.place(pane, picture, view) if lead is None else aligned(lead, picture, pane)


def draw_picture(
    canvas: imgui.ImDrawList,
    result: RenderResult,
    name: PictureName,
    placement: Placement,
    state: CanvasState,
    desk: Desk,
    *,
    dimmed: bool = False,
) -> None:
    """The pixels, over a checkerboard where some may be transparent. `dimmed`: they are older than what lies on them."""
    frame, image = placement.frame, result.image
    if image is None:
        return
    low, high = ImVec2(frame.left, frame.top), ImVec2(frame.right, frame.bottom)
    if result.request.view.undo_transform:
        _draw_checkerboard(canvas, placement, desk)
    filter = 'linear' if state.smooth or placement.pixel < SHARP_FROM else 'nearest'
    texture = desk.textures.show(f'picture {name}', image, shown_width=frame.width, filter=filter)
    canvas.add_image(
        texture, low, high, ImVec2(0, 0), ImVec2(1, 1), theme.rgba((1.0, 1.0, 1.0, DIMMED if dimmed else 1.0))
    )


def draw_part(
    canvas: imgui.ImDrawList,
    result: RenderResult,
    name: PictureName,
    placement: Placement,
    state: CanvasState,
    desk: Desk,
) -> None:
    """An exact part of the picture in its place, framed."""
    part, image, pixel = result.part, result.image, placement.pixel
    if part is None or image is None:
        return
    left, top = placement.frame.left + part.left * pixel, placement.frame.top + part.top * pixel
    low, high = ImVec2(left, top), ImVec2(left + part.width * pixel, top + part.height * pixel)
    filter = 'linear' if state.smooth or pixel < SHARP_FROM else 'nearest'
    texture = desk.textures.show(f'part {name}', image, shown_width=part.width * pixel, filter=filter)
    canvas.add_image(texture, low, high)
    line = round(max(imgui.get_style().font_scale_dpi, 1.0))
    canvas.add_rect(
        ImVec2(low.x - line, low.y - line), ImVec2(high.x + line, high.y + line), theme.ACCENT_RGBA, 0.0, line
    )


def _draw_checkerboard(canvas: imgui.ImDrawList, placement: Placement, desk: Desk) -> None:
    """Below the picture, so that it shows where the picture is transparent."""
    frame, square = placement.frame, CHECKER_PIXELS * imgui.get_style().font_scale_dpi
    across, down = math.ceil(frame.width / square), math.ceil(frame.height / square)
    if across * down > 1_000_000:
        return  # enlarged far beyond the pane
    pixels = checkerboard(across, down)
    texture = desk.textures.show('checkerboard', pixels)
    corner = ImVec2(frame.width / (across * square), frame.height / (down * square))
    canvas.add_image(texture, ImVec2(frame.left, frame.top), ImVec2(frame.right, frame.bottom), ImVec2(0, 0), corner)


@functools.lru_cache(maxsize=4)
def checkerboard(across: int, down: int) -> np.ndarray:
    """Squares of two greys, one pixel each: [down, across, 4] uint8."""
    odd = np.add.outer(np.arange(down), np.arange(across)) % 2
    pixels = np.full((down, across, 4), 255, np.uint8)
    pixels[..., :3] = np.where(odd, 58, 44)[..., None]
    return pixels


def draw_outlines(canvas: imgui.ImDrawList, placement: Placement) -> None:
    """Where the image lies in each channel that is shown."""
    first, sheet, pixel = placement.canvas, placement.picture.sheet, placement.pixel
    corners = [(0, 0)] if sheet is None else [sheet.corner(index) for index in range(sheet.count)]
    colour = theme.rgba(theme.WARN, 0.9)
    for row, column in corners:
        left, top = first.left + column * pixel, first.top + row * pixel
        canvas.add_rect(ImVec2(left, top), ImVec2(left + first.width, top + first.height), colour)


def draw_ring(
    canvas: imgui.ImDrawList,
    session: Session,
    name: PictureName,
    placement: Placement,
    hand: Hand,
    *,
    can_turn: bool,
    hovered: bool,
) -> None:
    """The handle for turning: a knob, and the whole ring while the mouse is on it. `hovered`: the mouse is on the pane."""
    if not can_turn or placement.picture.sheet is not None:
        return
    mouse, em = imgui.get_mouse_pos(), imgui.get_font_size()
    turning = hand.doing == 'rotate' and hand.side == name
    near = hovered and hand.doing == 'nothing' and is_on_ring(session, placement, mouse.x, mouse.y)
    transform = choices(session, name).transform
    if not (turning or hovered):
        return
    x, y = geometry.pivot(transform, placement)
    radius = geometry.ring_radius(placement)
    angle = math.radians(transform.degrees + 90)
    knob = ImVec2(x + radius * math.cos(angle), y - radius * math.sin(angle))
    if turning or near:
        canvas.add_circle(ImVec2(x, y), radius, theme.faded(theme.rgba(theme.BACKGROUND, 0.5)), 128, 0.3 * em)
        canvas.add_circle(ImVec2(x, y), radius, theme.faded(theme.rgba(theme.TEXT, 0.85)), 128, 0.1 * em)
    colour = theme.ACCENT if turning or near else theme.TEXT
    canvas.add_circle_filled(knob, 0.42 * em, theme.faded(theme.rgba(theme.BACKGROUND, 0.75)))
    canvas.add_circle_filled(knob, 0.28 * em, theme.faded(theme.rgba(colour, 0.9)))
    if turning:
        overlay.draw_pill(f'{transform.degrees:+.1f}°', x, y, canvas)

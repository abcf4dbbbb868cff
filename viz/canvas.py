"""The picture itself, with its toolbar: drawing only; gestures are in `hand`, words in `overlay`."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.result import RenderResult
from render.session import CanvasState, Session, SideName
from viz import geometry, overlay
from viz.editing import sides, updated
from viz.geometry import Placement, Rectangle
from viz.hand import Hand, hold, is_on_ring
from viz.view import Desk

TITLE = 'Picture'
CHECKER_PIXELS = 10.0
"""Of a square of the checkerboard, at scale 1."""
SHARP_FROM = 2.0
"""Screen pixels per picture pixel from which enlarged pixels are shown as squares."""


TOOLBAR_EM = 29.0
"""Narrower panes show the tools without words."""
TOOLS = (
    (
        'undo_transform', 'Untransform', icons.ICON_FA_ARROWS_ROTATE,
        'Move the picture back by the inverse transform: an equivariant network then stands still (U). '
        'The checkerboard marks what is not known.',
    ),
    (
        'outline', 'Outline', icons.ICON_FA_VECTOR_SQUARE,
        'Outline where the image lies inside a layer with margins (O).',
    ),
    ('probe', 'Probe', icons.ICON_FA_EYE_DROPPER, 'The numbers of the pixel below the mouse.'),
    ('smooth', 'Smooth', icons.ICON_FA_DROPLET, 'Blend enlarged pixels instead of showing squares.'),
)  # fmt: skip
"""Field of the canvas, word, icon, explanation."""


def draw_canvas(session: Session, desk: Desk, hand: Hand) -> Session:
    """Toolbar, picture of each side, gestures, words over it; returns the session after the gestures."""
    imgui.push_style_var(imgui.StyleVar_.window_padding, ImVec2(0.0, 0.0))
    flags = imgui.WindowFlags_.no_scrollbar | imgui.WindowFlags_.no_scroll_with_mouse | imgui.WindowFlags_.no_nav
    with widgets.panel(TITLE, flags=flags) as shows:
        imgui.pop_style_var()
        if not shows:
            return session
        session = replace_canvas(session, _toolbar(session, desk))
        corner, room = imgui.get_cursor_screen_pos(), imgui.get_content_region_avail()
        whole = Rectangle(corner.x, corner.y, max(room.x, 1.0), max(room.y, 1.0))
        names = sides(session)
        for index, name in enumerate(names):
            session = _draw_side(session, name, split(whole, index, len(names)), desk, hand)
        overlay.draw_over_everything(session, whole, desk, hand)
    return session


def replace_canvas(session: Session, canvas: CanvasState) -> Session:
    """The session with another canvas state; the same object if it is the same."""
    return session if canvas is session.canvas else replace(session, canvas=canvas)


def split(whole: Rectangle, index: int, count: int) -> Rectangle:
    """The pane of side `index` of `count`, from left to right."""
    gap = 2.0 if count > 1 else 0.0
    width = (whole.width - gap * (count - 1)) / count
    return Rectangle(whole.left + index * (width + gap), whole.top, width, whole.height)


def _toolbar(session: Session, desk: Desk) -> CanvasState:
    state, em = session.canvas, imgui.get_font_size()
    compact = imgui.get_content_region_avail().x < TOOLBAR_EM * em
    imgui.set_cursor_pos(ImVec2(0.5 * em, 0.3 * em + imgui.get_cursor_pos_y()))
    if _tool(
        'Fit', icons.ICON_FA_EXPAND, 'The whole picture (F). The wheel zooms, the middle button moves.', compact=compact
    ):
        state = geometry.fitted(state)
    changes: dict[str, bool] = {}
    for field, label, icon, tooltip in TOOLS:
        widgets.same_line(0.25)
        is_on = getattr(state, field)
        changes[field] = is_on != _tool(label, icon, tooltip, compact=compact, lit=is_on)
    overlay.draw_progress_dot(desk)
    imgui.dummy(ImVec2(0.0, 0.0))
    return updated(state, **changes)


def _tool(label: str, icon: str, tooltip: str, *, compact: bool, lit: bool = False) -> bool:
    """A button of the toolbar; True when clicked. `compact`: without its word."""
    if compact:
        return widgets.icon_button(icon, label, tooltip=f'{label}: {tooltip}', lit=lit)
    return widgets.toggle_button(label, lit, icon=icon, tooltip=tooltip) != lit


def _draw_side(session: Session, name: SideName, pane: Rectangle, desk: Desk, hand: Hand) -> Session:
    known = desk.view.side(name)
    result = known.result
    canvas = imgui.get_window_draw_list()
    low, high = ImVec2(pane.left, pane.top), ImVec2(pane.right, pane.bottom)
    canvas.add_rect_filled(low, high, theme.faded(theme.rgba(theme.BACKGROUND)))
    picture = geometry.picture_of(result) if result is not None else None
    if result is None or result.image is None or picture is None:
        overlay.draw_empty(session, pane, desk)
        return session
    placement = geometry.place(pane, picture, session.canvas)
    session = hold(session, name, placement, hand, known.model)
    canvas.push_clip_rect(low, high, True)
    placement = geometry.place(pane, picture, session.canvas)  # the wheel may just have moved it
    _draw_picture(canvas, result, name, placement, session.canvas, desk)
    if session.canvas.outline and placement.picture.margin:
        _draw_outlines(canvas, placement)
    _draw_ring(
        canvas,
        session,
        name,
        placement,
        hand,
        can_turn=known.model is not None and known.model.why_not('transform') is None,
    )
    if session.b is not None:
        overlay.draw_side_label(session, name, pane, known)
    if session.canvas.probe:
        overlay.draw_probe(result, placement)
    canvas.pop_clip_rect()
    return session


def _draw_picture(
    canvas: imgui.ImDrawList, result: RenderResult, name: SideName, placement: Placement, state: CanvasState, desk: Desk
) -> None:
    frame, image = placement.frame, result.image
    if image is None:
        return
    low, high = ImVec2(frame.left, frame.top), ImVec2(frame.right, frame.bottom)
    if result.request.view.undo_transform:
        _draw_checkerboard(canvas, placement, desk)
    filter = 'linear' if state.smooth or placement.pixel < SHARP_FROM else 'nearest'
    texture = desk.textures.show(f'picture {name}', image, shown_width=frame.width, filter=filter)
    canvas.add_image(texture, low, high)


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


def _draw_outlines(canvas: imgui.ImDrawList, placement: Placement) -> None:
    """Where the image lies in each channel that is shown."""
    first, sheet, pixel = placement.canvas, placement.picture.sheet, placement.pixel
    corners = [(0, 0)] if sheet is None else [sheet.corner(index) for index in range(sheet.count)]
    colour = theme.rgba(theme.WARN, 0.9)
    for row, column in corners:
        left, top = first.left + column * pixel, first.top + row * pixel
        canvas.add_rect(ImVec2(left, top), ImVec2(left + first.width, top + first.height), colour)


def _draw_ring(
    canvas: imgui.ImDrawList, session: Session, name: SideName, placement: Placement, hand: Hand, *, can_turn: bool
) -> None:
    """The handle for turning: a knob, and the whole ring while the mouse is on it."""
    if not can_turn or placement.picture.sheet is not None:
        return
    mouse, em = imgui.get_mouse_pos(), imgui.get_font_size()
    turning = hand.doing == 'rotate' and hand.side == name
    near = imgui.is_item_hovered() and hand.doing == 'nothing' and is_on_ring(session, placement, mouse.x, mouse.y)
    transform = session.side(name).transform
    if not (turning or near or imgui.is_item_hovered()):
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

"""The picture itself, with its toolbar: drawing only; gestures are in `hand`, words in `overlay`."""

from __future__ import annotations

from dataclasses import replace

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import widgets
from render.session import CanvasState, Session
from viz import geometry, overlay
from viz.editing import sides, updated
from viz.geometry import Rectangle
from viz.hand import Hand
from viz.pane import draw_side
from viz.view import Desk

TITLE = 'Picture'
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
            session = draw_side(session, name, split(whole, index, len(names)), desk, hand)
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

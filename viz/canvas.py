"""The picture itself, with its toolbar: drawing only; gestures are in `hand`, words in `overlay`."""

from __future__ import annotations

from dataclasses import replace

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import widgets
from render.compare import pictures
from render.session import CanvasState, PictureName, Session
from viz import geometry, overlay
from viz.compare_bar import bar_height, draw_bar
from viz.editing import updated
from viz.geometry import Rectangle
from viz.hand import Hand
from viz.pane import draw_side
from viz.together import draw_together, is_peeking
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
        names = pictures(session)
        if len(names) == 2 and (session.compare.mode != 'side' or is_peeking()):
            session = draw_together(session, (names[0], names[1]), whole, desk, hand)
        else:
            session = _draw_beside(session, names, whole, desk, hand)
        session = draw_bar(session, whole, desk)
        free = replace(whole, height=max(whole.height - bar_height(session, desk), 1.0))
        overlay.draw_over_everything(session, free, desk, hand)
    return session


def replace_canvas(session: Session, canvas: CanvasState) -> Session:
    """The session with another canvas state; the same object if it is the same."""
    return session if canvas is session.canvas else replace(session, canvas=canvas)


def _draw_beside(session: Session, names: tuple[PictureName, ...], whole: Rectangle, desk: Desk, hand: Hand) -> Session:
    """Each picture in a pane of its own; a second one as large as the first, whatever its resolution."""
    result = desk.view.side(names[0]).result
    picture = geometry.picture_of(result) if result is not None and len(names) > 1 else None
    first = split(whole, 0, len(names))
    for index, name in enumerate(names):
        lead = geometry.place(first, picture, session.canvas) if index and picture is not None else None
        session = draw_side(session, name, split(whole, index, len(names)), desk, hand, lead=lead)
    return session


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

"""The line that a walk watches, over the picture: its ends and its middle follow the hand."""

from __future__ import annotations

from dataclasses import replace

from imgui_bundle import ImVec2, imgui

from gui_utils import theme, widgets
from render.session import PictureName, Session, WalkLine
from viz.geometry import Placement, Rectangle

PANEL = 'Sticking'
KNOB_EM = 0.42
GRIP_EM = 1.6
"""Width of what can be grabbed."""
ENDS = ('start', 'end', 'middle')


def is_shown(session: Session, name: PictureName, placement: Placement) -> bool:
    """Whether that picture carries the line: while its panel is in front, on the side that the panels edit."""
    sticking = session.sticking
    if sticking.view != 'walk' or PANEL in session.window.hidden or placement.picture.sheet is not None:
        return False
    return name == (session.active if session.b is not None else 'a') and widgets.is_panel_in_front(PANEL)


def hold_line(session: Session, name: PictureName, placement: Placement) -> Session:
    """Invisible grips, to be placed before the picture's own button; returns the session after the hand."""
    if not is_shown(session, name, placement):
        return session
    size = round(GRIP_EM * imgui.get_font_size())
    for end in ENDS:
        x, y = _on_screen(session.sticking.line, end, placement.canvas)
        imgui.set_cursor_screen_pos(ImVec2(round(x - size / 2), round(y - size / 2)))
        imgui.invisible_button(f'walk line {end} {name}', ImVec2(size, size))
        if imgui.is_item_hovered() or imgui.is_item_active():
            imgui.set_mouse_cursor(imgui.MouseCursor_.hand)
        delta = imgui.get_io().mouse_delta
        if imgui.is_item_active() and (delta.x or delta.y):
            mouse = imgui.get_mouse_pos()
            line = moved(session.sticking.line, end, (mouse.x, mouse.y), placement.canvas)
            session = replace(session, sticking=replace(session.sticking, line=line))
    return session


def moved(line: WalkLine, end: str, at: tuple[float, float], canvas: Rectangle) -> WalkLine:
    """The line with one end, or its middle, at that point of the screen, as far as it stays inside the picture."""
    x, y = (at[0] - canvas.left) / canvas.width, (at[1] - canvas.top) / canvas.height
    if end == 'start':
        return replace(line, start_x=_inside(x), start_y=_inside(y))
    if end == 'end':
        return replace(line, end_x=_inside(x), end_y=_inside(y))
    dx = _step(x - (line.start_x + line.end_x) / 2, line.start_x, line.end_x)
    dy = _step(y - (line.start_y + line.end_y) / 2, line.start_y, line.end_y)
    return WalkLine(
        _inside(line.start_x + dx), _inside(line.start_y + dy), _inside(line.end_x + dx), _inside(line.end_y + dy)
    )


def draw_line(session: Session, name: PictureName, placement: Placement) -> None:
    """Light within dark, so that it shows on any picture; an arrow's head at its end, where the strip has its right side."""
    if not is_shown(session, name, placement):
        return
    em, canvas, line = imgui.get_font_size(), imgui.get_window_draw_list(), session.sticking.line
    points = {end: ImVec2(*_on_screen(line, end, placement.canvas)) for end in ENDS}
    dark, light = theme.faded(theme.rgba(theme.BACKGROUND, 0.6)), theme.faded(theme.rgba(theme.WARN))
    canvas.add_line(points['start'], points['end'], dark, 0.28 * em)
    canvas.add_line(points['start'], points['end'], light, max(0.12 * em, 1.0))
    for end, point in points.items():
        radius = (KNOB_EM if end != 'middle' else 0.6 * KNOB_EM) * em
        canvas.add_circle_filled(point, radius + 0.12 * em, dark)
        canvas.add_circle_filled(point, radius, light)


def _on_screen(line: WalkLine, end: str, canvas: Rectangle) -> tuple[float, float]:
    x, y = {
        'start': (line.start_x, line.start_y),
        'end': (line.end_x, line.end_y),
        'middle': ((line.start_x + line.end_x) / 2, (line.start_y + line.end_y) / 2),
    }[end]
    return canvas.left + x * canvas.width, canvas.top + y * canvas.height


def _inside(value: float) -> float:
    return min(max(round(value, 4), 0.0), 1.0)


def _step(wanted: float, first: float, second: float) -> float:
    """As much of a step as leaves both inside."""
    return min(max(wanted, -min(first, second)), 1.0 - max(first, second))

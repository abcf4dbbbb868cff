"""The line at the bottom of the window: what is shown, how it should move, how fast it is."""

from __future__ import annotations

from imgui_bundle import ImVec2, imgui

from gui_utils import theme, widgets
from render.session import Session
from viz import hints
from viz.filter_edits import filter_label
from viz.view import Desk

GAP_EM = 1.4
COMPILING = 'Faster operators are being compiled in the background; the picture is made again when they are there.'

FIRST = 'What the first picture took: it also prepares kernels and weights, which the next ones find ready.'
OPERATORS = 'What runs the operators: compiled kernels, or plain torch, which is slower.'


def draw_status_line(session: Session, desk: Desk) -> None:
    """Seed, layer, shift on the left; expected motion, time, operators, device on the right."""
    em, side = imgui.get_font_size(), session.current
    height = imgui.get_frame_height() + 0.1 * em
    flags = imgui.WindowFlags_.no_scrollbar | imgui.WindowFlags_.no_saved_settings | imgui.WindowFlags_.menu_bar
    imgui.push_style_color(imgui.Col_.menu_bar_bg, imgui.get_color_u32(imgui.Col_.menu_bar_bg))
    shows = imgui.internal.begin_viewport_side_bar('##status', imgui.get_main_viewport(), imgui.Dir.down, height, flags)
    imgui.pop_style_color()
    if shows and imgui.begin_menu_bar():
        left = [
            hints.latent_label(side.latent),
            hints.layer_label(side, desk.model),
            hints.shift_label(side, desk.model),
        ]
        for text in filter(None, left):
            imgui.text_unformatted(text)
            imgui.same_line(0.0, GAP_EM * em)
        _draw_right(session, desk)
        imgui.end_menu_bar()
    imgui.end()


def _draw_right(session: Session, desk: Desk) -> None:
    em, view = imgui.get_font_size(), desk.view
    hint, reason = hints.motion_hint(desk.model, session.current)
    result = desk.side.result
    parts: list[tuple[str, str]] = [(hint, reason)]
    if result is not None:
        speed = desk.side.speed
        parts.append((hints.render_time(speed), FIRST if speed.is_first else 'Time to render one picture.'))
        if result.provisional:
            parts.append(('compiling …', COMPILING))
        parts.append((hints.backend_label(result.notes), '\n'.join((OPERATORS, *result.notes))))
        parts.append((view.measured.device, 'Where the network runs.'))
    parts = [part for part in parts if part[0]]
    width = sum(imgui.calc_text_size(text).x + GAP_EM * em for text, _ in parts)
    right = imgui.get_window_width() - 0.8 * em
    free = right - width - imgui.get_cursor_pos_x()
    if free < 0 and parts:  # a narrow window: the hint goes first
        width -= imgui.calc_text_size(parts[0][0]).x + GAP_EM * em
        parts = parts[1:]
    imgui.set_cursor_pos_x(max(right - width + GAP_EM * em, imgui.get_cursor_pos_x()))
    colour = theme.WARN if filter_label(session.current.filters) else theme.MUTED
    for index, (text, reason) in enumerate(parts):
        imgui.push_style_color(imgui.Col_.text, theme.rgba(colour if index == 0 else theme.MUTED))
        imgui.text_unformatted(text)
        imgui.pop_style_color()
        widgets.explain(reason)
        imgui.same_line(0.0, GAP_EM * em)
    imgui.dummy(ImVec2(0.0, 0.0))

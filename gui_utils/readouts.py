"""Things that show and hardly change: text, badges, progress, notices, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme
from gui_utils.rows import bare_icon, explain

Level = Literal['info', 'good', 'warning', 'bad']

_LOOK: dict[Level, tuple[theme.Colour, str]] = {
    'info': (theme.ACCENT, icons.ICON_FA_CIRCLE_INFO),
    'good': (theme.GOOD, icons.ICON_FA_CIRCLE_CHECK),
    'warning': (theme.WARN, icons.ICON_FA_TRIANGLE_EXCLAMATION),
    'bad': (theme.BAD, icons.ICON_FA_CIRCLE_EXCLAMATION),
}


def heading(words: str, *, wraps: bool = False) -> None:
    """A line of larger bold text. `wraps`: several, where the panel is narrow."""
    with theme.font(theme.BOLD, 1.15):
        imgui.push_text_wrap_pos(0.0 if wraps else -1.0)
        imgui.text_unformatted(words)
        imgui.pop_text_wrap_pos()


def text(words: str) -> None:
    """Plain text, wrapped at the end of the line."""
    imgui.push_text_wrap_pos(0.0)
    imgui.text_unformatted(words)
    imgui.pop_text_wrap_pos()


def text_muted(words: str) -> None:
    """Text of second rank, wrapped at the end of the line."""
    imgui.push_style_color(imgui.Col_.text, theme.MUTED_RGBA)
    text(words)
    imgui.pop_style_color()


def text_mono(words: str) -> None:
    """Text whose characters are all as wide: numbers in columns, paths, hashes."""
    with theme.font(theme.MONO):
        imgui.text_unformatted(words)


def badge(words: str, level: Level | None = None, *, tooltip: str = '') -> None:
    """A word on a rounded ground, in the colour of its level; None: grey."""
    colour = _LOOK[level][0] if level else theme.MUTED
    em = imgui.get_font_size()
    size = imgui.calc_text_size(words)
    corner = imgui.get_cursor_screen_pos()
    width, height = size.x + 1.0 * em, imgui.get_frame_height()
    inset = 0.1 * em
    low, high = ImVec2(corner.x, corner.y + inset), ImVec2(corner.x + width, corner.y + height - inset)
    canvas = imgui.get_window_draw_list()
    canvas.add_rect_filled(low, high, theme.faded(theme.rgba(colour, 0.18)), 0.5 * (high.y - low.y))
    place = ImVec2(corner.x + 0.5 * em, corner.y + imgui.get_style().frame_padding.y)
    canvas.add_text(place, theme.faded(theme.rgba(colour)), words)
    imgui.dummy(ImVec2(width, height))
    explain(tooltip)


def progress(fraction: float | None, words: str, *, can_cancel: bool = True) -> bool:
    """How far a long job is, 0 to 1; None: nobody knows, so the bar only moves. True when the cross is clicked."""
    em, height = imgui.get_font_size(), imgui.get_frame_height()
    width = imgui.get_content_region_avail().x - ((height + 0.25 * em) if can_cancel else 0.0)
    shown = -imgui.get_time() if fraction is None else min(max(fraction, 0.0), 1.0)
    imgui.push_style_color(imgui.Col_.plot_histogram, theme.ACCENT_DIM_RGBA)
    imgui.progress_bar(shown, ImVec2(max(width, em), height), words)
    imgui.pop_style_color()
    if not can_cancel:
        return False
    imgui.same_line(0.0, 0.25 * em)
    clicked = bare_icon(icons.ICON_FA_XMARK, f'cancel {words.split(" ", 1)[0]}', width=height, framed=True)
    explain('Cancel')
    return clicked


def notice(level: Level, words: str, *, can_dismiss: bool = True, identity: str = '') -> bool:
    """A banner as wide as the panel; True when its cross is clicked. `identity` tells apart two with the same text."""
    colour, icon = _LOOK[level]
    em, padding = imgui.get_font_size(), imgui.get_style().frame_padding
    cross = 1.8 * em if can_dismiss else 0.0
    width = imgui.get_content_region_avail().x
    indent = 1.9 * em
    text_width = max(width - indent - cross - padding.x, 4 * em)
    height = max(imgui.calc_text_size(words, False, text_width).y, em) + 2.5 * padding.y
    corner = imgui.get_cursor_screen_pos()
    _draw_banner(corner, width, height, colour, icon)
    imgui.begin_group()
    imgui.set_cursor_screen_pos(ImVec2(corner.x + indent, corner.y + 1.25 * padding.y))
    imgui.push_text_wrap_pos(imgui.get_cursor_pos_x() + text_width)
    imgui.text_unformatted(words)
    imgui.pop_text_wrap_pos()
    dismissed = False
    if can_dismiss:
        imgui.set_cursor_screen_pos(ImVec2(corner.x + width - cross, corner.y + 0.25 * padding.y))
        dismissed = bare_icon(icons.ICON_FA_XMARK, f'dismiss {identity or words}', width=cross)
    imgui.set_cursor_screen_pos(corner)
    imgui.dummy(ImVec2(width, height))
    imgui.end_group()
    return dismissed


def _draw_banner(corner: ImVec2, width: float, height: float, colour: theme.Colour, icon: str) -> None:
    em, padding = imgui.get_font_size(), imgui.get_style().frame_padding
    high = ImVec2(corner.x + width, corner.y + height)
    canvas, rounding = imgui.get_window_draw_list(), imgui.get_style().frame_rounding
    canvas.add_rect_filled(corner, high, theme.faded(theme.rgba(colour, 0.14)), rounding)
    bar = ImVec2(corner.x + 0.2 * em, high.y)
    canvas.add_rect_filled(corner, bar, theme.faded(theme.rgba(colour)), rounding, imgui.ImDrawFlags_.round_left)
    place = ImVec2(corner.x + 0.6 * em, corner.y + 1.25 * padding.y)
    canvas.add_text(place, theme.faded(theme.rgba(colour)), icon)


@dataclass(frozen=True, slots=True)
class Toast:
    """A notice in the corner of the window that goes by itself."""

    level: Level
    words: str
    seconds_left: float = 6.0


def toasts(waiting: Sequence[Toast], seconds: float) -> tuple[Toast, ...]:
    """Draw the toasts in the lower right corner; returns those that remain after `seconds` more and every click.

    The mouse resting on one keeps all of them.
    """
    viewport, em = imgui.get_main_viewport(), imgui.get_font_size()
    right, bottom = viewport.work_pos.x + viewport.work_size.x - em, viewport.work_pos.y + viewport.work_size.y - em
    flags = imgui.WindowFlags_.no_decoration | imgui.WindowFlags_.no_docking | imgui.WindowFlags_.no_saved_settings
    flags |= imgui.WindowFlags_.no_focus_on_appearing | imgui.WindowFlags_.no_nav | imgui.WindowFlags_.no_move
    remaining, hovered = [], False
    imgui.push_style_var(imgui.StyleVar_.window_padding, ImVec2(0.0, 0.0))
    imgui.push_style_var(imgui.StyleVar_.window_min_size, ImVec2(1.0, 1.0))
    for place, toast in enumerate(waiting):
        imgui.set_next_window_pos(ImVec2(right, bottom), imgui.Cond_.always, ImVec2(1.0, 1.0))
        imgui.set_next_window_size(ImVec2(min(26 * em, viewport.work_size.x - 2 * em), 0.0))
        imgui.begin(f'##toast {place}', None, flags)
        dismissed = notice(toast.level, toast.words, identity=f'toast {place}')
        hovered = hovered or imgui.is_window_hovered()
        bottom -= imgui.get_window_height() + 0.5 * em
        imgui.end()
        if not dismissed:
            remaining.append(toast)
    imgui.pop_style_var(2)
    passed = 0.0 if hovered else seconds
    aged = (replace(toast, seconds_left=toast.seconds_left - passed) for toast in remaining)
    return tuple(toast for toast in aged if toast.seconds_left > 0)


def spinner(words: str = '') -> None:
    """A turning ring, for work that will not take long."""
    em, phase = imgui.get_font_size(), 6.0 * imgui.get_time()
    corner = imgui.get_cursor_screen_pos()
    centre = ImVec2(corner.x + 0.5 * em, corner.y + 0.5 * imgui.get_frame_height())
    canvas = imgui.get_window_draw_list()
    canvas.path_arc_to(centre, 0.38 * em, phase, phase + 4.4, 24)
    canvas.path_stroke(theme.faded(theme.ACCENT_RGBA), 0.12 * em)
    imgui.dummy(ImVec2(em, imgui.get_frame_height()))
    if words:
        imgui.same_line()
        imgui.align_text_to_frame_padding()
        text_muted(words)

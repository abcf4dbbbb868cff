"""Things around controls: foldable sections, disabled groups, help. Begin and end are paired by `with`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme
from gui_utils.rows import explain, show_tooltip


@contextlib.contextmanager
def panel(title: str, *, flags: int = 0) -> Iterator[bool]:
    """A window of imgui's, dockable; the value says whether any of it shows, and only then should it be filled."""
    shows, _ = imgui.begin(title, None, flags)
    try:
        yield shows
    finally:
        imgui.end()


def is_panel_in_front(title: str) -> bool:
    """Whether the panel was drawn in this frame or the last, and no other tab hides it."""
    window = imgui.internal.find_window_by_name(title)
    return window is not None and window.was_active and not window.hidden


@contextlib.contextmanager
def section(title: str, *, open: bool = True, note: str = '', tooltip: str = '') -> Iterator[bool]:
    """A part that folds; the value says whether it is open, and only then should it be filled.

    `note`: a muted word at the right end of its line.
    """
    imgui.push_style_color(imgui.Col_.header, 0)
    imgui.push_style_color(imgui.Col_.header_hovered, theme.VEIL_RGBA)
    imgui.push_style_color(imgui.Col_.header_active, theme.VEIL_RGBA)
    imgui.push_style_color(imgui.Col_.text, 0)  # imgui's arrow is coarse: draw our own line instead
    is_open = imgui.collapsing_header(title, imgui.TreeNodeFlags_.default_open if open else 0)
    imgui.pop_style_color(4)
    _draw_header(title.split('##', 1)[0], note, is_open=is_open)
    explain(tooltip)
    try:
        yield is_open
    finally:
        if is_open:
            imgui.dummy(ImVec2(0.0, 0.25 * imgui.get_font_size()))


def _draw_header(title: str, note: str, *, is_open: bool) -> None:
    low, high = imgui.get_item_rect_min(), imgui.get_item_rect_max()
    em, top = imgui.get_font_size(), low.y + imgui.get_style().frame_padding.y
    left = low.x + imgui.get_style().window_padding.x * 0.5
    muted, canvas = theme.faded(theme.MUTED_RGBA), imgui.get_window_draw_list()
    canvas.add_line(ImVec2(low.x, low.y), ImVec2(high.x, low.y), theme.faded(theme.BORDER_RGBA))
    arrow = icons.ICON_FA_ANGLE_DOWN if is_open else icons.ICON_FA_ANGLE_RIGHT
    canvas.add_text(ImVec2(left, top), muted, arrow)
    with theme.font(theme.BOLD):
        canvas.add_text(ImVec2(left + 1.35 * em, top), theme.faded(theme.TEXT_RGBA), title)
        end = left + (1.35 + 0.8) * em + imgui.calc_text_size(title).x
    words = note.split(' ')
    for count in range(len(words), 0, -1):  # as many of its words as there is room for
        text = note if count == len(words) else ' '.join(words[:count]) + ' …'
        start = high.x - imgui.calc_text_size(text).x - 0.5 * em
        if start >= end:
            canvas.add_text(ImVec2(start, top), muted, text)
            break


@contextlib.contextmanager
def disabled_unless(condition: bool, reason: str = '') -> Iterator[None]:
    """Grey out what is inside unless `condition`; the mouse resting on it then shows `reason`."""
    if condition:
        yield
        return
    imgui.begin_disabled()
    imgui.begin_group()
    try:
        yield
    finally:
        imgui.end_group()
        imgui.end_disabled()
        explain(reason)


@contextlib.contextmanager
def child(name: str, *, width: float = 0.0, height: float = 0.0, border: bool = False) -> Iterator[bool]:
    """A part that scrolls on its own; sizes in em, 0 fills."""
    em = imgui.get_font_size()
    flags = imgui.ChildFlags_.borders if border else 0
    shows = imgui.begin_child(name, ImVec2(width * em, height * em), flags)
    try:
        yield shows
    finally:
        imgui.end_child()


@contextlib.contextmanager
def popup(name: str) -> Iterator[bool]:
    """What `imgui.open_popup(name)` opens and Escape closes; the value says whether it is open: only then fill it."""
    shows = imgui.begin_popup(name)
    if shows and imgui.is_key_pressed(imgui.Key.escape):
        imgui.close_current_popup()
    try:
        yield shows
    finally:
        if shows:
            imgui.end_popup()


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Tell apart controls of the same label, as in two sides of a comparison."""
    imgui.push_id(name)
    try:
        yield
    finally:
        imgui.pop_id()


def same_line(gap: float = 0.5) -> None:
    """Put the next item to the right of the last one, `gap` em away."""
    imgui.same_line(0.0, gap * imgui.get_font_size())


def same_line_if_fits(words: str, gap: float = 0.5) -> None:
    """Put the next item, a button with these words, to the right of the last one if it fits there; else below."""
    same_line(gap)
    width = imgui.calc_text_size(words).x + 2 * imgui.get_style().frame_padding.x
    if width > imgui.get_content_region_avail().x:
        imgui.new_line()


def help_marker(text: str) -> None:
    """A small question mark that explains."""
    imgui.align_text_to_frame_padding()
    imgui.text_colored(theme.FAINT, icons.ICON_FA_CIRCLE_QUESTION)
    if imgui.is_item_hovered(imgui.HoveredFlags_.delay_short):
        show_tooltip(text)


def shortcut(key: imgui.Key, *, ctrl: bool = False, shift: bool = False, repeat: bool = False) -> bool:
    """Whether exactly this combination was pressed now, and no text is being typed. On macOS ctrl means command."""
    io = imgui.get_io()
    if io.want_text_input or io.key_ctrl != ctrl or io.key_shift != shift or io.key_alt:
        return False
    return imgui.is_key_pressed(key, repeat)


def is_editing() -> bool:
    """Whether a control is held or typed in: one gesture, for undo."""
    return imgui.is_any_item_active()

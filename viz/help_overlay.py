"""The list of gestures and keys over the window."""

from __future__ import annotations

from collections.abc import Sequence

from imgui_bundle import ImVec2, imgui

from gui_utils import theme, widgets
from viz.commands import ToggleHelp
from viz.shortcuts import FILE, GESTURES, LOOK, MOVE, PICK, key_rows
from viz.view import Desk

TITLE = 'Gestures and keys'


def draw_help(desk: Desk) -> None:
    """Draw it while it is open; Escape, F1 or a click beside it asks to close it."""
    if not desk.view.help_open:
        return
    if not imgui.is_popup_open(TITLE):
        imgui.open_popup(TITLE)
    viewport, em = imgui.get_main_viewport(), imgui.get_font_size()
    imgui.set_next_window_pos(viewport.get_work_center(), imgui.Cond_.always, ImVec2(0.5, 0.5))
    width = min(58 * em, viewport.work_size.x - 2 * em)
    imgui.set_next_window_size(ImVec2(width, 0.0))
    flags = imgui.WindowFlags_.no_saved_settings | imgui.WindowFlags_.no_resize | imgui.WindowFlags_.no_move
    shows, still_open = imgui.begin_popup_modal(TITLE, True, flags)
    if not shows:
        return
    _columns()
    beside = imgui.is_mouse_clicked(imgui.MouseButton_.left) and not imgui.is_window_hovered(
        imgui.HoveredFlags_.root_and_child_windows
    )
    if beside or not still_open or imgui.is_key_pressed(imgui.Key.escape, False):
        desk.ask(ToggleHelp())
        imgui.close_current_popup()
    imgui.end_popup()


def _columns() -> None:
    if not imgui.begin_table('columns', 2, imgui.TableFlags_.sizing_stretch_same):
        return
    imgui.table_next_column()
    _rows('Mouse', GESTURES, key_em=13.0)
    _rows(FILE, key_rows(FILE))
    imgui.table_next_column()
    for group in (MOVE, LOOK, PICK):
        _rows(group, key_rows(group))
    imgui.end_table()


def _rows(title: str, rows: Sequence[tuple[str, str]], *, key_em: float = 7.0) -> None:
    widgets.heading(title)
    em = imgui.get_font_size()
    if imgui.begin_table(f'keys {title}', 2):
        imgui.table_setup_column('key', imgui.TableColumnFlags_.width_fixed, key_em * em)
        imgui.table_setup_column('what', imgui.TableColumnFlags_.width_stretch)
        for keys, what in rows:
            imgui.table_next_row()
            imgui.table_next_column()
            imgui.text_colored(theme.ACCENT, keys)
            imgui.table_next_column()
            widgets.text(what)
        imgui.end_table()
    imgui.dummy(ImVec2(0.0, 0.4 * em))

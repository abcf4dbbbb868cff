"""Tables: of properties, and of rows one of which is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imgui_bundle import ImVec2, imgui

from gui_utils import theme
from gui_utils.rows import explain

_TABLE_FLAGS = int(
    imgui.TableFlags_.scroll_y
    | imgui.TableFlags_.row_bg
    | imgui.TableFlags_.resizable
    | imgui.TableFlags_.pad_outer_x
    | imgui.TableFlags_.sizing_stretch_prop
)
_ROW_FLAGS = int(imgui.SelectableFlags_.span_all_columns | imgui.SelectableFlags_.allow_overlap)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a `list_table`."""

    title: str
    width: float = 0.0
    """In em; 0 shares what is left."""
    is_number: bool = False
    """Aligned to the right, digits of equal width."""
    tooltip: str = ''


def property_table(rows: Sequence[tuple[str, str]], *, name: str = 'properties') -> None:
    """Names on the left, values on the right; a click on a value copies it."""
    if not imgui.begin_table(name, 2, imgui.TableFlags_.sizing_stretch_prop):
        return
    try:
        imgui.table_setup_column('name', imgui.TableColumnFlags_.width_fixed, 7.5 * imgui.get_font_size())
        imgui.table_setup_column('value', imgui.TableColumnFlags_.width_stretch)
        for key, value in rows:
            imgui.table_next_row()
            imgui.table_next_column()
            imgui.text_colored(theme.MUTED, key)
            imgui.table_next_column()
            imgui.push_text_wrap_pos(0.0)
            imgui.text_unformatted(value)
            imgui.pop_text_wrap_pos()
            if imgui.is_item_clicked():
                imgui.set_clipboard_text(value)
            explain('Click to copy.')
    finally:
        imgui.end_table()


def list_table(
    name: str,
    columns: Sequence[Column],
    count: int,
    cells: Callable[[int], Sequence[str]],
    selected: int | None,
    *,
    height: float = 0.0,
    tooltips: Callable[[int], str] | None = None,
    reveal: bool = False,
) -> int | None:
    """Rows of which one is chosen, by click or, while the mouse is over the table, by the arrow keys.

    `cells(row)`: the texts of one row; asked only for rows that show. `height` in em, 0 fills what is left.
    `reveal`: scroll to the chosen row, because it was chosen elsewhere. Returns the index of the chosen row, or None.
    """
    if not imgui.begin_table(name, len(columns), _TABLE_FLAGS, ImVec2(0.0, height * imgui.get_font_size())):
        return selected
    try:
        _head(columns)
        moved = _arrow_keys(selected, count)
        clipper = imgui.ListClipper()
        clipper.begin(count)
        shown = moved if reveal or moved != selected else None  # the row to scroll to
        if shown is not None:
            clipper.include_item_by_index(shown)
        chosen = moved
        while clipper.step():
            for row in range(clipper.display_start, clipper.display_end):
                if _row(columns, cells(row), row, is_chosen=row == moved, tooltip=tooltips(row) if tooltips else ''):
                    chosen = row
                if row == shown:
                    imgui.set_scroll_here_y()
        return chosen
    finally:
        imgui.end_table()


def _head(columns: Sequence[Column]) -> None:
    em = imgui.get_font_size()
    imgui.table_setup_scroll_freeze(0, 1)
    for column in columns:
        flag = imgui.TableColumnFlags_.width_fixed if column.width else imgui.TableColumnFlags_.width_stretch
        imgui.table_setup_column(column.title, flag, column.width * em or 1.0)
    imgui.table_next_row(imgui.TableRowFlags_.headers)
    for place, column in enumerate(columns):
        imgui.table_set_column_index(place)
        if column.is_number:
            _align_right(column.title)
        imgui.push_style_color(imgui.Col_.text, theme.MUTED_RGBA)
        imgui.text_unformatted(column.title)
        imgui.pop_style_color()
        explain(column.tooltip)


def _row(columns: Sequence[Column], cells: Sequence[str], row: int, *, is_chosen: bool, tooltip: str) -> bool:
    imgui.table_next_row()
    clicked = False
    for place, (column, words) in enumerate(zip(columns, cells, strict=True)):
        imgui.table_set_column_index(place)
        if place == 0:
            clicked, _ = imgui.selectable(
                f'{words}##{row}',
                is_chosen,
                _ROW_FLAGS,
            )
            explain(tooltip)
        elif column.is_number:
            _align_right(words)
            imgui.text_unformatted(words)
        else:
            imgui.text_unformatted(words)
    return clicked


def _align_right(words: str) -> None:
    free = imgui.get_content_region_avail().x - imgui.calc_text_size(words).x
    if free > 0:
        imgui.set_cursor_pos_x(imgui.get_cursor_pos_x() + free)


def _arrow_keys(selected: int | None, count: int) -> int | None:
    if not count or imgui.get_io().want_text_input or not imgui.is_window_hovered(imgui.HoveredFlags_.child_windows):
        return selected
    step = imgui.is_key_pressed(imgui.Key.down_arrow) - imgui.is_key_pressed(imgui.Key.up_arrow)
    if not step:
        return selected
    return min(max((-1 if selected is None else selected) + step, 0), count - 1)

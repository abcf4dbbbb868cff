"""The ladder of layers as a table of colours: a layer a line, a shift a column; a click shows the layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from imgui_bundle import ImVec2, imgui

from gui_utils import plots, theme, widgets
from render.diagnosis import decibel
from render.measures import Ladder, LadderRow
from render.result import GeneratorInfo
from viz.view import Desk

HEADING = 'Shift, px'
LIMITS = (0.0, 80.0)
DARK_FROM_DB = 52.0
"""Colours are so bright from here on that digits on them must be dark."""
ROW_EM = 1.35
"""Height of a line; whole pixels of it."""
BAR_EM = 3.0
"""Room for the scale of colours."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """What is drawn of a ladder."""

    values: np.ndarray
    """[layers, shifts] dB, NaN where there is none."""
    columns: tuple[str, ...]
    """Shifts in pixels of the picture."""
    labels: tuple[str, ...]
    widest: str


def draw_ladder(ladder: Ladder, part: str, shown: str | None, model: GeneratorInfo, desk: Desk) -> str | None:
    """Draw it; returns the name of the layer that is shown in the picture afterwards, None for the image."""
    grid = desk.computed(f'ladder {part}', ladder, lambda one: grid_of(one, part, model.resolution))
    em = imgui.get_font_size()
    if not grid.values.size:
        widgets.text_muted('No layer could be measured.')
        return shown
    with theme.font(theme.MONO, 0.85):
        digit = imgui.calc_text_size('0000000000').x / 10
    label_width = max(imgui.calc_text_size(each).x for each in (grid.widest, HEADING)) + 0.8 * em
    room = imgui.get_content_region_avail().x - label_width - BAR_EM * em
    letters = max(int(room / len(grid.columns) / digit), 3)
    texts = desk.computed(f'ladder text {part} {letters}', grid, lambda one: cell_texts(one.values, letters))
    start = imgui.get_cursor_screen_pos()
    left, width = start.x + label_width, letters * digit * len(grid.columns)
    _head(grid, left, letters * digit)
    imgui.push_style_var(imgui.StyleVar_.item_spacing, ImVec2(0.0, 0.0))
    top = imgui.get_cursor_screen_pos().y
    image = desk.textures.show(
        'ladder', grid.values, paint=lambda values: plots.colour_pixels(values, LIMITS), variant=part
    )
    area = ImVec2(left, top), ImVec2(left + width, top + _row_height() * len(grid.labels))
    chosen = _rows(ladder, grid, shown, model, left, letters * digit)
    canvas = imgui.get_window_draw_list()
    canvas.add_image(image, *area, col=theme.faded(0xFFFFFFFF))
    _numbers(texts, left, top)
    _outline(grid, ladder, shown, model, area)
    imgui.pop_style_var()
    _scale(area[1].x + 0.4 * em, top, area[1].y, desk)
    imgui.dummy(ImVec2(0.0, 0.3 * em))
    return chosen


def grid_of(ladder: Ladder, part: str, resolution: int) -> Grid:
    """The numbers of one part of the error: 'decibels', 'inherited' or 'created'."""
    count = len(ladder.shifts)
    values = np.full((len(ladder.rows), count), np.nan, np.float32)
    for index, row in enumerate(ladder.rows):
        numbers = getattr(row, part)
        values[index, : len(numbers)] = numbers
    columns = tuple(f'{shift * resolution:.3g}' for shift in ladder.shifts)
    labels = tuple(row.label for row in ladder.rows)
    return Grid(values, columns, labels, max(labels, key=len, default=''))


def cell_texts(values: np.ndarray, letters: int) -> tuple[tuple[str, str], ...]:
    """For every line its numbers, `letters` wide each: those in light digits, and those in dark ones."""
    lines = []
    for row in values:
        words = [
            ('–' if math.isnan(value) else '∞' if value > 250 else f'{value:.0f}').center(letters) for value in row
        ]
        light = [' ' * letters if value >= DARK_FROM_DB else word for value, word in zip(row, words, strict=True)]
        dark = [word if value >= DARK_FROM_DB else ' ' * letters for value, word in zip(row, words, strict=True)]
        lines.append((''.join(light).rstrip(), ''.join(dark).rstrip()))
    return tuple(lines)


def _head(grid: Grid, left: float, column: float) -> None:
    """Sizes of the shifts over the columns."""
    start, canvas, em = imgui.get_cursor_screen_pos(), imgui.get_window_draw_list(), imgui.get_font_size()
    imgui.text_colored(theme.MUTED, HEADING)
    for index, text in enumerate(grid.columns):
        x = left + (index + 0.5) * column - 0.5 * imgui.calc_text_size(text).x
        canvas.add_text(ImVec2(x, start.y), theme.faded(theme.MUTED_RGBA), text)
    canvas.add_text(ImVec2(left + column * len(grid.columns) + 0.4 * em, start.y), theme.faded(theme.MUTED_RGBA), 'dB')


def _rows(
    ladder: Ladder, grid: Grid, shown: str | None, model: GeneratorInfo, left: float, column: float
) -> str | None:
    """The names, as lines that can be clicked."""
    chosen = shown
    size = ImVec2(left - imgui.get_cursor_screen_pos().x + column * len(grid.columns), _row_height())
    imgui.push_style_var(imgui.StyleVar_.selectable_text_align, ImVec2(0.0, 0.5))
    for index, row in enumerate(ladder.rows):
        name = shown_name(row, model)
        clicked, _ = imgui.selectable(f'{row.label}##ladder {index}', name == shown, 0, size)
        if clicked:
            chosen = name
        if imgui.is_item_hovered():
            place = int((imgui.get_io().mouse_pos.x - left) // column)
            widgets.explain(cell_sentence(ladder, row, place, model.resolution))
    imgui.pop_style_var()
    return chosen


def shown_name(row: LadderRow, model: GeneratorInfo) -> str | None:
    """What the picture shows after a click on the row: a layer, or None for the image."""
    return row.layer if model.layer(row.layer) is not None else None


def cell_sentence(ladder: Ladder, row: LadderRow, place: int, resolution: int) -> str:
    """What is under the mouse, in words."""
    if row.note:
        return f'{row.label}: {row.note}'
    if not 0 <= place < len(ladder.shifts):
        return f'{row.label}: click to show it in the picture.'
    parts = (
        ('', row.decibels),
        ('received ', row.inherited),
        ('made here ', row.created),
        ('measurable up to ', row.limit),
    )
    numbers = [f'{name}{decibel(numbers[place])}' for name, numbers in parts if place < len(numbers)]
    return f'{row.label}, moved by {ladder.shifts[place] * resolution:.3g} px: {", ".join(numbers)}. Click to show the layer.'


def _numbers(texts: tuple[tuple[str, str], ...], left: float, top: float) -> None:
    """All numbers of a line in two strokes: light on dark colours, dark on bright ones."""
    canvas = imgui.get_window_draw_list()
    height, light, dark = _row_height(), theme.faded(theme.TEXT_RGBA), theme.faded(theme.rgba(theme.BACKGROUND))
    with theme.font(theme.MONO, 0.85):
        inset = 0.5 * (height - imgui.get_font_size())
        for index, (on_dark, on_bright) in enumerate(texts):
            place = ImVec2(left, top + index * height + inset)
            if on_dark:
                canvas.add_text(place, light, on_dark)
            if on_bright:
                canvas.add_text(place, dark, on_bright)


def _row_height() -> float:
    """In pixels; to be asked for in the normal font."""
    return float(round(ROW_EM * imgui.get_font_size()))


def _outline(grid: Grid, ladder: Ladder, shown: str | None, model: GeneratorInfo, area: tuple[ImVec2, ImVec2]) -> None:
    """A frame around the layer that is shown."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    for index, row in enumerate(ladder.rows):
        if shown is not None and row.layer == shown:
            y = area[0].y + index * _row_height()
            canvas.add_rect(
                ImVec2(area[0].x, y),
                ImVec2(area[1].x, y + _row_height()),
                theme.faded(theme.TEXT_RGBA),
                0.0,
                max(0.1 * em, 1.0),
            )


def _scale(left: float, top: float, bottom: float, desk: Desk) -> None:
    """The scale of colours beside the table."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    strip = desk.textures.show('ladder colours', _strip(desk), filter='linear')
    canvas.add_image(strip, ImVec2(left, top), ImVec2(left + 0.6 * em, bottom), col=theme.faded(0xFFFFFFFF))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom + share * (top - bottom) - (1.0 - share) * em - (share - 0.5) * 0.1 * em
        text = f'{LIMITS[0] + share * (LIMITS[1] - LIMITS[0]):.0f}'
        canvas.add_text(ImVec2(left + 0.85 * em, y), theme.faded(theme.MUTED_RGBA), text)


def _strip(desk: Desk) -> np.ndarray:
    return desk.computed(
        'ladder colours', plots.colour_table('viridis'), lambda table: np.ascontiguousarray(table[::-1, None])
    )

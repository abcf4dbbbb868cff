"""The ladders of two pictures in one plot: a line for every layer, two bars in it, at one size of shift."""

from __future__ import annotations

import math
from dataclasses import dataclass

from imgui_bundle import ImVec2, imgui

from gui_utils import theme, widgets
from render.diagnosis import decibel
from render.measures import Ladder, LadderRow
from render.result import GeneratorInfo
from viz.ladder_plot import shown_name

FULL_DB = 80.0
"""The right end of the bars."""
ROW_EM = 1.5
NUMBER_EM = 4.6
"""Room for the two numbers of a line."""
LEGEND_EM = 12.0
"""Narrower bars have their legend begin further left."""
MARKS_DB = (20.0, 40.0, 60.0, 80.0)


@dataclass(frozen=True, slots=True)
class Pair:
    """One line: a layer, and the one that is as deep in the other network."""

    one: LadderRow
    other: LadderRow


def pairs_of(one: Ladder, other: Ladder) -> tuple[Pair, ...]:
    """The layers of both by relative depth: a line for each layer of the network that has more."""
    count = max(len(one.rows), len(other.rows))
    if not one.rows or not other.rows:
        return ()
    return tuple(Pair(_row_at(one, index, count), _row_at(other, index, count)) for index in range(count))


def _row_at(ladder: Ladder, index: int, count: int) -> LadderRow:
    return ladder.rows[round(index * (len(ladder.rows) - 1) / max(count - 1, 1))]


def column_of(ladder: Ladder, shift: float) -> int:
    """The column of the shift that is nearest to `shift` image widths, on a logarithmic scale."""
    return min(range(len(ladder.shifts)), key=lambda index: abs(math.log(ladder.shifts[index] / shift)))


def value_of(row: LadderRow, part: str, column: int) -> float:
    """One number of a row in dB; NaN where there is none."""
    numbers = getattr(row, part)
    return numbers[column] if column < len(numbers) else math.nan


def draw_bars(
    ladders: dict[str, Ladder], part: str, shift: float, shown: str | None, model: GeneratorInfo
) -> str | None:
    """Draw both; returns the name of the layer that is shown in the picture afterwards, None for the image.

    `ladders`: the first picture's and the second's, by what these are called; `model`: of the picture that is edited.
    """
    (first, one), (second, other) = ladders.items()
    columns = column_of(one, shift), column_of(other, shift)
    pairs = pairs_of(one, other)
    em, chosen = imgui.get_font_size(), shown
    label_width = max(imgui.calc_text_size(pair.one.label).x for pair in pairs) + 0.8 * em
    start = imgui.get_cursor_screen_pos()
    left = start.x + label_width
    width = max(imgui.get_content_region_avail().x - label_width - NUMBER_EM * em, 4 * em)
    _legend((first, second), start.x, left, width)
    top, height = imgui.get_cursor_screen_pos().y, float(round(ROW_EM * em))
    imgui.push_style_var(imgui.StyleVar_.item_spacing, ImVec2(0.0, 0.0))
    imgui.push_style_var(imgui.StyleVar_.selectable_text_align, ImVec2(0.0, 0.5))
    for index, pair in enumerate(pairs):
        mine = pair.one if model.layer(pair.one.layer) is not None or pair.one.layer == 'image' else pair.other
        name = shown_name(mine, model)
        size = ImVec2(label_width + width + NUMBER_EM * em, height)
        clicked, _ = imgui.selectable(f'{pair.one.label}##bars {index}', name == shown, 0, size)
        chosen = name if clicked else chosen
        values = value_of(pair.one, part, columns[0]), value_of(pair.other, part, columns[1])
        if imgui.is_item_hovered():
            widgets.explain(pair_sentence(pair, (first, second), values))
        _bars(values, left, top + index * height, width, height)
    imgui.pop_style_var(2)
    _marks(left, top, width, height * len(pairs))
    imgui.dummy(ImVec2(0.0, 1.4 * em))
    return chosen


def pair_sentence(pair: Pair, titles: tuple[str, str], values: tuple[float, float]) -> str:
    """What is under the mouse, in words."""
    rows = pair.one, pair.other
    texts = [f'{title} {row.label}: {decibel(value)}' for title, row, value in zip(titles, rows, values, strict=True)]
    return f'{", ".join(texts)}. Click to show the layer.'


def _legend(titles: tuple[str, str], first: float, left: float, width: float) -> None:
    em, canvas, start = imgui.get_font_size(), imgui.get_window_draw_list(), imgui.get_cursor_screen_pos()
    x = left if width > LEGEND_EM * em else first
    for place, title in enumerate(titles):
        low = ImVec2(x, start.y + 0.2 * em)
        canvas.add_rect_filled(low, ImVec2(x + 0.8 * em, low.y + 0.8 * em), _colour(place))
        canvas.add_text(ImVec2(x + 1.1 * em, start.y), theme.faded(theme.TEXT_RGBA), title)
        x += imgui.calc_text_size(title).x + 2.4 * em
    if x < left + width + 2.4 * em:
        canvas.add_text(ImVec2(left + width + 2.4 * em, start.y), theme.faded(theme.MUTED_RGBA), 'dB')
    imgui.dummy(ImVec2(0.0, 1.3 * em))


def _bars(values: tuple[float, float], left: float, top: float, width: float, height: float) -> None:
    """Two bars below one another, and their numbers beside one another."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    thick = 0.36 * height
    for place, value in enumerate(values):
        y = top + (0.12 + 0.4 * place) * height
        canvas.add_rect_filled(ImVec2(left, y), ImVec2(left + width, y + thick), theme.faded(theme.FRAME_RGBA))
        if not math.isnan(value):
            end = left + width * min(max(value / FULL_DB, 0.0), 1.0)
            canvas.add_rect_filled(ImVec2(left, y), ImVec2(end, y + thick), _colour(place))
    with theme.font(theme.MONO, 0.85):
        middle = top + 0.5 * (height - imgui.get_font_size())
        for place, value in enumerate(values):
            text = '–' if math.isnan(value) else '∞' if value > 250 else f'{value:.0f}'
            right = left + width + (2.2 + 2.2 * place) * em
            canvas.add_text(ImVec2(round(right - imgui.calc_text_size(text).x), round(middle)), _colour(place), text)


def _marks(left: float, top: float, width: float, height: float) -> None:
    """Lines at tens of decibels, with their numbers below."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    for mark in MARKS_DB:
        x, text = round(left + width * mark / FULL_DB), f'{mark:.0f}'
        canvas.add_line(ImVec2(x, top), ImVec2(x, top + height), theme.faded(theme.rgba(theme.MUTED, 0.35)))
        wide = imgui.calc_text_size(text).x
        canvas.add_text(ImVec2(round(x - 0.5 * wide), top + height + 0.1 * em), theme.faded(theme.MUTED_RGBA), text)


def _colour(place: int) -> int:
    return theme.faded(theme.rgba(theme.SERIES[place]))

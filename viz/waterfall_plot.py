"""Spectra over depth as a map of colours: a layer a line, frequency to the right; a click shows the layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from imgui_bundle import ImVec2, imgui

from gui_utils import plots, theme, widgets
from render.measures import Waterfall, WaterfallRow
from viz.survey_row import OLD_ALPHA
from viz.view import Desk

COLUMNS = 384
"""Of the map, whatever its width."""
LOWEST = 0.5
"""Left end of a logarithmic axis, in cycles per image width."""
RANGE_DB, STEP_DB = 100.0, 10.0
ROW_EM = (0.9, 2.0)
"""Least and largest height of a line."""
AXIS_EM = 1.35
BELOW_EM = 2.0
"""Room for the sentence below the axis."""
SMALL = 0.85
"""Size of names in lines lower than the usual letters."""
BAR_EM = 3.2
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
IMAGE = 'image'


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One line: a layer, the picture, or real pictures."""

    name: str | None
    """Of the layer as the list of layers has it; None for pictures."""
    label: str
    frequencies: np.ndarray
    """Cycles per image width; empty where there is no spectrum."""
    decibels: np.ndarray
    half_rate: float
    cutoff: float = math.nan
    note: str = ''
    is_real: bool = False

    def at(self, frequency: float) -> float:
        """The value there, NaN beyond half the rate."""
        if not len(self.frequencies) or not 0 <= frequency <= self.frequencies[-1]:
            return math.nan
        return float(np.interp(frequency, self.frequencies, self.decibels))


@dataclass(frozen=True, slots=True, eq=False)
class Fall:
    """All lines of a waterfall, and what the map of them is made of."""

    curves: tuple[Curve, ...]
    right: float
    """Half of the largest rate."""
    top: float
    """dB of the brightest colour."""
    widest: str


def fall_of(found: Waterfall) -> Fall:
    """What is drawn. With real pictures, the generated ones are those that were whitened by the same numbers."""
    curves = [_curve(row) for row in found.rows]
    if found.generated is not None and len(found.generated.radial_db):
        image, made = curves[-1], found.generated
        curves[-1] = Curve(image.name, image.label, made.frequencies, made.radial_db, image.half_rate)
    if found.real is not None:
        real = found.real
        curves.append(Curve(None, 'real', real.frequencies, real.radial_db, float(real.frequencies[-1]), is_real=True))
    peaks = [float(np.nanmax(curve.decibels)) for curve in curves if len(curve.decibels)]
    top = STEP_DB * math.ceil(max(peaks, default=0.0) / STEP_DB)
    right = max((curve.half_rate for curve in curves), default=1.0)
    return Fall(tuple(curves), right, top, max((curve.label for curve in curves), key=len, default=''))


def _curve(row: WaterfallRow) -> Curve:
    name = None if row.layer == IMAGE else row.layer
    return Curve(name, row.label, row.frequencies, row.radial_db, row.rate / 2, row.cutoff, row.note)


def frequency_at(share: float, right: float, *, log: bool) -> float:
    """The frequency at that share of the axis's length."""
    return LOWEST * (right / LOWEST) ** share if log else share * right


def share_at(frequency: float, right: float, *, log: bool) -> float:
    """Where a frequency lies on the axis, 0 to 1 inside."""
    if not log:
        return frequency / right
    return math.log(max(frequency, 1e-9) / LOWEST) / math.log(right / LOWEST)


def map_of(curves: Sequence[Curve], right: float, *, log: bool) -> np.ndarray:
    """[curves, COLUMNS] dB; NaN beyond each half rate, and where there is no spectrum."""
    shares = (np.arange(COLUMNS) + 0.5) / COLUMNS
    frequencies = LOWEST * (right / LOWEST) ** shares if log else shares * right
    values = np.full((len(curves), COLUMNS), np.nan, np.float32)
    for row, curve in enumerate(curves):
        if len(curve.frequencies):
            values[row] = np.interp(frequencies, curve.frequencies, curve.decibels)
            values[row, frequencies > curve.half_rate] = np.nan
    return values


def ticks_of(right: float, room: float, *, log: bool) -> tuple[int, ...]:
    """Round frequencies for an axis with room for about `room` numbers."""
    inside = [tick for tick in TICKS if LOWEST <= tick <= right]
    if log:
        return tuple(inside[:: max(math.ceil(len(inside) / max(room, 1)), 1)])
    step = next((tick for tick in TICKS if right / tick <= room), TICKS[-1])
    return tuple(range(0, int(right) + 1, step))


def draw_map(fall: Fall, shown: str | None, desk: Desk, *, log: bool, alpha: float) -> tuple[str | None, str]:
    """Draw it; returns the layer that is shown afterwards (None: the picture), and the sentence for the mouse."""
    em = imgui.get_font_size()
    values = desk.computed(f'waterfall {log}', fall, lambda one: map_of(one.curves, one.right, log=log))
    room = imgui.get_content_region_avail()
    label = imgui.calc_text_size(fall.widest).x + 0.8 * em
    width = max(room.x - label - BAR_EM * em, 6 * em)
    height = round(em * min(max((room.y / em - AXIS_EM - BELOW_EM) / len(fall.curves), ROW_EM[0]), ROW_EM[1]))
    start = imgui.get_cursor_screen_pos()
    low = ImVec2(start.x + label, start.y)
    high = ImVec2(low.x + width, low.y + height * len(fall.curves))
    limits = (fall.top - RANGE_DB, fall.top)
    image = desk.textures.show(
        'waterfall',
        values,
        paint=lambda numbers: plots.colour_pixels(numbers, limits, 'inferno'),
        variant=(limits, log),
    )
    chosen, words = _rows(fall, shown, ImVec2(label + width, height), low.x, width, log=log)
    canvas = imgui.get_window_draw_list()
    canvas.add_rect_filled(low, high, theme.faded(theme.rgba(theme.BACKGROUND)))
    canvas.add_image(image, low, high, col=theme.faded(theme.rgba((1.0, 1.0, 1.0, 1.0), alpha)))
    _marks(fall, shown, low, width, height, log=log)
    _axis(fall, low, high, log=log)
    _scale(ImVec2(high.x + 0.5 * em, low.y), high.y, limits, desk)
    return chosen, words


def _rows(
    fall: Fall, shown: str | None, size: ImVec2, left: float, width: float, *, log: bool
) -> tuple[str | None, str]:
    """The lines that can be clicked; which one was, and what is below the mouse."""
    chosen, words = shown, ''
    imgui.push_style_var(imgui.StyleVar_.item_spacing, ImVec2(0.0, 0.0))
    imgui.push_style_var(imgui.StyleVar_.selectable_text_align, ImVec2(0.0, 0.5))
    small = SMALL if size.y < 1.1 * imgui.get_font_size() else 1.0
    for index, curve in enumerate(fall.curves):
        with theme.font(theme.REGULAR, small):
            is_shown = curve.name == shown and not curve.is_real
            clicked, _ = imgui.selectable(f'{curve.label}##waterfall {index}', is_shown, 0, size)
        if clicked and not curve.is_real:
            chosen = curve.name
        if imgui.is_item_hovered():
            share = (imgui.get_io().mouse_pos.x - left) / max(width, 1.0)
            words = reading(curve, frequency_at(share, fall.right, log=log) if 0 <= share <= 1 else None)
    imgui.pop_style_var(2)
    return chosen, words


def reading(curve: Curve, frequency: float | None) -> str:
    """What is below the mouse, in words."""
    if curve.note:
        return f'{curve.label}: {curve.note}'
    if frequency is None:
        return f'{curve.label}: s/2 {curve.half_rate:g}' + (
            '' if math.isnan(curve.cutoff) else f', f_c {curve.cutoff:.4g} cycles per image width'
        )
    value = curve.at(frequency)
    text = 'beyond s/2' if math.isnan(value) else f'{value:.1f} dB'
    return f'{curve.label} at {frequency:.3g} cycles: {text}'


def _marks(fall: Fall, shown: str | None, low: ImVec2, width: float, height: float, *, log: bool) -> None:
    """In every line its cutoff and half its rate; a frame around the line that is shown."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    thick = max(0.12 * em, 1.0)
    for index, curve in enumerate(fall.curves):
        top, bottom = low.y + index * height, low.y + (index + 1) * height
        for frequency, colour in ((curve.half_rate, theme.TEXT), (curve.cutoff, theme.GOOD)):
            if not math.isnan(frequency):
                x = low.x + width * min(share_at(frequency, fall.right, log=log), 1.0) - 0.5 * thick
                canvas.add_line(ImVec2(x, top + 1), ImVec2(x, bottom - 1), theme.faded(theme.rgba(colour, 0.9)), thick)
        if curve.note:
            canvas.add_text(ImVec2(low.x + 0.4 * em, top + 0.5 * (height - em)), theme.faded(theme.MUTED_RGBA), '–')
        if curve.name == shown and not curve.is_real:
            canvas.add_rect(
                ImVec2(low.x, top), ImVec2(low.x + width, bottom), theme.faded(theme.TEXT_RGBA), 0.0, max(0.1 * em, 1.0)
            )


def _axis(fall: Fall, low: ImVec2, high: ImVec2, *, log: bool) -> None:
    """Numbers below the map."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    muted, width = theme.faded(theme.MUTED_RGBA), high.x - low.x
    for tick in ticks_of(fall.right, width / (2.6 * em), log=log):
        x = low.x + width * share_at(tick, fall.right, log=log)
        text = str(tick)
        canvas.add_line(ImVec2(x, high.y), ImVec2(x, high.y + 0.25 * em), muted)
        canvas.add_text(ImVec2(x - 0.5 * imgui.calc_text_size(text).x, high.y + 0.25 * em), muted, text)
    imgui.dummy(ImVec2(1.0, AXIS_EM * em))


def _scale(low: ImVec2, bottom: float, limits: tuple[float, float], desk: Desk) -> None:
    """The scale of colours beside the map."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    strip = desk.computed(
        'waterfall colours', plots.colour_table('inferno'), lambda table: np.ascontiguousarray(table[::-1, None])
    )
    image = desk.textures.show('waterfall colours', strip, filter='linear')
    canvas.add_image(image, low, ImVec2(low.x + 0.6 * em, bottom), col=theme.faded(0xFFFFFFFF))
    for share in (0.0, 0.5, 1.0):
        y = bottom + share * (low.y - bottom) - (1.0 - share) * em
        text = f'{limits[0] + share * (limits[1] - limits[0]):.0f}'
        canvas.add_text(ImVec2(low.x + 0.8 * em, y), theme.faded(theme.MUTED_RGBA), text)
    canvas.add_text(ImVec2(low.x, bottom + 0.25 * em), theme.faded(theme.MUTED_RGBA), 'dB')


def line_colour(index: int, count: int, alpha: float) -> theme.Colour:
    """The colour of a line by its depth."""
    table = plots.colour_table('viridis')
    red, green, blue, _ = table[40 + round(200 * index / max(count - 1, 1))] / 255.0
    return float(red), float(green), float(blue), alpha


def dimmed(alpha: float) -> float:
    """Of lines behind the chosen one."""
    return 0.75 * alpha if alpha > OLD_ALPHA else alpha


def nearest(fall: Fall, place: tuple[float, float]) -> Curve | None:
    """The line next to a place of the plot, among those that reach that far."""
    frequency, level = place
    near = [(abs(curve.at(frequency) - level), index) for index, curve in enumerate(fall.curves)]
    near = [pair for pair in near if not math.isnan(pair[0])]
    return fall.curves[min(near)[1]] if near else None


def notes_of(fall: Fall) -> tuple[str, ...]:
    """Why lines are empty, each reason once with the layers it holds for."""
    reasons: dict[str, list[str]] = {}
    for curve in fall.curves:
        if curve.note:
            reasons.setdefault(curve.note, []).append(curve.label)
    return tuple(f'{", ".join(labels)}: {reason}' for reason, labels in reasons.items())


def explain_marks() -> None:
    """What the axis counts, and what the ticks in the lines are."""
    widgets.text_muted('Cycles per image width. Green: f_c. White: s/2.')

"""The meter in the panel Transform: the paper's metrics of the pictures that are seen while dragging."""

from __future__ import annotations

import math

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.jobs_equivariance import GOOD_DB, METRICS
from render.measures import Metric
from render.result import Equivariance
from render.session import MeterState, Side, why_not_measured
from viz.commands import ResetMeter
from viz.editing import available, updated
from viz.running_meter import Pool
from viz.view import Desk

NAMES: dict[Metric, str] = {'eq-t': 'EQ-T', 'eq-t-frac': 'EQ-T frac', 'eq-r': 'EQ-R'}
MEANINGS: dict[Metric, str] = {
    'eq-t': 'Shifts by whole pixels. The paper calls 50 dB good.',
    'eq-t-frac': 'Shifts by parts of a pixel; interpolation lets no generator reach 50 dB for certain. From 40 dB on good.',
    'eq-r': 'Turns, also shifted ones. The paper calls 40 dB good.',
}
FULL_DB = 80.0
"""The right end of the bars."""
ROW_EM = 1.35
NAME_EM, NUMBER_EM = 5.4, 4.6
PAUSED = 'Not measured.'
WAITS = 'Parts are not measured: the whole picture is, when the hand rests.'


def meter_section(state: MeterState, side: Side, desk: Desk) -> MeterState:
    """Switches, one bar a metric, and what the newest picture was; returns the new state."""
    state = _switches(state, desk)
    meter, reading = desk.side.meter, _reading(desk)
    words = sentence(state, side, reading, desk)
    for metric in METRICS:
        _row(metric, meter.pools.get(metric, Pool()), reading)
        widgets.explain(f'{MEANINGS[metric]}\n{_seen_words(meter.pools.get(metric, Pool()))}\nNow: {words}')
    widgets.text_muted(words)
    return _gain(state)


def sentence(state: MeterState, side: Side, reading: Equivariance | None, desk: Desk) -> str:
    """What was measured of the picture that is shown, or why nothing was."""
    can, reason = available('transform', desk.model)
    if not can:
        return f'Nothing to measure: {reason}' if desk.model else reason
    if (walks := why_not_measured(side)) is not None:
        return walks
    if desk.side.shown_part is not None:
        return WAITS
    if reading is None:
        return PAUSED if not (state.enabled or state.error_map) else 'Measuring …'
    if reading.metric is None:
        return reading.sentence
    return f'{decibel_text(reading.decibels)}. {reading.sentence}'


def decibel_text(decibels: float) -> str:
    """'52.2 dB', '–' for not a number."""
    if math.isnan(decibels):
        return '–'
    return 'no error' if math.isinf(decibels) else f'{decibels:.1f} dB'


def _reading(desk: Desk) -> Equivariance | None:
    known = desk.side
    return known.result.equivariance if known.result is not None and known.shown_part is None else None


def _switches(state: MeterState, desk: Desk) -> MeterState:
    can, reason = available('transform', desk.model)
    with widgets.disabled_unless(can, reason):
        enabled = widgets.toggle_button(
            'Measure', state.enabled,
            tooltip='Compare every picture of a drag with the one that is not moved, moved ideally.',
        )  # fmt: skip
        widgets.same_line(0.25)
        error_map = widgets.toggle_button(
            'Error', state.error_map,
            tooltip='Show where the picture differs from its ideally moved reference (M). Bright: texture that sticks.',
        )  # fmt: skip
        widgets.same_line(0.25)
        whole = widgets.toggle_button(
            'Snap', state.whole_pixels, tooltip='The picture follows the hand in whole pixels, as EQ-T is measured.'
        )
        widgets.same_line(0.25)
        if widgets.icon_button(icons.ICON_FA_ARROW_ROTATE_LEFT, 'reset the meter', tooltip='Begin to count anew.'):
            desk.ask(ResetMeter())
    return updated(state, enabled=enabled, error_map=error_map, whole_pixels=whole)


def _gain(state: MeterState) -> MeterState:
    if state.error_map:
        gain = widgets.slider(
            'Error gain', state.gain_db, -30, 40, unit='dB', format='%+.0f', default=0.0,
            tooltip='Errors so much smaller look as bright.',
        )  # fmt: skip
        state = updated(state, gain_db=gain)
    return state


def _row(metric: Metric, pool: Pool, reading: Equivariance | None) -> None:
    """Name, bar with the paper's mark, number."""
    em, left = imgui.get_font_size(), imgui.get_cursor_pos_x()
    room, corner = imgui.get_content_region_avail().x, imgui.get_cursor_screen_pos()
    column = float(int(NAME_EM * em))
    is_current = reading is not None and reading.metric == metric
    imgui.text_colored(theme.TEXT if is_current or pool.pictures else theme.MUTED, NAMES[metric])
    imgui.same_line(0.0, 0.0)
    imgui.set_cursor_pos_x(left + column)
    width = max(room - column - NUMBER_EM * em, 2 * em)
    _bar(ImVec2(corner.x + column, corner.y), width, pool, reading if is_current else None, GOOD_DB[metric])
    text = decibel_text(pool.decibels)
    place = ImVec2(corner.x + room - imgui.calc_text_size(text).x, corner.y)
    colour = theme.MUTED if not pool.pictures else theme.GOOD if pool.decibels >= GOOD_DB[metric] else theme.TEXT
    imgui.get_window_draw_list().add_text(place, theme.faded(theme.rgba(colour)), text)
    imgui.set_cursor_screen_pos(corner)
    imgui.dummy(ImVec2(room, ROW_EM * em - imgui.get_style().item_spacing.y))


def _seen_words(pool: Pool) -> str:
    if not pool.pictures:
        return 'No picture of this kind was seen yet.'
    if pool.pictures == 1:
        return 'One picture was seen.'
    span = f'{decibel_text(pool.lowest)} to {decibel_text(pool.highest)}'
    return f'{pool.pictures} pictures were seen, single ones {span}. Their errors are pooled, as in the paper.'


def _bar(corner: ImVec2, width: float, pool: Pool, reading: Equivariance | None, good: float) -> None:
    """The pooled number as length, the picture that is shown as a dot, the paper's mark as a line."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    low, high = ImVec2(corner.x, corner.y + 0.2 * em), ImVec2(corner.x + width, corner.y + 0.85 * em)
    canvas.add_rect_filled(low, high, theme.faded(theme.FRAME_RGBA), 0.15 * em)
    if not math.isnan(pool.decibels):
        colour = theme.GOOD if pool.decibels >= good else theme.WARN if pool.decibels >= 25 else theme.BAD
        end = ImVec2(corner.x + width * _share(pool.decibels), high.y)
        canvas.add_rect_filled(low, end, theme.faded(theme.rgba(colour, 0.75)), 0.15 * em)
    mark = round(corner.x + width * _share(good))
    canvas.add_line(
        ImVec2(mark, low.y - 0.15 * em),
        ImVec2(mark, high.y + 0.15 * em),
        theme.faded(theme.TEXT_RGBA),
        max(0.1 * em, 1.0),
    )
    if reading is not None and not math.isnan(reading.decibels):
        middle = ImVec2(corner.x + width * _share(reading.decibels), 0.5 * (low.y + high.y))
        canvas.add_circle_filled(middle, 0.26 * em, theme.faded(theme.rgba(theme.BACKGROUND)))
        canvas.add_circle_filled(middle, 0.18 * em, theme.faded(theme.TEXT_RGBA))


def _share(decibels: float) -> float:
    return min(max(decibels / FULL_DB, 0.0), 1.0)

"""The response of one filter, the network's own and the one in use, with points to drag."""

from __future__ import annotations

import math

import numpy as np
from imgui_bundle import imgui

from gui_utils import plots, theme, widgets
from gui_utils.handles import Handle, drag_handles
from gui_utils.plots import Marker, Series
from render.filter_choices import BAND_LIMITED, LEAST_SHARE, Place
from render.result import FilterCurve, GeneratorInfo
from render.session import FilterState
from viz import filter_edits

FLOOR_DB = -120.0
LEAST_EM, MOST_EM = 9.0, 22.0
OWN_COLOUR, NOW_COLOUR = theme.SERIES[0], theme.SERIES[1]


def response_plot(
    state: FilterState, model: GeneratorInfo | None, curves: tuple[FilterCurve, ...], *, rows_below: int
) -> FilterState:
    """The plot of the chosen filter; dragging a point changes it. Returns the new state. `rows_below`: controls under it."""
    curve = next((curve for curve in curves if curve.direction == state.response_direction), None)
    if curve is None:
        if model is None or not filter_edits.filtered_layers(model):
            widgets.text_muted('There are no filters to plot.')
        elif curves:
            widgets.text_muted(f'This layer has no {state.response_direction}sampling filter.')
        return state
    place = filter_edits.place_of(state, model)
    can_drag = state.one_place and place is not None and filter_edits.edit_at(state, place).kind in BAND_LIMITED
    handles = handles_of(state, place, curve) if can_drag and place is not None else ()
    moved: list[tuple[int, float]] = []

    def inside() -> None:
        found = drag_handles(handles)
        if found is not None:
            moved.append(found)

    plots.line_plot(
        f'##response {curve.buffer}', series_of(curve), x_label=x_label(curve), y_label='dB',
        x_limits=(0.0, curve.rate / 2), y_limits=(FLOOR_DB, max_db(curve) + 6), markers=curve_markers(curve),
        height=_height(rows_below), inside=inside,
    )  # fmt: skip
    if moved and place is not None:
        state = dragged(state, place, *moved[0])
    return state


def _height(rows_below: int) -> float:
    """In em: what the rows below leave, but enough to see something; they are scrolled to where the window is low."""
    free = imgui.get_content_region_avail().y - rows_below * imgui.get_frame_height_with_spacing()
    return min(max(free / imgui.get_font_size(), LEAST_EM), MOST_EM)


def series_of(curve: FilterCurve) -> list[Series]:
    """The network's own response, and the one in use where it is another."""
    series = [Series("network's own", curve.network_db, curve.frequencies, OWN_COLOUR)]
    if not np.array_equal(curve.network_db, curve.current_db):
        series.append(Series('in use', curve.current_db, curve.frequencies, NOW_COLOUR))
    return series


def x_label(curve: FilterCurve) -> str:
    """Unit of the frequencies, and what runs."""
    what = f'{len(curve.taps)} taps at {curve.rate:g}' if curve.taps else 'no filter runs here'
    return f'cycles per image width; {what}'


def handles_of(state: FilterState, place: Place, curve: FilterCurve) -> tuple[Handle, ...]:
    """Points on the curve in use: cutoff, and end of the transition band."""
    shown = filter_edits.shown_numbers(filter_edits.edit_at(state, place), place)
    cutoff, half_width, top = shown['cutoff'], shown['half_width'], place.half_rate
    widest = place.filter.rate / 2
    return (
        Handle(
            cutoff, _read(curve, cutoff), LEAST_SHARE * top, top, theme.GOOD, f'f_c {cutoff:.4g}: drag to move the cutoff.'
        ),
        Handle(
            min(cutoff + half_width, curve.rate / 2), _read(curve, cutoff + half_width),
            cutoff + LEAST_SHARE * widest, cutoff + widest, theme.WARN,
            f'f_c + f_h {cutoff + half_width:.4g}: drag to widen the transition band.',
        ),
    )  # fmt: skip


def dragged(state: FilterState, place: Place, handle: int, x: float) -> FilterState:
    """The state after a point was dragged to x: 0 = cutoff, 1 = end of the transition band."""
    if handle == 0:
        return filter_edits.with_numbers(state, place, cutoff=_round(x))
    cutoff = filter_edits.shown_numbers(filter_edits.edit_at(state, place), place)['cutoff']
    return filter_edits.with_numbers(state, place, half_width=_round(x - cutoff))


def _round(value: float) -> float:
    return float(f'{value:.4g}')


def _read(curve: FilterCurve, frequency: float) -> float:
    """The response in use at a frequency, within what the plot shows."""
    value = float(np.interp(frequency, curve.frequencies, curve.current_db))
    return max(value, FLOOR_DB + 3.0)


def max_db(curve: FilterCurve) -> float:
    """The greatest gain of both filters."""
    found = [values[np.isfinite(values)].max(initial=0.0) for values in (curve.network_db, curve.current_db)]
    top = float(max(found))
    return top if math.isfinite(top) else 0.0


def curve_markers(curve: FilterCurve) -> tuple[Marker, ...]:
    """Lines at the filter's cutoff, the end of its transition band, and half the lower of its rates."""
    return (
        Marker(curve.cutoff, 'f_c', theme.GOOD),
        Marker(curve.cutoff + curve.half_width, 'f_c+f_h', theme.WARN),
        Marker(curve.rate / curve.factor / 2, 's/2', theme.MUTED),
    )

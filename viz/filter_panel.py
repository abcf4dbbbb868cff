"""Other resampling filters, live on the running network, and what they let through."""

from __future__ import annotations

import math

import numpy as np
from imgui_bundle import imgui

from gui_utils import plots, theme, widgets
from gui_utils.plots import Marker, Series
from render.result import FilterCurve, GeneratorInfo, LayerInfo
from render.session import FilterState
from viz.editing import available, updated

KINDS = {
    'network': "The network's own",
    'sinc': 'Sinc (Kaiser window)',
    'jinc': 'Jinc (radial)',
    'lanczos': 'Lanczos',
    'gaussian': 'Gaussian',
    'bilinear': 'Bilinear',
    'nearest': 'Nearest',
}
DIRECTIONS = {'up': 'Up', 'down': 'Down', 'both': 'Both'}
PLOTTED = {'up': 'Upsampling', 'down': 'Downsampling'}
CELL_EM = 2.1
FLOOR_DB = -120.0


def filter_panel(state: FilterState, model: GeneratorInfo | None, curves: tuple[FilterCurve, ...] = ()) -> FilterState:
    """Which filters run where, and the response of a layer's; returns the new state."""
    with widgets.disabled_unless(*available('filters', model)):
        kind = widgets.combo(
            'Filters',
            state.kind,
            KINDS,
            default='network',
            tooltip='Designed with as many taps, the same rate and cutoff.',
        )
        state = updated(state, kind=kind)
        with widgets.disabled_unless(kind != 'network', 'Choose other filters first.'):
            direction = widgets.segmented(
                'Direction', state.direction, DIRECTIONS, default='both', tooltip='Upsampling, downsampling, or both.'
            )
            state = updated(state, direction=direction)
            state = _choose_layers(state, filtered_layers(model))
    state = _choose_response(state, model)
    _response(state, model, curves)
    return state


def filtered_layers(model: GeneratorInfo | None) -> tuple[LayerInfo, ...]:
    """The layers that resample."""
    return tuple(layer for layer in model.layers if layer.filters) if model else ()


def _choose_layers(state: FilterState, layers: tuple[LayerInfo, ...]) -> FilterState:
    everywhere = widgets.segmented('Layers', state.layers is None, {True: 'All', False: 'Chosen'}, default=True)
    if everywhere != (state.layers is None):
        state = updated(state, layers=None if everywhere else tuple(layer.name for layer in layers))
    if state.layers is None:
        return state
    em, gap, chosen = imgui.get_font_size(), 0.2, state.layers
    across = max(int((imgui.get_content_region_avail().x / em + gap) / (CELL_EM + gap)), 1)
    for index, layer in enumerate(layers):
        if index % across:
            imgui.same_line(0.0, gap * em)
        is_on = layer.name in chosen
        if widgets.toggle_button(f'{index}##filter layer', is_on, width=CELL_EM, tooltip=layer.label) != is_on:
            wanted = set(chosen) ^ {layer.name}
            chosen = tuple(other.name for other in layers if other.name in wanted)
    return updated(state, layers=chosen)


def _choose_response(state: FilterState, model: GeneratorInfo | None) -> FilterState:
    layers = filtered_layers(model)
    if not layers:
        return state
    options = {layer.name: layer.label for layer in layers}
    current = state.response_layer if state.response_layer in options else layers[0].name
    chosen = widgets.combo(
        'Plotted', current, options, tooltip='The layer whose filter is plotted; it follows the layer list.'
    )
    direction = widgets.segmented('of which', state.response_direction, PLOTTED)
    state = state if chosen == current else updated(state, response_layer=chosen)
    return updated(state, response_direction=direction)


def _response(state: FilterState, model: GeneratorInfo | None, curves: tuple[FilterCurve, ...]) -> None:
    curve = next((curve for curve in curves if curve.direction == state.response_direction), None)
    if curve is None:
        if model is None or not filtered_layers(model):
            widgets.text_muted('There are no filters to plot.')
        elif curves:
            widgets.text_muted(f'This layer has no {state.response_direction}sampling filter.')
        return
    height = imgui.get_content_region_avail().y / imgui.get_font_size()
    series = [Series("network's", curve.network_db, curve.frequencies)]
    if state.kind != 'network' and not np.array_equal(curve.network_db, curve.current_db):
        series.append(Series(state.kind, curve.current_db, curve.frequencies))
    plots.line_plot(
        f'##response {curve.buffer}', series, x_label=f'cycles per image width; {len(curve.taps)} taps at {curve.rate:g}', y_label='dB',
        x_limits=(0.0, curve.rate / 2), y_limits=(FLOOR_DB, max_db(curve) + 6), markers=curve_markers(curve), height=max(height, 8.0),
    )  # fmt: skip


def max_db(curve: FilterCurve) -> float:
    """The greatest gain of both filters."""
    top = max(float(curve.network_db.max(initial=0.0)), float(curve.current_db.max(initial=0.0)))
    return top if math.isfinite(top) else 0.0


def curve_markers(curve: FilterCurve) -> tuple[Marker, ...]:
    """Lines at the filter's cutoff, the end of its transition band, and half its rate."""
    return (
        Marker(curve.cutoff, 'f_c', theme.GOOD),
        Marker(curve.cutoff + curve.half_width, 'f_c+f_h', theme.WARN),
        Marker(curve.rate / 2, 's/2', theme.MUTED),
    )

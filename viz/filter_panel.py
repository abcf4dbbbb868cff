"""The filter laboratory: other resampling filters, live on the running network, for all layers or in one place."""

from __future__ import annotations

from gui_utils import widgets
from render.filter_choices import (
    FACTORS,
    MAX_LENGTH,
    MAX_MARGIN,
    is_designed,
    own_setting,
    places,
    why_no_clamp,
    why_no_margin,
    why_no_oversampling,
)
from render.filter_presets import OWN, find_preset, preset_of, presets
from render.result import FilterCurve, GeneratorInfo
from render.session import FilterState, filter_spec
from viz import filter_edits
from viz.editing import available, updated
from viz.filter_place import KINDS, PLACE_ROWS, choose_place, is_wide, numbers_of_place
from viz.filter_plot import response_plot

DIRECTIONS = {'up': 'Up', 'down': 'Down', 'both': 'Both'}
EXTENT = {False: 'All layers', True: 'One filter'}
CUSTOM = 'custom'
NETWORK_ROWS = 4
"""Controls of the whole network below the plot."""


def filter_panel(state: FilterState, model: GeneratorInfo | None, curves: tuple[FilterCurve, ...] = ()) -> FilterState:
    """Which filters run where, and the response of one; returns the new state."""
    with widgets.disabled_unless(*available('filters', model)):
        state = _presets(state, model)
        state = updated(
            state,
            one_place=widgets.segmented(
                'Change', state.one_place, EXTENT if is_wide() else {False: 'All', True: 'One'},
                tooltip='All layers: one kind of filter everywhere. One filter: a layer and a direction of its own, with draggable points in the plot.',
            ),
        )  # fmt: skip
        if not state.one_place:
            state = _kind(state)
        state = choose_place(state, model)
    # The plot comes before the numbers, so that it shows where the window is low: its points are the quicker way.
    rows = PLACE_ROWS if state.one_place else NETWORK_ROWS
    state = response_plot(state, model, curves, rows_below=rows)
    with widgets.disabled_unless(*available('filters', model)):
        state = numbers_of_place(state, model) if state.one_place else _numbers(state, model)
    for sentence in filter_edits.remarks(state, model)[:2]:
        widgets.text_muted(sentence)
    return state


def _presets(state: FilterState, model: GeneratorInfo | None) -> FilterState:
    current = preset_of(filter_spec(state), model) or CUSTOM
    options = {one.key: one.label for one in presets()}
    if current == CUSTOM:
        options[CUSTOM] = 'By hand'
    chosen = find_preset(current)
    why_not = {one.key: one.why_not(model) for one in presets()} if model else {}
    key = widgets.combo(
        'Preset', current, options, default=OWN,
        tooltip=chosen.tooltip if chosen else 'Filters of your own. The arrow returns to those of the network.',
        explanations={one.key: one.tooltip for one in presets()},
        impossible={key: reason for key, reason in why_not.items() if reason},
    )  # fmt: skip
    if key != current and model is not None:
        state = filter_edits.with_preset(state, key, model)
        chosen = find_preset(key)
    if chosen is not None and chosen.measured:
        widgets.text_muted(chosen.measured)
    return state


def _kind(state: FilterState) -> FilterState:
    """One kind for the whole network: what one tries first."""
    state = updated(
        state,
        kind=widgets.combo(
            'Filters', state.kind, KINDS, default='network',
            tooltip='Of all layers. Designed for the same rate and cutoff, with as many taps.',
        ),
    )  # fmt: skip
    spec = filter_spec(state)
    with widgets.disabled_unless(spec.kind != 'network' or spec.taps is not None, 'Choose other filters first.'):
        direction = widgets.segmented(
            'Direction', state.direction, DIRECTIONS, default='both', tooltip='Upsampling, downsampling, or both.'
        )
    return updated(state, direction=direction)


def _numbers(state: FilterState, model: GeneratorInfo | None) -> FilterState:
    """Length, oversampling, margin and clamp of the whole network."""
    state = _length(state, model)
    state = _oversampling(state, model)
    return _margin_and_clamp(state, model)


def _length(state: FilterState, model: GeneratorInfo | None) -> FilterState:
    fixed = state.kind == 'network' and not any(is_designed(one.filter) for one in places(model))
    own = own_setting(model, 'filter_size', max((one.own_length for one in places(model)), default=6))
    with widgets.disabled_unless(
        model is None or not fixed, 'The own filters of this network are fixed numbers. Choose other filters first.'
    ):
        length = widgets.int_slider(
            'Taps n', state.taps or own, 1, MAX_LENGTH, default=own,
            tooltip='Taps per sample of the lower rate. More: the filter falls off more steeply, and costs more.',
        )  # fmt: skip
    return updated(state, taps=None if length == own else length)


def _oversampling(state: FilterState, model: GeneratorInfo | None) -> FilterState:
    own = filter_edits.own_factor(model)
    reason = why_no_oversampling(model) if model else None
    with widgets.disabled_unless(reason is None, reason or ''):
        factor = widgets.segmented(
            'Oversampling m', state.oversampling or own, FACTORS, default=own,
            tooltip='Rate of the non-linearity, in rates of the layer. 1: nothing is filtered around it.',
        )  # fmt: skip
    return updated(state, oversampling=None if factor == own else factor)


def _margin_and_clamp(state: FilterState, model: GeneratorInfo | None) -> FilterState:
    own = own_setting(model, 'margin_size', 10)
    reason = why_no_margin(model) if model else None
    with widgets.disabled_unless(reason is None, reason or ''):
        shown = own if state.margin is None else state.margin
        margin = widgets.int_slider(
            'Margin', shown, 0, MAX_MARGIN, default=own, unit='samples',
            tooltip='Around the canvas of every layer, so that its border cannot be felt inside. Other sizes, the same weights.',
        )  # fmt: skip
    state = updated(state, margin=None if margin == own else margin)
    reason = why_no_clamp(model) if model else None
    with widgets.disabled_unless(reason is None, reason or ''):
        limit = dict(model.config).get('conv_clamp') if model else None
        clamp = widgets.checkbox(
            'Clamp', state.clamp, default=True,
            tooltip=f'Cut activations at ±{limit or 256:g}, as the network was trained. Noise and number format have their own panels.',
        )  # fmt: skip
    return updated(state, clamp=clamp)

"""Changing filters for all layers or in one place. Pure: each function takes the state of the panel and returns a new one."""

from __future__ import annotations

import math
from dataclasses import replace

from render.filter_choices import (
    BAND_LIMITED,
    Place,
    choice_for,
    is_designed,
    is_own,
    limits_of,
    numbers_for,
    oversampling_for,
    own_setting,
    places,
)
from render.filter_presets import find_preset
from render.request import FilterEdit, FilterKind, FilterSpec, LayerOversampling
from render.result import GeneratorInfo, LayerInfo
from render.session import FilterState, filter_spec
from viz.editing import updated

_SAME = 1e-4
"""Relative difference below which a number is the network's own."""


def filtered_layers(model: GeneratorInfo | None) -> tuple[LayerInfo, ...]:
    """The layers that resample."""
    return tuple(layer for layer in model.layers if layer.filters) if model else ()


def plotted_layer(state: FilterState, model: GeneratorInfo | None) -> LayerInfo | None:
    """The layer whose filter is plotted, the first if none was chosen; None if there is none."""
    layers = filtered_layers(model)
    return next((one for one in layers if one.name == state.response_layer), layers[0] if layers else None)


def place_of(state: FilterState, model: GeneratorInfo | None) -> Place | None:
    """The filter that is plotted, as it is under the oversampling in force; None where none runs."""
    layer = plotted_layer(state, model)
    found = next((one for one in layer.filters if one.direction == state.response_direction), None) if layer else None
    if layer is None or found is None:
        return None
    own = own_factor(model)
    ratio = factor_of(state, layer.name, model) / own
    factor = found.factor * ratio
    if factor < 2 and ratio < 1:
        return None
    taps = round(found.taps * ratio)
    return Place(layer, replace(found, factor=round(factor), taps=taps, rate=found.rate * ratio))


def edit_at(state: FilterState, place: Place) -> FilterEdit:
    """What is in force in one place; without a change, the network's own."""
    own = FilterEdit(place.layer.name, place.filter.direction)
    return choice_for(filter_spec(state), place.layer.name, place.filter) or own


def with_kind(state: FilterState, place: Place, kind: FilterKind) -> FilterState:
    """Another kind of filter in one place; numbers that it has no use for are forgotten."""
    edit = edit_at(state, place)
    if kind == 'network':
        edit = FilterEdit(edit.layer, edit.direction)
    elif kind not in BAND_LIMITED:
        edit = replace(edit, cutoff=None, half_width=None)
    return _with_edit(state, place, replace(edit, kind=kind))


def with_numbers(state: FilterState, place: Place, **numbers: float | int | None) -> FilterState:
    """Another n ('taps'), 'cutoff' or 'half_width' in one place; the network's own filter becomes one of its kind."""
    edit, own = edit_at(state, place), own_numbers(place)
    numbers = {name: None if _equal(value, own[name]) else value for name, value in numbers.items()}
    edit = replace(edit, **numbers)  # type: ignore[arg-type]
    alike: FilterKind = 'jinc' if place.filter.radial else 'sinc'
    is_bare = edit.taps is None and edit.cutoff is None and edit.half_width is None
    if edit.kind == 'network' and not is_bare:
        edit = replace(edit, kind=alike)
    elif edit.kind == alike and is_bare and is_designed(place.filter):
        edit = replace(edit, kind='network')
    return _with_edit(state, place, edit)


def own_numbers(place: Place) -> dict[str, float | int]:
    """n, cutoff and half-width of the network's own filter, as an edit names them."""
    own, _ = numbers_for(place.filter, FilterEdit(place.layer.name, place.filter.direction, 'sinc'))
    return {'taps': place.own_length, 'cutoff': own.cutoff, 'half_width': own.half_width}


def shown_numbers(edit: FilterEdit, place: Place) -> dict[str, float | int]:
    """n, cutoff and half-width in force, within what is possible."""
    numbers, _ = numbers_for(place.filter, edit)
    length = place.own_length if edit.taps is None else round(numbers.taps / place.filter.factor)
    return {'taps': length, 'cutoff': numbers.cutoff, 'half_width': numbers.half_width}


def _with_edit(state: FilterState, place: Place, edit: FilterEdit) -> FilterState:
    others = tuple(
        one for one in state.edits if (one.layer, one.direction) != (place.layer.name, place.filter.direction)
    )
    rest = updated(state, edits=others)
    if edit == edit_at(rest, place):
        return rest
    return updated(state, edits=(*others, edit))


def _equal(value: float | int | None, own: float | int) -> bool:
    return value is None or math.isclose(value, own, rel_tol=_SAME)


def own_factor(model: GeneratorInfo | None) -> int:
    """m of the network."""
    return own_setting(model, 'lrelu_upsampling', 2)


def factor_of(state: FilterState, layer: str, model: GeneratorInfo | None) -> int:
    """m in force in a layer."""
    return oversampling_for(filter_spec(state), layer) or own_factor(model)


def with_factor(state: FilterState, layer: str, factor: int, model: GeneratorInfo | None) -> FilterState:
    """Another m in one layer."""
    others = tuple(one for one in state.layer_oversampling if one.layer != layer)
    if factor == (state.oversampling or own_factor(model)):
        return updated(state, layer_oversampling=others)
    return updated(state, layer_oversampling=(*others, LayerOversampling(layer, factor)))


def with_preset(state: FilterState, key: str, model: GeneratorInfo) -> FilterState:
    """The changes of a preset instead of those in force; what is plotted stays."""
    preset = find_preset(key)
    if preset is None or preset.why_not(model):
        return state
    return with_spec(state, preset.make(model))


def with_spec(state: FilterState, spec: FilterSpec) -> FilterState:
    """The state of a panel that asks for `spec`; what is plotted stays."""
    return updated(
        state,
        kind=spec.kind,
        direction=spec.direction,
        layers=spec.layers,
        taps=spec.taps,
        oversampling=spec.oversampling,
        edits=spec.edits,
        layer_oversampling=spec.layer_oversampling,
        margin=spec.margin,
        clamp=spec.clamp,
    )


def without_layer(state: FilterState, layer: str) -> FilterState:
    """Nothing of its own for one layer any more: it follows what holds for all."""
    return updated(
        state,
        edits=tuple(one for one in state.edits if one.layer != layer),
        layer_oversampling=tuple(one for one in state.layer_oversampling if one.layer != layer),
    )


def changed_layers(state: FilterState, model: GeneratorInfo | None) -> frozenset[str]:
    """Names of the layers that do not run as in the network."""
    spec, own, found = filter_spec(state), own_factor(model), set()
    for place in places(model):
        choice = choice_for(spec, place.layer.name, place.filter)
        if (choice is not None and not is_own(choice)) or (oversampling_for(spec, place.layer.name) or own) != own:
            found.add(place.layer.name)
    return frozenset(found)


def spread(state: FilterState, model: GeneratorInfo) -> FilterState:
    """A choice of layers (as older sessions hold it) as an edit of each of them, which looks the same."""
    if state.layers is None:
        return state
    edits = list(state.edits)
    taken = {(one.layer, one.direction) for one in edits}
    for place in places(model):
        choice = choice_for(filter_spec(state), place.layer.name, place.filter)
        if choice is not None and (choice.layer, choice.direction) not in taken:
            edits.append(choice)
    return updated(state, kind='network', direction='both', taps=None, layers=None, edits=tuple(edits))


def remarks(state: FilterState, model: GeneratorInfo | None) -> tuple[str, ...]:
    """A sentence for everything that is asked for and cannot be done as it stands."""
    if model is None:
        return ()
    spec, place = filter_spec(state), place_of(state, model)
    choice = None if place is None else choice_for(spec, place.layer.name, place.filter)
    moved = () if place is None or choice is None else numbers_for(place.filter, choice)[1]
    return (*limits_of(spec, model), *moved)


def filter_label(state: FilterState) -> str:
    """How the sampling differs from the network's own, in a few words; empty if it does not."""
    spec = filter_spec(state)
    if spec == FilterSpec():
        return ''
    parts = [] if spec.kind == 'network' else [f'{spec.kind} filters']
    parts += [f'n = {spec.taps}'] if spec.taps is not None else []
    parts += [f'm = {spec.oversampling}'] if spec.oversampling is not None else []
    if spec.edits:
        parts.append('1 filter changed' if len(spec.edits) == 1 else f'{len(spec.edits)} filters changed')
    if spec.layer_oversampling:
        count = len(spec.layer_oversampling)
        parts.append('m of 1 layer changed' if count == 1 else f'm of {count} layers changed')
    parts += [f'margin {spec.margin}'] if spec.margin is not None else []
    parts += [] if spec.clamp else ['no clamp']
    return ', '.join(parts[:2]) + (', …' if len(parts) > 2 else '')

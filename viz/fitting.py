"""Making choices fit another generator: what it does not have is forgotten, everything else is kept."""

from __future__ import annotations

from dataclasses import replace

from render.filter_choices import why_no_clamp, why_no_margin, why_no_oversampling
from render.result import GeneratorInfo
from render.session import (
    FilterState,
    LatentState,
    LayerState,
    MixingState,
    NoiseState,
    Side,
    TransformState,
    TruncationState,
)
from viz.filter_edits import spread


def fit_side(side: Side, model: GeneratorInfo) -> Side:
    """`side` with every choice possible for `model`; the same object if all were."""
    fitted = replace(
        side,
        latent=_latent(side.latent, model),
        truncation=_truncation(side.truncation, model),
        mixing=_mixing(side.mixing, model),
        noise=side.noise if model.why_not('noise') is None else NoiseState(),
        transform=side.transform if model.why_not('transform') is None else TransformState(),
        filters=_filters(side.filters, model),
        layer=_layer(side.layer, model),
        spectrum=replace(side.spectrum, channel=None) if side.spectrum.channel is not None else side.spectrum,
    )
    return side if fitted == side else fitted


def _latent(state: LatentState, model: GeneratorInfo) -> LatentState:
    if model.class_count == 0 or model.why_not('classes') is not None:
        return replace(state, class_index=None)
    wanted = 0 if state.class_index is None else state.class_index
    return replace(state, class_index=min(max(wanted, 0), model.class_count - 1))


def _truncation(state: TruncationState, model: GeneratorInfo) -> TruncationState:
    if model.why_not('truncation') is not None:
        return TruncationState()
    return state if state.layers is None or state.layers < model.num_ws else replace(state, layers=None)


def _mixing(state: MixingState, model: GeneratorInfo) -> MixingState:
    if model.why_not('style_mixing') is not None:
        return MixingState()
    return replace(state, layers=tuple(index for index in state.layers if index < model.num_ws))


def _filters(state: FilterState, model: GeneratorInfo) -> FilterState:
    if model.why_not('filters') is not None:
        return FilterState()
    if state.layers is not None:
        known = tuple(name for name in state.layers if model.layer(name) is not None) or None
        state = spread(replace(state, layers=known), model)
    plotted = state.response_layer if state.response_layer and model.layer(state.response_layer) else None
    with_filters = [layer.name for layer in model.layers if layer.filters]
    if plotted is None and with_filters:
        plotted = with_filters[len(with_filters) // 2]
    can_oversample = why_no_oversampling(model) is None
    return replace(
        state,
        response_layer=plotted,
        edits=tuple(one for one in state.edits if model.layer(one.layer) is not None),
        oversampling=state.oversampling if can_oversample else None,
        layer_oversampling=tuple(
            one for one in state.layer_oversampling if can_oversample and model.layer(one.layer) is not None
        ),
        margin=state.margin if why_no_margin(model) is None else None,
        clamp=state.clamp or why_no_clamp(model) is not None,
    )


def _layer(state: LayerState, model: GeneratorInfo) -> LayerState:
    if state.layer is None:
        return state
    layer = model.layer(state.layer)
    if layer is None:
        return replace(state, layer=None, channel=0)
    return state if state.channel < layer.channels else replace(state, channel=0)

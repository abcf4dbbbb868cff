"""Cures of a diagnosis as choices of the session, so that they can be tried on the picture and undone. Pure.

Only what the filter laboratory and the noise inputs offer can be tried so; for the rest there is the measured effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from render.diagnosis import Finding
from render.filter_choices import LEAST_SHARE, Place, own_setting, places, why_no_margin, why_no_oversampling
from render.request import FilterEdit, FilterKind, LayerOversampling, OneDirection
from render.result import GeneratorInfo, LayerInfo
from render.session import FilterState, NoiseState, Side

TAPS = 6
"""n of the filters that replace weak ones (Karras et al. 2021, Appendix C.1)."""
MARGIN = 10
OVERSAMPLING = 2


@dataclass(frozen=True, slots=True)
class Cure:
    """What a side would choose."""

    edits: tuple[FilterEdit, ...] = ()
    oversampling: tuple[LayerOversampling, ...] = ()
    margin: int | None = None
    without_noise: bool = False


def cure_for(finding: Finding, model: GeneratorInfo | None) -> Cure | str:
    """The cure of a finding, or why it cannot be tried on the picture, as a sentence."""
    if model is None:
        return 'Open a generator first.'
    layers = [layer for label in finding.layers for layer in model.layers if layer.label == label]
    match finding.cause:
        case 'noise':
            reason = model.why_not('noise')
            return Cure(without_noise=True) if reason is None else f'It cannot be switched off: {reason}'
        case 'border':
            return _margin(model)
        case 'up-filter':
            return _filters(layers, 'up', model)
        case 'down-filter' | 'cutoff' | 'separable':
            return _filters(layers, 'down', model, cause=finding.cause)
        case 'nonlinearity':
            reason = why_no_oversampling(model)
            factors = tuple(LayerOversampling(layer.name, OVERSAMPLING) for layer in layers)
            return reason or Cure(oversampling=factors)
    return 'A finished network cannot be given another input; it must be trained with it.'


def is_applied(side: Side, cure: Cure) -> bool:
    """Whether the side has chosen all of it."""
    filters = side.filters
    return (
        all(edit in filters.edits for edit in cure.edits)
        and all(one in filters.layer_oversampling for one in cure.oversampling)
        and cure.margin in (None, filters.margin)
        and (not cure.without_noise or side.noise.mode == 'none')
    )


def with_cure(side: Side, cure: Cure) -> Side:
    """The side with the cure applied."""
    filters = _without(side.filters, cure)
    filters = replace(
        filters,
        edits=(*filters.edits, *cure.edits),
        layer_oversampling=(*filters.layer_oversampling, *cure.oversampling),
        margin=filters.margin if cure.margin is None else cure.margin,
    )
    noise = NoiseState(mode='none', seed=side.noise.seed) if cure.without_noise else side.noise
    return replace(side, filters=filters, noise=noise)


def without_cure(side: Side, cure: Cure) -> Side:
    """The side without it: these places are the network's own again."""
    filters = _without(side.filters, cure)
    filters = replace(filters, margin=None if cure.margin is not None else filters.margin)
    noise = replace(side.noise, mode='constant') if cure.without_noise else side.noise
    return replace(side, filters=filters, noise=noise)


def _without(state: FilterState, cure: Cure) -> FilterState:
    places = {(edit.layer, edit.direction) for edit in cure.edits}
    layers = {one.layer for one in cure.oversampling}
    return replace(
        state,
        edits=tuple(edit for edit in state.edits if (edit.layer, edit.direction) not in places),
        layer_oversampling=tuple(one for one in state.layer_oversampling if one.layer not in layers),
    )


def _margin(model: GeneratorInfo) -> Cure | str:
    reason = why_no_margin(model)
    if reason is not None:
        return reason
    own = own_setting(model, 'margin_size', MARGIN)
    if own >= MARGIN:
        return f'The network has a margin of {own} samples; what enters inside a layer cannot be mended from outside.'
    return Cure(margin=MARGIN)


def _filters(
    layers: Sequence[LayerInfo], direction: OneDirection, model: GeneratorInfo, *, cause: str = ''
) -> Cure | str:
    reason = model.why_not('filters')
    if reason is not None:
        return reason
    names = {layer.name for layer in layers}
    found = [one for one in places(model) if one.layer.name in names and one.filter.direction == direction]
    if not found:
        return 'These layers name no filter that could be replaced.'
    return Cure(edits=tuple(_edit(place, cause) for place in found))


def _edit(place: Place, cause: str) -> FilterEdit:
    info = place.filter
    kind: FilterKind = 'jinc' if info.radial or cause == 'separable' else 'sinc'
    cutoff = None
    if cause == 'cutoff':  # the transition band ends where the signal would fold
        cutoff = max(place.half_rate - info.half_width, LEAST_SHARE * place.half_rate)
    taps = TAPS if info.taps < TAPS * info.factor else None
    return FilterEdit(place.layer.name, info.direction, kind, taps, cutoff)

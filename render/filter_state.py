"""What the panel of filters holds, and what of it decides the picture. Standard library only."""

from dataclasses import dataclass, replace

from render.request import (
    FilterDirection,
    FilterEdit,
    FilterKind,
    FilterSpec,
    LayerOversampling,
    OneDirection,
)


@dataclass(frozen=True, slots=True)
class FilterState:
    """See `FilterSpec` for what decides the picture."""

    kind: FilterKind = 'network'
    direction: FilterDirection = 'both'
    layers: tuple[str, ...] | None = None
    """None = all layers."""
    response_layer: str | None = None
    """Whose filters are plotted and edited. None = those of the layer that is shown."""
    response_direction: OneDirection = 'up'
    taps: int | None = None
    oversampling: int | None = None
    edits: tuple[FilterEdit, ...] = ()
    layer_oversampling: tuple[LayerOversampling, ...] = ()
    margin: int | None = None
    clamp: bool = True
    one_place: bool = False
    """Whether the controls are for the plotted filter instead of for all."""


def filter_spec(state: FilterState) -> FilterSpec:
    """What of the panel decides the picture; equal pictures have equal values as far as that can be told here."""
    everywhere = FilterSpec()  # direction and layers mean nothing without a change: keep requests equal
    if state.kind != 'network' or state.taps is not None:
        everywhere = FilterSpec(state.kind, state.direction, state.layers, state.taps)
    return replace(
        everywhere,
        oversampling=state.oversampling,
        edits=state.edits,
        layer_oversampling=state.layer_oversampling,
        margin=state.margin,
        clamp=state.clamp,
    )

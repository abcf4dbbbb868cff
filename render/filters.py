"""Other resampling filters for a running network: as tensors for one call, and their responses for the plot."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from networks.adapters.base import Inspectable
from networks.info import FilterInfo, LayerInfo
from ops.filters import FilterShape, design, response_db
from render.request import FilterSpec
from render.result import FilterCurve

CURVE_POINTS = 256


def filter_overrides(adapter: Inspectable, spec: FilterSpec) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Buffer name -> replacement taps of the same shape, and what could not be done (for the notes)."""
    if spec.kind == 'network':
        return {}, ()
    if 'filters' not in adapter.info.capabilities:
        return {}, (f'Filters are not changed: {adapter.info.why_not("filters")}',)
    buffers = adapter.filters()
    overrides = {
        info.buffer: replacement(info, spec, buffers[info.buffer])
        for layer, info in _all_filters(adapter)
        if _applies(spec, layer, info) and info.buffer in buffers
    }
    unknown = [name for name in spec.layers or () if adapter.info.layer(name) is None]
    notes = (f'no layer {unknown[0]!r} to change the filter of',) if unknown else ()
    return overrides, notes


def replacement(info: FilterInfo, spec: FilterSpec, original: Tensor) -> Tensor:
    """A filter of the wanted kind that fits where `original` is: same tap count and gain, dtype and device.

    [taps] where `original` is separable, unless the kind is circular; [taps, taps] where it is not.
    """
    taps = design(spec.kind, _shape(info))
    gain = original.sum() if original.ndim == 2 else original.sum().square()  # of the two-dimensional filter
    if original.ndim == 2 and taps.ndim == 1:
        taps = torch.outer(taps, taps)
    gain = gain.to(taps.device, taps.dtype)
    taps = taps * (gain if taps.ndim == 2 else gain.sqrt())
    return taps.to(original.device, original.dtype)


def filter_curves(adapter: Inspectable, layer: LayerInfo, spec: FilterSpec) -> tuple[FilterCurve, ...]:
    """The responses of the filters of one layer: the network's own and those in use."""
    buffers = adapter.filters() if 'filters' in adapter.info.capabilities else {}
    return tuple(_curve(info, layer, spec, buffers[info.buffer]) for info in layer.filters if info.buffer in buffers)


def _curve(info: FilterInfo, layer: LayerInfo, spec: FilterSpec, original: Tensor) -> FilterCurve:
    changed = spec.kind != 'network' and _applies(spec, layer, info)
    current = replacement(info, spec, original) if changed else original
    frequencies, network_db = response_db(original, rate=info.rate, count=CURVE_POINTS)
    _, current_db = response_db(current, rate=info.rate, count=CURVE_POINTS)
    row = current if current.ndim == 1 else current[current.shape[0] // 2]
    return FilterCurve(
        buffer=info.buffer,
        direction=info.direction,
        rate=info.rate,
        cutoff=info.cutoff,
        half_width=info.half_width,
        frequencies=_array(frequencies),
        network_db=_array(network_db),
        current_db=_array(current_db),
        taps=tuple(row.tolist()),
    )


def _all_filters(adapter: Inspectable) -> Iterator[tuple[LayerInfo, FilterInfo]]:
    for layer in adapter.info.layers:
        for info in layer.filters:
            yield layer, info


def _applies(spec: FilterSpec, layer: LayerInfo, info: FilterInfo) -> bool:
    return spec.direction in ('both', info.direction) and (spec.layers is None or layer.name in spec.layers)


def _shape(info: FilterInfo) -> FilterShape:
    return FilterShape(
        direction=info.direction,
        factor=info.factor,
        taps=info.taps,
        rate=info.rate,
        cutoff=info.cutoff,
        half_width=info.half_width,
        radial=info.radial,
    )


def _array(values: Tensor) -> np.ndarray:
    return values.to(torch.float32).cpu().numpy()

"""The filter laboratory: a network with other filters, oversampling, margin or clamp and its own weights; and response curves.

What runs is a twin of the network (`networks.variants`), so that everything which looks into a network, measures or
diagnoses it works on the changed one as on any other.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from networks.adapters.base import Inspectable
from networks.adapters.stylegan3 import StyleGAN3Adapter, filter_infos
from networks.info import FilterInfo, GeneratorInfo, LayerInfo
from networks.schedule import LayerRecord, Schedule
from networks.stylegan3 import Generator
from networks.variants import (
    LayerPlan,
    alias_free_layer,
    oversampling_of,
    planned,
    resized_input,
    twin_of,
    with_buffers,
    with_margin,
    with_oversampling,
)
from ops.filters import FilterShape, design, response_db
from render.filter_choices import (
    MAX_MARGIN,
    choice_for,
    limits_of,
    numbers_for,
    oversampling_for,
    why_no_margin,
    why_no_oversampling,
)
from render.request import FilterEdit, FilterSpec
from render.result import FilterCurve

CURVE_POINTS = 256
MOST_NOTES = 3
"""On single places."""
Edited = tuple[Inspectable, tuple[str, ...]]
"""A generator, and what of the changes could not be done as they were asked for."""


def edited(adapter: Inspectable, spec: FilterSpec) -> Edited:
    """The generator with the sampling that `spec` asks for, and notes; `adapter` itself where nothing differs.

    Weights are shared and `adapter` stays as it is. A generator that was edited so already comes back as it is.
    """
    if spec == FilterSpec() or adapter.changes == spec:
        return adapter, ()
    if 'filters' not in adapter.info.capabilities:
        return adapter, (f'Filters are not changed: {adapter.info.why_not("filters")}',)
    notes = limits_of(spec, adapter.info)
    if isinstance(adapter, StyleGAN3Adapter):
        twin, more = _alias_free(adapter, spec)
    else:
        twin, more = _by_buffers(adapter, spec)
    if len(more) > MOST_NOTES:
        more = (*more[:MOST_NOTES], f'… and {len(more) - MOST_NOTES} more places likewise.')
    return twin, (*notes, *more)


def _alias_free(adapter: StyleGAN3Adapter, spec: FilterSpec) -> Edited:
    """All layers of a StyleGAN3 network by their new plans."""
    synthesis = adapter.generator.synthesis
    schedule = _schedule(adapter.generator, adapter.info, spec)
    modules: dict[str, nn.Module] = {}
    records, infos, notes = [], {}, []
    if schedule.input != synthesis.schedule.input:
        modules['synthesis.input'] = resized_input(synthesis.input, schedule.input.size)
        infos['synthesis.input'] = _resized(adapter.info.layers[0], schedule.input.size, schedule.input.rate)
    for name, sized in zip(synthesis.layer_names, schedule.layers, strict=True):
        path = f'synthesis.{name}'
        found = alias_free_layer(synthesis.get_submodule(name))
        info = adapter.info.layer(path)
        records.append(sized)
        if found is None or info is None:
            continue
        inner, layer = found
        record = replace(layer.record, size_in=sized.size_in, size=sized.size, heights=sized.heights)
        plan, changed, more = _plan(layer.record, LayerPlan.of(layer), record, info, spec, adapter.info)
        notes += more
        records[-1] = plan.record
        if not _same(plan, LayerPlan.of(layer)):
            modules[f'{path}.{inner}' if inner else path] = planned(layer, plan)
            infos[path] = changed
    if not modules:
        return adapter, tuple(notes)
    layers = tuple(infos.get(one.name, one) for one in adapter.info.layers)
    twin = adapter.with_submodules(modules, replace(adapter.info, layers=layers), changes=spec)
    twin.generator.synthesis.schedule = Schedule(schedule.input, tuple(records))
    return twin, tuple(notes)


def _schedule(generator: Generator, info: GeneratorInfo, spec: FilterSpec) -> Schedule:
    """The network's own, or with another margin."""
    synthesis = generator.synthesis
    if spec.margin is None or why_no_margin(info):
        return synthesis.schedule
    return with_margin(synthesis.schedule, min(max(spec.margin, 0), MAX_MARGIN), synthesis.config)


def _plan(
    own: LayerRecord, plan: LayerPlan, record: LayerRecord, info: LayerInfo, spec: FilterSpec, model: GeneratorInfo
) -> tuple[LayerPlan, LayerInfo, tuple[str, ...]]:
    """How a layer runs, what it is then called, and what could not be done. `own`, `plan`: as it is; `record`: resized."""
    factor = oversampling_for(spec, info.name)
    up_filter, down_filter = plan.up_filter, plan.down_filter
    if factor is not None and factor != oversampling_of(own) and why_no_oversampling(model) is None:
        record = with_oversampling(record, factor)
        up_filter, down_filter = record.up_filter(), record.down_filter()
    filters: dict[str, Tensor | None] = {'up': up_filter, 'down': down_filter}
    infos, notes = [], []
    for one in filter_infos(record, info.name):
        choice, held = choice_for(spec, info.name, one), filters[one.direction]
        if choice is not None and held is not None:
            filters[one.direction], one, more = designed(one, choice, held)
            notes += more
        infos.append(one)
    changed = replace(
        _resized(info, record.size, record.rate),
        up_factor=record.up_factor,
        down_factor=record.down_factor,
        filters=tuple(infos),
    )
    clamp = plan.clamp if spec.clamp else None
    return LayerPlan(record, filters['up'], filters['down'], clamp), changed, tuple(notes)


def _same(one: LayerPlan, other: LayerPlan) -> bool:
    """Whether two plans run the same, with the very same filters."""
    return (
        one.record == other.record
        and one.clamp == other.clamp
        and one.up_filter is other.up_filter
        and one.down_filter is other.down_filter
    )


def _resized(info: LayerInfo, size: int, rate: float) -> LayerInfo:
    wider = size - info.width
    return replace(info, width=size, height=info.height + wider, margin=(size - int(rate)) // 2)


def _by_buffers(adapter: Inspectable, spec: FilterSpec) -> Edited:
    """Other filters in a network of any kind, and StyleGAN2 without its clamp."""
    held, buffers, infos, notes = adapter.filters(), {}, {}, []
    for layer in adapter.info.layers:
        filters = []
        for one in layer.filters:
            choice = choice_for(spec, layer.name, one)
            if choice is not None and one.buffer in held:
                buffers[one.buffer], one, more = designed(one, choice, held[one.buffer])
                notes += more
            filters.append(one)
        infos[layer.name] = replace(layer, filters=tuple(filters))
    modules = with_buffers(adapter.module, buffers)
    if not spec.clamp:
        modules |= dict(_unclamped(adapter.module, modules))
    if not modules:
        return adapter, tuple(notes)
    layers = tuple(infos[one.name] for one in adapter.info.layers)
    return adapter.with_submodules(modules, replace(adapter.info, layers=layers), changes=spec), tuple(notes)


def _unclamped(root: nn.Module, twins: dict[str, nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Twins of all modules that limit their activations, without the limit; those in `twins` are used again."""
    for name, module in root.named_modules():
        if isinstance(getattr(module, 'clamp', None), (int, float)):
            twin = twins.get(name) or twin_of(module)
            twin.__dict__['clamp'] = None  # no module, no tensor
            yield name, twin


def designed(info: FilterInfo, edit: FilterEdit, original: Tensor) -> tuple[Tensor, FilterInfo, tuple[str, ...]]:
    """A filter as `edit` wants it where `original` is, what it is, and notes on numbers that had to be moved.

    It keeps the gain, the place, the type and the device. [taps] where `original` is separable, unless the kind is
    circular; else [taps, taps]. Raises `ValueError` if nothing would pass.
    """
    numbers, notes = numbers_for(info, edit)
    radial = edit.kind == 'jinc' or (edit.kind == 'network' and info.radial)
    shape = FilterShape(
        info.direction, info.factor, numbers.taps, info.rate, numbers.cutoff, numbers.half_width, radial
    )
    taps = design(edit.kind, shape)
    if not bool(taps.isfinite().all()) or not bool(taps.any()):
        raise ValueError(f'The {edit.kind} filter of {edit.layer} would let nothing through; choose more taps.')
    gain = original.sum() if original.ndim == 2 else original.sum().square()  # of the two-dimensional filter
    if original.ndim == 2 and taps.ndim == 1:
        taps = torch.outer(taps, taps)
    gain = gain.to(taps.device, taps.dtype)
    taps = taps * (gain if taps.ndim == 2 else gain.sqrt())
    info = replace(
        info, taps=numbers.taps, cutoff=numbers.cutoff, half_width=numbers.half_width if info.half_width else 0.0, radial=radial
    )  # fmt: skip
    return taps.to(original.device, original.dtype), info, notes


def filter_curves(adapter: Inspectable, twin: Inspectable, name: str) -> tuple[FilterCurve, ...]:
    """The responses of the filters of one layer: the network's own and, of its `twin`, those in use."""
    own, now = _filters_of(adapter, name), _filters_of(twin, name)
    return tuple(_curve(own.get(one), now.get(one)) for one in dict.fromkeys([*own, *now]))


_Held = tuple[FilterInfo, Tensor]


def _filters_of(adapter: Inspectable, name: str) -> dict[str, _Held]:
    layer = adapter.info.layer(name)
    if layer is None or 'filters' not in adapter.info.capabilities:
        return {}
    held = adapter.filters()
    return {one.direction: (one, held[one.buffer]) for one in layer.filters if one.buffer in held}


def _curve(own: _Held | None, now: _Held | None) -> FilterCurve:
    """Where there is no filter, everything passes; beyond what a filter's rate can hold there is no number."""
    info, taps = now or own or (None, None)
    assert info is not None and taps is not None
    frequencies, current = response_db(taps, rate=info.rate, count=CURVE_POINTS)
    if now is None:
        current = torch.zeros_like(frequencies)
    network = torch.zeros_like(frequencies)
    if own is not None:
        places, values = response_db(own[1], rate=own[0].rate, count=CURVE_POINTS)
        network = values if own[0].rate == info.rate else _read_off(frequencies, places, values)
    row = taps if taps.ndim == 1 else taps[taps.shape[0] // 2]
    return FilterCurve(
        buffer=info.buffer,
        direction=info.direction,
        rate=info.rate,
        cutoff=info.cutoff,
        half_width=info.half_width,
        frequencies=_array(frequencies),
        network_db=_array(network),
        current_db=_array(current),
        taps=tuple(row.tolist()) if now is not None else (),
        factor=info.factor,
    )


def _read_off(frequencies: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """A curve at other frequencies; NaN beyond its end."""
    found = np.interp(frequencies.numpy(), places.numpy(), values.numpy(), right=np.nan)
    return torch.from_numpy(found)


def _array(values: Tensor) -> np.ndarray:
    return values.to(torch.float32).cpu().numpy()

"""The same network with other parts: copies of its modules that share every tensor, so that the original stays as it is.

What the filter laboratory and the cures of a diagnosis run is such a twin: other sampling factors, filters, margins or
clamps with the weights of the network, at the cost of a few small objects.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from networks.config import AliasFreeConfig
from networks.schedule import InputRecord, LayerRecord, Schedule, make_schedule
from networks.stylegan3 import SynthesisInput, SynthesisLayer

_HOOKS = (
    '_forward_hooks',
    '_forward_pre_hooks',
    '_forward_hooks_with_kwargs',
    '_forward_pre_hooks_with_kwargs',
)


def twin_of(module: nn.Module, *, keep_hooks: bool = True) -> Any:
    """The same module once more: all tensors and submodules are shared, but buffers, submodules and hooks can be changed."""
    twin = copy.copy(module)
    for name in ('_buffers', '_modules'):
        twin.__dict__[name] = dict(getattr(module, name))
    for name in _HOOKS:
        twin.__dict__[name] = OrderedDict(getattr(module, name)) if keep_hooks else OrderedDict()
    return twin


def with_submodules(root: nn.Module, changes: Mapping[str, nn.Module]) -> nn.Module:
    """A twin of `root` with other modules at the paths `changes`; everything beside these paths is shared.

    Raises `AttributeError` for a path that `root` does not have.
    """
    if '' in changes:
        rest = {path: module for path, module in changes.items() if path}
        return with_submodules(changes[''], rest) if rest else changes['']
    below: dict[str, dict[str, nn.Module]] = {}
    for path, module in changes.items():
        first, _, rest = path.partition('.')
        below.setdefault(first, {})[rest] = module
    twin = twin_of(root)
    for name, inner in below.items():
        twin._modules[name] = with_submodules(root.get_submodule(name), inner)
    return twin


def with_buffers(root: nn.Module, buffers: Mapping[str, Tensor]) -> dict[str, nn.Module]:
    """Twins of the modules that own the buffers called so below `root`, with these tensors in them: changes for `with_submodules`.

    They get the device and type of the tensors before.
    """
    twins: dict[str, nn.Module] = {}
    for name, tensor in buffers.items():
        owner, _, last = name.rpartition('.')
        twin = twins.setdefault(owner, twin_of(root.get_submodule(owner)))
        held = twin._buffers[last]
        twin._buffers[last] = tensor if held is None else tensor.to(held.device, held.dtype)
    return twins


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """How a twin of an alias-free layer runs."""

    record: LayerRecord
    up_filter: Tensor | None
    down_filter: Tensor | None
    clamp: float | None

    @classmethod
    def of(cls, layer: SynthesisLayer) -> LayerPlan:
        """As the layer is."""
        return cls(layer.record, layer._buffers['up_filter'], layer._buffers['down_filter'], layer.clamp)


def planned(layer: SynthesisLayer, plan: LayerPlan, *, keep_hooks: bool = True) -> SynthesisLayer:
    """A twin of `layer` that runs as `plan` says; it shares weights and magnitude."""
    twin = twin_of(layer, keep_hooks=keep_hooks)
    twin.record, twin.clamp = plan.record, plan.clamp
    for name, taps in (('up_filter', plan.up_filter), ('down_filter', plan.down_filter)):
        twin._buffers[name] = None if taps is None else taps.to(layer.weight.device, layer.weight.dtype)
    return twin


def plain_twin(layer: SynthesisLayer) -> SynthesisLayer:
    """What the layer's record, filters and weights say, whatever its class or hooks add; tensors are shared."""
    twin = twin_of(layer, keep_hooks=False)
    twin.__class__ = SynthesisLayer
    return twin


def resized_input(module: SynthesisInput, size: int) -> SynthesisInput:
    """A twin of the Fourier features on a grid of another size around the same centre."""
    twin = twin_of(module)
    record: InputRecord = module.record
    rows = None if record.height is None else record.height + size - record.size
    twin.record = replace(record, size=size, height=rows)
    return twin


def alias_free_layer(module: nn.Module) -> tuple[str, SynthesisLayer] | None:
    """Path and module of the alias-free layer that `module` is or wraps; None if there is none."""
    return next(((path, one) for path, one in module.named_modules() if isinstance(one, SynthesisLayer)), None)


def with_oversampling(record: LayerRecord, factor: int) -> LayerRecord:
    """The layer with its non-linearity at m = `factor` times the higher of its two rates; ToRGB has none."""
    if record.torgb:
        return record
    return replace(record, rate_inside=max(record.rate_in, record.rate) * factor)


def oversampling_of(record: LayerRecord) -> int:
    """m: how often the rate of the non-linearity is the higher of the layer's two."""
    return max(round(record.rate_inside / max(record.rate_in, record.rate)), 1)


def with_margin(schedule: Schedule, margin: int, config: AliasFreeConfig) -> Schedule:
    """The schedule of a network of `config` with another margin around the canvas, hence other sizes of the same layers.

    What is cropped to the canvas in the network stays cropped.
    """
    resolution, colours = schedule.layers[-1].size, schedule.layers[-1].channels
    before = make_schedule(resolution, colours, config)
    after = make_schedule(resolution, colours, replace(config, margin_size=margin))
    layers = []
    for record, old, new in zip(schedule.layers, before.layers, after.layers, strict=True):
        wider_in, wider = new.size_in - old.size_in, new.size - old.size
        heights = record.heights and (record.heights[0] + wider_in, record.heights[1] + wider)
        layers.append(replace(record, size_in=record.size_in + wider_in, size=record.size + wider, heights=heights))
    wider = after.input.size - before.input.size
    height = None if schedule.input.height is None else schedule.input.height + wider
    features = replace(schedule.input, size=schedule.input.size + wider, height=height)
    return Schedule(features, tuple(layers))

"""Cures applied to a running network for one call: forward hooks that put another computation in a layer's place.

Nothing in the network is changed: a variant of a layer shares its tensors and differs in its record or filters.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from analysis.diagnosis_facts import Cure
from networks.adapters.base import Inspectable
from networks.schedule import InputRecord, LayerRecord
from networks.stylegan3 import SynthesisInput, SynthesisLayer

MARGIN = 10
"""Samples around the canvas (Karras et al. 2021, Sec. 3.2)."""
Replacement = Callable[[nn.Module, Tensor], nn.Module]
"""(the running submodule, the transform of this call) -> what runs in its place."""


def alias_free_layer(module: nn.Module) -> SynthesisLayer | None:
    """The alias-free layer that `module` is or wraps; None if there is none."""
    return next((one for one in module.modules() if isinstance(one, SynthesisLayer)), None)


def replacements(adapter: Inspectable, cures: Sequence[Cure]) -> dict[str, Replacement]:
    """Module name -> its replacement, for cures named by layer label; those of other families are left out."""
    names = {layer.label: layer.name for layer in adapter.info.layers}
    changes: dict[str, _Change] = {}
    for cure in cures:
        name = names.get(cure.layer)
        if name is None or cure.margin or cure.moving_input:
            continue
        if alias_free_layer(adapter.module.get_submodule(name)) is None:
            continue
        changes[name] = _Change(
            cure.up_taps, cure.down_taps, cure.oversampling, clean=cure.without_noise or cure.oversampling > 1
        )
    found: dict[str, Replacement] = {name: change.apply for name, change in changes.items()}
    if any(cure.margin for cure in cures):
        found |= _with_margins(adapter, {names[cure.layer] for cure in cures if cure.margin and cure.layer in names})
    for cure in cures:
        if cure.moving_input and cure.layer in names:
            found[names[cure.layer]] = _moving_input(adapter)
    return found


def replaced_filters(adapter: Inspectable, cures: Sequence[Cure]) -> dict[str, Tensor]:
    """Overrides for `Inspectable.synthesize`: the upsampling filters that `cures` replace, by buffer name."""
    better = {cure.layer: cure.up_taps for cure in cures if cure.up_taps is not None and cure.oversampling == 1}
    held = adapter.filters()
    found = {}
    for layer in adapter.info.layers:
        taps = better.get(layer.label)
        for info in layer.filters:
            if taps is not None and info.direction == 'up' and info.buffer in held:
                full = held[info.buffer].ndim == 2
                found[info.buffer] = torch.outer(taps, taps) if full else taps
    return found


@contextmanager
def replaced(module: nn.Module, found: dict[str, Replacement], matrix: Tensor) -> Iterator[None]:
    """Within the block, the submodules named in `found` answer with what their replacement makes of the same arguments.

    `matrix` [3, 3]: how the picture moves in this call, for a replaced input.
    """
    with ExitStack() as stack:
        for name, replacement in found.items():

            def hook(
                submodule: nn.Module, arguments: Any, keywords: Any, output: Any, make: Replacement = replacement
            ) -> Any:
                return make(submodule, matrix).forward(*arguments, **keywords)

            submodule = module.get_submodule(name)
            stack.callback(submodule.register_forward_hook(hook, with_kwargs=True).remove)
        yield


@dataclass(frozen=True, slots=True)
class _Change:
    """How a variant of an alias-free layer differs."""

    up_taps: Tensor | None = None
    down_taps: Tensor | None = None
    oversampling: int = 1
    clean: bool = False
    """Run as the plain layer it derives from: no noise, no padding of its own."""
    sizes: tuple[int, int] | None = None
    """Of its input and result."""

    def apply(self, module: nn.Module, matrix: Tensor) -> nn.Module:
        """The variant; it shares the tensors of `module`."""
        layer = alias_free_layer(module)
        assert layer is not None
        variant = plain_twin(layer) if self.clean else _twin(layer)
        record: LayerRecord = variant.record
        if self.oversampling > 1:
            inside = max(record.rate_in, record.rate) * self.oversampling
            record = replace(record, rate_inside=inside, filtered=True)
        if self.sizes is not None:
            record = replace(record, size_in=self.sizes[0], size=self.sizes[1])
        variant.record = record
        for name, taps in (('up_filter', self.up_taps), ('down_filter', self.down_taps)):
            if taps is not None:
                variant._buffers[name] = taps.to(layer.weight.device, torch.float32)
        return variant


def plain_twin(layer: SynthesisLayer) -> SynthesisLayer:
    """What the layer's record, filters and weights say, whatever its class or hooks add; tensors are shared."""
    twin = _twin(layer)
    twin.__class__ = SynthesisLayer
    return twin


def _twin(module: nn.Module) -> Any:
    """The same module once more, sharing all tensors: hooks gone, buffers may be replaced."""
    twin = copy.copy(module)
    twin.__dict__['_buffers'] = dict(module._buffers)
    for name in (
        '_forward_hooks',
        '_forward_pre_hooks',
        '_forward_hooks_with_kwargs',
        '_forward_pre_hooks_with_kwargs',
    ):
        twin.__dict__[name] = OrderedDict()
    return twin


def _with_margins(adapter: Inspectable, broken: set[str]) -> dict[str, Replacement]:
    """All alias-free layers with a margin of `MARGIN` before the last one that reaches over space."""
    found: dict[str, Replacement] = {}
    layers = [(info.name, alias_free_layer(adapter.module.get_submodule(info.name))) for info in adapter.info.layers]
    chain = [(name, layer) for name, layer in layers if layer is not None]
    reaching = [name for name, layer in chain if not layer.record.torgb]
    first = adapter.module.get_submodule(adapter.info.layers[0].name)
    if not chain or not isinstance(first, SynthesisInput):
        return found
    size = first.record.size
    wanted = max(size, int(first.record.rate) + 2 * MARGIN)
    if wanted != size:
        found[adapter.info.layers[0].name] = _larger_input(wanted)
        size = wanted
    for name, layer in chain:
        record = layer.record
        after = record.size
        if name in reaching[:-1]:
            after = max(after, int(record.rate) + 2 * MARGIN)
        if name in broken or (size, after) != (record.size_in, record.size):
            found[name] = _Change(clean=name in broken, sizes=(size, after)).apply
        size = after
    return found


def _larger_input(size: int) -> Replacement:
    def apply(module: nn.Module, matrix: Tensor) -> nn.Module:
        variant = _twin(module)
        variant.record = replace(cast(InputRecord, variant.record), size=size)
        return variant

    return apply


def _moving_input(adapter: Inspectable) -> Replacement:
    """Fourier features, freshly drawn, of the shape and strength of what the first layer of the network yields."""
    info = adapter.info.layers[0]
    bandwidth = info.cutoff or info.width / 4
    record = InputRecord(info.channels, info.width, float(info.rate or info.width), bandwidth, affine=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = SynthesisInput(adapter.info.w_dim, record).eval().requires_grad_(False)
    fresh = fresh.to(next(adapter.module.parameters()).device)

    def apply(module: nn.Module, matrix: Tensor) -> nn.Module:
        variant = _twin(fresh)
        variant._buffers['transform'] = torch.linalg.inv(matrix.double()).to(fresh.weight)
        return variant

    return apply

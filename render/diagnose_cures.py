"""Cures applied to a running network: a twin of it with another computation in a layer's place (`networks.variants`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from analysis.diagnosis_facts import Cure
from networks import classic_variants, stylegan2, variants
from networks.adapters.base import Inspectable
from networks.schedule import InputRecord
from networks.stylegan3 import SynthesisInput, SynthesisLayer
from networks.variants import LayerPlan, plain_twin, planned, resized_input, with_buffers, with_oversampling

MARGIN = 10
"""Samples around the canvas (Karras et al. 2021, Sec. 3.2)."""


def alias_free_layer(module: nn.Module) -> SynthesisLayer | None:
    """The alias-free layer that `module` is or wraps; None if there is none."""
    found = variants.alias_free_layer(module)
    return None if found is None else found[1]


def cured(adapter: Inspectable, cures: Sequence[Cure]) -> Inspectable:
    """The generator with `cures` in place; `adapter` itself where none can be applied to a finished network."""
    movable = 'transform' in adapter.info.capabilities
    modules = (replacements(adapter, cures) if movable else {}) or _classic(adapter, cures)
    return adapter.with_submodules(modules, adapter.info, changes=tuple(cures)) if modules else adapter


def replacements(adapter: Inspectable, cures: Sequence[Cure]) -> dict[str, nn.Module]:
    """Module name -> what runs in its place, for cures named by layer label; those of other families are left out."""
    names = {layer.label: layer.name for layer in adapter.info.layers}
    found: dict[str, nn.Module] = {}
    for cure in cures:
        name = names.get(cure.layer)
        layer = None if name is None else alias_free_layer(found.get(name) or adapter.module.get_submodule(name))
        if name is None or layer is None or cure.margin or cure.moving_input:
            continue
        clean = cure.without_noise or cure.oversampling > 1
        found[name] = _Change(cure.up_taps, cure.down_taps, cure.oversampling, clean=clean).apply(layer)
    if any(cure.margin for cure in cures):
        found |= _with_margins(adapter, {names[cure.layer] for cure in cures if cure.margin and cure.layer in names})
    for cure in cures:
        if cure.moving_input and cure.layer in names:
            found[names[cure.layer]] = _moving_input(adapter)
    return found


def _classic(adapter: Inspectable, cures: Sequence[Cure]) -> dict[str, nn.Module]:
    """The same for a network of another family: filters, and what twins of StyleGAN2's layers can do."""
    names = {layer.label: layer.name for layer in adapter.info.layers}
    found = _replaced_filters(adapter, cures)
    for cure in cures:
        name = names.get(cure.layer, '')
        layer = found.get(name) or (adapter.module.get_submodule(name) if name else None)  # several cures add up
        if not isinstance(layer, stylegan2.SynthesisLayer):
            continue
        if cure.without_noise:
            found[name] = classic_variants.without_noise(layer)
        elif cure.oversampling > 1:
            found[name] = classic_variants.filtered(layer, cure.oversampling)
    return found


def _replaced_filters(adapter: Inspectable, cures: Sequence[Cure]) -> dict[str, nn.Module]:
    """The same for the upsampling filters of a network of another family."""
    better = {cure.layer: cure.up_taps for cure in cures if cure.up_taps is not None and cure.oversampling == 1}
    held = adapter.filters() if better else {}
    found = {}
    for layer in adapter.info.layers:
        taps = better.get(layer.label)
        for info in layer.filters:
            if taps is not None and info.direction == 'up' and info.buffer in held:
                full = held[info.buffer].ndim == 2
                found[info.buffer] = torch.outer(taps, taps) if full else taps
    return with_buffers(adapter.module, found)


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

    def apply(self, layer: SynthesisLayer) -> SynthesisLayer:
        """The variant, without hooks."""
        plan = LayerPlan.of(layer)
        record = plan.record
        if self.oversampling > 1:
            record = replace(with_oversampling(record, self.oversampling), filtered=True)
        if self.sizes is not None:
            record = replace(record, size_in=self.sizes[0], size=self.sizes[1])
        up_filter = plan.up_filter if self.up_taps is None else self.up_taps
        down_filter = plan.down_filter if self.down_taps is None else self.down_taps
        base = plain_twin(layer) if self.clean else layer
        return planned(
            base, replace(plan, record=record, up_filter=up_filter, down_filter=down_filter), keep_hooks=False
        )


def _with_margins(adapter: Inspectable, broken: set[str]) -> dict[str, nn.Module]:
    """All alias-free layers with a margin of `MARGIN` before the last one that reaches over space."""
    found: dict[str, nn.Module] = {}
    layers = [(info.name, alias_free_layer(adapter.module.get_submodule(info.name))) for info in adapter.info.layers]
    chain = [(name, layer) for name, layer in layers if layer is not None]
    reaching = [name for name, layer in chain if not layer.record.torgb]
    first = adapter.module.get_submodule(adapter.info.layers[0].name)
    if not chain or not isinstance(first, SynthesisInput):
        return found
    size = max(first.record.size, int(first.record.rate) + 2 * MARGIN)
    if size != first.record.size:
        found[adapter.info.layers[0].name] = resized_input(first, size)
    for name, layer in chain:
        record = layer.record
        after = record.size
        if name in reaching[:-1]:
            after = max(after, int(record.rate) + 2 * MARGIN)
        if name in broken or (size, after) != (record.size_in, record.size):
            found[name] = _Change(clean=name in broken, sizes=(size, after)).apply(layer)
        size = after
    return found


def _moving_input(adapter: Inspectable) -> SynthesisInput:
    """Fourier features, freshly drawn, of the shape and strength of what the first layer of the network yields."""
    info = adapter.info.layers[0]
    bandwidth = info.cutoff or info.width / 4
    record = InputRecord(info.channels, info.width, float(info.rate or info.width), bandwidth, affine=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = SynthesisInput(adapter.info.w_dim, record).eval().requires_grad_(False)
    return fresh.to(next(adapter.module.parameters()).device)

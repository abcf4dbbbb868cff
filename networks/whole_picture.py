"""Pictures of alias-free networks in one go: the kernels of all layers in one call, once the layers have run one by one.

Small pictures spend as long in Python, between kernels, as in kernels. What is kept for a network holds only as long as its modules
and tensors are what they were and nobody watches a layer; else the layers run one by one, and are joined anew.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from ops.backend import stands_in

if TYPE_CHECKING:
    from ops.fast_cpu.chain import Chain
    from ops.fast_cpu.recorded import Run

_MOVING = ('transform', 'freqs', 'phases')
"""Buffers of the input, which may come anew with every picture."""
_HOOKS = ('_forward_hooks', '_forward_pre_hooks')
_MOST = 4
"""Chains of a network: for batches of several sizes."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A chain and what it was made from."""

    chain: 'Chain'
    owned: tuple[tuple[Mapping[str, Any], tuple[Any, ...]], ...]
    """Attributes, parameters, buffers and submodules of each module, and what was in them."""
    hooks: tuple[Mapping[Any, Any], ...]
    """Of all modules; empty."""
    calls: Mapping[str, int]
    """Of operators that the layers would make."""

    def is_watched(self) -> bool:
        """Whether somebody looks at what the modules do."""
        return any(self.hooks) or bool(_has_any_global_hook())

    def is_current(self) -> bool:
        """Whether the modules are what they were."""
        return all(len(kept) == len(owned) and all(map(is_, owned.values(), kept)) for owned, kept in self.owned)


@dataclass(slots=True)
class _Chains:
    """The one owner of chains; they go with their networks."""

    of_network: WeakKeyDictionary[nn.Module, dict[int, _Known]] = field(default_factory=WeakKeyDictionary)
    """By the size of the batch."""


_chains = _Chains()


def picture(
    synthesis: nn.Module, ws: Tensor, one_by_one: Callable[[], Tensor], layers: Callable[[], Sequence[nn.Module] | None]
) -> Tensor:
    """What `one_by_one()` returns for the latents `ws` [batch, num_ws, w_dim] when no gradients are recorded.

    `layers()`: the modules that it runs, the input first, each on the result of the one before; None where they are not the usual ones.
    """
    if not ws.is_cpu:
        return one_by_one()
    buffers = cast(nn.Module, synthesis._modules['input'])._buffers
    moving = (ws, *(cast(Tensor, buffers[name]) for name in _MOVING))
    chains = _chains.of_network.get(synthesis)
    known = None if chains is None else chains.get(ws.shape[0])
    if known is not None:
        if known.is_watched():
            return one_by_one()
        if known.is_current() and known.chain.holds(moving):
            return known.chain.run(moving) if stands_in('cpu', 'cpu', known.calls) else one_by_one()
        _chains.of_network[synthesis].pop(ws.shape[0], None)
    return _watched(synthesis, moving, one_by_one, layers)


def _watched(
    synthesis: nn.Module,
    moving: Sequence[Tensor],
    one_by_one: Callable[[], Tensor],
    layers: Callable[[], Sequence[nn.Module] | None],
) -> Tensor:
    """The layers one by one, and joined for the next time if that is possible."""
    if (
        'ops.fast_cpu.dispatch' not in sys.modules
    ):  # comes when the first operator is called, if this machine can have it
        return one_by_one()
    from ops.fast_cpu.recorded import watching

    with watching() as runs:
        x = one_by_one()
    modules = layers()
    if modules is None or len(runs) != len(modules) or runs[-1].out is not x:
        return x
    known = _joined(runs, synthesis, modules, moving)
    if known is not None:
        chains = _chains.of_network.setdefault(synthesis, {})
        if len(chains) >= _MOST:
            chains.clear()
        chains[moving[0].shape[0]] = known
    return x


def _joined(
    runs: 'Sequence[Run]', synthesis: nn.Module, modules: Sequence[nn.Module], moving: Sequence[Tensor]
) -> _Known | None:
    """What is kept of `runs`, one of each module."""
    from ops.fast_cpu.chain import join

    everything = [one for module in modules for one in module.modules()]
    hooks = tuple(one.__dict__[name] for one in everything for name in _HOOKS)
    if any(hooks) or any('forward' in one.__dict__ for one in everything) or _has_any_global_hook():
        return None
    weights = [cast(Tensor, layer._parameters['weight']) for layer in modules]
    copied = []
    for layer in modules[1:]:
        filters = [one for one in (layer._buffers['up_filter'], layer._buffers['down_filter']) if one is not None]
        copied += [layer._buffers['magnitude_ema'], *(filters or [layer._parameters['bias']])]
    others = {id(one) for one in (*weights, *copied, *moving)}
    read = [one for one in _parameters(everything) if id(one) not in others]
    chain = join(runs, moving, read=read, prepared=weights, copied=copied)
    if chain is None:
        return None
    holders: list[Mapping[str, Any]] = [synthesis._modules]
    for one in everything:
        holders += [one.__dict__, one._parameters, one._modules]
        holders.append(one._buffers if one is not modules[0] else {})
    owned = tuple((holder, tuple(holder.values())) for holder in holders if holder)
    return _Known(chain, owned, hooks, {'fourier_features': 1, 'synthesis_layer': len(modules) - 1})


def _parameters(modules: Sequence[nn.Module]) -> list[Tensor]:
    """Those of the modules themselves."""
    return [one for module in modules for one in module._parameters.values() if one is not None]

"""Parts of pictures for a hand that is faster than the network: which sizes there are, and the network that computes one."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from networks.adapters.base import Inspectable
from render.request import Part, RenderRequest
from render.result import PartSize, RenderResult

FRACTIONS = (2, 4, 8)
"""Of the picture's side."""
SMALLEST = 64
"""Pixels."""
_TWINS = 8
"""Parts of one network that are kept ready."""


@dataclass(slots=True)
class _Known:
    """What is remembered of one network."""

    sizes: tuple[PartSize, ...]
    why_not: str
    twins: OrderedDict[Part, Inspectable] = field(default_factory=OrderedDict)


class Parts:
    """The one owner of networks that compute parts; they share all tensors with the whole ones, and go with them."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Inspectable, _Known] = WeakKeyDictionary()

    def choose(self, adapter: Inspectable, request: RenderRequest) -> tuple[Inspectable, RenderRequest]:
        """Who renders `request`, and what is rendered: the whole picture, where a part cannot be had."""
        part = request.synthesis.part
        if part is None:
            return adapter, request
        known = self._of(adapter)
        if request.synthesis.layer is not None or known.why_not:
            return adapter, replace(request, synthesis=replace(request.synthesis, part=None))
        twin = known.twins.get(part)
        if twin is None:
            twin, _ = adapter.part((part.left, part.left + part.width), (part.top, part.top + part.height))
            if len(known.twins) >= _TWINS:
                known.twins.popitem(last=False)
            known.twins[part] = twin
        return twin, request

    def described(self, result: RenderResult, adapter: Inspectable) -> RenderResult:
        """The result, saying which parts of it could be asked for. `adapter`: of the whole picture."""
        if result.part is not None or result.layer is not None:
            return result
        known = self._of(adapter)
        return replace(result, part_sizes=known.sizes, why_no_parts=known.why_not)

    def clear(self) -> None:
        """Forget every network."""
        self._known.clear()

    def _of(self, adapter: Inspectable) -> _Known:
        known = self._known.get(adapter)
        if known is None:
            why_not = adapter.why_no_parts() or ''
            known = self._known[adapter] = _Known(() if why_not else _sizes(adapter), why_not)
        return known


def _sizes(adapter: Inspectable) -> tuple[PartSize, ...]:
    """Of squares in the middle, largest first."""
    whole, sizes = adapter.info.resolution, []
    for side in (whole // fraction for fraction in FRACTIONS):
        if side >= SMALLEST:
            middle = (whole - side) // 2, (whole - side) // 2 + side
            sizes.append(PartSize(side, adapter.part(middle, middle)[1]))
    return tuple(sizes)

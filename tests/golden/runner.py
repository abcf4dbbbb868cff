"""Runs golden fixtures through our implementation: finds the cases, calls their handlers, compares.

A *handler* computes the outputs of one case:

    Handler = Callable[[Case], Mapping[str, Tensor | None]]

It returns a tensor for every name in `case.wanted` (extra names are ignored; None where the function returns
None). Where the fixture holds expectations that are not tensors (`expected_attributes`, `layer_names`, `num_ws`) the
handler checks them and raises `Mismatch` with one sentence. Handlers live in `kinds_*.py`, in a dict `KINDS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


class Mismatch(Exception):
    """An expectation that is not a tensor was not met; the message says which, got and wanted."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of one entry, with its tensors loaded."""

    entry: Mapping[str, Any]
    """The manifest's entry as it stands (`parameters`, `buffers`, `expected_attributes`, `layer_names`, …)."""
    case: Mapping[str, Any]
    """The manifest's case as it stands."""
    args: Mapping[str, Any]
    inputs: Mapping[str, Tensor]
    """By name. Not listed = not given (None): use `.get`."""
    state: Mapping[str, Tensor]
    """Official tensor name -> value, float32; of the entry named by `state_from` where that is given."""
    config: Mapping[str, Any]
    """Keyword arguments of the constructor (of the `state_from` entry where the entry has none of its own)."""
    wanted: tuple[str, ...]
    """Names of the outputs that will be compared; also says which gradients and captures are asked for."""
    flags: frozenset[str]
    """'rng_draws': inject `draws()` where random numbers are drawn. 'rng_order': only with the official order."""

    @property
    def id(self) -> str:
        """`entry/case`, unique."""
        return f'{self.entry["id"]}/{self.case["id"]}'

    @property
    def kind(self) -> str:
        """Which handler runs it."""
        return self.entry['kind']

    def draws(self) -> list[tuple[str, Tensor]]:
        """Stored random numbers as (torch function name, values), in the order drawn."""
        names = sorted(name for name in self.inputs if name.startswith('draws/'))
        return [(name.split('_', 1)[1], self.inputs[name]) for name in names]


Handler = Callable[[Case], Mapping[str, Tensor | None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case: one line of the report."""

    id: str
    passed: bool
    error: float | None = None
    """Largest absolute difference over all outputs; None when nothing could be compared."""
    tolerance: float | None = None
    """Absolute tolerance of the output that was closest to (or furthest beyond) its limit."""
    reason: str = ''
    """Why it failed, one sentence; 'not yet' where nothing of ours answers this kind."""

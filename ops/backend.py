"""Which implementation of an operator runs, and why.

Every operator has a reference, its definition in plain torch. Some have a quicker version in plain torch ('torch') for any device;
`ops.fast_cpu` and `ops.cuda` may register compiled ones. Those are imported when an operator is first called, not before. A
backend may decline a call with a reason; the next one is asked: those of the tensor's device in the order of priority, then 'torch',
then the reference. Each reason is logged once and shown by `report()`.
"""

import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

BackendName = Literal['reference', 'torch', 'cpu', 'cuda']
Supports = Callable[[Tensor, Any], str | None]
"""Of the first tensor and the operator's spec: None = can run it; else the reason why not, without shapes in it."""

_MODULES: tuple[tuple[BackendName, str], ...] = (('cpu', 'ops.fast_cpu.offer'), ('cuda', 'ops.cuda.offer'))
_STATUS: tuple[tuple[BackendName, str], ...] = (('cpu', 'ops.fast_cpu.library'), ('cuda', 'ops.cuda.launcher'))
_ANY_DEVICE = ('torch', 'reference')
"""Backends for every device, the better one first; asked last."""
_OPERATORS = ('ops.bias_act', 'ops.filtered_lrelu', 'ops.modulated_conv2d', 'ops.upfirdn2d')
_IN_PLAIN_TORCH = ' in plain torch'
_MAX_REASONS = 256
"""Bound of the memory of reasons, should a backend invent new ones for ever."""

_log = logging.getLogger(__name__)
_Call = TypeVar('_Call', bound=Callable[..., Tensor])


class Unavailable(Exception):
    """Raised by a backend's module when it is imported where it cannot work; the sentence says why and what helps."""


@dataclass(frozen=True, slots=True)
class _Implementation:
    backend: BackendName
    call: Callable[..., Tensor]
    supports: Supports
    priority: int
    is_plain: Callable[[Any], bool] | None = None
    """Whether it runs a call with this spec in plain torch; None = never."""


@dataclass(slots=True)
class _Registry:
    """The one owner of what is registered and of what happened."""

    implementations: dict[str, list[_Implementation]] = field(default_factory=dict)
    unavailable: dict[BackendName, str] = field(default_factory=dict)
    """Backends whose module could not be imported, and why."""
    reasons: dict[tuple[str, BackendName, str], None] = field(default_factory=dict)
    last: dict[str, tuple[BackendName, str, str]] = field(default_factory=dict)
    """Operator -> who ran it most recently, on which device, and why nobody faster did ('' = nobody was asked)."""
    loaded: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)


@dataclass(slots=True)
class Usage:
    """Who ran the operators within a block; see `note_usage`."""

    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    """Operator and backend; a backend's version in plain torch is called 'cpu in plain torch'."""
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why nobody faster ran the last of those calls; '' = nobody was asked."""

    def notes(self) -> tuple[str, ...]:
        """A line for each operator: 'name: cpu'; one for each backend that ran it, with its share, where several did."""
        totals: dict[str, int] = {}
        for (op, _), count in self.calls.items():
            totals[op] = totals.get(op, 0) + count
        return tuple(self._note(op, backend, totals[op]) for op, backend in sorted(self.calls))

    def _note(self, op: str, backend: str, total: int) -> str:
        count = self.calls[op, backend]
        share = '' if count == total else f' ({count} of {total} calls)'
        is_plain = backend in _ANY_DEVICE or backend.endswith(_IN_PLAIN_TORCH)
        why = f': {self.reasons[op, backend]}' if is_plain and self.reasons[op, backend] else ''
        return f'{op}: {backend}{share}{why}'


_registry = _Registry()
_forced: ContextVar[tuple[BackendName, bool] | None] = ContextVar('forced backend', default=None)
_usage: ContextVar[Usage | None] = ContextVar('usage', default=None)


def always(x: Tensor, spec: Any) -> str | None:
    """None: the implementation declines nothing."""
    return None


def implements(
    op: str,
    backend: BackendName,
    supports: Supports = always,
    priority: int = 0,
    *,
    is_plain: Callable[[Any], bool] | None = None,
) -> Callable[[_Call], _Call]:
    """Decorator that registers an implementation of `op`; highest priority is asked first.

    The function receives what the operator's reference receives: its tensors, then its frozen spec. A backend may
    register several for one operator. `is_plain` says of a spec whether the call runs in plain torch all the same.
    """

    def register(call: _Call) -> _Call:
        with _registry.lock:
            new = _Implementation(backend, call, supports, priority, is_plain)
            ranked = [*(one for one in _registry.implementations.get(op, ()) if not _replaces(new, one)), new]
            _registry.implementations[op] = sorted(ranked, key=_order)
        return call

    return register


def pick(op: str, x: Tensor, spec: Any) -> Callable[..., Tensor]:
    """The implementation that shall run `op` on `x` now; a few microseconds.

    Raises `RuntimeError` inside `use_backend(name, strict=True)` when that backend declines.
    """
    if not _registry.loaded:
        _load()
    forced = _forced.get()
    device = x.device.type
    declined = ''
    for one in _registry.implementations.get(op, ()):
        if one.backend != 'reference':
            if one.backend not in (device, 'torch') or (forced is not None and forced[0] != one.backend):
                continue
            reason = one.supports(x, spec)
            if reason is not None:
                declined = _remember(op, one.backend, reason)
                continue
        elif forced is not None and forced[1] and forced[0] != 'reference':
            raise RuntimeError(f'{op} was to run on {forced[0]} only, but {_why(forced[0], device, declined)}')
        _registry.last[op] = (
            one.backend,
            device,
            declined if forced is None else declined or f'use_backend({forced[0]!r})',
        )
        if (usage := _usage.get()) is not None:
            by = one.backend if one.is_plain is None or not one.is_plain(spec) else one.backend + _IN_PLAIN_TORCH
            usage.calls[op, by] = usage.calls.get((op, by), 0) + 1
            usage.reasons[op, by] = declined
        return one.call
    raise LookupError(f'operator {op!r} has no reference implementation; import its module first')


def stands_in(backend: BackendName, device: str, calls: Mapping[str, int]) -> bool:
    """Whether `backend` may run these operators (with how many calls of each) in one go, unasked; then that is noted as theirs."""
    forced = _forced.get()
    if forced is not None and forced[0] != backend:
        return False
    usage, reason = _usage.get(), '' if forced is None else f'use_backend({forced[0]!r})'
    for op, count in calls.items():
        _registry.last[op] = (backend, device, reason)
        if usage is not None:
            usage.calls[op, backend] = usage.calls.get((op, backend), 0) + count
            usage.reasons[op, backend] = ''
    return True


def handed_on(op: str, by: BackendName, to: BackendName, reason: str) -> None:
    """The implementation of `by`, which was picked last, leaves this one call to that of `to`: `reason` holds for no others.

    `to` equal to `by` is the backend's version in plain torch.
    """
    declined = _remember(op, by, reason)
    device = _registry.last[op][1] if op in _registry.last else 'cpu'
    _registry.last[op] = (to, device, declined)
    if (usage := _usage.get()) is not None:
        usage.calls[op, by] = usage.calls.get((op, by), 1) - 1
        if not usage.calls[op, by]:
            del usage.calls[op, by]
        runner = to + _IN_PLAIN_TORCH if to == by else to
        usage.calls[op, runner] = usage.calls.get((op, runner), 0) + 1
        usage.reasons[op, runner] = declined


@contextmanager
def use_backend(name: BackendName, *, strict: bool = False) -> Iterator[None]:
    """Within the block and this thread, ask only backend `name`, then the reference.

    `strict`: raise `RuntimeError` instead of running the reference, so that a test cannot pass without its subject.
    """
    if name not in ('reference', 'torch', 'cpu', 'cuda'):
        raise ValueError(f"there is no backend {name!r}; choose 'reference', 'torch', 'cpu' or 'cuda'")
    token = _forced.set((name, strict))
    try:
        yield
    finally:
        _forced.reset(token)


@contextmanager
def note_usage() -> Iterator[Usage]:
    """Within the block and this thread, note who runs which operator."""
    usage = Usage()
    token = _usage.set(usage)
    try:
        yield usage
    finally:
        _usage.reset(token)


def needs_gradient(*tensors: Tensor | None) -> bool:
    """Whether autograd records a call on these tensors."""
    return torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in tensors)


def report() -> dict[str, str]:
    """For each operator who runs it and why: 'cpu', or 'reference: cpu declined (needs gradients)'."""
    for module in _OPERATORS:  # nobody may have called one yet
        importlib.import_module(module)
    if not _registry.loaded:
        _load()
    return {op: _describe(op) for op in sorted(_registry.implementations)}


def backends() -> dict[str, str]:
    """For each backend 'ready', or the reason why it cannot be used on this machine."""
    if not _registry.loaded:
        _load()
    present = {one.backend for ranked in _registry.implementations.values() for one in ranked}
    states = {name: 'ready' if name in present else 'registered no operator' for name, _ in _MODULES}
    return {**dict.fromkeys(reversed(_ANY_DEVICE), 'ready'), **states, **_registry.unavailable}


def kernel_notes() -> dict[str, str]:
    """For each backend a sentence about its compiled kernels, or the reason why it cannot be used."""
    states = backends()
    return {
        name: importlib.import_module(module).status() if states[name] == 'ready' else states[name]
        for name, module in _STATUS
    }


def _order(one: _Implementation) -> tuple[int, int]:
    """Those of a device first, then 'torch', then the reference."""
    return (1 + _ANY_DEVICE.index(one.backend) if one.backend in _ANY_DEVICE else 0), -one.priority


def _replaces(new: _Implementation, old: _Implementation) -> bool:
    """An operator has one version for any device of each kind; and a function registered again, by a reloaded module, replaces itself."""
    if new.backend != old.backend:
        return False
    return new.backend in _ANY_DEVICE or (new.call.__module__, new.call.__qualname__) == (
        old.call.__module__,
        old.call.__qualname__,
    )


def _describe(op: str) -> str:
    if op not in _registry.last:
        names = dict.fromkeys(one.backend for one in _registry.implementations[op])
        return f'not used yet; can run on {", ".join(names)}'
    backend, device, reason = _registry.last[op]
    if backend in _ANY_DEVICE and not reason:
        reason = _why(device, device, '')
    return f'{backend}: {reason}' if reason else backend


def _why(backend: str, device: str, declined: str) -> str:
    """Why a backend does not run an operator on a device."""
    unavailable = {str(name): reason for name, reason in _registry.unavailable.items()}
    if backend in unavailable:
        return f'{backend} is not available ({unavailable[backend]})'
    return declined or f'there is no faster version for {device} tensors'


def _remember(op: str, backend: BackendName, reason: str) -> str:
    """Log a reason the first time; return it as a phrase."""
    key = (op, backend, reason)
    if key not in _registry.reasons and len(_registry.reasons) < _MAX_REASONS:
        _registry.reasons[key] = None
        _log.info('%s: the %s backend declined: %s', op, backend, reason)
    return f'{backend} declined ({reason})'


def _load() -> None:
    """Import the backends that this machine can have; remember why the others cannot be used."""
    with _registry.lock:
        if _registry.loaded:
            return
        for backend, module in _MODULES:
            reason = _import(backend, module)
            if reason is not None:
                _registry.unavailable[backend] = reason
                _log.info('the %s backend is not available: %s', backend, reason)
        _registry.loaded = True


def _import(backend: BackendName, module: str) -> str | None:
    """Import a backend's module; None, or why that did not work."""
    if backend == 'cuda' and not torch.cuda.is_available():
        return _why_no_gpu()
    if importlib.util.find_spec(module) is None:
        return f'this version has no {module}'
    try:
        importlib.import_module(module)
    except Unavailable as error:
        return str(error)
    except Exception as error:  # whatever a kernel library does wrong at start, the reference still runs
        return f'{type(error).__name__}: {error}'
    return None


def _why_no_gpu() -> str:
    """What torch says about the GPU that it does not see."""
    if torch.version.cuda is None:
        return 'torch sees no NVIDIA GPU: it was built without CUDA'
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # "no NVIDIA driver", "driver too old (found version …)"
        return f'torch sees no NVIDIA GPU: {" ".join(str(error).split())[:200]}'
    return 'torch sees no NVIDIA GPU'

"""Compiled kernels, made on a background thread. What is asked for is a shape: the frozen value that decides the code.

By default a call waits for a missing kernel (a tenth of a second, once per machine), so that equal calls give equal bits. A window
that wants its first picture sooner takes the policy 'background': it gets its pictures from plain torch until the kernels are
there. Only the background thread imports the compiler, and nothing here needs torch: `compile_early` starts before that is imported.
"""

import importlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from ops.fast_cpu import object_cache
from ops.fast_cpu.shapes import Shape

Policy = Literal['wait', 'background', 'off']
"""What a call does that needs a kernel which is not there: wait for it, go on without it, or never use kernels."""

POLICY_VARIABLE = 'ALIASSCOPE_KERNELS'
_MAX_FAILURES = 64
_LONGEST_WAIT = 120.0
"""Seconds."""
_INSTALL = 'pip install --force-reinstall llvmlite'
_OFF = f'compiled kernels are switched off by {POLICY_VARIABLE}'
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Library:
    """The one owner of the compiled kernels."""

    ready: dict[Shape, int] = field(default_factory=dict)
    """Addresses."""
    failed: dict[Shape, str] = field(default_factory=dict)
    wanted: deque[Shape] = field(default_factory=deque)
    pending: set[Shape] = field(default_factory=set)
    unavailable: str | None = None
    """Why nothing can be compiled on this machine."""
    cache_problem: str | None = None
    """Why compiled kernels are not kept on the disk."""
    compiled: int = 0
    loaded: int = 0
    waited: float = 0.0
    """Seconds."""
    thread: threading.Thread | None = None
    early: bool = False
    """Whether the thread shall begin with what `ops.fast_cpu.early` names."""
    compiler: Any = None
    driver: int = 0
    """Address of the function by which threads run kernels."""
    policy: Policy | None = None
    policy_problem: str | None = None
    """What is wrong with what the environment says about it."""
    changed: threading.Condition = field(default_factory=threading.Condition)


_library = _Library()


def get(shape: Shape) -> int | None:
    """Address of the kernel, or None where it is not there yet or cannot be: then `why_not` says why."""
    address = _library.ready.get(shape)
    if address is not None or shape in _library.failed or _library.unavailable is not None:
        return address
    rule = policy()
    if rule == 'off':
        return None
    _request(shape)
    if rule == 'wait':
        _wait_for(lambda: shape not in _library.pending, _LONGEST_WAIT)
    return _library.ready.get(shape)


def compile_early() -> None:
    """Begin with kernels that will probably be asked for, if none are on the disk; returns at once, and needs no torch."""
    if policy() != 'off' and object_cache.is_empty():
        with _library.changed:
            _library.early = True
            _start()


def driver() -> tuple[int, object]:
    """Address of the function by which threads run kernels, and what it is there as long as; 0 before any kernel is ready."""
    return _library.driver, _library.compiler


def why_not(shape: Shape) -> str | None:
    """Why a kernel cannot be used now; None if it can, or if nobody has asked for it."""
    if shape in _library.ready:
        return None
    if policy() == 'off':
        return _OFF
    if _library.unavailable is not None:
        return _library.unavailable
    return 'its kernel is being compiled' if shape in _library.pending else _library.failed.get(shape)


def unusable() -> str | None:
    """Why no kernel at all is used; None where some are, or where nobody has asked for one yet."""
    return _OFF if policy() == 'off' else None if _library.ready else _library.unavailable


def asked() -> int:
    """How many kernels have been asked for so far."""
    return len(_library.ready) + len(_library.failed) + len(_library.pending)


def had_all_since(count: int) -> bool:
    """Whether every kernel asked for since `asked()` gave `count` was there at once, or was waited for."""
    return policy() == 'wait' or (asked() == count and not _library.pending)


def has_wide_vectors() -> bool:
    """Whether 16 numbers fit a register of this processor."""
    from torch.backends import cpu

    return cpu.get_cpu_capability() == 'AVX512'


def policy() -> Policy:
    """What to do about missing kernels: what the environment says, or wait for them."""
    if _library.policy is None:
        named = os.environ.get(POLICY_VARIABLE, 'wait')
        if named not in ('background', 'wait', 'off'):
            _library.policy_problem = (
                f"{POLICY_VARIABLE} is {named!r}, which counts as 'wait'; use wait, background or off"
            )
            _log.warning('%s.', _library.policy_problem)
            named = 'wait'
        _library.policy = named
    return _library.policy


@contextmanager
def use_policy(rule: Policy) -> Iterator[None]:
    """Within the block, treat missing kernels so; for the whole program, since one thread renders."""
    before, _library.policy = policy(), rule
    try:
        yield
    finally:
        _library.policy = before


def wait(seconds: float = _LONGEST_WAIT) -> bool:
    """Wait until everything asked for is compiled or has failed; False if that takes longer than `seconds`."""
    return _wait_for(lambda: not _library.pending and not _library.early, seconds)


def waited() -> float:
    """Seconds that this program has waited for kernels so far."""
    return _library.waited


def _wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    with _library.changed:
        started = time.perf_counter()
        happened = _library.changed.wait_for(condition, seconds)
        _library.waited += time.perf_counter() - started
        return happened


def status() -> str:
    """One sentence: what is compiled, and what is wrong if something is."""
    with _library.changed:
        off = _OFF if policy() == 'off' else _library.unavailable
        if off is not None:
            return off if _library.policy_problem is None else f'{off}; {_library.policy_problem}'
        parts = [f'{_library.compiled} kernels compiled, {_library.loaded} read from the disk']
        if _library.pending:
            parts.append(f'{len(_library.pending)} being compiled')
        parts += [f'{shape.name}: {reason}' for shape, reason in _library.failed.items()]
        if _library.cache_problem is not None:
            parts.append(_library.cache_problem)
        if _library.policy_problem is not None:
            parts.append(_library.policy_problem)
        return '; '.join(parts)


def _request(shape: Shape) -> None:
    with _library.changed:
        if shape in _library.pending or shape in _library.ready or shape in _library.failed:
            return
        _library.pending.add(shape)
        _library.wanted.appendleft(shape)  # before what nobody has asked for yet
        _start()


def _start() -> None:
    """See to it that the thread runs; with the lock held."""
    if _library.thread is None or not _library.thread.is_alive():  # a forked process inherits no threads
        # Not a daemon: a thread killed inside LLVM at exit would crash; `_work` stops soon after the program.
        _library.thread = threading.Thread(target=_work, name='kernel compiler')
        _library.thread.start()


def _work() -> None:
    """Compile what is wanted, then end."""
    if _library.early:
        _want_early()
    while True:
        with _library.changed:
            if not _library.wanted or not threading.main_thread().is_alive():
                _library.pending.clear()
                _library.wanted.clear()
                _library.thread = None
                _library.changed.notify_all()
                return
            shape = _library.wanted.popleft()
        reason = _build(shape)
        with _library.changed:
            if reason is not None:
                _log.warning('The kernel %s is not used: %s.', shape.name, reason)
                _library.failed[shape] = reason
                if len(_library.failed) > _MAX_FAILURES:
                    _library.unavailable = f'too many kernels could not be compiled, the last one because: {reason}'
            _library.pending.discard(shape)
            _library.changed.notify_all()


def _want_early() -> None:
    """Put on the list what `ops.fast_cpu.early` names, behind what was asked for."""
    shapes: tuple[Shape, ...] = ()
    try:
        if _prepare() is None:
            shapes = importlib.import_module('ops.fast_cpu.early').shapes(wide=_library.compiler.has_wide_vectors)
    finally:
        with _library.changed:
            new = [one for one in shapes if one not in _library.pending and one not in _library.ready]
            _library.pending.update(new)
            _library.wanted.extend(new)
            _library.early = False
            _library.changed.notify_all()


def _prepare() -> str | None:
    """Have a compiler; None, or why that is impossible."""
    try:
        if _library.compiler is None:
            _library.compiler = importlib.import_module('ops.fast_cpu.kernels.compile').Compiler()
            driver = importlib.import_module('ops.fast_cpu.kernels.driver')
            _library.driver = _address(driver.NAME, lambda: driver.TEXT)[0]
    except Exception as error:  # a broken or much older llvmlite raises whatever it likes: the picture goes on
        kind = '' if isinstance(error, (ImportError, OSError, RuntimeError)) else f'{type(error).__name__}: '
        _library.unavailable = f'no kernels can be compiled here ({kind}{error}); {_INSTALL} brings the compiler'
    return _library.unavailable


def _build(shape: Shape) -> str | None:
    """Compile or read one kernel; None, or why that did not work."""
    problem = _prepare()
    if problem is not None:
        return problem
    try:
        writer = importlib.import_module(f'ops.fast_cpu.kernels.{shape.writer}')
        _library.ready[shape], was_kept = _address(shape.name, lambda: writer.write(shape))
        _library.loaded += was_kept
        _library.compiled += not was_kept
    except Exception as error:  # a kernel that LLVM does not take must not take the picture away
        return f'{type(error).__name__}: {error}'
    return None


def _address(name: str, write: Callable[[], str]) -> tuple[int, bool]:
    """Address of a function, compiled from the text that `write` returns or read from the disk, and whether it was."""
    key = object_cache.key_of(_library.compiler.identity, name)
    kept, problem = object_cache.read(key)
    code = kept
    if code is None:
        code = _library.compiler.compile(write())
        problem = object_cache.write(key, code)
    _library.cache_problem = problem or _library.cache_problem  # a full disk may still take a smaller one
    return _library.compiler.link(code, name), kept is not None

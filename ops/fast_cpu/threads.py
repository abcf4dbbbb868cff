"""Runs a compiled kernel on several threads: the one that calls, and helpers that wait in machine code without Python's lock.

The thread that calls never waits for a helper without a job, so a busy machine costs speed but no pauses; a runtime of
the OpenMP kind waits for its whole team after every kernel. There are as many helpers as torch has threads, less one.
"""

import ctypes
import struct
import sys
import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

NO_LIMIT = 3.0e38
"""A clamp that changes nothing."""
_ALIGNMENT = 64
"""A line of the cache."""
_BOARD = ('word', 'done', 'jobs', 'call', 'kernel', 'arguments', 'scratch', 'scratch_bytes', 'patience', 'yield')
"""Fields of the board that the threads share (64 bits each); then one per helper, 1 while it is awake.
`word`: number of the call << 32 | jobs left."""
_MOST_HELPERS = 63
_PATIENCE = 500
"""Looks at the board before a helper goes to sleep: a few tenths of a millisecond, more than between two kernels."""
_CALLS = 2**31

_Drive = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)


@dataclass(slots=True)
class _Helper:
    """A thread and the lock that it sleeps on."""

    thread: threading.Thread
    asleep: Any


@dataclass(slots=True)
class _Pool:
    """The one owner of the threads; `lock` is held while a kernel runs on them."""

    drive: Callable[[int, int], None] | None = None
    board: array = field(default_factory=lambda: array('q', [0] * (len(_BOARD) + _MOST_HELPERS)))
    owners: list[object] = field(default_factory=list)
    helpers: list[_Helper] = field(default_factory=list)
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    memory: threading.local = field(default_factory=threading.local)
    """What each thread that calls kernels keeps."""


_pool = _Pool()


def use_driver(address: int, owner: object) -> None:
    """Take the compiled function of `ops.fast_cpu.kernels.driver`, which is there as long as its owner."""
    _pool.drive = _Drive(address)
    _pool.owners.append(owner)  # for ever: a helper may be in it at any time


def run(kernel: int, jobs: int, scratch_floats: int, fields: list[int]) -> None:
    """Run all jobs of the kernel at an address on up to `torch.get_num_threads()` threads.

    `fields`: the kernel's arguments.  `scratch_floats`: memory that each thread needs.
    """
    if jobs < 1:
        return
    size = -(-scratch_floats * 4 // _ALIGNMENT) * _ALIGNMENT + _ALIGNMENT
    helpers = min(torch.get_num_threads(), jobs, _MOST_HELPERS + 1) - 1
    if helpers > 0 and _pool.lock.acquire(blocking=False):
        try:
            _wake(helpers)
            _drive(_pool.board, kernel, jobs, _scratch((1 + len(_pool.helpers)) * size), size, fields)
        finally:
            _pool.lock.release()
    else:  # alone, or others are using the helpers
        _drive(array('q', [0] * len(_BOARD)), kernel, jobs, _scratch(size), size, fields)


def float_bits(value: float) -> int:
    """A float32 as the integer of its bits, as kernels take it."""
    return struct.unpack('<i', struct.pack('<f', value))[0]


def workspace(size: int) -> Tensor:
    """Memory for `size` floats that this thread keeps and hands out again at the next call."""
    return _block('signal', size)[:size]


def _drive(board: array, kernel: int, jobs: int, scratch: int, size: int, fields: list[int]) -> None:
    assert _pool.drive is not None
    arguments = array('q', fields)
    _pool.calls = _pool.calls % _CALLS + 1
    board[2:10] = array(
        'q', [jobs, _pool.calls, kernel, arguments.buffer_info()[0], scratch, size, _PATIENCE, _yield()]
    )
    _pool.drive(board.buffer_info()[0], 0)


def _wake(count: int) -> None:
    """See to it that helpers are awake, or will be; starts those that do not exist."""
    while len(_pool.helpers) < count:
        _start(len(_pool.helpers) + 1)
    for number, helper in enumerate(_pool.helpers[:count], len(_BOARD)):
        if not _pool.board[number] and helper.asleep.locked():
            helper.asleep.release()


def _start(number: int) -> None:
    pool, board, asleep = _pool, _pool.board, threading.Lock()
    asleep.acquire()
    board[8:10] = array('q', [_PATIENCE, _yield()])

    def work() -> None:
        address = board.buffer_info()[0]
        while True:
            asleep.acquire()
            assert pool.drive is not None
            pool.drive(address, number)

    # A daemon: it only ever waits for a lock or looks at the board, which its frame keeps alive.
    thread = threading.Thread(target=work, name=f'cpu kernels {number}', daemon=True)
    _pool.helpers.append(_Helper(thread, asleep))
    thread.start()


def _yield() -> int:
    """Address of the system's function that lets other threads run."""
    address: int | None = getattr(_pool.memory, 'give_way', None)
    if address is None:
        if sys.platform == 'win32':
            function = ctypes.WinDLL('kernel32').SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
        address = _pool.memory.give_way = ctypes.cast(function, ctypes.c_void_p).value or 0
    return address


def _scratch(size: int) -> int:
    """Address of at least `size` bytes that only this thread's kernels use."""
    return _block('scratch', size // 4).data_ptr()


def _block(name: str, size: int) -> Tensor:
    """At least `size` floats, from the start of a line of the cache."""
    memory: Tensor | None = getattr(_pool.memory, name, None)
    if memory is None or memory.numel() < size:
        with torch.inference_mode(False):
            memory = torch.empty(size + _ALIGNMENT // 4)
        memory = memory[-memory.data_ptr() % _ALIGNMENT // 4 :]
        setattr(_pool.memory, name, memory)
    return memory

"""Runs compiled kernels on several threads: the one that calls, and helpers that wait in machine code without Python's lock.

The thread that calls never waits for a helper without a job, so a busy machine costs speed but no pauses; a runtime of
the OpenMP kind waits for its whole team after every kernel. There are as many helpers as torch has threads, less one.
"""

import ctypes
import struct
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ops.fast_cpu import blocks, library

NO_LIMIT = 3.0e38
"""A clamp that changes nothing."""
STEP_WORDS = 3
"""Of a step at the start of a program: address of the kernel, number of jobs, where its arguments are (bytes from the start)."""
_ALIGNMENT = 64
"""A line of the cache."""
_BOARD = ('word', 'done', 'jobs', 'call', 'kernel', 'arguments', 'scratch', 'scratch_bytes', 'patience', 'yield',
          'program', 'steps', 'step')  # fmt: skip
"""Fields of the board that the threads share (64 bits each); then one per helper, 1 while it is awake.
`word`: number of the call << 32 | jobs left.  `program`: address of the steps to run, `steps`: how many, 0 while none run, `step`: which one is running."""
_SCRATCH, _PROGRAM, _STEPS = (_BOARD.index(name) for name in ('scratch', 'program', 'steps'))
_MOST_HELPERS = 63
_PATIENCE = 500
"""Looks at the board before a helper goes to sleep: a few tenths of a millisecond, more than between two kernels."""

_Drive = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a kernel."""

    kernel: int
    """Address."""
    jobs: int
    scratch_floats: int
    """Memory that each thread needs."""
    fields: list[int]
    """The kernel's arguments."""


@dataclass(slots=True)
class _Helper:
    """A thread and the lock that it sleeps on."""

    thread: threading.Thread
    asleep: Any


@dataclass(slots=True)
class _Pool:
    """The one owner of the threads; `lock` is held while a kernel runs on them."""

    drive: Callable[[int, int], None] | None = None
    group: int = 0
    board: array = field(default_factory=lambda: array('q', [0] * (len(_BOARD) + _MOST_HELPERS)))
    owners: list[object] = field(default_factory=list)
    helpers: list[_Helper] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    memory: threading.local = field(default_factory=threading.local)
    """What each thread that calls kernels keeps."""


_pool = _Pool()


def _take_driver() -> None:
    """Have the compiled function of `ops.fast_cpu.kernels.driver`, which is there once a kernel is."""
    address, owner = library.driver()
    drive, answer = _Drive(address), array('q', [0])
    drive(answer.buffer_info()[0], -1)
    _pool.group, _pool.drive = answer[0], drive
    _pool.owners.append(owner)  # for ever: a helper may be in it at any time


def group_kernel() -> int:
    """Address of a kernel whose jobs are those of others.

    Its arguments: how many, then for each its number of jobs, its address and where its arguments are (bytes from here).
    """
    return _pool.group


def run(kernel: int, jobs: int, scratch_floats: int, fields: list[int]) -> None:
    """Run all jobs of the kernel at an address on up to `torch.get_num_threads()` threads.

    `fields`: the kernel's arguments.  `scratch_floats`: memory that each thread needs.
    """
    if jobs < 1:
        return
    recorded: list[Step] | None = getattr(_pool.memory, 'recorded', None)
    if recorded is not None:
        recorded.append(Step(kernel, jobs, scratch_floats, fields))
    run_program(array('q', [kernel, jobs, 8 * STEP_WORDS, *fields]), 1, jobs, scratch_floats)


def run_program(program: array, steps: int, most_jobs: int, scratch_floats: int) -> None:
    """Run kernels one after the other: `STEP_WORDS` for each step, then their arguments.

    `most_jobs`: of a step.  `scratch_floats`: memory that each thread needs.
    """
    if _pool.drive is None:
        _take_driver()
    size = -(-scratch_floats * 4 // _ALIGNMENT) * _ALIGNMENT + _ALIGNMENT
    helpers = min(torch.get_num_threads(), most_jobs, _MOST_HELPERS + 1) - 1
    if helpers > 0 and _pool.lock.acquire(blocking=False):
        try:
            _pool.board[_STEPS] = steps  # before it is looked at who sleeps: from now on nobody who is awake will
            _wake(helpers)
            _drive(_pool.board, program, steps, (1 + len(_pool.helpers)) * size, size)
        finally:
            _pool.board[_STEPS] = 0
            _pool.lock.release()
    else:  # alone, or others are using the helpers
        board: array | None = getattr(_pool.memory, 'board', None)
        if board is None:
            board = _pool.memory.board = array('q', [0] * len(_BOARD))
        _drive(board, program, steps, size, size)


@contextmanager
def recording() -> Iterator[list[Step]]:
    """Within the block, the calls of this thread are also kept in the list."""
    steps: list[Step] = []
    _pool.memory.recorded = steps
    try:
        yield steps
    finally:
        _pool.memory.recorded = None


def float_bits(value: float) -> int:
    """A float32 as the integer of its bits, as kernels take it."""
    return struct.unpack('<i', struct.pack('<f', value))[0]


def workspace(size: int) -> Tensor:
    """Memory for `size` floats that this thread keeps and hands out again at the next call."""
    return _block('signal', size)[:size]


def workspace_address(size: int) -> int:
    """Address of that memory."""
    return _block('signal', size).data_ptr()


def _drive(board: array, program: array, steps: int, scratch_bytes: int, bytes_of_thread: int) -> None:
    assert _pool.drive is not None
    board[_SCRATCH : _SCRATCH + 4] = array(
        'q', [_block('scratch', scratch_bytes // 4).data_ptr(), bytes_of_thread, _PATIENCE, _yield()]
    )
    board[_PROGRAM] = program.buffer_info()[0]
    board[_STEPS] = steps
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
    board[_SCRATCH + 2 : _PROGRAM] = array('q', [_PATIENCE, _yield()])

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


def _block(name: str, size: int) -> Tensor:
    """At least `size` floats, from the start of a line of the cache."""
    memory: Tensor | None = getattr(_pool.memory, name, None)
    if memory is None or memory.numel() < size:
        memory = blocks.allocate(size)
        setattr(_pool.memory, name, memory)
    return memory

"""Runs a compiled kernel on the threads that torch already has.

A kernel takes jobs until none are left, so any number of threads may run it, and they may arrive late. On Linux they
are those of the OpenMP runtime that torch uses: no second pool competes for the cores. Elsewhere: a few Python threads.
"""

import ctypes
import threading
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

_ALIGNMENT = 64
"""A line of the cache."""


@dataclass(slots=True)
class _Pool:
    """How to start a function on several threads, found once."""

    fork: Callable[..., None] | None = None
    executor: ThreadPoolExecutor | None = None
    known: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    memory: threading.local = field(default_factory=threading.local)
    """Scratch memory of each thread that calls kernels."""


_pool = _Pool()
Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
"""A compiled kernel; calling it releases Python's lock."""


def run(function: 'Callable[[int], None]', jobs: int, scratch_floats: int, fields: list[int]) -> None:
    """Run a kernel on up to `torch.get_num_threads()` threads; returns when all jobs are done.

    `fields`: the kernel's own arguments.  `scratch_floats`: memory that each thread needs.
    """
    threads = max(1, min(torch.get_num_threads(), jobs))
    size = -(-scratch_floats * 4 // _ALIGNMENT) * _ALIGNMENT + _ALIGNMENT
    scratch = _scratch(threads * size)
    arguments = array('q', [0, jobs, 0, scratch, size, *fields])
    address = arguments.buffer_info()[0]
    if threads == 1:
        function(address)
    else:
        _fork(function, address, threads)


def workspace(size: int) -> Tensor:
    """Memory for `size` floats that this thread keeps and hands out again at the next call."""
    return _block('signal', size)[:size]


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


def _fork(function: Callable[[int], None], address: int, threads: int) -> None:
    if not _pool.known:
        with _pool.lock:
            _pool.fork, _pool.known = _openmp(), True
    if _pool.fork is not None:
        _pool.fork(function, address, threads, 0)
        return
    with _pool.lock:
        if _pool.executor is None:
            _pool.executor = ThreadPoolExecutor(thread_name_prefix='cpu kernels')
    others = [_pool.executor.submit(function, address) for _ in range(threads - 1)]
    function(address)
    for other in others:
        other.result()


def _openmp() -> Callable[..., None] | None:
    """The entry of GNU's OpenMP runtime that torch loaded; None where torch uses another one."""
    try:
        fork = ctypes.CDLL(None).GOMP_parallel
    except (AttributeError, OSError, TypeError):
        return None
    fork.argtypes, fork.restype = [Function, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
    return fork

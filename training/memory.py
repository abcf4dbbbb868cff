"""How much memory this process may take, has taken, and must not go beyond."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_CONTROL_GROUP = Path('/sys/fs/cgroup')
_MEMORY_TABLE = Path('/proc/meminfo')
_STATUS = Path('/proc/self/statm')


def available_bytes(device: torch.device) -> int | None:
    """What is free for this process on `device`; None when the system does not say."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    found = [free for free in (_free_in_machine(), _free_in_container()) if free is not None]
    return min(found) if found else None


def peak_bytes(device: torch.device) -> int | None:
    """The most that this process has taken so far; None when the system does not say."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == 'win32':
        return None
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


@contextmanager
def limited_to(more: int | None) -> Iterator[None]:
    """Inside, taking `more` bytes than now fails with an error instead of bringing the machine to its knees (Linux only)."""
    if more is None or not sys.platform.startswith('linux'):
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    now = int(_STATUS.read_text().split()[0]) * resource.getpagesize()
    limit = now + more if before[1] == resource.RLIM_INFINITY else min(now + more, before[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that there is no more memory: NumPy's, torch's on a GPU, and torch's on a CPU, which has no type."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and 'allocate memory' in str(error)
    )


def _free_in_machine() -> int | None:
    try:
        rows = dict(line.split(':', 1) for line in _MEMORY_TABLE.read_text().splitlines())
        return int(rows['MemAvailable'].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return None


def _free_in_container() -> int | None:
    """None where there is no limit."""
    try:
        limit, taken = ((_CONTROL_GROUP / name).read_text() for name in ('memory.max', 'memory.current'))
        return max(int(limit) - int(taken), 0)
    except (OSError, ValueError):  # 'max'
        return None

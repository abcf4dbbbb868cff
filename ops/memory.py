"""How the C library keeps memory that tensors gave back."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Options of glibc's mallopt."""
KEPT_BYTES = 1 << 29
PAD_BYTES = 1 << 26


def keep_freed_memory() -> bool:
    """Have glibc keep up to half a gigabyte of freed memory for the next tensor; False where there is no glibc.

    By default each large tensor is fresh pages from the system, zeroed one fault at a time: on a virtual machine more than
    half of the time of a resampling step (`docs/performance.md`).
    """
    if sys.platform != 'linux':
        return False
    try:
        mallopt = ctypes.CDLL('libc.so.6').mallopt
    except (OSError, AttributeError):  # musl and others
        return False
    settings = ((_MMAP_THRESHOLD, KEPT_BYTES), (_TRIM_THRESHOLD, KEPT_BYTES), (_TOP_PAD, PAD_BYTES))
    return all([mallopt(option, value) == 1 for option, value in settings])

"""Small steps on one thread.

After each step that it shared, the OpenMP runtime of torch keeps its idle threads spinning for milliseconds; meanwhile they take
the cores from whoever else needs them: the kernels of `ops.fast_cpu`, the window, the software renderer. For a step
of a few microseconds that is a bad bargain.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SMALL = 2**20


@contextmanager
def one_thread_if_small(numbers: int) -> Iterator[None]:
    """Within the block and this thread, torch shares nothing, if `numbers` (of the largest tensor) are not many."""
    threads = torch.get_num_threads()
    if threads == 1 or numbers > _SMALL or not torch.backends.openmp.is_available():
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

"""Threads that share the jobs of kernels."""

import ctypes
import threading
import time
from array import array

import pytest
import torch

from ops.backend import use_backend
from ops.fast_cpu import library, threads
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass

_KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)


@pytest.mark.skipif(library.policy() == 'off', reason='kernels are switched off')
def test_a_helper_takes_part_in_every_step_of_a_program_also_after_one_long_job(two_threads):
    workers: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}

    def kernel(step: int, seconds: float):
        def job(arguments: int, number: int, scratch: int) -> None:
            workers[step].add(threading.get_ident())
            time.sleep(seconds)

        return _KERNEL(job)

    jobs = (2, 1, 2)  # the second has nothing for the helper, for a hundred times its patience
    kernels = [kernel(step, seconds) for step, seconds in enumerate((0.02, 0.1, 0.02))]
    words = array('q')
    for one, count in zip(kernels, jobs, strict=True):
        words.extend([ctypes.cast(one, ctypes.c_void_p).value or 0, count, 8 * 3 * threads.STEP_WORDS])
    threads.run_program(words, len(jobs), max(jobs), 16)
    assert [len(workers[step]) for step in range(3)] == [2, 1, 2]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    taps = lowpass(12, 4, 2, 32)
    with use_backend('cpu'):  # the function that drives kernels comes with the first of them
        filtered_lrelu(torch.zeros(1, 16, 36, 36), taps, taps, up=2, down=2, padding=11)
    yield
    torch.set_num_threads(before)

"""Freed memory is kept for the next tensor."""

import resource
import sys

import pytest
import torch

from ops.memory import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='only glibc is told')
def test_the_same_large_tensor_again_costs_no_page_faults():
    if not keep_freed_memory():
        pytest.skip('this C library is not glibc')

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        torch.ones(4 * 2**20)
        return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

    first = faults()
    later = [faults() for _ in range(5)]
    pages = 16 * 2**20 // resource.getpagesize()
    assert min(later) < pages / 10, f'{first} faults at first, then {later}'

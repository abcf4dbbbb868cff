"""The machine code of the CPU kernels, where that decides about their speed."""

import platform

import pytest

from ops.fast_cpu.filter_shape import FilterShape

_ALIGN_STACK_TO_32 = bytes.fromhex('4883e4e0')
"""`and rsp, -32` of x86-64."""


@pytest.mark.skipif(platform.machine() not in ('x86_64', 'AMD64'), reason='looks for an instruction of x86-64')
def test_vectors_that_a_kernel_keeps_on_the_stack_begin_at_multiples_of_their_size() -> None:
    compiler = pytest.importorskip('ops.fast_cpu.kernels.compile').Compiler()
    writer = pytest.importorskip('ops.fast_cpu.kernels.filter')
    shape = FilterShape(8, 2, 6, 2, 12, 1, mirrored=True, up_mirrored=True, nested=True, skipped=0, planar=False)
    assert _ALIGN_STACK_TO_32 in compiler.compile(writer.write(shape))

"""Stands in for `ops.cuda.launcher`: compiles with NVRTC and runs the PTX on the CPU, on tensors in its memory."""

import ctypes
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from torch import Tensor

from ops.cuda.code import THREADS, KernelCode
from tests.ops.nvrtc import compile_to_ptx
from tests.ops.ptx_machine import Machine, Memory
from tests.ops.ptx_text import Kernel, parse


def launch(code: KernelCode, blocks: int, parameter: bytes, tensors: Sequence[Tensor]) -> None:
    """As `ops.cuda.launcher.launch`."""
    memory = Memory({one.data_ptr(): _bytes(one) for one in tensors})
    Machine(_kernel(code), memory, parameter, blocks=blocks, threads=THREADS).run()
    memory.write_back()


def prepare(code: KernelCode, device: int) -> None:
    """As `ops.cuda.launcher.prepare`."""
    _kernel(code)


@lru_cache(maxsize=256)
def _kernel(code: KernelCode) -> Kernel:
    return parse(compile_to_ptx(code))


def _bytes(one: Tensor) -> np.ndarray:
    """What the tensor's elements span, not a copy."""
    last = sum((size - 1) * stride for size, stride in zip(one.shape, one.stride(), strict=True))
    count = (last + 1) * one.element_size()
    return np.ctypeslib.as_array(ctypes.cast(one.data_ptr(), ctypes.POINTER(ctypes.c_uint8)), (count,))

"""NVRTC from its wheel: CUDA C++ to PTX on a machine without GPU or driver."""

import ctypes
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from ops.cuda.code import KernelCode

NAMES = ('libnvrtc.so.13', 'nvrtc64_130_0.dll')


@lru_cache(maxsize=1)
def library() -> Any:
    """The loaded library; None where its wheel is not installed (there is none for macOS)."""
    found = importlib.util.find_spec('nvidia')
    for root in () if found is None else found.submodule_search_locations or ():
        for name in NAMES:
            for path in sorted(Path(root).rglob(name)):
                return ctypes.CDLL(str(path))
    if sys.platform == 'linux':
        raise FileNotFoundError('NVRTC is missing: pip install -r requirements-dev.txt')
    return None


@lru_cache(maxsize=1)
def architectures() -> tuple[int, ...]:
    """What it can compile for, e.g. (75, 80, …)."""
    count = ctypes.c_int()
    _check(library().nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    values = (ctypes.c_int * count.value)()
    _check(library().nvrtcGetSupportedArchs(values))
    return tuple(values)


@lru_cache(maxsize=256)
def compile_to_ptx(code: KernelCode, architecture: int = 80) -> str:
    """PTX of a kernel. Raises `AssertionError` with the compiler's complaints, warnings included."""
    ptx, log = _compile(code, f'compute_{architecture}')
    assert not log.strip(), log
    return ptx


def assembler_report(code: KernelCode, architecture: int) -> str:
    """What the assembler behind PTX says of a kernel's machine code: registers, spills, shared memory."""
    return _compile(code, f'sm_{architecture}', '--ptxas-options=-v')[1]


def _compile(code: KernelCode, target: str, *more: str) -> tuple[str, str]:
    """PTX and log. Raises `AssertionError` with the log where that fails."""
    nvrtc, program = library(), ctypes.c_void_p()
    _check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.text().encode(), b'kernel.cu', 0, None, None))
    options = [option.encode() for option in (*code.options, f'--gpu-architecture={target}', *more)]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = _text(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog)
    assert not failed, log
    ptx = _text(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return ptx, log


def _text(program: ctypes.c_void_p, size_of: Any, get: Any) -> str:
    size = ctypes.c_size_t()
    _check(size_of(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _check(get(program, text))
    return text.value.decode()


def _check(code: int) -> None:
    assert code == 0, f'NVRTC error {code}'

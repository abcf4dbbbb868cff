"""Pictures from CUDA to OpenGL without a way through the CPU's memory, where one device does both.

The host copy of a picture is always made too (the pixel probe and captures read it) and is what is uploaded wherever this
does not work. Switched on with ALIASSCOPE_INTEROP=1 until its gain has been measured on a GPU (docs/gpu.md).
Called by the thread that owns the OpenGL context; pictures are complete when they get here.
"""

import ctypes
import logging
import os
import sys
import threading
import weakref
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SWITCH = 'ALIASSCOPE_INTEROP'
_KEPT = 4
"""Pictures whose device copy is kept: two sides, and the next of each."""
_TEXTURE_2D, _WRITE_DISCARD, _DEVICE_TO_DEVICE = 0x0DE1, 2, 3
_log = logging.getLogger(__name__)


class InteropFailed(RuntimeError):
    """The CUDA runtime refused; the sentence says what."""


@dataclass(slots=True)
class _Interop:
    """The one owner of what is remembered."""

    pictures: deque[tuple[weakref.ref[np.ndarray], Any]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    """(host copy, uint8 tensor [height, width, 4] on the device)."""
    problem: str = ''
    copied: int = 0
    runtime: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_interop = _Interop()


def is_wanted() -> bool:
    """Whether the user switched it on and nothing went wrong yet."""
    return os.environ.get(SWITCH) == '1' and not _interop.problem


def remember(host: np.ndarray, device: Any) -> None:
    """That `device`, a contiguous uint8 CUDA tensor, holds the same picture as `host`."""
    if is_wanted():
        with _interop.lock:
            _interop.pictures.append((weakref.ref(host), device))


def upload(host: np.ndarray, texture: int) -> bool:
    """Fill OpenGL texture `texture`, whose storage fits, from the device's copy of `host`; False: there is none, or no way."""
    if not is_wanted():
        return False
    with _interop.lock:
        device = next((device for known, device in _interop.pictures if known() is host), None)
    if device is None:
        return False
    try:
        if _interop.runtime is None:
            _interop.runtime = load_runtime()
        copy(_interop.runtime, texture, device.data_ptr(), host.shape[1], host.shape[0])
    except (OSError, AttributeError, InteropFailed) as error:
        _interop.problem = ' '.join(str(error).split())[:160]
        _log.warning('pictures go through the memory of the CPU: %s', error)
        return False
    _interop.copied += 1
    return True


def note() -> str:
    """For the performance panel; empty where nobody switched it on."""
    if os.environ.get(SWITCH) != '1':
        return ''
    if _interop.problem:
        return f'upload: through the memory of the CPU ({_interop.problem})'
    return f'upload: {_interop.copied} pictures without a way through the CPU'


def load_runtime() -> Any:
    """The CUDA runtime that torch has loaded. Raises `OSError` where there is none."""
    import torch

    major = (torch.version.cuda or '').partition('.')[0]
    if not major:
        raise OSError('this torch was built without CUDA')
    return ctypes.CDLL(f'cudart64_{major}.dll' if sys.platform == 'win32' else f'libcudart.so.{major}')


def copy(runtime: Any, texture: int, source: int, width: int, height: int) -> None:
    """Copy [height, width, 4] bytes at the device address `source` into a texture. Raises `InteropFailed`."""
    resource, array = ctypes.c_void_p(), ctypes.c_void_p()
    row, zero = ctypes.c_size_t(4 * width), ctypes.c_size_t(0)

    def call(name: str, *arguments: Any) -> None:
        code = getattr(runtime, name)(*arguments)
        if code != 0:
            raise InteropFailed(f'{name} failed: {_words(runtime, code)}')

    with ExitStack() as afterwards:
        call('cudaGraphicsGLRegisterImage', ctypes.byref(resource), texture, _TEXTURE_2D, _WRITE_DISCARD)
        afterwards.callback(runtime.cudaGraphicsUnregisterResource, resource)
        call('cudaGraphicsMapResources', 1, ctypes.byref(resource), None)
        afterwards.callback(runtime.cudaGraphicsUnmapResources, 1, ctypes.byref(resource), None)
        call('cudaGraphicsSubResourceGetMappedArray', ctypes.byref(array), resource, 0, 0)
        size = ctypes.c_size_t(height)
        call('cudaMemcpy2DToArray', array, zero, zero, ctypes.c_void_p(source), row, row, size, _DEVICE_TO_DEVICE)


def _words(runtime: Any, code: int) -> str:
    """The runtime's own."""
    describe = runtime.cudaGetErrorString
    describe.restype = ctypes.c_char_p
    return (describe(code) or b'no description').decode(errors='replace')

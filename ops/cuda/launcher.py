"""Compiles and launches kernels by CuPy, on torch's current stream. The only place that imports CuPy."""

import importlib
import importlib.util
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.backend import Unavailable
from ops.cuda.code import THREADS, KernelCode

_MAX_FAILURES = 8
"""Variants that could not be compiled or launched, after which none is tried any more."""
_CACHE_VARIABLE, _CACHE_IN_MEMORY = 'CUPY_CACHE_DIR', 'CUPY_CACHE_IN_MEMORY'
_INSTALL = 'pip install -r requirements-cuda.txt'
_log = logging.getLogger(__name__)


class LaunchFailed(RuntimeError):
    """A kernel could not be compiled or launched; the sentence says why."""


@dataclass(frozen=True, slots=True)
class _Stream:
    """What CuPy looks at of a stream that is not its own."""

    ptr: int


@dataclass(slots=True)
class _Launcher:
    """The one owner of the loaded kernels."""

    cupy: Any = None
    functions: dict[tuple[int, KernelCode], Callable[..., None]] = field(default_factory=dict)
    failed: dict[KernelCode, str] = field(default_factory=dict)
    cache_problem: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_launcher = _Launcher()


def start() -> None:
    """Import CuPy. Raises `ops.backend.Unavailable` with a sentence where it cannot launch kernels for this torch."""
    _launcher.cache_problem = _choose_cache()
    if importlib.util.find_spec('cupy') is None:
        raise Unavailable(f'CuPy is not installed; {_INSTALL} brings it')
    try:
        cupy = importlib.import_module('cupy')
        runtime, driver = cupy.cuda.runtime.runtimeGetVersion(), cupy.cuda.runtime.driverGetVersion()
    except Exception as error:  # whatever a broken installation raises: torch runs without CuPy
        raise Unavailable(f'CuPy cannot be used ({first_line(error)}); {_INSTALL} installs it anew') from error
    wanted = (torch.version.cuda or '').partition('.')[0]
    if str(runtime // 1000) != wanted:
        raise Unavailable(
            f'CuPy is for CUDA {runtime // 1000}, but torch is for CUDA {wanted}; pip install cupy-cuda{wanted}x instead'
        )
    if driver // 1000 < runtime // 1000:
        raise Unavailable(
            f'the NVIDIA driver knows CUDA {driver // 1000}, but CuPy needs CUDA {runtime // 1000}; update the driver'
        )
    _launcher.cupy = cupy


def prepare(code: KernelCode, device: int) -> None:
    """Have a kernel loaded. Raises `LaunchFailed`."""
    if (device, code) not in _launcher.functions:
        _load(code, device)


def launch(code: KernelCode, blocks: int, parameter: bytes, tensors: Sequence[Tensor]) -> None:
    """Run a kernel whose only parameter is a structure with these bytes, on torch's current stream of the tensors' device.

    `tensors`: everything that the structure points to.  Nothing is waited for.  Raises `LaunchFailed`, and
    `ValueError` for tensors of several devices.
    """
    if len({one.device for one in tensors}) > 1:  # a kernel would take any address, and the device would be lost
        raise ValueError(f'{code.name} needs all tensors on one device, got {[str(one.device) for one in tensors]}')
    device = tensors[0].device.index or 0
    function = _launcher.functions.get((device, code)) or _load(code, device)
    cupy = _launcher.cupy
    stream = _Stream(torch.cuda.current_stream(device).cuda_stream)
    try:
        with cupy.cuda.Device(device):
            function((blocks,), (THREADS,), (np.frombuffer(parameter, f'V{len(parameter)}'),), stream=stream)
    except Exception as error:  # CuPy's exceptions have no common base
        if torch.cuda.is_current_stream_capturing():  # it is the recording that fails; the kernel may well run without
            raise RuntimeError(f'{code.name} could not be recorded ({first_line(error)})') from error
        raise _failure(code, error) from error


def why_not() -> str | None:
    """Why no kernel can be launched any more; None while they can."""
    if len(_launcher.failed) < _MAX_FAILURES:
        return None
    return f'too many CUDA kernels failed, the last one because: {list(_launcher.failed.values())[-1]}'


def status() -> str:
    """One sentence: what is loaded, and what is wrong if something is."""
    parts = [f'{len(_launcher.functions)} CUDA kernels loaded']
    parts += [f'{code.name}: {reason}' for code, reason in _launcher.failed.items()]
    return '; '.join([*parts, _launcher.cache_problem] if _launcher.cache_problem else parts)


def first_line(error: BaseException) -> str:
    """Kind and first line of an error: CuPy's go on with pages of source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f'{type(error).__name__}: {lines[0][:160]}' if lines else type(error).__name__


def _load(code: KernelCode, device: int) -> Callable[..., None]:
    with _launcher.lock:
        known = _launcher.functions.get((device, code))
        if known is not None:
            return known
        if code in _launcher.failed:
            raise LaunchFailed(_launcher.failed[code])
        cupy = _launcher.cupy
        try:
            with cupy.cuda.Device(device):
                module = cupy.RawModule(code=code.text(), options=code.options, backend='nvrtc')
                function = module.get_function(code.name).kernel  # compiled and loaded now, not at the first launch
        except Exception as error:  # NVRTC, the driver, the disk: each with its own exceptions
            raise _failure(code, error) from error
        _launcher.functions[device, code] = function
        return function


def _failure(code: KernelCode, error: Exception) -> RuntimeError:
    """Remember and log that a kernel failed; too little memory is not its fault, and passes."""
    reason = first_line(error)
    if 'out of memory' in str(error):
        return torch.OutOfMemoryError(f'CUDA out of memory while {code.name} was loaded or launched ({reason})')
    if code not in _launcher.failed:
        _log.warning('The CUDA kernel %s %s is not used: %s.', code.name, dict(code.constants), reason)
    _launcher.failed[code] = reason
    return LaunchFailed(reason)


def _choose_cache() -> str | None:
    """Where CuPy keeps compiled kernels: its own folder if it can be written, else the memory; why, if the latter."""
    if os.environ.get(_CACHE_IN_MEMORY) == '1':
        return None
    place = Path(os.environ.get(_CACHE_VARIABLE) or Path.home() / '.cupy' / 'kernel_cache')
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return None
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        os.environ[_CACHE_IN_MEMORY] = '1'
        return f'compiled CUDA kernels are not kept, so every start compiles them again ({error})'

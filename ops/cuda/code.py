"""Sources of the CUDA kernels, and the constants that make one variant of a kernel. Needs no GPU."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / 'kernels'
THREADS = 256
"""A block, of every kernel."""
OPTIONS = ('--std=c++17',)


@dataclass(frozen=True, slots=True)
class KernelCode:
    """One variant of a kernel; usable as a key."""

    name: str
    """Of the file in `ops/kernels` and of the function in it."""
    constants: tuple[tuple[str, int], ...]

    @property
    def options(self) -> tuple[str, ...]:
        """What NVRTC is told, but for the architecture."""
        return (*OPTIONS, f'-DTHREADS={THREADS}', *(f'-D{name}={value}' for name, value in self.constants))

    def text(self) -> str:
        """The whole source, in one piece."""
        return _text(self.name)


@lru_cache(maxsize=16)
def _text(name: str) -> str:
    common = (FOLDER / 'common.cuh').read_text(encoding='utf-8')
    return (FOLDER / f'{name}.cu').read_text(encoding='utf-8').replace('#include "common.cuh"', common)

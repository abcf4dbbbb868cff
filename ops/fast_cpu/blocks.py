"""Memory for results and for signals on their way, in huge pages where the system has them.

Large results lie in blocks that are used again as soon as the last tensor that shows them is gone. The C library would
return such memory to the system, and get it back by a fault for every page of 4 KB.
"""

import mmap
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor

_SMALLEST = 2**16
"""Bytes of a result from which on a block is worth while."""
_HUGE = 2**21
"""Bytes of a huge page."""
_MOST_FREE = 2**28
"""Bytes of blocks that nobody uses; those that were used longest ago go first."""
_MOST_WASTE = 2
"""How much larger than a result its block may be."""
_OFTEN = 256
"""Results after which blocks that nobody used four times as long are given back."""
_LINE = 64
"""Bytes of a line of the cache."""


@dataclass(slots=True, eq=False)
class _Block:
    """Pages of the system."""

    view: memoryview
    """What torch holds a reference to while a tensor shows the block."""
    size: int
    last_used: int = 0
    """Number of the result."""

    def is_free(self) -> bool:
        """Whether no tensor shows it: then only its own reference is left, and the one that is counted."""
        return sys.getrefcount(self.view) <= 2


@dataclass(slots=True)
class _Blocks:
    """The one owner of the blocks."""

    blocks: list[_Block] = field(default_factory=list)
    """The one used last at the end."""
    results: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_blocks = _Blocks()


def allocate(floats: int) -> Tensor:
    """New memory for at least so many floats, one after the other, from the start of a line of the cache on."""
    with torch.inference_mode(False):
        if floats * 4 >= _HUGE:
            return torch.frombuffer(_pages(floats * 4), dtype=torch.float32)
        memory = torch.empty(floats + _LINE // 4)
        return memory[-memory.data_ptr() % _LINE // 4 :]


def result(shape: tuple[int, ...], strides: tuple[int, ...], floats: int) -> Tensor:
    """A tensor without values, whose storage holds `floats` numbers."""
    if floats * 4 < _SMALLEST:
        return torch.empty(floats).as_strided_(shape, strides)
    with _blocks.lock:  # until torch holds the block
        memory = torch.frombuffer(_take(floats * 4).view, dtype=torch.float32, count=floats)
    return memory.as_strided_(shape, strides)


def _take(size: int) -> _Block:
    """The free block that was used last of those that fit, or a new one."""
    blocks, most = _blocks.blocks, max(_MOST_WASTE * size, _HUGE)
    _blocks.results += 1
    for index in range(len(blocks) - 1, -1, -1):
        block = blocks[index]
        if size <= block.size <= most and block.is_free():
            break
    else:
        _clear()
        pages = _pages(size)
        index, block = len(blocks), _Block(memoryview(pages), len(pages))
        blocks.append(block)
    blocks.append(blocks.pop(index))
    block.last_used = _blocks.results
    if _blocks.results % _OFTEN == 0:
        _clear()
    return block


def _clear() -> None:
    """Give blocks back that nobody uses: old ones, and more than there may be."""
    spare = sum(block.size for block in _blocks.blocks if block.is_free()) - _MOST_FREE
    for block in list(_blocks.blocks):
        if block.is_free() and (spare > 0 or block.last_used < _blocks.results - 4 * _OFTEN):
            spare -= block.size
            _blocks.blocks.remove(block)


def _pages(size: int) -> mmap.mmap:
    """Zeroed memory of `size` bytes or a few more."""
    size = -(-size // _HUGE) * _HUGE if size >= _HUGE else size
    private = {'flags': mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, 'MAP_PRIVATE') else {}
    memory = mmap.mmap(-1, size, **private)
    if hasattr(mmap, 'MADV_HUGEPAGE'):
        with suppress(OSError):  # a system without huge pages: small ones do
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory

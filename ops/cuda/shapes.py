"""Geometry of the filtered leaky ReLU's kernel: what one pass needs, its transpose, its tiles. Plain numbers, no GPU."""

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from ops.cuda.code import KernelCode
from ops.filtered_lrelu import LreluSpec

Mode = Literal[0, 1, 2]
"""Of the kernel: activate; activate and keep 2 bits a value; multiply with the derivative that was kept."""
SHARED_BYTES = 48 * 1024
"""What every architecture gives a block without being asked."""
_TILES = (32, 16, 8, 4)
_LAYOUT = '6Q4q15i3f'
Pair = tuple[int, int]
"""(y, x)."""


@dataclass(frozen=True, slots=True)
class Taps:
    """A filter as the kernel reads it."""

    size: Pair
    is_full: bool
    reverse: bool
    """Read it backwards."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of the kernel: up, between, down; see `ops/kernels/filtered_lrelu.cu`."""

    up: int
    up_taps: Taps
    pad: Pair
    down: int
    down_taps: Taps
    origin: Pair
    """Where on the grid the window of the first output begins."""
    size_in: Pair
    size_out: Pair
    grid: Pair
    """Positions that any output depends on."""
    is_swapped: bool = False
    """The kernel's up filter is the operator's down filter, and the other way round."""

    def transposed(self) -> 'Pass':
        """The adjoint pass: what a gradient takes, over the same grid."""
        return Pass(
            self.down,
            replace(self.down_taps, reverse=not self.down_taps.reverse),
            (self.origin[0] + self.down_taps.size[0] - 1, self.origin[1] + self.down_taps.size[1] - 1),
            self.up,
            replace(self.up_taps, reverse=not self.up_taps.reverse),
            (self.pad[0] - self.up_taps.size[0] + 1, self.pad[1] - self.up_taps.size[1] + 1),
            self.size_out,
            self.size_in,
            self.grid,
            not self.is_swapped,
        )


def forward_pass(size: Pair, spec: LreluSpec) -> Pass | None:
    """The pass of an input [height, width]; None where nothing is left of it."""
    left, right, top, bottom = spec.padding
    up, down = _taps(spec.up_shape, spec), _taps(spec.down_shape, spec)
    whole = (
        size[0] * spec.up + top + bottom - up.size[0] + 1,
        size[1] * spec.up + left + right - up.size[1] + 1,
    )
    out = ((whole[0] - down.size[0]) // spec.down + 1, (whole[1] - down.size[1]) // spec.down + 1)
    if min(*size, *whole, *out) < 1:
        return None
    grid = ((out[0] - 1) * spec.down + down.size[0], (out[1] - 1) * spec.down + down.size[1])
    return Pass(spec.up, up, (top, left), spec.down, down, (0, 0), size, out, grid)


def fits(spec: LreluSpec) -> bool:
    """Whether the kernel has room for these filters, forward and backward."""
    one = Pass(
        spec.up, _taps(spec.up_shape, spec), (0, 0), spec.down, _taps(spec.down_shape, spec), (0, 0), (9, 9), (9, 9), (9, 9)
    )  # fmt: skip
    return all(_shared_bytes(some, (_TILES[-1], _TILES[-1])) <= SHARED_BYTES for some in (one, one.transposed()))


@lru_cache(maxsize=512)
def tile_of(one: Pass) -> Pair:
    """(height, width) of the outputs of a block: what computes the fewest grid values, the largest first."""
    sizes = [(height, width) for height in _TILES for width in _TILES]
    fitting = [size for size in sizes if _shared_bytes(one, size) <= SHARED_BYTES]
    return min(fitting, key=lambda size: _work(one, size))


@lru_cache(maxsize=512)
def code_of(one: Pass, mode: Mode, *, half: bool) -> KernelCode:
    """The variant of the kernel for a pass."""
    height, width = tile_of(one)
    up, down = one.up_taps, one.down_taps
    constants = {
        'UP': one.up, 'UP_X': up.size[1], 'UP_Y': up.size[0], 'UP_FULL': int(up.is_full),
        'DOWN': one.down, 'DOWN_X': down.size[1], 'DOWN_Y': down.size[0], 'DOWN_FULL': int(down.is_full),
        'MODE': mode, 'HALF': int(half), 'TILE_W': width, 'TILE_H': height,
    }  # fmt: skip
    return KernelCode('filtered_lrelu', tuple(constants.items()))


def tiles_of(one: Pass) -> Pair:
    """How many blocks a plane takes, (rows, columns)."""
    height, width = tile_of(one)
    return -(-one.size_out[0] // height), -(-one.size_out[1] // width)


def parameter(
    one: Pass,
    pointers: tuple[int, ...],
    strides: tuple[int, ...],
    channels: int,
    *,
    gain: float,
    slope: float,
    clamp: float | None,
    has_bits: bool,
) -> bytes:
    """The kernel's structure `Params`. `pointers`: x, y, bias, up taps, down taps, bits.  `strides`: of x, in elements."""
    bits = one.grid if has_bits else (0, 0)
    return struct.pack(
        _LAYOUT, *pointers, *strides, channels, *one.size_in, *one.size_out, *tiles_of(one)[::-1],
        *one.pad, *one.origin, *bits, one.up_taps.reverse, one.down_taps.reverse,
        gain, slope, float('inf') if clamp is None else clamp,
    )  # fmt: skip


def _taps(shape: tuple[int, ...], spec: LreluSpec) -> Taps:
    """The kernel correlates, a filter convolves."""
    size = (1, 1) if not shape else (shape[0], shape[-1])
    return Taps(size, len(shape) == 2, not spec.flip_filter)


def _work(one: Pass, tile: Pair) -> tuple[float, int]:
    """Grid values of a plane, with something for each block; and what decides between equals."""
    tiles = -(-one.size_out[0] // tile[0]) * -(-one.size_out[1] // tile[1])
    grid = _grid(one, tile)
    return tiles * (grid[0] * grid[1] + 256), -tile[1]


def _grid(one: Pass, tile: Pair) -> Pair:
    """As in the kernel: GRID_H, GRID_W."""
    y, x = (
        ((tile[axis] - 1) * one.down + one.down_taps.size[axis] + 2 * one.up - 2) // one.up * one.up for axis in (0, 1)
    )
    return y, x


def _shared_bytes(one: Pass, tile: Pair) -> int:
    """As in the kernel: the four shared arrays."""
    up, down = one.up_taps, one.down_taps
    grid = _grid(one, tile)
    rows, columns = (grid[axis] // one.up + -(-up.size[axis] // one.up) - 1 for axis in (0, 1))
    inputs, wide = rows * (columns | 1), grid[1] | 1
    first = max(0 if up.is_full else inputs, grid[0] * wide)
    second = max(inputs if up.is_full else rows * wide, 0 if down.is_full else grid[0] * (tile[1] | 1))
    taps = sum(one.size[0] * one.size[1] if one.is_full else one.size[1] for one in (up, down))
    return 4 * (first + second + taps)

"""Resampling by its CUDA kernel, with every derivative: the adjoint of a resampling step is a resampling step."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ops.cuda import launcher
from ops.cuda.code import KernelCode
from ops.cuda.shapes import SHARED_BYTES, Pair
from ops.upfirdn2d import FirSpec, upfirdn2d_torch

_TILES = (32, 16, 8, 4)
_LAYOUT = '3Q4q10if4x'
_MAX_BLOCKS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Resampling:
    """One run of the kernel; see `ops/kernels/upfirdn2d.cu`. Pairs are (y, x)."""

    up: Pair
    down: Pair
    pad: Pair
    taps: Pair
    is_full: bool
    reverse: bool
    gain: float
    size_in: Pair
    size_out: Pair

    def transposed(self) -> 'Resampling':
        """The adjoint."""
        pad = (self.taps[0] - 1 - self.pad[0], self.taps[1] - 1 - self.pad[1])
        return Resampling(
            self.down, self.up, pad, self.taps, self.is_full, not self.reverse, self.gain, self.size_out, self.size_in
        )


def supports(spec: FirSpec) -> str | None:
    """Why the kernel does not run such calls; None if it does."""
    if len(spec.filter_shape) > 2:
        return 'its kernel takes filters of one or two dimensions'
    step = resampling((9, 9), spec, checked=False)
    if step is None or any(_shared_bytes(one, (4, 4)) > SHARED_BYTES for one in (step, step.transposed())):
        return 'its kernel has no room for this filter'
    return None


def upfirdn2d(x: Tensor, f: Tensor | None, spec: FirSpec) -> Tensor:
    """`ops.upfirdn2d` for float16 and float32 on a GPU; contiguous. Raises `launcher.LaunchFailed`."""
    step = resampling((x.shape[2], x.shape[3]), spec) if x.ndim == 4 and x.numel() else None
    wanted = f is not None and f.requires_grad and torch.is_grad_enabled()
    if step is None or wanted or _blocks(x, step) > _MAX_BLOCKS:
        return upfirdn2d_torch(x, f, spec)
    taps = None if f is None else f.detach().to(torch.float32).contiguous()
    if not spec.needs_gradient:
        return _run(x, taps, step)
    launcher.prepare(code_of(step.transposed(), half=x.dtype == torch.float16), x.device.index or 0)
    return _Resample.apply(x, taps, step)


@lru_cache(maxsize=512)
def resampling(size: Pair, spec: FirSpec, *, checked: bool = True) -> Resampling | None:
    """The run for an input [height, width]; None where nothing is left of it."""
    left, right, top, bottom = spec.padding
    shape = spec.filter_shape
    taps = (1, 1) if not shape else (shape[0], shape[-1])
    up, down = (spec.up[1], spec.up[0]), (spec.down[1], spec.down[0])
    whole = (size[0] * up[0] + top + bottom - taps[0] + 1, size[1] * up[1] + left + right - taps[1] + 1)
    if checked and min(*size, *whole) < 1:
        return None
    out = ((whole[0] - 1) // down[0] + 1, (whole[1] - 1) // down[1] + 1)
    return Resampling(up, down, (top, left), taps, len(shape) == 2, not spec.flip_filter, spec.gain, size, out)


@lru_cache(maxsize=512)
def tile_of(step: Resampling) -> Pair:
    """(height, width) of the outputs of a block: the fewest inputs in all, the largest first."""
    sizes = [(height, width) for height in _TILES for width in _TILES]
    fitting = [size for size in sizes if _shared_bytes(step, size) <= SHARED_BYTES]

    def work(tile: Pair) -> tuple[int, int]:
        tiles = -(-step.size_out[0] // tile[0]) * -(-step.size_out[1] // tile[1])
        inputs = _inputs(step, tile)
        return tiles * (inputs[0] * inputs[1] + tile[0] * tile[1] + 256), -tile[1]

    return min(fitting, key=work)


@lru_cache(maxsize=512)
def code_of(step: Resampling, *, half: bool) -> KernelCode:
    """The variant of the kernel."""
    height, width = tile_of(step)
    constants = {
        'UP_X': step.up[1], 'UP_Y': step.up[0], 'DOWN_X': step.down[1], 'DOWN_Y': step.down[0],
        'TAPS_X': step.taps[1], 'TAPS_Y': step.taps[0], 'FULL': int(step.is_full),
        'HALF': int(half), 'TILE_W': width, 'TILE_H': height,
    }  # fmt: skip
    return KernelCode('upfirdn2d', tuple(constants.items()))


class _Resample(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor | None, step: Resampling) -> Tensor:
        ctx.taps, ctx.step = taps, step
        return _run(x, taps, step)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Resample.apply(*gradients, ctx.taps, ctx.step.transposed()), None, None


def _run(x: Tensor, taps: Tensor | None, step: Resampling) -> Tensor:
    if x.stride(3) != 1:
        x = x.contiguous()  # neighbouring threads read neighbouring columns
    y = torch.empty(*x.shape[:2], *step.size_out, dtype=x.dtype, device=x.device)
    tensors = [given for given in (x, y, taps) if given is not None]
    pointers = [x.data_ptr(), y.data_ptr(), 0 if taps is None else taps.data_ptr()]
    values = struct.pack(
        _LAYOUT, *pointers, *x.stride(), x.shape[1], *step.size_in, *step.size_out, *_tiles(step)[::-1],
        *step.pad, step.reverse, step.gain,
    )  # fmt: skip
    launcher.launch(code_of(step, half=x.dtype == torch.float16), _blocks(x, step), values, tensors)
    return y


def _tiles(step: Resampling) -> Pair:
    height, width = tile_of(step)
    return -(-step.size_out[0] // height), -(-step.size_out[1] // width)


def _blocks(x: Tensor, step: Resampling) -> int:
    rows, columns = _tiles(step)
    return x.shape[0] * x.shape[1] * rows * columns


def _reach(step: Resampling) -> Pair:
    return -(-step.taps[0] // step.up[0]), -(-step.taps[1] // step.up[1])


def _inputs(step: Resampling, tile: Pair) -> Pair:
    """As in the kernel: IN_H, IN_W."""
    y, x = (
        ((tile[axis] - 1) * step.down[axis] + step.up[axis] - 1) // step.up[axis] + _reach(step)[axis]
        for axis in (0, 1)
    )
    return y, x


def _shared_bytes(step: Resampling, tile: Pair) -> int:
    """As in the kernel: the three shared arrays."""
    rows, columns = _inputs(step, tile)
    reach = _reach(step)
    along_y, along_x = reach[0] * step.up[0], reach[1] * step.up[1]
    taps = along_y * along_x if step.is_full else max(along_y, along_x)
    return 4 * (rows * (columns | 1) + taps + (0 if step.is_full else rows * (tile[1] | 1)))

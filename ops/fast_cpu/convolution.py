"""Modulated convolutions of a layer, with what can be computed once per weight kept beside the weight."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from ops.fast_cpu import library
from ops.fast_cpu.shapes import WinogradShape
from ops.fast_cpu.threads import run, workspace
from ops.fast_cpu.winograd_points import transform_weights

_EPSILON = 1e-8
_RESULT = 4
"""Side of the tile that Winograd's algorithm computes at once."""
_RUN = 24
"""Tiles of a job; measured."""
_MOST_BYTES = 2**30
"""Of prepared weights, which take four times the memory of 3x3 weights; weights beyond are prepared at every call."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedWeight:
    """A weight [out, in, rows, columns] as the convolutions want it."""

    version: tuple[int, int]
    demodulated: bool
    shape: WinogradShape | None
    """The kernel for it; None: torch convolves."""
    values: Tensor
    """With a kernel: transformed, [36, panel, in channels, channels of a panel]. Without, of 1x1: [in, out]; else as it was."""
    power: Tensor
    """Sum of the squares of each filter, [in, out]: what demodulation needs."""

    @property
    def is_pointwise(self) -> bool:
        """Whether it is the weight of a 1x1 convolution."""
        return self.values.ndim == 2

    def bytes(self) -> int:
        """Memory that it takes."""
        return 4 * (self.values.numel() + self.power.numel())


@dataclass(slots=True)
class _Weights:
    """The one owner of prepared weights; they go when their weights go."""

    prepared: WeakIdKeyDictionary = field(default_factory=WeakIdKeyDictionary)
    lock: threading.Lock = field(default_factory=threading.Lock)


_weights = _Weights()


def prepared_weight(weight: Tensor, *, demodulate: bool) -> PreparedWeight:
    """`weight` as the convolutions want it, from memory if it has not changed."""
    version = (0 if weight.is_inference() else weight._version, weight.data_ptr())
    known: PreparedWeight | None = _weights.prepared.get(weight)
    if known is not None and known.version == version and known.demodulated == demodulate:
        return known
    made = _prepare(weight.detach(), version, demodulate)
    with _weights.lock:
        if made.bytes() + sum(other.bytes() for other in _weights.prepared.values()) <= _MOST_BYTES:
            _weights.prepared[weight] = made
    return made


def modulate(styles: Tensor, input_gain: Tensor | None, prepared: PreparedWeight) -> tuple[Tensor, Tensor | None]:
    """Factors of the input [batch, in], and of the output [batch, out] or None, that do what modulating weights does.

    With styles s and s² their mean square, the reference scales by s / |s| and demodulates by 1 / sqrt(sum w² s² / |s|² + e).
    |s| cancels but beside e.
    """
    scale = None
    if prepared.demodulated:
        squares = styles.square()
        scale = torch.addmm(squares.mean(), squares, prepared.power, beta=_EPSILON).rsqrt_()
    return (styles if input_gain is None else styles * input_gain), scale


def convolve(
    x: Tensor, prepared: PreparedWeight, factors: Tensor, padding: tuple[int, int], kernel: Callable[[int], None] | None
) -> Tensor:
    """`x * factors` convolved, [batch, out, height, width], the channels of a pixel together.

    `x`: [batch, in, height, width] with the channels of a pixel together.  With a kernel, the result lies in memory that the next call
    on this thread overwrites.
    """
    if kernel is not None and prepared.shape is not None:
        return _by_kernel(x, prepared, prepared.shape, factors, padding, kernel)
    if prepared.is_pointwise and padding == (0, 0):
        batch, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        weights = prepared.values * factors[:, :, None]
        out = workspace(batch * height * width * weights.shape[2]).view(batch, height * width, -1)
        torch.bmm(pixels, weights, out=out)
        return out.view(batch, height, width, -1).permute(0, 3, 1, 2)
    scaled = x * factors[:, :, None, None]
    weights = prepared.values.t()[:, :, None, None] if prepared.is_pointwise else prepared.values
    out = torch.conv2d(scaled, weights, padding=padding)
    return out.contiguous(memory_format=torch.channels_last)


def pointwise(x: Tensor, prepared: PreparedWeight, factors: Tensor, scale: Tensor | None, bias: Tensor) -> Tensor:
    """A 1x1 convolution of `x * factors`, times `scale`, plus `bias`, with planes of one channel: for few channels."""
    batch, channels, height, width = x.shape
    weights = prepared.values.t() * factors[:, None, :]
    if scale is not None:
        weights = weights * scale[:, :, None]
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels).transpose(1, 2)
    return torch.baddbmm(bias[None, :, None], weights, pixels).view(batch, -1, height, width)


def _by_kernel(
    x: Tensor,
    prepared: PreparedWeight,
    shape: WinogradShape,
    factors: Tensor,
    padding: tuple[int, int],
    kernel: Callable[[int], None],
) -> Tensor:
    batch, channels, height, width = x.shape
    channels_out = prepared.power.shape[1]
    panels = prepared.values.shape[1]
    new_height, new_width = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
    rows, columns = -(-new_height // _RESULT), -(-new_width // _RESULT)
    kept = -(-channels_out // shape.lanes) * shape.lanes
    out = workspace(batch * rows * columns * _RESULT**2 * kept)
    out = out.view(batch, rows * _RESULT, columns * _RESULT, kept).permute(0, 3, 1, 2)
    tiles = rows * columns
    length = shape.rows if tiles < 4 * _RUN * torch.get_num_threads() else max(_RUN, shape.rows)
    runs = -(-tiles // length)
    tile_floats = -(-channels // 16) * 16 + (16 if channels % 64 == 0 else 0)  # not a power of two: ways of the cache
    fields = [x.data_ptr(), out.data_ptr(), prepared.values.data_ptr(), factors.data_ptr()]
    fields += [
        x.stride(0),
        x.stride(2),
        x.stride(3),
        height,
        width,
        *padding,
        out.stride(0),
        out.stride(2),
        out.stride(3),
    ]
    fields += [channels, channels_out, panels, columns, tiles, length, runs, tile_floats]
    run(kernel, batch * runs, shape.scratch_floats(length, tile_floats), fields)
    return out[:, :channels_out, :new_height, :new_width]


def _prepare(weight: Tensor, version: tuple[int, int], demodulate: bool) -> PreparedWeight:
    weight = weight.double()
    if demodulate:
        weight = weight * weight.square().mean([1, 2, 3], keepdim=True).rsqrt()
    power = weight.square().sum([2, 3]).t().contiguous().float()
    shape = winograd_shape(*weight.shape)
    if shape is not None:
        values = _panels(transform_weights(weight), shape)
    elif weight.shape[2:] == (1, 1):
        values = weight[:, :, 0, 0].t().contiguous().float()
    else:
        values = weight.float().contiguous(memory_format=torch.channels_last)
    return PreparedWeight(version, demodulate, shape, values, power)


def winograd_shape(channels_out: int, channels_in: int, rows: int, columns: int) -> WinogradShape | None:
    """The kernel for a weight of these sizes; None where there is none."""
    fewest = min(channels_out, channels_in)
    if (rows, columns) != (3, 3) or fewest < 4:
        return None
    wide = library.has_wide_vectors()
    lanes = 16 if wide and fewest >= 16 else 8 if fewest >= 8 else 4
    vectors = 1 if channels_out <= lanes else 2
    return WinogradShape(lanes, (24 if wide else 12) // vectors, vectors)


def _panels(transformed: Tensor, shape: WinogradShape) -> Tensor:
    """[36, in, out] -> [36, panel, in, channels of a panel], float32, with zeros for channels that do not exist."""
    values, channels_in, channels_out = transformed.shape
    panels = -(-channels_out // shape.panel)
    padded = transformed.new_zeros(values, channels_in, panels * shape.panel)
    padded[:, :, :channels_out] = transformed
    return padded.view(values, channels_in, panels, shape.panel).transpose(1, 2).contiguous().float()

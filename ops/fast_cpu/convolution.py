"""Modulated convolutions of a layer, with what can be computed once per weight kept beside the weight."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.weak import WeakIdKeyDictionary

from ops.fast_cpu import library
from ops.fast_cpu.shapes import ModulationShape, ProductShape, WinogradShape
from ops.fast_cpu.threads import NO_LIMIT, float_bits, run, workspace
from ops.fast_cpu.window import Window, whole
from ops.fast_cpu.winograd_points import transform_matrix, transform_weights
from ops.filtered_lrelu import LreluSpec

_EPSILON = 1e-8
_ONE = torch.tensor(1.0)
_RESULT = 4
"""Side of the tile that Winograd's algorithm computes at once."""
_TILES = 24
"""Of a job, at most; measured."""
_PIXELS = 384
"""Of a job of the 1x1 kernel, at most; fewer where more than `_PIXEL_FLOATS` would not stay in the cache; measured."""
_PIXEL_FLOATS = 2**16
_ROWS = 12
"""Tiles that Winograd's kernel multiplies together at most: more take long to compile and gain nothing."""
_ROUNDS = 4
"""Numbers of jobs of a thread to choose from."""
FEWEST_PIXELS = 24
"""Of a picture for the 1x1 kernel: with fewer torch is faster."""
_MANY_JOBS = 16
"""For each thread: then it does not matter that one may get a job more than another."""
_MOST_BYTES = 2**30
"""Of prepared weights, which take four times the memory of 3x3 weights; weights beyond are prepared at every call."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedWeight:
    """A weight [out, in, rows, columns] as the convolutions want it."""

    key: tuple[object, ...]
    """What it was made from."""
    shape: WinogradShape | ProductShape | None
    """The kernel for it; None: torch convolves."""
    values: Tensor
    """With a kernel: [panel, in channels, channels of a panel], 36 of them for Winograd's; without, as it was."""
    power: Tensor
    """Sum of the squares of each filter, [in, out]: what demodulation needs."""

    def bytes(self) -> int:
        """Memory that it takes."""
        return 4 * (self.values.numel() + self.power.numel())


@dataclass(slots=True)
class _Weights:
    """The one owner of prepared weights; they go when their weights go."""

    prepared: WeakIdKeyDictionary = field(default_factory=WeakIdKeyDictionary)
    lock: threading.Lock = field(default_factory=threading.Lock)


_weights = _Weights()


def prepared_weight(weight: Tensor, *, demodulate: bool, activated: bool) -> PreparedWeight:
    """`weight` as the convolutions want it, from memory if it has not changed.

    `activated`: a 1x1 convolution is followed by bias and activation at once.
    """
    key = (0 if weight.is_inference() else weight._version, weight.data_ptr(), demodulate, activated)
    known: PreparedWeight | None = _weights.prepared.get(weight)
    if known is not None and known.key == key:
        return known
    made = _prepare(weight.detach(), key, demodulate=demodulate, activated=activated)
    with _weights.lock:
        if made.bytes() + sum(other.bytes() for other in _weights.prepared.values()) <= _MOST_BYTES:
            _weights.prepared[weight] = made
    return made


def prepared_now(weight: Tensor) -> PreparedWeight | None:
    """A weight of 3x3 as its kernel wants it, in float32 and for one use; None where it has none.

    Ten times as quick as `prepared_weight`, for weights that learn.
    """
    shape = _shape(*weight.shape, activated=False)
    if not isinstance(shape, WinogradShape):
        return None
    channels_out, channels_in = weight.shape[:2]
    taps = weight.detach().permute(2, 3, 1, 0).reshape(9, -1)
    values = (transform_matrix().float() @ taps).view(36, channels_in, channels_out)
    return PreparedWeight((), shape, _panels(values, shape.panel), weight.new_empty(channels_in, channels_out))


def is_kept(weight: Tensor, prepared: PreparedWeight) -> bool:
    """Whether `prepared` stays with the weight."""
    return _weights.prepared.get(weight) is prepared


def modulate(
    styles: Tensor, input_gain: Tensor | None, prepared: PreparedWeight, *, demodulate: bool
) -> tuple[Tensor, Tensor | None]:
    """Factors of the input [batch, in], and of the output [batch, out] or None, that do what modulating weights does.

    With styles s and s² their mean square, the reference scales by s / |s| and demodulates by 1 / sqrt(sum w² s² / |s|² + e).
    |s| cancels but beside e.
    """
    channels_in, channels_out = prepared.power.shape
    if not demodulate:
        return (styles if input_gain is None else styles * input_gain).contiguous(), None
    shape = ModulationShape(8 if min(channels_in, channels_out) >= 8 else 4)
    kernel = library.get(shape) if min(channels_in, channels_out) >= shape.lanes else None
    gain = _ONE if input_gain is None else input_gain
    if kernel is None or gain.ndim > 2 or gain.dtype != torch.float32:
        squares = styles.square()
        scale = torch.addmm(squares.mean(), squares, prepared.power, beta=_EPSILON).rsqrt_()
        return (styles * gain).contiguous(), scale
    styles = styles.contiguous()
    samples = styles.shape[0]
    factors, scale = torch.empty(samples, channels_in), torch.empty(samples, channels_out)
    strides = gain.expand(samples, channels_in).stride()
    fields = [styles.data_ptr(), gain.data_ptr(), prepared.power.data_ptr(), factors.data_ptr(), scale.data_ptr()]
    fields += [*strides, channels_in, channels_out, styles.numel(), float_bits(1 / styles.numel())]
    run(kernel, samples, 0, fields)
    return factors, scale


def convolve(
    x: Tensor,
    prepared: PreparedWeight,
    factors: Tensor,
    padding: tuple[int, int],
    kernel: int | None,
    window: Window | None = None,
) -> Tensor:
    """`x * factors` convolved, or a window of that, [batch, out, height, width], the channels of a pixel together.

    `x`: [batch, in, height, width].  A 1x1 kernel can only do windows of whole rows.  With a kernel, the result lies in memory that the next call on this thread overwrites.
    """
    if kernel is not None and isinstance(prepared.shape, WinogradShape):
        return _winograd(x, prepared, prepared.shape, factors, padding, kernel, window)
    if kernel is not None and isinstance(prepared.shape, ProductShape):
        window = window or whole(*x.shape[2:])
        assert window.width == x.shape[3]
        out = workspace(x.shape[0] * window.height * window.width * prepared.values.shape[0] * prepared.shape.panel)
        return _product(x, prepared, prepared.shape, factors, kernel, out, (0, 0, 0, 0), window)
    scaled = x * factors[:, :, None, None]
    y = torch.conv2d(scaled, prepared.values, padding=padding)
    return (y if window is None else window.of(y)).contiguous(memory_format=torch.channels_last)


def multiply_pixels(x: Tensor, prepared: PreparedWeight, factors: Tensor, kernel: int, out: Tensor) -> Tensor:
    """A 1x1 convolution of `x * factors` to the memory `out`, for all channels of all panels."""
    assert isinstance(prepared.shape, ProductShape)
    return _product(x, prepared, prepared.shape, factors, kernel, out, (0, 0, 0, 0), whole(*x.shape[2:]))


def convolve_and_activate(
    x: Tensor, prepared: PreparedWeight, factors: Tensor, bias: Tensor, lrelu: LreluSpec, kernel: int
) -> Tensor:
    """A 1x1 convolution of `x * factors`, plus bias (which may have a number for each channel of all panels), activated."""
    assert isinstance(prepared.shape, ProductShape)
    channels = prepared.values.shape[0] * prepared.shape.panel
    bias = bias if bias.shape[0] == channels else F.pad(bias, (0, channels - bias.shape[0]))
    out = torch.empty(x.shape[0] * x.shape[2] * x.shape[3] * channels)
    clamp = NO_LIMIT if lrelu.clamp is None else lrelu.clamp
    activation = (bias.data_ptr(), float_bits(lrelu.slope), float_bits(lrelu.gain), float_bits(clamp))
    return _product(x, prepared, prepared.shape, factors, kernel, out, activation, whole(*x.shape[2:]))


def _product(
    x: Tensor,
    prepared: PreparedWeight,
    shape: ProductShape,
    factors: Tensor,
    kernel: int,
    out: Tensor,
    activation: tuple[int, int, int, int],
    window: Window,
) -> Tensor:
    """`out`: memory for all channels of all panels.  `activation`: address of the bias, and bits of slope, gain and clamp."""
    x = x.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = x.shape
    panels, pixels = prepared.values.shape[0], window.height * width
    out = out.view(batch, window.height, width, panels * shape.panel).permute(0, 3, 1, 2)
    most = min(_PIXELS, _PIXEL_FLOATS // channels) // shape.rows + 1
    length = shape.rows * _share(-(-pixels // shape.rows), most, batch, lambda rows: rows + 0.2)
    runs = -(-pixels // length)
    bias, *numbers = activation
    fields = [x.data_ptr(), out.data_ptr(), prepared.values.data_ptr(), factors.data_ptr(), bias]
    fields += [
        height * width * channels,
        channels,
        window.top * width * channels,
        out.stride(0),
        out.stride(3),
        channels,
        panels,
        pixels,
        length,
        runs,
        *numbers,
    ]
    run(kernel, batch * runs, channels * shape.panel, fields)
    return out[:, : prepared.power.shape[1]]


def _winograd(
    x: Tensor,
    prepared: PreparedWeight,
    shape: WinogradShape,
    factors: Tensor,
    padding: tuple[int, int],
    kernel: int,
    window: Window | None,
) -> Tensor:
    x = x if x.stride(1) == 1 else x.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = x.shape
    channels_out, panels = prepared.power.shape[1], prepared.values.shape[1]
    entire = whole(height + 2 * padding[0] - 2, width + 2 * padding[1] - 2)
    window = window or entire
    new_height, new_width = window.height, window.width
    # The tiles then leave out the edges of the result, and none reaches beyond it.
    margin = 1 if padding == (2, 2) and window == entire and height % _RESULT == width % _RESULT == 0 else 0
    rows, columns = -(-(new_height - 2 * margin) // _RESULT), -(-(new_width - 2 * margin) // _RESULT)
    kept, full_width = -(-channels_out // shape.lanes) * shape.lanes, columns * _RESULT + 4 * margin
    out = workspace(batch * (rows * _RESULT + 2 * margin) * full_width * kept)
    out = out.view(batch, rows * _RESULT + 2 * margin, full_width, kept).permute(0, 3, 1, 2)
    tiles, edge = rows * columns, 1 + max(rows, columns)
    # A group of tiles that are multiplied together takes as long as three tiles more.
    length = _share(tiles, _TILES, batch, lambda count: -(-count // 2) * 2 + 3 * -(-count // shape.rows))
    edge_length = min(edge, 6 * length)
    edge_runs = margin * -(-edge // edge_length)
    runs = -(-tiles // length) + 4 * edge_runs
    tile_floats = -(-channels // 16) * 16 + (16 if channels % 64 == 0 else 0)  # not a power of two: ways of the cache
    sample_in, _, row_in, pixel_in = x.stride()
    sample_out, _, row_out, pixel_out = out.stride()
    fields = [x.data_ptr(), out.data_ptr(), prepared.values.data_ptr(), factors.data_ptr()]
    fields += [sample_in, row_in, pixel_in, height, width]
    fields += [padding[0] - margin - window.top, padding[1] - margin - window.left]
    fields += [sample_out, row_out, pixel_out, channels, channels_out, panels]
    fields += [columns, tiles, length, runs, tile_floats, margin, edge_length, edge_runs]
    run(kernel, batch * runs, shape.scratch_floats(length, tile_floats), fields)
    return out[:, :channels_out, :new_height, :new_width]


def _share(number: int, most: int, batch: int, cost: Callable[[int], float]) -> int:
    """How many of a sample's tiles (or the like) a job gets: at most `most`, and such that all threads have the same share.

    `cost`: of a job with so many.
    """
    jobs, threads = -(-number // most), torch.get_num_threads()
    if batch * jobs >= _MANY_JOBS * threads:
        return -(-number // jobs)
    fewest = -(-jobs // threads)
    shares = [(rounds, -(-number // (threads * rounds))) for rounds in range(fewest, fewest + _ROUNDS)]
    return min(shares, key=lambda share: share[0] * cost(share[1]))[1]


def _prepare(weight: Tensor, key: tuple[object, ...], *, demodulate: bool, activated: bool) -> PreparedWeight:
    weight = weight.double() if weight.ndim == 4 else weight.double()[:, :, None, None]
    if demodulate:
        weight = weight * weight.square().mean([1, 2, 3], keepdim=True).rsqrt()
    power = weight.square().sum([2, 3]).t().contiguous().float()
    shape = _shape(*weight.shape, activated=activated)
    if isinstance(shape, WinogradShape):
        values = _panels(transform_weights(weight), shape.panel)
    elif isinstance(shape, ProductShape):
        values = _panels(weight[:, :, 0, 0].t(), shape.panel)
    else:
        values = weight.float().contiguous(memory_format=torch.channels_last)
    return PreparedWeight(key, shape, values, power)


def _shape(
    channels_out: int, channels_in: int, rows: int, columns: int, *, activated: bool
) -> WinogradShape | ProductShape | None:
    """The kernel for a weight of these sizes; None where there is none."""
    wide = library.has_wide_vectors()
    fewest = min(channels_out, channels_in) if (rows, columns) == (3, 3) else channels_out
    lanes = 16 if wide and fewest > 8 and channels_in > 15 else 8 if fewest > 4 and channels_in > 7 else 4
    if (
        lanes == 16 and 16 < channels_out <= 24
    ):  # three vectors of 8 instead of two of 16, some lanes of which would be empty
        lanes = 8
    # Three vectors where that leaves fewer lanes empty.
    vectors = min((2, 3), key=lambda count: -(-channels_out // (count * lanes)) * count) if channels_out > lanes else 1
    at_once = (24 if wide else 12) // vectors
    if (rows, columns) == (3, 3) and fewest >= 4:
        return WinogradShape(lanes, min(at_once, _ROWS), vectors)
    return ProductShape(lanes, at_once, vectors, activated) if (rows, columns) == (1, 1) else None


def fewest_pixels(channels_out: int, channels_in: int) -> int:
    """How many a picture must have for the kernel of a 1x1 convolution: it takes so many at once."""
    shape = _shape(channels_out, channels_in, 1, 1, activated=False)
    assert isinstance(shape, ProductShape)
    return shape.rows


def _panels(matrices: Tensor, panel: int) -> Tensor:
    """[…, in, out] -> […, panel, in, channels of a panel], float32, with zeros for channels that do not exist."""
    *others, channels_in, channels_out = matrices.shape
    panels = -(-channels_out // panel)
    padded = F.pad(matrices, (0, panels * panel - channels_out))
    return padded.view(*others, channels_in, panels, panel).transpose(-3, -2).contiguous().float()

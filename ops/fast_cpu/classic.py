"""StyleGAN2's layers by compiled kernels, for pictures: float32, no gradients.

A layer that keeps the rate is a convolution by Winograd's algorithm and one pass for all that follows; one that doubles it is a
single kernel; ToRGB is a matrix product. What these cannot do is computed by the operators that a layer consists of.
"""

import threading
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.nn import functional as F
from torch.utils.weak import WeakIdKeyDictionary

from ops.backend import handed_on
from ops.classic_layer import ClassicSpec, classic_layer_reference
from ops.fast_cpu import library
from ops.fast_cpu.convolution import FEWEST_PIXELS, convolve, convolve_and_activate, prepared_weight
from ops.fast_cpu.geometry import segment_rows
from ops.fast_cpu.shapes import FinishShape, ProductShape, UpsamplingShape
from ops.fast_cpu.terms import separable_terms
from ops.fast_cpu.threads import NO_LIMIT, float_bits, run
from ops.filtered_lrelu import LreluSpec
from ops.parallel import one_thread_if_small

_EPSILON = torch.tensor(1e-8)
_ZERO = torch.zeros(1)
_FEWEST_CHANNELS = 4
MOST_TAPS = 4
"""Of the filter behind a transposed convolution."""
_SEGMENT_FLOATS = 2**14
"""Of the result that a job of the last pass makes about."""
_MOST_BYTES = 2**30
"""Of weights laid out for the kernel that doubles the rate; weights beyond are laid out at every call."""

Call = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, ClassicSpec]


@dataclass(frozen=True, slots=True, eq=False)
class _Matrices:
    """A weight [out, in, 3, 3] as the kernel that doubles the rate wants it."""

    key: tuple[object, ...]
    values: Tensor
    """[block, row, in channels, column, lanes]."""
    power: Tensor
    """Sum of the squares of each filter, [in, out]."""


@dataclass(slots=True)
class _Weights:
    """The one owner of these; they go when their weights go."""

    matrices: WeakIdKeyDictionary = field(default_factory=WeakIdKeyDictionary)
    lock: threading.Lock = field(default_factory=threading.Lock)


_weights = _Weights()


def supports(x: Tensor, spec: ClassicSpec) -> str | None:
    """None, or why compiled kernels do not run this call."""
    if spec.needs_gradient or forward_ad._current_level >= 0:
        return 'gradients are asked for'
    if type(x) not in (Tensor, Parameter):
        return f'its kernels take plain tensors, not a {type(x).__name__}'
    if x.dtype != torch.float32:
        return f'its kernels compute in float32, not {str(x.dtype).removeprefix("torch.")}'
    if not 0 <= spec.slope <= 1:
        return 'its kernels need a slope from 0 to 1'
    pointwise = spec.weight_shape[2:] == (1, 1)
    if spec.weight_shape[2:] != (3, 3) and not (pointwise and spec.up == 1):
        return 'its kernels are for weights of 3x3, or of 1x1 at the same rate'
    if pointwise and (spec.demodulate or spec.has_noise):
        return 'its kernel for weights of 1x1 neither demodulates nor adds noise'
    if not pointwise and min(spec.weight_shape[:2]) < _FEWEST_CHANNELS:
        return f'its kernels need {_FEWEST_CHANNELS} channels or more'
    if spec.up > 2 or (spec.up == 2 and not 0 < max(spec.filter_shape, default=0) <= MOST_TAPS):
        return f'its kernel doubles the rate by a filter of at most {MOST_TAPS} taps'
    return None if pointwise else library.why_not(_shape(spec, x.shape[3]))


def classic_layer(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor | None,
    noise: Tensor | None,
    resample_filter: Tensor | None,
    spec: ClassicSpec,
) -> Tensor:
    """`ops.classic_layer` by kernels."""
    call = (x, weight, styles, bias, noise, resample_filter, spec)
    result = None
    if _fits(call):
        by_kernel = _pointwise if weight.shape[2] == 1 else _doubled if spec.up == 2 else _same_rate
        result = by_kernel(call)
    return classic_layer_reference(*call) if result is None else result


def _fits(call: Call) -> bool:
    """Whether the shapes are right and usual; if not, the reference computes, or says what is wrong."""
    x, weight, styles, bias, noise, _, spec = call
    if (
        x.ndim != 4
        or x.numel() == 0
        or weight.ndim != 4
        or weight.shape[1] != x.shape[1]
        or styles.shape != x.shape[:2]
    ):
        return False
    if bias is not None and bias.shape != weight.shape[:1]:
        return False
    if noise is not None:
        wanted = (x.shape[0], 1, x.shape[2] * spec.up, x.shape[3] * spec.up)
        padded = (1,) * (4 - noise.ndim) + tuple(noise.shape)
        if noise.ndim > 4 or any(have not in (1, want) for have, want in zip(padded, wanted, strict=True)):
            return False
    others = [one for one in (weight, styles, bias, noise) if one is not None]
    return all(one.dtype == torch.float32 and one.device == x.device for one in others)


def finish_shape(channels: int) -> FinishShape:
    """The kernel for what follows a convolution."""
    return FinishShape(_lanes(channels))


def _shape(spec: ClassicSpec, width: int) -> UpsamplingShape | FinishShape:
    """The kernel for a layer of 3x3 weights beside those of the convolution."""
    channels = spec.weight_shape[0]
    if spec.up == 1:
        return finish_shape(channels)
    at_once = (8, 4, 2, 1) if library.has_wide_vectors() else (4, 2, 1)
    return UpsamplingShape(_lanes(channels), max(one for one in at_once if one <= width))


def _lanes(channels: int) -> int:
    """Channels in a vector; no more than there are."""
    return 16 if library.has_wide_vectors() and channels >= 16 else 8 if channels >= 8 else 4


def _same_rate(call: Call) -> Tensor | None:
    x, weight, styles, bias, noise, _, spec = call
    prepared = prepared_weight(weight, demodulate=False, activated=False)
    convolution = None if prepared.shape is None else library.get(prepared.shape)
    if convolution is None and prepared.shape is not None:
        return None
    y = convolve(x, prepared, styles.contiguous(), (1, 1), convolution)
    return finish(y, _scale(styles, prepared.power, spec), bias, noise, _activation(spec))


def finish(
    y: Tensor, scale: Tensor, bias: Tensor | None, noise: Tensor | None, activation: tuple[int, int, int]
) -> Tensor | None:
    """What follows a convolution, in another tensor; None where the kernel for it is not there.

    `y`: [batch, channels, height, width], the channels of a pixel together.  `scale`: [batch, channels].
    """
    kernel = library.get(finish_shape(y.shape[1]))
    if kernel is None:
        return None
    out = torch.empty(y.shape, memory_format=torch.channels_last)
    batch, channels, height, width = y.shape
    bias, level = _parts(bias, noise, out)
    segments, segment = _segments(height, width * channels, batch)
    fields = [y.data_ptr(), out.data_ptr(), scale.data_ptr(), bias.data_ptr(), level.data_ptr()]
    fields += [*_strides(y), *_strides(out), *_strides(level), channels, height, width, segments, segment]
    run(kernel, batch * segments, 0, [*fields, *activation])
    return out


def _doubled(call: Call) -> Tensor | None:
    x, weight, styles, bias, noise, resample_filter, spec = call
    shape = _shape(spec, x.shape[3])
    kernel = library.get(shape)
    assert resample_filter is not None and isinstance(shape, UpsamplingShape)
    taps = taps_of_two_results(resample_filter)
    if taps is None:  # its values decide, so it is remembered for no other
        handed_on('classic_layer', 'cpu', 'reference', 'its kernel doubles the rate by a separable filter')
    if kernel is None or taps is None:
        return None
    x = x if x.stride(1) == 1 else x.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = x.shape
    matrices = _matrices(weight, shape.lanes)
    blocks, channels_out = matrices.values.shape[0], weight.shape[0]
    out = torch.empty((batch, channels_out, 2 * height, 2 * width), memory_format=torch.channels_last)
    scale = _scale(styles, matrices.power, spec)
    styles = styles.contiguous()
    bias, level = _parts(bias, noise, out)
    segments, segment = segment_rows(height, batch * blocks, torch.get_num_threads())
    fields = [x.data_ptr(), out.data_ptr(), matrices.values.data_ptr(), styles.data_ptr(), scale.data_ptr()]
    fields += [bias.data_ptr(), level.data_ptr(), taps.data_ptr(), taps.data_ptr() + 4 * MOST_TAPS]
    fields += [*_strides(x), *_strides(out), *_strides(level), channels, channels_out, height, width]
    scratch = shape.scratch_floats(channels, width)
    run(kernel, batch * blocks * segments, scratch, [*fields, blocks, segments, segment, *_activation(spec)])
    return out


def _pointwise(call: Call) -> Tensor | None:
    x, weight, styles, bias, _, _, spec = call
    if x.shape[2] * x.shape[3] < FEWEST_PIXELS:
        with one_thread_if_small(0):
            y = torch.conv2d(x * styles[:, :, None, None], weight, bias)
        y = F.leaky_relu(y, spec.slope) * spec.gain
        return y if spec.clamp is None else y.clamp_(-spec.clamp, spec.clamp)
    prepared = prepared_weight(weight, demodulate=False, activated=True)
    kernel = None if prepared.shape is None else library.get(prepared.shape)
    if kernel is None or not isinstance(prepared.shape, ProductShape):
        return None
    bias = weight.new_zeros(weight.shape[0]) if bias is None else bias
    lrelu = LreluSpec(1, 1, (0, 0, 0, 0), spec.gain, spec.slope, spec.clamp, False, (), (), True, False)
    return convolve_and_activate(x, prepared, styles.contiguous(), bias, lrelu, kernel)


def _scale(styles: Tensor, power: Tensor, spec: ClassicSpec) -> Tensor:
    """Factors of the output [batch, out] that demodulate."""
    if not spec.demodulate:
        return styles.new_ones(styles.shape[0], power.shape[1])
    return torch.addmm(_EPSILON, styles.square(), power).rsqrt_()


def _parts(bias: Tensor | None, noise: Tensor | None, out: Tensor) -> tuple[Tensor, Tensor]:
    """Bias [channels], and noise [batch, 1, height, width], for a kernel."""
    bias = out.new_zeros(out.shape[1]) if bias is None else bias.contiguous()
    return bias, (_ZERO if noise is None else noise).expand(out.shape[0], 1, *out.shape[2:])


def _strides(picture: Tensor) -> tuple[int, int, int]:
    """Of samples, rows and pixels, in floats."""
    sample, _, row, pixel = picture.stride()
    return sample, row, pixel


def _activation(spec: ClassicSpec) -> tuple[int, int, int]:
    """The kernels' last fields: bits of slope, gain and clamp."""
    return float_bits(spec.slope), float_bits(spec.gain), float_bits(NO_LIMIT if spec.clamp is None else spec.clamp)


def _segments(height: int, row_floats: int, batch: int) -> tuple[int, int]:
    """How many jobs a sample is, and of how many rows."""
    length = max(1, min(_SEGMENT_FLOATS // row_floats, -(-height * batch // (2 * torch.get_num_threads()))))
    return -(-height // length), length


def taps_of_two_results(f: Tensor) -> Tensor | None:
    """A filter behind zero insertion along y, then along x, with its gain; always four taps, so that it always lies alike: where
    `ops.conv2d_resample` and `upsample2d` put it. None if it is not separable."""
    return _taps(tuple(f.flatten().tolist()), tuple(f.shape))


@lru_cache(maxsize=64)
def _taps(values: tuple[float, ...], shape: tuple[int, ...]) -> Tensor | None:
    f = torch.tensor(values).reshape(shape)
    terms = separable_terms(f, flip=True, gain=4.0, precise=False)
    if len(terms[0]) > 1:
        return None
    both = np.zeros((2, MOST_TAPS), np.float32)
    for row, (taps,) in zip(both, terms, strict=True):
        start = MOST_TAPS // 2 - len(taps) // 2
        row[start : start + len(taps)] = taps
    return torch.from_numpy(both)


def _matrices(weight: Tensor, lanes: int) -> _Matrices:
    """`weight` laid out for its kernel, from memory if it has not changed."""
    key = (0 if weight.is_inference() else weight._version, weight.data_ptr(), lanes)
    known: _Matrices | None = _weights.matrices.get(weight)
    if known is not None and known.key == key:
        return known
    values = weight.detach()
    channels = values.shape[0]
    starts = [min(block * lanes, channels - lanes) for block in range(-(-channels // lanes))]
    blocks = torch.stack([values[start : start + lanes] for start in starts])  # [block, lane, in, row, column]
    made = _Matrices(key, blocks.permute(0, 3, 2, 4, 1).contiguous(), _power(values))
    with _weights.lock:
        kept = sum(other.values.numel() for other in _weights.matrices.values()) + made.values.numel()
        if 4 * kept <= _MOST_BYTES:
            _weights.matrices[weight] = made
    return made


def _power(weight: Tensor) -> Tensor:
    return weight.double().square().sum([2, 3]).t().contiguous().float()

"""The operators once more, by their definition, in NumPy and SciPy: an oracle that shares no code with ours."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Array = NDArray[np.float64]


def zeros_between(x: Array, up_x: int, up_y: int) -> Array:
    """Every sample followed by zeros; x: [height, width]."""
    out = np.zeros((x.shape[0] * up_y, x.shape[1] * up_x))
    out[::up_y, ::up_x] = x
    return out


def pad_or_crop(x: Array, padding: tuple[int, int, int, int]) -> Array:
    """Zeros added (positive) or samples removed (negative): left, right, top, bottom; x: [height, width]."""
    left, right, top, bottom = padding
    out = np.zeros((x.shape[0] + top + bottom, x.shape[1] + left + right))
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            if 0 <= row - top < x.shape[0] and 0 <= column - left < x.shape[1]:
                out[row, column] = x[row - top, column - left]
    return out


def full_filter(f: Array | None) -> Array:
    """A filter as [height, width]."""
    if f is None:
        return np.ones((1, 1))
    return np.outer(f, f) if f.ndim == 1 else f


def resample(
    x: Array,
    f: Array | None,
    up: tuple[int, int] = (1, 1),
    down: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    flip: bool = False,
    gain: float = 1.0,
) -> Array:
    """Definition of upfirdn2d for [batch, channels, height, width]; factors are (x, y)."""
    kernel = full_filter(f) * gain
    if flip:
        kernel = kernel[::-1, ::-1]

    def plane(values: Array) -> Array:
        padded = pad_or_crop(zeros_between(values, *up), padding)
        return signal.convolve2d(padded, kernel, mode='valid')[:: down[1], :: down[0]]

    return np.stack([np.stack([plane(channel) for channel in sample]) for sample in x])


def correlate(x: Array, weight: Array, padding: tuple[int, int, int, int] = (0, 0, 0, 0), groups: int = 1) -> Array:
    """What torch calls convolution: x [batch, in, height, width], weight [out, in / groups, rows, columns]."""
    per_in, per_out = x.shape[1] // groups, weight.shape[0] // groups

    def output(sample: Array, index: int) -> Array:
        first = index // per_out * per_in
        planes = [
            signal.correlate2d(pad_or_crop(sample[first + i], padding), weight[index, i], mode='valid')
            for i in range(per_in)
        ]
        return np.sum(planes, axis=0)

    return np.stack([np.stack([output(sample, index) for index in range(weight.shape[0])]) for sample in x])

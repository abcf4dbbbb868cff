"""The waves of `ops.fourier_features` as one kernel. A job is a row of one sample: [width, channels]."""

from math import factorial, pi

from llvmlite import ir

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.shapes import WavesShape

_TERMS = 7
"""Of the series of the sine over a quarter of a turn: exact to 1e-9."""


def write(shape: WavesShape) -> str:
    """The kernel's text."""
    kernel = Kernel(shape.name, shape.lanes, WavesShape.fields)
    channels, width, height = (kernel.field(name) for name in ('channels', 'width', 'height'))
    sample, row = kernel.job // height, kernel.job % height
    matrix = _matrix(kernel, kernel.array('motion').at(sample * kernel.field('motion_sample')))
    step = kernel.number('one_over_rate')
    y = (_float(kernel, row) - kernel.number('centre_y')) * step
    target = kernel.array('output').at(kernel.job * width * channels)
    with kernel.loop(channels, step=shape.lanes) as block:
        channel = block.minimum(channels - shape.lanes)
        pairs = kernel.array('freqs').at(channel * 2)
        own = [pairs.at(n).gather(kernel.integer(2)) for n in range(2)]
        across, down, shift = (own[0].fma(matrix[0][n], own[1] * matrix[1][n]) for n in range(3))
        amplitude = _amplitude(kernel, across, down)
        start = _turn(kernel, y.fma(down, kernel.array('phases').load(channel) + shift))
        with kernel.loop(width) as column:
            x = (_float(kernel, column) - kernel.number('centre_x')) * step
            target.store(_sine(kernel, x.fma(across, start)) * amplitude, column * channels + channel)
    return kernel.finish()


def _matrix(kernel: Kernel, motion: Array) -> list[list[Vec]]:
    """The first two rows of rotation times translation times transform, each number in every lane."""
    cosine, sine, x, y = (motion.splat(n) for n in range(4))
    norm = cosine.fma(cosine, sine * sine).reciprocal_root()
    cosine, sine, x, y = (one * norm for one in (cosine, sine, x, y))
    zero = kernel.constant(0.0)
    rows = [
        [cosine, zero - sine, sine * y - cosine * x],
        [sine, cosine, zero - sine * x - cosine * y],
    ]
    transform = kernel.array('transform')
    columns = [[transform.splat(3 * row + column) for row in range(3)] for column in range(3)]
    return [[row[0].fma(one[0], row[1].fma(one[1], row[2] * one[2])) for one in columns] for row in rows]


def _amplitude(kernel: Kernel, across: Vec, down: Vec) -> Vec:
    """How much of a frequency is left: it fades out between the bandwidth and half the rate."""
    length = Vec(kernel, kernel.call('llvm.sqrt', across.fma(across, down * down).value))
    one = kernel.constant(1.0)
    left = one - (length - kernel.number('bandwidth')) * kernel.number('one_over_room')
    return left.maximum(kernel.constant(0.0)).minimum(one)


def _turn(kernel: Kernel, angle: Vec) -> Vec:
    """The same angle, in turns, between -1/2 and 1/2."""
    return angle - Vec(kernel, kernel.call('llvm.rint', angle.value))


def _sine(kernel: Kernel, angle: Vec) -> Vec:
    """The sine of an angle in turns."""
    angle, half = _turn(kernel, angle), kernel.constant(0.5)
    angle = angle.minimum(half - angle).maximum(kernel.constant(-0.5) - angle)  # a quarter of a turn at most
    square = angle * angle
    factors = [(-1) ** n * (2 * pi) ** (2 * n + 1) / factorial(2 * n + 1) for n in range(_TERMS)]
    total = kernel.constant(factors[-1])
    for factor in reversed(factors[:-1]):
        total = total.fma(square, kernel.constant(factor))
    return total * angle


def _float(kernel: Kernel, number: Int) -> Vec:
    return kernel.splat(kernel.builder.sitofp(number.value, ir.FloatType()))

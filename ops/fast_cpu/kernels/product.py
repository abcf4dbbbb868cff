"""A 1x1 convolution as one kernel: the pixels [pixels, channels in] times a matrix [channels in, channels out].

A job is a run of pixels of one sample. For each panel of output channels it scales the matrix by the factors of the input channels,
then multiplies. Where nothing is filtered, bias, activation and clamp follow at once.
"""

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.shapes import ProductShape


def write(shape: ProductShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


def multiply(
    kernel: Kernel,
    rows: list[Array],
    matrix: Array,
    channels: Int,
    vectors: int,
    stride: int,
    *,
    ahead: Array | None = None,
) -> list[list[Vec]]:
    """Products of a few rows with a matrix whose rows are `stride` apart: `vectors` vectors for each row, in registers.

    `ahead`: a matrix that is needed next, which is fetched meanwhile.
    """
    sums = [[kernel.slot(kernel.constant(0.0)) for _ in range(vectors)] for _ in rows]
    with kernel.loop(channels) as channel:
        factors = [matrix.load(channel * stride + n * kernel.lanes) for n in range(vectors)]
        if ahead is not None:
            for n in range(vectors):
                ahead.prefetch(channel * stride + n * kernel.lanes)
        for row, totals in zip(rows, sums, strict=True):
            scalar = row.splat(channel)
            for total, factor in zip(totals, factors, strict=True):
                total.set(scalar.fma(factor, total.get()))
    return [[total.get() for total in totals] for totals in sums]


class _Writer:
    def __init__(self, shape: ProductShape):
        self.shape = shape
        self.kernel = Kernel(shape.name, shape.lanes, ProductShape.fields)
        numbers = [name for name in ProductShape.fields if name not in ('slope', 'gain', 'clamp')]
        self.number = {name: self.kernel.field(name) for name in numbers}

    def text(self) -> str:
        kernel, shape, number = self.kernel, self.shape, self.number
        # Jobs are taken from the last one to the first, but memory is fetched early when it is read forwards.
        sample, first = kernel.job // number['runs'], (number['runs'] - 1 - kernel.job % number['runs']) * number['run']
        last = (first + number['run']).minimum(number['pixels'])
        source = kernel.array('input').at(sample * number['input_sample'] + number['input_first'])
        target = kernel.array('output').at(sample * number['output_sample'])
        factors = kernel.array('factors').at(sample * number['channels_in'])
        with kernel.loop(number['panels']) as panel:
            self._scale(panel, factors)
            with kernel.loop(last, start=first, step=shape.rows) as pixel:
                # The last rows of a run may have been computed already: then once more, to the same numbers.
                start = pixel.minimum(last - shape.rows).maximum(0)
                self._rows(panel, source.at(start * number['input_pixel']), target.at(start * number['output_pixel']))
        return kernel.finish()

    def _scale(self, panel: Int, factors: Array) -> None:
        """A panel of the matrix, times the factors of its rows, to scratch memory."""
        kernel, shape, number = self.kernel, self.shape, self.number
        matrix = kernel.array('matrix').at(panel * number['channels_in'] * shape.panel)
        with kernel.loop(number['channels_in']) as channel:
            factor = factors.splat(channel)
            for n in range(shape.vectors):
                place = channel * shape.panel + n * shape.lanes
                kernel.scratch.store(matrix.load(place) * factor, place)

    def _rows(self, panel: Int, source: Array, target: Array) -> None:
        """The channels of a panel of a few pixels."""
        kernel, shape, number = self.kernel, self.shape, self.number
        rows = [source.at(number['input_pixel'] * row) for row in range(shape.rows)]
        products = multiply(kernel, rows, kernel.scratch, number['channels_in'], shape.vectors, shape.panel)
        for row, values in enumerate(products):
            for n, value in enumerate(values):
                channel = panel * shape.panel + n * shape.lanes
                place = target.at(number['output_pixel'] * row + channel)
                place.store(self._activated(value, channel) if shape.activated else value)

    def _activated(self, value: Vec, channel: Int) -> Vec:
        kernel = self.kernel
        value = value + kernel.array('bias').load(channel)
        value = value.maximum(value * kernel.number('slope')) * kernel.number('gain')
        clamp = kernel.number('clamp')
        return value.minimum(clamp).maximum(kernel.constant(0.0) - clamp)

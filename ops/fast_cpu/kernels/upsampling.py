"""A layer of StyleGAN2 that doubles the rate as one kernel: transposed 3x3 convolution, low-pass filter, noise, bias, leaky ReLU.

The transposed convolution t of stride 2 adds x[i] w[k] to t[2 i + k] along each axis; a filter of at most four taps f follows,
z[o] = f0 t[o + 2] + f1 t[o + 1] + f2 t[o] + f3 t[o - 1]. So each pixel is multiplied by nine matrices, as many products as there are
weights, and what is added up stays in the second-level cache. A job is a segment of rows of one block of output channels of a sample:
each row of the input gives three rows of products (one per row of the weights), which are put together and filtered along x at
once, and along y when the rows below are there.
"""

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.kernels.finish import activation
from ops.fast_cpu.kernels.product import multiply
from ops.fast_cpu.shapes import UpsamplingShape

SIDE = 3


def write(shape: UpsamplingShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


class _Writer:
    def __init__(self, shape: UpsamplingShape):
        self.shape = shape
        self.kernel = Kernel(shape.name, shape.lanes, UpsamplingShape.fields)
        names = [name for name in UpsamplingShape.fields if name not in ('slope', 'gain', 'clamp')]
        self.number = {name: self.kernel.field(name) for name in names}

    def text(self) -> str:
        kernel, shape, number = self.kernel, self.shape, self.number
        self.activated = activation(kernel)
        self.taps_y, self.taps_x = ([kernel.array(f'taps_{line}').splat(n) for n in range(4)] for line in 'yx')
        self.matrix_floats = number['channels_in'] * (SIDE * shape.lanes)
        self.row_floats = number['width'] * (2 * shape.lanes)
        self.weights = kernel.scratch
        self.products = self.weights.at(self.matrix_floats * SIDE)
        """Of a row of pixels: [1 + width + 1, column of the weights, lane]; the first and the last pixel are zeros."""
        self.ring = self.products.at((number['width'] + 2) * (SIDE * shape.lanes))
        """Rows filtered along x: [row of the input modulo 3, row of the weights, 2 * width, lane]."""
        segment, job = kernel.job % number['segments'], kernel.job // number['segments']
        block, sample = job % number['blocks'], job // number['blocks']
        self._scale_weights(block, kernel.array('factors').at(sample * number['channels_in']))
        for end in (self.products, self.products.at((number['width'] + 1) * (SIDE * shape.lanes))):
            for column in range(SIDE):
                end.store(kernel.constant(0.0), column * shape.lanes)
        channel = (block * shape.lanes).minimum(number['channels_out'] - shape.lanes)
        self.scale = kernel.array('scale').load(sample * number['channels_out'] + channel)
        self.bias = kernel.array('bias').load(channel)
        self._rows(sample, segment * number['segment'], channel)
        return kernel.finish()

    def _scale_weights(self, block: Int, factors: Array) -> None:
        """The block's matrices, times the factors of the input channels, to scratch memory."""
        kernel, lanes = self.kernel, self.shape.lanes
        source = kernel.array('weights').at(block * SIDE * self.matrix_floats)
        with kernel.loop(SIDE) as row, kernel.loop(self.number['channels_in']) as channel:
            factor, start = factors.splat(channel), row * self.matrix_floats + channel * (SIDE * lanes)
            for column in range(SIDE):
                self.weights.store(source.load(start + column * lanes) * factor, start + column * lanes)

    def _rows(self, sample: Int, top: Int, channel: Int) -> None:
        """The results of the input's rows from `top` on; the rows above and below take part too."""
        kernel, number = self.kernel, self.number
        source = kernel.array('input').at(sample * number['input_sample'])
        target = kernel.array('output').at(sample * number['output_sample'] + channel)
        noise = kernel.array('noise').at(sample * number['noise_sample'])
        count = number['segment'].minimum(number['height'] - top) + 2
        with kernel.loop(count) as index:
            row = top + index - 1
            place = self._ring_row(index)
            outside = kernel.any_of(row < 0, row >= number['height'])
            with kernel.either(outside) as (yes, no):
                with yes, kernel.loop(self.row_floats * SIDE, step=self.shape.lanes) as floats:
                    place.store(kernel.constant(0.0), floats)
                with no:
                    # The first row takes part by its lower two rows of weights, the last one by its upper two.
                    first, last = 1 - index.minimum(1), SIDE - (index + 2 - count).maximum(0)
                    with kernel.loop(last, start=first) as line:
                        self._multiply(line, source.at(row * number['input_row']))
                        self._filter_along_x(place.at(line * self.row_floats))
            with kernel.when(index >= 2):
                result = (row - 1) * 2
                self._result_rows(
                    index, target.at(result * number['output_row']), noise.at(result * number['noise_row'])
                )

    def _ring_row(self, index: Int) -> Array:
        return self.ring.at(index % SIDE * SIDE * self.row_floats)

    def _multiply(self, line: Int, source: Array) -> None:
        """Products of a row of pixels with row `line` of the weights."""
        kernel, lanes, number, pixels = self.kernel, self.shape.lanes, self.number, self.shape.pixels
        matrix = self.weights.at(line * self.matrix_floats)
        with kernel.loop(number['width'], step=pixels) as column:
            first = column.minimum(number['width'] - pixels)
            rows = [source.at((first + n) * number['input_pixel']) for n in range(pixels)]
            products = multiply(kernel, rows, matrix, number['channels_in'], SIDE, SIDE * lanes)
            place = self.products.at((first + 1) * (SIDE * lanes))
            for n, values in enumerate(products):
                for k, value in enumerate(values):
                    place.store(value, (n * SIDE + k) * lanes)

    def _filter_along_x(self, place: Array) -> None:
        """The products put together to a row of the transposed convolution, and filtered."""
        kernel, lanes = self.kernel, self.shape.lanes
        with kernel.loop(self.number['width']) as column:
            start = self.products.at(column * (SIDE * lanes))
            before, here, after = ([start.load((n * SIDE + k) * lanes) for k in range(SIDE)] for n in range(3))
            for n, value in enumerate(_two_results(self.taps_x, before, here, after)):
                place.store(value, (column * 2 + n) * lanes)

    def _result_rows(self, index: Int, target: Array, noise: Array) -> None:
        """Two rows of the result from three of the ring, the last of which is row `index`."""
        kernel, lanes, number = self.kernel, self.shape.lanes, self.number
        starts = [self._ring_row(index - 2 + n) for n in range(3)]
        with kernel.loop(number['width'] * 2) as column:
            before, here, after = (
                [start.load(self.row_floats * k + column * lanes) for k in range(SIDE)] for start in starts
            )
            for n, value in enumerate(_two_results(self.taps_y, before, here, after)):
                level = noise.splat(number['noise_row'] * n + column * number['noise_pixel'])
                value = self.activated(value.fma(self.scale, level) + self.bias)
                target.store(value, number['output_row'] * n + column * number['output_pixel'])


def _two_results(taps: list[Vec], before: list[Vec], here: list[Vec], after: list[Vec]) -> tuple[Vec, Vec]:
    """Two neighbouring results along an axis, of the products of three neighbouring inputs with the three weights."""
    odd_before, even, odd, next_even, next_odd = before[1], before[2] + here[0], here[1], here[2] + after[0], after[1]
    first = odd_before.fma(taps[3], even.fma(taps[2], odd.fma(taps[1], next_even * taps[0])))
    second = even.fma(taps[3], odd.fma(taps[2], next_even.fma(taps[1], next_odd * taps[0])))
    return first, second

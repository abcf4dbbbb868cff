"""A 3x3 convolution as one kernel, by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016; Toom and Cook).

Tiles of 6x6 samples become tiles of 4x4 results: transform the tile (36 values), multiply each value by a matrix
[channels in, channels out], transform back. That takes a quarter of the multiplications. The interpolation points 0, ±5/8, ±3/2
and infinity keep rounding within 1e-6 of the largest result. A job is a run of tiles of one sample, short enough that everything
about it stays in the second-level cache.
"""

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.kernels.product import multiply
from ops.fast_cpu.shapes import WinogradShape
from ops.fast_cpu.winograd_points import FAR, NEAR

SIDE = 6
RESULT = 4


def write(shape: WinogradShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


class _Writer:
    def __init__(self, shape: WinogradShape):
        self.shape = shape
        self.kernel = Kernel(shape.name, shape.lanes, WinogradShape.fields)
        self.number = {name: self.kernel.field(name) for name in WinogradShape.fields}

    def text(self) -> str:
        kernel, shape, number = self.kernel, self.shape, self.number
        scratch = kernel.scratch
        self.patch = scratch
        self.half = scratch.at(36 * shape.lanes)
        self.tiles = scratch.at(2 * 36 * shape.lanes)
        self.value_in = number['run'] * number['tile_floats']  # floats of one of the 36 values of all tiles of a job
        self.value_out = number['run'] * shape.panel
        self.products = self.tiles.at(self.value_in * 36)
        sample, first = kernel.job // number['runs'], kernel.job % number['runs'] * number['run']
        count = number['run'].minimum(number['tiles'] - first)
        self._transform_input(sample, first, count)
        with kernel.loop(number['panels']) as panel:
            self._multiply(panel, count)
            self._transform_output(sample, panel, first, count)
        return kernel.finish()

    def _transform_input(self, sample: Int, first: Int, count: Int) -> None:
        """The 36 values of each tile of the job, all channels, scaled."""
        kernel, lanes, number = self.kernel, self.shape.lanes, self.number
        source = kernel.array('input').at(sample * number['input_sample'])
        scales = kernel.array('scales').at(sample * number['channels_in'])
        with kernel.loop(count) as index:
            tile = first + index
            top = tile // number['tiles_x'] * RESULT - number['padding_y']
            left = tile % number['tiles_x'] * RESULT - number['padding_x']
            inside = kernel.both(
                kernel.both(top >= 0, left >= 0),
                kernel.both(top + SIDE < number['height'] + 1, left + SIDE < number['width'] + 1),
            )
            start = source.at(top * number['input_row'] + left * number['input_pixel'])
            with kernel.loop(number['channels_in'], step=lanes) as block:
                channel = block.minimum(number['channels_in'] - lanes)
                with kernel.either(inside) as (yes, no):
                    with yes:
                        self._first_pass(start.at(channel), number['input_row'], number['input_pixel'])
                    with no:
                        self._copy_patch(source.at(channel), top, left)
                        self._first_pass(self.patch, kernel.integer(SIDE * lanes), kernel.integer(lanes))
                scale = scales.load(channel)
                place = self.tiles.at(index * number['tile_floats'] + channel)
                with kernel.loop(SIDE) as row:
                    values = [self.half.load((row * SIDE + column) * lanes) for column in range(SIDE)]
                    for column, value in enumerate(self._input_transform(values)):
                        place.store(value * scale, (row * SIDE + column) * self.value_in)

    def _first_pass(self, start: Array, row: Int, pixel: Int) -> None:
        """The transform along y of the six columns of a tile."""
        with self.kernel.loop(SIDE) as column:
            values = [start.load(row * index + column * pixel) for index in range(SIDE)]
            for index, value in enumerate(self._input_transform(values)):
                self.half.store(value, (column + index * SIDE) * self.shape.lanes)

    def _copy_patch(self, source: Array, top: Int, left: Int) -> None:
        """A tile at the border, with zeros outside the picture."""
        kernel, lanes, number = self.kernel, self.shape.lanes, self.number
        with kernel.loop(SIDE) as row, kernel.loop(SIDE) as column:
            y, x, place = top + row, left + column, (row * SIDE + column) * lanes
            self.patch.store(kernel.constant(0.0), place)
            inside = kernel.both(kernel.both(y >= 0, y < number['height']), kernel.both(x >= 0, x < number['width']))
            with kernel.when(inside):
                self.patch.store(source.load(y * number['input_row'] + x * number['input_pixel']), place)

    def _multiply(self, panel: Int, count: Int) -> None:
        """For each of the 36 values: [tiles, channels in] times [channels in, channels of the panel]."""
        kernel, shape, number = self.kernel, self.shape, self.number
        weights = kernel.array('weights').at(panel * number['channels_in'] * shape.panel)
        all_panels = number['panels'] * number['channels_in'] * shape.panel
        with kernel.loop(36) as value, kernel.loop(count, step=shape.rows) as first:
            left = self.tiles.at(value * self.value_in + first * number['tile_floats'])
            right = weights.at(value * all_panels)
            rows = [left.at(number['tile_floats'] * row) for row in range(shape.rows)]
            products = multiply(kernel, rows, right, number['channels_in'], shape.vectors, shape.panel)
            place = self.products.at(value * self.value_out + first * shape.panel)
            for row, values in enumerate(products):
                for n, result in enumerate(values):
                    place.store(result, row * shape.panel + n * shape.lanes)

    def _transform_output(self, sample: Int, panel: Int, first: Int, count: Int) -> None:
        """The 4x4 results of each tile of the job, for the channels of a panel."""
        kernel, shape, number = self.kernel, self.shape, self.number
        lanes = shape.lanes
        target = kernel.array('output').at(sample * number['output_sample'])
        blocks = (number['channels_out'] + lanes - 1) // lanes
        with kernel.loop(((panel + 1) * shape.vectors).minimum(blocks), start=panel * shape.vectors) as block:
            place = target.at(block * lanes)
            source = self.products.at((block - panel * shape.vectors) * lanes)
            with kernel.loop(count) as index:
                tile = first + index
                y, x = tile // number['tiles_x'] * RESULT, tile % number['tiles_x'] * RESULT
                start = source.at(index * shape.panel)
                with kernel.loop(SIDE) as column:
                    values = [start.load((column + row * SIDE) * self.value_out) for row in range(SIDE)]
                    for row, value in enumerate(self._output_transform(values)):
                        self.half.store(value, (column + row * SIDE) * lanes)
                corner = place.at(y * number['output_row'] + x * number['output_pixel'])
                with kernel.loop(RESULT) as row:
                    values = [self.half.load((row * SIDE + column) * lanes) for column in range(SIDE)]
                    for column, value in enumerate(self._output_transform(values)):
                        corner.store(value, row * number['output_row'] + column * number['output_pixel'])

    def _input_transform(self, d: list[Vec]) -> list[Vec]:
        """One dimension of the transform of a tile: B^T d."""
        number = self.kernel.constant
        near, far = NEAR * NEAR, FAR * FAR
        even_near, odd_near = d[2].fma(number(-far), d[4]), d[1].fma(number(-far), d[3]) * number(NEAR)
        even_far, odd_far = d[2].fma(number(-near), d[4]), d[1].fma(number(-near), d[3]) * number(FAR)
        zero = d[0].fma(number(near * far), d[2].fma(number(-near - far), d[4]))
        infinity = d[1].fma(number(near * far), d[3].fma(number(-near - far), d[5]))
        return [zero, even_near + odd_near, even_near - odd_near, even_far + odd_far, even_far - odd_far, infinity]

    def _output_transform(self, m: list[Vec]) -> list[Vec]:
        """One dimension of the transform back: A^T m."""
        number = self.kernel.constant
        even_near, odd_near, even_far, odd_far = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
        return [
            m[0] + (even_near + even_far),
            odd_near.fma(number(NEAR), odd_far * number(FAR)),
            even_near.fma(number(NEAR**2), even_far * number(FAR**2)),
            odd_near.fma(number(NEAR**3), odd_far.fma(number(FAR**3), m[5])),
        ]

"""A 3x3 convolution as one kernel, by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016; Toom and Cook).

Tiles of 6x6 samples become tiles of 4x4 results: transform the tile (36 values), multiply each value by a matrix
[channels in, channels out], transform back. That takes a quarter of the multiplications. The interpolation points 0, ±5/8, ±3/2
and infinity keep rounding within 1e-6 of the largest result. A job is a run of tiles of one sample, short enough that everything
about it stays in the second-level cache.

Where the picture is padded by two, tiles may leave out the outermost rows and columns of the result: each depends on one row or
column of the picture. That is a convolution along one axis, F(4, 3). Its matrices are among the 36: those of the
points 0 and infinity hold the first and the last row, or column, of the filter, transformed along the other axis.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.kernels.product import multiply
from ops.fast_cpu.shapes import LINE, WinogradShape
from ops.fast_cpu.winograd_points import FAR, NEAR

SIDE = 6
RESULT = 4
VALUES = SIDE * SIDE


def write(shape: WinogradShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


@dataclass(frozen=True)
class _Run:
    """What a job computes: `count` tiles from tile `first` on, of which each has `values`."""

    sample: Int
    first: Int
    count: Int
    values: Int
    matrix: Int
    """Number of the first value's matrix."""
    step: Int
    """From a value's matrix to the next one's."""
    value_in: Int
    """Floats from one transformed value of all tiles to the next."""
    value_out: Int
    """Likewise of a panel of products."""


@dataclass(frozen=True)
class _Edge:
    """One of the four outermost rows and columns of the result."""

    side: Int
    """Top, bottom, left, right."""
    across: Any
    """Whether it is a row."""
    far: Any
    """Whether it is at the end: bottom or right."""
    inputs: Int
    """Samples of the picture along it."""


class _Writer:
    def __init__(self, shape: WinogradShape):
        self.shape = shape
        self.kernel = Kernel(shape.name, shape.lanes, WinogradShape.fields)
        self.number = {name: self.kernel.field(name) for name in WinogradShape.fields}

    def text(self) -> str:
        kernel, number = self.kernel, self.number
        sample, index = kernel.job // number['runs'], kernel.job % number['runs']
        self.source = kernel.array('input').at(sample * number['input_sample'])
        self.target = kernel.array('output').at(sample * number['output_sample'])
        self.scales = kernel.array('scales').at(sample * number['channels_in'])
        self.zeros = kernel.scratch
        self.tiles = self.zeros.at(number['tile_floats'])
        self.products = self.tiles.at(_odd_lines(number['run'] * number['tile_floats']) * VALUES)
        with kernel.loop(number['channels_in'], step=self.shape.lanes) as channel:
            self.zeros.store(kernel.constant(0.0), channel.minimum(number['channels_in'] - self.shape.lanes))
        on_edge = index < number['edge_runs'] * 4
        edge, run = self._edge(index), self._run(sample, index, on_edge)
        with kernel.when(run.count >= 1):
            with kernel.either(on_edge) as (yes, no):
                with yes:
                    self._transform_edge(edge, run)
                with no:
                    self._transform_input(run)
            with kernel.loop(number['panels']) as panel:
                self._multiply(panel, run)
                with kernel.either(on_edge) as (yes, no):
                    with yes:
                        self._transform_edge_output(edge, panel, run)
                    with no:
                        self._transform_output(panel, run)
        return kernel.finish()

    def _edge(self, index: Int) -> _Edge:
        """The edge that job `index` of a sample is about, if it is about one."""
        kernel, number = self.kernel, self.number
        side = index // number['edge_runs'].maximum(1)
        across, inputs = side < 2, kernel.pick(side < 2, number['width'], number['height'])
        return _Edge(side, across, side % 2 >= 1, inputs)

    def _run(self, sample: Int, index: Int, on_edge: Any) -> _Run:
        kernel, number, pick = self.kernel, self.number, self.kernel.pick
        edge = self._edge(index)
        run = pick(on_edge, number['edge_run'], number['run'])
        piece = pick(on_edge, index % number['edge_runs'].maximum(1), number['runs'] - 1 - index)  # forwards
        # A row of the result has two samples more than the picture, a column without its ends as many.
        along = edge.inputs // RESULT + pick(edge.across, kernel.integer(1), kernel.integer(0))
        tiles = pick(on_edge, along, number['tiles'])
        first = piece * run
        beginning = pick(
            edge.far, kernel.integer(0), pick(edge.across, kernel.integer(VALUES - SIDE), kernel.integer(SIDE - 1))
        )
        return _Run(
            sample,
            first,
            run.minimum(tiles - first),
            pick(on_edge, kernel.integer(SIDE), kernel.integer(VALUES)),
            pick(on_edge, beginning, kernel.integer(0)),
            pick(on_edge, pick(edge.across, kernel.integer(1), kernel.integer(SIDE)), kernel.integer(1)),
            _odd_lines(run * number['tile_floats']),
            _odd_lines(run * self.shape.panel),
        )

    def _transform_input(self, run: _Run) -> None:
        """The 36 values of each tile of the job, all channels, scaled."""
        kernel, number = self.kernel, self.number
        row, pixel = number['input_row'], number['input_pixel']
        with kernel.loop(run.count) as index:
            tile = run.first + index
            top = tile // number['tiles_x'] * RESULT - number['padding_y']
            left = tile % number['tiles_x'] * RESULT - number['padding_x']
            inside = kernel.both(
                kernel.both(top >= 0, left >= 0),
                kernel.both(top + SIDE < number['height'] + 1, left + SIDE < number['width'] + 1),
            )
            place = self.tiles.at(index * number['tile_floats'])
            with kernel.either(inside) as (yes, no):
                with yes:
                    start = self.source.at(top * row + left * pixel)
                    pixels = [[start.at(row * y + pixel * x) for x in range(SIDE)] for y in range(SIDE)]
                    self._transform_tile(pixels, place, run)
                with no:
                    self._transform_tile(self._pixels_or_zeros(top, left), place, run)

    def _pixels_or_zeros(self, top: Int, left: Int) -> list[list[Array]]:
        """Where the channels of the pixels of a tile are that reaches beyond the picture."""
        kernel, number = self.kernel, self.number
        in_rows = [kernel.both(top + y >= 0, top + y < number['height']) for y in range(SIDE)]
        in_columns = [kernel.both(left + x >= 0, left + x < number['width']) for x in range(SIDE)]
        start = self.source.at(top * number['input_row'] + left * number['input_pixel'])
        places = [[number['input_row'] * y + number['input_pixel'] * x for x in range(SIDE)] for y in range(SIDE)]
        return [
            [start.at(places[y][x]).where(kernel.both(in_rows[y], in_columns[x]), self.zeros) for x in range(SIDE)]
            for y in range(SIDE)
        ]

    def _transform_tile(self, pixels: list[list[Array]], place: Array, run: _Run) -> None:
        """The values of a tile, given where the channels of its pixels are."""
        kernel, number, lanes = self.kernel, self.number, self.shape.lanes
        with kernel.loop(number['channels_in'], step=lanes) as block:
            channel = block.minimum(number['channels_in'] - lanes)
            scale = self.scales.load(channel)
            for row in pixels:  # of the next tile, what this one does not have
                for pixel in row[SIDE - RESULT :]:
                    pixel.prefetch(channel + number['input_pixel'] * RESULT)
            for half in (slice(0, 3), slice(3, 6)):  # 36 values are too many for the registers
                columns = [
                    self._input_transform([pixels[y][x].load(channel) for y in range(SIDE)])[half] for x in range(SIDE)
                ]
                for y, values in zip(range(SIDE)[half], zip(*columns, strict=True), strict=True):
                    for x, value in enumerate(self._input_transform(list(values))):
                        place.store(value * scale, channel + run.value_in * (y * SIDE + x))

    def _transform_edge(self, edge: _Edge, run: _Run) -> None:
        """The six values of each tile along an edge."""
        kernel, number, lanes = self.kernel, self.number, self.shape.lanes
        along = kernel.pick(edge.across, number['input_pixel'], number['input_row'])
        last_row, last_column = number['height'] - 1, number['width'] - 1
        last = kernel.pick(edge.across, last_row * number['input_row'], last_column * number['input_pixel'])
        source = self.source.at(kernel.pick(edge.far, last, kernel.integer(0)))
        gain = kernel.pick(edge.far, kernel.constant(NEAR * NEAR * FAR * FAR), kernel.constant(1.0))
        with kernel.loop(run.count) as index:
            start = (run.first + index) * RESULT - kernel.pick(edge.across, kernel.integer(2), kernel.integer(1))
            places = [start + n for n in range(SIDE)]
            pixels = [
                source.at(place * along).where(kernel.both(place >= 0, place < edge.inputs), self.zeros)
                for place in places
            ]
            with kernel.loop(number['channels_in'], step=lanes) as block:
                channel = block.minimum(number['channels_in'] - lanes)
                scale = self.scales.load(channel) * gain
                values = self._input_transform([pixel.load(channel) for pixel in pixels])
                place = self.tiles.at(index * number['tile_floats'] + channel)
                for n, value in enumerate(values):
                    place.store(value * scale, run.value_in * n)

    def _multiply(self, panel: Int, run: _Run) -> None:
        """For each of the values: [tiles, channels in] times [channels in, channels of the panel]."""
        kernel, shape, number = self.kernel, self.shape, self.number
        weights = kernel.array('weights').at(panel * number['channels_in'] * shape.panel)
        all_panels = number['panels'] * number['channels_in'] * shape.panel
        pairs = (
            run.count + 1
        ) // 2  # of tiles; the last one's second tile may not exist, and nobody reads its products
        groups = (pairs * 2 + shape.rows - 1) // shape.rows  # as equal as can be
        fewest, larger = pairs // groups, pairs % groups
        with kernel.loop(run.values) as value, kernel.loop(groups) as group:
            first = (group * fewest + group.minimum(larger)) * 2
            left = self.tiles.at(value * run.value_in + first * number['tile_floats'])
            right = weights.at((run.matrix + value * run.step) * all_panels)
            ahead = right.at(run.step * all_panels)  # the processor does not guess where the next matrix is
            place = self.products.at(value * run.value_out + first * shape.panel)
            rows = (fewest + (larger - group).minimum(1).maximum(0)) * 2
            choices = range(2, shape.rows + 1, 2)
            kernel.choose(
                rows, {count: partial(self._multiply_rows, left, (right, ahead), place, count) for count in choices}
            )

    def _multiply_rows(self, left: Array, matrices: tuple[Array, Array], place: Array, rows: int) -> None:
        """The products of one value of a few tiles.  `matrices`: the one to multiply with, and the next one."""
        shape, number = self.shape, self.number
        tiles = [left.at(number['tile_floats'] * row) for row in range(rows)]
        right, ahead = matrices
        channels = number['channels_in']
        products = multiply(self.kernel, tiles, right, channels, shape.vectors, shape.panel, ahead=ahead)
        for row, values in enumerate(products):
            for n, result in enumerate(values):
                place.store(result, row * shape.panel + n * shape.lanes)

    def _transform_output(self, panel: Int, run: _Run) -> None:
        """The 4x4 results of each tile of the job, for the channels of a panel."""
        kernel, number = self.kernel, self.number
        row, pixel, margin = number['output_row'], number['output_pixel'], number['margin']
        with kernel.loop(run.count) as index:
            tile = run.first + index
            y, x = tile // number['tiles_x'] * RESULT + margin, tile % number['tiles_x'] * RESULT + margin
            corner = self.target.at(y * row + x * pixel)
            with self._blocks(panel, index) as (block, source):
                place = corner.at(block)
                columns = [
                    self._output_transform([source.load(run.value_out * (column + y * SIDE)) for y in range(SIDE)])
                    for column in range(SIDE)
                ]
                for y, values in enumerate(zip(*columns, strict=True)):
                    for column, value in enumerate(self._output_transform(list(values))):
                        place.store(value, row * y + pixel * column)

    def _transform_edge_output(self, edge: _Edge, panel: Int, run: _Run) -> None:
        """The 4 results of each tile along an edge."""
        kernel, number, pick = self.kernel, self.number, self.kernel.pick
        row, pixel = number['output_row'], number['output_pixel']
        along = pick(edge.across, pixel, row)
        last = pick(edge.across, (number['height'] + 1) * row, (number['width'] + 1) * pixel)
        beginning = pick(edge.far, last, kernel.integer(0)) + pick(edge.across, kernel.integer(0), row)
        with kernel.loop(run.count) as index:
            start = self.target.at(beginning + (run.first + index) * along * RESULT)
            with self._blocks(panel, index) as (block, source):
                values = [source.load(run.value_out * n) for n in range(SIDE)]
                for n, value in enumerate(self._output_transform(values)):
                    start.store(value, block + along * n)

    @contextmanager
    def _blocks(self, panel: Int, tile: Int) -> Iterator[tuple[Int, Array]]:
        """For each vector of a panel: its first channel, and where the products of tile number `tile` of the job are."""
        kernel, shape = self.kernel, self.shape
        first = panel * shape.panel
        last = (first + shape.panel).minimum(self.number['channels_out'])
        with kernel.loop(last, start=first, step=shape.lanes) as channel:
            yield channel, self.products.at(tile * shape.panel + channel - first)

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


def _odd_lines(floats: Int) -> Int:
    """An odd number of lines of the cache, so that what lies so far apart does not share its places; `floats` are whole lines."""
    return floats + (LINE - (floats & LINE))

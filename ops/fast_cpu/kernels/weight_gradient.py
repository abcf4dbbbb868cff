"""The gradient of a 3x3 convolution with respect to its weights as one kernel, by the adjoint of Winograd's F(4x4, 3x3).

The convolution multiplies each of the 36 values of a transformed tile by a matrix; so the gradient of that matrix is a sum of products
over all tiles: of the transformed input, and of the gradient of the 4x4 results, taken to 36 values by the adjoint of the transform
back. A job is a sample, which runs through its tiles a few at a time and adds to its 36 matrices [channels in, channels out].
"""

from collections.abc import Callable
from dataclasses import dataclass

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.shapes import WeightGradientShape
from ops.fast_cpu.winograd_points import FAR, NEAR

SIDE = 6
RESULT = 4


@dataclass(frozen=True)
class _Picture:
    """One of the two pictures that tiles are taken from, and where they go."""

    source: Array
    row: Int
    pixel: Int
    height: Int
    width: Int
    channels: Int
    side: int
    """Of a tile in samples."""
    shift_y: Int
    shift_x: Int
    """How far a tile begins before its number says."""
    transform: Callable[[list[Vec]], list[Vec]]
    tiles: Array
    """[36, run, room]."""
    room: Int


def write(shape: WeightGradientShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


class _Writer:
    def __init__(self, shape: WeightGradientShape):
        self.shape = shape
        self.kernel = Kernel(shape.name, shape.lanes, WeightGradientShape.fields)
        self.number = {name: self.kernel.field(name) for name in WeightGradientShape.fields}

    def text(self) -> str:
        kernel, shape, number = self.kernel, self.shape, self.number
        self.patch, self.half = kernel.scratch, kernel.scratch.at(36 * shape.lanes)
        tiles = kernel.scratch.at(2 * 36 * shape.lanes)
        given = self._given(tiles)
        gradient = self._gradient(tiles.at(number['run'] * number['room_in'] * 36))
        target = kernel.array('output').at(kernel.job * number['room_in'] * number['room_out'] * 36)
        with kernel.loop((number['tiles'] + number['run'] - 1) // number['run']) as run:
            first = run * number['run']
            count = number['run'].minimum(number['tiles'] - first)
            for picture in (given, gradient):
                self._transform(picture, first, count)
            self._multiply(given, gradient, target, count)
        return kernel.finish()

    def _given(self, tiles: Array) -> _Picture:
        """The input of the convolution."""
        kernel, number = self.kernel, self.number
        return _Picture(
            source=kernel.array('input').at(kernel.job * number['input_sample']),
            row=number['input_row'],
            pixel=number['input_pixel'],
            height=number['height'],
            width=number['width'],
            channels=number['channels_in'],
            side=SIDE,
            shift_y=number['padding_y'],
            shift_x=number['padding_x'],
            transform=self._input_transform,
            tiles=tiles,
            room=number['room_in'],
        )

    def _gradient(self, tiles: Array) -> _Picture:
        """The gradient with respect to its result."""
        kernel, number = self.kernel, self.number
        return _Picture(
            source=kernel.array('gradient').at(kernel.job * number['gradient_sample']),
            row=number['gradient_row'],
            pixel=number['gradient_pixel'],
            height=number['gradient_height'],
            width=number['gradient_width'],
            channels=number['channels_out'],
            side=RESULT,
            shift_y=kernel.integer(0),
            shift_x=kernel.integer(0),
            transform=self._gradient_transform,
            tiles=tiles,
            room=number['room_out'],
        )

    def _transform(self, picture: _Picture, first: Int, count: Int) -> None:
        """The 36 values of the tiles from number `first` on, all channels."""
        kernel, lanes, number = self.kernel, self.shape.lanes, self.number
        value_floats = number['run'] * picture.room
        with kernel.loop(count) as index:
            tile = first + index
            top = tile // number['tiles_x'] * RESULT - picture.shift_y
            left = tile % number['tiles_x'] * RESULT - picture.shift_x
            with kernel.loop(picture.channels, step=lanes) as block:
                channel = block.minimum(picture.channels - lanes)
                self._copy(picture, channel, top, left)
                with kernel.loop(picture.side) as column:
                    values = [self.patch.load((column + row * SIDE) * lanes) for row in range(picture.side)]
                    for row, value in enumerate(picture.transform(values)):
                        self.half.store(value, (column + row * SIDE) * lanes)
                place = picture.tiles.at(index * picture.room + channel)
                with kernel.loop(SIDE) as row:
                    values = [self.half.load((row * SIDE + column) * lanes) for column in range(picture.side)]
                    for column, value in enumerate(picture.transform(values)):
                        place.store(value, (row * SIDE + column) * value_floats)

    def _copy(self, picture: _Picture, channel: Int, top: Int, left: Int) -> None:
        """The samples of a tile, zeros outside the picture, to scratch memory."""
        kernel, lanes, side = self.kernel, self.shape.lanes, picture.side
        source = picture.source.at(channel)
        inside = kernel.both(
            kernel.both(top >= 0, left >= 0),
            kernel.both(top + side < picture.height + 1, left + side < picture.width + 1),
        )
        with kernel.either(inside) as (yes, no):
            with yes, kernel.loop(side) as row:
                start = source.at((top + row) * picture.row + left * picture.pixel)
                for column in range(side):
                    self.patch.store(start.load(picture.pixel * column), (row * SIDE + column) * lanes)
            with no, kernel.loop(side) as row, kernel.loop(side) as column:
                y, x, place = top + row, left + column, (row * SIDE + column) * lanes
                self.patch.store(kernel.constant(0.0), place)
                here = kernel.both(kernel.both(y >= 0, y < picture.height), kernel.both(x >= 0, x < picture.width))
                with kernel.when(here):
                    self.patch.store(source.load(y * picture.row + x * picture.pixel), place)

    def _multiply(self, given: _Picture, gradient: _Picture, target: Array, count: Int) -> None:
        """Adds the tiles' products to the 36 matrices."""
        kernel, shape, number = self.kernel, self.shape, self.number
        with (
            kernel.loop(36) as value,
            kernel.loop(given.room, step=shape.rows) as row,
            kernel.loop(gradient.room, step=shape.lanes) as column,
        ):
            left = given.tiles.at(value * number['run'] * given.room + row)
            right = gradient.tiles.at(value * number['run'] * gradient.room + column)
            place = target.at((value * given.room + row) * gradient.room + column)
            sums = [kernel.slot(place.load(gradient.room * n)) for n in range(shape.rows)]
            with kernel.loop(count) as tile:
                vector, scalars = right.load(tile * gradient.room), left.at(tile * given.room)
                for n, total in enumerate(sums):
                    total.set(scalars.splat(n).fma(vector, total.get()))
            for n, total in enumerate(sums):
                place.store(total.get(), gradient.room * n)

    def _input_transform(self, d: list[Vec]) -> list[Vec]:
        """One dimension of the transform of a tile: B^T d."""
        number = self.kernel.constant
        near, far = NEAR * NEAR, FAR * FAR
        even_near, odd_near = d[2].fma(number(-far), d[4]), d[1].fma(number(-far), d[3]) * number(NEAR)
        even_far, odd_far = d[2].fma(number(-near), d[4]), d[1].fma(number(-near), d[3]) * number(FAR)
        zero = d[0].fma(number(near * far), d[2].fma(number(-near - far), d[4]))
        infinity = d[1].fma(number(near * far), d[3].fma(number(-near - far), d[5]))
        return [zero, even_near + odd_near, even_near - odd_near, even_far + odd_far, even_far - odd_far, infinity]

    def _gradient_transform(self, g: list[Vec]) -> list[Vec]:
        """One dimension of the adjoint of the transform back: A g."""
        number = self.kernel.constant
        even_near, odd_near = g[2].fma(number(NEAR**2), g[0]), g[3].fma(number(NEAR**3), g[1] * number(NEAR))
        even_far, odd_far = g[2].fma(number(FAR**2), g[0]), g[3].fma(number(FAR**3), g[1] * number(FAR))
        return [g[0], even_near + odd_near, even_near - odd_near, even_far + odd_far, even_far - odd_far, g[3]]

"""StyleGAN2's picture at the next rate as one kernel: what is there so far, doubled by a filter of at most four taps, plus a layer's own.

A vector holds the four numbers of one pixel. A job is a segment of the rows of the smaller picture of one sample.
"""

from typing import Any

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.shapes import PictureShape


def write(shape: PictureShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


class _Writer:
    def __init__(self, shape: PictureShape):
        self.kernel = Kernel(shape.name, shape.lanes, PictureShape.fields)
        self.number = {name: self.kernel.field(name) for name in PictureShape.fields}

    def text(self) -> str:
        kernel, number = self.kernel, self.number
        self.taps_y, self.taps_x = ([kernel.array(f'taps_{line}').splat(n) for n in range(4)] for line in 'yx')
        *self.rows, self.zeros = (kernel.scratch.at((number['width'] + 2) * (kernel.lanes * n)) for n in range(3))
        """Two rows of the result before they are doubled along x, with a zero pixel at each end; and a row of zeros."""
        with kernel.loop(number['width']) as column:
            self.zeros.store(kernel.constant(0.0), column * kernel.lanes)
        for row in self.rows:
            row.store(kernel.constant(0.0))
            row.store(kernel.constant(0.0), (number['width'] + 1) * kernel.lanes)
        sample, first = kernel.job // number['segments'], kernel.job % number['segments'] * number['segment']
        source, own, target = (
            kernel.array(name).at(sample * number[f'{name}_sample']) for name in ('input', 'own', 'output')
        )
        with kernel.loop((first + number['segment']).minimum(number['height']), start=first) as row:
            self._double_along_y(source, row)
            for n in range(2):
                line = row * 2 + n
                self._finish_row(self.rows[n], own.at(line * number['own_row']), target.at(line * number['output_row']))
        return kernel.finish()

    def _double_along_y(self, source: Array, row: Int) -> None:
        """The two rows of the result that lie at `row`; rows outside the picture are zeros."""
        kernel, number = self.kernel, self.number
        before = self._row_or_zeros(row < 1, source.at((row - 1) * number['input_row']))
        here = source.at(row * number['input_row'])
        after = self._row_or_zeros(row + 1 >= number['height'], source.at((row + 1) * number['input_row']))
        with kernel.loop(number['width']) as column:
            place = column * kernel.lanes
            results = _two_results(self.taps_y, before.load(place), here.load(place), after.load(place))
            for target, value in zip(self.rows, results, strict=True):
                target.store(value, place + kernel.lanes)

    def _row_or_zeros(self, outside: Any, row: Array) -> Array:
        return Array(self.kernel, self.kernel.builder.select(outside, self.zeros.pointer, row.pointer))

    def _finish_row(self, row: Array, own: Array, target: Array) -> None:
        kernel, number, lanes = self.kernel, self.number, self.kernel.lanes
        with kernel.loop(number['width']) as column:
            values = (row.load((column + n) * lanes) for n in range(3))
            for n, value in enumerate(_two_results(self.taps_x, *values)):
                place = (column * 2 + n) * lanes
                target.store(value + own.load(place), place)


def _two_results(taps: list[Vec], before: Vec, here: Vec, after: Vec) -> tuple[Vec, Vec]:
    """z[o] = sum of f[j] x[o + 1 - j] at two neighbouring o, where x has a zero behind each sample."""
    return before.fma(taps[3], here * taps[1]), here.fma(taps[2], after * taps[0])

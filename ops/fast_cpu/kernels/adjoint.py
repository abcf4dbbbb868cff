"""The gradient of the filtered leaky ReLU with respect to its input, as one kernel.

The input is upsampled once more, since its sign decides what passes; the gradient of the output is upsampled with the
down filter; the product is filtered down with the up filter. Jobs, rings and the alignment of the grid are those of the forward
kernel, but the two signals may have different factors, so each row of the grid looks up its own taps.
"""

from dataclasses import dataclass

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Slot, Vec
from ops.fast_cpu.kernels.rows import Layout, add, dot, layout, read_row, table, write_row, zeros
from ops.fast_cpu.shapes import AdjointShape

OUTPUTS_AT_ONCE = 4


def write(shape: AdjointShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


@dataclass
class _Signal:
    """One of the two signals that are upsampled to the grid."""

    name: str
    up: int
    reach: int
    rank: int
    ring_rows: int
    rings: Array
    """Scratch memory: `rank` rings of rows upsampled along x."""
    taps_x: list[list[Vec]]
    """[rank * up][reach]."""
    taps_y: Array
    where: Layout
    source: Array | None = None
    first_column: Int | None = None
    offset: Int | None = None
    """Of the first column of the strip in the rings' rows."""
    groups: Int | None = None
    next_row: Slot | None = None


class _Writer:
    def __init__(self, shape: AdjointShape):
        self.shape = shape
        self.kernel = Kernel(shape.name, shape.lanes, AdjointShape.fields)
        numbers = [name for name in AdjointShape.fields if name not in ('slope', 'limit')]
        self.number = {name: self.kernel.field(name) for name in numbers}

    def text(self) -> str:
        kernel, shape, number = self.kernel, self.shape, self.number
        columns, scratch = number['columns'], kernel.scratch
        self.row, self.grid = scratch, scratch.at(columns)
        place = scratch.at(columns * 2)
        self.input = self._signal('input', shape.up, shape.reach, 1, shape.input_ring, place)
        place = place.at(columns * shape.input_ring)
        self.gradient = self._signal(
            'gradient', shape.down, shape.gradient_reach, shape.rank, shape.gradient_ring, place
        )
        self.output_ring = place.at(columns * (shape.rank * shape.gradient_ring))
        self.output = layout(self.number, 'output', planar=shape.planar)
        self.output_taps_x = table(kernel.array('output_taps_x'), 1, shape.taps)[0]
        self.output_taps_y = table(kernel.array('output_taps_y'), 1, shape.taps)[0]
        self._job(kernel.job)
        return kernel.finish()

    def _signal(self, name: str, up: int, reach: int, rank: int, ring_rows: int, rings: Array) -> _Signal:
        taps_x = table(self.kernel.array(f'{name}_taps_x'), rank * up, reach)
        taps_y, where = self.kernel.array(f'{name}_taps_y'), layout(self.number, name, planar=self.shape.planar)
        return _Signal(name, up, reach, rank, ring_rows, rings, taps_x, taps_y, where)

    def _job(self, job: Int) -> None:
        kernel, shape, number = self.kernel, self.shape, self.number
        strip, job = job % number['strips'], job // number['strips']
        segment, job = job % number['segments'], job // number['segments']
        block, sample = job % number['blocks'], job // number['blocks']
        channel = (block * shape.lanes).minimum(number['channels'] - shape.lanes)
        left, top = strip * number['strip'], segment * number['segment']
        self.width = number['strip'].minimum(number['width'] - left)
        bottom = (top + number['segment']).minimum(number['height'])
        used = (self.width - 1) * shape.up + shape.taps  # columns of the grid
        for signal in (self.input, self.gradient):
            places = sample * number[f'{signal.name}_sample'] + channel * signal.where.channel
            signal.source = kernel.array(signal.name).at(places)
            start = left * shape.up + number[f'{signal.name}_shift_x']
            group = start // signal.up
            skipped = start - group * signal.up
            signal.first_column = number[f'{signal.name}_first_x'] + group
            signal.offset = skipped * shape.lanes
            signal.groups = (skipped + used + signal.up - 1) // signal.up
        target = kernel.array('output').at(sample * number['output_sample'] + channel * self.output.channel)
        self._rows(top, bottom, used, target.at(left * self.output.pixel))

    def _rows(self, top: Int, bottom: Int, used: Int, target: Array) -> None:
        """All rows of the grid of the job, streaming; row 0 is the first that the first row of the output needs."""
        kernel, shape, number = self.kernel, self.shape, self.number
        first = top * shape.up
        for signal in (self.input, self.gradient):
            signal.next_row = kernel.slot((first + number[f'{signal.name}_shift_y']) // signal.up)
        next_output = kernel.slot(top)
        with kernel.loop((bottom - 1) * shape.up + shape.taps, start=first) as row:
            for signal in (self.input, self.gradient):
                self._fill(signal, (row + number[f'{signal.name}_shift_y']) // signal.up + signal.reach)
            self._grid_row(row, used)
            self._down_along_x(self.output_ring.at((row & (shape.output_ring - 1)) * number['columns']))
            with kernel.when(row + 1 >= next_output.get() * shape.up + shape.taps):
                here = next_output.get()
                self._result_row(here, target.at(here * self.output.row))
                next_output.set(here + 1)

    def _fill(self, signal: _Signal, stop: Int) -> None:
        """Upsample along x the rows of a signal up to number `stop`, counted from its first group."""
        kernel, lanes, columns = self.kernel, self.shape.lanes, self.number['columns']
        assert signal.next_row and signal.source and signal.first_column is not None and signal.groups is not None
        with kernel.repeat_while(lambda: signal.next_row.get() < stop):  # type: ignore[union-attr]
            index = signal.next_row.get()
            row = self.number[f'{signal.name}_first_y'] + index
            place = signal.rings.at((index & (signal.ring_rows - 1)) * columns)
            places = [place.at(columns * (term * signal.ring_rows)) for term in range(signal.rank)]
            size = self.number['height' if signal.name == 'input' else 'gradient_height']
            with kernel.either(kernel.any_of(row < 0, row >= size)) as (outside, inside):
                with outside:
                    for term in places:
                        zeros(kernel, term, 0, signal.groups * signal.up)
                with inside:
                    self._read_row(signal, row)
                    with kernel.loop(signal.groups) as group:
                        samples = [self.row.load((group + k) * lanes) for k in range(signal.reach)]
                        for number, taps in enumerate(signal.taps_x):
                            term, phase = divmod(number, signal.up)
                            places[term].store(dot(samples, taps), (group * signal.up + phase) * lanes)
            signal.next_row.set(index + 1)

    def _read_row(self, signal: _Signal, row: Int) -> None:
        assert signal.source and signal.first_column is not None and signal.groups is not None
        read_row(
            self.kernel,
            signal.source.at(row * signal.where.row),
            signal.where,
            first=signal.first_column,
            count=signal.groups + (signal.reach - 1),
            width=self.number['width' if signal.name == 'input' else 'gradient_width'],
            row=self.row,
            change=lambda pixel: pixel,
        )

    def _grid_row(self, row: Int, used: Int) -> None:
        """A row of the grid: the upsampled gradient where the activation lets it pass."""
        kernel, lanes = self.kernel, self.shape.lanes
        slope, limit = kernel.number('slope'), kernel.number('limit')
        input_rows, input_taps = self._sources(self.input, row)
        gradient_rows, gradient_taps = self._sources(self.gradient, row)
        with kernel.loop(used) as column:
            value = dot([one.load(column * lanes) for one in input_rows], input_taps)
            passing = dot([one.load(column * lanes) for one in gradient_rows], gradient_taps)
            passing = value.where_positive(passing, passing * slope)
            magnitude = value.where_positive(value, value * slope).magnitude()
            self.grid.store(magnitude.where_below(limit, passing, kernel.constant(0.0)), column * lanes)

    def _sources(self, signal: _Signal, row: Int) -> tuple[list[Array], list[Vec]]:
        """The rows that a row of the grid is a sum of, and their taps, of all terms."""
        columns = self.number['columns']
        place = row + self.number[f'{signal.name}_shift_y']
        group = place // signal.up
        phase = place - group * signal.up
        assert signal.offset is not None
        rows, taps = [], []
        for term in range(signal.rank):
            ring = signal.rings.at(columns * (term * signal.ring_rows)).at(signal.offset)
            factors = signal.taps_y.at((phase + term * signal.up) * signal.reach)
            for k in range(signal.reach):
                rows.append(ring.at(((group + k) & (signal.ring_rows - 1)) * columns))
                taps.append(factors.splat(k))
        return rows, taps

    def _down_along_x(self, place: Array) -> None:
        """The row of the grid filtered down along x, as many results as the strip is wide, or a few more."""
        shape, lanes = self.shape, self.shape.lanes
        with self.kernel.loop(self.width, step=OUTPUTS_AT_ONCE) as column:
            start = self.grid.at(column * (shape.up * lanes))
            sums: list[Vec | None] = [None] * OUTPUTS_AT_ONCE
            for n in range((OUTPUTS_AT_ONCE - 1) * shape.up + shape.taps):
                value = start.load(n * lanes)
                for result in range(OUTPUTS_AT_ONCE):
                    tap = n - result * shape.up
                    if 0 <= tap < shape.taps:
                        sums[result] = add(sums[result], value, self.output_taps_x[tap])
            for result, total in enumerate(sums):
                assert total is not None
                place.store(total, (column + result) * lanes)

    def _result_row(self, index: Int, target: Array) -> None:
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        columns, ring = self.number['columns'], shape.output_ring - 1
        rows = [self.output_ring.at(((index * shape.up + tap) & ring) * columns) for tap in range(shape.taps)]
        with kernel.loop(self.width) as column:
            self.row.store(dot([row.load(column * lanes) for row in rows], self.output_taps_y), column * lanes)
        write_row(kernel, self.row, target, self.output, self.width)

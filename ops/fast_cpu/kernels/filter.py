"""The filtered leaky ReLU as one kernel: add bias, upsample, activate, clamp, filter, keep every n-th sample.

A job is a strip of columns of one block of channels (a vector of them) of one sample. Rows of the input stream through
rings in the second cache: a few rows of the grid at a time are upsampled along y, then x, activated, and, if the filter is separable,
filtered down along x; once enough of them are there, along y into rows of the result. Between these steps, blocks of
columns lie in memory that is used again and again, so that it stays in the first cache. Meanwhile the next rows of input and result are
fetched: their pixels lie too far apart for the processor to guess.

The grid is shifted so that `up` neighbouring samples depend on the same inputs: at position up * g + r, r = 1 … up, those
are the inputs g + 1 … g + reach. Then only the taps differ between calls, not the code.
"""

from collections.abc import Callable
from typing import Any

from ops.fast_cpu.filter_shape import FilterShape
from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.kernels.rows import add, dot, layout, read_row, table, write_row, zeros


def write(shape: FilterShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


class _Blocks:
    """Blocks of vectors that take turns: the oldest one becomes the newest."""

    def __init__(self, start: Array, count: int, vectors: int):
        self.start, self.vectors, self.kernel = start, vectors, start.kernel
        self.after = start.at(count * vectors * self.kernel.lanes)
        """Memory behind them."""
        self.slots = [self.kernel.slot(n * vectors * self.kernel.lanes) for n in range(count)]

    def oldest(self) -> Array:
        """The block that nobody needs any more once it has been read."""
        return self.start.at(self.slots[0].get())

    def load(self, vector: int, further: Int | int = 0) -> Vec:
        """Vector number `vector` from the start of the oldest block, plus `further` within its block."""
        block, number = divmod(vector, self.vectors)
        place = self.start.at(self.slots[block].get())
        return place.at(further * self.kernel.lanes).load(number * self.kernel.lanes)

    def rotate(self) -> None:
        """What was the oldest block is now the newest."""
        places = [slot.get() for slot in self.slots]
        for slot, place in zip(self.slots, places[1:] + places[:1], strict=True):
            slot.set(place)


class _Writer:
    def __init__(self, shape: FilterShape):
        self.shape = shape
        self.kernel = Kernel(shape.name, shape.lanes, FilterShape.fields)
        self.number = {
            name: self.kernel.field(name) for name in FilterShape.fields if name not in ('slope', 'clamp', 'harmless')
        }

    def text(self) -> str:
        kernel, shape = self.kernel, self.shape
        self.slope, self.clamp = kernel.number('slope'), kernel.number('clamp')
        self.floor, self.harmless = kernel.constant(0.0) - self.clamp, kernel.number('harmless')
        self.up_x = table(kernel.array('taps_up_x'), shape.up, shape.reach)
        self.up_y = table(kernel.array('taps_up_y'), shape.up, shape.reach)
        self.down_x = table(kernel.array('taps_down_x'), shape.rank, shape.taps)
        self.down_y = table(kernel.array('taps_down_y'), shape.rank, shape.taps)
        self.input = layout(self.number, 'input', planar=shape.planar)
        self.output = layout(self.number, 'output', planar=shape.planar)
        scratch, columns = kernel.scratch, self.number['columns']
        self.kept = [scratch.at(columns * n) for n in range(shape.results)]
        self.input_ring = scratch.at(columns * shape.results)
        self.grid_ring = scratch.at(columns * (shape.results + shape.input_ring))
        self.blocks = scratch.at(columns * (shape.results + shape.input_ring + shape.grid_ring))
        self._job(kernel.job)
        return kernel.finish()

    def _job(self, job: Int) -> None:
        """One strip of columns of a segment of rows of a block of channels of a sample."""
        kernel, shape, number = self.kernel, self.shape, self.number
        strip, job = job % number['strips'], job // number['strips']
        segment, job = job % number['segments'], job // number['segments']
        block, sample = job % number['blocks'], job // number['blocks']
        channel = (block * shape.lanes).minimum(number['channels'] - shape.lanes)
        self.source = kernel.array('input').at(sample * number['input_sample'] + channel * number['input_channel'])
        target = kernel.array('output').at(sample * number['output_sample'] + channel * number['output_channel'])
        self.bias = kernel.array('bias').load(channel)
        self.scale = kernel.array('scale').load(sample * number['scale_sample'] + channel)
        left, top = strip * number['strip'], segment * number['segment']
        self.width = number['strip'].minimum(number['new_width'] - left)
        bottom = (top + number['segment']).minimum(number['new_height'])
        start = number['shift_x'] + left * shape.down
        group_x = start // shape.up
        self.first_column = number['first_x'] + group_x
        skipped = start - group_x * shape.up
        self.skipped = skipped if shape.rank > 1 else kernel.integer(shape.skipped)
        self.groups = (skipped + (self.width - 1) * shape.down + shape.taps + shape.up - 1) // shape.up
        self._rows(top, bottom, target.at(left * number['output_pixel']))

    def _rows(self, top: Int, bottom: Int, target: Array) -> None:
        """All rows of the job, streaming."""
        kernel, shape, number = self.kernel, self.shape, self.number
        first = (number['shift_y'] + top * shape.down) // shape.up
        last = (number['shift_y'] + (bottom - 1) * shape.down + shape.taps + shape.up - 1) // shape.up
        next_input, next_output = kernel.slot(first), kernel.slot(top)
        self.peak = kernel.slot(kernel.constant(0.0))  # largest magnitudes so far: mostly too small to reach the clamp
        with kernel.loop(last, start=first, step=shape.groups) as group:
            with kernel.repeat_while(lambda: next_input.get() < group + (shape.reach + shape.groups - 1)):
                here = next_input.get()
                self._input_row(here)
                next_input.set(here + 1)
            self._grid_rows(group, next_input.get(), target.at(next_output.get() * number['output_row']))
            beyond = (group + shape.groups) * shape.up - number['shift_y'] - shape.taps + 1
            for count in (shape.results, 1):

                def complete(beyond: Int = beyond, more: int = count - 1) -> Any:
                    """Whether the next `count` results have all their samples."""
                    last = next_output.get() + more
                    return kernel.both(last * shape.down < beyond, last < bottom)

                with kernel.repeat_while(complete):
                    here = next_output.get()
                    self._result_rows(here, [target.at((here + n) * number['output_row']) for n in range(count)])
                    next_output.set(here + count)

    def _input_row(self, index: Int) -> None:
        """Input row number `index` of the strip, scaled, plus bias, into its ring."""
        kernel, shape, number = self.kernel, self.shape, self.number
        row, count = number['first_y'] + index, self.groups + (self.shape.reach - 1)
        place = self.input_ring.at((index % shape.input_ring) * number['columns'])

        def change(pixel: Vec) -> Vec:
            value = pixel.fma(self.scale, self.bias)
            self.peak.set(self.peak.get().maximum(value.magnitude()))
            return value

        with kernel.either(kernel.any_of(row < 0, row >= number['height'])) as (yes, no):
            with yes:
                zeros(kernel, place, 0, count)
            with no:
                read_row(
                    kernel,
                    self.source.at(row * self.input.row),
                    self.input,
                    first=self.first_column,
                    count=count,
                    width=number['width'],
                    row=place,
                    change=change,
                )

    def _grid_rows(self, group: Int, next_input: Int, next_result: Array) -> None:
        """The rows of the grid of `groups` groups; fetches the input rows from `next_input` on and the rows from `next_result` on.

        What a step along the columns reads was written by the one before, so that nothing waits for what has only just been computed.
        """
        kernel, shape, number = self.kernel, self.shape, self.number
        rows = [((group + k) % shape.input_ring) * number['columns'] for k in range(shape.reach + shape.groups - 1)]
        sources = [self.input_ring.at(row) for row in rows]
        wide = _Blocks(self.blocks, shape.wide_blocks, shape.wide_block * shape.grid_rows)
        grid = _Blocks(wide.after, shape.grid_blocks, shape.block * shape.grid_rows)
        small = kernel.all_below(self.peak.get(), self.harmless)
        if shape.rank == 1:
            blocks = (self.width + (shape.outputs - 1)) // shape.outputs + (shape.grid_blocks - 1)
        else:
            blocks = (self.skipped + (self.width - 1) * shape.down + (shape.taps + shape.block - 1)) // shape.block
        along_x, down = shape.wide_blocks, shape.wide_blocks + shape.grid_blocks
        with kernel.loop(blocks + (along_x + 1 if shape.rank == 1 else along_x)) as block:
            self._fetch(block, next_input, next_result)
            if shape.rank == 1:
                with kernel.when(block >= down):
                    self._block_down(grid, group * shape.up, block - down)
            with kernel.when(kernel.both(block >= along_x, block < blocks + along_x)):
                self._block_along_x(wide, grid, group * shape.up, block - along_x, small)
                grid.rotate()
            with kernel.when(block < blocks + (shape.wide_blocks - 1)):
                self._block_along_y(sources, wide, block)
            wide.rotate()

    def _fetch(self, block: Int, next_input: Int, next_result: Array) -> None:
        """Have a block of what will be read and written next fetched; where vectors may lie in two lines, both."""
        kernel, shape, number = self.kernel, self.shape, self.number
        if shape.planar:
            return
        source = self.source.at((number['first_y'] + next_input) * self.input.row)
        source = source.at((self.first_column + block * shape.wide_block) * self.input.pixel)
        target = next_result.at(block * (self.output.pixel * shape.outputs))

        def fetch(offset: int) -> None:
            for row in range(shape.groups):
                for column in range(shape.wide_block):
                    source.at(self.input.row * row).prefetch(self.input.pixel * column + offset, cache=2)
            for row in range(shape.grid_rows // shape.down):
                for column in range(shape.outputs):
                    target.at(self.output.row * row).prefetch(self.output.pixel * column + offset, write=True)

        fetch(0)
        with kernel.when(number['channels'] % shape.lanes >= 1):
            fetch(shape.lanes - 1)

    def _block_along_y(self, sources: list[Array], wide: _Blocks, block: Int) -> None:
        """A block of columns upsampled along y."""
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        target = wide.oldest()
        with kernel.loop(shape.wide_block) as column:
            samples = [source.load((block * shape.wide_block + column) * lanes) for source in sources]
            place = target.at(column * (shape.grid_rows * lanes))
            for n, value in enumerate(self._upsampled_groups(samples, shape.groups, self.up_y)):
                place.store(value, n * lanes)

    def _block_along_x(self, wide: _Blocks, grid: _Blocks, first_row: Int, block: Int, small: Any) -> None:
        """A block of columns of the grid, activated; to the grid's ring of rows if the filter is not separable."""
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        with kernel.loop(shape.grid_rows) as row:
            samples = [wide.load(k * shape.grid_rows, row) for k in range(shape.wide_block + shape.reach - 1)]
            values = self._upsampled_groups(samples, shape.wide_block, self.up_x)
            if shape.rank == 1:
                place, apart = grid.oldest().at(row * lanes), shape.grid_rows * lanes
            else:
                place, apart = self._grid_row(first_row + row).at(block * (shape.block * lanes)), lanes
            with kernel.either(small) as (harmless, large):
                for branch, clamped in ((harmless, False), (large, True)):
                    with branch:
                        for n, value in enumerate(self._activated(values, clamped=clamped)):
                            place.store(value, n * apart)

    def _block_down(self, grid: _Blocks, first_row: Int, block: Int) -> None:
        """A block of columns of the grid filtered down along x, into the ring of rows."""
        shape = self.shape
        with self.kernel.loop(shape.grid_rows) as row:
            target = self._grid_row(first_row + row).at(block * (shape.outputs * shape.lanes))
            results = self._down_along_x(lambda n, _: grid.load((n + shape.skipped) * shape.grid_rows, row))
            for n, value in enumerate(results):
                target.store(value, n * shape.lanes)

    def _activated(self, values: list[Vec], *, clamped: bool) -> list[Vec]:
        """Values of the grid after the activation."""
        values = [value.maximum(value * self.slope) for value in values]
        return [value.minimum(self.clamp).maximum(self.floor) for value in values] if clamped else values

    def _upsampled_groups(self, samples: list[Vec], groups: int, taps: list[list[Vec]]) -> list[Vec]:
        """The values of the grid of neighbouring groups."""
        reach = self.shape.reach
        return [value for n in range(groups) for value in self._upsampled(samples[n : n + reach], taps)]

    def _upsampled(self, samples: list[Vec], taps: list[list[Vec]]) -> list[Vec]:
        """One value of the grid per phase."""
        if not self.shape.up_mirrored:
            return [dot(samples, row) for row in taps]
        half, phases = len(samples) // 2, len(taps)
        sums = [samples[n] + samples[-1 - n] for n in range(half)]
        differences = [samples[n] - samples[-1 - n] for n in range(half)]
        pairs = [(dot(sums, row[:half]), dot(differences, row[half:])) for row in taps[: phases // 2]]
        return [even + odd for even, odd in pairs] + [even - odd for even, odd in reversed(pairs)]

    def _grid_row(self, index: Int) -> Array:
        """Where row `index` of the grid is kept until it is filtered along y."""
        return self.grid_ring.at((index % self.shape.grid_ring) * self.number['columns'])

    def _down_along_x(self, load: Callable[[int, int], Vec]) -> list[Vec]:
        """Neighbouring results of the columns `load(column, term)`."""
        shape = self.shape
        sums: list[Vec | None] = [None] * shape.outputs
        for term in range(shape.rank):
            places = [[result * shape.down + n for n in self._used(term)] for result in range(shape.outputs)]
            loaded = {n: load(n, term) for n in sorted({n for some in places for n in some})}
            for result in range(shape.outputs):
                window = {n: loaded[result * shape.down + n] for n in self._used(term)}
                sums[result] = self._filtered(window, self.down_x[term], term, sums[result], one=shape.rank == 1)
        return [total for total in sums if total is not None]

    def _down_along_y(self, rows: list[Array], column: Int, count: int) -> list[list[Vec]]:
        """A column of each of `count` rows of results, every term."""
        shape = self.shape
        samples, found = [row.load(column * shape.lanes) for row in rows], []
        for result in range(count):
            window = dict(enumerate(samples[result * shape.down :][: shape.taps]))
            terms = enumerate(self.down_y)
            found.append([self._filtered(window, taps, term, None, one=shape.rank > 1) for term, taps in terms])
        return found

    def _used(self, term: int) -> list[int]:
        """The taps of a term that are not zero."""
        half = self.shape.taps // 2
        none = range(half - term, half + term) if self.shape.nested else ()
        return [n for n in range(self.shape.taps) if n not in none]

    def _filtered(self, samples: dict[int, Vec], taps: list[Vec], term: int, total: Vec | None, *, one: bool) -> Vec:
        """`total` plus the samples, by their number, times the taps of a term; `one`: the innermost tap is 1 if the terms are nested.

        Samples of equal taps are added up first: additions run beside multiplications.
        """
        shape = self.shape
        if not shape.mirrored:
            value = dot([samples[n] for n in range(shape.taps)], taps)
            return value if total is None else total + value
        inner = [n for n in self._used(term) if n < (shape.taps + 1) // 2][::-1]
        for n in inner:
            mirror = shape.taps - 1 - n
            value = samples[n] if n == mirror else samples[n] + samples[mirror]
            total = value if total is None and one and shape.nested else add(total, value, taps[n])
        assert total is not None
        return total

    def _result_rows(self, index: Int, targets: list[Array]) -> None:
        """Neighbouring rows of the result from the rows of the grid."""
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        first, count = self.number['shift_y'] + index * shape.down, len(targets)
        rows = [self._grid_row(first + n) for n in range((count - 1) * shape.down + shape.taps)]
        if shape.rank > 1:
            self._down_by_terms(rows, count)
        else:
            with kernel.loop(self.width) as column:
                for result, (value,) in enumerate(self._down_along_y(rows, column, count)):
                    if shape.planar:
                        self.kept[result].store(value, column * lanes)
                    else:
                        targets[result].store(value, column * self.output.pixel)
        if shape.rank > 1 or shape.planar:
            for row, target in zip(self.kept, targets, strict=False):
                write_row(kernel, row, target, self.output, self.width)

    def _down_by_terms(self, rows: list[Array], count: int) -> None:
        """Rows of the result of a filter of several terms, to memory that is kept: each along y, then their sum along x."""
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        each, delay = count * shape.rank, shape.term_blocks
        terms = _Blocks(self.blocks, delay, shape.block * each)
        results = (self.width + (shape.outputs - 1)) // shape.outputs
        with kernel.loop(results + delay) as block:
            with kernel.when(block >= delay):
                for result in range(count):
                    first = result * shape.rank
                    sums = self._down_along_x(lambda n, term, first=first: terms.load(n * each + first + term))
                    for n, value in enumerate(sums):
                        self.kept[result].store(value, ((block - delay) * shape.outputs + n) * lanes)
            with kernel.when(block < results + (delay - 1)), kernel.loop(shape.block) as column:
                place = terms.oldest().at(column * (each * lanes))
                found = self._down_along_y(rows, self.skipped + block * shape.block + column, count)
                for n, value in enumerate([value for values in found for value in values]):
                    place.store(value, n * lanes)
            terms.rotate()

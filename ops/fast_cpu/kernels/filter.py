"""The filtered leaky ReLU as one kernel: add bias, upsample, activate, clamp, filter, keep every n-th sample.

A job is a strip of columns of one block of channels (a vector of them) of one sample. Rows of the input stream through
rings in the second cache, in rounds: some rows of the grid are upsampled along y; then each is upsampled along x, activated and filtered
down along x in one go, its last values staying in registers; once enough of them are there, along y into rows of the result.
With many terms it is y before x: then the ring holds the grid itself. Rounds begin such that each of them completes as many rows of the
result as are computed together. Pixels of the next rows of input and result are fetched early: they lie too far apart for
the processor to guess, and stores that wait for their lines hold up multiplications and loads.

The grid is shifted so that `up` neighbouring samples depend on the same inputs: at position up * g + r, r = 1 … up, those
are the inputs g + 1 … g + reach. Then only the taps differ between calls, not the code.
"""

from collections.abc import Callable
from itertools import chain

from ops.fast_cpu.filter_shape import FilterShape
from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.kernels.phases import upsampled, upsampled_groups
from ops.fast_cpu.kernels.rows import add, dot, layout, read_row, table, write_row, zeros
from ops.fast_cpu.kernels.turns import Blocks

_COLUMNS = 12
"""Columns of the result of several batches of rows, so that what they have in common stays in the first cache; measured."""
_SOON = 2
"""Columns of the result between a pixel that is fetched and one that is written; measured."""


def write(shape: FilterShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


class _Writer:
    def __init__(self, shape: FilterShape):
        self.shape = shape
        self.kernel = Kernel(shape.name, shape.lanes, FilterShape.fields)
        self.number = {
            name: self.kernel.field(name) for name in FilterShape.fields if name not in ('slope', 'clamp', 'harmless')
        }

    def text(self) -> str:
        kernel, shape = self.kernel, self.shape
        self.clamp = kernel.number('clamp')
        self.floor, self.harmless = kernel.constant(0.0) - self.clamp, kernel.number('harmless')
        self.input = layout(self.number, 'input', planar=shape.planar)
        self.output = layout(self.number, 'output', planar=shape.planar)
        columns, part = self.number['columns'], self.number['part']
        self.input_ring = kernel.scratch
        self.wide = self.input_ring.at(columns * shape.input_ring)
        self.grid_ring = self.wide.at(columns * (shape.grid_rows * shape.up_rank))
        self.terms = self.grid_ring.at(self.number['ring'] * part)
        kept = self.terms.at(shape.term_floats)
        self.kept = [kept.at(part // shape.step * n) for n in range(shape.results)]
        self._job(kernel.job)
        return kernel.finish()

    def _table(self, name: str, rows: int, columns: int) -> list[list[Vec]]:
        """Taps as vectors; each step of the work reads its own, so that none need a register for longer."""
        return table(self.kernel.array(name), rows, columns)

    def _up_taps(self, axis: str) -> list[list[list[Vec]]]:
        """Taps of the terms of the up filter, by phase."""
        shape = self.shape
        rows = self._table(f'taps_up_{axis}', shape.up_rank * shape.up, shape.reach)
        return [rows[term * shape.up :][: shape.up] for term in range(shape.up_rank)]

    def _down_taps(self, axis: str) -> list[list[Vec]]:
        """Taps of the terms of the down filter."""
        shape = self.shape
        if shape.along_y_first and shape.nested:  # the sum is symmetric, and taps that are 1 belong to the first axis
            axis = 'y' if axis == 'x' else 'x'
        return self._table(f'taps_down_{axis}', shape.rank, shape.taps)

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
        self.first_column = number['first_x'] + (number['shift_x'] + left * shape.down) // shape.up
        self.tiles = (self.width + (shape.outputs - 1)) // shape.outputs
        self._rows(top, bottom, target.at(left * number['output_pixel']))

    def _rows(self, top: Int, bottom: Int, target: Array) -> None:
        """All rows of the job, streaming."""
        kernel, shape, number = self.kernel, self.shape, self.number
        first = self.first_row = number['shift_y'] + top * shape.down
        last = number['shift_y'] + (bottom - 1) * shape.down + shape.taps
        before = first // shape.up
        end = (first + (shape.taps + (shape.results - 1) * shape.down + shape.up - 1)) // shape.up
        start = end - (end - before + (shape.groups - 1)) // shape.groups * shape.groups
        next_input, next_output = kernel.slot(before), kernel.slot(top)
        self.peak = kernel.slot(kernel.constant(0.0))  # largest magnitudes so far: mostly too small to reach the clamp
        with kernel.loop((last + (shape.up - 1)) // shape.up, start=start, step=shape.groups) as group:
            with kernel.repeat_while(lambda: next_input.get() < group + (shape.reach + shape.groups - 1)):
                here = next_input.get()
                self._input_row(here)
                next_input.set(here + 1)
            row, here = group * shape.up, next_output.get()
            self.fetched = next_input.get(), target.at(here * number['output_row'])
            stop = last.minimum(row + shape.grid_rows)
            self._along_y(group)
            self._along_x(row, first.maximum(row) - row, stop - row)
            complete = ((stop - self.first_row - shape.taps + shape.down).maximum(0)) // shape.down + top - here
            is_last = stop >= last
            batches = kernel.pick(is_last, complete + (shape.results - 1), complete) // shape.results
            with kernel.when(kernel.any_of(is_last, batches >= number['together'])):
                self._results((here - top) // shape.results, batches, top, bottom, target)
                next_output.set(here + batches * shape.results)

    def _input_row(self, index: Int) -> None:
        """Input row number `index` of the strip, scaled, plus bias, into its ring."""
        kernel, shape, number = self.kernel, self.shape, self.number
        row, count = number['first_y'] + index, self.tiles * shape.wide_block + shape.lead
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

    def _along_y(self, group: Int) -> None:
        """The rows of the input upsampled along y, of `groups` groups; those of a term of the up filter after those of the one before."""
        kernel, shape, columns, lanes = self.kernel, self.shape, self.number['columns'], self.shape.lanes
        ring = shape.input_ring
        rows = [((group + (k + ring)) % ring) * columns for k in range(shape.reach + shape.groups - 1)]
        sources = [self.input_ring.at(row) for row in rows]
        targets = [self.wide.at(columns * n) for n in range(shape.up_rank * shape.grid_rows)]
        terms = self._up_taps('y')
        with kernel.loop(self.tiles * shape.wide_block + shape.lead) as column:
            samples = [source.load(column * lanes) for source in sources]
            values = [upsampled_groups([samples], shape.groups, [term], mirrored=shape.up_mirrored) for term in terms]
            for target, value in zip(targets, chain.from_iterable(values), strict=True):
                target.store(value, column * lanes)

    def _along_x(self, first: Int, start: Int, stop: Int) -> None:
        """Rows `start` … `stop` of those, the first of which is number `first`: upsampled along x, activated, filtered down along x."""
        kernel = self.kernel
        small = kernel.all_below(self.peak.get(), self.harmless)
        with kernel.either(small) as (harmless, large):
            for branch, clamped in ((harmless, False), (large, True)):
                with branch:
                    self.up_x, self.down_x = self._up_taps('x'), self._down_taps('x')
                    self.slope = kernel.number('slope')
                    with kernel.loop(stop, start=start) as row:
                        sources = self._wide_row(row)
                        self._row_along_x(row, sources, self._grid_row(first + row), clamped=clamped)

    def _wide_row(self, index: Int) -> list[Array]:
        """Row `index` of those that are upsampled along y, of each term of the up filter."""
        shape, columns = self.shape, self.number['columns']
        first = self.wide.at(index * columns)
        return [first, *(first.at(columns * (shape.grid_rows * term)) for term in range(1, shape.up_rank))]

    def _row_along_x(self, row: Int, sources: list[Array], target: Array, *, clamped: bool) -> None:
        """Row number `row` of a round: tile by tile, whose last values of the grid stay in registers for the next one."""
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        slots = [kernel.slot(value) for value in self._carried(sources, target, clamped=clamped)]
        if shape.along_y_first:
            target = target.at(shape.carried_groups * shape.up * shape.spread)
        fetch = self._fetch(row)
        with kernel.loop(self.tiles) as tile:
            fetch(tile)
            here = [source.at((tile * shape.wide_block + shape.carried_groups) * lanes) for source in sources]
            samples = [[place.load(k * lanes) for k in range(shape.wide_block + shape.reach - 1)] for place in here]
            place = target.at(tile * (shape.tile_results * shape.spread))
            window = self._tile_along_x([slot.get() for slot in slots], samples, place, clamped=clamped)
            for slot, value in zip(slots, window[shape.block :], strict=False):
                slot.set(value)

    def _carried(self, sources: list[Array], target: Array, *, clamped: bool) -> list[Vec]:
        """The values of the grid before the first tile; none where they go to memory."""
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        if shape.along_y_first and shape.up_rank > 1:  # much code, were it not a loop
            with kernel.loop(shape.carried_groups) as group:
                samples = [[source.load((group + k) * lanes) for k in range(shape.reach)] for source in sources]
                values = self._activated(upsampled(samples, self.up_x, mirrored=shape.up_mirrored), clamped=clamped)
                self._store(target.at(group * (shape.up * shape.spread)), values, apart=shape.spread)
            return []
        samples = [[source.load(k * lanes) for k in range(shape.lead)] for source in sources]
        values = upsampled_groups(samples, shape.carried_groups, self.up_x, mirrored=shape.up_mirrored)
        values = self._activated(values, clamped=clamped)
        if not shape.along_y_first:
            return values
        self._store(target, values, apart=shape.spread)
        return []

    def _tile_along_x(self, window: list[Vec], samples: list[list[Vec]], place: Array, *, clamped: bool) -> list[Vec]:
        """A tile of a row, whose results go to `place`; returns `window`, the values of the grid so far, and those of the tile.

        `samples`: of each term of the up filter.
        """
        shape, done = self.shape, 0
        for n in range(shape.wide_block):
            near = [term[n : n + shape.reach] for term in samples]
            values = upsampled(near, self.up_x, mirrored=shape.up_mirrored)
            values = self._activated(values, clamped=clamped)
            if shape.along_y_first:
                self._store(place, values, n * shape.up, apart=shape.spread)
                continue
            before, window = len(window), window + values
            known = before if shape.lags and n < shape.wide_block - 1 else len(window)
            while done < shape.outputs and known >= shape.skipped + done * shape.down + shape.taps:
                some = dict(enumerate(window[shape.skipped + done * shape.down :][: shape.taps]))
                found = [self._filtered(some, taps, term, None, one=True) for term, taps in enumerate(self.down_x)]
                self._store(place, found, done * shape.rank, apart=shape.spread)
                done += 1
        return window

    def _store(self, place: Array, values: list[Vec], first: int = 0, *, apart: int) -> None:
        """Vectors `apart` floats from one to the next, from number `first` on."""
        for n, value in enumerate(values, first):
            place.store(value, n * apart)

    def _fetch(self, row: Int) -> Callable[[Int], None]:
        """What has, at a tile, a part of what will be read or written next fetched: each row its share of a tile's columns.

        Where vectors may lie in two lines, both are fetched.
        """
        kernel, shape, number = self.kernel, self.shape, self.number
        reads, writes = -(-shape.wide_block // shape.up), -(-shape.outputs // shape.down)
        next_input, next_result = self.fetched
        source = self.source.at((number['first_y'] + next_input + row // shape.up) * self.input.row)
        source = source.at((self.first_column + shape.lead + row % shape.up * reads) * self.input.pixel)
        target = next_result.at(row // shape.down * self.output.row + row % shape.down * writes * self.output.pixel)

        def fetch(tile: Int) -> None:
            if shape.planar:
                return
            places = [source.at((tile * shape.wide_block + n) * self.input.pixel) for n in range(reads)]
            places += [target.at((tile * shape.outputs + n) * self.output.pixel) for n in range(writes)]
            for place in places:
                place.prefetch(cache=2)
            with kernel.when(number['channels'] % shape.lanes >= 1):
                for place in places:
                    place.prefetch(shape.lanes - 1, cache=2)

        return fetch

    def _activated(self, values: list[Vec], *, clamped: bool) -> list[Vec]:
        """Values of the grid after the activation."""
        values = [value.maximum(value * self.slope) for value in values]
        return [value.minimum(self.clamp).maximum(self.floor) for value in values] if clamped else values

    def _grid_row(self, index: Int) -> Array:
        """Where row `index` of the grid is kept, filtered along x, until it is filtered along y: `spread` from one vector to the next."""
        shape, row = self.shape, index - self.first_row
        return self._ring_part(row // shape.step).at(row % shape.step * shape.lanes)

    def _ring_part(self, number: Int) -> Array:
        """Where part number `number` of the grid is kept, which is as many rows as a batch of results is further down than the one before.

        Of each vector of a row, those of the other rows lie beside it: they are read together.
        """
        return self.grid_ring.at(number % self.number['ring'] * self.number['part'])

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

    def _results(self, first: Int, batches: Int, top: Int, bottom: Int, target: Array) -> None:
        """Batches of rows of the result from number `first` on, some columns at a time: those of the next batch need what the first cache holds."""
        kernel, shape = self.kernel, self.shape
        at_once = self.width
        if not (shape.planar or shape.along_y_first):
            at_once = kernel.pick(batches < 2, self.width, kernel.integer(max(4, _COLUMNS // shape.rank)))
        with kernel.loop(self.width, step=at_once) as left:
            right = self.width.minimum(left + at_once)
            with kernel.loop(first + batches, start=first) as batch:
                self._batch(batch, top + batch * shape.results, bottom, target, left, right)

    def _batch(self, batch: Int, index: Int, bottom: Int, target: Array, left: Int, right: Int) -> None:
        """Rows of the result from number `index` on, as far as they are above `bottom`, from the rows of the grid."""
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        count = (shape.results - 1) * shape.down + shape.taps
        parts = [self._ring_part(batch + n) for n in range(-(-count // shape.step))]
        rows = [parts[n // shape.step].at(n % shape.step * lanes) for n in range(count)]
        first = target.at(index * self.output.row)
        targets = [target.at((index + n) * self.output.row) for n in range(shape.results)]
        self.down_y = self._down_taps('y')
        if shape.along_y_first:
            self.down_x = self._down_taps('x')
            self._down_by_terms(rows, shape.results)
        else:
            targets = [place.where(index + n < bottom, first) for n, place in enumerate(targets)]
            with kernel.loop(right, start=left) as column:
                self._fetch_results(targets, column)
                totals = self._down_along_y(rows, column, shape.results)
                for total, place, kept in reversed(list(zip(totals, targets, self.kept, strict=True))):
                    if shape.planar:
                        kept.store(total, column * lanes)
                    else:
                        place.store(total, column * self.output.pixel)
        if shape.planar or shape.along_y_first:
            for n, (row, place) in enumerate(zip(self.kept, targets, strict=True)):
                with kernel.when(index + n < bottom):
                    write_row(kernel, row, place, self.output, self.width)

    def _fetch_results(self, targets: list[Array], column: Int) -> None:
        """Have pixels fetched that will soon be written: a store that waits for its line holds up loads behind it."""
        if not self.shape.planar:
            for target in targets:
                target.prefetch((column + _SOON) * self.output.pixel, write=True)

    def _down_along_y(self, rows: list[Array], column: Int, count: int) -> list[Vec]:
        """A column of each of `count` rows of results: the sum of all terms, which are filtered along x already."""
        shape = self.shape
        totals: list[Vec | None] = [None] * count
        for term, taps in enumerate(self.down_y):
            samples = [row.load((column * shape.rank + term) * shape.spread) for row in rows]
            for n in range(count):
                window = dict(enumerate(samples[n * shape.down :][: shape.taps]))
                totals[n] = self._filtered(window, taps, term, totals[n], one=False)
        return [total for total in totals if total is not None]

    def _down_by_terms(self, rows: list[Array], count: int) -> None:
        """Rows of the result, to memory that is kept: each term along y, then their sum along x."""
        kernel, shape, lanes = self.kernel, self.shape, self.shape.lanes
        each, delay = count * shape.rank, shape.term_blocks
        terms = Blocks(self.terms, delay, shape.block * each)
        with kernel.loop(self.tiles + delay) as block:
            with kernel.when(block >= delay):
                for result, kept in enumerate(self.kept[:count]):
                    first = result * shape.rank
                    sums = self._sums_along_x(lambda n, term, first=first: terms.load(n * each + first + term))
                    self._store(kept.at((block - delay) * (shape.outputs * lanes)), sums, apart=lanes)
            with kernel.when(block < self.tiles + (delay - 1)), kernel.loop(shape.block) as column:
                place = terms.oldest().at(column * (each * lanes))
                samples = [row.load((block * shape.block + column) * shape.spread) for row in rows]
                for result in range(count):
                    window = dict(enumerate(samples[result * shape.down :][: shape.taps]))
                    found = [
                        self._filtered(window, taps, term, None, one=True) for term, taps in enumerate(self.down_y)
                    ]
                    self._store(place, found, result * shape.rank, apart=lanes)
            terms.rotate()

    def _sums_along_x(self, load: Callable[[int, int], Vec]) -> list[Vec]:
        """Neighbouring results of the columns `load(column, term)`."""
        shape = self.shape
        sums: list[Vec | None] = [None] * shape.outputs
        for term, taps in enumerate(self.down_x):
            used = self._used(term)
            starts = [shape.skipped + result * shape.down for result in range(shape.outputs)]
            loaded = {n: load(n, term) for n in sorted({start + n for start in starts for n in used})}
            for result, start in enumerate(starts):
                window = {n: loaded[start + n] for n in used}
                sums[result] = self._filtered(window, taps, term, sums[result], one=False)
        return [total for total in sums if total is not None]

"""The filtered leaky ReLU as one kernel: add bias, upsample, activate, clamp, filter, keep every n-th sample.

A job is a strip of columns of one block of channels (a vector of them) of one sample. Rows of the input stream through
rings that stay in the first cache: a row is upsampled along x, the last few of them are combined into `up` rows of the grid, these
are activated, filtered down along x, and once enough of them are there, along y into a row of the result.

The grid is shifted so that `up` neighbouring samples depend on the same inputs: at position up * g + r, r = 1 … up, those
are the inputs g + 1 … g + reach. Then only the taps differ between calls, not the code.
"""

from typing import Any

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.kernels.rows import add, dot, layout, read_row, table, write_row, zeros
from ops.fast_cpu.shapes import FilterShape

OUTPUTS_AT_ONCE = 4
"""Results along x that are computed together, sharing what they load."""


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
        self.slope, self.clamp = kernel.number('slope'), kernel.number('clamp')
        self.floor, self.harmless = kernel.constant(0.0) - self.clamp, kernel.number('harmless')
        self.up_x = table(kernel.array('taps_up_x'), shape.up, shape.reach)
        self.up_y = table(kernel.array('taps_up_y'), shape.up, shape.reach)
        self.down_x = table(kernel.array('taps_down_x'), shape.rank, shape.taps)
        self.down_y = table(kernel.array('taps_down_y'), shape.rank, shape.taps)
        self.input = layout(self.number, 'input', planar=shape.planar)
        self.output = layout(self.number, 'output', planar=shape.planar)
        scratch, columns = kernel.scratch, self.number['columns']
        self.row = scratch
        self.input_ring = scratch.at(columns)
        self.rest = scratch.at(columns * (1 + shape.input_ring))
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
        self.offset = skipped * shape.lanes
        self.groups = (skipped + (self.width - 1) * shape.down + shape.taps + shape.up - 1) // shape.up
        self._rows(top, bottom, target.at(left * number['output_pixel']))

    def _rows(self, top: Int, bottom: Int, target: Array) -> None:
        """All rows of the job, streaming."""
        kernel, shape, number = self.kernel, self.shape, self.number
        first = (number['shift_y'] + top * shape.down) // shape.up
        last = (number['shift_y'] + (bottom - 1) * shape.down + shape.taps + shape.up - 1) // shape.up
        next_input, next_output = kernel.slot(first), kernel.slot(top)
        self.peak = kernel.slot(kernel.constant(0.0))  # largest magnitudes so far: mostly too small to reach the clamp
        with kernel.loop(last, start=first) as group:
            with kernel.repeat_while(lambda: next_input.get() < group + shape.reach):
                here = next_input.get()
                self._upsample_row(here)
                next_input.set(here + 1)
            self._grid_rows(group)
            beyond = (group + 1) * shape.up - number['shift_y'] - shape.taps + 1

            def complete(beyond: Int = beyond) -> Any:
                """Whether the next result has all its samples."""
                return kernel.both(next_output.get() * shape.down < beyond, next_output.get() < bottom)

            with kernel.repeat_while(complete):
                here = next_output.get()
                self._result_row(here, target.at(here * number['output_row']))
                next_output.set(here + 1)

    def _upsample_row(self, index: Int) -> None:
        """Input row number `index` of the strip, plus bias, upsampled along x, into its ring."""
        kernel, shape, number = self.kernel, self.shape, self.number
        lanes, row = shape.lanes, number['first_y'] + index
        place = self.input_ring.at((index & (shape.input_ring - 1)) * number['columns'])
        outside = kernel.any_of(row < 0, row >= number['height'])
        with kernel.either(outside) as (yes, no):
            with yes:
                zeros(kernel, place, 0, self.groups * shape.up)
            with no:
                self._read_row(row)
                with kernel.loop(self.groups) as group:
                    samples = [self.row.load((group + k) * lanes) for k in range(shape.reach)]
                    for phase, value in enumerate(self._upsampled(samples, self.up_x)):
                        place.store(value, (group * shape.up + phase) * lanes)

    def _read_row(self, row: Int) -> None:
        """The strip's part of an input row, scaled, plus bias."""

        def change(pixel: Vec) -> Vec:
            value = pixel.fma(self.scale, self.bias)
            self.peak.set(self.peak.get().maximum(value.magnitude()))
            return value

        read_row(
            self.kernel,
            self.source.at(row * self.input.row),
            self.input,
            first=self.first_column,
            count=self.groups + (self.shape.reach - 1),
            width=self.number['width'],
            row=self.row,
            change=change,
        )

    def _grid_rows(self, group: Int) -> None:
        """`up` rows of the grid: upsampled along y, activated, and, if the filter is separable, filtered down along x."""
        kernel, shape, columns = self.kernel, self.shape, self.number['columns']
        ring = shape.input_ring - 1
        sources = [self.input_ring.at(((group + k) & ring) * columns) for k in range(shape.reach)]
        if shape.rank == 1:
            rows = [self.rest.at(columns * phase) for phase in range(shape.up)]
        else:
            rows = [self._grid_row(group * shape.up + phase) for phase in range(shape.up)]
        with kernel.either(kernel.all_below(self.peak.get(), self.harmless)) as (small, large):
            with small:
                self._activated_rows(sources, rows, clamped=False)
            with large:
                self._activated_rows(sources, rows, clamped=True)
        if shape.rank == 1:
            for phase in range(shape.up):
                self._down_along_x([rows[phase]], self._grid_row(group * shape.up + phase))

    def _activated_rows(self, sources: list[Array], rows: list[Array], *, clamped: bool) -> None:
        """The rows of the grid that depend on the rows `sources`."""
        kernel, shape = self.kernel, self.shape
        with kernel.loop(self.groups * shape.up) as column:
            samples = [source.load(column * shape.lanes) for source in sources]
            for phase, value in enumerate(self._upsampled(samples, self.up_y)):
                value = value.maximum(value * self.slope)
                if clamped:
                    value = value.minimum(self.clamp).maximum(self.floor)
                rows[phase].store(value, column * shape.lanes)

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
        columns = self.number['columns']
        skipped = self.shape.up if self.shape.rank == 1 else 0
        return self.rest.at(columns * skipped + (index & (self.shape.grid_ring - 1)) * columns)

    def _down_along_x(self, terms: list[Array], place: Array) -> None:
        """The sum of the terms filtered down along x, as many results as the strip is wide, or a few more."""
        kernel, shape = self.kernel, self.shape
        lanes, together = shape.lanes, OUTPUTS_AT_ONCE
        with kernel.loop(self.width, step=together) as column:
            sums: list[Vec | None] = [None] * together
            for term, taps in zip(terms, self.down_x, strict=True):
                start = term.at(self.offset + column * (shape.down * lanes))
                samples = [start.load(n * lanes) for n in range((together - 1) * shape.down + shape.taps)]
                for result in range(together):
                    window = samples[result * shape.down :][: shape.taps]
                    for value, tap in zip(self._folded(window), taps, strict=False):
                        sums[result] = add(sums[result], value, tap)
            for result, total in enumerate(sums):
                assert total is not None
                place.store(total, (column + result) * lanes)

    def _folded(self, samples: list[Vec]) -> list[Vec]:
        """Samples of the down filter's taps; those of equal taps added up, since adding is cheaper than multiplying."""
        if not self.shape.mirrored:
            return samples
        half = len(samples) // 2
        return [samples[n] + samples[-1 - n] for n in range(half)] + samples[half : len(samples) - half]

    def _result_row(self, index: Int, target: Array) -> None:
        """One row of the result from the rows of the grid."""
        kernel, shape, number = self.kernel, self.shape, self.number
        lanes, first = shape.lanes, number['shift_y'] + index * shape.down
        rows = [self._grid_row(first + tap) for tap in range(shape.taps)]
        if shape.rank == 1:
            with kernel.loop(self.width) as column:
                value = dot(self._folded([row.load(column * lanes) for row in rows]), self.down_y[0])
                if shape.planar:
                    self.row.store(value, column * lanes)
                else:
                    target.store(value, column * self.output.pixel)
            if not shape.planar:
                return
        else:
            self._down_along_y(rows)
        write_row(kernel, self.row, target, self.output, self.width)

    def _down_along_y(self, rows: list[Array]) -> None:
        """A row of the result of a filter of several terms."""
        kernel, shape = self.kernel, self.shape
        places = [self.rest.at(self.number['columns'] * (shape.grid_ring + term)) for term in range(shape.rank)]
        with kernel.loop((self.width - 1) * shape.down + shape.taps) as column:
            here = self.offset + column * shape.lanes
            samples = self._folded([row.load(here) for row in rows])
            for place, taps in zip(places, self.down_y, strict=True):
                place.store(dot(samples, taps), here)
        self._down_along_x(places, self.row)

"""How far a turned picture is from its reference, pixel by pixel, as one kernel. A job is a row of the picture.

The reference is looked up bilinearly in an enlarged version of itself that never comes to be: of each pixel, the four
fine samples around it are sums over the same patch of the reference, so their taps are added first, and all channels share them.
A vector holds taps of one row of a patch, or part of them.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.shapes import TurnShape

_DOUBLE, _FLOAT, _I64 = ir.DoubleType(), ir.FloatType(), ir.IntType(64)


def write(shape: TurnShape) -> str:
    """The kernel's text."""
    return _Writer(shape).text()


class _Double:
    """A float64 computed by the kernel."""

    def __init__(self, kernel: Kernel, value: Any):
        self.kernel, self.value = kernel, value


class _Writer:
    def __init__(self, shape: TurnShape):
        self.shape, self.kernel = shape, Kernel(shape.name, shape.lanes, TurnShape.fields)
        self.number = {name: self.kernel.field(name) for name in ('width', 'plane')}
        self.vectors = range(0, shape.room, shape.lanes)

    def text(self) -> str:
        kernel, shape, width = self.kernel, self.shape, self.number['width']
        border = shape.plain // 2
        y = kernel.job + border
        zero = _Double(kernel, ir.Constant(_DOUBLE, 0.0))
        total, count = kernel.slot(zero), kernel.slot(0)  # pyright: ignore[reportArgumentType]
        down_x, down_y = (self._double(name, y) for name in ('down_x', 'down_y'))
        with kernel.loop(width - border, start=border) as x:
            column = kernel.builder.fadd(self._double('across_x', x), down_x)
            row = kernel.builder.fadd(self._double('across_y', x), down_y)
            with kernel.when(self._is_known(column, row)):
                squares = self._squares(x, y, column, row)
                total.set(_Double(kernel, kernel.builder.fadd(total.get().value, squares)))  # pyright: ignore[reportArgumentType]
                count.set(count.get() + 1)
                self._keep(y * width + x, squares)
        self._store_double(kernel.job * 2, total.get().value)
        self._store_double(kernel.job * 2 + 1, kernel.builder.sitofp(count.get().value, _DOUBLE))
        return kernel.finish()

    def _is_known(self, column: Any, row: Any) -> Any:
        """Whether the kernel of a look-up there meets samples of the reference only."""
        kernel, found = self.kernel, []
        least = self._double('limits', kernel.integer(0))
        for value, place in ((column, 1), (row, 2)):
            found.append(kernel.builder.fcmp_ordered('>=', value, least))
            most = self._double('limits', kernel.integer(place))
            found.append(kernel.builder.fcmp_ordered('<', value, most))
        return kernel.both(kernel.both(found[0], found[1]), kernel.both(found[2], found[3]))

    def _squares(self, x: Int, y: Int, column: Any, row: Any) -> Any:
        """The squared differences of one pixel, summed over the channels, float64."""
        kernel, shape = self.kernel, self.shape
        (column_phase, from_x, across), (row_phase, from_y, down) = (self._place(one) for one in (column, row))
        taps = kernel.array('taps').at((row_phase * (shape.up + 1) + column_phase) * (shape.rows * shape.room))
        reference = kernel.array('reference').at(from_y * self.number['width'] + from_x)
        sums = self._patch(reference, shape.rows, lambda place: self._mixed(taps, place, across, down))
        plain, border = kernel.array('plain'), shape.plain // 2
        picture = kernel.array('picture').at((y - border) * self.number['width'] + x - border)
        own = self._patch(picture, shape.plain, plain.load)
        total = None
        for one, other in zip(sums, own, strict=True):
            difference = kernel.builder.fpext(self._sum_of_lanes(one - other), _DOUBLE)
            square = kernel.builder.fmul(difference, difference)
            total = square if total is None else kernel.builder.fadd(total, square)
        return total

    def _place(self, fine: Any) -> tuple[Int, Int, Vec]:
        """Of a fine position: its phase, the first sample that its taps meet, and how far it lies beyond the fine sample."""
        kernel, builder = self.kernel, self.kernel.builder
        fine = builder.fadd(fine, self._double('limits', kernel.integer(3)))
        whole = builder.fptosi(fine, _I64)  # never negative
        beyond = builder.fptrunc(builder.fsub(fine, builder.sitofp(whole, _DOUBLE)), _FLOAT)
        number = Int(kernel, whole)
        return number % self.shape.up, number // self.shape.up, kernel.splat(beyond)

    def _mixed(self, taps: Array, place: int, across: Vec, down: Vec) -> Vec:
        """Taps of the bilinear look-up: those of four phases, by how near each is."""
        line = (self.shape.up + 1) * self.shape.rows * self.shape.room
        upper, lower = (self._between(taps, place + offset, across) for offset in (0, line))
        return down.fma(lower - upper, upper)

    def _between(self, taps: Array, place: int, across: Vec) -> Vec:
        left, right = taps.load(place), taps.load(place + self.shape.rows * self.shape.room)
        return across.fma(right - left, left)

    def _patch(self, start: Array, rows: int, taps_at: Any) -> Sequence[Vec]:
        """Of each channel, a patch from `start` on times the taps; the sum of all lanes is the result."""
        kernel, shape = self.kernel, self.shape
        planes = [start.at(self.number['plane'] * channel) for channel in range(shape.channels)]
        sums = [kernel.constant(0.0)] * shape.channels
        for row in range(rows):
            lines = [plane.at(self.number['width'] * row) for plane in planes]
            for lane in self.vectors:
                taps = taps_at(row * shape.room + lane)
                sums = [taps.fma(line.load(lane), one) for line, one in zip(lines, sums, strict=True)]
        return sums

    def _sum_of_lanes(self, values: Vec) -> Any:
        kernel, step = self.kernel, self.shape.lanes // 2
        while step:
            lanes = range(self.shape.lanes)
            values, step = (
                values + kernel.shuffle(values, values, [(lane + step) % len(lanes) for lane in lanes]),
                step // 2,
            )
        return kernel.builder.extract_element(values.value, ir.Constant(ir.IntType(32), 0))

    def _keep(self, place: Int, squares: Any) -> None:
        """The root of the mean square of a pixel."""
        kernel, name = self.kernel, 'llvm.sqrt.f64'
        if name not in kernel.declared:
            kernel.declared[name] = ir.Function(kernel.module, ir.FunctionType(_DOUBLE, [_DOUBLE]), name)
        mean = kernel.builder.fdiv(squares, ir.Constant(_DOUBLE, float(self.shape.channels)))
        root = kernel.builder.call(kernel.declared[name], [mean])
        kernel.builder.store(kernel.builder.fptrunc(root, _FLOAT), kernel.array('rms').at(place).pointer, align=4)

    def _double(self, name: str, place: Int) -> Any:
        return self.kernel.builder.load(self._double_at(name, place), typ=_DOUBLE, align=8)

    def _store_double(self, place: Int, value: Any) -> None:
        self.kernel.builder.store(value, self._double_at('sums', place), align=8)

    def _double_at(self, name: str, place: Int) -> Any:
        return self.kernel.builder.gep(self.kernel.array(name).pointer, [place.value], source_etype=_DOUBLE)

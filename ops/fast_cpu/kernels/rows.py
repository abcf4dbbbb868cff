"""Rows of pixels between memory and a kernel: there, all channels of a vector lie together, pixel by pixel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec

CHAIN = 8
"""Products that are summed one after the other."""


@dataclass(frozen=True)
class Layout:
    """How a picture lies in memory: strides in floats."""

    channel: Int
    row: Int
    pixel: Int
    planar: bool
    """Pixels of a channel lie together, else channels of a pixel."""


def layout(numbers: Mapping[str, Int], picture: str, *, planar: bool) -> Layout:
    """The layout that a kernel's fields tell of one of its pictures."""
    channel, row, pixel = (numbers[f'{picture}_{stride}'] for stride in ('channel', 'row', 'pixel'))
    return Layout(channel, row, pixel, planar)


def zeros(kernel: Kernel, row: Array, start: Int | int, stop: Int) -> None:
    """Write zero pixels."""
    with kernel.loop(stop, start=start) as column:
        row.store(kernel.constant(0.0), column * kernel.lanes)


def read_row(
    kernel: Kernel,
    source: Array,
    where: Layout,
    *,
    first: Int,
    count: Int,
    width: Int,
    row: Array,
    change: Callable[[Vec], Vec],
) -> None:
    """The pixels `first` … `first + count` of the row that starts at `source`, changed, to `row`; zeros outside 0 … `width`."""
    lanes = kernel.lanes
    low = (0 - first).maximum(0).minimum(count)
    high = (width - first).maximum(low).minimum(count)
    source = source.at(first * where.pixel)
    zeros(kernel, row, 0, low)
    zeros(kernel, row, high, count)
    if not where.planar:
        with kernel.loop(high, start=low) as column:
            row.store(change(source.load(column * where.pixel)), column * lanes)
        return
    with kernel.either(high - low >= lanes) as (whole, narrow):
        with whole, kernel.loop(high, start=low, step=lanes) as column:
            start = column.minimum(high - lanes)
            pixels = kernel.transpose([source.load(start + where.channel * n) for n in range(lanes)])
            for index, pixel in enumerate(pixels):
                row.store(change(pixel), (start + index) * lanes)
        with narrow, kernel.loop(high, start=low) as column:
            row.store(change(source.at(column).gather(where.channel)), column * lanes)


def write_row(kernel: Kernel, row: Array, target: Array, where: Layout, width: Int) -> None:
    """`width` pixels of `row` to the row of a picture that starts at `target`."""
    lanes = kernel.lanes
    if not where.planar:
        with kernel.loop(width) as column:
            target.store(row.load(column * lanes), column * where.pixel)
        return
    with kernel.either(width >= lanes) as (whole, narrow):
        with whole, kernel.loop(width, step=lanes) as column:
            first = column.minimum(width - lanes)
            planes = kernel.transpose([row.load((first + n) * lanes) for n in range(lanes)])
            for index, values in enumerate(planes):
                target.store(values, first + where.channel * index)
        with narrow, kernel.loop(width) as column:
            target.at(column).scatter(row.load(column * lanes), where.channel)


def table(numbers: Array, rows: int, columns: int) -> list[list[Vec]]:
    """Numbers in memory, row by row, each in all lanes of a vector."""
    return [[numbers.splat(row * columns + column) for column in range(columns)] for row in range(rows)]


def dot(values: list[Vec], factors: list[Vec]) -> Vec:
    """Sum of products; long ones in two sums, which do not wait for each other."""
    chains = 1 if len(values) <= CHAIN else 2
    sums: list[Vec | None] = [None] * chains
    for index, (value, factor) in enumerate(zip(values, factors, strict=False)):  # mirrored taps: only the first half
        sums[index % chains] = add(sums[index % chains], value, factor)
    first, *others = sums
    assert first is not None
    for other in others:
        assert other is not None
        first = first + other
    return first


def add(total: Vec | None, value: Vec, factor: Vec) -> Vec:
    """total + value * factor."""
    return value * factor if total is None else value.fma(factor, total)

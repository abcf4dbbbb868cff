"""Where the channels of a contact sheet lie. No torch: the pixel probe asks this too."""

import math
from dataclasses import dataclass

from render.request import ViewSpec

MAX_SIDE = 4096
"""Of a sheet, in pixels: larger channels are shown reduced."""
LINE = 1
"""Pixels between two cells."""


@dataclass(frozen=True, slots=True)
class SheetLayout:
    """Cells of equal size in reading order, with lines between them."""

    first: int
    """Place of the first cell in the order of channels."""
    count: int
    columns: int
    rows: int
    reduction: int
    """Each cell pixel is the mean of so many samples along each axis."""
    cell_height: int
    cell_width: int
    order: tuple[int, ...] = ()
    """Channels of all cells, also of those before `first`. Empty = by number."""

    @property
    def height(self) -> int:
        return self.rows * (self.cell_height + LINE) - LINE

    @property
    def width(self) -> int:
        return self.columns * (self.cell_width + LINE) - LINE

    def channel(self, index: int) -> int:
        """The channel in cell number `index`."""
        return self.order[self.first + index] if self.order else self.first + index

    def channels(self) -> list[int]:
        """The channels of all cells."""
        return [self.channel(index) for index in range(self.count)]

    def corner(self, index: int) -> tuple[int, int]:
        """(top, left) of cell number `index`."""
        row, column = divmod(index, self.columns)
        return row * (self.cell_height + LINE), column * (self.cell_width + LINE)

    def locate(self, x: int, y: int) -> tuple[int, int, int] | None:
        """(channel, x, y) in the layer under pixel (x, y) of the sheet; None on a line or an empty cell."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return None
        column, cell_x = divmod(x, self.cell_width + LINE)
        row, cell_y = divmod(y, self.cell_height + LINE)
        index = row * self.columns + column
        if cell_x >= self.cell_width or cell_y >= self.cell_height or index >= self.count:
            return None
        return self.channel(index), cell_x * self.reduction, cell_y * self.reduction


def sheet_layout(view: ViewSpec, channels: int, height: int, width: int) -> SheetLayout:
    """How a layer of `channels` x `height` x `width` is laid out: about as wide as high, as many cells as there are."""
    order = tuple(channel for channel in view.sheet_order if 0 <= channel < channels)
    listed = len(order) or channels
    first = min(max(view.sheet_first, 0), listed - 1)
    count = max(min(view.sheet_count, listed - first), 1)
    columns = min(max(math.ceil(math.sqrt(count * height / width)), 1), count)
    rows = math.ceil(count / columns)
    longest = max(columns * (width + LINE), rows * (height + LINE))
    reduction = max(math.ceil(longest / MAX_SIDE), 1)
    return SheetLayout(
        first, count, columns, rows, reduction, max(height // reduction, 1), max(width // reduction, 1), order
    )

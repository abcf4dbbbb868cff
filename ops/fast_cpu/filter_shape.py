"""What the code of the kernel for the filtered leaky ReLU depends on, the arguments it takes, and how its memory is laid out."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FilterShape:
    """A kernel for the filtered leaky ReLU."""

    lanes: int
    """Channels in a vector."""
    up: int
    reach: int
    """Taps of the up filter per sample of the grid."""
    down: int
    taps: int
    """Of the down filter."""
    rank: int
    """Terms of the down filter; each is separable."""
    mirrored: bool
    """The terms of the down filter are symmetric along both axes."""
    up_mirrored: bool
    """The phases of the up filter are mirror images of each other, in pairs."""
    nested: bool
    """Term `k` has no taps at the 2 * k places in the middle, and the innermost of the others is 1 along the axis that comes first."""
    skipped: int
    """Columns of the grid before the first that is needed, where the rank is 1."""
    planar: bool
    """Input and output have rows of one channel ([channels, height, width]); else all channels of a pixel lie together."""

    writer: ClassVar[str] = 'filter'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'output', 'bias', 'scale', 'scale_sample',
        'input_sample', 'input_channel', 'input_row', 'input_pixel',
        'output_sample', 'output_channel', 'output_row', 'output_pixel',
        'channels', 'height', 'width', 'new_height', 'new_width',
        'blocks', 'strips', 'strip', 'segments', 'segment',
        'first_y', 'shift_y', 'first_x', 'shift_x',
        'taps_up_x', 'taps_up_y', 'taps_down_x', 'taps_down_y', 'slope', 'clamp', 'harmless', 'columns',
    )  # fmt: skip
    """Addresses, strides in floats, sizes. `columns`: floats of a row of the grid in scratch memory. `harmless`: inputs below this magnitude
    cannot reach the clamp."""

    @property
    def name(self) -> str:
        """Of the function."""
        marks = {'u': self.up_mirrored, 'm': self.mirrored, 'n': self.nested, 'p': self.planar}
        steps = f'u{self.up}x{self.reach}_d{self.down}x{self.taps}_r{self.rank}s{self.skipped}'
        return f'filter_v{self.lanes}_{steps}{"".join(mark for mark, holds in marks.items() if holds)}'

    @property
    def groups(self) -> int:
        """Groups of rows of the grid that are computed together, sharing what they load."""
        return max(1, (8 if self.rank == 1 else 4) // self.up)

    @property
    def grid_rows(self) -> int:
        """Rows of the grid that are computed together."""
        return self.groups * self.up

    @property
    def results(self) -> int:
        """Rows of the result that are computed together."""
        return 4 if self.rank == 1 else 2

    @property
    def outputs(self) -> int:
        """Columns of the result that are computed together; their part of the grid is a block, of whole groups."""
        return next(count for count in (4, 3, *range(5, self.up + 1)) if count * self.down % self.up == 0)

    @property
    def block(self) -> int:
        """Columns of a block of the grid."""
        return self.outputs * self.down

    @property
    def wide_block(self) -> int:
        """Columns of the input that make a block of the grid."""
        return self.block // self.up

    @property
    def wide_blocks(self) -> int:
        """Blocks of the input that a block of the grid depends on."""
        return -(-(self.wide_block + self.reach - 1) // self.wide_block)

    @property
    def grid_blocks(self) -> int:
        """Blocks of the grid that a block of results depends on, where the rank is 1."""
        return -(-(self.skipped + (self.outputs - 1) * self.down + self.taps) // self.block)

    @property
    def term_blocks(self) -> int:
        """Likewise where it is larger: there they start with the first column that is needed."""
        return -(-((self.outputs - 1) * self.down + self.taps) // self.block)

    @property
    def input_ring(self) -> int:
        """Rows of the ring of inputs."""
        return self.reach + self.groups - 1

    @property
    def grid_ring(self) -> int:
        """Rows of the ring of activated rows of the grid, which are filtered along x already if the rank is 1."""
        return self.taps - 1 + self.grid_rows

    def columns(self, strip: int) -> int:
        """Pixels of a row of either ring, for `strip` columns of the result."""
        tiles = -(-strip // self.outputs)
        if self.rank == 1:
            grid = tiles + self.grid_blocks - 1
        else:
            grid = -(-(self.up + self.block * (tiles + self.term_blocks)) // self.block)
        wide = (grid + self.wide_blocks - 1) * self.wide_block
        return max(wide, tiles * self.outputs if self.rank == 1 else grid * self.block)

    def scratch_floats(self, columns: int) -> int:
        """Memory that one job needs, for rows of so many pixels."""
        rows = self.results + self.input_ring + self.grid_ring
        wide = self.wide_blocks * self.wide_block * self.grid_rows
        blocks = wide + self.grid_blocks * self.block * self.grid_rows
        terms = self.term_blocks * self.block * self.results * self.rank
        return self.lanes * (rows * columns + max(blocks, terms))

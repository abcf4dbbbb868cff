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
    """Term `k` has no taps at the 2 * k places in the middle, and the innermost of the others is 1 along x."""
    skipped: int
    """Columns of the grid before the first that is needed."""
    planar: bool
    """Input and output have rows of one channel ([channels, height, width]); else all channels of a pixel lie together."""
    up_rank: int = 1
    """Terms of the up filter; each is separable."""

    writer: ClassVar[str] = 'filter'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'output', 'bias', 'scale', 'scale_sample',
        'input_sample', 'input_channel', 'input_row', 'input_pixel',
        'output_sample', 'output_channel', 'output_row', 'output_pixel',
        'channels', 'height', 'width', 'new_height', 'new_width',
        'blocks', 'strips', 'strip', 'segments', 'segment',
        'first_y', 'shift_y', 'first_x', 'shift_x',
        'taps_up_x', 'taps_up_y', 'taps_down_x', 'taps_down_y', 'slope', 'clamp', 'harmless',
        'columns', 'part', 'ring', 'together',
    )  # fmt: skip
    """Addresses, strides in floats, sizes. `columns`, `part`: floats of a row of the input and of a part of the grid's ring in scratch memory.
    `ring`: parts of it.  `together`: batches of rows of the result that wait for each other.  `harmless`: inputs below this magnitude cannot
    reach the clamp."""

    @property
    def name(self) -> str:
        """Of the function."""
        marks = {'u': self.up_mirrored, 'm': self.mirrored, 'n': self.nested, 'p': self.planar}
        terms = f'r{self.up_rank}' if self.up_rank > 1 else ''
        steps = f'u{self.up}x{self.reach}{terms}_d{self.down}x{self.taps}_r{self.rank}s{self.skipped}'
        return f'filter_v{self.lanes}_{steps}{"".join(mark for mark, holds in marks.items() if holds)}'

    @property
    def along_y_first(self) -> bool:
        """Whether terms are filtered down along y before x: with many of them, rows filtered along x would need more memory than the grid."""
        return self.rank > 3

    @property
    def groups(self) -> int:
        """Groups of rows of the grid that are computed together, sharing what they load."""
        return max(1, (4 if self.along_y_first else 8) // self.up)

    @property
    def grid_rows(self) -> int:
        """Rows of the grid that are computed together."""
        return self.groups * self.up

    @property
    def results(self) -> int:
        """Rows of the result that are computed together."""
        return 2 if self.along_y_first else 4

    @property
    def outputs(self) -> int:
        """Columns of the result that are computed together: a tile; their part of the grid is a block, of whole groups.

        Of long groups one is enough: two leave too few registers.
        """
        counts = (2, 4, 3) if self.up >= 4 else (4, 3)
        return next(count for count in (*counts, *range(5, self.up + 1)) if count * self.down % self.up == 0)

    @property
    def lags(self) -> bool:
        """Whether results along x are computed from what was there before the newest group of the grid, beside which they run.

        With longer groups there are too few registers for that.
        """
        return self.up <= 2

    @property
    def tile_results(self) -> int:
        """Vectors of a row of the ring that belong to a tile."""
        return self.block if self.along_y_first else self.outputs * self.rank

    @property
    def block(self) -> int:
        """Columns of a block of the grid."""
        return self.outputs * self.down

    @property
    def wide_block(self) -> int:
        """Columns of the input that make a block of the grid."""
        return self.block // self.up

    @property
    def carried_groups(self) -> int:
        """Groups of columns of the grid before a block that its results depend on too."""
        return -(-max(0, self.skipped + self.taps - self.down) // self.up)

    @property
    def lead(self) -> int:
        """Columns of the input before those that only the first tile needs."""
        return self.carried_groups + self.reach - 1

    @property
    def term_blocks(self) -> int:
        """Blocks of the grid that a tile of results depends on."""
        return -(-(self.skipped + (self.outputs - 1) * self.down + self.taps) // self.block)

    @property
    def input_ring(self) -> int:
        """Rows of the ring of inputs."""
        return self.reach + self.groups - 1

    @property
    def step(self) -> int:
        """Rows of the grid by which a batch of results is further down than the one before: a part of the grid's ring."""
        return self.results * self.down

    @property
    def spread(self) -> int:
        """Floats from one vector of a row of the ring to the next."""
        return self.step * self.lanes

    def ring(self, together: int) -> int:
        """Parts of the ring of rows of the grid, mostly filtered along x, where so many batches of results wait for each other."""
        rows = self.taps - self.down + (together - 1) * self.step + max(self.grid_rows, self.step) + self.up - 1
        if self.grid_rows % self.step:
            rows += self.grid_rows
        return -(-rows // self.step)

    def columns(self, strip: int) -> tuple[int, int]:
        """Vectors of a row of the input and of a row of the ring, for `strip` columns of the result; odd, so that rows do not compete for the same
        places in a cache."""
        tiles = -(-strip // self.outputs)
        ring = tiles * self.tile_results
        if self.along_y_first:
            ring = max(ring + self.carried_groups * self.up, (tiles + self.term_blocks - 1) * self.block)
        return tiles * self.wide_block + self.lead | 1, ring | 1

    @property
    def term_floats(self) -> int:
        """Memory for terms that are filtered along y before x."""
        return self.lanes * self.term_blocks * self.block * self.results * self.rank if self.along_y_first else 0

    def scratch_floats(self, strip: int, together: int) -> int:
        """Memory that one job needs, for so many columns of the result."""
        columns, ring_columns = self.columns(strip)
        rows = self.ring(together) * self.step + self.results
        return (
            self.lanes * ((self.input_ring + self.up_rank * self.grid_rows) * columns + rows * ring_columns)
            + self.term_floats
        )

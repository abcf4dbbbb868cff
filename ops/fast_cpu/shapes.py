"""What the code of each kernel depends on, and the arguments it takes, 64 bits each; known without the compiler."""

from dataclasses import dataclass
from typing import ClassVar

from ops.fast_cpu.filter_shape import FilterShape

LINE = 16
"""Floats of a line of the cache."""


@dataclass(frozen=True, slots=True)
class WinogradShape:
    """A kernel for 3x3 convolutions."""

    lanes: int
    """Channels in a vector."""
    rows: int
    """Tiles that are multiplied together in registers, at most; an even number."""
    vectors: int
    """Vectors of output channels, likewise."""

    writer: ClassVar[str] = 'winograd'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'output', 'weights', 'scales',
        'input_sample', 'input_row', 'input_pixel', 'height', 'width', 'padding_y', 'padding_x',
        'output_sample', 'output_row', 'output_pixel',
        'channels_in', 'channels_out', 'panels', 'tiles_x', 'tiles', 'run', 'runs', 'tile_floats',
        'margin', 'edge_run', 'edge_runs',
    )  # fmt: skip
    """Strides in floats. `scales`: [samples, channels in], factors of the input. `run`: tiles of a job.
    `tile_floats`: room for one of the 36 values of a transformed tile, all channels. `margin`: rows and columns of the result above and left of
    the tiles. `runs`: jobs of a sample; the first `edge_runs` of each side are about its edges, `edge_run` tiles each."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'winograd_v{self.lanes}_{self.rows}x{self.vectors}'

    @property
    def panel(self) -> int:
        """Output channels that are computed together."""
        return self.lanes * self.vectors

    def scratch_floats(self, run: int, tile_floats: int) -> int:
        """Memory that one job needs."""
        return 36 * (run * (tile_floats + self.panel) + 2 * LINE) + tile_floats + self.panel


@dataclass(frozen=True, slots=True)
class ProductShape:
    """A kernel for 1x1 convolutions."""

    lanes: int
    """Channels in a vector."""
    rows: int
    """Pixels that are multiplied together in registers."""
    vectors: int
    """Vectors of output channels, likewise."""
    activated: bool
    """Bias, activation, gain and clamp follow."""

    writer: ClassVar[str] = 'product'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'output', 'matrix', 'factors', 'bias', 'input_sample', 'input_pixel', 'input_first', 'output_sample', 'output_pixel',
        'channels_in', 'panels', 'pixels', 'run', 'runs', 'slope', 'gain', 'clamp',
    )  # fmt: skip
    """Strides in floats. `matrix`: [panel, channels in, channels of a panel]. `factors`: [samples, channels in]. `bias`: as
    many numbers as the panels have channels. `input_first`: floats of a sample before the first pixel. `run`: pixels of a job. There must be `rows` pixels or more."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'product_v{self.lanes}_{self.rows}x{self.vectors}{"a" if self.activated else ""}'

    @property
    def panel(self) -> int:
        """Output channels that are computed together."""
        return self.lanes * self.vectors


@dataclass(frozen=True, slots=True)
class ModulationShape:
    """A kernel for the factors that modulation and demodulation amount to."""

    lanes: int
    """Channels in a vector; there must be as many of either kind, or more."""

    writer: ClassVar[str] = 'modulation'
    fields: ClassVar[tuple[str, ...]] = (
        'styles', 'gain', 'power', 'factors', 'scale', 'gain_sample', 'gain_channel',
        'channels_in', 'channels_out', 'numbers', 'one_over_numbers',
    )  # fmt: skip
    """`styles`, `factors`: [samples, channels in]. `scale`: [samples, channels out]. `power`: [channels in, channels out].
    `numbers`: of styles, all samples."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'modulation_v{self.lanes}'


@dataclass(frozen=True, slots=True)
class AdjointShape:
    """A kernel for the gradient of the filtered leaky ReLU with respect to its input."""

    lanes: int
    """Channels in a vector."""
    up: int
    """From the input to the grid."""
    reach: int
    """Taps of the up filter per sample of the grid."""
    taps: int
    """Of the up filter."""
    down: int
    """From the grid to the output."""
    gradient_reach: int
    """Taps of the down filter per sample of the grid, which the gradient is upsampled with."""
    rank: int
    """Terms of the down filter."""
    planar: bool
    """As in `FilterShape`, of all three pictures."""

    writer: ClassVar[str] = 'adjoint'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'gradient', 'output',
        'input_sample', 'input_channel', 'input_row', 'input_pixel',
        'gradient_sample', 'gradient_channel', 'gradient_row', 'gradient_pixel',
        'output_sample', 'output_channel', 'output_row', 'output_pixel',
        'channels', 'height', 'width', 'gradient_height', 'gradient_width',
        'blocks', 'strips', 'strip', 'segments', 'segment',
        'input_first_y', 'input_shift_y', 'input_first_x', 'input_shift_x',
        'gradient_first_y', 'gradient_shift_y', 'gradient_first_x', 'gradient_shift_x',
        'input_taps_x', 'input_taps_y', 'gradient_taps_x', 'gradient_taps_y', 'output_taps_x', 'output_taps_y',
        'slope', 'limit', 'columns',
    )  # fmt: skip
    """Addresses, strides in floats, sizes. The output is as large as the input. `limit`: clamp, on the grid."""

    @property
    def name(self) -> str:
        """Of the function."""
        steps = f'u{self.up}x{self.reach}t{self.taps}_d{self.down}x{self.gradient_reach}_r{self.rank}'
        return f'adjoint_v{self.lanes}_{steps}{"p" if self.planar else ""}'

    @property
    def input_ring(self) -> int:
        """Rows of the ring of inputs upsampled along x."""
        return power_of_two(self.reach)

    @property
    def gradient_ring(self) -> int:
        """Likewise of each term of the gradient."""
        return power_of_two(self.gradient_reach)

    @property
    def output_ring(self) -> int:
        """Rows of the ring of rows of the grid filtered down along x."""
        return power_of_two(self.taps)

    @property
    def scratch_rows(self) -> int:
        """Rows of the grid that fit the kernel's scratch memory."""
        return 2 + self.input_ring + self.rank * self.gradient_ring + self.output_ring


@dataclass(frozen=True, slots=True)
class DenseShape:
    """A kernel for an affine map of vectors."""

    lanes: int
    """Numbers in a vector; they divide the features, and there are as many channels, or more."""

    writer: ClassVar[str] = 'dense'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'weights', 'bias', 'output', 'input_sample', 'features', 'channels', 'blocks', 'weight_gain', 'bias_gain',
    )  # fmt: skip
    """`input`: [samples, features].  `weights`: [channels, features].  `output`: [samples, channels].  `blocks`: of channels, a job
    each."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'dense_v{self.lanes}'


@dataclass(frozen=True, slots=True)
class WavesShape:
    """A kernel for waves that can be moved."""

    lanes: int
    """Channels in a vector; there must be as many, or more."""

    writer: ClassVar[str] = 'waves'
    fields: ClassVar[tuple[str, ...]] = (
        'motion', 'transform', 'freqs', 'phases', 'output', 'motion_sample', 'channels', 'width', 'height',
        'centre_x', 'centre_y', 'one_over_rate', 'bandwidth', 'one_over_room',
    )  # fmt: skip
    """`motion`: (r_c, r_s, t_x, t_y) of each sample.  `output`: [samples, height, width, channels].  `centre_x`: in samples."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'waves_v{self.lanes}'


@dataclass(frozen=True, slots=True)
class UpsamplingShape:
    """A kernel for StyleGAN2's layers that double the rate."""

    lanes: int
    """Channels in a vector; there must be as many channels out, or more."""
    pixels: int
    """Pixels that are multiplied together in registers; a row must have as many, or more."""

    writer: ClassVar[str] = 'upsampling'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'output', 'weights', 'factors', 'scale', 'bias', 'noise', 'taps_y', 'taps_x',
        'input_sample', 'input_row', 'input_pixel', 'output_sample', 'output_row', 'output_pixel',
        'noise_sample', 'noise_row', 'noise_pixel',
        'channels_in', 'channels_out', 'height', 'width', 'blocks', 'segments', 'segment', 'slope', 'gain', 'clamp',
    )  # fmt: skip
    """Addresses, strides in floats, sizes of the input. `weights`: [block, row, channel in, column, lane]. `factors`: [samples, channels
    in]. `scale`: [samples, channels out]. `taps_y`, `taps_x`: 4 numbers each. `segment`: rows of the input whose results a job makes."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'upsampling_v{self.lanes}_{self.pixels}'

    def scratch_floats(self, channels_in: int, width: int) -> int:
        """Memory that one job needs."""
        return (9 * channels_in + 3 * (width + 2) + 18 * width) * self.lanes


@dataclass(frozen=True, slots=True)
class FinishShape:
    """A kernel for what follows a convolution in StyleGAN2's layers: demodulation, noise, bias, activation, gain and clamp."""

    lanes: int
    """Channels in a vector; there must be as many channels, or more."""

    writer: ClassVar[str] = 'finish'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'output', 'scale', 'bias', 'noise',
        'input_sample', 'input_row', 'input_pixel', 'output_sample', 'output_row', 'output_pixel',
        'noise_sample', 'noise_row', 'noise_pixel',
        'channels', 'height', 'width', 'segments', 'segment', 'slope', 'gain', 'clamp',
    )  # fmt: skip
    """Addresses, strides in floats, sizes. `scale`: [samples, channels]."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'finish_v{self.lanes}'


@dataclass(frozen=True, slots=True)
class PictureShape:
    """A kernel for StyleGAN2's picture: doubled, plus a layer's own."""

    lanes: int
    """Numbers of a pixel, which lie together: 4."""

    writer: ClassVar[str] = 'picture'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'own', 'output', 'taps_y', 'taps_x', 'input_sample', 'input_row', 'own_sample', 'own_row',
        'output_sample', 'output_row', 'height', 'width', 'segments', 'segment',
    )  # fmt: skip
    """Addresses, strides in floats, sizes of the smaller picture. `taps_y`, `taps_x`: 4 numbers each."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'picture_v{self.lanes}'

    def scratch_floats(self, width: int) -> int:
        """Memory that one job needs."""
        return 3 * (width + 2) * self.lanes


@dataclass(frozen=True, slots=True)
class WeightGradientShape:
    """A kernel for the gradient of a 3x3 convolution with respect to its weights."""

    lanes: int
    """Channels in a vector; there must be as many of either kind, or more."""
    rows: int
    """Channels of the input that are multiplied together in registers, with a vector of channels of the result."""

    writer: ClassVar[str] = 'weight_gradient'
    fields: ClassVar[tuple[str, ...]] = (
        'input', 'gradient', 'output',
        'input_sample', 'input_row', 'input_pixel', 'height', 'width', 'padding_y', 'padding_x',
        'gradient_sample', 'gradient_row', 'gradient_pixel', 'gradient_height', 'gradient_width',
        'channels_in', 'channels_out', 'room_in', 'room_out', 'tiles_x', 'tiles', 'run',
    )  # fmt: skip
    """Addresses, strides in floats, sizes. `output`: [samples, 36, room in, room out], zeros before. `room_in`: channels in, rounded up to
    a multiple of `rows`; `room_out`: channels out, to one of `lanes`. `run`: tiles that are transformed at once."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'weight_gradient_v{self.lanes}_{self.rows}'

    def scratch_floats(self, run: int, room_in: int, room_out: int) -> int:
        """Memory that one job needs."""
        return 36 * (run * (room_in + room_out) + 2 * self.lanes)


@dataclass(frozen=True, slots=True)
class TurnShape:
    """A kernel for the error of a turned picture."""

    lanes: int
    """Taps in a vector."""
    channels: int
    """Of the picture."""
    up: int
    """Fine samples that the reference is enlarged to, for each of its samples."""
    rows: int
    """Rows and columns of the patch that a look-up sums."""
    plain: int
    """Rows and columns of the patch that a pixel of the picture itself is summed over; odd."""

    writer: ClassVar[str] = 'turn'
    fields: ClassVar[tuple[str, ...]] = (
        'reference', 'picture', 'rms', 'sums', 'taps', 'plain', 'across_x', 'across_y', 'down_x', 'down_y', 'limits', 'width', 'plane',
    )  # fmt: skip
    """Addresses, sizes. Where pixel (x, y) comes from: fine sample `across_x[x] + down_x[y]`, `across_y[x] + down_y[y]`; float64, as
    `limits`: the least, the bounds of x and y, what is added then; and `sums`: of each row, total and number of pixels.
    `taps`: [up + 1, up + 1, rows, room].  `plain`: [plain, room].  `plane`: floats of a channel. Vectors reach beyond a patch."""

    @property
    def name(self) -> str:
        """Of the function."""
        return f'turn_v{self.lanes}_c{self.channels}_u{self.up}x{self.rows}_{self.plain}'

    @property
    def room(self) -> int:
        """Floats of a row of taps; zeros after the last."""
        return -(-max(self.rows, self.plain) // self.lanes) * self.lanes


Shape = (
    FilterShape
    | WinogradShape
    | ProductShape
    | ModulationShape
    | AdjointShape
    | WavesShape
    | DenseShape
    | UpsamplingShape
    | FinishShape
    | PictureShape
    | WeightGradientShape
    | TurnShape
)


def power_of_two(number: int) -> int:
    """The smallest one that is not below `number`."""
    return 1 << (number - 1).bit_length()

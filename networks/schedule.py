"""What every layer of an alias-free synthesis network does, as tables (Karras et al. 2021, Sec. 3.2 and Appendix F.1).

Rates s are in samples per image width, frequencies (cutoff f_c, half-width f_h, stopband f_t) in cycles per image
width, sizes in samples per side, the margin around the canvas included.
"""

from dataclasses import dataclass
from math import ceil, log2, sqrt

from torch import Tensor

from networks.config import AliasFreeConfig
from ops.filters import lowpass

RIGID_HALF_WIDTH = sqrt(2) - 1
"""f_h of the rungs E to H, relative to half the sampling rate (Sec. 3.2)."""


@dataclass(frozen=True, slots=True)
class InputRecord:
    """The Fourier features that the first layer receives."""

    channels: int
    size: int
    rate: float
    bandwidth: float
    """Radius of the disc of frequencies, cycles per image width."""
    affine: bool
    """Whether the latent rotates and moves the features (rungs H, T, R)."""
    height: int | None = None
    """Rows, where there are not as many as columns."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Which samples of one axis a layer receives and gives, where that is not all of them."""

    first_in: int
    size_in: int
    first: int
    size: int


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """One layer: convolution at `rate_in`, non-linearity at `rate_inside`, result at `rate`."""

    index: int
    rate_in: float
    """s of the layer before."""
    rate: float
    """s."""
    rate_inside: float
    """s' = m * max(s_in, s), where the non-linearity runs."""
    cutoff_in: float
    half_width_in: float
    cutoff: float
    """f_c."""
    half_width: float
    """f_h."""
    stopband: float
    """f_t."""
    channels_in: int
    channels: int
    size_in: int
    size: int
    kernel: int
    filter_size: int
    """n: taps per sample of the lower rate."""
    radial: bool
    """The down filter is circularly symmetric."""
    critical: bool
    """f_c = s / 2: nothing is kept free for the filter to fall off in."""
    torgb: bool
    half_precision: bool
    """float16 on a GPU."""
    filtered: bool = True
    """False (rung E): upsample, then convolve and apply a bare leaky ReLU at the new rate."""
    heights: tuple[int, int] | None = None
    """Rows of the input and of the result, where there are not as many as columns (`size_in`, `size`)."""
    cut_x: Cut | None = None
    """Of the columns, where only a part is computed (see `networks.parts`)."""
    cut_y: Cut | None = None
    """Of the rows."""

    @property
    def name(self) -> str:
        """Official module name, e.g. 'L3_52_512'."""
        return f'L{self.index}_{self.size}_{self.channels}'

    @property
    def margin(self) -> int:
        """Samples around the canvas on each side."""
        return (self.size - int(self.rate)) // 2

    @property
    def up_factor(self) -> int:
        """From the incoming rate to the rate of the non-linearity."""
        return round(self.rate_inside / self.rate_in)

    @property
    def down_factor(self) -> int:
        """From the rate of the non-linearity to the layer's."""
        return round(self.rate_inside / self.rate)

    @property
    def up_taps(self) -> int:
        """1 = no filter."""
        return self.filter_size * self.up_factor if self.up_factor > 1 and not self.torgb else 1

    @property
    def down_taps(self) -> int:
        """1 = no filter."""
        return self.filter_size * self.down_factor if self.down_factor > 1 and not self.torgb else 1

    def up_filter(self) -> Tensor | None:
        """Low-pass for the band of the layer before; [taps], or None for one tap."""
        return lowpass(self.up_taps, self.cutoff_in, 2 * self.half_width_in, self.rate_inside)

    def down_filter(self) -> Tensor | None:
        """Low-pass for the layer's own band; [taps], [taps, taps] if radial, or None for one tap."""
        return lowpass(self.down_taps, self.cutoff, 2 * self.half_width, self.rate_inside, self.radial)

    def sizes(self, *, vertical: bool = False) -> tuple[int, int]:
        """Columns (or rows) of the whole input and of the whole result."""
        return self.heights if vertical and self.heights is not None else (self.size_in, self.size)

    def padding(self, up_taps: int, down_taps: int, *, vertical: bool = False) -> tuple[int, int]:
        """Samples to pad before and after the upsampled signal, so that `size` samples come out, centred on the canvas.

        The convolution has widened its input by kernel - 1. Where the sum of taps is odd, exact centring is impossible
        and the picture moves by half a sample of `rate_inside`. Of a part, the samples that the convolution widened it by
        are cut off again where they are not at the border of the canvas: the padding is negative there.
        """
        size_in, size = self.sizes(vertical=vertical)
        total = self._added(size_in, size, up_taps, down_taps)
        before = (total + self.up_factor) // 2  # zero insertion leaves up_factor - 1 empty samples behind the last one
        cut = self.cut_y if vertical else self.cut_x
        if cut is None:
            return before, total - before
        before += cut.first_in * self.up_factor - cut.first * self.down_factor
        return before, self._added(cut.size_in, cut.size, up_taps, down_taps) - before

    def _added(self, size_in: int, size: int, up_taps: int, down_taps: int) -> int:
        """Samples to pad in all, to get `size` of `size_in`."""
        wanted = (size - 1) * self.down_factor + 1 + (up_taps - 1) + (down_taps - 1)
        return wanted - (size_in + self.kernel - 1) * self.up_factor


@dataclass(frozen=True, slots=True)
class Schedule:
    """All layers of one synthesis network, ToRGB last."""

    input: InputRecord
    layers: tuple[LayerRecord, ...]

    @property
    def num_ws(self) -> int:
        """How many latents are read: one per layer, and one by the input where it has an affine map."""
        return len(self.layers) + int(self.input.affine)


@dataclass(frozen=True, slots=True)
class _Band:
    """Rate and band of one layer's output."""

    rate: float
    cutoff: float
    stopband: float
    half_width: float
    critical: bool
    size: int


def make_schedule(resolution: int, image_channels: int, config: AliasFreeConfig) -> Schedule:
    """The table of a synthesis network; raises `ValueError` for a combination of options that cannot be built."""
    _check(resolution, config)
    if config.rung is None:
        return flexible_schedule(resolution, image_channels, config)
    return rigid_schedule(resolution, image_channels, config)


def flexible_schedule(resolution: int, image_channels: int, config: AliasFreeConfig) -> Schedule:
    """Configurations T and R: cutoff and stopband grow geometrically (Eq. 35, 36)."""
    last_cutoff = resolution / 2  # f_c,N
    last_stopband = last_cutoff * config.last_stopband_rel  # f_t,N
    bands = []
    for index in range(config.num_layers + 1):
        exponent = min(index / (config.num_layers - config.num_critical), 1)
        cutoff = config.first_cutoff * (last_cutoff / config.first_cutoff) ** exponent
        stopband = config.first_stopband * (last_stopband / config.first_stopband) ** exponent
        rate = float(2 ** ceil(log2(min(2 * stopband, resolution))))
        half_width = max(stopband, rate / 2) - cutoff
        cropped = index >= config.num_layers - 1  # the last layer and ToRGB cover just the canvas
        size = resolution if cropped else int(rate) + 2 * config.margin_size
        critical = index >= config.num_layers - config.num_critical
        bands.append(_Band(rate, cutoff, stopband, half_width, critical, size))
    first = bands[0]
    channels = [_channels(band.cutoff, config) for band in bands[:-1]]
    features = InputRecord(channels[0], first.size, first.rate, config.first_cutoff, affine=True)
    return Schedule(features, _records(features, first, bands, [*channels, image_channels], config))


def rigid_schedule(resolution: int, image_channels: int, config: AliasFreeConfig) -> Schedule:
    """Rungs E, F, G, H: two layers per rate, from 4 samples per image width on (Sec. 3.2).

    All layers are sampled critically in E and F; from G on only those at the final rate. The paper leaves open how the
    features enter: here the first filter has the features' own band, and the margin is cropped at the very end.
    """
    bands = []
    for index in range(2 * (round(log2(resolution)) - 1)):
        rate = 4.0 * 2 ** (index // 2)
        critical = config.rung in ('E', 'F') or rate == resolution
        half_width = RIGID_HALF_WIDTH * rate / 2
        cutoff = rate / 2 if critical else rate / 2 - half_width
        bands.append(_Band(rate, cutoff, cutoff + half_width, half_width, critical, int(rate) + 2 * config.margin_size))
    last = bands[-1]
    bands.append(_Band(last.rate, last.cutoff, last.stopband, last.half_width, last.critical, resolution))
    channels = [_channels(band.cutoff, config) for band in bands[:-1]]
    first = bands[0]
    cutoff = config.first_cutoff
    half_width = RIGID_HALF_WIDTH * cutoff
    arriving = _Band(first.rate, cutoff, cutoff + half_width, half_width, first.critical, first.size)
    features = InputRecord(channels[0], first.size, first.rate, cutoff, affine=config.rung == 'H')
    return Schedule(features, _records(features, arriving, bands, [*channels, image_channels], config))


def _records(
    features: InputRecord, arriving: _Band, bands: list[_Band], channels: list[int], config: AliasFreeConfig
) -> tuple[LayerRecord, ...]:
    """Joins each band with the one before it; `arriving` is what the first layer receives."""
    resolution = bands[-1].size
    oversampling = 1 if config.rung == 'E' else config.lrelu_upsampling
    records = []
    for index, band in enumerate(bands):
        before = bands[index - 1] if index else arriving
        torgb = index == len(bands) - 1
        records.append(
            LayerRecord(
                index=index,
                rate_in=before.rate,
                rate=band.rate,
                rate_inside=max(before.rate, band.rate) * (1 if torgb else oversampling),
                cutoff_in=before.cutoff,
                half_width_in=before.half_width,
                cutoff=band.cutoff,
                half_width=band.half_width,
                stopband=band.stopband,
                channels_in=channels[index - 1] if index else features.channels,
                channels=channels[index],
                size_in=before.size,
                size=band.size,
                kernel=1 if torgb else config.conv_kernel,
                filter_size=config.filter_size,
                radial=config.use_radial_filters and not band.critical,
                critical=band.critical,
                torgb=torgb,
                half_precision=band.rate * 2**config.num_fp16_res > resolution,
                filtered=config.rung != 'E' or torgb,
            )
        )
    return tuple(records)


def _channels(cutoff: float, config: AliasFreeConfig) -> int:
    """min(round(C_base / (2 f_c)), C_max), halves to even."""
    return min(round(config.channel_base / 2 / cutoff), config.channel_max)


def _check(resolution: int, config: AliasFreeConfig) -> None:
    if resolution < 4 or resolution & (resolution - 1):
        raise ValueError(f'the image side must be a power of two from 4 on, got {resolution}')
    if config.rung not in (None, 'E', 'F', 'G', 'H'):
        raise ValueError(f'there is no rung {config.rung!r}; choose E, F, G, H, or None for flexible layers')
    if not 0 <= config.num_critical < config.num_layers:
        raise ValueError(
            f'{config.num_critical} critical layers of {config.num_layers} leave none to widen the band in'
        )

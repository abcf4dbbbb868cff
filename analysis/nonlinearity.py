"""Inside a layer's non-linearity: what each step adds beyond the band, and what of it comes back as aliasing.

A pointwise function makes frequencies without end. The alias-free layer (Karras et al. 2021, Sec. 2.1 and 3.2) raises the
sampling rate, applies it, filters and lowers the rate; three steps that each let something through:
images (the upsampling filter is not ideal), folding (harmonics beyond the raised rate) and leak (the downsampling filter
is not ideal). The reference is the same layer with the same responses inside the band and nothing outside, its function
applied at many times the rate; so the difference is aliasing alone, not a matter of taste in pass bands.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.band import advance, filter_spectrum, fold_spectrum, half_spectrum, refit, repeat_spectrum, smooth_side
from analysis.layer_equivariance import DYNAMIC_RANGE, IMAGE_STD
from analysis.spectrum import power_spectrum, radial_profile
from ops.upfirdn2d import Sides, upfirdn2d

Pointwise = Callable[[Tensor], Tensor]
STAGE_BETA = 14.0
"""Of the Kaiser window: its side lobes stay below -100 dB, where leaks are looked for."""
LARGEST_SIDE = 1024
"""Of the oversampled signal: of larger layers the middle is measured. Aliasing is made everywhere alike."""
IDEAL_OVERSAMPLING = 4
"""Times the layer's own: 8 times the output's rate in the paper's layers. Twice as much changes less than 0.1 dB."""


@dataclass(frozen=True, slots=True)
class Nonlinearity:
    """A pointwise function between raising and lowering the sampling rate."""

    function: Pointwise
    """Gain and clamp included."""
    rate_in: float
    """Samples per image width of what it receives."""
    up: int = 1
    down: int = 1
    up_filter: Tensor | None = None
    """[taps] or [height, width], sum 1, as for `upfirdn2d`."""
    down_filter: Tensor | None = None
    padding: Sides = (0, 0, 0, 0)
    """Left, right, top, bottom, in samples of the raised rate."""

    @property
    def rate_inside(self) -> float:
        return self.rate_in * self.up

    @property
    def rate_out(self) -> float:
        return self.rate_inside / self.down


@dataclass(frozen=True, slots=True)
class StageSignal:
    """What a layer holds after one step."""

    key: str
    rate: float
    signal: Tensor
    """[batch, channels, height, width], centred on the canvas."""


def run_stages(signal: Tensor, layer: Nonlinearity) -> tuple[StageSignal, ...]:
    """The steps of the non-linearity on `signal` [batch, channels, height, width] (convolved, bias added), as far as they exist."""
    stages = [StageSignal('convolution', layer.rate_in, signal)]
    x = signal
    if layer.up > 1 or layer.up_filter is not None:
        x = upfirdn2d(x, layer.up_filter, up=layer.up, padding=layer.padding, gain=float(layer.up**2))
        stages.append(StageSignal('upsampled', layer.rate_inside, x))
    elif any(layer.padding):
        x = upfirdn2d(x, None, padding=layer.padding)
    x = layer.function(x)
    lowers = layer.down > 1 or layer.down_filter is not None
    stages.append(StageSignal('activated' if lowers else 'output', layer.rate_inside, x))
    if lowers:
        x = upfirdn2d(x, layer.down_filter)
        stages.append(StageSignal('lowpassed', layer.rate_inside, x))
        stages.append(StageSignal('output', layer.rate_out, x[..., :: layer.down, :: layer.down]))
    return tuple(stages)


def stage_power(stage: StageSignal, *, extent: float = 1.0) -> Tensor:
    """Power density [height, width] of a stage within `extent` image widths around the centre, zero frequency in the middle.

    Per squared cycle per image width, so that stages of different rates can be compared.
    """
    side = max(min(round(extent * stage.rate), *stage.signal.shape[-2:]), 1)
    top, left = (stage.signal.shape[-2] - side) // 2, (stage.signal.shape[-1] - side) // 2
    return power_spectrum(stage.signal[..., top : top + side, left : left + side], STAGE_BETA) / stage.rate**2


def beyond(power: Tensor, rate: float, nyquist: float) -> tuple[float, float]:
    """Power within and beyond the square band of ± `nyquist`, of a density [side, side] of samples at `rate`."""
    side = power.shape[-1]
    frequency = (torch.arange(side, device=power.device) - side // 2).abs() * (rate / side)
    within = (frequency <= nyquist * (1 + 1e-9)).to(power)
    inside = float((power * within[:, None] * within[None, :]).sum())
    return inside, float(power.sum()) - inside


def density_profile(power: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """Frequencies in cycles per image width from 0 to rate / 2, and the mean density on rings around zero."""
    profile = radial_profile(power)
    return torch.arange(len(profile), dtype=torch.float32) * (rate / min(power.shape)), profile


@dataclass(frozen=True, slots=True)
class AliasErrors:
    """Squared differences from the ideal layer, per channel, summed over a batch and the canvas; add them up to pool."""

    power: Tensor
    """[channels], of the ideal output about its mean."""
    total: Tensor
    images: Tensor | None
    """None where the rate is not raised."""
    folding: Tensor | None
    leak: Tensor | None
    """None where the rate is not lowered."""
    oversampling: int

    def __add__(self, other: 'AliasErrors') -> 'AliasErrors':
        def add(a: Tensor | None, b: Tensor | None) -> Tensor | None:
            return None if a is None or b is None else a + b

        return AliasErrors(
            self.power + other.power,
            self.total + other.total,
            add(self.images, other.images),
            add(self.folding, other.folding),
            add(self.leak, other.leak),
            min(self.oversampling, other.oversampling),
        )


def signal_to_alias_db(power: Tensor | float, error: Tensor | float | None) -> float:
    """Pooled signal to alias on the scale of EQ-T; infinite without error, NaN without signal or numbers."""
    if error is None:
        return math.nan
    signal, alias = float(torch.as_tensor(power).sum()), float(torch.as_tensor(error).sum())
    if not signal > 0 or math.isinf(signal) or math.isnan(alias):
        return math.nan
    return math.inf if alias == 0 else 10 * math.log10(DYNAMIC_RANGE**2 / IMAGE_STD**2 * signal / alias)


def alias_errors(
    signal: Tensor, layer: Nonlinearity, *, clean: Tensor | None = None, oversampling: int = IDEAL_OVERSAMPLING
) -> AliasErrors:
    """How far the layer's output is from that of the ideal layer, for `signal` [batch, channels, height, width].

    `clean`: the signal without images, where the rate was raised before the convolution (StyleGAN2). The borders are faded
    out first, alike for all variants, because an ideal filter has no end. `oversampling`: of the ideal, relative to the
    layer's own.
    """
    most = max(round(0.85 * LARGEST_SIDE / (oversampling * layer.up)), 16)
    signal = middle(signal, most)
    clean = None if clean is None else middle(clean, most)
    window = fade(signal, layer.rate_in)
    ideal = _Ideal(layer, signal, oversampling)
    faded = signal * window
    actual = ideal.cropped(run_stages(faded, layer)[-1].signal)
    source = faded if clean is None else clean * window
    base = ideal.spectrum(source)
    reference, raised = ideal.output(ideal.raised(base))
    centred = reference - reference.mean(dim=(-2, -1), keepdim=True)

    def difference(other: Tensor) -> Tensor:
        return (other - reference).double().square().sum(dim=(0, 2, 3))

    images = None
    if clean is not None:
        images = difference(ideal.output(ideal.raised(ideal.spectrum(faded)))[0])
    elif layer.up > 1:
        images = difference(ideal.output(ideal.raised(base, images=True))[0])
    return AliasErrors(
        power=centred.double().square().sum(dim=(0, 2, 3)),
        total=difference(actual),
        images=images,
        folding=difference(ideal.folded(ideal.raised(base))),
        leak=difference(ideal.leaking(raised)) if layer.down > 1 else None,
        oversampling=ideal.times,
    )


def middle(signal: Tensor, most: int) -> Tensor:
    """The centre of a signal, at most about `most` samples a side; as much is cut on either side."""
    top, left = (max(-(-(size - most) // 2), 0) for size in signal.shape[-2:])
    return signal[..., top : signal.shape[-2] - top, left : signal.shape[-1] - left]


def fade(signal: Tensor, rate: float) -> Tensor:
    """[height, width] from 1 inside to 0 at the border: a raised cosine as wide as the margin, at least a sixth of the side."""

    def ramp(count: int) -> Tensor:
        width = max((count - rate) / 2, count / 6, 1.0)
        distance = (torch.arange(count, dtype=torch.float64) + 0.5).minimum(
            count - 0.5 - torch.arange(count, dtype=torch.float64)
        )
        return 0.5 - 0.5 * torch.cos(math.pi * (distance / width).clamp(max=1))

    height, width = signal.shape[-2:]
    return (ramp(height)[:, None] * ramp(width)[None, :]).to(signal)


class _Ideal:
    """The layer on a periodic grid that is large enough, and its variants with one imperfection each."""

    def __init__(self, layer: Nonlinearity, signal: Tensor, oversampling: int):
        up_taps = 1 if layer.up_filter is None else max(layer.up_filter.shape)
        down_taps = 1 if layer.down_filter is None else max(layer.down_filter.shape)
        longest = max(signal.shape[-2:]) + -(-(up_taps + down_taps) // layer.up) + 2
        self.layer = layer
        self.side = smooth_side(longest, layer.down // math.gcd(layer.up, layer.down))
        self.inside = self.side * layer.up
        self.outside = self.inside // layer.down
        self.times = oversampling
        self._up = self._response(layer.up_filter, float(layer.up**2), signal)
        self._down = self._response(layer.down_filter, 1.0, signal)
        left, _, top, _ = layer.padding
        taps_up, taps_down = _taps(layer.up_filter), _taps(layer.down_filter)
        # The first output sample stands behind all taps and before what was padded.
        self._rows = taps_up[0] - 1 - top + taps_down[0] - 1
        self._columns = taps_up[1] - 1 - left + taps_down[1] - 1
        self._shape = self._output_shape(signal, taps_up, taps_down)

    def spectrum(self, signal: Tensor) -> Tensor:
        """On the grid of the input."""
        height, width = signal.shape[-2:]
        padded = torch.nn.functional.pad(signal.float(), (0, self.side - width, 0, self.side - height))
        return half_spectrum(padded)

    def raised(self, spectrum: Tensor, *, images: bool = False) -> Tensor:
        """At the raised rate, filtered: without images, or with what the filter leaves of them."""
        if images:
            return repeat_spectrum(spectrum, self.side, self.layer.up) * self._up
        # Inserting zeros divides the amplitude by up², which the filter's gain makes good.
        return refit(spectrum, self.side, self.inside) / self.layer.up**2 * self._up

    def output(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """The layer's output for a signal at the raised rate, its function applied without folding; and the spectrum of
        the function's result inside the raised rate's band."""
        fine = self.inside * self.times
        signal = torch.fft.irfft2(refit(spectrum, self.inside, fine), s=(fine, fine))
        made = refit(half_spectrum(self.layer.function(signal)), fine, self.inside)
        return self._lowered(made, leak=False), made

    def folded(self, spectrum: Tensor) -> Tensor:
        """The output if the function runs at the raised rate and nothing else is wrong."""
        signal = torch.fft.irfft2(spectrum, s=(self.inside, self.inside))
        return self._lowered(half_spectrum(self.layer.function(signal)), leak=False)

    def leaking(self, made: Tensor) -> Tensor:
        """The output if only the downsampling filter is not ideal."""
        return self._lowered(made, leak=True)

    def cropped(self, output: Tensor) -> Tensor:
        """The part on the canvas."""
        side = round(self.layer.rate_out)
        height, width = min(side, output.shape[-2]), min(side, output.shape[-1])
        top, left = (output.shape[-2] - height) // 2, (output.shape[-1] - width) // 2
        return output[..., top : top + height, left : left + width]

    def _lowered(self, made: Tensor, *, leak: bool) -> Tensor:
        filtered = advance(made * self._down, self.inside, self._rows, self._columns)
        if leak:
            lowered = fold_spectrum(filtered, self.inside, self.layer.down)
        else:
            lowered = refit(filtered, self.inside, self.outside)
        signal = torch.fft.irfft2(lowered, s=(self.outside, self.outside))
        return self.cropped(signal[..., : self._shape[0], : self._shape[1]])

    def _response(self, taps: Tensor | None, gain: float, like: Tensor) -> Tensor:
        if taps is None:
            return torch.full([self.inside, self.inside // 2 + 1], gain, device=like.device, dtype=torch.complex64)
        return filter_spectrum(taps.to(like.device, torch.float32), self.inside) * gain

    def _output_shape(self, signal: Tensor, up: tuple[int, int], down: tuple[int, int]) -> tuple[int, int]:
        left, right, top, bottom = self.layer.padding
        height = signal.shape[-2] * self.layer.up + top + bottom - up[0] + 1 - (down[0] - 1)
        width = signal.shape[-1] * self.layer.up + left + right - up[1] + 1 - (down[1] - 1)
        return -(-height // self.layer.down), -(-width // self.layer.down)


def _taps(taps: Tensor | None) -> tuple[int, int]:
    """Height and width of a filter; (1, 1) for none."""
    return (1, 1) if taps is None else (taps.shape[0], taps.shape[-1])

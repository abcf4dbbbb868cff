"""From measurements of a running network to causes of sticking: the decision, without the network.

`judge` takes what was measured of every layer (`LayerFacts`) and names suspicions, each with the change that would cure it.
Nothing here reads a configuration: tap values, rates and paddings are what the network is, the rest is behaviour.
Thresholds are relative to the same layer with a Kaiser design of as many taps (Karras et al. 2021, Appendix C).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

from torch import Tensor

from analysis.diagnosis_flat import FlatResponse
from analysis.diagnosis_signal import (
    Resampling,
    Stress,
    anisotropy_db,
    half_amplitude,
    has_negative_lobes,
    separability,
    stress,
)
from ops.filters import lowpass

Cause = Literal['noise', 'border', 'up-filter', 'down-filter', 'nonlinearity', 'cutoff', 'constant', 'separable']
CAUSES: tuple[Cause, ...] = (
    'noise', 'border', 'up-filter', 'down-filter', 'nonlinearity', 'cutoff', 'constant', 'separable'
)  # fmt: skip
NOISE_DB = -45.0
"""Deviation from flat, relative to the features, from which on it is a noise input: half a percent."""
BORDER_DB = -40.0
OUTSIDE_DB = -20.0
"""Of the row outside the canvas: filters of twice the usual length still stay below it in a margin of 10."""
WEAKER_DB = 7.0
"""A filter is weak when it leaves so much more than a Kaiser design of the usual length."""
CRITICAL_SHARE = 0.9
"""Of the Nyquist frequency: flexible layers stay below 0.86, critical ones are at 1."""
ORDINARY_SHARE = 2 - math.sqrt(2)
"""f_c of a layer that keeps room for the filter to fall off, relative to s / 2 (configuration G, Sec. 3.2)."""
USUAL = 6
"""n, taps per sample of the lower rate (Sec. 3.2)."""
SHORTEST = 4
"""Taps per sample: the shortest filters that the paper found acceptable (Fig. 3, right)."""
STILL_DB = -60.0


@dataclass(frozen=True, slots=True)
class Band:
    """What a signal occupies, in cycles per image width."""

    cutoff: float
    """f_c."""
    half_width: float
    """f_h."""


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """Everything that was measured of one layer."""

    label: str
    rate_in: float
    rate: float
    flat: FlatResponse | None = None
    """None where the layer could not be run on a constant."""
    resampling: Resampling | None = None
    """None where the layer's filters are not known."""
    band_in: Band | None = None
    """For which its upsampling filter is meant; None where none is defined."""
    band: Band | None = None
    """For which its downsampling filter is meant."""
    pointwise: bool = False
    """It mixes channels only, so it could be equivariant to rotation."""
    nonlinear: bool = True
    last: bool = False
    """One of the two layers before the output, which may be sampled critically (Sec. 3.2)."""
    smooth: bool = True
    """False: it neither filters nor convolves over space, so it needs no margin."""
    constant: bool = False
    """It starts from learned values that nothing moves."""


@dataclass(frozen=True, slots=True)
class InputFacts:
    """How the first features answer to a move of the input by whole samples."""

    label: str
    changed_db: float
    """Change relative to the features' deviation."""
    error_db: float
    """Signal to error against the moved features, on the scale of EQ-T."""


@dataclass(frozen=True, slots=True)
class Cure:
    """What to change in one layer, for one call."""

    layer: str
    up_taps: Tensor | None = field(default=None, compare=False)
    down_taps: Tensor | None = field(default=None, compare=False)
    oversampling: int = 1
    """Run the non-linearity at so many times its rate, with the two filters above."""
    without_noise: bool = False
    margin: bool = False
    moving_input: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """One piece of evidence."""

    name: str
    value: float
    unit: str = 'dB'
    healthy: float | None = None
    """What it would be without the defect, or with the cure."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A cause in a layer."""

    layer: str
    cause: Cause
    level_db: float
    """Unwanted energy relative to the layer's signal: how bad it is."""
    excess_db: float
    """How far beyond the threshold: how sure it is."""
    numbers: tuple[Number, ...]
    cure: Cure


def judge(layers: Sequence[LayerFacts], first: InputFacts | None = None) -> tuple[Suspicion, ...]:
    """All suspicions, the worst first. `first`: None where the generator has no input transform."""
    found: list[Suspicion] = []
    if first is not None:
        found += _judge_input(first)
    taps = usual_length(layers)
    bands = reference_bands(layers)
    for index, layer in enumerate(layers):
        if layer.constant:
            number = Number('learned values that no transform reaches', 0.0)
            found.append(Suspicion(layer.label, 'constant', 0.0, 40.0, (number,), Cure(layer.label, moving_input=True)))
        found += _judge_flat(layer)
        if layer.resampling is not None and layer.band is not None and layer.nonlinear:
            found += _judge_filters(index, layers, bands, taps)
    return tuple(sorted(_without_echoes(found, layers), key=lambda one: -one.level_db))


def usual_length(layers: Sequence[LayerFacts]) -> int:
    """n: the median of taps per sample of the lower rate over the network's filters; the paper's 6 if below `SHORTEST`."""
    lengths = []
    for layer in layers:
        if layer.resampling is not None:
            one = layer.resampling
            for taps, factor in ((one.up_taps, one.up), (one.down_taps, one.down)):
                if taps is not None and factor > 1:
                    lengths.append(real_length(taps) / factor)
    usual = round(median(lengths)) if lengths else 0
    return usual if usual >= SHORTEST else USUAL


def real_length(taps: Tensor) -> int:
    """Taps between the first and the last that are not zero."""
    profile = taps.abs() if taps.ndim == 1 else taps.abs().sum(0)
    kept = (profile > 1e-7 * profile.max()).nonzero()
    return int(kept[-1] - kept[0]) + 1


def reference_bands(layers: Sequence[LayerFacts]) -> tuple[Band | None, ...]:
    """The band that each layer's output should have: its own where that leaves room below s / 2, else a lower one."""
    return tuple(None if one.band is None else reference_band(one.band, one.rate, critical=one.last) for one in layers)


def reference_band(band: Band, rate: float, *, critical: bool) -> Band:
    """`band` if a filter can fall off in it at `rate`; else configuration G's. `critical`: f_c = s / 2 is accepted."""
    nyquist = rate / 2
    if critical:
        return Band(min(band.cutoff, nyquist), min(max(band.half_width, 0.15 * nyquist), nyquist))
    if band.cutoff > CRITICAL_SHARE * nyquist:
        return Band(ORDINARY_SHARE * nyquist, (1 - ORDINARY_SHARE) * nyquist)
    # The stopband begins at s / 2, or a little later where the last rate caps s.
    half_width = min(max(band.half_width, nyquist - band.cutoff), 1.15 * nyquist - band.cutoff)
    return Band(band.cutoff, half_width)


def _band_in(layers: Sequence[LayerFacts], index: int) -> Band | None:
    """The band that the upsampling filter of a layer should keep."""
    layer = layers[index]
    critical = index > 0 and layers[index - 1].last
    return None if layer.band_in is None else reference_band(layer.band_in, layer.rate_in, critical=critical)


def _judge_input(first: InputFacts) -> list[Suspicion]:
    moves = first.changed_db > STILL_DB
    if moves and first.error_db > 40:
        return []
    numbers = (
        Number('change of the first features when the input is moved', first.changed_db),
        Number('first features against the moved ones', first.error_db, healthy=100.0),
    )
    return [Suspicion(first.label, 'constant', 0.0, 40 - first.error_db, numbers, Cure(first.label, moving_input=True))]


def _judge_flat(layer: LayerFacts) -> list[Suspicion]:
    flat, found = layer.flat, []
    if flat is None:
        return found
    if flat.noise_db > NOISE_DB:
        numbers = (Number('noise in the answer to a featureless input', flat.noise_db, healthy=-120.0),)
        cure = Cure(layer.label, without_noise=True)
        found.append(Suspicion(layer.label, 'noise', flat.noise_db, flat.noise_db - NOISE_DB, numbers, cure))
    inside = flat.border_db > BORDER_DB
    if inside or flat.outside_db > OUTSIDE_DB:
        level = flat.border_db if inside else min(flat.outside_db, 0.0)
        numbers = (
            Number('edge of the canvas in the answer to a featureless input', flat.border_db, healthy=-120.0),
            Number('first row of the margin in the same answer', flat.outside_db, healthy=-60.0),
        )
        excess = flat.border_db - BORDER_DB if inside else flat.outside_db - OUTSIDE_DB
        found.append(Suspicion(layer.label, 'border', level, excess, numbers, Cure(layer.label, margin=True)))
    return found


def _judge_filters(
    index: int, layers: Sequence[LayerFacts], bands: Sequence[Band | None], length: int
) -> list[Suspicion]:
    layer, band = layers[index], bands[index]
    assert layer.resampling is not None and band is not None
    band_in = _band_in(layers, index)
    assert band_in is not None
    own, best = layer.resampling, ideal(layer, band_in, band, length)
    trial = _Trial(layer, own, best, *_probe(layer, band_in, band))
    found = _judge_up(trial, index, layers, band_in, length)
    if own.down == 1 or own.down_taps is None or half_amplitude(own.down_taps, own.down) > 0.99 * own.down:
        return [*found, _unfiltered(trial)]
    return [*found, *_judge_down(trial, length)]


@dataclass(frozen=True, slots=True)
class _Trial:
    """One layer, its ideal, and the test signal for both."""

    layer: LayerFacts
    own: Resampling
    best: Resampling
    probe: float
    stop: float

    def run(self, resampling: Resampling) -> Stress:
        """The test signal through the layer with other filters."""
        return stress(resampling, self.probe, self.stop)


def _judge_up(trial: _Trial, index: int, layers: Sequence[LayerFacts], band_in: Band, length: int) -> list[Suspicion]:
    layer, own = trial.layer, trial.own
    if own.up == 1:
        return []
    taps = lowpass(length * own.up, band_in.cutoff, 2 * band_in.half_width, layer.rate_in * own.up)
    if _same(own.up_taps, taps):
        return []
    with_ideal = replace(own, up_taps=taps)
    before, after = trial.run(own), trial.run(with_ideal)
    excess = before.images_db - after.images_db - WEAKER_DB
    if excess <= 0 and own.up_taps is not None:
        return []
    high = _too_high(own.up_taps, own.up, length, index > 0 and layers[index - 1].last)
    numbers = (
        Number('images left after upsampling a signal that fills the band', before.images_db, healthy=after.images_db),
        Number('equivariance of the layer, test signal', before.equivariance_db, healthy=after.equivariance_db),
    )
    cause: Cause = 'cutoff' if high else 'up-filter'
    return [Suspicion(layer.label, cause, before.images_db, excess, numbers, Cure(layer.label, up_taps=taps))]


def _judge_down(trial: _Trial, length: int) -> list[Suspicion]:
    """The filter after the non-linearity, fed by an ideal one before it."""
    layer, own, best = trial.layer, trial.own, trial.best
    assert own.down_taps is not None and best.down_taps is not None
    if _same(own.down_taps, best.down_taps):
        return []
    before, after = trial.run(replace(own, up_taps=best.up_taps)), trial.run(best)
    cure = Cure(layer.label, down_taps=best.down_taps)
    leak = (
        Number('energy beyond s/2 that folds back after the low-pass filter', before.leak_db, healthy=after.leak_db),
    )
    moving = (Number('equivariance of the layer, test signal', before.equivariance_db, healthy=after.equivariance_db),)
    half = half_amplitude(own.down_taps, own.down)
    if before.leak_db - after.leak_db > WEAKER_DB:
        high = not layer.last and _windowed_sinc(own.down_taps, own.down, length) and half > CRITICAL_SHARE
        share = Number('cutoff (-6 dB) relative to s/2', half, '', half_amplitude(best.down_taps, best.down))
        excess = before.leak_db - after.leak_db - WEAKER_DB
        cause: Cause = 'cutoff' if high else 'down-filter'
        return [Suspicion(layer.label, cause, before.leak_db, excess, (*leak, share, *moving), cure)]
    if layer.pointwise and not layer.last and best.down_taps.ndim == 2:
        own_rank, best_rank = separability(own.down_taps), separability(best.down_taps)
        if best_rank > 1e-6 and own_rank < 0.05 * best_rank:
            uneven = anisotropy_db(own.down_taps, own.down)
            numbers = (
                Number(
                    'response along the diagonal against the axis',
                    uneven,
                    healthy=anisotropy_db(best.down_taps, best.down),
                ),
                Number('second singular value of the filter', own_rank, '', best_rank),
            )
            return [Suspicion(layer.label, 'separable', min(uneven, -20.0), 20.0, numbers, cure)]
    return []


def _unfiltered(trial: _Trial) -> Suspicion:
    layer, own, best = trial.layer, trial.own, trial.best
    before, after = trial.run(own), trial.run(best)
    numbers = (
        Number('harmonics that fold at the rate of the non-linearity', before.folding_db, healthy=after.folding_db),
        Number('equivariance of the layer, test signal', before.equivariance_db, healthy=after.equivariance_db),
    )
    times = max(best.up // own.up, 1)
    cure = Cure(layer.label, up_taps=best.up_taps, down_taps=best.down_taps, oversampling=times)
    return Suspicion(
        layer.label, 'nonlinearity', before.folding_db, before.folding_db - after.folding_db, numbers, cure
    )


def ideal(layer: LayerFacts, band_in: Band, band: Band, length: int) -> Resampling:
    """The layer's filters as the paper designs them, `length` taps per sample; at least twice oversampled."""
    assert layer.resampling is not None
    own = layer.resampling
    times = 2 if own.down == 1 and layer.nonlinear else 1
    up, down = own.up * times, own.down * times
    inside = layer.rate_in * up
    radial = layer.pointwise and not layer.last
    return Resampling(
        up,
        down,
        lowpass(length * up if up > 1 else 1, band_in.cutoff, 2 * band_in.half_width, inside),
        lowpass(length * down if down > 1 else 1, band.cutoff, 2 * band.half_width, inside, radial),
    )


def _same(taps: Tensor | None, reference: Tensor | None) -> bool:
    """Whether a filter is the reference, so that nothing needs to be measured."""
    if taps is None or reference is None or taps.shape != reference.shape:
        return False
    return float((taps.double() - reference.double()).abs().max()) < 1e-5 * float(reference.abs().max())


def _windowed_sinc(taps: Tensor, factor: int, length: int) -> bool:
    """Whether a filter is of the usual length and shape, so that only its cutoff can be wrong."""
    return has_negative_lobes(taps) and real_length(taps) >= 0.8 * length * factor


def _too_high(taps: Tensor | None, factor: int, length: int, after_critical: bool) -> bool:
    """Whether an upsampling filter lets through all up to the incoming Nyquist frequency because it was designed to."""
    if taps is None or after_critical:
        return False
    return _windowed_sinc(taps, factor, length) and half_amplitude(taps, factor) > CRITICAL_SHARE


def _without_echoes(found: Sequence[Suspicion], layers: Sequence[LayerFacts]) -> list[Suspicion]:
    """Without upsampling filters that only follow the too high cutoff of the layer before, which is named already."""
    order = {layer.label: index for index, layer in enumerate(layers)}
    high = {order[one.layer] for one in found if one.cause == 'cutoff' and one.cure.down_taps is not None}
    return [
        one
        for one in found
        if not (one.cause == 'cutoff' and one.cure.down_taps is None and order[one.layer] - 1 in high)
    ]


def layer_stress(layers: Sequence[LayerFacts], index: int) -> Stress | None:
    """The test signal through one layer as it is; None where its filters or its band are not known."""
    layer, bands = layers[index], reference_bands(layers)
    band = bands[index]
    if layer.resampling is None or band is None or not layer.nonlinear:
        return None
    band_in = _band_in(layers, index)
    return None if band_in is None else stress(layer.resampling, *_probe(layer, band_in, band))


def _probe(layer: LayerFacts, band_in: Band, band: Band) -> tuple[float, float]:
    """Where the test signal ends and where the leak begins, each relative to its Nyquist frequency."""
    protected = min(band_in.cutoff, layer.rate_in - band_in.cutoff - band_in.half_width)
    return protected / (layer.rate_in / 2), max((band.cutoff + band.half_width) / (layer.rate / 2), 1.0)

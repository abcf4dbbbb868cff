"""Judges the filters around a layer's non-linearity by a test signal, against the paper's design for the same band.

A Kaiser design of the network's usual length is the reference (Karras et al. 2021, Sec. 3.2 and Appendix C).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import median

from torch import Tensor

from analysis.diagnosis_facts import Band, Cause, Cure, LayerFacts, Number, Suspicion
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

WEAKER_DB = 7.0
"""A filter is weak when it leaves so much more than a Kaiser design of the usual length."""
CRITICAL_SHARE = 0.9
"""Of the Nyquist frequency: flexible layers stay below 0.86, critical ones are at 1."""
ORDINARY_SHARE = 2 - sqrt(2)
"""f_c of a layer that keeps room for the filter to fall off, relative to s / 2 (configuration G, Sec. 3.2)."""
CERTAIN_DB = 40.0
"""Excess of what has no threshold."""
USUAL = 6
"""n, taps per sample of the lower rate (Sec. 3.2)."""
SHORTEST = 4
"""Taps per sample: the shortest filters that the paper found acceptable (Fig. 3, right)."""


def judge_filters(
    index: int, layers: Sequence[LayerFacts], bands: Sequence[Band | None], length: int
) -> list[Suspicion]:
    layer, band = layers[index], bands[index]
    assert layer.resampling is not None and band is not None
    band_in = _band_in(layers, index)
    assert band_in is not None
    own, best = layer.resampling, ideal(layer, band_in, band, length)
    separable = ideal(replace(layer, pointwise=False), band_in, band, length)
    trial = _Trial(layer, own, best, separable, length, *_probe(layer, band_in, band))
    found = _judge_up(trial, index, layers, band_in, length)
    if own.down == 1 or own.down_taps is None or half_amplitude(own.down_taps, own.down) > 0.99 * own.down:
        return [*found, _unfiltered(trial)]
    return [*found, *_judge_down(trial)]


def layer_stress(layers: Sequence[LayerFacts], index: int) -> Stress | None:
    """The test signal through one layer as it is; None where its filters or its band are not known."""
    layer, bands = layers[index], reference_bands(layers)
    band = bands[index]
    if layer.resampling is None or band is None or not layer.nonlinear:
        return None
    band_in = _band_in(layers, index)
    return None if band_in is None else stress(layer.resampling, *_probe(layer, band_in, band))


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


def _probe(layer: LayerFacts, band_in: Band, band: Band) -> tuple[float, float]:
    """Where the test signal ends and where the leak begins, each relative to its Nyquist frequency."""
    protected = min(band_in.cutoff, layer.rate_in - band_in.cutoff - band_in.half_width)
    return protected / (layer.rate_in / 2), max((band.cutoff + band.half_width) / (layer.rate / 2), 1.0)


@dataclass(frozen=True, slots=True)
class _Trial:
    """One layer, its ideal, and the test signal for both."""

    layer: LayerFacts
    own: Resampling
    best: Resampling
    separable: Resampling
    """`best` without circular filters."""
    length: int
    """n."""
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


def _judge_down(trial: _Trial) -> list[Suspicion]:
    """The filter after the non-linearity, fed by an ideal one before it."""
    layer, own, best = trial.layer, trial.own, trial.best
    assert own.down_taps is not None and best.down_taps is not None
    if _same(own.down_taps, best.down_taps):
        return []
    # Being separable is a cause of its own, so such a filter is first compared with the best separable one.
    separable = best.down_taps.ndim == 2 and _is_separable(own.down_taps, best.down_taps)
    fair = trial.separable if separable else best
    before, after = trial.run(replace(own, up_taps=best.up_taps)), trial.run(fair)
    excess = before.leak_db - after.leak_db - WEAKER_DB
    if excess <= 0:
        return [_uneven(trial)] if separable else []
    half = half_amplitude(own.down_taps, own.down)
    high = not layer.last and _windowed_sinc(own.down_taps, own.down, trial.length) and half > CRITICAL_SHARE
    numbers = (
        Number('energy beyond s/2 that folds back after the low-pass filter', before.leak_db, healthy=after.leak_db),
        Number('cutoff (-6 dB) relative to s/2', half, '', half_amplitude(best.down_taps, best.down)),
        Number('equivariance of the layer, test signal', before.equivariance_db, healthy=after.equivariance_db),
    )
    cure = Cure(layer.label, down_taps=best.down_taps)
    return [Suspicion(layer.label, 'cutoff' if high else 'down-filter', before.leak_db, excess, numbers, cure)]


def _uneven(trial: _Trial) -> Suspicion:
    own, best = trial.own.down_taps, trial.best.down_taps
    assert own is not None and best is not None
    level = anisotropy_db(own, trial.own.down)
    numbers = (
        Number('response along the diagonal against the axis', level, healthy=anisotropy_db(best, trial.best.down)),
        Number('second singular value of the filter', separability(own), '', separability(best)),
    )
    excess = CERTAIN_DB  # an outer product is one, there is no threshold to be near to
    return Suspicion(trial.layer.label, 'separable', level, excess, numbers, Cure(trial.layer.label, down_taps=best))


def _is_separable(taps: Tensor, radial: Tensor) -> bool:
    """Whether a filter is an outer product where its radial reference is none."""
    reference = separability(radial)
    return reference > 1e-6 and separability(taps) < 0.05 * reference


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

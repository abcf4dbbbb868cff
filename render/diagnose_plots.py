"""The plots beside a finding: filter responses, border profiles, one measure over the layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from analysis.diagnosis_facts import LayerFacts, Suspicion
from ops.filters import response_db
from render.diagnosis import Curve, LayerHealth, Plot

_POINTS = 129
_LOWEST_DB = -120.0
_OVER_LAYERS = {
    'noise': ('noise_db', 'Noise in the answer to a featureless input'),
    'nonlinearity': ('folding_db', 'Harmonics that fold at the rate of the non-linearity'),
    'up-filter': ('images_db', 'Images left after upsampling a test signal'),
    'down-filter': ('leak_db', 'Energy that folds back after the low-pass filter'),
}
"""Cause -> (field of `LayerHealth`, title)."""


def plots_of(worst: Suspicion, layers: Sequence[LayerFacts], health: Sequence[LayerHealth]) -> tuple[Plot, ...]:
    """What there is to show for the worst layer of a finding."""
    facts = next((one for one in layers if one.label == worst.layer), None)
    found = []
    if worst.cause in _OVER_LAYERS:
        found.append(_over_layers(*_OVER_LAYERS[worst.cause], health))
    if worst.cause == 'border' and facts is not None and facts.flat is not None:
        steps = tuple(float(step) for step in range(len(facts.flat.profile_db)))
        values = tuple(max(value, _LOWEST_DB) for value in facts.flat.profile_db)
        curve = Curve(worst.layer, steps, values)
        found.append(Plot('Deviation from flat, from the border inwards', 'samples from the border', 'dB', (curve,)))
    if facts is not None and facts.resampling is not None:
        found += _responses(worst, facts)
    return tuple(found)


def _over_layers(field: str, title: str, health: Sequence[LayerHealth]) -> Plot:
    measured = [(index, getattr(one, field)) for index, one in enumerate(health)]
    measured = [(index, value) for index, value in measured if value == value]
    x, y = [float(index) for index, _ in measured], [max(value, _LOWEST_DB) for _, value in measured]
    return Plot(title, 'layer', 'dB', (Curve('this network', tuple(x), tuple(y)),))


def _responses(worst: Suspicion, facts: LayerFacts) -> list[Plot]:
    own, cure, found = facts.resampling, worst.cure, []
    assert own is not None
    inside = facts.rate_in * own.up
    if cure.oversampling > 1:
        return []
    for name, taps, better, nyquist in (
        ('Upsampling filter', own.up_taps, cure.up_taps, facts.rate_in / 2),
        ('Downsampling filter', own.down_taps, cure.down_taps, facts.rate / 2),
    ):
        if taps is None or better is None:
            continue
        diagonal = worst.cause == 'separable'
        curves = [_response('of the network', taps, inside), _response('cure', better, inside)]
        if diagonal:
            curves = [
                _response('of the network, along the axis', taps, inside),
                _response('of the network, along the diagonal', taps, inside, diagonal=True),
                _response('cure, along the diagonal', better, inside, diagonal=True),
            ]
        marks = (('s/2', nyquist),)
        found.append(Plot(f'{name} of {worst.layer}', 'cycles per image width', 'dB', tuple(curves), marks))
    return found


def _response(name: str, taps: Tensor, rate: float, *, diagonal: bool = False) -> Curve:
    frequencies, decibels = response_db(taps / taps.sum(), rate=rate, count=_POINTS, diagonal=diagonal)
    return Curve(name, tuple(frequencies.tolist()), tuple(decibels.clamp(min=_LOWEST_DB).tolist()))

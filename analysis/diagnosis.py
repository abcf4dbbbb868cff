"""From measurements of a running network to causes of sticking: the decision, without the network.

`judge` takes what was measured of every layer (`LayerFacts`) and names suspicions, each with the change that would cure it.
Nothing here reads a configuration: tap values, rates and paddings are what the network is, the rest is behaviour.
"""

from collections.abc import Generator, Sequence

from analysis.diagnosis_facts import Cause, Cure, InputFacts, LayerFacts, Number, Suspicion
from analysis.diagnosis_filters import judge_filters, reference_bands, usual_length

NOISE_DB = -45.0
"""Deviation from flat, relative to the features, from which on it is a noise input: half a percent."""
BORDER_DB = -40.0
OUTSIDE_DB = -20.0
"""Of the row outside the canvas: filters of twice the usual length still stay below it in a margin of 10."""
STILL_DB = -60.0
FROM_OUTSIDE_DB = -40.0
"""For signals with an octave of room: a Kaiser design with 6 taps a sample leaves -63 dB of images, bilinear -32."""


def judge(layers: Sequence[LayerFacts], first: InputFacts | None = None) -> tuple[Suspicion, ...]:
    """All suspicions, the worst first. `first`: None where the generator has no input transform."""
    steps = judging(layers, first)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def judging(
    layers: Sequence[LayerFacts], first: InputFacts | None = None
) -> Generator[None, None, tuple[Suspicion, ...]]:
    """`judge` that pauses after each layer: filters that are not the reference are measured, which takes time."""
    found: list[Suspicion] = [] if first is None else _judge_input(first)
    taps = usual_length(layers)
    bands = reference_bands(layers)
    for index, layer in enumerate(layers):
        if layer.constant:
            number = Number('learned values that no transform reaches', 0.0)
            found.append(Suspicion(layer.label, 'constant', 0.0, 40.0, (number,), Cure(layer.label, moving_input=True)))
        found += _judge_flat(layer)
        found += _judge_outside(layer)
        if layer.resampling is not None and layer.band is not None and layer.nonlinear:
            found += judge_filters(index, layers, bands, taps)
        yield
    return tuple(sorted(_without_echoes(found, layers), key=lambda one: -one.level_db))


def _judge_input(first: InputFacts) -> list[Suspicion]:
    moves = first.changed_db > STILL_DB
    if moves and first.error_db > 40:
        return []
    numbers = (
        Number('change of the first features when the input is moved', first.changed_db),
        Number('first features against the moved ones', first.error_db),
    )
    return [Suspicion(first.label, 'constant', 0.0, 40 - first.error_db, numbers, Cure(first.label, moving_input=True))]


def _judge_flat(layer: LayerFacts) -> list[Suspicion]:
    flat, found = layer.flat, []
    if flat is None:
        return found
    if flat.noise_db > NOISE_DB:
        numbers = (Number('noise in the answer to a featureless input', flat.noise_db),)
        cure = Cure(layer.label, without_noise=True)
        found.append(Suspicion(layer.label, 'noise', flat.noise_db, flat.noise_db - NOISE_DB, numbers, cure))
    inside = flat.border_db > BORDER_DB
    if inside or flat.outside_db > OUTSIDE_DB:
        level = flat.border_db if inside else min(flat.outside_db, 0.0)
        numbers = (Number('edge of the canvas in the answer to a featureless input', flat.border_db),)
        if not inside:
            numbers = (Number('first row of the margin in the answer to a featureless input', flat.outside_db),)
        excess = flat.border_db - BORDER_DB if inside else flat.outside_db - OUTSIDE_DB
        found.append(Suspicion(layer.label, 'border', level, excess, numbers, Cure(layer.label, margin=True)))
    return found


def _judge_outside(layer: LayerFacts) -> list[Suspicion]:
    """Modules of unknown kind, by how they answer to a smooth signal."""
    found = []
    tests: tuple[tuple[Cause, float, str], ...] = (
        ('nonlinearity', layer.folding_db, 'harmonics that fold, smooth test signal'),
        ('up-filter', layer.images_db, 'images left after upsampling a smooth test signal'),
    )
    for cause, level, name in tests:
        if level > FROM_OUTSIDE_DB:
            number = Number(name, level)
            found.append(Suspicion(layer.label, cause, level, level - FROM_OUTSIDE_DB, (number,), Cure(layer.label)))
    return found


def _without_echoes(found: Sequence[Suspicion], layers: Sequence[LayerFacts]) -> list[Suspicion]:
    """Without upsampling filters that only follow the too high cutoff of the layer before, which is named already."""
    order = {layer.label: index for index, layer in enumerate(layers)}
    high = {order[one.layer] for one in found if one.cause == 'cutoff' and one.cure.down_taps is not None}
    return [
        one
        for one in found
        if not (one.cause == 'cutoff' and one.cure.down_taps is None and order[one.layer] - 1 in high)
    ]

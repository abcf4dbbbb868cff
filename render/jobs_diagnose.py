"""Diagnose as a job: measure every layer, name causes, apply each cure live and measure again."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from render.diagnosis import Diagnosis, Effect, Evidence, Finding, LayerHealth, State
from render.diagnosis_words import WORDS
from render.request import RenderRequest, SynthesisSpec
from render.worker import Job, Progress

if TYPE_CHECKING:
    from analysis.diagnosis_facts import InputFacts, LayerFacts, Suspicion
    from networks.adapters.base import Inspectable
    from render.diagnose_pictures import Pictures
    from render.diagnose_probe import Met
    from render.renderer import Renderer

_CAPTURE, _LAYERS, _JUDGED = 0.05, 0.35, 0.55
"""Where the bar stands after each part."""
_SMALLEST_DEVIATION = 1e-9
AS_CHANGED = 'Judged with the filters as they were changed, not as in the file.'


def diagnose(renderer: Renderer, *, request: RenderRequest, samples: int = 2, first_seed: int = 0) -> Job:
    """Say which layer sticks, why, and what cures it; returns `Diagnosis`.

    `samples`: latents for the numbers of the whole picture. Of `request`, the truncation, class, precision and filters hold
    (the network is judged as it runs, and the verdict says where that is not as its file has it); its transform, noise, layer
    and edits do not. Raises `ValueError` for a network that yields values that are not finite.
    """
    from analysis.diagnosis import judging
    from render.diagnose_pictures import Pictures

    if samples < 1:
        raise ValueError(f'a diagnosis needs at least one latent, got {samples}.')
    started = time.perf_counter()
    own = request.synthesis
    request = replace(request, synthesis=SynthesisSpec(precision=own.precision, filters=own.filters))
    adapter = renderer.adapter(request)
    seen = yield from _looked_at(adapter, request, first_seed)
    layers = seen.layers
    suspicions = yield from _reported(judging(layers, seen.first), _LAYERS, 'test signal in every filter')
    health = []
    for index, facts in enumerate(layers):
        health.append(_health(layers, index))
        yield Progress(_LAYERS + (_JUDGED - _LAYERS) * (index + 1) / len(layers), f'test signal in {facts.label}')
    rotate = any(one.pointwise and one.nonlinear for one in layers)
    pictures = Pictures(adapter, request, samples, first_seed, rotate=rotate)
    before = (yield from _reported(pictures.measure(()), _JUDGED, 'moved pictures')) if seen.varies else {}
    groups = _grouped(suspicions)
    findings = yield from _cured(groups, seen, health, pictures, before)
    together = (yield from _together(groups, pictures)) if before else {}
    state, verdict = _verdict(findings, layers, seen.still)
    verdict = verdict if adapter.changes is None else f'{verdict} {AS_CHANGED}'
    numbers = (
        *_input_numbers(seen.first),
        *(Evidence(name, value) for name, value in before.items()),
        *(Evidence(f'{name}, all cures together that can be tried', value) for name, value in together.items()),
    )
    return Diagnosis(
        adapter.info.title,
        state,
        verdict,
        tuple(findings),
        tuple(health),
        numbers,
        _notes(seen, {label for one in findings for label in one.layers}),
        time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the network showed before anything was judged."""

    adapter: Inspectable
    met: list[Met]
    layers: list[LayerFacts]
    first: InputFacts | None
    still: list[str]
    """Labels of layers that do not vary."""
    varies: bool
    """Whether the picture does."""
    unlike: list[str]
    """Labels of layers that compute something else than they say."""


def _looked_at(adapter: Inspectable, request: RenderRequest, seed: int) -> Generator[Progress, None, _Seen]:
    from render.diagnose_probe import constants, input_facts, layer_facts, meet, silent, unlike_record

    yield Progress(0.0, 'one picture, layer by layer')
    met, picture = meet(adapter, request, seed)
    first = input_facts(adapter, request, seed) if 'transform' in adapter.info.capabilities else None
    yield Progress(_CAPTURE, 'each layer by itself')
    layers = list(constants(adapter))
    for number, facts in enumerate(layer_facts(adapter, met)):
        layers.append(facts)
        yield Progress(_CAPTURE + (_LAYERS - _CAPTURE) * (number + 1) / len(met), f'layer {facts.label}')
    varies = float(picture.std()) > _SMALLEST_DEVIATION
    return _Seen(adapter, met, layers, first, silent(met), varies, unlike_record(met))


def _cured(
    groups: list[list[Suspicion]],
    seen: _Seen,
    health: list[LayerHealth],
    pictures: Pictures,
    before: dict[str, float],
) -> Generator[Progress, None, list[Finding]]:
    """The findings, each with what its cure changes."""
    findings = []
    for group in groups:
        done = _JUDGED + (1 - _JUDGED) * len(findings) / len(groups)
        text = f'cure: {WORDS[group[0].cause].title.lower()}'
        after = {}
        if before:
            after = yield from _reported(pictures.measure([one.cure for one in group]), done, text)
        findings.append(_finding(group, seen, health, before, after))
        yield Progress(done, text)
    return findings


def _together(groups: list[list[Suspicion]], pictures: Pictures) -> Generator[Progress, None, dict[str, float]]:
    """The numbers of the picture with every cure at once, where there are several causes."""
    if len(groups) < 2:
        return {}
    cures = [one.cure for group in groups for one in group]
    return (yield from _reported(pictures.measure(cures), 1.0, 'all cures together'))


def _reported(steps: Iterator[Any], fraction: float, text: str) -> Generator[Progress, None, Any]:
    """Runs `steps` to their end, a progress after each; their outcome."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        yield Progress(fraction, text)


def _notes(seen: _Seen, named: set[str]) -> tuple[str, ...]:
    """`named`: layers in findings, which explain themselves."""
    adapter, still, varies, notes = seen.adapter, seen.still, seen.varies, []
    notes += [
        f'{label} computes something else than its record and filters say; what was concluded of its filters may be wrong.'
        for label in seen.unlike
        if label not in named
    ]
    why_not = adapter.info.why_not('transform')
    if why_not is not None:
        notes.append(
            f'Equivariance of the picture cannot be measured: {why_not} What holds without moving the input is measured.'
        )
    if still:
        notes.append(
            f'{", ".join(still[:3])}{" and others" if len(still) > 3 else ""}: the output does not vary at all, so nothing '
            'can be measured relative to it.'
        )
    if not varies:
        notes.append('The picture is one flat colour.')
    if adapter.info.family == 'module':
        notes.append('The filters and rates of this module are not known; its layers were tested from outside.')
    return tuple(notes)


def _health(layers: Sequence[LayerFacts], index: int) -> LayerHealth:
    from analysis.diagnosis_filters import layer_stress

    one, strain = layers[index], layer_stress(layers, index)
    noise, border = (math.nan, math.nan) if one.flat is None else (one.flat.noise_db, one.flat.border_db)
    if strain is None:
        return LayerHealth(one.label, one.rate, noise, border, *[math.nan] * 4)
    return LayerHealth(
        one.label,
        one.rate,
        noise,
        border,
        strain.images_db,
        strain.folding_db,
        strain.leak_db,
        strain.equivariance_db,
    )


def _grouped(suspicions: Sequence[Suspicion]) -> list[list[Suspicion]]:
    """Suspicions of one cause together, in the order of the worst of each."""
    groups: dict[str, list[Suspicion]] = {}
    for one in suspicions:
        groups.setdefault(one.cause, []).append(one)
    return list(groups.values())


def _flat_effects(seen: _Seen, group: Sequence[Suspicion]) -> list[Effect]:
    """Noise or border effect of the worst layer before and after its cure, for alias-free layers."""
    from render.diagnose_cures import replacements
    from render.diagnose_probe import flat_again

    worst = group[0]
    one = next((each for each in seen.met if each.info.label == worst.layer), None)
    if worst.cause not in ('noise', 'border') or one is None:
        return []
    replacement = replacements(seen.adapter, [each.cure for each in group]).get(one.info.name)
    again = None if replacement is None else flat_again(one, replacement)
    if again is None:
        return []
    number = worst.numbers[0]
    after = again.noise_db
    if worst.cause == 'border':
        after = again.border_db if 'canvas' in number.name else again.outside_db
    return [Effect(f'{number.name}, {worst.layer}', number.value, after, higher_is_better=False)]


def _finding(
    group: Sequence[Suspicion],
    seen: _Seen,
    health: Sequence[LayerHealth],
    before: dict[str, float],
    after: dict[str, float],
) -> Finding:
    from render.diagnose_plots import plots_of

    worst = group[0]
    words = WORDS[worst.cause]
    labels = tuple(dict.fromkeys(one.layer for one in group))
    where = worst.layer if len(labels) == 1 else f'{worst.layer} (and {len(labels) - 1} more)'
    effects = [
        Effect(name, value, after[name], higher_is_better=name.startswith('EQ'))
        for name, value in before.items()
        if name in after
    ]
    if after:
        effects += [
            Effect(f'{one.name}, {worst.layer}', one.value, one.healthy, one.unit, 'equivariance' in one.name)
            for one in worst.numbers
            if one.healthy is not None and one.unit == 'dB' and 'test signal' in one.name
        ]
    return Finding(
        worst.cause,
        words.title,
        worst.layer,
        labels,
        words.explanation.format(layer=where),
        words.cure.format(layer=where),
        tuple(Evidence(one.name, one.value, one.unit, one.healthy) for one in worst.numbers),
        (*effects, *_flat_effects(seen, group)),
        worst.level_db,
        plots_of(worst, seen.layers, health),
        round(1 - 0.5 * math.exp(-max(worst.excess_db, 0.0) / 8), 3),
    )


def _input_numbers(first: InputFacts | None) -> Iterator[Evidence]:
    if first is not None:
        yield Evidence('first features against the moved ones', first.error_db)


def _verdict(findings: Sequence[Finding], layers: Sequence[LayerFacts], still: Sequence[str]) -> tuple[State, str]:
    if findings:
        first = findings[0]
        others = len(findings) - 1
        more = f', and {others} more cause{"s" if others > 1 else ""}' if others else ''
        return 'defects', f'{first.title} in {first.layer}{more}.'
    if still:
        return 'unknown', f'{still[0]} yields a constant, so nothing can be measured behind it.'
    if not layers:
        return 'unknown', 'No layer could be measured.'
    if not any(one.resampling is not None for one in layers):
        return 'unknown', 'Nothing suspicious from outside; filters that a module applies inside cannot be seen.'
    return 'healthy', 'Healthy: no layer does worse than the design of the paper for its band.'

"""Diagnose as a job: measure every layer, name causes, apply each cure live and measure again."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from render.diagnosis import Diagnosis, Effect, Evidence, Finding, LayerHealth, Plot
from render.diagnosis_words import WORDS
from render.request import RenderRequest
from render.worker import Job, Progress

if TYPE_CHECKING:
    from analysis.diagnosis_facts import Cure, InputFacts, LayerFacts, Suspicion
    from networks.adapters.base import Inspectable
    from render.diagnose_probe import Met
    from render.renderer import Renderer

_PATTERN_LATENTS = 8
_CAPTURE, _LAYERS, _JUDGED = 0.05, 0.35, 0.55
"""Where the bar stands after each part."""


def diagnose(renderer: Renderer, *, request: RenderRequest, samples: int = 2, first_seed: int = 0) -> Job:
    """Say which layer sticks, why, and what cures it; returns `Diagnosis`.

    `samples`: latents for the numbers of the whole picture. Of `request`, the truncation, class and precision hold; its
    transform, filters, layer and edits do not: the network is diagnosed as it is. Raises `ValueError` for a network that
    yields values that are not finite.
    """
    from analysis.diagnosis import judge
    from render.diagnose_plots import plots_of
    from render.diagnose_probe import constants, input_facts, layer_facts, meet, silent
    from render.request import FilterSpec, SynthesisSpec

    if samples < 1:
        raise ValueError(f'a diagnosis needs at least one latent, got {samples}.')
    started = time.perf_counter()
    synthesis = SynthesisSpec(precision=request.synthesis.precision, filters=FilterSpec())
    request = replace(request, synthesis=synthesis)
    adapter = renderer.models.get(request.model)
    yield Progress(0.0, 'one picture, layer by layer')
    met, picture = meet(adapter, request, first_seed)
    notes = _notes(adapter, silent(met), float(picture.std()))
    movable = 'transform' in adapter.info.capabilities
    first = input_facts(adapter, request, first_seed) if movable else None
    yield Progress(_CAPTURE, 'each layer by itself')
    layers = list(constants(adapter))
    for number, facts in enumerate(layer_facts(adapter, met)):
        layers.append(facts)
        yield Progress(_CAPTURE + (_LAYERS - _CAPTURE) * (number + 1) / len(met), f'layer {facts.label}')
    suspicions = judge(layers, first)
    health = []
    for number, facts in enumerate(layers):
        health.append(_health(layers, number))
        yield Progress(_LAYERS + (_JUDGED - _LAYERS) * (number + 1) / len(layers), f'test signal in {facts.label}')
    groups = _grouped(suspicions)
    pictures = _Pictures(adapter, request, samples, first_seed, rotate=any(one.pointwise for one in layers))
    before = pictures.measure(())
    findings = []
    for number, group in enumerate(groups):
        done = _JUDGED + (1 - _JUDGED) * number / len(groups)
        yield Progress(done, f'cure: {WORDS[group[0].cause].title.lower()}')
        drawn = plots_of(group[0], layers, health)
        flat = _flat_effects(adapter, group, met)
        findings.append(_finding(group, pictures, before, flat, drawn))
    state, verdict = _verdict(findings, layers, picture_varies=float(picture.std()) > 1e-9)
    return Diagnosis(
        adapter.info.title,
        state,
        verdict,
        tuple(findings),
        tuple(health),
        (*_input_numbers(first), *(Evidence(name, value) for name, value in before.items())),
        notes,
        time.perf_counter() - started,
    )


def _notes(adapter: Inspectable, still: Sequence[str], deviation: float) -> tuple[str, ...]:
    notes = []
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
    if deviation < 1e-9:
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


def _flat_effects(adapter: Inspectable, group: Sequence[Suspicion], met: Sequence[Met]) -> list[Effect]:
    """Noise or border effect of the worst layer before and after its cure, for alias-free layers."""
    import torch

    from render.diagnose_cures import replacements
    from render.diagnose_probe import flat_again

    worst = group[0]
    one = next((each for each in met if each.info.label == worst.layer), None)
    if worst.cause not in ('noise', 'border') or one is None:
        return []
    replacement = replacements(adapter, [each.cure for each in group]).get(one.info.name)
    again = None if replacement is None else flat_again(one, replacement(one.module, torch.eye(3)))
    if again is None:
        return []
    number = worst.numbers[0]
    name, after = number.name, again.noise_db
    if worst.cause == 'border':
        after = again.border_db if 'canvas' in name else again.outside_db
    return [Effect(f'{name}, {worst.layer}', number.value, after, higher_is_better=False)]


def _finding(
    group: Sequence[Suspicion],
    pictures: _Pictures,
    before: dict[str, float],
    flat: Sequence[Effect],
    plots: tuple[Plot, ...],
) -> Finding:
    worst = group[0]
    words = WORDS[worst.cause]
    labels = tuple(dict.fromkeys(one.layer for one in group))
    where = worst.layer if len(labels) == 1 else f'{worst.layer} (and {len(labels) - 1} more)'
    after = pictures.measure([one.cure for one in group])
    effects = [
        Effect(name, value, after[name], higher_is_better=name.startswith('EQ'))
        for name, value in before.items()
        if name in after
    ]
    if after:
        effects += [
            Effect(
                f'{number.name}, {worst.layer}',
                number.value,
                number.healthy,
                number.unit,
                'equivariance' in number.name,
            )
            for number in worst.numbers
            if number.healthy is not None and number.unit == 'dB' and 'test signal' in number.name
        ]
    return Finding(
        worst.cause,
        words.title,
        worst.layer,
        labels,
        words.explanation.format(layer=where),
        words.cure.format(layer=where),
        tuple(Evidence(number.name, number.value, number.unit, number.healthy) for number in worst.numbers),
        (*effects, *flat),
        worst.level_db,
        plots,
        round(1 - 0.5 * math.exp(-max(worst.excess_db, 0.0) / 8), 3),
    )


def _input_numbers(first: InputFacts | None) -> Iterator[Evidence]:
    if first is not None:
        yield Evidence('first features against the moved ones', first.error_db)


def _verdict(findings: Sequence[Finding], layers: Sequence[LayerFacts], *, picture_varies: bool) -> tuple:
    if findings:
        first = findings[0]
        more = f', and {len(findings) - 1} more' if len(findings) > 1 else ''
        return 'defects', f'{first.title} in {first.layer}{more}.'
    if not layers or not picture_varies:
        return 'unknown', 'Nothing could be measured.'
    if not any(one.resampling is not None for one in layers):
        return 'unknown', 'Nothing suspicious from outside; filters that a module applies inside cannot be seen.'
    return 'healthy', 'Healthy: no layer does worse than the design of the paper for its band.'


class _Pictures:
    """Equivariance of the picture with cures in place, on the same latents and moves each time."""

    def __init__(self, adapter: Inspectable, request: RenderRequest, samples: int, first_seed: int, *, rotate: bool):
        import torch

        from analysis.equivariance import uniform_angle, uniform_shift
        from render.renderer import make_latents

        self._adapter, self._rotate = adapter, rotate
        self._float32 = request.synthesis.precision == 'float32'
        self._movable = 'transform' in adapter.info.capabilities
        seeds = range(first_seed, first_seed + samples)
        with torch.inference_mode():
            self._latents = [make_latents(adapter, replace(request.latent, seeds=((seed, 1.0),)))[0] for seed in seeds]
            more = () if self._movable else range(first_seed, first_seed + _PATTERN_LATENTS)
            self._more_latents = [
                make_latents(adapter, replace(request.latent, seeds=((seed, 1.0),)))[0] for seed in more
            ]
        draw = torch.Generator().manual_seed(first_seed)
        self._moves = [(uniform_shift(draw), uniform_shift(draw), uniform_angle(draw)) for _ in seeds]

    def measure(self, cures: Sequence[Cure]) -> dict[str, float]:
        """Name -> dB; empty where the picture cannot be moved or the cures cannot be applied."""
        import torch

        from analysis.equivariance import PooledError, rotation_error, translation_error
        from render.diagnose_cures import replacements

        if not self._movable:
            return self._pattern(cures)
        found = replacements(self._adapter, cures)
        if cures and not found:
            return {}
        shifted, turned = PooledError(), PooledError()
        with torch.inference_mode():
            for latents, (first, second, angle) in zip(self._latents, self._moves, strict=True):

                def generate(matrix: torch.Tensor, latents: torch.Tensor = latents) -> torch.Tensor:
                    return self._picture(latents, matrix, found)

                base = generate(torch.eye(3, dtype=torch.float64))
                for x, y in (first, second):
                    shifted += translation_error(generate, base, x, y)
                if self._rotate:
                    turned += rotation_error(generate, base, angle)
        numbers = {'EQ-T of the picture': shifted.psnr()}
        return {**numbers, 'EQ-R of the picture': turned.psnr()} if self._rotate else numbers

    def _pattern(self, cures: Sequence[Cure]) -> dict[str, float]:
        """How much fine detail all pictures have in common; empty where the cures cannot be applied."""
        import torch

        from analysis.diagnosis_signal import common_detail_db
        from render.diagnose_cures import replaced_filters

        overrides = replaced_filters(self._adapter, cures)
        quiet = any(cure.without_noise for cure in cures) and 'noise' in self._adapter.info.capabilities
        if cures and not overrides and not quiet:
            return {}
        with torch.inference_mode():
            noise = 'none' if quiet else 'constant'
            pictures = [self._adapter.synthesize(one, overrides, noise=noise) for one in self._more_latents]
        return {'fine detail that all pictures share': common_detail_db(torch.cat(pictures))}

    def _picture(self, latents, matrix, found):
        import torch

        from render.diagnose_cures import replaced

        overrides = self._adapter.transform(matrix)
        held = dict(self._adapter.module.named_buffers())
        overrides = {name: value for name, value in overrides.items() if name in held}  # a constant has none to set
        with replaced(self._adapter.module, found, matrix):
            picture = self._adapter.synthesize(latents, overrides, float32=self._float32)
        return picture.to(torch.float64)

"""What `diagnose` answers: frozen values of numbers and sentences. No torch."""

import math
from dataclasses import dataclass
from typing import Any, Literal

State = Literal['healthy', 'defects', 'unknown']


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured number."""

    name: str
    value: float
    unit: str = 'dB'
    healthy: float | None = None
    """The same number with the cure."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A number of the running network before and after the cure was applied to it."""

    name: str
    before: float
    after: float
    unit: str = 'dB'
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Evidence to look at: the defect, and what it would be without."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    marks: tuple[tuple[str, float], ...] = ()
    """(name, x) of vertical lines."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause, where it acts, and what helps."""

    cause: str
    """A key: noise, border, up-filter, down-filter, nonlinearity, cutoff, constant, separable."""
    title: str
    layer: str
    """Where it is worst."""
    layers: tuple[str, ...]
    """All layers it was found in, the worst first."""
    explanation: str
    cure: str
    evidence: tuple[Evidence, ...]
    effects: tuple[Effect, ...]
    """Empty where the cure cannot be applied to a finished network."""
    level_db: float
    """Unwanted energy relative to the layer's signal; findings are ranked by it."""
    plots: tuple[Plot, ...]
    confidence: float
    """0.5 at the threshold, towards 1 far beyond it."""


@dataclass(frozen=True, slots=True)
class LayerHealth:
    """One layer's numbers, defects or not."""

    label: str
    rate: float
    noise_db: float
    """Noise in the answer to a featureless input, relative to the layer's features. NaN: not measured."""
    border_db: float
    """Edge of the canvas in the same answer."""
    images_db: float
    """What upsampling leaves of a test signal's images."""
    folding_db: float
    """Harmonics that fold at the rate of the non-linearity."""
    leak_db: float
    """What the low-pass filter leaves to fold at the output's rate."""
    equivariance_db: float
    """Of the layer for the test signal, on the scale of EQ-T."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answer."""

    model: str
    state: State
    verdict: str
    """In one or two sentences."""
    findings: tuple[Finding, ...]
    layers: tuple[LayerHealth, ...]
    numbers: tuple[Evidence, ...]
    """Of the whole picture."""
    notes: tuple[str, ...]
    """What could not be measured, and why."""
    seconds: float


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis in JSON types; what is not a finite number becomes null, or ±300 where it is infinite."""
    from dataclasses import asdict

    return _plain(asdict(diagnosis))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return None if math.isnan(value) else math.copysign(300.0, value) if math.isinf(value) else value
    return value


def to_text(diagnosis: Diagnosis) -> list[str]:
    """Lines for a terminal."""
    lines = [f'{diagnosis.model}: {diagnosis.verdict}']
    lines += [f'  {one.name}: {decibel(one.value, one.unit)}' for one in diagnosis.numbers]
    for number, one in enumerate(diagnosis.findings, 1):
        lines += [
            '',
            f'{number}. {one.title}: {layers_text(one)} (confidence {one.confidence:.2f})',
            f'   {one.explanation}',
        ]
        lines += [f'   evidence: {evidence_text(piece)}' for piece in one.evidence]
        lines += [f'   cure: {one.cure}']
        lines += [f'   measured: {effect_text(effect)}' for effect in one.effects]
    return [*lines, *(['', *diagnosis.notes] if diagnosis.notes else [])]


def layers_text(finding: Finding) -> str:
    """'L3_36_512', or the worst and how many more."""
    more = len(finding.layers) - 1
    return finding.layer if not more else f'{finding.layer} and {more} more'


def evidence_text(one: Evidence) -> str:
    """Name, value, and the value with the cure."""
    after = '' if one.healthy is None else f' (without the defect {decibel(one.healthy, one.unit)})'
    return f'{one.name}: {decibel(one.value, one.unit)}{after}'


def effect_text(one: Effect) -> str:
    """Name, before, after."""
    return f'{one.name}: {decibel(one.before, one.unit)} → {decibel(one.after, one.unit)}'


def decibel(value: float, unit: str = 'dB') -> str:
    """A number for people."""
    if math.isnan(value):
        return 'not measurable'
    if unit != 'dB':
        return f'{value:.3g} {unit}'.strip()
    if value <= -199:
        return 'none'
    return 'no error' if value >= 250 else f'{value:.1f} dB'

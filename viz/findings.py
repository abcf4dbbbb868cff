"""What the laboratory knows: measurements, of what they are, and what is still being measured. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from render.diagnosis import Diagnosis
from render.measures import EquivarianceScore, FixedPatterns, Ladder, Neighbourhood, RegisteredAverage, Strip
from render.request import ModelKey, RenderRequest, SynthesisSpec, ViewSpec
from render.session import PictureName
from viz.commands import (
    MeasureAverage,
    MeasureEquivariance,
    MeasurePatterns,
    MeasureRegistered,
    MeasureWalk,
    MeasuringCommand,
)

LADDER, DIAGNOSIS = 'ladder', 'diagnosis'
WALK, AVERAGE, PATTERNS, REGISTERED = 'walk', 'average', 'patterns', 'registered'
Value = EquivarianceScore | Ladder | Diagnosis | Strip | Neighbourhood | FixedPatterns | RegisteredAverage
Kind = TypeVar('Kind', bound=Value)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One outcome, and what was measured."""

    value: Value
    subject: RenderRequest
    """The request with everything reset that the outcome does not depend on (see `subject_of`)."""
    command: MeasuringCommand | None = None
    """What was asked for."""


@dataclass(frozen=True, slots=True)
class Running:
    """A measurement that goes on."""

    subject: RenderRequest
    fraction: float = 0.0
    text: str = ''
    command: MeasuringCommand | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """All measurements of one side; by what was measured: a metric, `LADDER`, `DIAGNOSIS`, `WALK`, …"""

    model: ModelKey | None = None
    known: Mapping[str, Measurement] = field(default_factory=lambda: MappingProxyType({}))
    running: Mapping[str, Running] = field(default_factory=lambda: MappingProxyType({}))
    errors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What went wrong with the last try."""
    report: str = ''
    """Where the report of the diagnosis was written."""

    def value(self, key: str, kind: type[Kind]) -> Kind | None:
        """What was measured under `key`, as far as it is known."""
        found = self.known.get(key)
        return found.value if found is not None and isinstance(found.value, kind) else None

    def score(self, metric: str) -> EquivarianceScore | None:
        """One of the paper's metrics."""
        return self.value(metric, EquivarianceScore)

    @property
    def ladder(self) -> Ladder | None:
        """The layers."""
        return self.value(LADDER, Ladder)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The last answer."""
        return self.value(DIAGNOSIS, Diagnosis)

    def is_outdated(self, key: str, request: RenderRequest | None, command: MeasuringCommand | None = None) -> bool:
        """Whether what is asked for now would be measured differently. `command`: how it would be asked for."""
        found = self.known.get(key)
        if found is None or request is None:
            return False
        if found.subject != subject_of(key, request):
            return True
        return None not in (command, found.command) and essence(command) != essence(found.command)


def essence(command: MeasuringCommand | None) -> MeasuringCommand | None:
    """The command without how much is measured: more samples make a result surer, fewer do not make it wrong."""
    match command:
        case MeasureWalk():
            return replace(command, frames=0)
        case MeasureEquivariance() | MeasureAverage() | MeasurePatterns() | MeasureRegistered():
            return replace(command, samples=0)
    return command


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Both sides, and the original."""

    a: Bench = Bench()
    b: Bench = Bench()
    o: Bench = Bench()

    def bench(self, name: PictureName) -> Bench:
        """What is known about that side, or the original."""
        return self.a if name == 'a' else self.b if name == 'b' else self.o

    def with_bench(self, name: PictureName, bench: Bench) -> Laboratory:
        """With that knowledge about one side, or the original."""
        return self if bench is self.bench(name) else replace(self, **{name: bench})


def merged(benches: Sequence[Bench]) -> Bench:
    """The first, busy as long as any of them is, with the complaints of all."""
    running: dict[str, Running] = {}
    errors: dict[str, str] = {}
    for bench in benches:
        for key, one in bench.running.items():
            known = running.get(key)
            running[key] = one if known is None or one.fraction < known.fraction else known
        errors = {**bench.errors, **errors}
    return replace(benches[0], running=MappingProxyType(running), errors=MappingProxyType(errors))


def subject_of(key: str, request: RenderRequest) -> RenderRequest:
    """`request` with everything reset that the measurement `key` does not depend on.

    A diagnosis is of the network with its own noise. Walks and averages around a latent are of the picture as it is moved; all
    others are of the network at rest. Averages are taken around the shown latent, all others over latents of their own.
    """
    own = request.synthesis
    synthesis = SynthesisSpec(precision=own.precision, filters=own.filters)
    if key != DIAGNOSIS:
        synthesis = replace(synthesis, noise_seed=own.noise_seed, noise=own.noise)
    if key in (WALK, AVERAGE):
        synthesis = replace(synthesis, transform=own.transform, edits=own.edits)
    latent = request.latent
    if key not in (AVERAGE, REGISTERED):
        latent = replace(latent, seeds=((0, 1.0),))
    return replace(request, latent=latent, synthesis=synthesis, view=ViewSpec())

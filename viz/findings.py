"""What the laboratory knows: measurements, of what they are, and what is still being measured. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from render.diagnosis import Diagnosis
from render.jobs_equivariance import METRICS
from render.measures import EquivarianceScore, Ladder
from render.request import FilterSpec, ModelKey, RenderRequest, SynthesisSpec, ViewSpec
from render.session import SideName

LADDER, DIAGNOSIS = 'ladder', 'diagnosis'
KEYS: tuple[str, ...] = (*METRICS, LADDER, DIAGNOSIS)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One outcome, and what was measured."""

    value: EquivarianceScore | Ladder | Diagnosis
    subject: RenderRequest
    """The request with everything reset that the outcome does not depend on (see `subject_of`)."""


@dataclass(frozen=True, slots=True)
class Running:
    """A measurement that goes on."""

    subject: RenderRequest
    fraction: float = 0.0
    text: str = ''


@dataclass(frozen=True, slots=True)
class Bench:
    """All measurements of one side; by key, see `KEYS`."""

    model: ModelKey | None = None
    known: Mapping[str, Measurement] = field(default_factory=lambda: MappingProxyType({}))
    running: Mapping[str, Running] = field(default_factory=lambda: MappingProxyType({}))
    errors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What went wrong with the last try."""
    report: str = ''
    """Where the report of the diagnosis was written."""

    def score(self, metric: str) -> EquivarianceScore | None:
        """One of the paper's metrics, as far as it is known."""
        found = self.known.get(metric)
        return found.value if found is not None and isinstance(found.value, EquivarianceScore) else None

    @property
    def ladder(self) -> Ladder | None:
        """The layers, as far as they are known."""
        found = self.known.get(LADDER)
        return found.value if found is not None and isinstance(found.value, Ladder) else None

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The last answer."""
        found = self.known.get(DIAGNOSIS)
        return found.value if found is not None and isinstance(found.value, Diagnosis) else None

    def is_outdated(self, key: str, request: RenderRequest | None) -> bool:
        """Whether what is asked for now would be measured differently."""
        found = self.known.get(key)
        return found is not None and request is not None and found.subject != subject_of(key, request)


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Both sides."""

    a: Bench = Bench()
    b: Bench = Bench()

    def bench(self, name: SideName) -> Bench:
        """What is known about that side."""
        return self.b if name == 'b' else self.a

    def with_bench(self, name: SideName, bench: Bench) -> Laboratory:
        """With that knowledge about one side."""
        if bench is self.bench(name):
            return self
        return replace(self, b=bench) if name == 'b' else replace(self, a=bench)


def subject_of(key: str, request: RenderRequest) -> RenderRequest:
    """`request` with everything reset that the measurement `key` does not depend on.

    All are taken over latents of their own, of the network at rest; a diagnosis is of the network's own filters.
    """
    latent = replace(request.latent, seeds=((0, 1.0),))
    filters = FilterSpec() if key == DIAGNOSIS else request.synthesis.filters
    noise = (SynthesisSpec() if key == DIAGNOSIS else request.synthesis).noise
    synthesis = SynthesisSpec(filters=filters, noise=noise, precision=request.synthesis.precision)
    if key != DIAGNOSIS:
        synthesis = replace(synthesis, noise_seed=request.synthesis.noise_seed)
    return replace(request, latent=latent, synthesis=synthesis, view=ViewSpec())

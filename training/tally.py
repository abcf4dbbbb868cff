"""Statistics of the steps since the last report; part of the state, so that a continued run reports the same numbers."""

from dataclasses import asdict, dataclass, field
from typing import Any

_ADDED = ('lost_gradients',)
"""Counted, not averaged."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What one step reports."""

    generator_loss: float
    discriminator_loss: float
    real_share: float
    """Part of the scores of real images that are above 0: taken for real."""
    fake_share: float
    """The same of the fakes."""
    r1: float | None = None
    """The penalty, in steps that have one."""
    path_penalty: float | None = None
    """Of path length, in steps that have one."""
    augment_p: float | None = None
    """Strength of the augmentation, where there is one."""
    lost_gradients: int = 0
    """Gradients that were not finite and were taken as 0."""


@dataclass(slots=True)
class Tally:
    """Sums over steps."""

    images: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """In how many steps each value was there."""

    def add(self, stats: Stats, *, images: int, seconds: float) -> None:
        """Another step, of `images` images, took `seconds`."""
        self.images += images
        self.seconds += seconds
        for name, value in asdict(stats).items():
            if value is not None:
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def values(self) -> dict[str, float]:
        """The mean of each value over the steps that had one; counted things as sums."""
        return {name: int(total) if name in _ADDED else total / self.counts[name] for name, total in self.sums.items()}

    def rate(self) -> float:
        """Images per second."""
        return self.images / max(self.seconds, 1e-9)

    def as_json(self) -> dict[str, Any]:
        """For the saved state; numbers come back bit by bit."""
        return asdict(self)

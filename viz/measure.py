"""How fast pictures come, and what this process uses of the machine."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from render.result import RenderResult

LOOK_SECONDS = 1.0
SMOOTHING = 0.2
"""Weight of the newest render in the mean."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the panels show of it."""

    device: str = ''
    """Where the network runs, e.g. 'CPU'; empty before the first answer."""
    renders_a_second: float = 0.0
    memory_bytes: int = 0
    """Of this process; 0 where the system does not say."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How long the pictures of one side take, in means over the last ones."""

    subject: object = None
    """What they are pictures of; those of another generator or layer take another time."""
    whole_seconds: float = 0.0
    """0: no network ran for one yet."""
    is_first: bool = False
    """That is the time of a first picture, which waited for kernels or prepared weights: the next ones are quicker."""
    part_seconds: float = 0.0
    """Of parts of pictures; 0: there was none."""

    def noted(self, result: RenderResult) -> Speed:
        """With one more answer; the same object if no network ran for it."""
        request = result.request
        synthesis = request.synthesis
        subject = request.model, synthesis.layer, synthesis.precision, synthesis.filters.kind
        speed = self if subject == self.subject else Speed(subject)
        is_first = result.pace == 'first'
        if result.pace == 'remembered':
            return self
        if result.part is not None:
            return speed if is_first else replace(speed, part_seconds=_mean(speed.part_seconds, result.seconds))
        if is_first and speed.whole_seconds and not speed.is_first:
            return speed
        before = 0.0 if speed.is_first else speed.whole_seconds
        return replace(speed, whole_seconds=_mean(before, result.seconds), is_first=is_first)


def _mean(before: float, newest: float) -> float:
    return before + SMOOTHING * (newest - before) if before else newest


class Meter:
    """Keeps count of the last second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.measured = Measured()
        self._clock = clock
        self._arrivals: deque[float] = deque(maxlen=240)
        self._look_at = 0.0

    def note(self, result: RenderResult) -> None:
        """A picture arrived."""
        now = self._clock()
        self._arrivals.append(now)
        while now - self._arrivals[0] > 1.0:
            self._arrivals.popleft()
        self.measured = replace(
            self.measured,
            renders_a_second=float(len(self._arrivals)),
            device=result.device or self.measured.device,
        )

    def look(self) -> None:
        """Look at the memory, once a second."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self.measured = replace(self.measured, memory_bytes=process_bytes())


def process_bytes() -> int:
    """Memory that this process holds now (where only the peak is known: the peak); 0 where the system does not say."""
    if sys.platform == 'linux':
        import resource

        return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()
    if sys.platform == 'darwin':
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0

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
    render_seconds: float = 0.0
    """Mean of the last renders of whole pictures."""
    renders_a_second: float = 0.0
    memory_bytes: int = 0
    """Of this process; 0 where the system does not say."""
    part_seconds: float = 0.0
    """Mean of the last renders of parts."""


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
        which = 'render_seconds' if result.part is None else 'part_seconds'
        before = getattr(self.measured, which) or result.seconds
        self.measured = replace(
            self.measured,
            **{which: before + SMOOTHING * (result.seconds - before)},
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

"""What is timed runs steadily: first a few calls that are not counted.

After a call of torch, the other threads of its team look for the next one for 8 ms (measured), at full speed, and a processor that slept
wakes slowly. So quick kernels that were timed directly after torch had half the machine, which no program meets that calls them one
after the other, and caches full of what ran before.
"""

import time
from collections.abc import Callable

_SECONDS = 0.02
"""More than twice as long as idle threads look for work."""


def warm_up(call: Callable[[], object]) -> None:
    """Call at least once, and for as long as what ran before may disturb."""
    end = time.perf_counter() + _SECONDS
    call()
    while time.perf_counter() < end:
        call()

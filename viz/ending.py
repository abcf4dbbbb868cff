"""Ctrl-C and a request to end close the window as its cross does: no frame is cut in half, and the session is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ends_between_frames(end: Callable[[], None]) -> Iterator[None]:
    """Within the block the first such signal calls `end`, and a second one ends at once, as without us.

    After a block that was ended so: KeyboardInterrupt, or SystemExit with the code that a shell expects. Signals belong to
    the main thread; on another one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise _ending(number)
        end()

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise _ending(received[0])


def _ending(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)

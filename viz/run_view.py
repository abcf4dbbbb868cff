"""What the window knows of the training run that is open. A value without torch or drawing."""

from __future__ import annotations

from dataclasses import dataclass

from render.run_log import RunLog


@dataclass(frozen=True, slots=True, eq=False)
class RunView:
    """A run, and which of its snapshots is looked at."""

    log: RunLog
    shown: str | None
    """File name of the snapshot that is open; None: the newest, followed."""
    wanted: str | None
    """What was asked for last: while it is being opened, another one than `shown`."""

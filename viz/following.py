"""Following a training run: once a second, whether the folder that is open has a newer snapshot."""

from __future__ import annotations

import time
from pathlib import Path

from render.follow import INTERVAL_SECONDS, Follower
from render.session import Session
from viz.opening import Plan


class Following:
    """Watches the folder of side A's model, if it is one."""

    def __init__(self) -> None:
        self._follower: Follower | None = None
        self._looked_at = -INTERVAL_SECONDS

    def poll(self, session: Session, *, is_opening: bool) -> Plan | None:
        """The newer snapshot to open in place of the old, or None. While something is opened, nothing is."""
        now = time.monotonic()  # the window's clock stands still while it sleeps
        key = session.a.model
        if now - self._looked_at < INTERVAL_SECONDS or key is None:
            return None
        self._looked_at = now
        if self._follower is None or str(self._follower.folder) != key.path:
            self._follower = Follower(Path(key.path)) if Path(key.path).is_dir() else None
        if self._follower is None or not self._follower.changed() or is_opening:
            return None
        return Plan(key.path, 'a', key.network)

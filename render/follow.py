"""Watches a run directory for a newer snapshot. No torch: the window's thread asks this once a second."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

INTERVAL_SECONDS = 1.0
_MODEL = re.compile(r'((network-)?snapshot-\d{1,12}(-\d{3})?|latest)\.(safetensors|pkl)')
Stamp = tuple[str, int, int, int]
"""Name, inode, bytes and time of change of a file."""


@dataclass(slots=True)
class Follower:
    """Says when the models in a folder are others than before."""

    folder: Path
    seen: frozenset[Stamp] | None = None

    def changed(self) -> bool:
        """Whether a model was added, replaced or removed since the last call; the first call only looks.

        A folder that cannot be read for a moment (a network drive) has not changed.
        """
        now = self._stamps()
        if now is None:
            return False
        before, self.seen = self.seen, now
        return before is not None and now != before

    def _stamps(self) -> frozenset[Stamp] | None:
        try:
            with os.scandir(self.folder) as entries:
                return frozenset(
                    (entry.name, status.st_ino, status.st_size, status.st_mtime_ns)
                    for entry in entries
                    if _MODEL.fullmatch(entry.name)
                    for status in [entry.stat()]
                )
        except OSError:
            return None

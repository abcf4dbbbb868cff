"""Following a training run: once a second, whether the folder that is open has a newer snapshot, and what it has written."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from render.follow import INTERVAL_SECONDS, Follower
from render.request import ModelKey
from render.run_log import RunReader, run_folder_of
from render.session import Session, SideName
from viz.opening import Plan
from viz.run_view import RunView
from viz.view import View


class Following:
    """Watches the folders of both sides' models, and the run that the active side's model comes from."""

    def __init__(self) -> None:
        self._followers: dict[SideName, Follower] = {}
        self._reader: RunReader | None = None
        self._path: str | None = None
        self._looked_at = -INTERVAL_SECONDS
        self._announced: Path | None = None
        self.run: RunView | None = None
        """What is known of the run, or None without one."""

    def poll(self, session: Session, *, is_opening: bool) -> Plan | None:
        """The newer snapshot to open in place of the old, or None. While something is opened, nothing is."""
        now = time.monotonic()  # the window's clock stands still while it sleeps
        if now - self._looked_at < INTERVAL_SECONDS and self._path == _path_of(session):
            return None
        self._looked_at = now
        self._read(_path_of(session))
        if is_opening:
            return None  # what is new now is still new afterwards
        newer = self._newer('a', session.a.model)
        return newer if newer is not None or session.b is None else self._newer('b', session.b.model)

    def _newer(self, name: SideName, key: ModelKey | None) -> Plan | None:
        """How to open the newer snapshot of one side's folder, if there is one."""
        if key is None:
            return None
        follower = self._followers.get(name)
        if follower is None or str(follower.folder) != key.path:
            folder = Path(key.path)
            if not folder.is_dir():
                self._followers.pop(name, None)
                return None
            follower = self._followers[name] = Follower(folder)
        return Plan(key.path, name, key.network) if follower.changed() else None

    def is_another_run(self) -> bool:
        """Whether a run is looked at that was not before; once for each, however often the sides change."""
        if self.run is None or self.run.log.folder == self._announced:
            return False
        self._announced = self.run.log.folder
        return True

    def noted(self, view: View) -> View:
        """With what is known of the run."""
        return view if view.run is self.run else replace(view, run=self.run)

    def show(self, name: str | None, session: Session) -> tuple[Plan, ...]:
        """How to open the snapshot called `name` in place of what is shown; None: the newest, and follow again."""
        if self.run is None:
            return ()
        self.run = replace(self.run, wanted=name)
        folder = self.run.log.folder
        path = str(folder if name is None else folder / name)
        return (Plan(path, session.active if session.b is not None else 'a', scrubs=True),)

    def _read(self, path: str | None) -> None:
        """Look at the run that `path` belongs to."""
        self._path = path
        folder = None if path is None else run_folder_of(path)
        if folder is None or path is None:
            self._reader = self.run = None
            return
        if self._reader is None or self._reader.folder != folder:
            self._reader, self.run = RunReader(folder), None
        log, shown = self._reader.poll(), None if Path(path) == folder else Path(path).name
        known = self.run
        if known is None or known.log is not log or known.shown != shown:
            wanted = shown if known is None or known.shown != shown else known.wanted
            self.run = RunView(log, shown, wanted)


def _path_of(session: Session) -> str | None:
    model = session.current.model
    return None if model is None else model.path

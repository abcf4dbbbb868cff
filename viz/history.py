"""Undo and redo: a bounded list of old sessions, added to when an edit is finished."""

from __future__ import annotations

from dataclasses import dataclass, replace

from render.session import Session, Side

LIMIT = 200


@dataclass(frozen=True, slots=True)
class History:
    """Sessions that can be gone back and forward to. Frozen: each step gives a new one."""

    past: tuple[Session, ...] = ()
    future: tuple[Session, ...] = ()
    start: Session | None = None
    """The session as it was before the edit that is going on. None while nothing is being edited."""

    def edited(self, before: Session) -> History:
        """An edit of `before` began or goes on."""
        return replace(self, start=before) if self.start is None else self

    def settled(self, session: Session) -> History:
        """The edit that was going on is finished and led to `session`."""
        if self.start is None:
            return self
        if comparable(self.start) == comparable(session):
            return replace(self, start=None)
        return History(past=(*self.past, self.start)[-LIMIT:])

    def undo(self, session: Session) -> tuple[History, Session]:
        """One step back from `session`."""
        done = self.settled(session)
        if not done.past:
            return done, session
        older = History(done.past[:-1], (*done.future, session)[-LIMIT:])
        return older, restored(done.past[-1], session)

    def redo(self, session: Session) -> tuple[History, Session]:
        """One step forward from `session`."""
        done = self.settled(session)
        if not done.future:
            return done, session
        newer = History((*done.past, session)[-LIMIT:], done.future[:-1])
        return newer, restored(done.future[-1], session)


def comparable(session: Session) -> Session:
    """The session without what undo does not bring back: where one looks, and what only the window knows."""
    return restored(session, Session())


def restored(old: Session, current: Session) -> Session:
    """The choices of `old`, looked at as in `current`."""
    canvas = replace(old.canvas, zoom=current.canvas.zoom, pan_x=current.canvas.pan_x, pan_y=current.canvas.pan_y)
    return replace(
        old,
        a=_with_visibility(old.a, current.a),
        b=None if old.b is None else _with_visibility(old.b, current.b or current.a),
        canvas=canvas,
        recent=current.recent,
        window=current.window,
        capture=current.capture,
    )


def _with_visibility(old: Side, current: Side) -> Side:
    """Whether a spectrum is computed follows the panel that shows it."""
    return replace(old, spectrum=replace(old.spectrum, visible=current.spectrum.visible))

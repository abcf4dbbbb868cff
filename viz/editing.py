"""Changing the side that the panels edit, with what is linked to it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

from render.result import Capability, GeneratorInfo
from render.session import Session, Side, SideName


class Record(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


State = TypeVar('State', bound=Record)


def updated(state: State, **changes: object) -> State:
    """`state` with these fields; the same object if none differs, so that "nothing changed" is cheap to see."""
    for name, value in changes.items():
        if getattr(state, name) != value:
            return replace(state, **changes)
    return state


def available(capability: Capability, model: GeneratorInfo | None) -> tuple[bool, str]:
    """Whether the generator has it, and else why not: as `disabled_unless` takes it."""
    if model is None:
        return False, 'Open a generator first.'
    reason = model.why_not(capability)
    return reason is None, reason or ''


def sides(session: Session) -> tuple[SideName, ...]:
    """The sides that are shown, from left to right."""
    return ('a',) if session.b is None else ('a', 'b')


def with_side(session: Session, side: Side) -> Session:
    """The session with `side` as the active one, and what is linked taken over by the other."""
    if side is session.current:
        return session
    session = session.with_current(side)
    if session.b is None:
        return session
    if session.active == 'b':
        return replace(session, a=linked(session, side, session.a))
    return replace(session, b=linked(session, side, session.b))


def linked(session: Session, source: Side, target: Side) -> Side:
    """`target` with what the links of the session take over from `source`."""
    if session.link_latent:
        target = replace(
            target, latent=source.latent, truncation=source.truncation, mixing=source.mixing, noise=source.noise
        )
    if session.link_transform:
        target = replace(target, transform=source.transform)
    if session.link_view:
        target = replace(target, layer=source.layer, spectrum=source.spectrum)
    return target


def with_named_side(session: Session, name: SideName, side: Side) -> Session:
    """The session with `side` under that name; nothing linked follows."""
    return replace(session, b=side) if name == 'b' else replace(session, a=side)


def with_comparison(session: Session, *, on: bool) -> Session:
    """The session with a second side that starts as a copy of the first, or without."""
    if not on:
        return replace(session, a=session.current, b=None, active='a')
    return session if session.b is not None else replace(session, b=session.a, active='b')


def with_recent(session: Session, path: str, limit: int = 10) -> Session:
    """The session with `path` first in the list of what was opened."""
    recent = (path, *(other for other in session.recent if other != path))[:limit]
    return session if recent == session.recent else replace(session, recent=recent)

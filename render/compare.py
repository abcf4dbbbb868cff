"""Which pictures a session shows, and what each of them asks for: two sides, or one side and its original."""

from __future__ import annotations

from dataclasses import replace

from render.request import RenderRequest, SynthesisSpec
from render.session import PictureName, Session, Side, to_request

PICTURES: tuple[PictureName, ...] = ('a', 'b', 'o')


def pictures(session: Session) -> tuple[PictureName, ...]:
    """What is shown, from left to right: one side, both, or the active one and its original."""
    if session.compare.original and session.current.model is not None:
        return (session.active if session.b is not None else 'a', 'o')
    return ('a',) if session.b is None else ('a', 'b')


def choices(session: Session, name: PictureName) -> Side:
    """The choices that a picture shows; the original's are those of the active side."""
    return session.current if name == 'o' else session.side(name)


def requests(session: Session) -> tuple[RenderRequest | None, ...]:
    """What each of `PICTURES` asks for; None for those that are not shown."""
    shown = pictures(session)
    return tuple(picture_request(session, name) if name in shown else None for name in PICTURES)


def picture_request(session: Session, name: PictureName) -> RenderRequest | None:
    """What one picture asks for, shown or not; None without a model."""
    request = to_request(session, session.active if name == 'o' else name)
    return original(request) if name == 'o' and request is not None else request


def original(request: RenderRequest) -> RenderRequest:
    """The same picture by the network as its file has it: its own filters, noise and precision, nothing edited."""
    synthesis = request.synthesis
    own = SynthesisSpec(
        transform=synthesis.transform,
        noise='random' if synthesis.noise == 'random' else 'constant',
        noise_seed=synthesis.noise_seed,
        layer=synthesis.layer,
    )
    return request if own == synthesis else replace(request, synthesis=own)

"""The frames of a clip as requests: the session moved along a path. Pure."""

from __future__ import annotations

import math
from dataclasses import replace

from render.request import RenderRequest
from render.session import Motion, Session, Side, tick, to_request

DRAG_RADIUS = 0.08
"""Of the circle that a 'drag' clip moves the picture along, in image widths."""
WALK_SPEED = 0.5
"""Lattice steps a second of a latent walk, unless the latent panel has another speed."""
MAX_FRAMES = 3000


def frame_count(session: Session) -> int:
    """How many frames the clip of the capture panel has."""
    capture = session.capture
    return min(max(round(capture.seconds * capture.frames_per_second), 1), MAX_FRAMES)


def clip_requests(session: Session) -> tuple[RenderRequest, ...]:
    """One request a frame, for the active side; empty while no model is open."""
    count = frame_count(session)
    requests = (to_request(moved(session, index, count)) for index in range(count))
    return tuple(_picture_only(request) for request in requests if request is not None)


def moved(session: Session, index: int, count: int) -> Session:
    """The session at frame `index` of `count` of its clip."""
    seconds = index / session.capture.frames_per_second
    if session.capture.motion == 'animations':
        return tick(session, seconds)
    return session.with_current(_moved_side(session.current, session.capture.motion, seconds, index / count))


def _moved_side(side: Side, motion: Motion, seconds: float, fraction: float) -> Side:
    if motion == 'latents':
        speed = side.latent.speed if side.latent.animate else WALK_SPEED
        return replace(side, latent=replace(side.latent, x=side.latent.x + speed * seconds))
    angle = 2 * math.pi * fraction
    transform = side.transform
    if motion == 'turn':
        return replace(side, transform=replace(transform, degrees=transform.degrees + 360 * fraction))
    x = transform.x + DRAG_RADIUS * math.sin(angle)
    y = transform.y + DRAG_RADIUS * (1 - math.cos(angle))
    return replace(side, transform=replace(transform, x=x, y=y))


def _picture_only(request: RenderRequest) -> RenderRequest:
    """Without the measurements that a clip does not show."""
    return replace(request, view=replace(request.view, spectrum=None, response_layer=None, meter=False))

"""Channels of the contact sheet in a measured order: from the measurement into the session, and its numbers as words."""

from __future__ import annotations

import math
from dataclasses import replace

from render.measures import Channel, Triage
from render.request import RenderRequest
from render.session import ChannelOrder, LayerState, Session, SideName, to_request
from viz.surveys import Charts, Surveys, subject_of

ORDERS: dict[ChannelOrder, str] = {
    'number': 'Number',
    'alias': 'Alias leak',
    'stuck': 'Stickiness',
    'phase': 'Phase-likeness',
}
SIDES: tuple[SideName, ...] = ('a', 'b')


def ordered(session: Session, surveys: Surveys) -> Session:
    """The session with each side's sheet in the order that is known for it; the same object if nothing changes.

    Only a finished measurement of just what is shown counts: until then, channels are shown as numbered.
    """
    for name in SIDES:
        side = session.b if name == 'b' else session.a
        if side is None:
            continue
        order = _order_of(side.layer, session, surveys, name)
        if order != side.layer.order:
            changed = replace(side, layer=replace(side.layer, order=order))
            session = replace(session, b=changed) if name == 'b' else replace(session, a=changed)
    return session


def _order_of(state: LayerState, session: Session, surveys: Surveys, name: SideName) -> tuple[int, ...]:
    if state.sort == 'number' or state.mode != 'sheet' or state.layer is None:
        return ()
    request = to_request(session, name)
    found = None if request is None else triage_of(request, surveys.side(name))
    if found is None or not has_scores(found, state.sort):
        return ()
    return {'alias': found.by_alias, 'stuck': found.by_stuck, 'phase': found.by_phase}[state.sort]


def triage_of(request: RenderRequest, charts: Charts) -> Triage | None:
    """What is known of the channels of the layer that is asked for, run as it is asked for."""
    chart = charts.of('triage')
    if chart.subject is None or not chart.is_whole or subject_of(chart.subject.survey, request) != chart.subject:
        return None
    return chart.value if isinstance(chart.value, Triage) else None


def score_of(channel: Channel, sort: ChannelOrder) -> float:
    """The number that decides a channel's place."""
    return {'alias': channel.alias_db, 'stuck': channel.stuck, 'phase': channel.phase}.get(sort, math.nan)


def score_text(channel: Channel, sort: ChannelOrder) -> str:
    """That number, short."""
    score = score_of(channel, sort)
    if math.isnan(score):
        return '–'
    if sort == 'alias':
        return '∞ dB' if score >= 250 else f'{score:.0f} dB'
    return f'{100 * score:.1f} %'


def has_scores(found: Triage, sort: ChannelOrder) -> bool:
    """Whether any channel has a number of this kind."""
    return any(not math.isnan(score_of(channel, sort)) for channel in found.channels)

"""Channels of the contact sheet in a measured order: from the measurement into the session, and its numbers as words."""

from __future__ import annotations

import math
from dataclasses import replace

from render.measures import Channel, Triage
from render.session import ChannelOrder, Session, Side, SideName
from viz.surveys import Surveys

ORDERS: dict[ChannelOrder, str] = {
    'number': 'Number',
    'alias': 'Alias leak',
    'stuck': 'Stickiness',
    'phase': 'Phase-likeness',
}
SIDES: tuple[SideName, ...] = ('a', 'b')


def ordered(session: Session, surveys: Surveys) -> Session:
    """The session with each side's sheet in the order that is known for it; the same object if nothing changes.

    Only a finished measurement of just this layer counts: until then, channels are shown as numbered.
    """
    for name in SIDES:
        side = session.b if name == 'b' else session.a
        if side is None:
            continue
        order = order_of(side, triage_of(side, surveys, name))
        if order != side.layer.order:
            changed = replace(side, layer=replace(side.layer, order=order))
            session = replace(session, b=changed) if name == 'b' else replace(session, a=changed)
    return session


def triage_of(side: Side, surveys: Surveys, name: SideName) -> Triage | None:
    """What is known of the channels of the layer that the side shows."""
    charts = surveys.side(name)
    chart = charts.of('triage')
    value = chart.value
    is_known = charts.model == side.model and chart.is_current and chart.is_whole and isinstance(value, Triage)
    return value if is_known and value.layer == side.layer.layer else None


def order_of(side: Side, found: Triage | None) -> tuple[int, ...]:
    """The order that the side's sheet asks for, empty as long as it is not known."""
    state = side.layer
    if found is None or state.sort == 'number' or state.mode != 'sheet':
        return ()
    return {'alias': found.by_alias, 'stuck': found.by_stuck, 'phase': found.by_phase}[state.sort]


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
    return f'{100 * score:.0f} %'


def has_scores(found: Triage, sort: ChannelOrder) -> bool:
    """Whether any channel has a number of this kind."""
    return any(not math.isnan(score_of(channel, sort)) for channel in found.channels)

"""Controls that put the channels of a contact sheet in order, worst first."""

from __future__ import annotations

from gui_utils import widgets
from render.measures import Triage
from render.session import ChannelOrder, LayerState
from viz.channel_order import ORDERS, has_scores, score_text
from viz.editing import updated
from viz.survey_row import survey_row
from viz.surveys import Survey
from viz.view import Desk

ROW_EM = 2.0
"""Height of one row of controls."""
SAMPLES = 4
TIP = (
    'Alias leak: the channels whose non-linearity aliases most come first. Stickiness: those whose pattern stays in place '
    'whatever the latent and the shift. Phase-likeness: smooth waves, the "coordinate systems" of the paper’s Fig. 6.'
)
FIRST = {'alias': 'Worst first', 'stuck': 'Most stuck first', 'phase': 'Most phase-like first'}


def rows_em(state: LayerState) -> float:
    """How much height the rows take."""
    if state.layer is None or state.mode != 'sheet':
        return 0.0
    return ROW_EM if state.sort == 'number' else 2 * ROW_EM


def sort_rows(state: LayerState, desk: Desk) -> LayerState:
    """The choice, and how far the measurement is; returns the new state. Only for a sheet of a layer."""
    if rows_em(state) == 0.0:
        return state
    sort: ChannelOrder = widgets.combo('Sort by', state.sort, ORDERS, default='number', tooltip=TIP)
    if sort != state.sort:
        state = updated(state, sort=sort, channel=0, order=())
    if sort == 'number':
        return state
    desk.ask(Survey('triage', SAMPLES, aliasing=sort == 'alias'))
    chart = desk.view.surveys.side(desk.active).of('triage')
    found = chart.value if chart.is_current and chart.is_whole else None
    words = outcome(found, sort) if isinstance(found, Triage) else ''
    survey_row('triage', chart, desk, words=words)
    if isinstance(found, Triage) and not has_scores(found, sort):
        widgets.text_muted(found.note or 'Nothing was measured that puts the channels in order.')
    elif sort == 'stuck' and desk.model is not None and desk.model.why_not('transform'):
        widgets.text_muted('Without an input transform, what all pictures have in common counts as stuck too.')
    return state


def outcome(found: Triage, sort: ChannelOrder) -> str:
    """What was found, in a few words."""
    if not has_scores(found, sort):
        return 'Shown as numbered:'
    order = {'alias': found.by_alias, 'stuck': found.by_stuck, 'phase': found.by_phase}[sort]
    first = found.channels[order[0]]
    return f'{FIRST[sort]}: channel {first.index}, {score_text(first, sort)}'

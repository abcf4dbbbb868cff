"""Channels of a contact sheet in a measured order: controls, scores on the tiles, a click that opens one."""

from collections.abc import Callable
from dataclasses import replace
from math import nan
from typing import Any

import pytest

from gui_utils.testing import PanelTester
from render.measures import Channel, Triage
from render.session import LayerState, Session, Side
from render.session_file import session_from_bytes, session_text
from render.sheet import sheet_layout
from render.worker import Progress
from tests.gui.conftest import tester  # noqa: F401  fixture
from tests.viz.conftest import Rig, sample_request
from tests.viz.fake_renderer import KEY, make_info, without
from viz import geometry
from viz.channel_order import ordered, score_text, triage_of
from viz.channel_sort import rows_em, sort_rows
from viz.commands import Command
from viz.layer_panel import with_layer
from viz.sheet_tiles import tile_texts
from viz.surveys import Chart, Charts, Survey, Surveys, subject_of
from viz.view import Desk, View

INFO = make_info()
LAYER, OTHER = INFO.layers[13], INFO.layers[12]
SHEET = LayerState(layer=LAYER.name, mode='sheet')
COUNT = LAYER.channels
ORDER = tuple(range(COUNT))[::-1]


def triage(*, layer: Any = LAYER, alias: float = 40.0, note: str = '') -> Triage:
    """The last channel is the worst by aliasing, the first by sticking."""
    channels = tuple(Channel(index, alias - index, 0.5 - index / 100, 0.9) for index in range(layer.channels))
    order = tuple(range(layer.channels))
    return Triage(layer.name, layer.label, channels, order[::-1], order, order, 4, note)


def known(state: LayerState, found: Triage | None = None, *, is_whole: bool = True) -> Surveys:
    survey = Survey('triage', 4, aliasing=state.sort == 'alias')
    subject = subject_of(survey, sample_request(layer=state))
    return Surveys(Charts(KEY, {'triage': Chart(found or triage(), subject, is_whole, subject)}))


def session_of(state: LayerState) -> Session:
    return Session(a=Side(model=KEY, layer=state))


def test_the_order_is_taken_over_once_it_is_whole_and_of_what_is_shown() -> None:
    state = replace(SHEET, sort='alias')
    assert ordered(session_of(state), known(state)).a.layer.order == ORDER
    assert ordered(session_of(state), known(state, is_whole=False)).a.layer.order == ()
    elsewhere = replace(state, layer=OTHER.name, order=ORDER)
    assert ordered(session_of(elsewhere), known(state)).a.layer.order == ()
    assert ordered(session_of(replace(state, sort='stuck')), known(state)).a.layer.order == ORDER[::-1]
    assert ordered(session_of(replace(state, sort='number', order=ORDER)), known(state)).a.layer.order == ()
    unchanged = session_of(SHEET)
    assert ordered(unchanged, known(state)) is unchanged


def test_without_any_score_channels_stay_as_numbered() -> None:
    state = replace(SHEET, sort='alias')
    assert ordered(session_of(state), known(state, triage(alias=nan))).a.layer.order == ()


def test_other_filters_are_another_network_whose_order_is_not_known() -> None:
    state = replace(SHEET, sort='alias')
    request = sample_request(layer=state)
    assert triage_of(request, known(state).a) is not None
    filters = replace(request.synthesis.filters, kind='bilinear')
    other = replace(request, synthesis=replace(request.synthesis, filters=filters))
    assert triage_of(other, known(state).a) is None


def test_another_layer_forgets_the_order_and_keeps_the_wish() -> None:
    state = with_layer(replace(SHEET, sort='alias', order=ORDER), INFO, OTHER.name)
    assert (state.sort, state.order) == ('alias', ())


def test_an_order_is_kept_in_a_session_file() -> None:
    state = replace(SHEET, sort='stuck', order=ORDER)
    read, remarks = session_from_bytes(session_text(session_of(state)).encode())
    assert read.a.layer == state and not remarks


def test_scores_are_short() -> None:
    channel = Channel(7, 41.6, 0.034, nan)
    assert [score_text(channel, sort) for sort in ('alias', 'stuck', 'phase')] == ['42 dB', '3.4 %', '–']
    assert tile_texts(0, channel, 'alias') == ('1.  #7  42 dB', '#7  42 dB', '42 dB', '1')


@pytest.fixture
def at(make_desk: Callable[..., Desk]) -> Callable[..., Desk]:
    """Desks with some surveys."""
    return lambda surveys=None, **side: make_desk(view=View(surveys=surveys or Surveys()), **side)


def words_of(tester: PanelTester) -> str:  # noqa: F811
    return '\n'.join(tester.texts())


def test_the_order_is_chosen_and_measured_only_for_a_sheet(
    tester: PanelTester, at: Callable, asked: list[Command]  # noqa: F811
) -> None:  # fmt: skip
    assert rows_em(replace(SHEET, mode='rgb')) == 0 < rows_em(SHEET) < rows_em(replace(SHEET, sort='alias'))
    tester.run(sort_rows, SHEET, at())
    assert asked == []
    state = tester.choose(sort_rows, replace(SHEET, channel=16), 'Sort by', 'Alias leak', at())
    assert (state.sort, state.channel) == ('alias', 0)
    assert set(asked) == {Survey('triage', 4, aliasing=True)}
    asked.clear()
    tester.run(sort_rows, replace(SHEET, sort='phase'), at())
    assert set(asked) == {Survey('triage', 4, aliasing=False)}, 'aliasing is slow and not needed'


def test_the_worst_channel_is_named(tester: PanelTester, at: Callable) -> None:  # noqa: F811
    state = replace(SHEET, sort='alias')
    tester.run(sort_rows, state, at(known(state)))
    assert f'Worst first: channel {COUNT - 1}, {41 - COUNT} dB' in words_of(tester)


def test_why_there_is_no_order_is_said(tester: PanelTester, at: Callable) -> None:  # noqa: F811
    state = replace(SHEET, sort='alias')
    tester.run(sort_rows, state, at(known(state, triage(alias=nan, note='It has no non-linearity.'))))
    assert 'It has no non-linearity.' in words_of(tester)
    state = replace(SHEET, sort='stuck')
    tester.run(sort_rows, state, at(known(state), model=without(INFO, 'transform')))
    assert 'what all pictures have in common counts as stuck too' in words_of(tester)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Layers that were measured, by a fake job."""
    seen: list[tuple[str, int]] = []

    def channel_triage(renderer: Any, *, request: Any, layer: str, alias_samples: int, **options: Any) -> Any:
        seen.append((layer, alias_samples))
        yield Progress(0.5, 'half', triage(layer=INFO.layer(layer)))
        return triage(layer=INFO.layer(layer))

    monkeypatch.setattr('viz.surveying.channel_triage', channel_triage)
    return seen


def test_a_sheet_is_sorted_labelled_and_a_click_opens_the_channel(rig: Rig, started: list) -> None:
    rig.change(layer=replace(SHEET, sort='alias'))
    rig.settle()
    assert started == [(LAYER.name, 1)]
    result = rig.app.view.a.result
    assert result.request.view.sheet_order == ORDER
    item = rig.driver.find('Picture/picture a')
    pane = geometry.Rectangle(*item.low, item.high[0] - item.low[0], item.high[1] - item.low[1])
    place = geometry.place(pane, geometry.picture_of(result), rig.app.session.canvas)
    layout = sheet_layout(result.request.view, LAYER.channels, LAYER.height, LAYER.width)
    row, column = layout.corner(2)
    x = place.frame.left + (column + layout.cell_width / 2) * place.pixel
    y = place.frame.top + (row + layout.cell_height / 2) * place.pixel
    rig.driver.move((x, y))
    rig.driver.press()
    rig.driver.release()
    assert (rig.side.layer.mode, rig.side.layer.channel) == ('channel', ORDER[2])
    count = len(rig.renderer.rendered)
    rig.settle()
    rig.driver.click('Layers/Sheet')
    rig.settle()
    assert rig.app.view.a.result.request.view.sheet_order == ORDER and started == [(LAYER.name, 1)]
    synthesis = {request.synthesis for request in rig.renderer.rendered[count - 1 :]}
    assert len(synthesis) == 1, 'only the view changed, so no network ran again'


def test_dragging_a_sheet_opens_nothing(rig: Rig) -> None:
    rig.change(layer=SHEET)
    rig.driver.drag('Picture/picture a', by=(30, 0))
    assert rig.side.layer.mode == 'sheet' and rig.side.transform.x != 0


def test_the_order_is_no_step_of_undo(rig: Rig, started: list) -> None:
    rig.change(layer=replace(SHEET, sort='stuck'))
    history = rig.app.view.history
    assert rig.side.layer.order and history.start is None and not history.past

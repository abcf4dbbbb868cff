"""The laboratory in the window: started, watched, cancelled, and kept only as long as it is true."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

from gui_utils.testing import PanelTester
from render.diagnosis import Diagnosis, Effect, Evidence, Finding
from render.measures import EquivarianceScore, Ladder, LadderRow
from render.request import ModelKey
from render.session import LayerState, Side, StickingState
from render.worker import Progress
from tests.gui.conftest import tester  # noqa: F401  fixture
from tests.viz.conftest import Rig, sample_request
from tests.viz.fake_renderer import KEY, make_info, without
from tests.viz.test_application import imgui_focus
from viz.commands import CancelMeasuring, Command, Diagnose, MeasureEquivariance, MeasureLadder, SaveReport
from viz.findings import Bench, Laboratory, Measurement, Running, subject_of
from viz.laboratory_row import OUTDATED
from viz.ladder_plot import cell_texts, grid_of
from viz.sticking_panel import score_words, sticking_panel
from viz.view import Desk, View

INFO = make_info()
LAYER = INFO.layers[4]
STATES = LayerState()
FINDING = Finding(
    'up-filter', 'Weak upsampling filter', LAYER.label, (LAYER.label,), 'It leaves copies.', 'Use a sinc.',
    (Evidence('images of the test signal', -21.5),), (Effect('EQ-T of the picture', 22.0, 75.0),), -21.5, (), 0.9,
)  # fmt: skip
SICK = Diagnosis('Fake', 'defects', 'Weak upsampling filter in L3.', (FINDING,), (), (), ('Nothing moved.',), 3.0)
LADDER = Ladder(
    (1 / 16, 1 / 256),
    (
        LadderRow(LAYER.name, LAYER.label, 32.0, (61.0, 33.0), (70.0, 60.0), (62.0, 34.0), (90.0, 80.0)),
        LadderRow('image', 'image', 256.0, (inf, nan), (inf, nan), (inf, nan), (90.0, 80.0)),
    ),
    1,
)


def known(key: str, value: object, request: object = None) -> Bench:
    """A bench where one thing was measured."""
    return Bench(KEY, {key: Measurement(value, subject_of(key, request or sample_request()))})


@pytest.fixture
def at_bench(make_desk: Callable[..., Desk]) -> Callable[..., Desk]:
    """Desks with something on the bench."""

    def make(bench: Bench | None = None, **side: object) -> Desk:
        side.setdefault('asked', sample_request())
        return make_desk(view=View(laboratory=Laboratory(bench or Bench())), **side)

    return make


def panel(states: tuple[StickingState, LayerState], desk: Desk) -> tuple[StickingState, LayerState]:
    state, side = sticking_panel(states[0], Side(layer=states[1]), desk)
    return state, side.layer


def showing(shown: str) -> tuple[StickingState, LayerState]:
    return StickingState(shown=shown), LayerState()


@pytest.mark.parametrize(
    'shown, label, wish',
    [
        ('diagnosis', 'Diagnose', Diagnose()),
        ('equivariance', 'Measure 16 latents', MeasureEquivariance(16)),
        ('ladder', 'Measure every layer', MeasureLadder()),
    ],
)
def test_each_button_asks_for_its_measurement(
    tester: PanelTester, at_bench: Callable, asked: list[Command], shown: str, label: str, wish: Command  # noqa: F811
) -> None:  # fmt: skip
    states = tester.click(panel, showing(shown), label, at_bench())
    assert asked == [wish] and states == showing(shown)


def test_of_two_generators_the_diagnosis_says_of_which_it_is(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    desk = replace(at_bench(known('diagnosis', SICK)), shown=('a', 'b'))
    tester.run(panel, showing('diagnosis'), desk)
    assert tester.find('Diagnose A')
    assert any(text.startswith('A: ') for text in tester.texts())


@pytest.mark.parametrize(
    'view, button',
    [
        ('average', 'Average 32 neighbours of A'),
        ('patterns', 'Measure every layer of A'),
        ('registered', 'Average 16 moves of A'),
    ],
)
def test_of_two_generators_the_buttons_that_measure_one_say_which(
    tester: PanelTester, at_bench: Callable, view: str, button: str  # noqa: F811
) -> None:  # fmt: skip
    tester.run(panel, (StickingState(view=view), LayerState()), replace(at_bench(), shown=('a', 'b')))
    assert tester.find(button)


@pytest.mark.parametrize('shown, keys', [('diagnosis', ('diagnosis',)), ('ladder', ('ladder',))])
def test_the_cross_cancels_what_runs(
    tester: PanelTester, at_bench: Callable, asked: list[Command], shown: str, keys: tuple[str, ...]  # noqa: F811
) -> None:  # fmt: skip
    bench = Bench(KEY, running={keys[0]: Running(sample_request(), 0.3, 'Working on it')})
    tester.click(panel, showing(shown), 'cancel Working', at_bench(bench))
    assert asked == [CancelMeasuring(keys)]


def test_the_views_are_chosen_by_their_names(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    state, _ = tester.click(panel, showing('diagnosis'), 'Picture', at_bench())
    assert state.shown == 'equivariance'
    state, _ = tester.click(panel, (state, STATES), 'Layers', at_bench())
    assert state.shown == 'ladder'


def test_without_a_transform_the_metrics_are_grey_and_the_rest_is_not(
    tester: PanelTester, at_bench: Callable, asked: list[Command]  # noqa: F811
) -> None:  # fmt: skip
    desk = at_bench(model=without(INFO, 'transform'))
    tester.run(panel, showing('equivariance'), desk)
    assert tester.find('Measure 16 latents').disabled
    assert 'It has no transform.' in tester.texts()
    tester.click(panel, showing('diagnosis'), 'Diagnose', desk)
    tester.click(panel, showing('ladder'), 'Measure every layer', desk)
    assert asked == [Diagnose(), MeasureLadder()]
    assert tester.find('All').disabled, 'only what a layer makes is known there'


def test_without_a_model_everything_is_grey_with_the_reason(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    for shown, label in (('diagnosis', 'Diagnose'), ('ladder', 'Measure every layer')):
        tester.run(panel, showing(shown), at_bench(result=None))
        assert tester.find(label).disabled
        assert 'Open a generator first.' in tester.texts()


def test_a_finding_says_what_and_shows_its_layer(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    _, layer = tester.click(panel, showing('diagnosis'), f'Show {LAYER.label}', at_bench(known('diagnosis', SICK)))
    assert layer.layer == LAYER.name
    words = '\n'.join(tester.texts())
    for part in (SICK.verdict, 'It leaves copies.', '-21.5 dB', 'Use a sinc.', '22.0 dB', '75.0 dB', 'Nothing moved.'):
        assert part in words, part


def test_save_report_asks_for_it(tester: PanelTester, at_bench: Callable, asked: list[Command]) -> None:  # noqa: F811
    tester.click(panel, showing('diagnosis'), 'Save report', at_bench(known('diagnosis', SICK)))
    assert asked == [SaveReport()]


def test_what_went_wrong_is_said_in_the_panel(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    tester.run(panel, showing('diagnosis'), at_bench(Bench(KEY, errors={'diagnosis': 'The values are not finite.'})))
    assert 'The values are not finite.' in tester.texts()


def test_a_click_on_a_line_of_the_ladder_shows_the_layer(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    desk = at_bench(known('ladder', LADDER))
    states = tester.click(panel, showing('ladder'), LAYER.label, desk)
    assert states[1].layer == LAYER.name
    assert tester.click(panel, states, 'image', desk)[1].layer is None
    picture = desk.textures.shown['ladder']
    assert picture.shape == (2, 2, 4) and picture[1, 1, 3] == 0, 'what could not be measured is transparent'


def test_the_ladder_shows_the_part_that_is_chosen(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    desk = at_bench(known('ladder', LADDER))
    state, _ = tester.click(panel, showing('ladder'), 'Made here', desk)
    assert state.part == 'created'
    np.testing.assert_array_equal(grid_of(LADDER, 'created', 256).values[0], [62, 34])
    assert grid_of(LADDER, 'created', 256).columns == ('16', '1')


def test_numbers_are_light_on_dark_colours_and_dark_on_bright_ones() -> None:
    lines = cell_texts(np.array([[61.0, 33.0], [inf, nan]], np.float32), 4)
    assert [(light.split(), dark.split()) for light, dark in lines] == [(['33'], ['61']), (['–'], ['∞'])]


def test_a_score_in_words() -> None:
    good = EquivarianceScore('eq-t', 61.0, 16, 55.0, 70.0)
    assert score_words(good) == 'Good: detail moves with the picture (16 latents, 55 to 70 dB).'
    assert score_words(EquivarianceScore('eq-t', nan, 1, nan, nan, 'All is flat.')) == 'All is flat.'


def test_other_filters_make_scores_outdated_but_other_seeds_do_not(
    tester: PanelTester, at_bench: Callable  # noqa: F811
) -> None:  # fmt: skip
    request = sample_request()
    score = EquivarianceScore('eq-t', 61.0, 16, 55.0, 70.0)
    seeds = replace(request, latent=replace(request.latent, seeds=((7, 1.0),)))
    filters = replace(request.synthesis.filters, kind='bilinear')
    other = replace(request, synthesis=replace(request.synthesis, filters=filters))
    truncated = replace(request, latent=replace(request.latent, truncation=0.5))
    for asked_now, outdated in ((request, False), (seeds, False), (other, True), (truncated, True)):
        tester.run(panel, showing('equivariance'), at_bench(known('eq-t', score), asked=asked_now))
        assert (OUTDATED in tester.texts()) == outdated
    assert known('diagnosis', SICK).is_outdated('diagnosis', other), 'it is of the network as it runs'


# In the window


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Fake jobs: two steps, the second only once the gate is open; a diagnosis of one finding."""
    opened = threading.Event()

    def equivariance(renderer: object, *, request: object, metric: str, samples: int) -> object:
        yield Progress(1 / samples, f'1 of {samples}', EquivarianceScore(metric, 30.0, 1, 30.0, 30.0))
        while not opened.is_set():
            yield Progress(1 / samples, f'1 of {samples}', EquivarianceScore(metric, 30.0, 1, 30.0, 30.0))
        return EquivarianceScore(metric, 45.0, samples, 30.0, 60.0)

    def diagnose(renderer: object, *, request: object) -> object:
        yield Progress(0.5, 'half')
        return SICK

    monkeypatch.setattr('viz.measuring.equivariance', equivariance)
    monkeypatch.setattr('viz.measuring.diagnose', diagnose)
    yield opened
    opened.set()


def show(rig: Rig, shown: str) -> None:
    rig.app.session = replace(rig.app.session, sticking=StickingState(shown=shown))
    imgui_focus(rig.driver, 'Sticking')


def until(rig: Rig, reached: Callable[[], bool]) -> None:
    for _ in range(2000):
        if reached():
            return
        rig.driver.step()
    raise AssertionError('never reached')


def test_scores_grow_while_the_window_stays_live_and_can_be_stopped(rig: Rig, gate: threading.Event) -> None:
    show(rig, 'equivariance')
    rig.driver.click('Sticking/Measure 16 latents')
    bench = rig.app.measuring.laboratory.a
    until(rig, lambda: len(rig.app.view.laboratory.a.known) == 3)
    rig.driver.click('Latent/Next')
    until(rig, lambda: rig.app.view.a.is_current)
    assert rig.app.view.laboratory.a.running and bench.running
    rig.driver.click('Sticking/cancel Measuring')
    rig.settle()
    bench = rig.app.view.laboratory.a
    assert not bench.running and not bench.errors
    assert bench.score('eq-r').samples == 1, 'what is known so far stays'


def test_scores_are_complete_in_the_end(rig: Rig, gate: threading.Event) -> None:
    gate.set()
    show(rig, 'equivariance')
    rig.driver.click('Sticking/Measure 16 latents')
    rig.settle()
    assert [rig.app.view.laboratory.a.score(key).decibels for key in ('eq-t', 'eq-t-frac', 'eq-r')] == [45.0] * 3
    assert 'Good: detail moves with the picture (16 latents, 30 to 60 dB).' in rig.texts()


def test_a_diagnosis_is_written_as_page_and_numbers(rig: Rig, gate: threading.Event, tmp_path: Path) -> None:
    rig.app.session = replace(rig.app.session, capture=replace(rig.app.session.capture, folder=str(tmp_path / 'new')))
    show(rig, 'diagnosis')
    rig.driver.click('Sticking/Diagnose')
    rig.settle()
    rig.driver.click('Sticking/Save report')
    (page,) = (tmp_path / 'new').glob('*.html')
    assert 'It leaves copies.' in page.read_text()
    assert json.loads(page.with_suffix('.json').read_text())['findings'][0]['layer'] == LAYER.label
    assert str(page) in rig.texts()


def test_a_folder_that_cannot_be_written_is_said(rig: Rig, gate: threading.Event, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    show(rig, 'diagnosis')
    rig.driver.click('Sticking/Diagnose')
    rig.settle()
    capture = replace(rig.app.session.capture, folder=str(tmp_path / 'file'))
    rig.app.session = replace(rig.app.session, capture=capture)
    rig.driver.click('Sticking/Save report')
    assert any('cannot be written' in toast.words for toast in rig.app.view.toasts)


def test_another_model_drops_what_was_measured_and_stops_what_runs(rig: Rig, gate: threading.Event) -> None:
    show(rig, 'equivariance')
    rig.driver.click('Sticking/Measure 16 latents')
    until(rig, lambda: len(rig.app.view.laboratory.a.known) == 3)
    model = ModelKey('demo:', 'another')
    rig.app.session = rig.app.session.with_current(replace(rig.side, model=model))
    rig.settle()
    assert rig.app.view.laboratory.a == Bench()

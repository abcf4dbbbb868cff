"""Spectra of stages and of all layers: what the views show, what they ask for, and when it is measured."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from gui_utils.testing import PanelTester
from render.measures import AliasBudget, AliasBudgets, LayerStages, PictureSpectrum, Stage, Waterfall, WaterfallRow
from render.request import ModelKey
from render.session import FilterState, LayerState, SpectrumState, TransformState
from render.worker import JobReport, Progress
from tests.gui.conftest import tester  # noqa: F401  fixture
from tests.viz.conftest import Rig, sample_request
from tests.viz.fake_renderer import KEY, make_info
from viz.commands import Command
from viz.spectrum_views import spectrum_views
from viz.stages_view import NO_LAYER, budget_sentence, number_rows, short, stage_markers
from viz.surveying import received
from viz.surveys import (
    CancelSurvey,
    Chart,
    Charts,
    ChooseReal,
    RepeatSurvey,
    Subject,
    Survey,
    Surveys,
    What,
    subject_of,
)
from viz.view import Desk, View
from viz.waterfall_plot import fall_of, frequency_at, map_of, nearest, reading, share_at, ticks_of
from viz.waterfall_view import picture_series

INFO = make_info()
LAYER, OTHER = INFO.layers[4], INFO.layers[7]
SHOWN = LayerState(layer=LAYER.name)
RATE = 32.0


def stages(
    *, layer: Any = LAYER, keys: tuple[str, ...] = ('convolution', 'activated', 'output'), **parts: Any
) -> LayerStages:
    axis = np.linspace(0, RATE, 9, dtype=np.float32)
    made = tuple(Stage(key, key, 2 * RATE, axis, -axis) for key in keys)  # type: ignore[arg-type]
    budget = AliasBudget(layer.name, layer.label, 61.5, 70.0, 62.0, nan, 4, 4, 1)
    values = {'cutoff': 11.0, 'half_width': 3.0, 'nyquist': 16.0, 'beyond_db': -30.0, 'left_db': -80.0, 'channels': 4}
    return LayerStages(layer.name, layer.label, made, **{**values, 'budget': budget, 'samples': 1, **parts})


BUDGETS = AliasBudgets(
    (
        AliasBudget(INFO.layers[0].name, 'input', nan, note='It has no non-linearity.'),
        AliasBudget(LAYER.name, LAYER.label, 61.5, 70.0, 62.0, nan, 4, 4, 1),
        AliasBudget(OTHER.name, OTHER.label, inf, inf, inf, inf, 4, 4, 1),
    ),
    1,
)


def row(layer: str, label: str, rate: float, **parts: Any) -> WaterfallRow:
    axis = np.linspace(0, rate / 2, 17, dtype=np.float32)
    return WaterfallRow(layer, label, rate, axis, -20 - axis, **parts)


FALL = Waterfall(
    (
        row(LAYER.name, LAYER.label, RATE, cutoff=11.0),
        WaterfallRow(OTHER.name, OTHER.label, 64.0, np.zeros(0), np.zeros(0), note='The layer is flat.'),
        row('image', 'image', 128.0),
    ),
    16,
)
AXIS = np.linspace(0, 64, 9, dtype=np.float32)
REAL = PictureSpectrum('faces', AXIS, -AXIS, -2 * AXIS, np.zeros((3, 3)), -30 - AXIS, 200, 112.7, 69.5)


def known(what: What, value: object, survey: Survey | None = None, **parts: Any) -> Surveys:
    """What is known of the fake demo: `value`, complete and about what is asked."""
    subject = subject_of(survey or Survey(what), request_of(SHOWN))
    chart = Chart(value, subject, True, subject) if value is not None else Chart(wanted=subject)
    return Surveys(Charts(KEY, {what: replace(chart, **parts)}))


def request_of(layer: LayerState) -> Any:
    return sample_request(layer=layer)


@pytest.fixture
def surveyed(make_desk: Callable[..., Desk]) -> Callable[..., Desk]:
    """Desks with some surveys."""
    return lambda surveys=None, **side: make_desk(view=View(surveys=surveys or Surveys()), **side)


def panel(states: tuple[SpectrumState, LayerState], desk: Desk) -> tuple[SpectrumState, LayerState]:
    return spectrum_views(*states, desk)


def showing(shown: str, layer: LayerState = SHOWN, **parts: Any) -> tuple[SpectrumState, LayerState]:
    return SpectrumState(shown=shown, **parts), layer


def words_of(tester: PanelTester) -> str:  # noqa: F811
    return '\n'.join(tester.texts())


@pytest.mark.parametrize(('label', 'shown'), [('Stages', 'stages'), ('All layers', 'layers'), ('Shown', 'picture')])
def test_a_view_is_chosen_by_its_name(tester: PanelTester, surveyed: Callable, label: str, shown: str) -> None:  # noqa: F811
    start = showing('picture' if shown != 'picture' else 'stages')
    assert tester.click(panel, start, label, surveyed())[0].shown == shown


def test_stages_are_asked_for_while_they_are_looked_at_and_then_all_budgets(
    tester: PanelTester, surveyed: Callable, asked: list[Command]  # noqa: F811
) -> None:  # fmt: skip
    tester.run(panel, showing('picture'), surveyed())
    assert asked == []
    tester.run(panel, showing('stages'), surveyed())
    assert set(asked) == {Survey('stages')}, 'the chosen layer comes first'
    asked.clear()
    tester.run(panel, showing('stages'), surveyed(known('stages', stages())))
    assert set(asked) == {Survey('stages'), Survey('budgets')}


def test_stages_show_what_is_left_of_the_harmonics_and_the_budget(tester: PanelTester, surveyed: Callable) -> None:  # noqa: F811
    tester.run(panel, showing('stages'), surveyed(known('stages', stages())))
    words = words_of(tester)
    for part in ('-30.0 dB  →  -80.0 dB', '61.5 dB   images 70  folding 62', f'{LAYER.label}: 4 of'):
        assert part in words, words


def test_a_stage_is_hidden_by_its_button_and_one_that_does_not_exist_is_grey(
    tester: PanelTester, surveyed: Callable  # noqa: F811
) -> None:  # fmt: skip
    desk = surveyed(known('stages', stages()))
    states = tester.click(panel, showing('stages'), 'LReLU', desk)
    assert states[0].hidden_stages == ('activated',)
    assert tester.click(panel, states, 'LReLU', desk)[0].hidden_stages == ()
    tester.run(panel, states, desk)
    assert tester.find('Low-pass').disabled


def test_lines_are_drawn_at_cutoff_end_of_the_transition_band_and_half_rate() -> None:
    assert {one.label: one.x for one in stage_markers(stages())} == {'f_c': 11.0, 'f_c+f_h': 14.0, 's/2': 16.0}
    assert [one.label for one in stage_markers(stages(cutoff=nan, half_width=nan))] == ['s/2']


def test_numbers_that_cannot_be_had_are_no_numbers() -> None:
    rows = number_rows(stages(beyond_db=nan, left_db=nan, budget=AliasBudget('a', 'a', nan, channels=4)))
    assert rows[0][1] == '–' and rows[1][1].startswith('– dB')
    assert (short(inf), short(nan), short(61.54)) == ('∞', '–', '61.5')


def test_the_image_has_no_stages_but_the_list_of_layers_is_there(
    tester: PanelTester, surveyed: Callable, asked: list[Command]  # noqa: F811
) -> None:  # fmt: skip
    desk = surveyed(known('budgets', BUDGETS))
    tester.run(panel, showing('stages', LayerState()), desk)
    assert NO_LAYER in words_of(tester)
    assert set(asked) == {Survey('budgets')}
    states = tester.click(panel, showing('stages', LayerState()), OTHER.label, desk)
    assert states[1].layer == OTHER.name


def test_a_layer_without_a_non_linearity_has_a_sentence_and_no_plot(tester: PanelTester, surveyed: Callable) -> None:  # noqa: F811
    surveys = known('stages', stages(layer=OTHER))
    chart = surveys.a.of('stages')
    failed = replace(chart, ended=chart.wanted, error='This layer has no non-linearity.')
    tester.run(panel, showing('stages'), surveyed(Surveys(Charts(KEY, {'stages': failed}))))
    assert 'This layer has no non-linearity.' in words_of(tester)
    assert not any('stages' in label for label in tester.labels()), 'nothing older is shown as if it were right'
    assert 'has no non-linearity' in budget_sentence(BUDGETS.rows[0]).lower()


def test_what_runs_is_cancelled_and_what_was_stopped_goes_on(
    tester: PanelTester, surveyed: Callable, asked: list[Command]  # noqa: F811
) -> None:  # fmt: skip
    chart = known('waterfall', FALL).a.of('waterfall')
    running = replace(chart, is_whole=False, running=chart.wanted, fraction=0.3, text='latent 5 of 16')
    tester.click(panel, showing('layers'), 'cancel latent', surveyed(Surveys(Charts(KEY, {'waterfall': running}))))
    stopped = replace(chart, is_whole=False, ended=chart.wanted)
    tester.click(panel, showing('layers'), 'Go on measuring', surveyed(Surveys(Charts(KEY, {'waterfall': stopped}))))
    assert [one for one in asked if not isinstance(one, Survey)] == [
        CancelSurvey('waterfall'),
        RepeatSurvey('waterfall'),
    ]


def test_a_click_on_a_line_of_the_map_shows_the_layer(tester: PanelTester, surveyed: Callable) -> None:  # noqa: F811
    desk = surveyed(known('waterfall', FALL))
    states = tester.click(panel, showing('layers', LayerState()), LAYER.label, desk)
    assert states[1].layer == LAYER.name
    assert tester.click(panel, states, 'image', desk)[1].layer is None
    assert 'The layer is flat.' in words_of(tester)
    assert desk.textures.shown['waterfall'].shape[0] == 3


def test_the_number_below_the_mouse_is_the_layer_s_power_there(tester: PanelTester, surveyed: Callable) -> None:  # noqa: F811
    tester.run(panel, showing('layers'), surveyed(known('waterfall', FALL)))
    tester.hover(LAYER.label, at=(0.6, 0.5))
    assert f'{LAYER.label} at ' in words_of(tester)
    curve = fall_of(FALL).curves[0]
    assert reading(curve, 10.0) == f'{LAYER.label} at 10 cycles: -30.0 dB'
    assert 'beyond s/2' in reading(curve, 20.0)
    assert 'f_c 11' in reading(curve, None)
    assert reading(fall_of(FALL).curves[1], 3.0) == f'{OTHER.label}: The layer is flat.'


@pytest.mark.parametrize('log', [False, True])
def test_the_map_holds_each_layer_up_to_half_its_rate(log: bool) -> None:
    fall = fall_of(FALL)
    values = map_of(fall.curves, fall.right, log=log)
    shares = (np.arange(values.shape[1]) + 0.5) / values.shape[1]
    frequencies = np.array([frequency_at(share, 64.0, log=log) for share in shares])
    np.testing.assert_array_equal(np.isnan(values[0]), frequencies > RATE / 2)
    assert np.isnan(values[1]).all()
    np.testing.assert_allclose(values[2], -20 - frequencies, atol=1e-3)
    assert [share_at(frequency, 64.0, log=log) for frequency in frequencies[::99]] == pytest.approx(shares[::99])


def test_ticks_are_round_and_not_more_than_there_is_room_for() -> None:
    assert ticks_of(128.0, 8, log=False) == (0, 20, 40, 60, 80, 100, 120)
    assert ticks_of(128.0, 8, log=True) == (1, 2, 5, 10, 20, 50, 100)
    assert len(ticks_of(128.0, 4, log=True)) <= 4


def test_lines_are_chosen_by_the_nearest_curve() -> None:
    fall = fall_of(replace(FALL, rows=(row('a', 'a', 32.0), replace(row('b', 'b', 64.0), radial_db=np.zeros(17)))))
    assert nearest(fall, (10.0, -28.0)).name == 'a'
    assert nearest(fall, (30.0, -28.0)).name == 'b', 'the other ends before'
    assert nearest(fall, (40.0, 0.0)) is None


def test_real_pictures_are_one_more_line_and_the_generated_ones_are_whitened_alike() -> None:
    made = replace(REAL, title='generated', radial_db=REAL.radial_db + 3)
    fall = fall_of(replace(FALL, real=REAL, generated=made))
    assert [curve.label for curve in fall.curves] == [LAYER.label, OTHER.label, 'image', 'real']
    assert fall.curves[2].at(10.0) - fall.curves[3].at(10.0) == pytest.approx(3.0)
    series = {one.name: one for one in picture_series(REAL, made, 1.0)}
    assert set(series) == {'real 0°', 'real 45°', 'generated 0°', 'generated 45°'}
    assert series['real 45°'].x[-1] == pytest.approx(64 * 2**0.5)


@pytest.mark.parametrize('plot', ['map', 'lines', 'real'])
def test_every_plot_of_all_layers_can_be_drawn_with_and_without_real_pictures(
    tester: PanelTester, surveyed: Callable, plot: str  # noqa: F811
) -> None:  # fmt: skip
    for fall in (FALL, replace(FALL, real=REAL, generated=REAL)):
        for log in (False, True):
            states = showing('layers', waterfall=plot, log_frequency=log)
            assert tester.run(panel, states, surveyed(known('waterfall', fall))) == states
    if plot == 'real':
        assert '112.7' in words_of(tester) and '200 real' in words_of(tester)


def test_real_pictures_are_chosen_from_a_dialog_and_given_up(
    tester: PanelTester, surveyed: Callable, asked: list[Command]  # noqa: F811
) -> None:  # fmt: skip
    survey = Survey('waterfall', 16, '/faces')
    surveys = replace(known('waterfall', FALL, survey), real='/faces')
    chart = surveys.a.of('waterfall')
    failed = replace(chart, ended=chart.wanted, error='a.png is 16 x 16 pixels but the generator makes 256 x 256.')
    desk = surveyed(replace(surveys, a=Charts(KEY, {'waterfall': failed})))
    tester.click(panel, showing('layers'), 'Go on without real pictures', desk)
    assert '16 x 16 pixels' in words_of(tester) and survey in asked
    tester.click(panel, showing('layers'), 'Real pictures', desk)
    tester.click(panel, showing('layers'), 'A ZIP …', desk)
    assert desk.dialog.is_open
    assert ChooseReal('') in asked


def test_stages_depend_on_latent_layer_and_filters_but_not_on_where_the_picture_is() -> None:
    base = request_of(SHOWN)

    def same(what: What, **parts: Any) -> bool:
        return subject_of(Survey(what), sample_request(**{'layer': SHOWN, **parts})) == subject_of(Survey(what), base)

    moved, other = TransformState(x=0.2), LayerState(layer=OTHER.name)
    filters = FilterState(kind='bilinear')
    assert all(same(what, transform=moved) for what in ('stages', 'budgets', 'waterfall', 'triage'))
    assert not any(same(what, filters=filters) for what in ('stages', 'budgets', 'waterfall', 'triage'))
    assert [same(what, layer=other) for what in ('stages', 'budgets', 'waterfall', 'triage')] == [
        False,
        True,
        True,
        False,
    ]
    seeds = replace(base, latent=replace(base.latent, seeds=((9, 1.0),)))
    assert subject_of(Survey('stages'), seeds) != subject_of(Survey('stages'), base)
    assert subject_of(Survey('waterfall'), seeds) == subject_of(Survey('waterfall'), base)


# In the window


class Jobs:
    """Fake measurements; stages end only while the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.started: list[tuple[str, Any]] = []
        self.fails = ''

    def stages(self, renderer: Any, *, request: Any, layer: str, **options: Any) -> Any:
        self.started.append(('stages', (layer, request.latent.seeds)))
        while not self.gate.is_set():
            yield Progress(0.5, 'spectra')
        yield Progress(0.9, 'spectra')
        if self.fails:
            raise ValueError(self.fails)
        return stages(layer=INFO.layer(layer))

    def budgets(self, renderer: Any, *, request: Any, **options: Any) -> Any:
        self.started.append(('budgets', None))
        yield Progress(0.5, 'layer', BUDGETS)
        return BUDGETS

    def waterfall(self, renderer: Any, *, request: Any, samples: int, real: str | None, **options: Any) -> Any:
        self.started.append(('waterfall', (samples, real)))
        yield Progress(0.5, 'latent', FALL)
        if real:
            raise ValueError('faces holds no pictures.')
        return FALL


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    made = Jobs()
    monkeypatch.setattr('viz.surveying.layer_stages', made.stages)
    monkeypatch.setattr('viz.surveying.alias_budgets', made.budgets)
    monkeypatch.setattr('viz.surveying.waterfall', made.waterfall)
    yield made
    made.gate.set()


def look(rig: Rig, shown: str, layer: Any = LAYER) -> None:
    rig.change(spectrum=SpectrumState(shown=shown), layer=LayerState(layer=layer.name))


def test_stages_are_measured_by_themselves_once_for_each_layer_and_latent(rig: Rig, jobs: Jobs) -> None:
    rig.settle()
    assert not jobs.started, 'nothing is measured that nobody looks at'
    look(rig, 'stages')
    rig.settle()
    assert jobs.started == [('stages', (LAYER.name, ((0, 1.0),))), ('budgets', None)]
    look(rig, 'stages', OTHER)
    rig.driver.click('Latent/Next')
    rig.settle()
    assert jobs.started[2:] == [('stages', (OTHER.name, ((0, 1.0),))), ('stages', (OTHER.name, ((1, 1.0),)))]
    count = len(rig.renderer.rendered)
    rig.change(transform=TransformState(x=0.1))
    assert len(jobs.started) == 4, 'a moved picture has the same stages'
    assert len(rig.renderer.rendered) == count + 1


def test_the_old_plot_stays_dim_while_the_new_one_comes_and_another_choice_ends_the_work(rig: Rig, jobs: Jobs) -> None:
    look(rig, 'stages')
    jobs.gate.clear()
    rig.app.session = rig.app.session.with_current(replace(rig.side, layer=LayerState(layer=OTHER.name)))
    for _ in range(400):
        rig.driver.step()
        if rig.app.view.surveys.a.of('stages').running is not None and len(jobs.started) == 3:
            break
    chart = rig.app.view.surveys.a.of('stages')
    assert chart.value.layer == LAYER.name and not chart.is_current
    rig.app.session = rig.app.session.with_current(replace(rig.side, layer=LayerState(layer=LAYER.name)))
    rig.driver.step(2)
    assert rig.app.view.surveys.a.of('stages').running is None, 'what nobody wants any more is stopped at once'
    jobs.gate.set()
    rig.settle()
    assert rig.app.view.surveys.a.of('stages').is_current


def test_a_failure_is_said_once_and_not_tried_again_by_itself(rig: Rig, jobs: Jobs) -> None:
    jobs.fails = 'The layer holds values that are not finite numbers.'
    look(rig, 'stages')
    rig.settle()
    rig.driver.step(60)
    assert jobs.started.count(('stages', (LAYER.name, ((0, 1.0),)))) == 1
    assert jobs.fails in rig.texts()


def test_all_layers_are_measured_again_with_real_pictures_and_without(rig: Rig, jobs: Jobs) -> None:
    look(rig, 'layers')
    rig.app._obey(ChooseReal('/faces'))
    rig.settle()
    assert jobs.started == [('waterfall', (16, None)), ('waterfall', (16, '/faces'))]
    assert 'faces holds no pictures.' in rig.texts()
    rig.driver.click('Spectrum/Go on without real pictures')
    rig.settle()
    assert 'Mean of 16 latents' in rig.texts()


def test_another_model_forgets_what_was_measured(rig: Rig, jobs: Jobs) -> None:
    look(rig, 'stages')
    rig.change(spectrum=SpectrumState(), model=ModelKey('demo:', 'another'))
    assert rig.app.view.surveys.a == Charts()


def test_a_partial_outcome_is_kept_when_the_job_is_stopped() -> None:
    subject: Subject = subject_of(Survey('waterfall', 16), request_of(SHOWN))
    chart = received(Chart(wanted=subject, running=subject), JobReport('x', Progress(0.5, 'half', FALL)))
    assert chart.is_current and not chart.is_whole and chart.fraction == 0.5
    ended = received(chart, JobReport('x', Progress(0.5), done=True, cancelled=True))
    assert ended.value is FALL and ended.running is None

"""The parts of the laboratory beside its measurements: walk, averages, fixed patterns, cures to try."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imgui_bundle import imgui

from gui_utils.testing import PanelTester
from render.diagnosis import Curve, Diagnosis, Evidence, Finding, Plot
from render.measures import FixedPattern, FixedPatterns, Neighbourhood, RegisteredAverage, Strip
from render.png_session import load_carried_session
from render.request import FilterEdit, LayerOversampling
from render.session import CompareMode, Side, StickingState, WalkLine
from render.worker import Progress
from tests.gui.conftest import tester  # noqa: F401  fixture
from tests.viz.conftest import Rig, sample_request
from tests.viz.fake_renderer import KEY, make_info, without
from tests.viz.test_application import imgui_focus
from viz import cures
from viz.commands import (
    CancelMeasuring,
    Command,
    MeasureAverage,
    MeasurePatterns,
    MeasureRegistered,
    MeasureWalk,
    SaveStrip,
)
from viz.findings import AVERAGE, PATTERNS, REGISTERED, WALK, Bench, Laboratory, Measurement, Running, subject_of
from viz.geometry import Rectangle
from viz.laboratory_row import OUTDATED, percent
from viz.patterns_panel import in_order
from viz.sticking_panel import sticking_panel
from viz.view import Desk, View
from viz.walk_line import moved

INFO = make_info()
LAYER = INFO.layers[4]
ACROSS = MeasureWalk((0.0, 0.5), (1.0, 0.5), 64, 5, 0)
GREY = np.full((8, 8, 3), 90, np.uint8)
STRIP = Strip(np.full((4, 16, 3), 90, np.uint8), np.zeros((4, 16, 3), np.float32), 0.42, 0.9, 4, above=8.0)
AROUND = Neighbourhood(GREY, np.zeros((8, 8), np.float32), (1, 2, 4), (1.0, 0.6, 0.4), 0.2, 4, 0.5, '', GREY)
PATTERN = FixedPattern(LAYER.name, LAYER.label, np.zeros((8, 8), np.float32), 0.031, 0.25, 16)
EVERY = FixedPatterns(
    (PATTERN, FixedPattern('image', 'image', np.zeros((8, 8), np.float32), math.nan, math.nan, 16, 'It is flat.')),
    16,
    True,
)
MOVED = RegisteredAverage(GREY, np.zeros((8, 8), np.float32), 0.97, 16)


def known(key: str, value: object, command: object = None) -> Bench:
    """A bench where one thing was measured."""
    return Bench(KEY, {key: Measurement(value, subject_of(key, sample_request()), command)})


@pytest.fixture
def at_bench(make_desk: Callable[..., Desk]) -> Callable[..., Desk]:
    """Desks with something on the bench."""

    def make(bench: Bench | None = None, **side: object) -> Desk:
        side.setdefault('asked', sample_request())
        return make_desk(view=View(laboratory=Laboratory(bench or Bench())), **side)

    return make


def panel(states: tuple[StickingState, Side], desk: Desk) -> tuple[StickingState, Side]:
    return sticking_panel(*states, desk)


def showing(view: str, **parts: object) -> tuple[StickingState, Side]:
    return StickingState(view=view, **parts), Side(model=KEY)


def words(tester: PanelTester, states: tuple[StickingState, Side], desk: Desk) -> str:  # noqa: F811
    tester.run(panel, states, desk)
    return '\n'.join(tester.texts())


# What is asked for


@pytest.mark.parametrize(
    ('view', 'label', 'wish'),
    [
        ('walk', 'Walk from seed 0 to 4', ACROSS),
        ('average', 'Average 32 neighbours', MeasureAverage(32, 0.5)),
        ('patterns', 'Measure every layer', MeasurePatterns(16)),
        ('registered', 'Average 16 moves', MeasureRegistered(16, False)),
    ],
)
def test_each_part_asks_for_its_measurement(
    tester: PanelTester, at_bench: Callable, asked: list[Command], view: str, label: str, wish: Command  # noqa: F811
) -> None:  # fmt: skip
    states = tester.click(panel, showing(view), label, at_bench())
    assert asked == [wish] and states == showing(view)


def test_the_parts_are_chosen_by_their_names(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    state, _ = tester.click(panel, showing('measure'), 'Fixed pattern', at_bench())
    assert state.view == 'patterns'


def test_the_cross_cancels_a_walk(tester: PanelTester, at_bench: Callable, asked: list[Command]) -> None:  # noqa: F811
    tester.click(
        panel,
        showing('walk'),
        'cancel picture',
        at_bench(Bench(KEY, running={WALK: Running(sample_request(), 0.3, 'picture 9')})),
    )
    assert asked == [CancelMeasuring((WALK,))]


def test_a_walk_is_of_the_shown_seed_and_of_the_line(
    tester: PanelTester, at_bench: Callable, asked: list[Command]  # noqa: F811
) -> None:  # fmt: skip
    state, side = showing('walk', line=WalkLine(0.1, 0.2, 0.3, 0.4), walk_frames=9, walk_stops=3)
    side = replace(side, latent=replace(side.latent, x=7.2))
    tester.click(panel, (state, side), 'Walk from seed 7 to 9', at_bench())
    assert asked == [MeasureWalk((0.1, 0.2), (0.3, 0.4), 9, 3, 7)]


def test_without_a_transform_the_registered_average_says_why(
    tester: PanelTester, at_bench: Callable  # noqa: F811
) -> None:  # fmt: skip
    assert 'It has no transform.' in words(tester, showing('registered'), at_bench(model=without(INFO, 'transform')))
    assert tester.find('Average 16 moves').disabled


# What is shown


def test_a_strip_is_shown_with_its_score_in_words_and_can_be_saved(
    tester: PanelTester, at_bench: Callable, asked: list[Command]  # noqa: F811
) -> None:  # fmt: skip
    desk = at_bench(known(WALK, STRIP, ACROSS))
    shown = words(tester, showing('walk'), desk)
    assert '42 %' in shown and 'Most of the fine detail is glued to the screen.' in shown and OUTDATED not in shown
    assert desk.textures.shown['walk strip'] is STRIP.image
    tester.click(panel, showing('walk'), 'Save strip', desk)
    assert asked == [SaveStrip()]


def test_a_note_takes_the_place_of_the_reading(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    strip = replace(STRIP, share=math.nan, note='The line holds no detail.')
    shown = words(tester, showing('walk'), at_bench(known(WALK, strip, ACROSS)))
    assert 'The line holds no detail.' in shown and 'glued' not in shown and '42 %' not in shown


def test_another_line_makes_a_strip_outdated(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    desk = at_bench(known(WALK, STRIP, ACROSS))
    assert OUTDATED in words(tester, showing('walk', line=WalkLine(0.2)), desk)
    assert OUTDATED not in words(tester, showing('walk', walk_frames=128), desk), 'more pictures would only be surer'


@pytest.mark.parametrize(
    ('key', 'part', 'outdated'),
    [
        (WALK, 'transform', True),
        (WALK, 'layer', False),
        (AVERAGE, 'latent', True),
        (PATTERNS, 'latent', False),
        (PATTERNS, 'transform', False),
        (REGISTERED, 'latent', True),
        (REGISTERED, 'transform', False),
    ],
)
def test_a_result_is_about_what_it_depends_on(key: str, part: str, outdated: bool) -> None:
    request = sample_request()
    other = {
        'transform': replace(request, synthesis=replace(request.synthesis, transform=(1.0, 0.0, 0.5, 0.0, 1.0, 0.0))),
        'layer': replace(request, synthesis=replace(request.synthesis, layer='L3')),
        'latent': replace(request, latent=replace(request.latent, seeds=((9, 1.0),))),
    }[part]
    assert known(key, STRIP).is_outdated(key, other) == outdated


def test_an_average_is_shown_beside_its_centre_with_the_decay(
    tester: PanelTester, at_bench: Callable  # noqa: F811
) -> None:  # fmt: skip
    desk = at_bench(known(AVERAGE, AROUND, MeasureAverage(32, 0.5)))
    shown = words(tester, showing('average'), desk)
    assert '20 %' in shown and 'Centre' in shown and 'Mean of 4' in shown
    assert desk.textures.shown['average 0'] is AROUND.centre and desk.textures.shown['average 1'] is AROUND.average
    assert desk.textures.shown['average 2'].shape == (8, 8, 4)


def test_a_registered_average_says_how_much_it_kept(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    shown = words(tester, showing('registered'), at_bench(known(REGISTERED, MOVED, MeasureRegistered(16, False))))
    assert '97 %' in shown and 'Detail comes along when the picture moves.' in shown


def test_a_click_on_a_pattern_shows_its_layer(tester: PanelTester, at_bench: Callable) -> None:  # noqa: F811
    desk = at_bench(known(PATTERNS, EVERY, MeasurePatterns(16)))
    state, side = tester.click(panel, showing('patterns'), LAYER.label, desk)
    assert state.pattern == LAYER.name and side.layer.layer == LAYER.name
    shown = words(tester, (state, side), desk)
    assert '3.1 %' in shown and 'At the edge: 25 %' in shown
    _, side = tester.click(panel, (state, side), 'image', desk)
    assert side.layer.layer is None and 'It is flat.' in '\n'.join(tester.texts())


def test_the_picture_comes_before_the_layers() -> None:
    assert [row.label for row in in_order(EVERY)] == ['image', LAYER.label]


def test_shares_for_people() -> None:
    assert [percent(share) for share in (0.0, 0.031, 0.42, 1.0, math.nan)] == ['0 %', '3.1 %', '42 %', '100 %', '–']


# The line


PANE = Rectangle(100.0, 50.0, 200.0, 200.0)


def test_an_end_follows_the_hand_and_stays_in_the_picture() -> None:
    assert moved(WalkLine(), 'end', (200.0, 100.0), PANE) == WalkLine(0.0, 0.5, 0.5, 0.25)
    assert moved(WalkLine(), 'start', (0.0, 900.0), PANE) == WalkLine(0.0, 1.0, 1.0, 0.5)


def test_the_middle_takes_both_ends_along_as_far_as_they_stay_in_the_picture() -> None:
    line = WalkLine(0.25, 0.5, 0.5, 0.5)
    assert moved(line, 'middle', (100 + 0.5 * 200, 50 + 0.25 * 200), PANE) == WalkLine(0.375, 0.25, 0.625, 0.25)
    assert moved(line, 'middle', (900.0, -900.0), PANE) == WalkLine(0.75, 0.0, 1.0, 0.0)


def test_the_line_is_dragged_over_the_picture_and_the_drag_undone(rig: Rig) -> None:
    rig.app.session = replace(rig.app.session, sticking=StickingState(view='walk'))
    imgui_focus(rig.driver, 'Sticking')
    before = rig.side.transform
    rig.driver.drag('Picture/walk line end a', by=(-60, -40))
    rig.settle()
    line = rig.app.session.sticking.line
    assert line.end_x < 0.97 and line.end_y < 0.48 and (line.start_x, line.start_y) == (0.0, 0.5)
    assert rig.side.transform == before, 'the picture stays where it is'
    rig.driver.keys(imgui.Key.z, ctrl=True)
    rig.settle()
    assert rig.app.session.sticking.line == WalkLine()


def test_the_line_shows_only_while_its_panel_is_in_front(rig: Rig) -> None:
    rig.app.session = replace(rig.app.session, sticking=StickingState(view='walk'))
    imgui_focus(rig.driver, 'Spectrum')
    assert not any('walk line' in item.label for item in rig.driver.recorder.items)
    imgui_focus(rig.driver, 'Sticking')
    assert any('walk line' in item.label for item in rig.driver.recorder.items)


@pytest.mark.parametrize('mode', ['wipe', 'difference'])
def test_over_two_pictures_in_one_place_the_line_stays_wherever_the_mouse_is(rig: Rig, mode: CompareMode) -> None:
    compare = replace(rig.app.session.compare, original=True, mode=mode)
    rig.app.session = replace(rig.app.session, sticking=StickingState(view='walk'), compare=compare)
    imgui_focus(rig.driver, 'Sticking')
    rig.settle()
    for share in (0.2, 0.8):
        rig.driver.hover('Picture/picture both', at=(share, 0.2), frames=2)
        assert any('walk line end a' in item.label for item in rig.driver.recorder.items)


# In the window


def test_a_walk_is_measured_and_saved_with_its_session(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {}

    def walk(renderer: object, **options: object) -> object:
        given.update(options)
        yield Progress(0.5, 'picture 1 of 2', STRIP)
        return STRIP

    monkeypatch.setattr('viz.measuring.walk_strip', walk)
    session = rig.app.session
    rig.app.session = replace(
        session, sticking=StickingState(view='walk'), capture=replace(session.capture, folder=str(tmp_path))
    )
    imgui_focus(rig.driver, 'Sticking')
    rig.driver.click('Sticking/Walk from seed 0 to 4')
    rig.settle()
    assert given['frames'] == 64 and given['end'] == (1.0, 0.5) and given['first_seed'] == 0
    rig.driver.click('Sticking/Save strip')
    (path,) = tmp_path.glob('*walk*.png')
    assert load_carried_session(path)[0].sticking.view == 'walk'


# Cures


def finding(cause: str, *layers: str) -> Finding:
    plot = Plot(
        'Upsampling filter', 'cycles', 'dB', (Curve('of the network', (0.0, 1.0), (0.0, -40.0)),), (('s/2', 0.5),)
    )
    labels = layers or (LAYER.label,)
    return Finding(cause, 'Weak filter', labels[0], labels, 'It is weak.', 'Use a sinc.', (Evidence('images', -20.0),), (), -20.0, (plot,), 0.9)  # fmt: skip


def test_a_finding_shows_its_plot_and_its_cure_is_tried_and_taken_back(
    tester: PanelTester, at_bench: Callable  # noqa: F811
) -> None:  # fmt: skip
    sick = Diagnosis('Fake', 'defects', 'Weak.', (finding('up-filter'),), (), (), (), 1.0)
    desk = at_bench(known('diagnosis', sick))
    assert 'Upsampling filter' in words(tester, showing('measure'), desk)
    states = tester.click(panel, showing('measure'), 'Apply cure', desk)
    assert [(edit.layer, edit.direction, edit.kind) for edit in states[1].filters.edits] == [(LAYER.name, 'up', 'sinc')]
    states = tester.click(panel, states, 'Apply cure', desk)
    assert states == showing('measure')


@pytest.mark.parametrize('cause', ['constant', 'border', 'noise'])
def test_a_cure_that_cannot_be_tried_is_grey_with_the_reason(cause: str) -> None:
    reason = cures.cure_for(finding(cause), without(INFO, 'noise'))
    assert isinstance(reason, str) and reason.endswith('.')


def test_a_cure_leaves_other_choices_alone() -> None:
    own = FilterEdit('another', 'up', 'bilinear')
    side = Side(filters=replace(Side().filters, edits=(own, FilterEdit(LAYER.name, 'down', 'nearest'))))
    cure = cures.Cure(edits=(FilterEdit(LAYER.name, 'down', 'sinc'),), oversampling=(LayerOversampling(LAYER.name, 2),))
    tried = cures.with_cure(side, cure)
    assert cures.is_applied(tried, cure) and not cures.is_applied(side, cure)
    assert tried.filters.edits == (own, *cure.edits)
    assert cures.without_cure(tried, cure).filters.edits == (own,)


def test_noise_is_switched_off_and_on_again() -> None:
    cure = cures.cure_for(finding('noise'), replace(INFO, capabilities=INFO.capabilities | {'noise'}))
    assert isinstance(cure, cures.Cure)
    quiet = cures.with_cure(Side(), cure)
    assert quiet.noise.mode == 'none' and cures.without_cure(quiet, cure).noise.mode == 'constant'

"""Two pictures against one another in a whole application: which, how, at what cost, and what the hands do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from imgui_bundle import imgui

from render.compare import pictures
from render.difference import difference
from render.measures import EquivarianceScore, Ladder, LadderRow
from render.request import FilterSpec, ViewSpec
from render.session import CompareState, FilterState, LatentState, LayerState, Session, Side, TransformState
from render.session_file import session_from_bytes, session_text
from render.sheet import sheet_layout
from render.worker import Progress
from tests.viz.conftest import Rig
from tests.viz.fake_renderer import KEY, make_info, make_layers, make_spectrum, waves, without
from tests.viz.test_application import imgui_focus
from viz import comparing, editing, ladder_bars, overlay
from viz.application import IDLE_SECONDS, TITLES
from viz.commands import MeasureEquivariance, MeasureLadder
from viz.comparing import BLINK_SECONDS, Blinker
from viz.findings import Bench, Measurement, subject_of
from viz.geometry import Picture, Placement, Rectangle
from viz.spectrum_panel import spectra_shown
from viz.together import difference_at, difference_text
from viz.view import View

pytestmark = pytest.mark.display
Key = imgui.Key
BILINEAR = FilterState(kind='bilinear')
SMALL = make_info(title='StyleGAN3-T 64 px', resolution=64, layers=make_layers(5, 64))


@pytest.fixture
def changed(rig: Rig) -> Rig:
    """The fake demo with other filters beside its original."""
    rig.change(filters=BILINEAR)
    rig.driver.keys(Key.x)
    rig.settle()
    return rig


@pytest.fixture
def pair(make_rig: Callable[..., Rig]) -> Rig:
    """Two generators of different resolution."""
    rig = make_rig(infos={'demo:': make_info(), 'small.pkl': SMALL})
    rig.app.open('demo:', 'small.pkl')
    rig.settle()
    return rig


def mode(rig: Rig, name: str) -> None:
    rig.app.session = comparing.with_mode(rig.app.session, name)
    rig.settle()


# Which pictures


def test_with_the_networks_own_filters_there_is_nothing_to_compare(rig: Rig) -> None:
    rig.driver.step()
    assert 'Compare with the original' not in [item.label for item in rig.driver.recorder.items]
    rig.change(filters=BILINEAR)
    rig.driver.click('Compare with the original')
    rig.settle()
    assert pictures(rig.app.session) == ('a', 'o')
    assert rig.app.view.o.result.request.synthesis.filters == FilterSpec()
    labels = [overlay.side_labels(rig.app.session, name, rig.app.view.side(name))[0] for name in ('a', 'o')]
    assert labels == ['Bilinear filters', 'Original']


def test_the_original_is_rendered_only_while_it_is_wanted(changed: Rig) -> None:
    changed.driver.keys(Key.x)
    changed.settle()
    before = len(changed.renderer.rendered)
    changed.change(transform=TransformState(x=0.1))
    assert len(changed.renderer.rendered) == before + 1
    assert changed.app.view.o.result is None


def test_another_way_of_comparing_renders_nothing(changed: Rig) -> None:
    before = len(changed.renderer.rendered)
    for name in ('wipe', 'blink', 'difference', 'side'):
        mode(changed, name)
        changed.driver.step(3)
        assert len(changed.renderer.rendered) == before


def test_the_keys_go_through_the_ways_of_comparing(changed: Rig) -> None:
    seen = []
    for _ in comparing.MODES:
        changed.driver.keys(Key.c)
        seen.append(changed.app.session.compare.mode)
    assert seen == ['wipe', 'blink', 'difference', 'side']
    changed.driver.keys(Key.c, shift=True)
    assert changed.app.session.compare.mode == 'difference'


@pytest.mark.parametrize('size', [(640, 400), (900, 600), (1280, 800)])
def test_the_bar_fits_between_the_panels(make_rig: Callable[..., Rig], size: tuple[int, int]) -> None:
    rig = make_rig(size, infos={'demo:': make_info(), 'small.pkl': SMALL})
    rig.app.open('demo:', 'small.pkl')
    rig.settle()
    left, right = rig.driver.find('Picture/picture a').low[0], rig.driver.find('Picture/picture b').high[0]
    for name in comparing.MODES:
        mode(rig, name)
        rig.driver.step(2)
        bar = [rig.driver.find(label) for label in ('Picture/A', 'Picture/Compare no more')]
        bar += [rig.driver.find('Picture/Gain')] if name == 'difference' else []
        assert all(left <= item.low[0] and item.high[0] <= right for item in bar), name


def test_in_a_narrow_pane_one_button_goes_through_the_ways_of_comparing(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig((640, 400), infos={'demo:': make_info(), 'small.pkl': SMALL})
    rig.app.open('demo:', 'small.pkl')
    rig.settle()
    for name in ('wipe', 'blink'):
        rig.driver.click('Next way to compare')
        rig.settle()
        assert rig.app.session.compare.mode == name


# In one place


def test_the_line_follows_the_hand_and_the_picture_stays(changed: Rig) -> None:
    mode(changed, 'wipe')
    changed.driver.drag('Picture/wipe line', by=(-100, 0))
    pane = changed.driver.find('Picture/picture both')
    width = pane.high[0] - pane.low[0]
    assert changed.app.session.compare.wipe == pytest.approx(0.5 - 100 / width, abs=2 / width)
    assert changed.side.transform == TransformState()
    changed.driver.drag('Picture/wipe line', by=(-2000, 0))
    assert changed.app.session.compare.wipe == comparing.WIPE_RANGE[0]


def test_beside_the_line_the_hand_moves_both_pictures(changed: Rig) -> None:
    mode(changed, 'wipe')
    pane = changed.driver.find('Picture/picture both')
    middle = (pane.low[0] + pane.high[0]) / 2, (pane.low[1] + pane.high[1]) / 2
    changed.driver.move((middle[0] + 80, middle[1]))
    changed.driver.press()
    changed.driver.move((middle[0] - 60, middle[1]))
    changed.driver.release()
    changed.settle()
    assert changed.side.transform.x < 0
    asked = changed.app.view.a.result.request.synthesis, changed.app.view.o.result.request.synthesis
    assert asked[0].transform == asked[1].transform and asked[0].filters != asked[1].filters


def test_a_wipe_shows_each_picture_on_its_side_of_the_line(seeing_rig: Rig) -> None:
    rig = seeing_rig
    other = rig.renderer.render

    def render(request: object, is_stale: object = None) -> object:
        result = other(request)
        colour = (200, 0, 0, 255) if request.synthesis.filters.kind == 'bilinear' else (0, 0, 200, 255)
        return replace(result, image=np.full((256, 256, 4), colour, np.uint8))

    rig.renderer.render = render
    rig.change(filters=BILINEAR)
    rig.driver.keys(Key.x)
    mode(rig, 'wipe')
    pane = rig.driver.find('Picture/picture both')
    pixels, line = rig.app.window.pixels(), round((pane.low[0] + pane.high[0]) / 2)
    row = pixels[round((pane.low[1] + pane.high[1]) / 2) + 60]
    assert tuple(row[line - 40][:3]) == (200, 0, 0) and tuple(row[line + 40][:3]) == (0, 0, 200)
    imgui.get_io().add_key_event(Key.v, True)
    rig.driver.step(2)
    row = rig.app.window.pixels()[round((pane.low[1] + pane.high[1]) / 2) + 60]
    assert tuple(row[line - 40][:3]) == (0, 0, 200)
    imgui.get_io().add_key_event(Key.v, False)


def test_pictures_take_turns_one_and_a_half_times_a_second() -> None:
    now = [5.0]
    blinker = Blinker(lambda: now[0])
    session = Session(a=Side(KEY), compare=CompareState(original=True, mode='blink'))
    shown = []
    view = blinker.look(session, View())
    for _ in range(6):
        shown.append(view.second)
        assert blinker.wait_seconds is not None and 0 < blinker.wait_seconds <= BLINK_SECONDS
        now[0] += BLINK_SECONDS * 1.0001
        view = blinker.look(session, view)
    assert shown == [False, True] * 3
    blinker.still = True
    assert not blinker.look(session, View(second=True)).second and blinker.wait_seconds is None


def test_nothing_blinks_without_a_second_picture() -> None:
    blinker = Blinker(lambda: 0.0)
    blinker.look(Session(a=Side(KEY), compare=CompareState(mode='blink')), View())
    assert blinker.wait_seconds is None


def test_the_difference_is_said_in_db_and_its_gain_is_a_choice(changed: Rig) -> None:
    def other(request: object) -> np.ndarray:
        values = waves(request, 256, 256, 0, 3)
        return values + (0.2 if request.synthesis.filters.kind == 'bilinear' else 0.0)

    render = changed.renderer.render
    changed.renderer.render = lambda request, is_stale=None: replace(render(request), values=other(request))
    changed.change(transform=TransformState(x=0.05))
    mode(changed, 'difference')
    found = difference(changed.app.view.a.result, changed.app.view.o.result)
    assert difference_text(found, is_original=True) == 'Change   PSNR 20.0 dB'
    assert difference_at(found, 3, 4) == '3, 4   0.2 (10 % of the range)'
    before = len(changed.renderer.rendered)
    changed.driver.type('Gain#2', '20', ctrl=True)
    assert changed.app.session.compare.gain_db == 20
    changed.driver.click('Viridis')
    assert changed.app.session.compare.colormap == 'viridis' and len(changed.renderer.rendered) == before


# Two generators


def test_two_generators_named_at_once_stand_side_by_side(pair: Rig) -> None:
    session = pair.app.session
    assert session.a.model.path == 'demo:' and session.b.model.path == 'small.pkl' and session.active == 'a'
    labels = [overlay.side_labels(session, name, pair.app.view.side(name))[0] for name in ('a', 'b')]
    assert labels == ['A   demo: · StyleGAN3-T 256 px', 'B   small.pkl · StyleGAN3-T 64 px']


def test_two_dropped_generators_stand_side_by_side(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(infos={'demo:': make_info(), '/x/a.pkl': make_info(), '/x/b.pkl': SMALL})
    rig.open()
    rig.driver.drop(['/x/a.pkl', '/x/b.pkl'])
    rig.settle()
    assert (rig.app.session.a.model.path, rig.app.session.b.model.path) == ('/x/a.pkl', '/x/b.pkl')


def test_with_shift_a_dropped_generator_becomes_side_b(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(infos={'demo:': make_info(), '/x/b.pkl': SMALL})
    rig.open()
    imgui.get_io().add_key_event(Key.mod_shift, True)
    rig.driver.step()
    rig.driver.drop(['/x/b.pkl'])
    imgui.get_io().add_key_event(Key.mod_shift, False)
    rig.settle()
    assert (rig.app.session.a.model.path, rig.app.session.b.model.path) == ('demo:', '/x/b.pkl')


def test_pictures_of_two_resolutions_are_as_large_on_the_screen(pair: Rig) -> None:
    pair.driver.step()
    lead = Placement(Picture(256, 256, 256, 256), Rectangle(0, 0, 300, 300), Rectangle(20, 20, 256, 256))
    small = comparing.aligned(lead, Picture(64, 64, 64, 64), Rectangle(302, 0, 300, 300))
    assert small.frame == Rectangle(322, 20, 256, 256)
    padded = comparing.aligned(lead, Picture(84, 84, 84, 84, 10), lead.pane)
    assert padded.canvas == lead.canvas
    mode(pair, 'difference')
    found = difference(pair.app.view.a.result, pair.app.view.b.result)
    assert difference_text(found).endswith('at 64 × 64, the smaller size')


def test_the_other_side_shows_the_layer_that_is_as_deep(pair: Rig) -> None:
    pair.app.session = comparing.with_links(pair.app.session, link_view=True)
    shown = replace(pair.side, layer=LayerState(layer='synthesis.L13_276_8'))
    pair.app.session = editing.with_side(pair.app.session, shown)
    pair.settle()
    assert pair.app.session.a.layer.layer == 'synthesis.L13_276_8'
    assert pair.app.session.b.layer.layer == 'synthesis.L4_52_32'
    assert pair.app.view.b.error is None and pair.app.view.b.is_current


def test_what_is_linked_anew_is_taken_over_from_the_side_that_is_edited(pair: Rig) -> None:
    session = comparing.with_links(pair.app.session, link_latent=False)
    session = replace(session, a=replace(session.a, latent=LatentState(x=7)))
    assert session.b.latent.x == 0
    assert comparing.with_links(session, link_latent=True).b.latent.x == 7


def test_the_side_below_the_mouse_is_edited_in_a_wipe(pair: Rig) -> None:
    mode(pair, 'wipe')
    pane = pair.driver.find('Picture/picture both')
    for share, name in ((0.8, 'b'), (0.2, 'a')):
        pair.driver.move((pane.low[0] + share * (pane.high[0] - pane.low[0]), pane.low[1] + 200))
        pair.driver.press()
        pair.driver.release()
        assert pair.app.session.active == name


def test_a_generator_without_a_transform_beside_one_with_it(make_rig: Callable[..., Rig]) -> None:
    fixed = without(make_info(title='StyleGAN2 256 px'), 'transform', 'filters')
    rig = make_rig(infos={'demo:': make_info(), 'sg2.pkl': fixed})
    rig.app.open('demo:', 'sg2.pkl')
    rig.settle()
    for name in comparing.MODES:
        mode(rig, name)
        rig.change(transform=TransformState(x=0.1))
        assert rig.app.view.b.error is None and rig.app.view.a.error is None


# Kept


def test_how_pictures_are_compared_is_saved(changed: Rig) -> None:
    wanted = CompareState(original=True, mode='wipe', wipe=0.25, gain_db=30.0, colormap='grey')
    session, remarks = session_from_bytes(session_text(replace(changed.app.session, compare=wanted)).encode())
    assert session.compare == wanted and not remarks
    session, remarks = session_from_bytes(b'{"compare": {"wipe": 3, "mode": "dance"}}')
    assert session.compare == CompareState() and len(remarks) == 2


def test_ways_of_comparing_are_undone_one_by_one(rig: Rig) -> None:
    for key in (Key.x, Key.c):
        rig.driver.keys(key)
        rig.driver.step(40)  # frames of the window's clock: the edit is then finished
    assert rig.app.session.compare == CompareState(original=True, mode='wipe')
    rig.driver.keys(Key.z, ctrl=True)
    assert rig.app.session.compare == CompareState(original=True)
    rig.driver.keys(Key.z, ctrl=True)
    assert rig.app.session.compare == CompareState()


def test_a_filter_that_is_changed_by_dragging_is_one_step_of_undoing(rig: Rig) -> None:
    imgui_focus(rig.driver, 'Filters')
    before = FilterState(one_place=True, response_layer='synthesis.L3_52_32', response_direction='down')
    rig.change(filters=before)
    rig.driver.step(40)
    rig.driver.drag('Filters/Taps n', start=(0.6, 0.5), to=(0.1, 0.5))
    rig.driver.step(40)
    after = rig.side.filters
    assert [edit.layer for edit in after.edits] == ['synthesis.L3_52_32']
    rig.settle()
    assert rig.app.view.a.result is not None
    assert rig.app.view.a.result.request.synthesis.filters.edits == after.edits
    rig.driver.keys(Key.z, ctrl=True)
    assert rig.side.filters == before
    rig.settle()
    assert rig.app.view.a.result.request.synthesis.filters.edits == ()
    rig.driver.keys(Key.z, ctrl=True, shift=True)
    assert rig.side.filters == after


@pytest.mark.parametrize('way', ['side', 'wipe', 'difference'])
def test_while_nothing_is_done_the_session_is_the_same_object_and_the_window_sleeps(pair: Rig, way: str) -> None:
    mode(pair, way)
    for title in TITLES if way == 'side' else TITLES[:1]:
        imgui_focus(pair.driver, title)
        pair.settle()
        pair.driver.step(40)  # edits are finished
        before = pair.app.session
        pair.driver.step(3)
        assert pair.app.session is before, title
    assert pair.app.view.history.start is None and pair.app.wait_seconds == IDLE_SECONDS


def test_comparing_no_more_leaves_the_side_that_is_edited(pair: Rig) -> None:
    pair.driver.click('Compare no more')
    pair.settle()
    assert pair.app.session.b is None and pictures(pair.app.session) == ('a',)


def test_layers_and_sheets_are_compared_too(changed: Rig) -> None:
    for name in comparing.MODES:
        mode(changed, name)
        for view in ('rgb', 'channel', 'sheet'):
            changed.change(layer=LayerState(layer='synthesis.L5_52_32', mode=view))
            assert changed.app.view.a.error is None and changed.app.view.o.error is None
            changed.driver.step()


# Spectra


def test_both_spectra_are_in_one_plot(changed: Rig) -> None:
    several = spectra_shown(changed.app.desk())
    assert list(several) == ['Changed', 'Original']
    assert several['Original'] is changed.app.view.o.result.spectrum
    changed.driver.keys(Key.x)
    changed.settle()
    assert len(spectra_shown(changed.app.desk())) == 1


def test_both_spectra_are_averaged_over_the_same_latents(changed: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def average(renderer: object, *, request: object, count: int) -> object:
        asked.append((request.synthesis.filters.kind, count))
        yield Progress(0.5, '', partial=None)
        return make_spectrum(waves(request, 64, 64, 0, 3), 64, samples=count)

    monkeypatch.setattr('viz.averaging.jobs.average_spectrum', average)
    changed.driver.click('Spectrum/Average 32')
    changed.settle()
    assert sorted(asked) == [('bilinear', 32), ('network', 32)] and changed.app.view.averaging is None
    assert [one.samples for one in spectra_shown(changed.app.desk()).values()] == [32, 32]
    changed.driver.click('Spectrum/Mean of 32')
    assert [one.samples for one in spectra_shown(changed.app.desk()).values()] == [1, 1]


# The laboratory


def ladder(count: int, value: float, shifts: tuple[float, ...] = (1 / 16, 1 / 256)) -> Ladder:
    rows = (LadderRow(f'L{index}', f'L{index}', 16.0, (value, value - 10)) for index in range(count))
    return Ladder(shifts, tuple(rows), 1)


def test_layers_are_set_against_one_another_by_relative_depth() -> None:
    pairs = ladder_bars.pairs_of(ladder(5, 60), ladder(3, 40))
    assert [(pair.one.label, pair.other.label) for pair in pairs] == [
        ('L0', 'L0'), ('L1', 'L0'), ('L2', 'L1'), ('L3', 'L2'), ('L4', 'L2'),
    ]  # fmt: skip
    assert ladder_bars.pairs_of(ladder(5, 60), ladder(0, 0)) == ()
    assert ladder_bars.column_of(ladder(1, 0), 1 / 200) == 1 and ladder_bars.column_of(ladder(1, 0), 0.2) == 0
    assert ladder_bars.pair_sentence(pairs[1], ('A', 'B'), (60.0, 40.0)).startswith('A L1: 60.0 dB, B L0: 40.0 dB')


@pytest.fixture
def measured(changed: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Metrics and ladders of the changed network and of its original, by a measurement that knows the answer."""

    def measure(renderer: object, *, request: object) -> object:
        yield Progress(0.5)
        return ladder(4, 30.0 if request.synthesis.filters.kind == 'bilinear' else 70.0)

    def score(renderer: object, *, request: object, metric: str, samples: int) -> object:
        yield Progress(0.5)
        decibels = 20.0 if request.synthesis.filters.kind == 'bilinear' else 60.0
        return EquivarianceScore(metric, decibels, samples, decibels, decibels)

    monkeypatch.setattr('viz.measuring.layer_ladder', measure)
    monkeypatch.setattr('viz.measuring.equivariance', score)
    for wish in (MeasureLadder(), MeasureEquivariance(2)):
        changed.app.desk().ask(wish)
        changed.driver.step(2)
        changed.settle()
    return changed


def test_both_pictures_are_measured_at_once(measured: Rig) -> None:
    laboratory = measured.app.view.laboratory
    assert laboratory.bench('a').ladder.rows[0].decibels[0] == 30
    assert laboratory.bench('o').ladder.rows[0].decibels[0] == 70
    assert [laboratory.bench(name).score('eq-t').decibels for name in ('a', 'o')] == [20, 60]


def test_the_numbers_of_both_are_in_the_panel(measured: Rig) -> None:
    imgui_focus(measured.driver, 'Sticking')
    shown = replace(measured.app.session.sticking, shown='equivariance')
    measured.app.session = replace(measured.app.session, sticking=shown)
    measured.settle()
    assert '20.0 dB' in measured.texts() and '60.0 dB' in measured.texts()
    measured.app.session = replace(measured.app.session, sticking=replace(shown, shown='ladder'))
    measured.settle()
    measured.driver.click('Sticking/Original')
    assert measured.app.session.sticking.ladder_of == 'second'


def test_a_measurement_of_the_other_picture_that_is_outdated_is_said_so(pair: Rig) -> None:
    request = pair.app.view.b.asked
    bench = Bench(request.model, {'ladder': Measurement(ladder(4, 30), subject_of('ladder', request))})
    pair.app.measuring.laboratory = pair.app.measuring.laboratory.with_bench('b', bench)
    imgui_focus(pair.driver, 'Sticking')
    sticking = replace(pair.app.session.sticking, shown='ladder')
    pair.app.session = replace(pair.app.session, sticking=sticking)
    pair.settle()
    assert 'B: measured before the last change.' not in pair.texts()
    b = replace(pair.app.session.b, filters=BILINEAR)
    pair.app.session = replace(pair.app.session, b=b)
    pair.settle()
    assert 'B: measured before the last change.' in pair.texts()


def test_contact_sheets_are_as_wide_as_each_other() -> None:
    view = ViewSpec(mode='sheet')
    wide, narrow = (
        Picture(layout.width, layout.height, layout.cell_width, layout.cell_height, margin, layout)
        for layout, margin in ((sheet_layout(view, 25, 104, 104), 20), (sheet_layout(view, 25, 80, 80), 8))
    )
    lead = Placement(wide, Rectangle(0, 0, 600, 600), Rectangle(10, 20, wide.width / 2, wide.height / 2))
    frame = comparing.aligned(lead, narrow, lead.pane).frame
    assert (frame.left, frame.top, frame.width) == (10, 20, wide.width / 2)
    assert frame.height == pytest.approx(wide.height / 2, rel=0.01)

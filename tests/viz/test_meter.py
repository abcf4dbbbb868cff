"""The meter in the window: what it counts, when it begins anew, what it says, and drags in whole pixels."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from imgui_bundle import imgui

from gui_utils.testing import PanelTester
from render.request import FilterSpec, LatentSpec, ModelKey, RenderRequest, SynthesisSpec, ViewSpec
from render.result import Equivariance, ErrorScale, RenderResult
from render.session import LatentState, MeterState, NoiseState, Side, TransformState
from render.session_file import session_from_bytes, session_text
from tests.gui.conftest import tester  # noqa: F401  fixture
from tests.viz.conftest import Rig, sample_request
from tests.viz.fake_renderer import KEY, FakeRenderer, make_info, without
from viz.commands import Command, ResetMeter
from viz.error_overlay import words
from viz.meter_panel import decibel_text, meter_section, sentence
from viz.overlay import probe_text
from viz.running_meter import RunningMeter
from viz.view import Desk, average_subject

SCALE = ErrorScale(10.0, 70.0, np.zeros((1, 256, 4), np.uint8))


def reading(squared: float, count: float = 100.0, metric: str | None = 'eq-t') -> Equivariance:
    """One picture's error."""
    decibels = 10 * math.log10(4 * count / squared) if metric else math.nan
    return Equivariance(
        metric, squared if metric else 0.0, count if metric else 0.0, decibels, 'Whole pixels: feeds EQ-T.'
    )


def answer(x: float, squared: float = 1.0, *, latent: LatentSpec | None = None, **parts: object) -> RenderResult:
    """A picture moved by `x` with its error; `metric` and fields of the synthesis may be given."""
    metric, model = parts.pop('metric', 'eq-t'), parts.pop('model', KEY)
    synthesis = SynthesisSpec(transform=(1.0, 0.0, x, 0.0, 1.0, 0.0), **parts)
    request = RenderRequest(model, latent or LatentSpec(), synthesis, ViewSpec(meter=True))
    return RenderResult(request, image=np.zeros((4, 4, 4), np.uint8), equivariance=reading(squared, metric=metric))


def after(*results: RenderResult) -> RunningMeter:
    meter = RunningMeter()
    for result in results:
        meter = meter.seen(result)
    return meter


def test_errors_are_pooled_before_the_logarithm() -> None:
    pool = after(answer(0.1, 1.0), answer(0.2, 100.0)).pools['eq-t']
    assert pool.pictures == 2 and pool.decibels == pytest.approx(10 * math.log10(4 * 200 / 101))
    assert pool.lowest == pytest.approx(10 * math.log10(4)) and pool.highest == pytest.approx(10 * math.log10(400))


def test_each_metric_has_its_own_pool_and_seeds_share_it() -> None:
    meter = after(answer(0.1), answer(0.2, metric='eq-r'), answer(0.1, latent=LatentSpec(seeds=((5, 1.0),))))
    assert {name: pool.pictures for name, pool in meter.pools.items()} == {'eq-t': 2, 'eq-r': 1}


def test_a_picture_looked_at_in_another_way_is_not_counted_again() -> None:
    first = answer(0.1)
    again = replace(first, request=replace(first.request, view=ViewSpec(error_map=True)))
    meter = after(first)
    assert meter.seen(again) is meter


def test_what_was_not_measured_is_not_counted() -> None:
    meter = after(answer(0.1))
    assert meter.seen(answer(0.2, metric=None)).pools is meter.pools
    assert meter.seen(replace(answer(0.3), equivariance=None)).pools is meter.pools


@pytest.mark.parametrize(
    'other',
    [
        answer(0.2, model=ModelKey('other', 'x')),
        answer(0.2, filters=FilterSpec('nearest')),
        answer(0.2, latent=LatentSpec(truncation=0.5)),
        answer(0.2, latent=LatentSpec(class_index=3)),
        answer(0.2, noise='none'),
    ],
)
def test_another_generator_latent_family_or_filters_begin_anew(other: RenderResult) -> None:
    meter = after(answer(0.1), other)
    assert meter.pools['eq-t'].pictures == 1 and meter.pools['eq-t'].squared == 1.0


def test_after_a_reset_the_shown_picture_is_not_counted_again() -> None:
    cleared = after(answer(0.1)).cleared()
    assert not cleared.seen(answer(0.1)).pools and cleared.seen(answer(0.2)).pools['eq-t'].pictures == 1


def test_the_session_asks_for_the_meter_and_the_map() -> None:
    from render.session import Session, to_request

    session = Session(a=Side(model=KEY), meter=MeterState(error_map=True, gain_db=12.0))
    view = to_request(session).view
    assert (view.meter, view.error_map, view.error_gain_db) == (True, True, 12.0)
    assert not to_request(replace(session, meter=MeterState(enabled=False))).view.meter
    for side in (
        replace(session.a, noise=NoiseState('random', animate=True)), replace(session.a, latent=LatentState(animate=True)),
    ):  # fmt: skip
        view = to_request(replace(session, a=side)).view
        assert (view.meter, view.error_map, view.error_gain_db) == (False, False, 0.0)


def test_the_choices_come_back_from_a_file() -> None:
    from render.session import Session

    session = Session(
        a=Side(model=KEY), meter=MeterState(enabled=False, error_map=True, gain_db=-5.0, whole_pixels=True)
    )
    assert session_from_bytes(session_text(session).encode()) == (session, ())


def test_an_average_does_not_depend_on_the_meter() -> None:
    request = sample_request()
    other = replace(request, view=replace(request.view, meter=False, error_map=True, error_gain_db=3.0))
    assert average_subject(request) == average_subject(other)


@pytest.mark.parametrize(
    ('side', 'info', 'found', 'words_'),
    [
        (Side(), make_info(), reading(1.0), '26.0 dB. Whole pixels: feeds EQ-T.'),
        (Side(), make_info(), Equivariance(sentence='Drag the picture: …'), 'Drag the picture'),
        (Side(), without(make_info(), 'transform'), None, 'Nothing to measure: It has no transform.'),
        (Side(noise=NoiseState('random', animate=True)), make_info(), None, 'noise is new in every picture'),
        (Side(latent=LatentState(animate=True)), make_info(), None, 'latent walks'),
    ],
)
def test_the_panel_says_what_was_measured_or_why_not(
    make_desk: Callable[..., Desk], side: Side, info: object, found: Equivariance | None, words_: str
) -> None:
    result = replace(FakeRenderer({'demo:': info}).render(sample_request()), equivariance=found)
    assert words_ in sentence(MeterState(), side, found, make_desk(result=result))


def test_the_panel_switches_and_resets(
    tester: PanelTester,  # noqa: F811
    make_desk: Callable[..., Desk],
    asked: list[Command],
) -> None:
    desk = make_desk()
    assert not tester.click(meter_section, MeterState(), 'Measure', Side(), desk).enabled
    assert tester.click(meter_section, MeterState(), 'Error', Side(), desk).error_map
    assert tester.click(meter_section, MeterState(), 'Snap', Side(), desk).whole_pixels
    tester.click(meter_section, MeterState(), 'reset the meter', Side(), desk)
    assert asked == [ResetMeter()]


def test_the_panel_shows_the_pooled_numbers(tester: PanelTester, make_desk: Callable[..., Desk]) -> None:  # noqa: F811
    desk = make_desk(meter=after(answer(0.1, 1.0), answer(0.2, 4.0, metric='eq-r')))
    tester.run(meter_section, MeterState(), Side(), desk)
    assert decibel_text(desk.side.meter.pools['eq-r'].decibels) == '20.0 dB'
    assert decibel_text(math.nan) == '–' and decibel_text(math.inf) == 'no error'


def test_the_probe_reads_the_error() -> None:
    errors = np.full((1, 4, 4), np.nan, np.float32)
    errors[0, 1, 2] = 0.02
    result = replace(answer(0.1), values=errors, equivariance=replace(reading(1.0), scale=SCALE))
    assert 'error 0.02  40.0 dB' in probe_text(result, 2, 1)
    assert 'not known in both pictures' in probe_text(result, 0, 0)


def test_over_the_picture_stands_its_number_or_why_the_map_has_none() -> None:
    assert words(reading(1.0), is_map=False) == 'EQ-T  26.0 dB'
    why = Equivariance(sentence='Drag the picture.')
    assert words(why, is_map=True) == 'Drag the picture.' and words(why, is_map=False) == ''


def test_the_key_shows_the_map_and_undo_takes_it_back(rig: Rig) -> None:
    rig.driver.keys(imgui.Key.m)
    rig.settle()
    assert rig.app.session.meter.error_map and rig.renderer.rendered[-1].view.error_map
    rig.driver.step(60)
    rig.driver.keys(imgui.Key.z, ctrl=True)
    rig.settle()
    assert not rig.app.session.meter.error_map


def test_in_whole_pixels_the_picture_follows_without_losing_the_hand(rig: Rig) -> None:
    rig.app.session = replace(rig.app.session, meter=MeterState(whole_pixels=True))
    rig.driver.drag('Picture/picture a', by=(37, -21))
    x, y = rig.side.transform.x * 256, rig.side.transform.y * 256
    assert x == round(x) and y == round(y) and (x, y) != (0, 0)
    rig.change(transform=TransformState())
    rig.app.session = replace(rig.app.session, meter=MeterState())
    rig.driver.drag('Picture/picture a', by=(37, -21))
    assert abs(rig.side.transform.x * 256 - x) <= 0.51 and abs(rig.side.transform.y * 256 - y) <= 0.51


def test_the_reset_clears_what_the_active_side_has_seen(rig: Rig) -> None:
    known = rig.app.view.a
    rig.app.view = rig.app.view.with_side('a', replace(known, meter=after(answer(0.1))))
    rig.app.desk().ask(ResetMeter())
    rig.driver.step()
    assert not rig.app.view.a.meter.pools

"""What the window says about how long a picture takes."""

from dataclasses import replace

import pytest

from render.request import Part
from render.result import Pace, RenderResult
from tests.viz.conftest import sample_request
from viz.hints import render_time
from viz.measure import Speed

REQUEST = sample_request()
PART = replace(REQUEST, synthesis=replace(REQUEST.synthesis, part=Part(0, 0, 64, 64)))
LAYER = replace(REQUEST, synthesis=replace(REQUEST.synthesis, layer='synthesis.L1'))


def took(seconds: float, pace: Pace = 'steady', *, request=REQUEST) -> RenderResult:
    return RenderResult(request, seconds=seconds, pace=pace)


def speed_after(*results: RenderResult) -> Speed:
    speed = Speed()
    for result in results:
        speed = speed.noted(result)
    return speed


def test_before_a_picture_no_time_is_said() -> None:
    assert render_time(Speed()) == ''


def test_the_time_of_a_first_picture_says_that_it_is_one() -> None:
    assert render_time(speed_after(took(0.193, 'first'))) == 'first picture 193 ms'


def test_the_first_time_does_not_weigh_on_the_next_ones() -> None:
    assert render_time(speed_after(took(1.2, 'first'), took(0.006))) == '6.0 ms'


def test_the_time_is_a_mean_that_later_first_pictures_leave_alone() -> None:
    speed = speed_after(took(0.010), took(0.3, 'first'), took(0.020))
    assert speed.whole_seconds == pytest.approx(0.012) and not speed.is_first


def test_a_picture_that_was_remembered_says_nothing_about_the_time() -> None:
    assert speed_after(took(0.65), *[took(0.001, 'remembered')] * 9).whole_seconds == 0.65


def test_each_layer_has_its_own_time() -> None:
    assert speed_after(took(0.65), took(0.2, request=LAYER)).whole_seconds == 0.2


def test_parts_have_their_own_time() -> None:
    speed = speed_after(took(0.65), took(0.3, 'first', request=PART), took(0.08, request=PART))
    assert (speed.whole_seconds, speed.part_seconds) == (0.65, 0.08)

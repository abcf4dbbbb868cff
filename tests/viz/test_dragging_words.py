"""What the canvas says while the hand is faster than the network."""

from dataclasses import replace

import pytest

from render.request import Part
from render.result import RenderResult
from tests.viz.conftest import sample_request
from viz.dragging import part_request
from viz.measure import Speed
from viz.overlay import waiting_words
from viz.view import SideView

WHOLE = RenderResult(sample_request(), why_no_parts='It has none.')


@pytest.mark.parametrize(
    ('seconds', 'words'), [(0.0, 'rendering…'), (0.05, 'rendering…'), (0.31, 'full · 3.2 /s'), (4.0, 'full · 0.25 /s')]
)
def test_a_model_that_cannot_follow_the_hand_says_that_each_picture_is_the_full_one(seconds: float, words: str) -> None:
    assert waiting_words(SideView(WHOLE, speed=Speed(whole_seconds=seconds)))[0][0] == words


def test_whole_pictures_say_why_there_are_no_parts() -> None:
    assert waiting_words(SideView(WHOLE, speed=Speed(whole_seconds=1.0)))[1].endswith('It has none.')


def test_a_part_says_that_it_is_one_and_that_the_whole_follows_when_the_hand_rests() -> None:
    asked = replace(WHOLE.request, synthesis=replace(WHOLE.request.synthesis, transform=(1, 0, 0.1, 0, 1, 0)))
    sent = part_request(asked, Part(0, 0, 64, 64))
    speed = Speed(whole_seconds=1.0, part_seconds=0.102)
    dragged = SideView(WHOLE, part=RenderResult(sent), asked=asked, sent=sent, speed=speed)
    assert waiting_words(dragged)[0][0] == 'exact part · 9.8 /s'
    assert waiting_words(replace(dragged, sent=asked))[0][0] == 'exact part · whole follows'
    assert waiting_words(replace(dragged, asked=WHOLE.request))[0][0].startswith('full'), 'the whole is current'

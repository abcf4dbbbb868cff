"""Parts of the picture while a hand drags a model that cannot follow it: the policy alone, then in a whole application."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from imgui_bundle import imgui

from render.request import Part, RenderRequest, SpectrumSpec
from render.result import PartSize, RenderResult
from render.session import LatentState, LayerState, Session, Side, to_request
from tests.viz.conftest import Rig
from tests.viz.fake_renderer import KEY
from viz.dragging import REST_SECONDS, Dragging, Pace, place_part
from viz.hand import Grip
from viz.meter_panel import WAITS
from viz.overlay import waiting_words
from viz.view import SideView

SIZES = (PartSize(128, 2.0), PartSize(64, 8.0))
HELD = Grip(held=True)


def request_at(x: float, **side: object) -> RenderRequest:
    session = Session(a=Side(model=KEY, **side))
    request = to_request(session)
    assert request is not None
    return replace(request, synthesis=replace(request.synthesis, transform=(1, 0, x, 0, 1, 0)))


def whole(request: RenderRequest, seconds: float = 0.2, **changes: object) -> RenderResult:
    image = np.zeros((256, 256, 4), np.uint8)
    return replace(RenderResult(request, image=image, seconds=seconds, part_sizes=SIZES), **changes)


class Drag:
    """One side whose hand is moved step by step."""

    def __init__(self, session: Session | None = None, *, seconds: float = 0.2) -> None:
        self.session = session or Session(a=Side(model=KEY))
        self.policy, self.now = Dragging(), 0.0
        first = whole(request_at(0), seconds)
        self.known = SideView().answered(first)
        self.policy.note('a', first)
        self.ask(request_at(0), Grip())

    def ask(self, request: RenderRequest, grip: Grip = HELD, *, after: float = 0.02) -> RenderRequest:
        self.now += after
        wanted = self.policy.wanted(self.session, 'a', request, self.known, grip, self.now)
        assert wanted is not None
        return wanted


def test_a_hand_that_drags_a_slow_model_gets_the_largest_part_that_follows_it() -> None:
    assert Drag(seconds=0.09).ask(request_at(0.1)).synthesis.part == Part(64, 64, 128, 128)
    assert Drag(seconds=0.2).ask(request_at(0.1)).synthesis.part == Part(96, 96, 64, 64)
    assert Drag(seconds=9.0).ask(request_at(0.1)).synthesis.part == Part(96, 96, 64, 64), 'else the smallest'


def test_a_fast_model_gets_whole_pictures() -> None:
    request = request_at(0.1)
    assert Drag(seconds=0.049).ask(request) is request


def test_parts_that_spare_too_little_are_not_asked_for() -> None:
    drag = Drag()
    drag.policy.note('a', whole(request_at(0.01), part_sizes=(PartSize(128, 1.2), PartSize(64, 1.4))))
    request = request_at(0.1)
    assert drag.ask(request) is request


def test_the_whole_picture_follows_as_soon_as_the_hand_lets_go() -> None:
    drag, request = Drag(), request_at(0.1)
    assert drag.ask(request).synthesis.part is not None
    assert drag.ask(request, Grip()) is request


def test_the_whole_picture_follows_when_the_hand_rests_and_parts_when_it_moves_on() -> None:
    drag, request = Drag(), request_at(0.1)
    first = drag.ask(request)
    assert drag.ask(request, after=0.9 * REST_SECONDS) is first and drag.policy.is_waiting
    assert drag.ask(request, after=0.2 * REST_SECONDS) is request and not drag.policy.is_waiting
    assert drag.ask(request_at(0.2)).synthesis.part == first.synthesis.part


def test_a_part_is_asked_for_without_measuring() -> None:
    view = Drag().ask(request_at(0.1)).view
    assert request_at(0.1).view.spectrum == SpectrumSpec() and request_at(0.1).view.meter
    assert view.spectrum is None and not view.meter and view.response_layer is None


def test_without_a_hand_every_picture_is_whole() -> None:
    request = request_at(0.1)
    assert Drag().ask(request, Grip()) is request


def test_the_part_lies_where_the_mouse_grabbed_the_picture_for_as_long_as_it_holds_it() -> None:
    drag = Drag()
    assert drag.ask(request_at(0.1), Grip(True, (250, 3))).synthesis.part == Part(192, 0, 64, 64)
    assert drag.ask(request_at(0.2), Grip(True, (10, 200))).synthesis.part == Part(192, 0, 64, 64)
    drag.ask(request_at(0.2), Grip())
    assert drag.ask(request_at(0.3), Grip(True, (10, 200))).synthesis.part == Part(0, 160, 64, 64)


@pytest.mark.parametrize('pixel', [(0, 0), (255, 255), (100, 7), (131, 250), None])
def test_a_part_lies_on_its_grid_inside_the_picture_and_around_the_pixel(pixel: tuple[int, int] | None) -> None:
    part = place_part(64, 256, 192, pixel)
    assert part.left % 16 == part.top % 16 == 0
    assert 0 <= part.left <= 256 - 64 and 0 <= part.top <= 192 - 64
    if pixel is not None and pixel[1] < 192:
        assert part.left <= pixel[0] < part.left + 64 and part.top <= pixel[1] < part.top + 64


LAYER = LayerState(layer='synthesis.L5_52_32')


@pytest.mark.parametrize(
    'change',
    [
        lambda s: replace(s, performance=replace(s.performance, dragging='whole')),
        lambda s: replace(s, b=Side(model=KEY)),
        lambda s: replace(s, compare=replace(s.compare, original=True)),
        lambda s: replace(s, a=replace(s.a, layer=LAYER)),
        lambda s: replace(s, meter=replace(s.meter, error_map=True)),
        lambda s: replace(s, canvas=replace(s.canvas, undo_transform=True)),
        lambda s: replace(s, a=replace(s.a, latent=LatentState(animate=True))),
    ],
    ids=['switched off', 'two sides', 'the original beside it', 'a layer', 'error map', 'untransformed', 'animated'],
)  # fmt: skip
def test_what_needs_the_whole_picture_gets_it(change: object) -> None:
    session = change(Session(a=Side(model=KEY)))  # type: ignore[operator]
    request = to_request(session)
    assert request is not None
    moved = replace(request, synthesis=replace(request.synthesis, transform=(1, 0, 0.2, 0, 1, 0)))
    assert Drag(session).ask(moved) is moved


def test_another_model_is_never_asked_for_in_part_over_the_old_one() -> None:
    other = replace(request_at(0.1), model=replace(KEY, sha256='def'))
    assert Drag().ask(other) is other


def test_predictions_are_corrected_by_what_parts_took() -> None:
    pace = Pace()
    pace.note(whole(request_at(0), 0.16))
    assert pace.choose() == SIZES[1]
    part = replace(request_at(0.1), synthesis=replace(request_at(0.1).synthesis, part=Part(0, 0, 64, 64)))
    pace.note(whole(part, 0.16 / 8 * 6))
    assert pace.choose() is None, 'measured, the part gains only 1.3'


def test_a_whole_picture_that_was_at_hand_says_nothing_about_the_pace() -> None:
    pace = Pace()
    pace.note(whole(request_at(0), 0.2))
    pace.note(whole(request_at(0), 0.001, pace='remembered'))
    assert pace.whole_seconds == 0.2


def test_times_from_while_kernels_were_compiled_are_forgotten() -> None:
    pace = Pace()
    pace.note(whole(request_at(0), 2.0, provisional=True, pace='first'))
    assert pace.whole_seconds == 2.0
    pace.note(whole(request_at(0), 0.03))
    assert pace.whole_seconds == 0.03


# The application


@pytest.fixture
def slow(rig: Rig) -> Iterator[Rig]:
    """An application whose generator takes 0.2 seconds and has parts."""
    rig.renderer.seconds, rig.renderer.part_sizes = 0.2, SIZES
    rig.change(latent=LatentState(x=1.0))
    yield rig


def part_shown(rig: Rig) -> RenderResult:
    """Drive until a part of what is asked is shown."""
    for _ in range(50):
        rig.driver.step()
        shown = rig.app.view.a.shown_part
        if shown is not None and shown.request.synthesis.transform == rig.app.view.a.asked.synthesis.transform:
            return shown
        assert rig.worker.wait(20)
    raise AssertionError('no part is shown')


def badge(rig: Rig) -> str:
    """What the right end of the toolbar says, or would say if the next picture took a while."""
    return waiting_words(rig.app.view.a)[0][0]


def grab(rig: Rig, *, by: float = 40.0) -> None:
    """Press in the middle of the picture and move."""
    rig.driver.hover('Picture/picture a')
    mouse = imgui.get_mouse_pos()
    rig.driver.press()
    rig.driver.move((mouse.x + by, mouse.y))


@pytest.mark.display
def test_while_the_hand_drags_a_part_lies_on_the_dimmed_picture_and_then_the_whole_comes(slow: Rig) -> None:
    before = slow.app.view.a.result
    grab(slow)
    part = part_shown(slow)
    assert part.part == Part(96, 96, 64, 64) and part.image.shape == (64, 64, 4)
    assert slow.app.view.a.result is before, 'meters, spectra and captures still have the whole picture'
    assert not slow.app.is_current and badge(slow) == 'exact part · 40 /s'
    slow.driver.release()
    slow.settle()
    assert slow.app.view.a.shown_part is None and slow.app.view.a.result.part is None
    assert slow.app.view.a.result.request.synthesis.transform[2] > 0
    assert badge(slow).startswith('full')


@pytest.mark.display
def test_nothing_is_measured_of_a_part(slow: Rig) -> None:
    seen = slow.app.view.a.meter
    grab(slow)
    part_shown(slow)
    assert slow.app.view.a.meter is seen and slow.app.view.a.speed.whole_seconds > 0.04, 'parts take 0.025 seconds'
    assert any(WAITS[:20] in text for text in slow.driver.texts())
    slow.driver.release()


@pytest.mark.display
def test_a_picture_that_is_saved_during_a_drag_is_the_whole_one(slow: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(slow.app.captures, 'write', lambda path, pixels, session: written.append(pixels.shape))
    grab(slow)
    part_shown(slow)
    slow.app.captures.wants_picture = True
    slow.driver.step(3)
    assert not written
    slow.driver.release()
    slow.settle()
    slow.driver.step()
    assert written == [(256, 256, 4)]


@pytest.mark.display
def test_a_held_key_moves_parts_too(slow: Rig) -> None:
    slow.driver.hover('Picture/picture a')
    imgui.get_io().add_key_event(imgui.Key.right_arrow, True)
    slow.driver.step()
    assert part_shown(slow).part == Part(96, 96, 64, 64)
    imgui.get_io().add_key_event(imgui.Key.right_arrow, False)
    slow.settle()
    assert slow.app.view.a.result.part is None


@pytest.mark.display
def test_undoing_a_drag_in_parts_gives_the_picture_before(slow: Rig) -> None:
    grab(slow)
    part_shown(slow)
    slow.driver.release()
    slow.settle()
    slow.driver.keys(imgui.Key.z, ctrl=True)
    slow.settle()
    assert slow.side.transform.x == 0 and slow.app.view.a.result.request.synthesis.transform[2] == 0

"""Gestures and keys on the picture of a whole application."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from imgui_bundle import imgui

from render.session import TransformState
from tests.viz.conftest import Rig
from tests.viz.fake_renderer import make_info, make_layers, without
from viz import geometry, overlay
from viz.application import HINT_SECONDS
from viz.geometry import Placement
from viz.pane import checkerboard

pytestmark = pytest.mark.display
Key = imgui.Key
MIDDLE = 2


def placement(rig: Rig) -> Placement:
    """Where the picture lies just now."""
    rig.driver.step()
    item = rig.driver.find('Picture/picture a')
    pane = geometry.Rectangle(*item.low, item.high[0] - item.low[0], item.high[1] - item.low[1])
    picture = geometry.picture_of(rig.app.view.a.result)
    assert picture is not None
    return geometry.place(pane, picture, rig.app.session.canvas)


def hold(rig: Rig, key: imgui.Key, *, down: bool) -> None:
    imgui.get_io().add_key_event(key, down)
    rig.driver.step()


def test_dragging_moves_the_picture_with_the_hand(rig: Rig) -> None:
    width = placement(rig).canvas.width
    rig.driver.drag('Picture/picture a', by=(40, -25), steps=5)
    assert (rig.side.transform.x, rig.side.transform.y) == pytest.approx((40 / width, -25 / width))
    rig.settle()
    assert rig.app.view.a.result.request.synthesis.transform[2] == pytest.approx(40 / width)


def test_the_way_to_where_the_mouse_is_pressed_moves_nothing(rig: Rig) -> None:
    middle = placement(rig).canvas.center
    rig.driver.move((middle[0] - 50, middle[1]))
    imgui.get_io().add_mouse_pos_event(*middle)  # together with the press, as from a touch screen or in a slow window
    rig.driver.press()
    assert (rig.side.transform.x, rig.side.transform.y) == (0.0, 0.0)
    rig.driver.move((middle[0] + 10, middle[1]))
    rig.driver.release()
    assert rig.side.transform.x == pytest.approx(10 / placement(rig).canvas.width)


def test_dragging_follows_the_hand_when_zoomed_and_in_layers_with_margins(rig: Rig) -> None:
    rig.change(layer=replace(rig.side.layer, layer='synthesis.L5_52_32'))
    rig.app.session = replace(rig.app.session, canvas=replace(rig.app.session.canvas, zoom=1.5))
    place = placement(rig)
    assert place.canvas.width == pytest.approx(32 * place.pixel)
    rig.driver.drag('Picture/picture a', by=(30, 0))
    assert rig.side.transform.x == pytest.approx(30 / place.canvas.width)


@pytest.mark.parametrize('modifier', [Key.mod_ctrl, Key.mod_shift])
def test_with_a_modifier_the_picture_turns_with_the_hand(rig: Rig, modifier: imgui.Key) -> None:
    center, radius = placement(rig).canvas.center, 120
    rig.driver.move((center[0] + radius, center[1]))
    hold(rig, modifier, down=True)
    rig.driver.press()
    for step in range(1, 7):
        angle = math.radians(5 * step)
        rig.driver.move((center[0] + radius * math.cos(angle), center[1] - radius * math.sin(angle)))
    rig.driver.release()
    hold(rig, modifier, down=False)
    assert rig.side.transform.degrees == pytest.approx(30, abs=1)
    assert rig.side.transform.x == 0


def test_the_ring_near_the_border_turns_without_a_modifier(rig: Rig) -> None:
    place = placement(rig)
    x, y = place.canvas.center
    radius = geometry.ring_radius(place)
    rig.driver.move((x, y - radius))
    rig.driver.press()
    rig.driver.move((x - radius, y))
    rig.driver.release()
    assert rig.side.transform.degrees == pytest.approx(90, abs=1)


def test_the_wheel_zooms_at_the_mouse(rig: Rig) -> None:
    rig.driver.wheel('Picture/picture a', 2, at=(0.4, 0.4))
    canvas = rig.app.session.canvas
    assert canvas.zoom == pytest.approx(geometry.WHEEL_STEP**2)
    assert canvas.pan_x > 0, 'the picture grows away from the mouse'
    assert rig.side.transform == TransformState()


@pytest.mark.parametrize('button', [MIDDLE, 0])
def test_the_middle_button_or_space_moves_the_view(rig: Rig, button: int) -> None:
    if button == 0:
        rig.driver.hover('Picture/picture a')
        hold(rig, Key.space, down=True)
    rig.driver.drag('Picture/picture a', by=(50, 0), button=button)
    if button == 0:
        hold(rig, Key.space, down=False)
        rig.driver.step()
        assert not rig.side.latent.animate, 'a space that panned does not start the animation'
    assert rig.app.session.canvas.pan_x > 0
    assert rig.side.transform == TransformState()


def test_a_double_click_resets_the_transform(rig: Rig) -> None:
    rig.change(transform=TransformState(x=0.2, degrees=30))
    rig.driver.double_click('Picture/picture a')
    assert rig.side.transform == TransformState()


def test_without_a_transform_dragging_walks_through_latents(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(infos={'demo:': without(make_info(family='stylegan2'), 'transform')})
    rig.open()
    assert overlay.HINT_WITHOUT_TRANSFORM in rig.texts() or rig.app.session.window.hint_seen is False
    rig.driver.drag('Picture/picture a', by=(-100, 0))
    assert rig.side.latent.x > 0 and rig.side.transform == TransformState()


@pytest.mark.parametrize(
    ('key', 'shift', 'expected'),
    [
        (Key.right_arrow, False, TransformState(x=8 / 256)),
        (Key.left_arrow, True, TransformState(x=-1 / 256)),
        (Key.up_arrow, False, TransformState(y=-8 / 256)),
        (Key.down_arrow, True, TransformState(y=1 / 256)),
        (Key.q, False, TransformState(degrees=5)),
        (Key.e, False, TransformState(degrees=-5)),
    ],
)
def test_keys_move_the_picture(rig: Rig, key: imgui.Key, shift: bool, expected: TransformState) -> None:
    rig.driver.keys(key, shift=shift)
    assert rig.side.transform == expected


def test_keys_look_and_choose(rig: Rig) -> None:
    rig.driver.keys(Key.n)
    rig.driver.keys(Key.right_bracket)
    rig.driver.keys(Key.right_bracket)
    rig.driver.keys(Key.period)
    assert rig.side.latent.x == 1 and rig.side.layer.layer == 'synthesis.L0_36_64' and rig.side.layer.channel == 3
    rig.driver.keys(Key.p)
    rig.driver.keys(Key.left_bracket)
    rig.driver.keys(Key.comma)
    assert rig.side.latent.x == 0 and rig.side.layer.layer == 'synthesis.input' and rig.side.layer.channel == 0
    rig.driver.keys(Key.u)
    rig.driver.keys(Key.o)
    rig.driver.keys(Key.equal)
    canvas = rig.app.session.canvas
    assert canvas.undo_transform and canvas.outline and canvas.zoom > 1
    rig.driver.keys(Key._0)
    assert rig.app.session.canvas.zoom == 1


def test_space_starts_and_stops_the_animation(rig: Rig) -> None:
    rig.driver.keys(Key.space)
    rig.driver.step(3)
    assert rig.side.latent.animate and rig.side.latent.x > 0
    rig.driver.keys(Key.space)
    assert not rig.side.latent.animate


def test_typing_a_path_presses_no_shortcut(rig: Rig) -> None:
    rig.driver.type('Latent/Seed', '7', enter=False)
    rig.driver.write('neq')
    assert rig.side.transform == TransformState()


def test_over_the_layer_list_the_arrow_keys_choose_layers(rig: Rig) -> None:
    rig.driver.click('Layers/L3_52_32')
    rig.driver.keys(Key.down_arrow)
    assert rig.side.layer.layer == 'synthesis.L4_52_32' and rig.side.transform == TransformState()
    assert rig.side.filters.response_layer == 'synthesis.L4_52_32', 'the filter plot follows'


def test_the_probe_reads_place_and_value(rig: Rig) -> None:
    place = placement(rig)
    x, y = place.frame.left + 10.5 * place.pixel, place.frame.top + 20.5 * place.pixel
    rig.driver.move((x, y))
    result = rig.app.view.a.result
    text = overlay.probe_text(result, 10, 20)
    assert text.startswith('10, 20   (0.041, 0.080)')
    assert f'R {result.values[0, 20, 10]:+.4g}' in text
    assert overlay.probe_text(result, 256, 0) == ''


def test_where_the_probe_has_no_room_a_number_stays_with_its_name(rig: Rig) -> None:
    text = '45, 37   (0.711, 0.586)   R +0.6326  G +0.4556  B +0.2365'
    for width in range(40, 500, 20):
        lines = overlay.wrapped(text, float(width), between='  ').split('\n')
        assert '  '.join(lines).split() == text.split() and all(line == line.strip() for line in lines)
        assert {'R +0.6326', 'G +0.4556', 'B +0.2365', '45, 37'} <= {
            part.strip() for line in lines for part in line.split('  ')
        }


def test_the_probe_covers_neither_the_error_nor_its_scale() -> None:
    beside, below, under_scale = 0.9, 2.8, 5.6
    assert overlay.probe_top(0, 10.0, 6.0, has_scale=False) == beside
    assert overlay.probe_top(0, 5.0, 6.0, has_scale=False) == pytest.approx(below)
    assert overlay.probe_top(0, 5.0, 6.0, has_scale=True) == under_scale
    assert overlay.probe_top(1, 20.0, 6.0, has_scale=True) == pytest.approx(below), 'there is room beside the scale'


def test_the_probe_names_channels_and_canvas_coordinates_of_a_layer(rig: Rig) -> None:
    rig.change(layer=replace(rig.side.layer, layer='synthesis.L5_52_32', channel=7))
    result = rig.app.view.a.result
    text = overlay.probe_text(result, 10, 26)
    assert text.startswith('10, 26   (0.016, 0.516)') and '#7: ' in text and '#9: ' in text


def test_the_probe_finds_the_channel_in_a_contact_sheet(rig: Rig) -> None:
    rig.change(layer=replace(rig.side.layer, layer='synthesis.L5_52_32', mode='sheet'))
    result = rig.app.view.a.result
    assert 'channel 7: ' in overlay.probe_text(result, 53 + 5, 53 + 5)
    assert overlay.probe_text(result, 52, 0) == '', 'a line between two cells'


def test_an_undone_transform_shows_what_is_not_known(seeing_rig: Rig) -> None:
    rig = seeing_rig
    rig.change(transform=TransformState(x=0.2))
    place = placement(rig)
    rig.driver.move((1, 1))
    before = rig.driver.pixels()
    rig.driver.keys(Key.u)
    rig.settle()
    after = rig.driver.pixels()
    row, column = int(place.frame.center[1]), int(place.frame.left) + 5
    assert len({tuple(pixel) for pixel in after[row - 40 : row + 40, column]}) == 2, 'two greys of a checkerboard'
    assert (before[row, column] != after[row, column]).any()


def test_a_checkerboard_has_two_greys() -> None:
    board = checkerboard(4, 3)
    assert board.shape == (3, 4, 4) and (board[0, 0] == board[1, 1]).all() and (board[0, 0] != board[0, 1]).any()


def test_the_outline_shows_the_canvas_inside_the_margins(seeing_rig: Rig) -> None:
    rig = seeing_rig
    rig.change(layer=replace(rig.side.layer, layer='synthesis.L5_52_32'))
    rig.driver.move((1, 1))
    place = placement(rig)
    before = rig.driver.pixels().astype(int)
    rig.driver.keys(Key.o)
    changed = (rig.driver.pixels().astype(int) != before).any(axis=2)
    left, middle = round(place.canvas.left), round(place.canvas.center[1])
    assert changed[middle, left - 1 : left + 2].any()
    assert not changed[middle, left + 10]


def test_the_first_run_hint_goes_when_it_was_followed(rig: Rig) -> None:
    assert not rig.app.session.window.hint_seen
    rig.driver.drag('Picture/picture a', by=(10, 0))
    rig.driver.step()
    assert rig.app.session.window.hint_seen


def test_after_the_first_drag_a_second_hint_shows_for_a_while_or_until_it_is_followed(rig: Rig) -> None:
    assert overlay.HINT in said_first(rig)
    rig.driver.drag('Picture/picture a', by=(10, 0))
    rig.driver.step()
    assert overlay.NEXT_HINT in said_first(rig)
    rig.driver.keys(Key.m)
    assert said_first(rig) == ''
    rig.driver.keys(Key.m)
    rig.app.view = replace(rig.app.view, seconds=rig.app.view.seconds + HINT_SECONDS)
    assert said_first(rig) == ''


def said_first(rig: Rig) -> str:
    return overlay.first_hint(rig.app.session, rig.app.desk(), rig.app._hand)


def test_two_sides_move_together_and_the_clicked_one_is_edited(rig: Rig) -> None:
    rig.driver.click('View')
    rig.driver.click('Compare two generators')
    rig.settle()
    assert rig.app.session.b is not None and rig.app.session.active == 'b'
    rig.driver.drag('Picture/picture a', by=(30, 0))
    session = rig.app.session
    assert session.active == 'a' and session.a.transform == session.b.transform != TransformState()
    rig.settle()
    assert rig.app.view.a.result.request.synthesis == rig.app.view.b.result.request.synthesis


def test_radial_generators_are_announced(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(infos={'demo:': make_info(layers=make_layers(radial=True))})
    rig.open()
    assert 'texture should follow shifts and turns' in rig.texts()

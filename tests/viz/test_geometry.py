"""Hand and picture: one pixel of hand is one pixel of picture."""

import math
from dataclasses import replace

import pytest

from render.session import CanvasState, LatentState, TransformState, affine
from viz import geometry
from viz.geometry import Picture, Placement, Rectangle, place

PANE = Rectangle(100, 50, 800, 600)
IMAGE = Picture(64, 64, 64, 64)


def moved_point(state: TransformState, x: float, y: float) -> tuple[float, float]:
    """Where the image's point (x, y), in widths from its centre, is after the transform."""
    a, b, tx, c, d, ty = affine(state)
    return a * x + b * y + tx, c * x + d * y + ty


def on_screen(placement: Placement, point: tuple[float, float]) -> tuple[float, float]:
    canvas = placement.canvas
    return canvas.center[0] + point[0] * canvas.width, canvas.center[1] + point[1] * canvas.width


def test_a_picture_that_fits_is_enlarged_by_a_whole_number() -> None:
    placement = place(PANE, IMAGE, CanvasState())
    assert placement.pixel == 9
    assert placement.frame.center == pytest.approx(PANE.center)


def test_a_picture_larger_than_the_pane_is_reduced_to_fit() -> None:
    placement = place(PANE, Picture(1024, 1024, 1024, 1024), CanvasState())
    assert placement.frame.height == pytest.approx(600 * 0.96)


@pytest.mark.parametrize('zoom', [0.5, 1.0, 3.7])
@pytest.mark.parametrize('margin', [0, 10])
def test_a_point_of_the_picture_follows_the_hand_exactly(zoom: float, margin: int) -> None:
    placement = place(PANE, replace(IMAGE, margin=margin), CanvasState(zoom=zoom))
    before = TransformState(x=0.1, y=-0.2, degrees=30, scale=1.5)
    after = geometry.translated(before, 17, -5, placement)
    first, second = (on_screen(placement, moved_point(state, 0.2, 0.1)) for state in (before, after))
    assert (second[0] - first[0], second[1] - first[1]) == pytest.approx((17, -5))


def test_a_point_of_the_picture_turns_with_the_hand() -> None:
    placement = place(PANE, IMAGE, CanvasState())
    before = TransformState(x=0.1, y=0.05, degrees=10)
    point = on_screen(placement, moved_point(before, 0.3, 0.0))
    x, y = geometry.pivot(before, placement)
    radius, angle = math.hypot(point[0] - x, point[1] - y), math.atan2(point[1] - y, point[0] - x) + 0.7
    target = (x + radius * math.cos(angle), y + radius * math.sin(angle))
    after = geometry.rotated(before, point, target, placement)
    assert on_screen(placement, moved_point(after, 0.3, 0.0)) == pytest.approx(target)


def test_turning_never_leaves_half_a_turn() -> None:
    assert geometry.wrap_degrees(190) == -170
    assert geometry.wrap_degrees(-180) == -180


def test_zooming_keeps_what_is_below_the_mouse() -> None:
    view, mouse = CanvasState(pan_x=0.1, pan_y=-0.2), (333.0, 222.0)
    before = place(PANE, IMAGE, view)
    share = (mouse[0] - before.frame.left) / before.frame.width, (mouse[1] - before.frame.top) / before.frame.height
    after = place(PANE, IMAGE, geometry.zoomed(view, 1.7, before, mouse))
    assert after.frame.width == pytest.approx(1.7 * before.frame.width)
    assert after.frame.left + share[0] * after.frame.width == pytest.approx(mouse[0], abs=1)
    assert after.frame.top + share[1] * after.frame.height == pytest.approx(mouse[1], abs=1)


def test_zoom_has_limits() -> None:
    placement = place(PANE, IMAGE, CanvasState())
    assert geometry.zoomed(CanvasState(), 1e9, placement, PANE.center).zoom == geometry.ZOOM_RANGE[1]
    assert geometry.zoomed(CanvasState(), 1e-9, placement, PANE.center).zoom == geometry.ZOOM_RANGE[0]


def test_panning_moves_the_picture_with_the_hand() -> None:
    view = CanvasState(zoom=2.0)
    before = place(PANE, IMAGE, view)
    after = place(PANE, IMAGE, geometry.panned(view, 30, -12, before))
    assert (after.frame.left - before.frame.left, after.frame.top - before.frame.top) == (30, -12)


def test_fitting_forgets_zoom_and_pan_only() -> None:
    view = CanvasState(zoom=3, pan_x=1, pan_y=2, outline=True)
    assert geometry.fitted(view) == CanvasState(outline=True)


def test_the_pixel_below_the_mouse() -> None:
    placement = place(PANE, IMAGE, CanvasState())
    frame = placement.frame
    assert placement.pixel_at(frame.left + 9 * 5 + 4, frame.top + 1) == (5, 0)
    assert placement.pixel_at(frame.left - 1, frame.top) is None
    assert placement.pixel_at(frame.right - 0.01, frame.bottom - 0.01) == (63, 63)


def test_walking_moves_the_lattice_with_the_hand() -> None:
    after = geometry.walked(LatentState(x=5, y=5), 600, 0, PANE)
    assert (after.x, after.y) == (5 - geometry.SEEDS_PER_PANE, 5)


def test_in_a_contact_sheet_the_first_cell_is_the_canvas() -> None:
    from render.request import LatentSpec, RenderRequest, SynthesisSpec, ViewSpec
    from tests.viz.fake_renderer import KEY, FakeRenderer

    request = RenderRequest(KEY, LatentSpec(), SynthesisSpec(layer='synthesis.L5_52_32'), ViewSpec(mode='sheet'))
    picture = geometry.picture_of(FakeRenderer().render(request))
    assert picture is not None and picture.margin == 10
    assert (picture.width, picture.cell_width) == (6 * 53 - 1, 52)
    placement = place(PANE, picture, CanvasState())
    assert placement.canvas.width == pytest.approx(32 * placement.pixel)

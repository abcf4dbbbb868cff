"""Plots: what is under the mouse, which limits hold, which colours numbers get."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from imgui_bundle import imgui, implot

from gui_utils import plots, widgets
from gui_utils.testing import NoTextures, PanelTester
from gui_utils.theme import BACKGROUND, MUTED, PANEL, SERIES, TEXT, Colour

FREQUENCY = np.linspace(0, 128, 65)
CURVE = plots.Series('own', -FREQUENCY / 2, FREQUENCY)


def curves(state: float | None, x_limits: plots.Limits = (0, 128)) -> float | None:
    """Returns the x under the mouse."""
    return plots.line_plot(
        'Response',
        [CURVE, plots.Series('sinc', -FREQUENCY, FREQUENCY)],
        x_label='cycles per image width',
        y_label='dB',
        x_limits=x_limits,
        y_limits=(-80, 0),
        markers=(plots.Marker(30, 'f_c'), plots.Marker(33, 'f_t'), plots.Marker(64, 's/2')),
    )


def test_a_plot_says_which_x_is_under_the_mouse(tester: PanelTester) -> None:
    assert tester.run(curves, None) is None
    quarter = tester._with(curves, None, (), lambda: tester.hover('Response', at=(0.25, 0.5)))
    assert quarter == pytest.approx(32, abs=0.5)


def test_a_dragged_plot_returns_to_its_limits_at_a_double_click(tester: PanelTester) -> None:
    tester.drag(curves, None, 'Response', by=(60, 0))
    moved = tester._with(curves, None, (), lambda: tester.hover('Response', at=(0.25, 0.5)))
    assert moved is not None
    assert moved < 25
    tester.double_click(curves, None, 'Response')
    back = tester._with(curves, None, (), lambda: tester.hover('Response', at=(0.25, 0.5)))
    assert back == pytest.approx(32, abs=0.5)


def test_other_limits_win_over_a_zoom(tester: PanelTester) -> None:
    tester.drag(curves, None, 'Response', by=(60, 0))
    x = tester._with(curves, None, ((0, 512),), lambda: tester.hover('Response', at=(0.25, 0.5)))
    assert x == pytest.approx(128, abs=2)


def test_the_plain_wheel_is_left_to_the_panel_and_ctrl_zooms(tester: PanelTester) -> None:
    def x_at_quarter() -> float | None:
        return tester._with(curves, None, (), lambda: tester.hover('Response', at=(0.25, 0.5)))

    tester.wheel(curves, None, 'Response', 3.0)
    assert x_at_quarter() == pytest.approx(32, abs=0.5)

    def zoom() -> None:
        io = imgui.get_io()
        io.add_key_event(imgui.Key.mod_ctrl, True)
        tester.turn_wheel('Response', 3.0)
        io.add_key_event(imgui.Key.mod_ctrl, False)
        tester.step()

    tester._with(curves, None, (), zoom)
    x = x_at_quarter()
    assert x is not None
    assert x > 33


def test_a_panel_scrolls_when_the_wheel_turns_over_a_plot_in_it(tester: PanelTester) -> None:
    def scrolling(state: float) -> float:
        with widgets.child('part', height=20):
            curves(None)
            for _ in range(60):
                widgets.text('a line')
            return imgui.get_scroll_y()

    assert tester.run(scrolling, 0.0) == 0.0
    assert tester.wheel(scrolling, 0.0, 'Response', -2.0) > 20


def test_curves_with_gaps_nothing_and_infinities_are_drawn(tester: PanelTester) -> None:
    holes = np.array([0.0, np.nan, np.inf, -np.inf, 1.0])

    def panel(state: int) -> int:
        plots.line_plot('##holes', [plots.Series('holes', holes)])
        plots.line_plot('##empty', [plots.Series('empty', np.zeros(0))])
        plots.line_plot('##none', [])
        plots.line_plot('##log', [plots.Series('log', np.ones(4), np.arange(4.0))], log_x=True, x_limits=(0.5, 4))
        plots.bars('##bars', [plots.Series('holes', holes)], names=('a', 'b', 'c', 'd', 'e'))
        plots.bars('##no bars', [])
        return state + 1

    assert tester.run(panel, 0, frames=3) == 4


def test_a_single_precision_curve_of_any_layout_is_drawn(tester: PanelTester) -> None:
    values = np.arange(12, dtype=np.float32).reshape(6, 2)[:, 1]
    seen = tester.run(lambda _: plots.line_plot('##strided', [plots.Series('strided', values)]), None)
    assert seen is None


def test_bars_say_which_one_is_under_the_mouse(tester: PanelTester) -> None:
    heights = plots.Series('ms', np.array([1.0, 2.0, 3.0, 4.0]))

    def panel(state: int | None) -> int | None:
        return plots.bars('Time', [heights], names=('a', 'b', 'c', 'd'))

    found = [
        tester._with(panel, None, (), lambda share=share: tester.hover('Time', at=(share, 0.5)))
        for share in (0.1, 0.4, 0.6, 0.9)
    ]
    assert found == [0, 1, 2, 3]


def test_a_picture_of_numbers_says_which_place_is_under_the_mouse(tester: PanelTester) -> None:
    textures = NoTextures()
    values = np.zeros((32, 64))
    values[0, 0] = 1.0

    def panel(state: tuple[float, float] | None) -> tuple[float, float] | None:
        return plots.heatmap(
            'Spectrum', values, textures, extent=(-64, 64, -32, 32), limits=(0, 1), x_label='fx', bar_label='dB'
        )

    assert tester.run(panel, None) is None
    place = tester._with(panel, None, (), lambda: tester.hover('Spectrum', at=(0.5, 0.5)))
    assert place == pytest.approx((0, 0), abs=1.0)
    pixels = textures.shown['heatmap Spectrum']
    assert pixels.shape == (32, 64, 4)
    assert tuple(pixels[0, 0, :3]) == (0xFD, 0xE7, 0x25)  # the last colour of viridis
    assert tuple(pixels[5, 5, :3]) == (0x44, 0x01, 0x54)  # and its first


@pytest.mark.parametrize('extent', [0.4, 4.0, 32.0, 128.0, 512.0])
@pytest.mark.parametrize('room', [6, 12, 20, 60])
def test_numbers_below_a_plot_never_touch_and_leave_no_room_for_a_closer_step(extent: float, room: int) -> None:
    """`room`: of the axis, in letters; between numbers stands at least one letter's width."""
    places = plots.tick_places(-extent, extent, lambda text: (len(text) + 1) / room)
    halves = [(len(f'{place:g}') / 2, (place / extent + 1) / 2 * room) for place in places]
    ends = [(middle - half, middle + half) for half, middle in halves]
    assert all(right[0] - left[1] >= 1 - 1e-9 for left, right in itertools.pairwise(ends))
    if room >= 20:
        assert 3 <= len(places) <= room / 2
    if (extent, room) == (128.0, 20):
        assert places == (-100, 0, 100)


def test_numbers_become_colours_from_the_first_to_the_last() -> None:
    pixels = plots.colour_pixels(np.array([[-5.0, 0.0, 5.0, 10.0, 99.0, np.nan]]), (0, 10), 'grey')
    assert pixels[0, :, 0].tolist() == [0, 0, 127, 255, 255, 0]
    assert pixels[0, :, 3].tolist() == [255, 255, 255, 255, 255, 0]


def test_equal_limits_do_not_divide_by_zero() -> None:
    assert plots.colour_pixels(np.full((2, 2), 3.0), (3, 3)).shape == (2, 2, 4)


def test_our_viridis_is_the_one_of_the_plotting_library(tester: PanelTester) -> None:
    ours = plots.colour_table('viridis').astype(float)
    for place in (0, 64, 128, 191, 255):
        theirs = implot.sample_colormap(place / 255, implot.Colormap_.viridis)
        np.testing.assert_allclose(ours[place, :3] / 255, (theirs.x, theirs.y, theirs.z), atol=0.06)


def test_colour_maps_that_order_numbers_get_steadily_lighter() -> None:
    for name in ('viridis', 'inferno', 'grey'):
        lightness = plots.colour_table(name)[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
        assert (np.diff(lightness) > -1.5).all(), name
        assert lightness[-1] - lightness[0] > 150, name


def luminance(colour: Colour) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in colour[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(first: Colour, second: Colour) -> float:
    """WCAG 2 contrast ratio, 1 to 21."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_and_curves_stand_out_from_their_ground() -> None:
    assert contrast(TEXT, PANEL) > 7
    assert contrast(MUTED, PANEL) > 4.5
    assert all(contrast(colour, BACKGROUND) > 4.5 for colour in SERIES)

"""The filter laboratory in the window: presets, single places, points to drag, what a generator does not have."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gui_utils.testing import PanelTester
from networks.adapters.wrap import wrap
from render.filter_choices import Place, choice_for, is_own, places
from render.filter_presets import OWN, preset_of, presets
from render.filters import edited, filter_curves
from render.request import FilterEdit, FilterSpec, LayerOversampling
from render.result import FilterCurve, GeneratorInfo
from render.session import FilterState, filter_spec
from tests.networks.small import small_ladder, small_stylegan2
from tests.viz.conftest import draw
from tests.viz.fake_renderer import make_info, make_layers
from viz import filter_edits
from viz.filter_panel import filter_panel
from viz.filter_plot import handles_of

INFO = make_info()
LAYER = 'synthesis.L3_52_32'
ONE = FilterState(one_place=True, response_layer=LAYER, response_direction='down')


def place_in(info: GeneratorInfo) -> Place:
    place = filter_edits.place_of(ONE, info)
    assert place is not None
    return place


PLACE = place_in(INFO)


def curve_for(state: FilterState, info: GeneratorInfo = INFO) -> tuple[FilterCurve, ...]:
    """A curve of the plotted place that falls by 6 dB per octave."""
    place = filter_edits.place_of(state, info)
    assert place is not None
    numbers = filter_edits.shown_numbers(filter_edits.edit_at(state, place), place)
    frequencies = np.linspace(0, place.filter.rate / 2, 256)
    decibels = -6.0 * frequencies / numbers['cutoff']
    one = place.filter
    return (
        FilterCurve(
            one.buffer, one.direction, one.rate, numbers['cutoff'], numbers['half_width'], frequencies, decibels, decibels,
            (0.1,) * one.taps, one.factor,
        ),
    )  # fmt: skip


def test_a_preset_is_chosen_and_left_again(tester: PanelTester) -> None:
    state = tester.choose(filter_panel, FilterState(), 'Preset', 'Unfiltered non-linearity, m = 1', INFO)
    assert state == FilterState(oversampling=1)
    assert any('39.96' in text for text in tester.texts()), 'what the paper measured is written below'
    state = tester.choose(filter_panel, replace(state, response_layer=LAYER), 'Preset', "The network's own", INFO)
    assert state == FilterState(response_layer=LAYER)


def test_every_preset_is_another_network_and_is_recognised() -> None:
    made = {one.key: one.make(INFO) for one in presets() if one.why_not(INFO) is None}
    assert len(set(made.values())) == len(made) >= 9
    assert all(preset_of(spec, INFO) == key for key, spec in made.items())
    assert preset_of(FilterSpec(oversampling=8), INFO) is None


@pytest.mark.parametrize('make', [lambda: small_ladder('T'), lambda: small_ladder('R'), small_stylegan2])
def test_every_preset_that_is_offered_can_be_had_in_full(make) -> None:
    adapter = wrap(make())
    offered = [one for one in presets() if one.key != OWN and one.why_not(adapter.info) is None]
    assert len(offered) >= 3
    for preset in offered:
        twin, notes = edited(adapter, preset.make(adapter.info))
        ws = adapter.latents(torch.ones(1, adapter.info.z_dim))
        assert not notes and not torch.allclose(twin.synthesize(ws), adapter.synthesize(ws), atol=1e-5), preset.key


def test_critical_sampling_cuts_at_half_the_rate() -> None:
    adapter = wrap(small_ladder('T'))
    preset = next(one for one in presets() if one.key == 'critical')
    twin, _ = edited(adapter, preset.make(adapter.info))
    for place in places(twin.info):
        assert place.filter.cutoff == pytest.approx(place.half_rate)
    name = twin.info.layers[3].name
    for curve in filter_curves(adapter, twin, name):
        at = np.interp(curve.rate / curve.factor / 2, curve.frequencies, curve.current_db)
        assert at == pytest.approx(-6, abs=0.5), 'half the amplitude is left at s/2'


def test_presets_that_a_generator_has_already_or_never_are_grey_and_say_why(tester: PanelTester) -> None:
    why = {one.key: one.why_not(INFO) for one in presets()}
    assert why['separable'] == 'This network has no radial filters.' and why['m1'] is None
    radial = make_info(layers=make_layers(radial=True), config=(('lrelu_upsampling', 1),))
    assert presets() and {one.key: one.why_not(radial) for one in presets()}['m1'] == 'This network has m = 1 itself.'
    state = FilterState()
    after = tester.choose(filter_panel, state, 'Preset', 'Separable instead of radial', INFO)
    assert after == state


def test_one_filter_gets_another_kind_and_is_marked(tester: PanelTester) -> None:
    state = tester.click(filter_panel, FilterState(response_layer=LAYER, response_direction='down'), 'One filter', INFO)
    state = tester.choose(filter_panel, state, 'Filter', 'Lanczos', INFO)
    assert state.edits == (FilterEdit(LAYER, 'down', 'lanczos'),) and state.kind == 'network'
    assert filter_edits.changed_layers(state, INFO) == {LAYER}
    state = tester.click(filter_panel, state, 'Reset layer', INFO)
    assert state == ONE


def test_another_layer_is_chosen_on_the_strip(tester: PanelTester) -> None:
    assert tester.click(filter_panel, ONE, '5', INFO) == replace(ONE, response_layer='synthesis.L5_52_32')


def test_numbers_are_typed(tester: PanelTester) -> None:
    state = tester.type(filter_panel, ONE, 'Taps n', '4', INFO, ctrl=True)
    assert state.edits == (FilterEdit(LAYER, 'down', 'sinc', taps=4),)
    state = tester.type(filter_panel, state, 'Cutoff f_c', '12', INFO, ctrl=True)
    assert state.edits[0].cutoff == 12 and state.edits[0].taps == 4
    state = tester.type(filter_panel, state, 'Cutoff f_c', '900', INFO, ctrl=True)
    assert state.edits[0].cutoff == PLACE.half_rate, 'at most s/2'
    assert tester.click(filter_panel, state, 'Reset all', INFO) == ONE


def test_classic_kernels_have_no_cutoff_to_change(tester: PanelTester) -> None:
    state = filter_edits.with_kind(ONE, PLACE, 'bilinear')
    assert tester.type(filter_panel, state, 'Cutoff f_c', '5', INFO, ctrl=True) == state
    tester.hover('Cutoff f_c', frames=60)
    assert any('has no cutoff' in text for text in tester.texts())


@pytest.mark.parametrize('handle', [0, 1])
def test_a_point_of_the_curve_is_dragged(tester: PanelTester, handle: int) -> None:
    """From where it is drawn, 30 pixels to the left: the number under the mouse in the end."""
    curves = curve_for(ONE)
    point = handles_of(ONE, PLACE, curves[0])[handle]
    state, pixel = dragged(tester, ONE, curves, (point.x, point.y), -30)
    (edit,) = state.edits
    moved = edit.cutoff if handle == 0 else edit.half_width
    before = PLACE.filter.cutoff if handle == 0 else PLACE.filter.half_width
    assert moved == pytest.approx(before - 30 * pixel, abs=1.5 * pixel)
    assert edit.kind == 'sinc'


def dragged(
    tester: PanelTester, state: FilterState, curves: tuple[FilterCurve, ...], point: tuple[float, float], by: float
) -> tuple[FilterState, float]:
    """The state after a drag from a place of the plot, and how much of the x axis a pixel is."""
    draw(tester, filter_panel, state, INFO, curves)
    plot = next(item for item in tester.recorder.items if item.label.startswith('response'))
    (left, top), (right, bottom) = plot.low, plot.high
    high, low, width = 6.0, -120.0, curves[0].rate / 2
    x = left + point[0] / width * (right - left)
    y = top + (high - point[1]) / (high - low) * (bottom - top)

    def gesture() -> None:
        tester.move((x, y))
        tester.press()
        for step in range(1, 9):
            tester.move((x + by * step / 8, y))
        tester.release()

    return tester._with(filter_panel, state, (INFO, curves), gesture), width / (right - left)


def test_points_cannot_be_dragged_while_the_controls_are_for_all_layers(tester: PanelTester) -> None:
    curves = curve_for(ONE)
    point = handles_of(ONE, PLACE, curves[0])[0]
    state = replace(ONE, one_place=False)
    assert dragged(tester, state, curves, (point.x, point.y), -30)[0] == state


def test_a_number_dragged_back_to_the_networks_own_is_no_change() -> None:
    own = filter_edits.own_numbers(PLACE)
    state = filter_edits.with_numbers(ONE, PLACE, cutoff=5.0, half_width=3.0, taps=8)
    assert state.edits and filter_edits.filter_label(state) == '1 filter changed'
    back = filter_edits.with_numbers(state, PLACE, **own)
    assert filter_spec(back) == FilterSpec() and not filter_edits.filter_label(back)


def test_a_place_can_be_spared_from_what_holds_for_all() -> None:
    state = replace(ONE, kind='bilinear')
    state = filter_edits.with_kind(state, PLACE, 'network')
    assert LAYER in filter_edits.changed_layers(state, INFO), 'its other filter is still bilinear'
    spec = filter_spec(state)
    choice = choice_for(spec, LAYER, PLACE.filter)
    assert choice is None or is_own(choice)
    assert filter_edits.without_layer(state, LAYER) == replace(ONE, kind='bilinear')


def test_a_radial_filter_that_is_dragged_stays_radial() -> None:
    info = make_info(layers=make_layers(radial=True))
    place = place_in(info)
    assert filter_edits.with_numbers(ONE, place, cutoff=5.0).edits[0].kind == 'jinc'


def test_one_layer_gets_its_own_oversampling(tester: PanelTester) -> None:
    small = make_info(layers=make_layers(3))  # so that no layer of the strip is called 4
    state = replace(ONE, response_layer='synthesis.L1_36_64')
    state = tester.click(filter_panel, state, '4', small)
    assert state.layer_oversampling == (LayerOversampling('synthesis.L1_36_64', 4),)
    assert filter_edits.with_factor(state, 'synthesis.L1_36_64', 2, small).layer_oversampling == ()


def test_without_oversampling_there_is_no_filter_to_change(tester: PanelTester) -> None:
    state = replace(ONE, oversampling=1)
    assert filter_edits.place_of(state, INFO) is None
    assert draw(tester, filter_panel, state, INFO) == state
    assert any('no downsampling filter' in text for text in tester.texts())


def test_margin_and_clamp_are_switches(tester: PanelTester) -> None:
    info = make_info(config=(*INFO.config, ('conv_clamp', 256.0)))
    state = tester.type(filter_panel, FilterState(), 'Margin', '3', info, ctrl=True)
    assert state == FilterState(margin=3)
    assert tester.click(filter_panel, FilterState(), 'Clamp', info) == FilterState(clamp=False)


def test_what_stylegan2_lacks_is_grey_and_says_why(tester: PanelTester) -> None:
    info = wrap(small_stylegan2()).info
    state = FilterState(response_layer=info.layers[2].name)
    for name, word in (('Margin', 'no margin'), ('8', 'no m.')):
        assert tester.click(filter_panel, state, name, info) == state
        tester.hover(name, frames=60)
        assert any(word in text for text in tester.texts())
    assert tester.type(filter_panel, state, 'Taps n', '4', info, ctrl=True) == state
    assert tester.type(filter_panel, replace(state, kind='sinc'), 'Taps n', '4', info, ctrl=True).taps == 4


def test_what_was_asked_for_and_is_impossible_is_said_in_the_panel(tester: PanelTester) -> None:
    state = replace(ONE, edits=(FilterEdit(LAYER, 'down', 'sinc', cutoff=500.0),))
    draw(tester, filter_panel, state, INFO)
    assert any('above the largest' in text for text in tester.texts())


@pytest.mark.parametrize(
    ('state', 'words'),
    [
        (FilterState('bilinear'), 'bilinear filters'),
        (FilterState('lanczos', taps=4, oversampling=1), 'lanczos filters, n = 4, …'),
        (FilterState(layer_oversampling=(LayerOversampling(LAYER, 1),), clamp=False), 'm of 1 layer changed, no clamp'),
        (FilterState(margin=0), 'margin 0'),
    ],
)
def test_a_change_has_a_short_name(state: FilterState, words: str) -> None:
    assert filter_edits.filter_label(state) == words

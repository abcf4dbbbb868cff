"""Panels that are pure functions of a state and a generator: draw, click, change, reset, capability off."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from imgui_bundle import imgui

from gui_utils.testing import PanelTester
from render.session import (
    SEED_LIMIT,
    FilterState,
    LatentState,
    LayerState,
    MixingState,
    NoiseState,
    TransformState,
    TruncationState,
)
from tests.viz.conftest import draw
from tests.viz.fake_renderer import FakeRenderer, make_info, without
from viz.filter_panel import filter_panel
from viz.latent_panel import latent_panel
from viz.layer_panel import layer_panel, shown_columns, stepped_layer
from viz.mixing_panel import mixing_panel, presets
from viz.noise_panel import noise_panel
from viz.transform_panel import transform_panel
from viz.truncation_panel import truncation_panel

INFO = make_info()
PANELS = {
    'transform': (transform_panel, TransformState()),
    'truncation': (truncation_panel, TruncationState()),
    'style_mixing': (mixing_panel, MixingState()),
    'noise': (noise_panel, NoiseState()),
    'filters': (filter_panel, FilterState()),
    'classes': (latent_panel, LatentState()),
}
CONTROLS = {
    'transform': 'Rotate',
    'truncation': 'Truncation',
    'style_mixing': 'Mix styles',
    'noise': 'Random',
    'filters': 'Filters',
    'classes': 'Class',
}


@pytest.mark.parametrize('name', PANELS)
def test_drawing_changes_nothing(tester: PanelTester, name: str) -> None:
    panel, state = PANELS[name]
    if name == 'filters':
        state = replace(state, response_layer=INFO.layers[1].name)
    assert draw(tester, panel, state, INFO) is state


@pytest.mark.parametrize('name', PANELS)
def test_without_a_generator_everything_draws(tester: PanelTester, name: str) -> None:
    panel, state = PANELS[name]
    assert draw(tester, panel, state, None) is state


@pytest.mark.parametrize('name', PANELS)
def test_what_the_generator_lacks_is_grey_and_says_why(tester: PanelTester, name: str) -> None:
    panel, state = PANELS[name]
    model = without(INFO, name)
    assert tester.click(panel, state, CONTROLS[name], model) == state
    assert tester._pick(CONTROLS[name]).disabled
    tester.hover(CONTROLS[name], frames=60)
    assert f'It has no {name}.' in [item.label for item in tester.recorder.texts]


def test_translation_is_in_pixels_of_the_image(tester: PanelTester) -> None:
    state = tester.drag(transform_panel, TransformState(), 'Translate', INFO, start=(0.2, 0.5), by=(40, 0))
    assert state.x == pytest.approx(40 * 0.1 / 256, rel=0.3)
    assert state.y == 0


def test_translation_in_percent_is_the_same_translation(tester: PanelTester) -> None:
    state = tester.drag(transform_panel, TransformState(), 'Translate, %', INFO, start=(0.8, 0.5), by=(0, 0))
    assert state == TransformState()
    state = tester.drag(transform_panel, TransformState(), 'Translate, %', INFO, start=(0.8, 0.5), by=(40, 0))
    assert state.y == pytest.approx(40 * 0.05 / 100, rel=0.3) and state.x == 0


def test_rotation_can_be_typed(tester: PanelTester) -> None:
    assert tester.type(transform_panel, TransformState(), 'Rotate', '33.5', INFO, ctrl=True).degrees == 33.5


def test_each_control_returns_to_its_default_by_right_click(tester: PanelTester) -> None:
    state = TransformState(x=0.1, degrees=20, scale=2)
    assert tester.click(transform_panel, state, 'Rotate', INFO, button=1) == replace(state, degrees=0)
    assert tester.click(transform_panel, state, 'Translate', INFO, button=1, at=(0.25, 0.5)) == replace(state, x=0)


def test_the_transform_is_reset_as_a_whole(tester: PanelTester) -> None:
    state = TransformState(x=0.1, y=0.2, degrees=20, scale=2, animate='rotate', speed=0.3)
    assert tester.click(transform_panel, state, 'Reset transform', INFO) == TransformState()


def test_transform_animation_is_chosen(tester: PanelTester) -> None:
    assert tester.click(transform_panel, TransformState(), 'Shift', INFO).animate == 'translate'


def test_truncation_to_the_average(tester: PanelTester) -> None:
    assert tester.type(truncation_panel, TruncationState(), 'Truncation', '0', INFO, ctrl=True).psi == 0
    some = tester.type(truncation_panel, TruncationState(), 'Layers', '5', INFO, ctrl=True)
    assert some.layers == 5
    assert tester.type(truncation_panel, some, 'Layers', '16', INFO, ctrl=True).layers is None


def test_switching_mixing_on_mixes_the_fine_layers(tester: PanelTester) -> None:
    state = tester.click(mixing_panel, MixingState(), 'Mix styles', INFO)
    assert state == MixingState(True, 1, presets(16)['Fine'])


def test_mixing_presets_cover_every_layer_once() -> None:
    for rows in (1, 10, 14, 16, 18):
        named = presets(rows)
        assert named['Coarse'] + named['Middle'] + named['Fine'] == named['All'] == tuple(range(rows))


def test_mixing_layers_are_chosen_by_preset_and_one_by_one(tester: PanelTester) -> None:
    state = MixingState(True, 3, presets(16)['Fine'])
    state = tester.click(mixing_panel, state, 'Coarse', INFO)
    assert state.layers == (0, 1, 2, 3)
    state = tester.click(mixing_panel, state, '2', INFO)
    state = tester.click(mixing_panel, state, '9', INFO)
    assert state.layers == (0, 1, 3, 9)


def test_a_mixing_layer_says_who_reads_it(tester: PanelTester) -> None:
    state = MixingState(True, 3, (1,))
    draw(tester, mixing_panel, state, INFO)
    tester.hover('5', frames=60)
    assert any('L5_52_32' in item.label for item in tester.recorder.texts)


def test_noise_mode_and_seed(tester: PanelTester) -> None:
    state = tester.click(noise_panel, NoiseState(), 'Random', INFO)
    assert state.mode == 'random'
    again = tester.click(noise_panel, state, 'Draw again', INFO)
    assert again.seed != state.seed
    assert tester.click(noise_panel, state, 'Animate', INFO).animate


def test_only_random_noise_has_a_seed(tester: PanelTester) -> None:
    assert tester.click(noise_panel, NoiseState(), 'Draw again', INFO).seed == 0


def test_dragging_the_map_moves_the_seeds_with_the_hand(tester: PanelTester) -> None:
    state = tester.drag(latent_panel, LatentState(x=5, y=5), 'seed map', INFO, by=(-80, 40))
    assert (state.x, state.y) == (pytest.approx(6), pytest.approx(4.5))


def test_a_double_click_on_the_map_goes_to_that_seed(tester: PanelTester) -> None:
    state = tester.double_click(latent_panel, LatentState(x=4.4, y=2.3), 'seed map', INFO)
    assert (state.x, state.y) == (4, 2)


def test_seeds_are_typed_stepped_and_drawn(tester: PanelTester) -> None:
    typed = tester.type(latent_panel, LatentState(), 'Seed', '250', INFO)
    assert (typed.x, typed.y) == (50, 2)
    assert tester.click(latent_panel, typed, 'Next', INFO).x == 51
    assert tester.click(latent_panel, typed, 'Previous', INFO).x == 49
    assert tester.click(latent_panel, typed, 'Random', INFO) != typed


def test_the_map_ends_at_seed_0(tester: PanelTester) -> None:
    state = tester.drag(latent_panel, LatentState(x=0.5), 'seed map', INFO, by=(400, 200))
    assert (state.x, state.y) == (0, 0)
    assert tester.click(latent_panel, state, 'Previous', INFO) == state
    draw(tester, latent_panel, state, INFO)
    assert not [item.label for item in tester.recorder.texts if item.label.startswith(('-', '21474'))]


def test_the_seed_before_the_first_of_a_row_is_the_last_of_the_row_above(tester: PanelTester) -> None:
    state = tester.click(latent_panel, LatentState(x=0, y=3), 'Previous', INFO)
    assert (state.x, state.y) == (99, 2)


def test_the_largest_seed_can_be_typed(tester: PanelTester) -> None:
    typed = tester.type(latent_panel, LatentState(), 'Seed', str(SEED_LIMIT - 1), INFO)
    assert int(typed.x + 100 * typed.y) == SEED_LIMIT - 1


def test_a_class_is_chosen_by_name_or_number(tester: PanelTester) -> None:
    assert tester.choose(latent_panel, LatentState(class_index=0), 'Class', '7', INFO).class_index == 7
    many = make_info(class_count=1000)
    assert tester.type(latent_panel, LatentState(class_index=0), 'Class', '5000', many).class_index == 999


def test_the_walk_starts(tester: PanelTester) -> None:
    assert tester.click(latent_panel, LatentState(), 'Walk', INFO).animate


def test_layers_are_chosen_by_click_and_arrow_keys(tester: PanelTester) -> None:
    state = tester.click(layer_panel, LayerState(), 'L3_52_32', INFO)
    assert state.layer == 'synthesis.L3_52_32'
    state = tester.keys(layer_panel, state, imgui.Key.down_arrow, arguments=(INFO,))
    assert state.layer == 'synthesis.L4_52_32'
    assert tester.click(layer_panel, state, 'Image', INFO).layer is None


def test_the_list_shows_size_channels_type_rate_and_cutoff(tester: PanelTester) -> None:
    draw(tester, layer_panel, LayerState(), INFO)
    texts = [item.label for item in tester.recorder.texts]
    layer = INFO.layers[11]
    for expected in (str(layer.width), str(layer.channels), 'f16', f'{layer.rate:g}', f'{layer.cutoff:.4g}'):
        assert expected in texts


def test_a_narrow_list_of_layers_leaves_out_columns_before_it_cuts_names() -> None:
    assert shown_columns(22.5, 5.0) == (0, 1, 2, 3, 4, 5)
    assert shown_columns(18.0, 5.0) == (0, 1, 2, 5)
    assert shown_columns(12.5, 5.0) == (0, 1, 5), 'size and cutoff always stay'
    assert shown_columns(18.0, 3.0) == (0, 1, 2, 4, 5), 'short names leave room for more'


def test_channels_modes_and_gain_of_a_layer(tester: PanelTester) -> None:
    state = LayerState('synthesis.L3_52_32')
    assert tester.click(layer_panel, state, 'Sheet', INFO).mode == 'sheet'
    assert tester.type(layer_panel, state, 'Channel#2', '500', INFO).channel == 31
    assert not tester.click(layer_panel, state, 'Normalise', INFO).normalize
    one = replace(state, mode='channel')
    assert tester.choose(layer_panel, one, 'Colours', 'Magma', INFO).colormap == 'magma'
    assert tester.type(layer_panel, one, 'Gain', '6', INFO, ctrl=True).gain_db == 6


def test_the_image_has_no_channels_to_choose(tester: PanelTester) -> None:
    assert tester.click(layer_panel, LayerState(), 'Sheet', INFO) == LayerState()
    assert tester.type(layer_panel, LayerState(), 'Gain', '6', INFO, ctrl=True).gain_db == 6


def test_statistics_of_the_shown_tensor_are_written(tester: PanelTester) -> None:
    from tests.viz.conftest import sample_request

    statistics = FakeRenderer().render(sample_request()).statistics
    draw(tester, layer_panel, LayerState(), INFO, replace(statistics, nan_count=7))
    assert any('7 NaN' in item.label for item in tester.recorder.texts)


def test_stepping_through_layers_stops_at_both_ends() -> None:
    state = LayerState()
    assert stepped_layer(state, INFO, -1) == state
    for _ in range(40):
        state = stepped_layer(state, INFO, 1)
    assert state.layer == INFO.layers[-1].name


def test_filters_are_chosen_for_a_direction(tester: PanelTester) -> None:
    state = FilterState(response_layer='synthesis.L3_52_32')
    state = tester.choose(filter_panel, state, 'Filters', 'Bilinear', INFO)
    assert state.kind == 'bilinear'
    assert tester.click(filter_panel, state, 'Down', INFO).direction == 'down'


def test_the_response_of_both_filters_is_plotted(tester: PanelTester) -> None:
    from tests.viz.conftest import sample_request

    state = FilterState('bilinear', response_layer='synthesis.L3_52_32')
    curves = FakeRenderer().render(sample_request(filters=state)).curves
    draw(tester, filter_panel, state, INFO, curves)
    assert any('response' in label for label in tester.labels())
    down = tester.click(filter_panel, state, 'Downsampling', INFO, curves)
    assert down.response_direction == 'down'


def make_cases() -> list[tuple[Callable[..., Any], Any]]:
    return [pair for pair in PANELS.values()]


def test_panels_draw_at_twice_the_size() -> None:
    with PanelTester(scale=2.0) as tester:
        for panel, state in make_cases():
            draw(tester, panel, state, INFO)

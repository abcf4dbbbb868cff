"""Controls: state in, state out, by the gestures that users make."""

from __future__ import annotations

import dataclasses

import pytest
from imgui_bundle import imgui

from gui_utils import controls, widgets
from gui_utils.testing import RIGHT, PanelTester


@dataclasses.dataclass(frozen=True)
class State:
    amount: float = 0.25
    rate: float = 0.01
    layers: int = 3
    shift: tuple[float, float] = (0.0, 0.0)
    seed: int = 7
    animate: bool = False
    kind: str = 'own'
    noise: str = 'none'
    name: str = ''
    loop: bool = False
    search: str = ''


def panel(state: State) -> State:
    kind, search = widgets.search_combo('Class', state.kind, {'own': 'Its own', 'sinc': 'Sinc'}, state.search)
    return State(
        amount=widgets.slider('Amount', state.amount, 0, 1, default=0.25, tooltip='How much'),
        rate=widgets.slider('Rate', state.rate, 1e-4, 1, logarithmic=True),
        layers=widgets.int_slider('Layers', state.layers, 0, 10, default=3),
        shift=widgets.drag2('Shift', state.shift, speed=1, low=-50, high=50, unit='px', default=(0.0, 0.0)),
        seed=widgets.int_input('Seed', state.seed, low=0, high=99, default=7),
        animate=widgets.checkbox('Animate', state.animate, default=False),
        kind=widgets.segmented('Kind', kind, {'own': 'Its own', 'sinc': 'Sinc'}, default='own'),
        noise=widgets.combo('Noise', state.noise, ('none', 'constant'), default='none'),
        name=widgets.text_input('Name', state.name, hint='untitled'),
        loop=widgets.toggle_button('Loop', state.loop, icon='\uf01e'),
        search=search,
    )


DEFAULT = State()


def test_nothing_changes_while_nothing_is_touched(tester: PanelTester) -> None:
    assert tester.run(panel, DEFAULT, frames=5) == DEFAULT


def test_a_slider_follows_the_mouse_and_stops_at_its_ends(tester: PanelTester) -> None:
    half = tester.drag(panel, DEFAULT, 'Amount', start=(0.25, 0.5), to=(0.5, 0.5))
    assert half.amount == pytest.approx(0.5, abs=0.02)
    assert tester.drag(panel, half, 'Amount', to=(3.0, 0.5)).amount == 1.0
    assert tester.drag(panel, half, 'Amount', to=(-3.0, 0.5)).amount == 0.0


def test_a_typed_number_is_taken_without_the_noise_of_single_precision(tester: PanelTester) -> None:
    assert tester.type(panel, DEFAULT, 'Amount', '0.7', ctrl=True).amount == 0.7


def test_a_typed_number_beyond_the_end_is_the_end(tester: PanelTester) -> None:
    assert tester.type(panel, DEFAULT, 'Amount', '17', ctrl=True).amount == 1.0


@pytest.mark.parametrize('gesture', ['double click', 'right click', 'arrow'])
def test_three_gestures_return_to_the_default(tester: PanelTester, gesture: str) -> None:
    changed = dataclasses.replace(DEFAULT, amount=0.9)
    if gesture == 'double click':
        after = tester.double_click(panel, changed, 'Amount')
    elif gesture == 'right click':
        after = tester.click(panel, changed, 'Amount', button=RIGHT)
    else:
        after = tester.click(panel, changed, 'reset Amount')
    assert after == DEFAULT


def test_the_arrow_shows_only_while_there_is_something_to_return_to(tester: PanelTester) -> None:
    tester.run(panel, DEFAULT)
    assert not [label for label in tester.labels() if 'reset' in label]
    tester.run(panel, dataclasses.replace(DEFAULT, seed=8))
    assert [label for label in tester.labels() if 'reset' in label] == ['Panel/reset Seed']


def test_the_arrow_moves_no_other_control(tester: PanelTester) -> None:
    tester.run(panel, DEFAULT)
    before = {item.label: (item.low, item.high) for item in tester.recorder.items}
    tester.run(panel, dataclasses.replace(DEFAULT, amount=0.9, noise='constant', shift=(1.0, 2.0)))
    after = {item.label: (item.low, item.high) for item in tester.recorder.items if 'reset' not in item.label}
    assert after == before


def test_the_middle_of_a_logarithmic_slider_is_the_geometric_mean(tester: PanelTester) -> None:
    after = tester.drag(panel, DEFAULT, 'Rate', to=(0.5, 0.5), start=(0.6, 0.5))
    assert after.rate == pytest.approx(0.01, rel=0.1)
    assert after.rate == float(f'{after.rate:.3g}')


def test_whole_numbers_stay_whole(tester: PanelTester) -> None:
    after = tester.drag(panel, DEFAULT, 'Layers', to=(1.0, 0.5))
    assert after.layers == 10
    assert isinstance(after.layers, int)
    assert tester.double_click(panel, after, 'Layers') == DEFAULT


def test_each_of_two_numbers_is_dragged_alone(tester: PanelTester) -> None:
    after = tester.drag(panel, DEFAULT, 'Shift', start=(0.2, 0.5), by=(20, 0))
    assert after.shift[0] > 5
    assert after.shift[1] == 0.0
    far = tester.drag(panel, after, 'Shift', start=(0.8, 0.5), by=(-300, 0))
    assert far.shift == (after.shift[0], -50.0)


def test_a_whole_number_typed_beyond_its_limit_is_the_limit(tester: PanelTester) -> None:
    assert tester.type(panel, DEFAULT, 'Seed', '1234').seed == 99


def test_a_box_is_ticked_and_unticked(tester: PanelTester) -> None:
    ticked = tester.click(panel, DEFAULT, 'Animate')
    assert ticked == dataclasses.replace(DEFAULT, animate=True)
    assert tester.click(panel, ticked, 'Animate') == DEFAULT


def test_one_of_several_is_chosen(tester: PanelTester) -> None:
    assert tester.choose(panel, DEFAULT, 'Noise', 'constant').noise == 'constant'
    assert tester.click(panel, DEFAULT, 'Sinc').kind == 'sinc'


def test_escape_closes_a_list_and_chooses_nothing(tester: PanelTester) -> None:
    def gesture() -> None:
        tester.press_item('Noise')
        assert [label for label in tester.labels() if label.endswith('/constant')]
        tester.press_keys(imgui.Key.escape)

    assert tester._with(panel, DEFAULT, (), gesture) == DEFAULT
    assert not [label for label in tester.labels() if label.endswith('/constant')]


def test_the_search_leaves_only_what_fits(tester: PanelTester) -> None:
    def gesture_panel(state: State) -> State:
        return panel(state)

    state = tester.click(gesture_panel, DEFAULT, 'Class')
    state = tester._with(gesture_panel, state, (), lambda: tester.write('si'))
    tester.run(gesture_panel, state)
    inside = [label for label in tester.labels() if not label.startswith('Panel/')]
    assert [label.split('/')[1] for label in inside] == ['search Class', 'Sinc']
    assert tester.click(gesture_panel, state, inside[-1]).kind == 'sinc'


def test_text_is_typed_in_any_language(tester: PanelTester) -> None:
    assert tester.type(panel, DEFAULT, 'Name', 'örbit 7').name == 'örbit 7'


def test_a_toggle_stays_down_until_the_next_click(tester: PanelTester) -> None:
    down = tester.click(panel, DEFAULT, 'Loop')
    assert down.loop
    assert tester.run(panel, down, frames=5).loop
    assert not tester.click(panel, down, 'Loop').loop


def test_what_is_disabled_ignores_the_mouse_and_explains_itself(tester: PanelTester) -> None:
    def disabled(state: float) -> float:
        with widgets.disabled_unless(False, 'This model has no input transform.'):
            return widgets.slider('Rotate', state, 0, 1, default=0.5)

    assert tester.drag(disabled, 0.2, 'Rotate', to=(0.9, 0.5)) == 0.2
    assert tester.click(disabled, 0.2, 'Rotate', button=RIGHT) == 0.2
    tester._with(disabled, 0.2, (), lambda: tester.hover('Rotate', frames=60))
    assert imgui.internal.find_window_by_name('##Tooltip_00') is not None


def test_a_tooltip_shows_when_the_mouse_rests(tester: PanelTester) -> None:
    tester._with(panel, DEFAULT, (), lambda: tester.hover('Amount', frames=60))
    assert imgui.internal.find_window_by_name('##Tooltip_00') is not None


def test_a_folded_section_is_not_drawn(tester: PanelTester) -> None:
    def folding(state: int) -> int:
        with widgets.section('More') as is_open:
            if is_open:
                return widgets.int_input('Inside', state)
        return state

    tester.run(folding, 1)
    assert 'Panel/Inside' in tester.labels()
    tester.click(folding, 1, 'More')
    assert 'Panel/Inside' not in tester.labels()


def test_a_shortcut_wants_exactly_its_modifiers(tester: PanelTester) -> None:
    def counting(state: tuple[int, int]) -> tuple[int, int]:
        plain, ctrl = state
        return plain + widgets.shortcut(imgui.Key.z), ctrl + widgets.shortcut(imgui.Key.z, ctrl=True)

    assert tester.keys(counting, (0, 0), imgui.Key.z) == (1, 0)
    assert tester.keys(counting, (0, 0), imgui.Key.z, ctrl=True) == (0, 1)
    assert tester.keys(counting, (0, 0), imgui.Key.z, ctrl=True, shift=True) == (0, 0)


def test_a_shortcut_keeps_quiet_while_text_is_typed(tester: PanelTester) -> None:
    def typing(state: tuple[int, str]) -> tuple[int, str]:
        count, text = state
        return count + widgets.shortcut(imgui.Key.r), widgets.text_input('Name', text)

    def gesture() -> None:
        tester.press_item('Name')
        tester.press_keys(imgui.Key.r)

    assert tester._with(typing, (0, ''), (), gesture) == (0, '')


@pytest.mark.parametrize(
    ('low', 'high', 'unit', 'expected'),
    [
        (0, 1, '', '%.3f'),
        (-180, 180, '°', '%.0f°'),
        (0, 50, 'px', '%.1f px'),
        (0, 1000, '%', '%.0f %%'),
        (0, 0, '', '%.3f'),
    ],
)
def test_a_range_decides_on_its_decimals(low: float, high: float, unit: str, expected: str) -> None:
    assert controls.number_format(low, high, '', unit) == expected


def test_a_value_outside_the_options_is_shown_as_it_is() -> None:
    assert controls.option_text({1: 'one'}, 2) == '2'
    assert controls.option_text((1, 2), 7) == '7'


@pytest.mark.parametrize('default', [None, 'constant'])
@pytest.mark.parametrize('width', range(200, 420, 20))
def test_words_of_a_row_of_buttons_never_touch_its_edges(width: int, default: str | None) -> None:
    words = ('Off', 'Constant', 'Random')
    room = {}

    def row(value: str) -> str:
        room.update({word: imgui.calc_text_size(word).x for word in words})
        return widgets.segmented('Noise', value, {word.lower(): word for word in words}, default=default)

    with PanelTester(size=(width, 300)) as tester:
        tester.run(row, 'constant')
        buttons = [item for item in tester.recorder.items if item.label.partition('##')[0] in words]
        assert len(buttons) in (0, 3), 'a list instead'
        assert all(item.high[0] - item.low[0] >= room[item.label.partition('##')[0]] + 4 for item in buttons)
        assert all(item.high[0] <= width for item in buttons)
        assert buttons or width <= 320

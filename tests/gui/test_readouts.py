"""Readouts, tables, toasts and file dialogs."""

from __future__ import annotations

from pathlib import Path

import pytest
from imgui_bundle import imgui

from gui_utils import dialogs, widgets
from gui_utils.testing import PanelTester

COLUMNS = (widgets.Column('Layer'), widgets.Column('Size', 4, is_number=True, tooltip='In pixels'))


def layers(selected: int | None, count: int = 200) -> int | None:
    return widgets.list_table(
        'layers', COLUMNS, count, lambda row: (f'L{row}', str(2**row % 1000)), selected, height=12, tooltips=str
    )


def test_a_click_chooses_a_row(tester: PanelTester) -> None:
    assert tester.run(layers, None) is None
    assert tester.click(layers, None, 'L3') == 3


def test_a_table_of_many_rows_asks_only_for_those_that_show(tester: PanelTester) -> None:
    asked: set[int] = set()

    def panel(selected: int | None) -> int | None:
        return widgets.list_table(
            'big', COLUMNS, 100_000, lambda row: (asked.add(row) or f'{row}', ''), selected, height=12
        )

    tester.run(panel, None)
    assert 5 < len(asked) < 60


def test_arrow_keys_move_the_choice_while_the_mouse_is_over_the_table(tester: PanelTester) -> None:
    def gesture() -> None:
        tester.hover('L1')
        tester.press_keys(imgui.Key.down_arrow, imgui.Key.down_arrow, imgui.Key.down_arrow, imgui.Key.up_arrow)

    assert tester._with(layers, 1, (), gesture) == 3


def test_arrow_keys_scroll_to_rows_that_did_not_show(tester: PanelTester) -> None:
    def gesture() -> None:
        tester.hover('L1')
        tester.press_keys(*[imgui.Key.down_arrow] * 30)
        tester.step(2)

    assert tester._with(layers, 0, (), gesture) == 30
    assert tester._pick('L30').visible


def test_an_empty_table_has_no_choice(tester: PanelTester) -> None:
    assert tester.run(layers, None, 0) is None


def test_a_click_on_a_property_copies_it(tester: PanelTester) -> None:
    def panel(state: int) -> int:
        widgets.property_table([('Family', 'StyleGAN3-T'), ('Parameters', '23,320,443')])
        return state

    tester.click(panel, 0, '23,320,443')
    assert imgui.get_clipboard_text() == '23,320,443'


def test_a_job_is_cancelled_by_its_cross(tester: PanelTester) -> None:
    def panel(cancelled: bool) -> bool:
        return widgets.progress(0.4, 'Equivariance 40 %') or cancelled

    assert tester.run(panel, False) is False
    assert tester.click(panel, False, 'cancel Equivariance') is True


@pytest.mark.parametrize('fraction', [None, -1.0, 2.0, float('nan')])
def test_any_fraction_can_be_shown(tester: PanelTester, fraction: float | None) -> None:
    assert tester.run(lambda _: widgets.progress(fraction, 'Working', can_cancel=False), False) is False


def test_a_notice_is_dismissed_by_its_cross(tester: PanelTester) -> None:
    def panel(dismissed: bool) -> bool:
        return widgets.notice('bad', 'faces.pkl is not a model.', identity='x') or dismissed

    assert tester.run(panel, False) is False
    assert tester.click(panel, False, 'dismiss x') is True


def test_toasts_go_by_themselves_or_by_a_click(tester: PanelTester) -> None:
    def panel(waiting: tuple[widgets.Toast, ...]) -> tuple[widgets.Toast, ...]:
        return widgets.toasts(waiting, imgui.get_io().delta_time)

    two = (widgets.Toast('good', 'Saved.', seconds_left=0.5), widgets.Toast('bad', 'Not a model.', seconds_left=60))
    later = tester.run(panel, two, frames=60)
    assert [toast.words for toast in later] == ['Not a model.']
    assert tester.click(panel, later, 'dismiss toast 0') == ()


def test_text_with_percent_signs_is_shown_as_it_is(tester: PanelTester) -> None:
    """imgui's `text` takes its argument for a C format, so that 100%s would read memory."""

    def panel(state: int) -> int:
        for show in (widgets.text, widgets.text_muted, widgets.text_mono, widgets.heading, widgets.badge):
            show('100%s %n %d')
        widgets.notice('info', '%s%s%s%n')
        widgets.progress(0.5, '50 %s')
        widgets.property_table([('%s', '%n')])
        widgets.spinner('%s')
        widgets.slider('%s %n', 0.5, 0, 1, unit='%', tooltip='%s')
        return state + 1

    assert tester.run(panel, 0) == 3


class FakeSystemDialog:
    """The system's dialog, answered by the test."""

    def __init__(self) -> None:
        self.answer: list[str] | None = None

    def ready(self, timeout: int) -> bool:
        assert timeout == 0, 'the window must never wait for it'
        return self.answer is not None

    def result(self) -> list[str]:
        assert self.answer is not None
        return self.answer


def test_the_systems_dialog_is_asked_each_frame_and_answers_once(
    tester: PanelTester, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = FakeSystemDialog()
    monkeypatch.setattr(dialogs, '_open_system_dialog', lambda *_: system)
    dialog = widgets.FileDialog(use_system=True)

    def panel(path: str) -> str:
        dialog.draw()
        return widgets.path_input('Model', path, dialog)

    assert tester.click(panel, 'old', 'Browse Model') == 'old'
    assert dialog.is_open
    system.answer = ['/data/new.pkl']
    assert tester.run(panel, 'old') == '/data/new.pkl'
    assert not dialog.is_open
    assert tester.run(panel, 'typed later') == 'typed later'


def test_a_dialog_that_was_cancelled_changes_nothing(tester: PanelTester, monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystemDialog()
    monkeypatch.setattr(dialogs, '_open_system_dialog', lambda *_: system)
    dialog = widgets.FileDialog(use_system=True)
    dialog.open('model', 'Open')
    system.answer = []
    dialog.draw()
    assert dialog.take('model') is None
    assert not dialog.is_open


def test_our_own_browser_finds_a_file(tester: PanelTester, tmp_path: Path) -> None:
    (tmp_path / 'models').mkdir()
    (tmp_path / 'models' / 'faces.pkl').touch()
    (tmp_path / 'models' / 'notes.txt').touch()
    dialog = widgets.FileDialog(use_system=False)
    types = (widgets.FileType('Models', ('.pkl', '.safetensors')),)

    def panel(path: str) -> str:
        chosen = widgets.path_input('Model', path, dialog, types=types)
        dialog.draw()
        return chosen

    def gesture() -> None:
        tester.press_item('Browse Model')
        tester.press_item('models')
        assert not [label for label in tester.labels() if 'notes' in label]
        tester.press_item('faces.pkl')
        tester.press_item('Choose')

    assert tester._with(panel, str(tmp_path), (), gesture) == str(tmp_path / 'models' / 'faces.pkl')
    assert not dialog.is_open


def test_a_folder_that_cannot_be_read_is_shown_as_such(tester: PanelTester, tmp_path: Path) -> None:
    dialog = widgets.FileDialog(use_system=False)
    dialog.open('model', 'Open a model', start=str(tmp_path / 'gone' / 'x.pkl'))

    def panel(state: int) -> int:
        dialog.draw()
        return state

    tester.run(panel, 0)
    tester.click(panel, 0, 'Cancel')
    assert not dialog.is_open
    assert dialog.take('model') is None


def test_a_typed_path_counts_when_enter_ends_it(tester: PanelTester) -> None:
    dialog = widgets.FileDialog(use_system=False)

    def panel(path: str) -> str:
        return widgets.path_input('Model', path, dialog)

    assert tester.type(panel, 'old.pkl', 'Model', '/data/new.pkl') == '/data/new.pkl'
    assert tester.type(panel, 'old.pkl', 'Model', '/data/half', enter=False) == 'old.pkl'

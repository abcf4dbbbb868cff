"""Letters keep the modifiers with which they were pressed, however slow the frame."""

import pytest
from imgui_bundle import imgui

from gui_utils.chords import Chords
from gui_utils.opengl import glfw
from gui_utils.testing import PanelTester

CTRL, SHIFT = glfw.MOD_CONTROL, glfw.MOD_SHIFT


def seen(chords: Chords) -> list[tuple[bool, bool, bool]]:
    """Whether Z was pressed, Ctrl and Shift, in each of the next frames."""
    found: list[tuple[bool, bool, bool]] = []

    def look(state: None) -> None:
        io = imgui.get_io()
        chords.correct(io)
        found.append((imgui.is_key_pressed(imgui.Key.z, False), io.key_ctrl, io.key_shift))

    with PanelTester() as tester:
        tester.run(look, None, frames=2)
        found.clear()
        io = imgui.get_io()
        io.add_key_event(imgui.Key.z, True)  # Ctrl is up again already
        tester.run(look, None, frames=3)
    return found


@pytest.mark.parametrize('modifiers', [0, CTRL, SHIFT, CTRL | SHIFT])
def test_a_letter_has_the_modifiers_of_its_press_in_the_frame_that_sees_it(modifiers: int) -> None:
    chords = Chords()
    chords.note(glfw.KEY_Z, glfw.PRESS, modifiers)
    frames = seen(chords)
    assert [frame for frame in frames if frame[0]] == [(True, bool(modifiers & CTRL), bool(modifiers & SHIFT))]
    assert frames[-1] == (False, False, False), 'only in that frame'


def test_releases_and_other_keys_are_not_remembered() -> None:
    chords = Chords()
    chords.note(glfw.KEY_Z, glfw.RELEASE, CTRL)
    chords.note(glfw.KEY_F1, glfw.PRESS, CTRL)
    assert (True, True, False) not in seen(chords)

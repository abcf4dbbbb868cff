"""Ctrl and Shift as they were when a letter was pressed.

imgui reads the keyboard once a frame. In a slow frame Ctrl+Z may be pressed and let go whole, and where Ctrl went up first imgui
sees a plain Z. GLFW says for every press which modifiers were held.
"""

from __future__ import annotations

import string

from imgui_bundle import imgui

from gui_utils.opengl import glfw

_KEYS = {getattr(glfw, f'KEY_{letter.upper()}'): getattr(imgui.Key, letter) for letter in string.ascii_lowercase}
"""GLFW's number -> imgui's key."""


class Chords:
    """Remembers the modifiers of presses that no frame has seen yet. One per window."""

    def __init__(self) -> None:
        self._pressed: dict[int, int] = {}

    def note(self, key: int, action: int, modifiers: int) -> None:
        """What GLFW reports: number of the key, what happened to it, bits of the modifiers."""
        if action == glfw.PRESS and key in _KEYS:
            self._pressed[key] = modifiers

    def correct(self, io: imgui.IO) -> None:
        """In a frame that has just begun: the modifiers of the letters that imgui sees pressed in it."""
        for key in [key for key in self._pressed if imgui.is_key_pressed(_KEYS[key], False)]:
            modifiers = self._pressed.pop(key)
            io.key_ctrl, io.key_shift = bool(modifiers & glfw.MOD_CONTROL), bool(modifiers & glfw.MOD_SHIFT)

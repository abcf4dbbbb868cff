"""A window that shows frames, on screen or without any display, through one and the same drawing code.

    window = open_window('Title', (1600, 1000), headless=True)
    while not window.should_close():
        with window.frame() as frame:
            imgui.text(f'{frame.seconds:.3f} s since the last one')
    picture = window.pixels()
    window.close()

This module imports nothing heavy; imgui, GLFW and OpenGL are loaded by `open_window`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from gui_utils.graphics import Finding, GraphicsLost, NoDisplay, check_graphics, import_graphics

__all__ = ['Finding', 'Frame', 'GraphicsLost', 'NoDisplay', 'Window', 'check_graphics', 'open_window']


@dataclass(frozen=True, slots=True)
class Frame:
    """What the application needs to know about the frame it is about to draw."""

    seconds: float
    """Since the frame before, at most 0.1: a pause must not make animations jump. Without a display always 1/60."""
    size: tuple[int, int]
    """Width and height in imgui's units, the ones mouse positions come in."""
    scale: float
    """How much larger than at 96 dots per inch everything is drawn."""
    dropped_files: tuple[str, ...] = ()
    """Files and folders dropped on the window since the frame before."""


class Window(abc.ABC):
    """A place to draw frames with imgui. Made by `open_window`; one at a time in a process, on the main thread."""

    @abc.abstractmethod
    def should_close(self) -> bool:
        """Whether the user asked to close the window, or it is closed."""

    @abc.abstractmethod
    def frame(self, wait_seconds: float | None = None, *, pause_seconds: float = 0.0) -> AbstractContextManager[Frame]:
        """Between entering and leaving, imgui may be used; leaving draws and shows the frame.

        With `wait_seconds` an idle window sleeps until the next event, `wake`, or that many seconds, instead of
        drawing the same again; some frames after an event are always drawn so that tooltips and hovers settle.
        With `pause_seconds` it first sleeps until `wake` or that many seconds, whatever the user does: for computers whose
        processor draws, and has something better to do.
        An exception inside leaves the window usable and goes on. Raises `GraphicsLost` after a driver reset.
        """

    @abc.abstractmethod
    def request_redraw(self) -> None:
        """Let the next few `frame` calls not wait."""

    @abc.abstractmethod
    def wake(self) -> None:
        """End a waiting `frame` now. The only method that any thread may call, also after `close`."""

    @abc.abstractmethod
    def pixels(self) -> np.ndarray:
        """The last frame as drawn: [height, width, 3] uint8, top row first."""

    @property
    @abc.abstractmethod
    def size(self) -> tuple[int, int]:
        """Width and height of the drawing in pixels."""

    @property
    @abc.abstractmethod
    def scale(self) -> float:
        """How much larger than at 96 dots per inch everything is drawn."""

    @abc.abstractmethod
    def set_scale(self, scale: float | None) -> None:
        """Draw everything `scale` times as large from the next frame on; None follows the monitor."""

    @abc.abstractmethod
    def resize(self, size: tuple[int, int]) -> None:
        """Give the drawing a new width and height in pixels, at the next frame."""

    @abc.abstractmethod
    def set_title(self, title: str) -> None:
        """Show `title` in the title bar."""

    @abc.abstractmethod
    def drop_files(self, paths: Iterable[str]) -> None:
        """Hand these files to the next frame as if they had been dropped on the window."""

    @abc.abstractmethod
    def set_clipboard(self, text: str) -> None:
        """Put `text` on the clipboard; without a display, on one of the window's own."""

    @abc.abstractmethod
    def gl_info(self) -> dict[str, str]:
        """`vendor`, `renderer` and `version` of OpenGL, and the window's `platform`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give everything back. A second call does nothing."""

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_window(
    title: str,
    size: tuple[int, int] = (1600, 1000),
    *,
    headless: bool = False,
    synthetic_input: bool = False,
    scale: float | None = None,
    vsync: bool = True,
    ini_path: Path | str | None = None,
) -> Window:
    """Open a window and make it the one that imgui and OpenGL draw to.

    `size`: in pixels. A live window that follows the monitor's scale is enlarged by it, up to the monitor's size.
    `headless`: no display is needed; nothing is shown, `pixels` has it all. Time advances by 1/60 s a frame.
    `synthetic_input`: on screen, but with the clock and the input of a headless window: for tests.
    `scale`: None follows the monitor (1 when headless).
    `ini_path`: where the arrangement of the panels is kept; None keeps nothing.
    Raises `NoDisplay` with a sentence that says how to repair it.
    """
    import_graphics(headless=headless)
    from gui_utils.glfw_window import GlfwWindow

    return GlfwWindow(
        title,
        size,
        headless=headless,
        synthetic_input=synthetic_input or headless,
        scale=scale,
        vsync=vsync,
        ini_path=ini_path,
    )

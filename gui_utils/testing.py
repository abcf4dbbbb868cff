"""Drive panels and whole windows from tests, by the labels that users see.

No production code knows of this: while a tester is at work it wraps imgui's item functions, notes where each labelled
item was drawn, and injects mouse and keyboard through `io.add_*`, one event a frame.

    with PanelTester() as tester:
        state = tester.click(rotate_panel, state, 'Reset')
    with open_window('Test', (800, 600), headless=True) as window, WindowDriver(window, app.draw) as driver:
        driver.drag('Rotate', by=(50, 0))

Labels: what is written before '##', without icons, else what is behind. 'Window/Label' picks one of several windows,
'Label#2' the second of equal ones in one window.
"""

from __future__ import annotations

import abc
import difflib
import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import numpy as np
from imgui_bundle import ImVec2, imgui, implot

from gui_utils import theme
from gui_utils.recorder import Item, Point, Recorder
from gui_utils.texture import Filter, Paint, Textures, check_pixels
from gui_utils.window import Frame, Window

State = TypeVar('State')

FRAME_SECONDS = 1 / 60
DOUBLE_CLICK_SECONDS = 0.3
LEFT, RIGHT, MIDDLE = 0, 1, 2


class Driver(abc.ABC):
    """The gestures. Whatever is drawn, `step` draws it; each event gets a frame of its own."""

    def __init__(self) -> None:
        self.recorder = Recorder()

    @abc.abstractmethod
    def step(self, frames: int = 1) -> None:
        """Draw some frames."""

    def find(self, name: str) -> Item:
        """Where the item is; scrolls to it where needed. AssertionError if there is none, or several, or it hides."""
        self.step()
        item = self._pick(name)
        if not item.visible:
            self.recorder.scroll_to = lambda other: (other.name, other.place) == (item.name, item.place)
            self.step(3)
            self.recorder.scroll_to = None
            item = self._pick(name)
            assert item.visible, f'{name} cannot be scrolled into view'
        return item

    def labels(self) -> list[str]:
        """The names of all items of the last frame."""
        return [item.name for item in self.recorder.items]

    def texts(self) -> list[str]:
        """All texts of the last frame, those of buttons and other items left out."""
        return [item.label for item in self.recorder.texts]

    def _pick(self, name: str) -> Item:
        plain, _, number = name.partition('#')
        found = [item for item in self.recorder.items if plain in (item.label, item.name)]
        found = found or [item for item in self.recorder.texts if plain in (item.label, item.name)]
        if number:
            found = found[int(number) - 1 : int(number)]
        names = sorted(set(self.labels()))
        near = difflib.get_close_matches(plain, [item.label for item in self.recorder.items], 3, 0.5)
        assert found, f'nothing is called {name!r}; {f"did you mean {near}?" if near else f"there is {names}"}'
        assert len(found) == 1, f'{name!r} is ambiguous: {[item.name for item in found]}; add the window or #1, #2, …'
        return found[0]

    def move(self, point: Point) -> None:
        """Put the mouse somewhere."""
        imgui.get_io().add_mouse_pos_event(*point)
        self.step()

    def press(self, button: int = LEFT) -> None:
        """Press a mouse button and keep it down."""
        imgui.get_io().add_mouse_button_event(button, True)
        self.step()

    def release(self, button: int = LEFT) -> None:
        """Let a mouse button go."""
        imgui.get_io().add_mouse_button_event(button, False)
        self.step()

    def hover(self, name: str, *, at: Point = (0.5, 0.5), frames: int = 1) -> None:
        """Rest the mouse on an item; tooltips need about 40 frames. `at`: shares of its width and height."""
        item = self.find(name)
        self.move(inside(item, at))
        self.step(frames)
        assert self._pick(name).hovered, f'{name} is covered by something else'

    def press_item(
        self, name: str, *, at: Point = (0.5, 0.5), button: int = LEFT, times: int = 1, ctrl: bool = False
    ) -> None:
        """Click an item, `times` in quick succession."""
        self.hover(name, at=at)
        io = imgui.get_io()
        if times > 1:
            self.step(round(DOUBLE_CLICK_SECONDS / FRAME_SECONDS) + 1)  # an earlier press must not count
            io.mouse_double_click_time = DOUBLE_CLICK_SECONDS
        if ctrl:
            io.add_key_event(imgui.Key.mod_ctrl, True)
            self.step()
        for _ in range(times):
            self.press(button)
            self.release(button)
        if ctrl:
            io.add_key_event(imgui.Key.mod_ctrl, False)
        io.mouse_double_click_time = 0.0
        self.step()

    def drag_item(
        self,
        name: str,
        *,
        start: Point = (0.5, 0.5),
        by: Point | None = None,
        to: Point | None = None,
        button: int = LEFT,
        steps: int = 8,
    ) -> None:
        """Press on an item at `start` (shares of its size), move `by` pixels or `to` another share, let go."""
        self.hover(name, at=start)
        item = self._pick(name)
        first = inside(item, start)
        last = inside(item, to) if to is not None else (first[0] + (by or (0, 0))[0], first[1] + (by or (0, 0))[1])
        self.press(button)
        for step in range(1, steps + 1):
            share = step / steps
            self.move((first[0] + (last[0] - first[0]) * share, first[1] + (last[1] - first[1]) * share))
        self.release(button)
        self.step()

    def turn_wheel(self, name: str, clicks: float, *, at: Point = (0.5, 0.5)) -> None:
        """Turn the wheel over an item; positive is away from the user."""
        self.hover(name, at=at)
        imgui.get_io().add_mouse_wheel_event(0.0, clicks)
        self.step(2)

    def press_keys(self, *keys: imgui.Key, ctrl: bool = False, shift: bool = False, alt: bool = False) -> None:
        """Press and release keys one after the other, with modifiers held."""
        io = imgui.get_io()
        held = [
            key
            for key, is_held in (
                (imgui.Key.mod_ctrl, ctrl),
                (imgui.Key.mod_shift, shift),
                (imgui.Key.mod_alt, alt),
            )
            if is_held
        ]
        for key in held:
            io.add_key_event(key, True)
        for key in keys:
            io.add_key_event(key, True)
            self.step()
            io.add_key_event(key, False)
            self.step()
        for key in held:
            io.add_key_event(key, False)
        self.step()

    def write(self, text: str) -> None:
        """Type characters, to whatever has the keyboard."""
        imgui.get_io().add_input_characters_utf8(text)
        self.step(2 + len(text))

    def type_into(self, name: str, text: str, *, ctrl: bool = False, enter: bool = True) -> None:
        """Replace the text of an item; `ctrl` clicks with ctrl held, as sliders want it."""
        self.press_item(name, ctrl=ctrl)
        self.press_keys(imgui.Key.a, ctrl=True)
        self.write(text)
        if enter:
            self.press_keys(imgui.Key.enter)


class WindowDriver(Driver):
    """Drives a headless (or synthetic) window whose content `draw` draws."""

    def __init__(self, window: Window, draw: Callable[[Frame], object]) -> None:
        super().__init__()
        self.window, self._draw = window, draw

    def __enter__(self) -> WindowDriver:
        self.recorder.__enter__()
        imgui.get_io().mouse_double_click_time = 0.0  # two clicks in a row are two clicks, unless asked otherwise
        self.step(3)
        return self

    def __exit__(self, *_: object) -> None:
        self.recorder.__exit__()

    def step(self, frames: int = 1) -> None:
        for _ in range(frames):
            with self.window.frame() as frame:
                self.recorder.clear()
                self._draw(frame)

    def click(self, name: str, **options: Any) -> None:
        """Click an item; options as in `press_item`."""
        self.press_item(name, **options)

    def double_click(self, name: str, **options: Any) -> None:
        """Click an item twice."""
        self.press_item(name, times=2, **options)

    def drag(self, name: str, **options: Any) -> None:
        """Drag an item; options as in `drag_item`."""
        self.drag_item(name, **options)

    def type(self, name: str, text: str, **options: Any) -> None:
        """Replace the text of an item; options as in `type_into`."""
        self.type_into(name, text, **options)

    def keys(self, *keys: imgui.Key, **modifiers: bool) -> None:
        """Press keys; `ctrl`, `shift`, `alt`."""
        self.press_keys(*keys, **modifiers)

    def wheel(self, name: str, clicks: float, **options: Any) -> None:
        """Turn the wheel over an item."""
        self.turn_wheel(name, clicks, **options)

    def drop(self, paths: Iterable[str]) -> None:
        """Drop files on the window."""
        self.window.drop_files(paths)
        self.step()

    def pixels(self) -> np.ndarray:
        """The last frame: [height, width, 3] uint8."""
        return self.window.pixels()


class PanelTester(Driver):
    """Drives panels, `panel(state, *arguments) -> state`, without window, display or graphics card.

    Each gesture takes the panel and its state, and returns the state after it. The window is tall: nothing scrolls.
    """

    def __init__(self, *, size: tuple[int, int] = (480, 4000), scale: float = 1.0) -> None:
        super().__init__()
        self._size = size
        self._outer = (imgui.get_current_context(), implot.get_current_context())
        self._contexts = (imgui.create_context(), implot.create_context())
        self._draw: Callable[[], None] = lambda: None
        self._select(self._contexts)
        io = imgui.get_io()
        io.set_ini_filename('')
        io.backend_flags |= imgui.BackendFlags_.renderer_has_textures
        io.mouse_double_click_time = 0.0
        theme.load_fonts()
        theme.apply(scale)

    def __enter__(self) -> PanelTester:
        self.recorder.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.recorder.__exit__()
        self._select(self._contexts)
        _answer_texture_requests(is_last=True)
        implot.destroy_context(self._contexts[1])
        imgui.destroy_context(self._contexts[0])
        self._select(self._outer)

    @staticmethod
    def _select(contexts: tuple[Any, Any]) -> None:
        """Make these the current ones; where there are none, destroying the last has already left none."""
        if contexts[0] is not None:
            imgui.set_current_context(contexts[0])
        if contexts[1] is not None:
            implot.set_current_context(contexts[1])

    def step(self, frames: int = 1) -> None:
        self._select(self._contexts)
        for _ in range(frames):
            io = imgui.get_io()
            io.display_size, io.delta_time = ImVec2(*self._size), FRAME_SECONDS
            imgui.new_frame()
            self.recorder.clear()
            imgui.set_next_window_pos(ImVec2(0.0, 0.0))
            imgui.set_next_window_size(ImVec2(*map(float, self._size)))
            imgui.begin('Panel', None, imgui.WindowFlags_.no_decoration)
            try:
                self._draw()
            finally:
                imgui.end()
                imgui.render()
                _answer_texture_requests()

    def _with(self, panel: Callable[..., State], state: State, arguments: tuple, gesture: Callable[[], None]) -> State:
        """The state after `gesture`, while `panel` is drawn every frame with the state it returned before."""
        states = [state]

        def draw() -> None:
            states.append(panel(states.pop(), *arguments))

        self._draw = draw
        self.step()
        gesture()
        return states[0]

    def run(self, panel: Callable[..., State], state: State, *arguments: Any, frames: int = 2) -> State:
        """Draw the panel a few times and do nothing."""
        return self._with(panel, state, arguments, lambda: self.step(frames))

    def click(self, panel: Callable[..., State], state: State, name: str, *arguments: Any, **options: Any) -> State:
        """Click an item; options as in `press_item`."""
        return self._with(panel, state, arguments, lambda: self.press_item(name, **options))

    def double_click(self, panel: Callable[..., State], state: State, name: str, *arguments: Any) -> State:
        """Click an item twice."""
        return self._with(panel, state, arguments, lambda: self.press_item(name, times=2))

    def drag(self, panel: Callable[..., State], state: State, name: str, *arguments: Any, **options: Any) -> State:
        """Drag an item; options as in `drag_item`."""
        return self._with(panel, state, arguments, lambda: self.drag_item(name, **options))

    def wheel(
        self, panel: Callable[..., State], state: State, name: str, clicks: float, *arguments: Any, **options: Any
    ) -> State:
        """Turn the wheel over an item."""
        return self._with(panel, state, arguments, lambda: self.turn_wheel(name, clicks, **options))

    def type(
        self, panel: Callable[..., State], state: State, name: str, text: str, *arguments: Any, **options: Any
    ) -> State:
        """Replace the text of an item; options as in `type_into`."""
        return self._with(panel, state, arguments, lambda: self.type_into(name, text, **options))

    def keys(
        self, panel: Callable[..., State], state: State, *keys: imgui.Key, arguments: tuple = (), **modifiers: bool
    ) -> State:
        """Press keys; `ctrl`, `shift`, `alt`. The panel's further arguments as a tuple."""
        return self._with(panel, state, arguments, lambda: self.press_keys(*keys, **modifiers))

    def choose(self, panel: Callable[..., State], state: State, name: str, option: str, *arguments: Any) -> State:
        """Open a combo and click one of its options."""

        def gesture() -> None:
            self.press_item(name)
            self.press_item(option)

        return self._with(panel, state, arguments, gesture)


class NoTextures(Textures):
    """Stands in for a `TexturePool` where there is no graphics card; keeps what would have been shown."""

    def __init__(self) -> None:
        self.shown: dict[str, np.ndarray] = {}

    def show(
        self,
        key: str,
        source: np.ndarray,
        *,
        paint: Paint | None = None,
        variant: Hashable = None,
        shown_width: float | None = None,
        filter: Filter = 'nearest',
    ) -> imgui.ImTextureRef:
        pixels = source if paint is None else paint(source)
        check_pixels(pixels)
        self.shown[key] = pixels
        return imgui.ImTextureRef(1)

    def close(self) -> None:
        self.shown.clear()


def inside(item: Item, at: Point) -> Point:
    """The point at these shares of an item's width and height, from its first whole pixel to its last."""
    x, y = (
        math.ceil(low) + (math.floor(high) - 1 - math.ceil(low)) * share
        for low, high, share in zip(item.low, item.high, at, strict=True)
    )
    return x, y


def _answer_texture_requests(*, is_last: bool = False) -> None:
    """Play the renderer's part in imgui's protocol for its font textures."""
    status = imgui.ImTextureStatus
    for texture in imgui.get_platform_io().textures:
        if is_last or texture.status == status.want_destroy:
            texture.set_tex_id(0)
            texture.set_status(status.destroyed)
        elif texture.status != status.ok:
            texture.set_tex_id(1)
            texture.set_status(status.ok)

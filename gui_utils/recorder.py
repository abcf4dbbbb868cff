"""Learn where imgui draws which label, by wrapping its functions while a test runs.

Labels: what is written before '##', without icons, else what is behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imgui_bundle import imgui, implot

Point = tuple[float, float]

_WRAPPED = (
    'arrow_button', 'begin_combo', 'begin_menu', 'button', 'checkbox', 'collapsing_header', 'combo', 'drag_float',
    'drag_float2', 'drag_float3', 'drag_int', 'image_button', 'input_float', 'input_int', 'input_text',
    'input_text_with_hint', 'invisible_button', 'menu_item', 'menu_item_simple', 'radio_button', 'selectable',
    'slider_float', 'slider_int', 'small_button', 'text_link', 'tree_node', 'tree_node_ex',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """Where one labelled item was drawn in the last frame."""

    window: str
    label: str
    low: Point
    high: Point
    visible: bool
    hovered: bool
    """By the mouse, nothing being in between; also while disabled."""
    disabled: bool
    place: int
    """Among all items of the frame, in the order of drawing."""

    @property
    def name(self) -> str:
        """As tests may call it."""
        return f'{self.window}/{self.label}'


class Recorder:
    """Notes every labelled item, and every text, while installed; use as a context manager."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.texts: list[Item] = []
        self.scroll_to: Callable[[Item], bool] | None = None
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> Recorder:
        for name in _WRAPPED:
            self._replace(imgui, name, self._wrap(getattr(imgui, name)))
        for name in ('text', 'text_unformatted', 'text_disabled', 'text_wrapped'):
            self._replace(imgui, name, self._wrap_text(getattr(imgui, name)))
        self._replace(imgui, 'text_colored', self._wrap_coloured_text(imgui.text_colored))
        self._plot_titles: list[str] = []
        self._replace(implot, 'begin_plot', self._wrap_begin_plot(implot.begin_plot))
        self._replace(implot, 'end_plot', self._wrap_end_plot(implot.end_plot))
        return self

    def __exit__(self, *_: object) -> None:
        self._restore.close()

    def _replace(self, module: Any, name: str, replacement: Callable[..., Any]) -> None:
        self._restore.callback(setattr, module, name, getattr(module, name))
        setattr(module, name, replacement)

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def recording(label: str, *arguments: Any, **options: Any) -> Any:
            width = imgui.calc_item_width()
            result = function(label, *arguments, **options)
            # After a list or menu has opened, the last item is inside it: `begin_*` then returned True.
            if not (result is True and function.__name__.startswith('begin_')):
                self._note(label, width if '##' not in label and not isinstance(result, bool) else None)
            return result

        return recording

    def _wrap_text(self, function: Callable[[str], None]) -> Callable[[str], None]:
        def recording(words: str) -> None:
            function(words)
            self.texts.append(self._item(words, None, len(self.texts)))

        return recording

    def _wrap_coloured_text(self, function: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
        def recording(colour: Any, words: str) -> None:
            function(colour, words)
            self.texts.append(self._item(words, None, len(self.texts)))

        return recording

    def _wrap_begin_plot(self, function: Callable[..., bool]) -> Callable[..., bool]:
        def recording(title: str, *arguments: Any, **options: Any) -> bool:
            shows = function(title, *arguments, **options)
            if shows:
                self._plot_titles.append(title)
            return shows

        return recording

    def _wrap_end_plot(self, function: Callable[[], None]) -> Callable[[], None]:
        def recording() -> None:
            corner, size = implot.get_plot_pos(), implot.get_plot_size()
            hovered = implot.is_plot_hovered()
            function()
            window = visible_label(imgui.internal.get_current_window().name)
            high = (corner.x + size.x, corner.y + size.y)
            label = visible_label(self._plot_titles.pop())
            self.items.append(Item(window, label, (corner.x, corner.y), high, True, hovered, False, len(self.items)))

        return recording

    def _note(self, label: str, framed_width: float | None) -> None:
        item = self._item(visible_label(label), framed_width, len(self.items))
        if self.scroll_to is not None and self.scroll_to(item):
            imgui.set_scroll_here_y()
        self.items.append(item)

    @staticmethod
    def _item(label: str, framed_width: float | None, place: int) -> Item:
        """What imgui knows of the item drawn last."""
        low, high = imgui.get_item_rect_min(), imgui.get_item_rect_max()
        right = high.x if framed_width is None else min(low.x + framed_width, high.x)
        flags = imgui.HoveredFlags_.allow_when_disabled | imgui.HoveredFlags_.allow_when_blocked_by_active_item
        return Item(
            window=visible_label(imgui.internal.get_current_window().root_window.name),
            label=label,
            low=(low.x, low.y),
            high=(right, high.y),
            visible=imgui.is_item_visible(),
            hovered=imgui.is_item_hovered(flags),
            disabled=imgui.get_style().alpha < 1.0,
            place=place,
        )

    def clear(self) -> None:
        """Forget the last frame."""
        self.items.clear()
        self.texts.clear()


def visible_label(label: str) -> str:
    """What a user would call it: 'Save' for '<icon>  Save##2', 'Rotate' for '##Rotate'."""
    shown, _, hidden = label.partition('##')
    words = ''.join(letter for letter in shown if not '\ue000' <= letter <= '\uf8ff').strip()
    return words or hidden.lstrip('#') or label

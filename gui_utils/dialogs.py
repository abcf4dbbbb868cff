"""Choosing a file: the system's own dialog where there is one, else a small browser drawn with imgui.

The system's dialog runs in another process and is asked each frame whether it is done; nothing ever waits for it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons
from imgui_bundle import portable_file_dialogs as system_dialogs

from gui_utils.controls import button
from gui_utils.rows import bare_icon, begin_row, explain

Kind = Literal['open', 'save', 'folder']

LINUX_PROGRAMS = ('zenity', 'kdialog', 'matedialog', 'qarma')


@dataclass(frozen=True, slots=True)
class FileType:
    """What may be chosen."""

    name: str
    endings: tuple[str, ...]
    """With the dot, as in ('.pkl', '.safetensors'); empty: any."""


def has_system_dialogs() -> bool:
    """Whether this system brings its own file dialogs; on Linux they are separate programs."""
    return not sys.platform.startswith('linux') or any(shutil.which(program) for program in LINUX_PROGRAMS)


class FileDialog:
    """One dialog at a time. Lives as long as the application; `draw` it every frame.

    if widgets.button('Open…'):
        dialog.open('model', 'Open a model', types=(FileType('Models', ('.pkl', '.safetensors')),))
    dialog.draw()
    if path := dialog.take('model'):
        ...
    """

    def __init__(self, *, use_system: bool | None = None) -> None:
        """`use_system`: None finds out; False always draws its own, as without a display."""
        self._use_system = has_system_dialogs() if use_system is None else use_system
        self._purpose = ''
        self._answer: tuple[str, str] | None = None  # purpose, path
        self._system: Any = None
        self._browser: _Browser | None = None

    @property
    def is_open(self) -> bool:
        """Whether the user has yet to answer."""
        return self._system is not None or self._browser is not None

    def open(
        self, purpose: str, title: str, *, kind: Kind = 'open', start: str = '', types: Sequence[FileType] = ()
    ) -> None:
        """Ask for a file. `purpose` is what `take` asks for; a dialog that is already open stays the only one."""
        if self.is_open:
            return
        self._purpose, self._answer = purpose, None
        if self._use_system:
            self._system = _open_system_dialog(title, kind, start, types)
        else:
            self._browser = _Browser(title, kind, start, tuple(types))

    def draw(self) -> None:
        """Look whether the system's dialog is done, or draw our own. Once a frame."""
        if self._system is not None and self._system.ready(0):
            chosen = self._system.result()
            self._system = None
            self._finish(chosen if isinstance(chosen, str) else next(iter(chosen), ''))
        elif self._browser is not None:
            done, path = self._browser.draw()
            if done:
                self._browser = None
                self._finish(path)

    def _finish(self, path: str) -> None:
        self._answer = (self._purpose, path) if path else None

    def take(self, purpose: str) -> str | None:
        """The chosen path, once; None while there is none, or if it was asked for another purpose."""
        if self._answer is None or self._answer[0] != purpose:
            return None
        _, path = self._answer
        self._answer = None
        return path

    def close(self) -> None:
        """End a dialog that is still open."""
        if self._system is not None:
            self._system.kill()
        self._system = self._browser = self._answer = None


def path_input(
    label: str,
    value: str,
    dialog: FileDialog,
    *,
    kind: Kind = 'open',
    types: Sequence[FileType] = (),
    hint: str = 'Path',
    tooltip: str = '',
) -> str:
    """A path, typed or chosen; returns what was typed and ended with Enter, or chosen, else `value`."""
    identity = begin_row(label, tooltip)
    em, side = imgui.get_font_size(), imgui.get_frame_height()
    imgui.set_next_item_width(imgui.get_content_region_avail().x - side - 0.25 * em)
    entered, typed = imgui.input_text_with_hint(identity, hint, value, imgui.InputTextFlags_.enter_returns_true)
    explain(tooltip or value)
    imgui.same_line(0.0, 0.25 * em)
    if bare_icon(icons.ICON_FA_FOLDER_OPEN, f'Browse {label}', width=side, framed=True):
        dialog.open(label, label.split('##', 1)[0], kind=kind, start=value, types=types)
    explain('Browse…')
    chosen = dialog.take(label)
    if chosen is not None:
        return chosen
    return typed.strip() if entered else value


def _open_system_dialog(title: str, kind: Kind, start: str, types: Sequence[FileType]) -> Any:
    if kind == 'folder':
        return system_dialogs.select_folder(title, start)
    filters: list[str] = []
    for entry in types:
        filters += [entry.name, ' '.join('*' + ending for ending in entry.endings) or '*']
    filters += ['All files', '*']
    make = system_dialogs.open_file if kind == 'open' else system_dialogs.save_file
    return make(title, start, filters)


class _Browser:
    """A modal window with the content of one folder."""

    def __init__(self, title: str, kind: Kind, start: str, types: tuple[FileType, ...]) -> None:
        self._title, self._kind, self._types = title, kind, types
        place = Path(start).expanduser() if start else Path.cwd()
        self._name = '' if place.is_dir() else place.name
        self._folder = place if place.is_dir() else place.parent
        self._entries: tuple[Path, ...] | None = None
        self._complaint = ''

    def draw(self) -> tuple[bool, str]:
        """(whether it is over, the path or '')."""
        em = imgui.get_font_size()
        imgui.open_popup(self._title)
        viewport = imgui.get_main_viewport()
        imgui.set_next_window_pos(viewport.get_work_center(), imgui.Cond_.appearing, ImVec2(0.5, 0.5))
        size = ImVec2(min(40 * em, 0.95 * viewport.work_size.x), min(28 * em, 0.95 * viewport.work_size.y))
        imgui.set_next_window_size(size, imgui.Cond_.appearing)
        shows, _ = imgui.begin_popup_modal(self._title, None, imgui.WindowFlags_.no_saved_settings)
        if not shows:
            return False, ''
        try:
            over, path = self._draw_inside()
            if over:
                imgui.close_current_popup()
            return over, path
        finally:
            imgui.end_popup()

    def _draw_inside(self) -> tuple[bool, str]:
        em = imgui.get_font_size()
        if bare_icon(icons.ICON_FA_ARROW_UP, 'Up', width=imgui.get_frame_height(), framed=True):
            self._enter(self._folder.parent)
        imgui.same_line()
        imgui.set_next_item_width(-1.0)
        entered, typed = imgui.input_text('##Folder', str(self._folder), imgui.InputTextFlags_.enter_returns_true)
        if entered:
            self._enter(Path(typed).expanduser())
        chosen = self._draw_entries(-2.9 * em)
        imgui.set_next_item_width(imgui.get_content_region_avail().x - 13 * em)
        _, self._name = imgui.input_text_with_hint('##Name', self._complaint or 'File name', self._name)
        imgui.same_line()
        accepted = button('Choose', primary=True, width=6, enabled=self._kind == 'folder' or bool(self._name))
        imgui.same_line()
        cancelled = button('Cancel', width=6) or imgui.is_key_pressed(imgui.Key.escape)
        if chosen or (accepted and not cancelled):
            return True, chosen or str(self._folder / self._name)
        return cancelled, ''

    def _draw_entries(self, height: float) -> str:
        """The list of files; returns the path of one that was double-clicked."""
        chosen = ''
        if imgui.begin_child('##entries', ImVec2(0.0, height), imgui.ChildFlags_.borders):
            for entry in self._list():
                icon = icons.ICON_FA_FOLDER if entry.is_dir() else icons.ICON_FA_FILE
                clicked, _ = imgui.selectable(f'{icon} {entry.name}', entry.name == self._name)
                if clicked and entry.is_dir():
                    self._enter(entry)
                    break
                if clicked:
                    self._name = entry.name
                if imgui.is_item_hovered() and imgui.is_mouse_double_clicked(imgui.MouseButton_.left):
                    chosen = str(entry)
        imgui.end_child()
        return chosen

    def _enter(self, folder: Path) -> None:
        self._folder, self._entries = folder, None

    def _list(self) -> tuple[Path, ...]:
        if self._entries is None:
            try:
                found = [entry for entry in self._folder.iterdir() if self._shows(entry)]
                self._complaint = ''
            except OSError as error:
                found, self._complaint = [], f'Cannot be read: {error.strerror}'
            self._entries = tuple(sorted(found, key=lambda entry: (not entry.is_dir(), entry.name.lower())))
        return self._entries

    def _shows(self, entry: Path) -> bool:
        if entry.name.startswith('.'):
            return False
        endings = [ending for kind in self._types for ending in kind.endings]
        return entry.is_dir() or (
            self._kind != 'folder' and (not endings or entry.name.lower().endswith(tuple(endings)))
        )

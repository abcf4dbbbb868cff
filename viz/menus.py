"""The menu bar: everything that can be done, with its keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from imgui_bundle import imgui

from gui_utils import theme
from render.session import Session
from viz import commands, geometry
from viz.comparing import MODES, is_comparing, with_links, with_mode, with_original
from viz.editing import updated, with_comparison
from viz.first_start import ALIAS_FREE, ALIASED
from viz.hints import short_path
from viz.shortcuts import reset_side
from viz.view import Desk

BUNDLED = {ALIASED: 'The aliased twin', ALIAS_FREE: 'The alias-free twin', 'demo:': 'An older, smaller one'}
SCALES = {None: 'As the monitor', 1.0: '100 %', 1.25: '125 %', 1.5: '150 %', 2.0: '200 %'}


def draw_menus(session: Session, desk: Desk, *, titles: tuple[str, ...]) -> Session:
    """Draw the bar; `titles`: of the panels that can be hidden. Returns the session after what was chosen."""
    if not imgui.begin_main_menu_bar():
        return session
    _file_menu(session, desk)
    session = _edit_menu(session, desk)
    session = _view_menu(session, desk, titles)
    _help_menu(desk)
    _draw_model(desk)
    imgui.end_main_menu_bar()
    return session


@contextmanager
def _menu(title: str, *, enabled: bool = True) -> Iterator[bool]:
    shows = imgui.begin_menu(title, enabled)
    try:
        yield shows
    finally:
        if shows:
            imgui.end_menu()


def _item(title: str, keys: str = '', *, ticked: bool = False, enabled: bool = True) -> bool:
    clicked, _ = imgui.menu_item(title, keys, ticked, enabled)
    return clicked


def _file_menu(session: Session, desk: Desk) -> None:
    with _menu('File') as is_open:
        if not is_open:
            return
        if _item('Open …', 'Ctrl+O'):
            desk.ask(commands.Browse())
        if _item('Open beside it as B …', 'Ctrl+Shift+O', enabled=session.a.model is not None):
            desk.ask(commands.Browse(beside=True))
        with _menu('Open recent', enabled=bool(session.recent)) as shows:
            for path in session.recent if shows else ():
                if _item(short_path(path, 60)):
                    desk.ask(commands.OpenPath(path))
        with _menu('Bundled generators') as shows:
            if shows and _item('The twins, side by side'):
                desk.ask(commands.OpenTwins())
            for path, text in BUNDLED.items() if shows else ():
                if _item(text):
                    desk.ask(commands.OpenPath(path))
        imgui.separator()
        if _item('Save session', 'Ctrl+S'):
            desk.ask(commands.SaveSession())
        if _item(
            'Save picture', 'Ctrl+P' if session.capture.what == 'picture' else '', enabled=desk.side.result is not None
        ):
            desk.ask(commands.SavePicture())
        if _item('Save window', 'Ctrl+P' if session.capture.what == 'window' else ''):
            desk.ask(commands.SaveWindow())
        imgui.separator()
        if _item('Quit', 'Ctrl+Q'):
            desk.ask(commands.Quit())


def _edit_menu(session: Session, desk: Desk) -> Session:
    with _menu('Edit') as is_open:
        if not is_open:
            return session
        history = desk.view.history
        if _item('Undo', 'Ctrl+Z', enabled=bool(history.past)):
            desk.ask(commands.Undo())
        if _item('Redo', 'Ctrl+Shift+Z', enabled=bool(history.future)):
            desk.ask(commands.Redo())
        imgui.separator()
        if _item('Reset everything'):
            return reset_side(session)
    return session


def _view_menu(session: Session, desk: Desk, titles: tuple[str, ...]) -> Session:
    with _menu('View') as is_open:
        if not is_open:
            return session
        canvas = session.canvas
        if _item('Fit the picture', 'F'):
            canvas = geometry.fitted(canvas)
        if _item('Untransform', 'U', ticked=canvas.undo_transform):
            canvas = replace(canvas, undo_transform=not canvas.undo_transform)
        if _item('Error of the moved picture', 'M', ticked=session.meter.error_map):
            session = replace(session, meter=replace(session.meter, error_map=not session.meter.error_map))
        if _item('Outline the canvas', 'O', ticked=canvas.outline):
            canvas = replace(canvas, outline=not canvas.outline)
        if _item('Pixel probe', ticked=canvas.probe):
            canvas = replace(canvas, probe=not canvas.probe)
        session = updated(session, canvas=canvas)
        imgui.separator()
        if _item('Compare two generators', ticked=session.b is not None, enabled=session.a.model is not None):
            session = with_comparison(session, on=session.b is None)
        session = _links(_ways(session))
        imgui.separator()
        return _window_items(session, desk, titles)


def _ways(session: Session) -> Session:
    is_original = session.compare.original
    if _item('Compare with the original', 'X', ticked=is_original, enabled=session.a.model is not None):
        session = with_original(session, on=not is_original)
    with _menu('How to compare', enabled=is_comparing(session)) as is_open:
        for mode, text in MODES.items() if is_open else ():
            if _item(text, 'C' if mode == 'side' else '', ticked=session.compare.mode == mode):
                session = with_mode(session, mode)
    return session


def _links(session: Session) -> Session:
    with _menu('Link the two', enabled=session.b is not None) as is_open:
        if is_open:
            if _item('Latent', ticked=session.link_latent):
                session = with_links(session, link_latent=not session.link_latent)
            if _item('Transform', ticked=session.link_transform):
                session = with_links(session, link_transform=not session.link_transform)
            if _item('Layer and spectrum', ticked=session.link_view):
                session = with_links(session, link_view=not session.link_view)
    return session


def _window_items(session: Session, desk: Desk, titles: tuple[str, ...]) -> Session:
    window = session.window
    with _menu('Panels') as is_open:
        for title in titles if is_open else ():
            if _item(title, ticked=title not in window.hidden):
                hidden = set(window.hidden) ^ {title}
                window = replace(window, hidden=tuple(name for name in titles if name in hidden))
    with _menu('Size of everything') as is_open:
        for scale, text in SCALES.items() if is_open else ():
            if _item(text, ticked=window.scale == scale):
                window = replace(window, scale=scale)
    if _item('Reset the layout'):
        window = replace(window, hidden=())
        desk.ask(commands.ResetLayout())
    return updated(session, window=window)


def _help_menu(desk: Desk) -> None:
    with _menu('Help') as is_open:
        if is_open and _item('Gestures and keys', 'F1', ticked=desk.view.help_open):
            desk.ask(commands.ToggleHelp())


def _draw_model(desk: Desk) -> None:
    """At the right end: which generator, and where it runs."""
    text = window_title(desk, name='')
    if not text:
        return
    left = imgui.get_window_width() - imgui.calc_text_size(text).x - imgui.get_font_size()
    if left > imgui.get_cursor_pos_x():
        imgui.set_cursor_pos_x(left)
        imgui.text_colored(theme.MUTED, text)


def window_title(desk: Desk, *, name: str = 'AliasScope') -> str:
    """Generator, device, program."""
    title = desk.model.title if desk.model else ''
    return ' · '.join(part for part in (title, desk.view.measured.device if title else '', name) if part)

"""The small toolbar over the picture: what it is compared with, and how. There while there is something to compare."""

from __future__ import annotations

from dataclasses import replace

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.session import CompareMode, Session
from viz.comparing import (
    MODES,
    is_changed,
    is_comparing,
    is_linked,
    with_links,
    with_mode,
    with_next_mode,
    with_original,
)
from viz.editing import updated
from viz.geometry import Rectangle
from viz.view import Desk

MODE_ICONS: dict[CompareMode, str] = {
    'side': icons.ICON_FA_TABLE_COLUMNS,
    'wipe': icons.ICON_FA_LEFT_RIGHT,
    'blink': icons.ICON_FA_EYE,
    'difference': icons.ICON_FA_CIRCLE_HALF_STROKE,
}
MODE_TIPS: dict[CompareMode, str] = {
    'side': 'Side by side, moved together (C: next way).',
    'wipe': 'In one place, parted by a line to drag (C: next way).',
    'blink': 'In one place, in turns (C: next way; hold V: the second).',
    'difference': 'What differs, as colours, and how much in dB (C: next way).',
}
WORDS_FROM_EM = 31.0, 38.0
"""Narrower panes show the ways of comparing as icons: with the original, with another generator."""
ICONS_BELOW_EM = 24.0
"""Still narrower ones show nothing but icons."""
ONE_ICON_BELOW_EM = 18.0
"""In the narrowest ones a single icon goes from one way of comparing two generators to the next."""
GAIN_EM = 17.0, 12.5
"""Width of the gain: in a wide pane, in a narrow one; at most what the pane leaves."""
ICON_EM = 3.6
"""What the colours, as an icon, and the bar's border take beside it."""
COLOUR_MAPS = {'inferno': 'Fire', 'viridis': 'Viridis', 'grey': 'Grey'}
LINKS = ('link_latent', 'link_transform', 'link_view')


def bar_height(session: Session, desk: Desk) -> float:
    """How much of the pane's lower end it covers, in pixels; 0 while it does not show."""
    if not _shows(session, desk):
        return 0.0
    rows = 2 if is_comparing(session) and session.compare.mode == 'difference' else 1
    return rows * imgui.get_frame_height_with_spacing() + 1.6 * imgui.get_font_size()


def draw_bar(session: Session, whole: Rectangle, desk: Desk) -> Session:
    """Draw it over the lower end of the pane, if there is something to compare; returns the new session."""
    if not _shows(session, desk):
        return session
    em, storage = imgui.get_font_size(), imgui.get_state_storage()
    key = imgui.get_id('width of the comparison')
    width = storage.get_float(key, 20 * em)
    imgui.set_cursor_screen_pos(
        ImVec2(round(whole.center[0] - width / 2), round(whole.bottom - bar_height(session, desk) + 0.3 * em))
    )
    imgui.push_style_var(imgui.StyleVar_.window_padding, ImVec2(0.4 * em, 0.35 * em))
    imgui.push_style_color(imgui.Col_.child_bg, theme.rgba(theme.POPUP, 0.94))
    flags = (
        imgui.ChildFlags_.auto_resize_x | imgui.ChildFlags_.auto_resize_y | imgui.ChildFlags_.always_use_window_padding
    )
    if imgui.begin_child('comparison', ImVec2(0.0, 0.0), flags):
        session = _content(session, whole.width / em)
        storage.set_float(key, imgui.get_window_width())
    imgui.end_child()
    imgui.pop_style_color()
    imgui.pop_style_var()
    return session


def _shows(session: Session, desk: Desk) -> bool:
    return is_comparing(session) or (desk.side.result is not None and is_changed(desk.side.asked))


def _content(session: Session, room: float) -> Session:
    """What is in it. `room`: width of the pane in em."""
    compact = room < WORDS_FROM_EM[session.b is not None]
    if not is_comparing(session):
        if widgets.button(
            'Compare with the original', icon=icons.ICON_FA_CODE_COMPARE,
            tooltip='Beside the picture, the same by the network’s own filters (X).',
        ):  # fmt: skip
            return with_original(session, on=True)
        return session
    session = _partner(session, narrow=room < ICONS_BELOW_EM)
    widgets.same_line(0.8)
    if session.b is not None and room < ONE_ICON_BELOW_EM:
        session = _next_mode(session)
    else:
        session = _modes(session, compact=compact)
    session = _end(session)
    return _difference_row(session, room, compact=compact) if session.compare.mode == 'difference' else session


def _modes(session: Session, *, compact: bool) -> Session:
    """The ways of comparing, the one in use lit."""
    for mode, word in MODES.items():
        is_on = session.compare.mode == mode
        tip = MODE_TIPS[mode]
        if compact:
            clicked = widgets.icon_button(MODE_ICONS[mode], word, tooltip=f'{word}: {tip}', lit=is_on)
        else:
            clicked = widgets.toggle_button(word, is_on, tooltip=tip) != is_on
        if clicked:
            session = with_mode(session, mode)
        widgets.same_line(0.15)
    return session


def _next_mode(session: Session) -> Session:
    """The way of comparing in use; a click takes the next one."""
    mode, after = session.compare.mode, with_next_mode(session)
    tip = f'{MODES[mode]}: {MODE_TIPS[mode]} A click: {MODES[after.compare.mode]}.'
    if widgets.icon_button(MODE_ICONS[mode], 'Next way to compare', tooltip=tip, lit=True):
        session = after
    widgets.same_line(0.15)
    return session


def _partner(session: Session, *, narrow: bool) -> Session:
    """What the second picture is; with two generators also which of them is edited."""
    if session.b is None:
        imgui.align_text_to_frame_padding()
        imgui.text_colored(theme.MUTED, 'vs original')
        return session
    for name in ('a', 'b'):
        is_on = session.active == name
        if widgets.toggle_button(name.upper(), is_on, tooltip=f'The panels edit side {name.upper()}.') and not is_on:
            session = replace(session, active=name)
        widgets.same_line(0.15)
    is_original = session.compare.original
    tip = 'Compare the side that is edited with its own original (X).'
    if narrow:
        clicked = widgets.icon_button(icons.ICON_FA_CODE_COMPARE, 'vs original', tooltip=tip, lit=is_original)
    else:
        clicked = widgets.toggle_button('vs original', is_original, tooltip=tip) != is_original
    if clicked:
        session = with_original(session, on=not is_original)
    return session


def _end(session: Session) -> Session:
    """Links of two generators, and the way out."""
    widgets.same_line(0.8)
    if session.b is not None and not session.compare.original:
        linked = is_linked(session)
        tip = 'Latent, transform and layer of both move together; singly in the menu View.'
        if widgets.icon_button(icons.ICON_FA_LINK, 'Linked', tooltip=tip, lit=linked):
            session = with_links(session, **dict.fromkeys(LINKS, not linked))
        widgets.same_line(0.15)
    if widgets.icon_button(icons.ICON_FA_XMARK, 'Compare no more'):
        if session.compare.original:
            return with_original(session, on=False)
        return replace(session, a=session.current, b=None, active='a')
    return session


def _difference_row(session: Session, room: float, *, compact: bool) -> Session:
    compare, em = session.compare, imgui.get_font_size()
    width = min(GAIN_EM[compact], room - ICON_EM)
    imgui.begin_group()
    if imgui.begin_child('gain', ImVec2(width * em, imgui.get_frame_height())):
        gain = widgets.slider(
            'Gain', compare.gain_db, 0, 60, unit='dB', format='%.0f', default=12.0,
            tooltip='The difference that has the last colour: at 0 dB the whole range, at 20 dB a tenth of it.',
        )  # fmt: skip
        compare = updated(compare, gain_db=gain)
    imgui.end_child()
    imgui.end_group()
    if compact:
        widgets.same_line(0.3)
        names = list(COLOUR_MAPS)
        after = names[(names.index(compare.colormap) + 1) % len(names)]
        if widgets.icon_button(icons.ICON_FA_PALETTE, 'Colours', tooltip=f'Other colours: {COLOUR_MAPS[after]}.'):
            compare = updated(compare, colormap=after)
        return updated(session, compare=compare)
    for name, word in COLOUR_MAPS.items():
        widgets.same_line(0.3 if name == 'inferno' else 0.15)
        is_on = compare.colormap == name
        if widgets.toggle_button(word, is_on) != is_on:
            compare = updated(compare, colormap=name)
    return updated(session, compare=compare)

"""Two pictures in one place: parted by a line, taking turns, or subtracted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from imgui_bundle import ImVec2, imgui

from gui_utils import plots, theme, widgets
from render.difference import Difference, difference
from render.result import RenderResult
from render.session import PictureName, Session
from viz import geometry, overlay
from viz.comparing import WIPE_RANGE, aligned
from viz.error_overlay import draw_error
from viz.geometry import Picture, Placement, Rectangle
from viz.hand import Hand, hold
from viz.pane import draw_outlines, draw_picture, draw_ring, draw_side
from viz.view import Desk
from viz.walk_line import draw_line, hold_line

PEEK_KEY = imgui.Key.v
HANDLE_EM = 1.2
"""Width of the strip in which the line can be taken."""
SCALE_EM = 9.0
"""Width of the scale of colours."""
COLOUR_MAPS: dict[str, plots.ColourMap] = {'inferno': 'inferno', 'viridis': 'viridis', 'grey': 'grey'}


def draw_together(
    session: Session, names: tuple[PictureName, ...], whole: Rectangle, desk: Desk, hand: Hand
) -> Session:
    """Both pictures in one pane, where the first lies; returns the session after the gestures."""
    first, second = names
    results = desk.view.side(first).result, desk.view.side(second).result
    if results[0] is None or results[1] is None:
        return draw_side(session, second if results[0] is None else first, whole, desk, hand)
    picture = geometry.picture_of(results[0])
    if picture is None:
        return draw_side(session, first, whole, desk, hand)
    mode = 'peek' if is_peeking() else session.compare.mode
    if mode == 'wipe':
        session = _hold_line(session, whole)
    line = whole.left + round(session.compare.wipe * whole.width)
    below = _below_mouse(session, names, line, mode, desk)
    held = hand.side if hand.doing != 'nothing' and hand.side in names else below
    placement = geometry.place(whole, picture, session.canvas)
    watched: PictureName = 'a' if session.b is None else session.active
    session = hold_line(session, watched, placement)
    session = hold(session, held, placement, hand, desk.view.side(held).model, identity='picture both')
    hovered = imgui.is_item_hovered()
    lead = geometry.place(whole, picture, session.canvas)
    canvas = imgui.get_window_draw_list()
    canvas.add_rect_filled(*_corners(whole), theme.faded(theme.rgba(theme.BACKGROUND)))
    canvas.push_clip_rect(*_corners(whole), True)
    if mode == 'difference':
        _draw_difference(session, results[0], results[1], lead, desk, hovered=hovered)
    elif mode == 'wipe':
        _draw_both(session, names, lead, line, desk)
    else:
        _draw_one(session, second if mode == 'peek' or desk.view.second else first, lead, whole, desk)
    model = desk.view.side(held).model
    can_turn = model is not None and model.why_not('transform') is None
    draw_ring(canvas, session, held, lead, hand, can_turn=can_turn, hovered=hovered)
    draw_line(session, watched, lead)
    result = desk.view.side(below).result
    if result is not None and session.canvas.probe and mode != 'difference':
        overlay.draw_probe(result, _placed(result, lead), hovered=hovered, row=1)
    canvas.pop_clip_rect()
    return session


def is_peeking() -> bool:
    """Whether the key is held that shows the second picture in place of the first."""
    return imgui.is_key_down(PEEK_KEY) and not imgui.get_io().want_text_input


def _below_mouse(session: Session, names: tuple[PictureName, ...], line: float, mode: str, desk: Desk) -> PictureName:
    """The picture that a gesture is about: left or right of the line, or the one that shows."""
    if mode == 'wipe':
        return names[imgui.get_mouse_pos().x >= line]
    if mode == 'peek':
        return names[1]
    if mode == 'blink' and not session.b:
        return names[desk.view.second]
    return session.active if session.active in names else names[0]


def _corners(area: Rectangle) -> tuple[ImVec2, ImVec2]:
    return ImVec2(area.left, area.top), ImVec2(area.right, area.bottom)


def _placed(result: RenderResult, lead: Placement) -> Placement:
    picture = geometry.picture_of(result)
    return lead if picture is None else aligned(lead, picture, lead.pane)


def _draw_one(session: Session, name: PictureName, lead: Placement, part: Rectangle, desk: Desk) -> None:
    """What of one picture lies within a part of the pane, with its name."""
    known, canvas = desk.view.side(name), imgui.get_window_draw_list()
    if known.result is None or part.width <= 0:
        return
    placement = _placed(known.result, lead)
    canvas.push_clip_rect(*_corners(part), True)
    draw_picture(canvas, known.result, name, placement, session.canvas, desk)
    if session.canvas.outline and placement.picture.margin:
        draw_outlines(canvas, placement)
    taken = draw_error(known.result, replace(placement, pane=part), desk)
    overlay.draw_side_label(session, name, part, known, taken=taken)
    canvas.pop_clip_rect()


def _draw_both(session: Session, names: tuple[PictureName, ...], lead: Placement, line: float, desk: Desk) -> None:
    """The first picture left of the line, the second right of it."""
    whole = lead.pane
    _draw_one(session, names[0], lead, Rectangle(whole.left, whole.top, line - whole.left, whole.height), desk)
    _draw_one(session, names[1], lead, Rectangle(line, whole.top, whole.right - line, whole.height), desk)
    _draw_line(whole, line)


# The line


def _hold_line(session: Session, whole: Rectangle) -> Session:
    """An invisible strip over the line, before the picture's own button; the line follows the hand."""
    em, io = imgui.get_font_size(), imgui.get_io()
    width = round(HANDLE_EM * em)
    line = whole.left + round(session.compare.wipe * whole.width)
    imgui.set_cursor_screen_pos(ImVec2(line - width // 2, whole.top))
    imgui.invisible_button('wipe line', ImVec2(width, whole.height))
    if imgui.is_item_hovered() or imgui.is_item_active():
        imgui.set_mouse_cursor(imgui.MouseCursor_.resize_ew)
    if not imgui.is_item_active() or not io.mouse_delta.x:
        return session
    share = min(max((io.mouse_pos.x - whole.left) / whole.width, WIPE_RANGE[0]), WIPE_RANGE[1])
    return replace(session, compare=replace(session.compare, wipe=share))


def _draw_line(whole: Rectangle, line: float) -> None:
    """Light within dark, so that it shows on any picture; a knob with two arrows in the middle."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    dark, light = theme.faded(theme.rgba(theme.BACKGROUND, 0.7)), theme.faded(theme.TEXT_RGBA)
    top, bottom = ImVec2(line, whole.top), ImVec2(line, whole.bottom)
    canvas.add_line(top, bottom, dark, 0.25 * em)
    canvas.add_line(top, bottom, light, max(0.1 * em, 1.0))
    middle = whole.center[1]
    canvas.add_circle_filled(ImVec2(line, middle), 0.75 * em, dark)
    canvas.add_circle(ImVec2(line, middle), 0.75 * em, light, 0, max(0.1 * em, 1.0))
    for way in (-1, 1):
        tip, back = line + way * 0.5 * em, line + way * 0.15 * em
        canvas.add_triangle_filled(
            ImVec2(tip, middle), ImVec2(back, middle - 0.3 * em), ImVec2(back, middle + 0.3 * em), light
        )


# The difference


def _draw_difference(
    session: Session, one: RenderResult, other: RenderResult, lead: Placement, desk: Desk, *, hovered: bool
) -> None:
    found = desk.computed_of_both('difference', one, other, difference)
    canvas, em, pane = imgui.get_window_draw_list(), imgui.get_font_size(), lead.pane
    if isinstance(found, str):
        _draw_sentence(found, pane)
        return
    height, width = found.values.shape
    sheet = lead.picture.sheet
    picture = Picture(width, height, width, height, found.margin) if sheet is None else lead.picture
    placement = aligned(lead, picture, pane)
    frame, compare = placement.frame, session.compare
    limits = (0.0, 10 ** (-compare.gain_db / 20))
    colours = COLOUR_MAPS[compare.colormap]
    texture = desk.textures.show(
        'difference', found.values, paint=lambda values: plots.colour_pixels(values, limits, colours),
        variant=(limits, colours), shown_width=frame.width,
        filter='linear' if session.canvas.smooth or placement.pixel < 2 else 'nearest',
    )  # fmt: skip
    canvas.add_image(texture, ImVec2(frame.left, frame.top), ImVec2(frame.right, frame.bottom))
    is_original = desk.view.o.asked is not None
    overlay.draw_pill(difference_text(found, is_original=is_original), pane.center[0], pane.top + 1.4 * em, canvas)
    _draw_scale(pane.center[0], pane.top + 2.7 * em, limits[1], found, colours, desk)
    mouse = imgui.get_mouse_pos()
    place = placement.pixel_at(mouse.x, mouse.y) if hovered and session.canvas.probe else None
    if place is not None:
        text = difference_at(found, *place)
        overlay.draw_pill(text, pane.center[0], pane.bottom - 6.5 * em, canvas)


def _draw_sentence(sentence: str, pane: Rectangle) -> None:
    """In the middle of the pane, in as many lines as it needs."""
    em = imgui.get_font_size()
    width = min(26 * em, pane.width - 2 * em)
    imgui.set_cursor_screen_pos(ImVec2(round(pane.center[0] - width / 2), round(pane.center[1] - 2 * em)))
    if imgui.begin_child('no difference', ImVec2(width, 0.0), imgui.ChildFlags_.auto_resize_y):
        widgets.text(sentence)
    imgui.end_child()


def _draw_scale(x: float, y: float, top: float, found: Difference, colours: plots.ColourMap, desk: Desk) -> None:
    """The colours from no difference to the greatest that has one, on a dark ground around a point."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    text = f'{100 * top:.2g} %'
    half, wide = 0.5 * SCALE_EM * em, imgui.calc_text_size(text).x
    low, high = ImVec2(x - half - 1.6 * em, y - 0.1 * em), ImVec2(x + half + wide + 1.0 * em, y + 1.1 * em)
    canvas.add_rect_filled(low, high, theme.faded(theme.rgba(theme.BACKGROUND, 0.85)), 0.4 * em)
    table = desk.computed(f'difference {colours}', plots.colour_table(colours), lambda one: one[None])
    strip = desk.textures.show('difference colours', table, variant=colours, filter='linear')
    canvas.add_image(strip, ImVec2(x - half, y + 0.2 * em), ImVec2(x + half, y + 0.8 * em))
    canvas.add_text(ImVec2(round(x - half - 1.0 * em), round(y)), theme.faded(theme.MUTED_RGBA), '0')
    canvas.add_text(ImVec2(round(x + half + 0.5 * em), round(y)), theme.faded(theme.MUTED_RGBA), text)


def difference_text(found: Difference, *, is_original: bool = False) -> str:
    """The number of the whole picture, and whether one was brought to the other's size."""
    what = 'PSNR' if found.is_image else 'signal over difference'
    number = 'equal' if math.isinf(found.decibels) and found.decibels > 0 else f'{what} {found.decibels:.1f} dB'
    height, width = found.values.shape
    subject = 'Change' if is_original else '|A − B|'
    return f'{subject}   {number}' + (f'   at {width} × {height}, the smaller size' if found.reduced else '')


def difference_at(found: Difference, column: int, row: int) -> str:
    """One value of it."""
    value = float(found.values[row, column])
    if not np.isfinite(value):
        return f'{column}, {row}   not known'
    return f'{column}, {row}   {value * found.scale:.4g} ({100 * value:.2g} % of {"the range" if found.is_image else "the largest of A"})'

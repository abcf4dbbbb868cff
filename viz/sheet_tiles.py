"""Tiles of a contact sheet: rank and score of each channel over it, and a click that opens one."""

from __future__ import annotations

import math
from dataclasses import replace

from imgui_bundle import ImVec2, imgui

from gui_utils import theme
from render.compare import choices
from render.measures import Channel
from render.result import RenderResult
from render.session import ChannelOrder, PictureName, Session
from viz.channel_order import score_text, triage_of
from viz.editing import updated, with_side
from viz.geometry import Placement
from viz.hand import Hand
from viz.view import Desk

CLICK_EM = 0.3
"""A hand that moved less did not drag."""
LABEL_SIZE = 0.8


def open_tile(session: Session, placement: Placement, result: RenderResult, hand: Hand) -> Session:
    """The session that shows the channel of the tile that was just clicked; call it behind the pane's button."""
    sheet, mouse = placement.picture.sheet, imgui.get_mouse_pos()
    released = imgui.is_item_deactivated() and imgui.is_mouse_released(imgui.MouseButton_.left)
    if sheet is None or not released or hand.space_panned:
        return session
    moved = math.hypot(mouse.x - hand.began_at[0], mouse.y - hand.began_at[1])
    place = placement.pixel_at(mouse.x, mouse.y)
    found = sheet.locate(*place) if place is not None and moved < CLICK_EM * imgui.get_font_size() else None
    side = session.current
    if found is None or result.layer is None or result.layer.name != side.layer.layer:
        return session
    return with_side(session, replace(side, layer=updated(side.layer, mode='channel', channel=found[0])))


def draw_scores(session: Session, name: PictureName, placement: Placement, result: RenderResult, desk: Desk) -> None:
    """Rank, channel and score in the corner of each tile of a sheet that is in a measured order."""
    sheet, sort = placement.picture.sheet, choices(session, name).layer.sort
    owner = (session.active if session.b is not None else 'a') if name == 'o' else name
    if sheet is None or not sheet.order or sort == 'number':
        return
    found = triage_of(result.request, desk.view.surveys.side(owner))
    if found is None:
        return
    canvas, pane, pixel = imgui.get_window_draw_list(), placement.pane, placement.pixel
    width = sheet.cell_width * pixel
    with theme.font(theme.REGULAR, LABEL_SIZE):
        em = imgui.get_font_size()
        for index, number in enumerate(sheet.channels()):
            row, column = sheet.corner(index)
            left, top = placement.frame.left + column * pixel, placement.frame.top + row * pixel
            if left > pane.right or top > pane.bottom or left + width < pane.left or top < pane.top - width:
                continue
            text = fitting(tile_texts(sheet.first + index, found.channels[number], sort), width - 0.6 * em)
            if text:
                size = imgui.calc_text_size(text)
                low = ImVec2(round(left), round(top))
                high = ImVec2(low.x + round(size.x + 0.5 * em), low.y + round(size.y))
                canvas.add_rect_filled(low, high, theme.faded(theme.rgba(theme.BACKGROUND, 0.75)))
                canvas.add_text(ImVec2(low.x + round(0.25 * em), low.y), theme.faded(theme.TEXT_RGBA), text)


def tile_texts(place: int, channel: Channel, sort: ChannelOrder) -> tuple[str, ...]:
    """What may stand on a tile, from the fullest to the shortest."""
    score = score_text(channel, sort)
    return f'{place + 1}.  #{channel.index}  {score}', f'#{channel.index}  {score}', score, str(place + 1)


def fitting(texts: tuple[str, ...], width: float) -> str:
    """The first text that fits into so many pixels; '' if none does."""
    return next((text for text in texts if imgui.calc_text_size(text).x <= width), '')

"""What stands over the picture about its error: the number of this picture, and the scale of colours of the map."""

from __future__ import annotations

from imgui_bundle import ImVec2, imgui

from gui_utils import theme
from render.result import Equivariance, ErrorScale, RenderResult
from viz.geometry import Placement
from viz.meter_panel import NAMES, decibel_text
from viz.overlay import draw_pill, wrapped
from viz.view import Desk

BAR_EM = 11.0
TICKS = 6


def draw_error(result: RenderResult, placement: Placement, desk: Desk) -> float:
    """In the upper right corner of the pane: the scale and the number; or, where the map has none, why.

    How much of the pane's width the uppermost line of it takes, in pixels.
    """
    reading = result.equivariance
    if reading is None:
        return 0.0
    em, pane, canvas = imgui.get_font_size(), placement.pane, imgui.get_window_draw_list()
    if reading.scale is not None:
        _draw_scale(reading.scale, ImVec2(pane.right - (BAR_EM + 3.0) * em, pane.top + 2.9 * em), desk, canvas)
    text = wrapped(words(reading, is_map=result.request.view.error_map), pane.width - 4 * em)
    if not text:
        return 0.0
    size = imgui.calc_text_size(text)
    draw_pill(text, pane.right - size.x / 2 - 1.2 * em, pane.top + 0.9 * em + size.y / 2, canvas)
    return size.x + 1.8 * em


def words(reading: Equivariance, *, is_map: bool) -> str:
    """The number of a picture that was measured; why there is none, where the map was asked for; else nothing."""
    if reading.metric is not None:
        return f'{NAMES[reading.metric]}  {decibel_text(reading.decibels)}'
    return reading.sentence if is_map else ''


def _draw_scale(scale: ErrorScale, corner: ImVec2, desk: Desk, canvas: imgui.ImDrawList) -> None:
    """A strip from large errors to small ones, with the dB that a picture of that error would have."""
    em = imgui.get_font_size()
    width, height = BAR_EM * em, 0.7 * em
    ground = ImVec2(corner.x - 0.4 * em, corner.y - 0.4 * em), ImVec2(corner.x + width + 2.6 * em, corner.y + 2.4 * em)
    canvas.add_rect_filled(*ground, theme.faded(theme.rgba(theme.BACKGROUND, 0.85)), 0.4 * em)
    strip = desk.textures.show('colours of errors', scale.colours, filter='linear')
    canvas.add_image(strip, corner, ImVec2(corner.x + width, corner.y + height), col=theme.faded(0xFFFFFFFF))
    for tick in range(TICKS + 1):
        share = tick / TICKS
        number = f'{scale.bright_db + share * (scale.dark_db - scale.bright_db):.0f}'
        left = corner.x + share * width - imgui.calc_text_size(number).x * share
        canvas.add_text(ImVec2(round(left), round(corner.y + 0.9 * em)), theme.faded(theme.TEXT_RGBA), number)
    place = ImVec2(round(corner.x + width + 0.5 * em), round(corner.y + 0.9 * em))
    canvas.add_text(place, theme.faded(theme.MUTED_RGBA), 'dB')

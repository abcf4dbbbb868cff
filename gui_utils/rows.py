"""What every labelled control shares: the label on the left, the tooltip, the way back to the default value.

A row is   Label        [ control ............ ] (reset)
with the label in a column of fixed width, and room for the reset arrow kept free so that nothing jumps.
"""

from __future__ import annotations

from typing import TypeVar

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme

Value = TypeVar('Value')

LABEL_EM = 8.0
LABEL_SHARE = 0.4
"""The label column is at most this part of a narrow panel."""
RESET_EM = 1.5
TOOLTIP_EM = 26.0

_RESET = icons.ICON_FA_ARROW_ROTATE_LEFT

# Enumerations of Python are slow to combine: once, not for every control of every frame.
_FOR_TOOLTIP = int(imgui.HoveredFlags_.for_tooltip)
_EVEN_DISABLED = int(imgui.HoveredFlags_.for_tooltip | imgui.HoveredFlags_.allow_when_disabled)


def begin_row(label: str, tooltip: str = '') -> str:
    """Draw the label, place the cursor at the control and set its width; returns the id to give the control."""
    em = imgui.get_font_size()
    left = imgui.get_cursor_pos_x()
    available = imgui.get_content_region_avail().x
    column = float(int(min(LABEL_EM * em, LABEL_SHARE * available)))  # whole pixels, else edges blur
    visible = label.split('##', 1)[0]
    if visible:
        imgui.align_text_to_frame_padding()
        _clipped_label(visible, column - 0.5 * em)
        if tooltip and imgui.is_item_hovered(_FOR_TOOLTIP):
            show_tooltip(tooltip)
        imgui.same_line(0.0, 0.0)
        imgui.set_cursor_pos_x(left + column)
    imgui.set_next_item_width(max(int(available - column - RESET_EM * em), 2.0 * em))
    return '##' + label


def control_width() -> float:
    """How wide the control of a row that has just begun may be, in pixels."""
    em = imgui.get_font_size()
    return max(int(imgui.get_content_region_avail().x - RESET_EM * em), 2.0 * em)


def end_row(label: str, value: Value, default: Value | None, tooltip: str = '') -> Value:
    """Finish a row whose control is the last item; returns `default` if the user asked for it, else `value`.

    Right click, or the arrow that shows while the value differs.
    """
    if tooltip and imgui.is_item_hovered(_FOR_TOOLTIP) and not imgui.is_item_active():
        show_tooltip(tooltip)
    if default is None or value == default:
        return value
    if imgui.is_item_hovered() and imgui.is_mouse_clicked(imgui.MouseButton_.right):
        return default
    imgui.same_line(0.0, 0.25 * imgui.get_font_size())
    return default if reset_arrow(label) else value


def reset_arrow(label: str) -> bool:
    """A small arrow; True when clicked."""
    clicked = bare_icon(_RESET, f'reset {label}', width=RESET_EM * 0.85 * imgui.get_font_size())
    if imgui.is_item_hovered(_FOR_TOOLTIP):
        show_tooltip('Back to the default value.')
    return clicked


def bare_icon(icon: str, identity: str, *, width: float, framed: bool = False) -> bool:
    """An icon to click, in the middle of `width` pixels, with or without a ground; True when clicked."""
    imgui.push_style_var(imgui.StyleVar_.frame_padding, ImVec2(0.0, imgui.get_style().frame_padding.y))
    if not framed:
        imgui.push_style_color(imgui.Col_.button, 0)
        imgui.push_style_color(imgui.Col_.text, theme.MUTED_RGBA)
    clicked = imgui.button(f'{icon}##{identity}', ImVec2(width, 0.0))
    if not framed:
        imgui.pop_style_color(2)
    imgui.pop_style_var()
    return clicked


def show_tooltip(text: str) -> None:
    """Show `text` beside the mouse, wrapped; for the item that is known to be hovered."""
    if imgui.begin_tooltip():
        imgui.push_text_wrap_pos(TOOLTIP_EM * imgui.get_font_size())
        imgui.text_unformatted(text)
        imgui.pop_text_wrap_pos()
        imgui.end_tooltip()


def explain(text: str) -> None:
    """Explain the last item when the mouse rests on it, also while it is disabled."""
    if text and imgui.is_item_hovered(_EVEN_DISABLED):
        show_tooltip(text)


def _clipped_label(text: str, width: float) -> None:
    if imgui.calc_text_size(text).x <= width:
        imgui.text_unformatted(text)
        return
    corner, height = imgui.get_cursor_screen_pos(), imgui.get_frame_height()
    end = ImVec2(corner.x + width, corner.y + height)
    padding = imgui.get_style().frame_padding.y
    imgui.internal.render_text_ellipsis(
        imgui.get_window_draw_list(), ImVec2(corner.x, corner.y + padding), end, end.x, text, imgui.calc_text_size(text)
    )
    imgui.dummy(ImVec2(width, height))
    explain(text)

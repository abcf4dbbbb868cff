"""Controls that change a value: the value goes in, the new value comes out.

A label may carry an invisible part, `Gain##A`, to tell apart two of the same name in one window.
`default`: right click, or the small arrow, returns to it. None: no default.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme
from gui_utils.rows import RESET_EM, begin_row, control_width, end_row, explain

Choice = TypeVar('Choice', bound=Hashable)
Options = Mapping[Choice, str] | Sequence[Choice]
"""What can be chosen: values with the text shown for each, or values that are shown as they are."""

_CLAMP = int(imgui.SliderFlags_.always_clamp)
_CLAMP_LOG = int(imgui.SliderFlags_.always_clamp | imgui.SliderFlags_.logarithmic)
_COMBO_FLAGS = int(imgui.ComboFlags_.height_large | imgui.ComboFlags_.no_arrow_button)
_LEAST_SLACK_EM = 0.35
"""Free width of each button of a row of them, so that words do not touch its edges."""
_FILL = -1e-6
"""As a width: to the end of the line. (The least float of Python is 0 for imgui.)"""
_LEFT, _RIGHT = imgui.MouseButton_.left, imgui.MouseButton_.right
_FRAME_BG, _FRAME_BG_HOVERED, _FRAME_BG_ACTIVE = (
    imgui.Col_.frame_bg,
    imgui.Col_.frame_bg_hovered,
    imgui.Col_.frame_bg_active,
)


def slider(
    label: str,
    value: float,
    low: float,
    high: float,
    *,
    unit: str = '',
    format: str = '',
    logarithmic: bool = False,
    default: float | None = None,
    tooltip: str = '',
) -> float:
    """A number between `low` and `high`, by dragging, or typed after a ctrl click; double click: the default.

    `format`: as in C, '%.2f'; empty: as many decimals as the range deserves. `unit` is written after it.
    `logarithmic`: equal steps multiply; three significant digits, whatever `format` says.
    """
    identity = begin_row(label, tooltip)
    _begin_track(value, low, high, logarithmic=logarithmic)
    if logarithmic:
        # imgui takes 0.1 to the power of the format's precision for zero, hence the 7
        changed, moved = imgui.slider_float(identity, value, low, high, '%.7g' + _unit_text(unit), _CLAMP_LOG)
        moved = float(f'{moved:.3g}')
    else:
        changed, moved = imgui.slider_float(identity, value, low, high, number_format(low, high, format, unit), _CLAMP)
    if _end_track(default) and default is not None:
        return default
    return end_row(label, _clean(moved) if changed else value, default, tooltip)


def int_slider(
    label: str, value: int, low: int, high: int, *, unit: str = '', default: int | None = None, tooltip: str = ''
) -> int:
    """A whole number between `low` and `high`, handled like `slider`."""
    identity = begin_row(label, tooltip)
    _begin_track(value, low, high)
    changed, moved = imgui.slider_int(identity, value, low, high, '%d' + _unit_text(unit), _CLAMP)
    if _end_track(default) and default is not None:
        return default
    return end_row(label, moved if changed else value, default, tooltip)


def drag2(
    label: str,
    value: tuple[float, float],
    *,
    speed: float = 0.01,
    low: float = 0.0,
    high: float = 0.0,
    unit: str = '',
    format: str = '%.3f',
    default: tuple[float, float] | None = None,
    tooltip: str = '',
) -> tuple[float, float]:
    """Two numbers side by side, by dragging, or typed after a double click; no limits while `low` equals `high`."""
    identity = begin_row(label, tooltip)
    text = number_format(low, high, format, unit)
    room = (imgui.calc_item_width() - imgui.get_style().item_inner_spacing.x) / 2
    if max(imgui.calc_text_size(text % one).x for one in value) > room:
        text = number_format(low, high, format, '')  # rather no unit than half a number
    changed, moved = imgui.drag_float2(identity, list(value), speed, low, high, text, _CLAMP if low < high else 0)
    return end_row(label, (_clean(moved[0]), _clean(moved[1])) if changed else value, default, tooltip)


def int_input(
    label: str,
    value: int,
    *,
    low: int = -(2**31),
    high: int = 2**31 - 1,
    step: int = 1,
    default: int | None = None,
    tooltip: str = '',
) -> int:
    """A whole number with - and + buttons; typed numbers beyond `low` or `high` are moved to the nearer one."""
    identity = begin_row(label, tooltip)
    changed, typed = imgui.input_int(identity, value, step, 10 * step)
    return end_row(label, min(max(typed, low), high) if changed else value, default, tooltip)


def text_input(label: str, value: str, *, hint: str = '', default: str | None = None, tooltip: str = '') -> str:
    """A line of text; `hint` shows while it is empty."""
    identity = begin_row(label, tooltip)
    changed, typed = imgui.input_text_with_hint(identity, hint, value)
    return end_row(label, typed if changed else value, default, tooltip)


def checkbox(label: str, value: bool, *, default: bool | None = None, tooltip: str = '') -> bool:
    """On or off."""
    identity = begin_row(label, tooltip)
    changed, ticked = imgui.checkbox(identity, value)
    return end_row(label, ticked if changed else value, default, tooltip)


def combo(
    label: str,
    value: Choice,
    options: Options[Choice],
    *,
    default: Choice | None = None,
    tooltip: str = '',
    explanations: Mapping[Choice, str] | None = None,
    impossible: Mapping[Choice, str] | None = None,
) -> Choice:
    """One of several, in a list that opens. `explanations`: of single entries; `impossible`: grey ones, and why."""
    identity = begin_row(label, tooltip)
    if not _begin_combo(identity, option_text(options, value)):
        return end_row(label, value, default, tooltip)
    chosen, explanations, impossible = value, explanations or {}, impossible or {}
    for option in options:
        if option in impossible:
            imgui.begin_disabled()
        if _combo_entry(option_text(options, option), is_chosen=option == value):
            chosen = option
        if option in impossible:
            imgui.end_disabled()
        explain(impossible.get(option) or explanations.get(option, ''))
    imgui.end_combo()
    return chosen


def search_combo(
    label: str, value: Choice, options: Options[Choice], search: str, *, tooltip: str = ''
) -> tuple[Choice, str]:
    """One of many: the list that opens shows those whose text contains `search`; returns the choice and the search."""
    identity = begin_row(label, tooltip)
    if not _begin_combo(identity, option_text(options, value)):
        return end_row(label, value, None, tooltip), ''
    if imgui.is_window_appearing():
        imgui.set_keyboard_focus_here()
    imgui.set_next_item_width(-1.0)
    _, search = imgui.input_text_with_hint(f'##search {label}', 'Search', search)
    words = search.lower().split()
    for option in options:
        text = option_text(options, option)
        if all(word in text.lower() for word in words) and _combo_entry(text, is_chosen=option == value):
            value = option
    imgui.end_combo()
    return value, search


def segmented(
    label: str, value: Choice, options: Options[Choice], *, default: Choice | None = None, tooltip: str = ''
) -> Choice:
    """One of a few, as a row of buttons; as a list where the words do not fit."""
    begin_row(label, tooltip)
    gap, chosen = round(0.125 * imgui.get_font_size()), value
    texts = [option_text(options, option) for option in options]
    widths = [imgui.calc_text_size(text).x for text in texts]
    least = _LEAST_SLACK_EM * imgui.get_font_size()
    slack = (control_width() - gap * (len(texts) - 1) - sum(widths)) / max(len(texts), 1)
    if slack < least and default is None:  # no arrow will stand behind it
        slack += RESET_EM * imgui.get_font_size() / max(len(texts), 1)
    if slack < least:
        imgui.set_next_item_width(control_width())
        return end_row(label, _chosen_from_list('##' + label, value, options), default, tooltip)
    imgui.push_style_var(imgui.StyleVar_.frame_padding, ImVec2(0.0, imgui.get_style().frame_padding.y))
    imgui.begin_group()
    for place, (option, text, width) in enumerate(zip(options, texts, widths, strict=True)):
        if place:
            imgui.same_line(0.0, gap)
        if _lit_button(f'{text}##{label.lstrip("#")}', max(int(width + slack), 1.0), is_lit=option == value):
            chosen = option
    imgui.end_group()
    imgui.pop_style_var()
    return end_row(label, chosen, default, tooltip)


def toggle_button(label: str, value: bool, *, icon: str = '', tooltip: str = '', width: float = 0.0) -> bool:
    """A button that stays down while on; `width` in em, 0 fits the text."""
    clicked = _lit_button(_with_icon(label, icon), width * imgui.get_font_size(), is_lit=value)
    explain(tooltip)
    return value != clicked


def button(
    label: str, *, icon: str = '', tooltip: str = '', width: float = 0.0, primary: bool = False, enabled: bool = True
) -> bool:
    """True when clicked. `width` in em: 0 fits the text, -1 fills the line. `primary`: the one to press next.

    Where the words would be cut, only the icon is drawn and the tooltip begins with them.
    """
    pixels = _FILL if width < 0 else width * imgui.get_font_size()
    shown = _with_icon(label, icon)
    if icon and width and _is_cut(shown, pixels):
        words = label.partition('##')[0]
        shown, tooltip = f'{icon}##{label}', f'{words}. {tooltip}' if tooltip else words
    if not enabled:
        imgui.begin_disabled()
    clicked = _lit_button(shown, pixels, is_lit=primary)
    if not enabled:
        imgui.end_disabled()
    explain(tooltip)
    return clicked


def _is_cut(label: str, pixels: float) -> bool:
    """Whether a button is too narrow for its words; `pixels` negative: as wide as the line."""
    room = pixels if pixels > 0 else imgui.get_content_region_avail().x
    return imgui.calc_text_size(label, hide_text_after_double_hash=True).x > room


def icon_button(icon: str, name: str, *, tooltip: str = '', lit: bool = False) -> bool:
    """A square button with an icon only; `name` tells it apart and is its tooltip unless another is given."""
    side = imgui.get_frame_height()
    imgui.push_style_var(imgui.StyleVar_.frame_padding, ImVec2(0.0, imgui.get_style().frame_padding.y))
    clicked = _lit_button(f'{icon}##{name}', side, is_lit=lit)
    imgui.pop_style_var()
    explain(tooltip or name)
    return clicked


def reset_button(changed: bool, label: str = 'Reset') -> bool:
    """A button that can be clicked while there is something to reset; True when clicked."""
    return button(label, icon='\uf2ea', enabled=changed, tooltip='Everything in this panel back to its default.')


def option_text(options: Options[Choice], value: Choice) -> str:
    """How `value` is shown; a value that is not among the options is shown as it is."""
    return str(options.get(value, value)) if isinstance(options, Mapping) else str(value)


@functools.lru_cache(maxsize=256)
def number_format(low: float, high: float, format: str, unit: str) -> str:
    """The C format for numbers between two limits: about a thousand steps, and the unit behind."""
    if not format:
        span = abs(high - low) or 1.0
        format = f'%.{min(max(3 - math.ceil(math.log10(span)), 0), 5)}f'
    return format + _unit_text(unit)


def _unit_text(unit: str) -> str:
    joined = unit if unit[:1] in ('', '°', '×', '%') else ' ' + unit
    return joined.replace('%', ' %%')


def _clean(value: float) -> float:
    return float(f'{value:.6g}')  # without the noise of single precision: 0.7, not 0.699999988


def _fraction(value: float, low: float, high: float, logarithmic: bool) -> float:
    """Where along the slider a value lies, 0 to 1."""
    if logarithmic and low > 0:
        low, high, value = math.log(low), math.log(high), math.log(max(value, low))
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0


def _begin_track(value: float, low: float, high: float, *, logarithmic: bool = False) -> None:
    """The ground of a slider that is filled from zero; the slider that follows draws none of its own."""
    _draw_track(_fraction(value, low, high, logarithmic), _fraction(0.0, low, high, logarithmic))
    imgui.push_style_color(_FRAME_BG, 0)
    imgui.push_style_color(_FRAME_BG_HOVERED, theme.VEIL_RGBA)
    imgui.push_style_color(_FRAME_BG_ACTIVE, theme.VEIL_RGBA)


def _end_track(default: float | None) -> bool:
    """To be called after the slider; whether it was double-clicked, so that it returns to its default."""
    imgui.pop_style_color(3)
    if default is None or not (imgui.is_item_hovered() and imgui.is_mouse_double_clicked(_LEFT)):
        return False
    imgui.internal.clear_active_id()  # else the pressed button would drag the value away again
    return True


def _draw_track(end: float, start: float) -> None:
    """The ground of a slider, filled from `start` to `end`."""
    corner, height = imgui.get_cursor_screen_pos(), imgui.get_frame_height()
    width, rounding = imgui.calc_item_width(), imgui.get_style().frame_rounding
    left, top, bottom = corner.x, corner.y, corner.y + height
    canvas = imgui.get_window_draw_list()
    canvas.add_rect_filled(corner, ImVec2(left + width, bottom), theme.faded(theme.FRAME_RGBA), rounding)
    if start != end:
        start, end = min(start, end), max(start, end)
        fill = theme.faded(theme.ACCENT_FAINT_RGBA)
        canvas.add_rect_filled(ImVec2(left + start * width, top), ImVec2(left + end * width, bottom), fill, rounding)


def _lit_button(label: str, width: float, *, is_lit: bool) -> bool:
    if not is_lit:
        return imgui.button(label, ImVec2(width, 0.0))
    imgui.push_style_color(imgui.Col_.button, theme.ACCENT_DIM_RGBA)
    imgui.push_style_color(imgui.Col_.button_hovered, theme.ACCENT_HOVERED_RGBA)
    clicked = imgui.button(label, ImVec2(width, 0.0))
    imgui.pop_style_color(2)
    return clicked


def _with_icon(label: str, icon: str) -> str:
    return f'{icon} {label}' if icon else label


def _chosen_from_list(identity: str, value: Choice, options: Options[Choice]) -> Choice:
    """What was chosen in a list that opens; else `value`."""
    if not _begin_combo(identity, option_text(options, value) or 'Choose …'):
        return value
    chosen = value
    for option in options:
        if _combo_entry(option_text(options, option), is_chosen=option == value):
            chosen = option
    imgui.end_combo()
    return chosen


def _begin_combo(identity: str, shown: str) -> bool:
    """imgui's combo with a lighter arrow."""
    corner, width = imgui.get_cursor_screen_pos(), imgui.calc_item_width()
    room = width - 1.5 * imgui.get_font_size() - imgui.get_style().frame_padding.x  # left of the arrow
    is_open = imgui.begin_combo(identity, _shortened(shown, room), _COMBO_FLAGS)
    if not is_open:
        em = imgui.get_font_size()
        place = ImVec2(corner.x + width - 1.3 * em, corner.y + imgui.get_style().frame_padding.y)
        imgui.get_window_draw_list().add_text(place, theme.faded(theme.MUTED_RGBA), icons.ICON_FA_ANGLE_DOWN)
    elif imgui.is_key_pressed(imgui.Key.escape):
        imgui.close_current_popup()
    return is_open


def _shortened(text: str, width: float) -> str:
    """The beginning of the text that is at most `width` pixels wide, with dots for what is left out."""
    if imgui.calc_text_size(text).x <= width:
        return text
    while text and imgui.calc_text_size(f'{text}…').x > width:
        text = text[:-1]
    return f'{text.rstrip()}…'


def _combo_entry(text: str, *, is_chosen: bool) -> bool:
    clicked, _ = imgui.selectable(text, is_chosen)
    if is_chosen and imgui.is_window_appearing():
        imgui.set_item_default_focus()
        imgui.set_scroll_here_y()
    return clicked

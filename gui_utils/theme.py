"""How everything looks: colours with names, fonts, and one style that is scaled exactly once.

The greys are neutral so that they do not tint the eye next to a picture; one accent marks what can be moved and what
is chosen; text has two strengths. Plot colours are told apart by colour-blind readers too (after Okabe and Ito,
lightened for a dark ground).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import imgui_bundle
from imgui_bundle import ImVec2, ImVec4, imgui, implot

Colour = tuple[float, float, float, float]


def _hex(rgb: str, alpha: float = 1.0) -> Colour:
    red, green, blue = (int(rgb[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue, alpha


BACKGROUND = _hex('101114')  # behind the panels
PANEL = _hex('1a1b1f')
FRAME = _hex('2a2c32')  # of a control
FRAME_HOVERED = _hex('34363d')
FRAME_ACTIVE = _hex('3d4048')
POPUP = _hex('202226')
BORDER = _hex('303238')
TEXT = _hex('e4e5e8')
MUTED = _hex('9498a1')
FAINT = _hex('62666f')
ACCENT = _hex('5aa2ff')
ACCENT_DIM = _hex('2d5a94')
ACCENT_FAINT = _hex('263c5a')
GRAB = _hex('3c74c4')  # the value of a slider is written over it: dark enough for white digits
GOOD = _hex('4cc38a')
WARN = _hex('f0b84c')
BAD = _hex('f2705e')

SERIES: tuple[Colour, ...] = (
    _hex('5cb8f2'),  # sky
    _hex('f0a330'),  # orange
    _hex('35c49a'),  # green
    _hex('d98cc0'),  # pink
    _hex('f2e35a'),  # yellow
    _hex('f2704e'),  # vermilion
    _hex('8f97f5'),  # blue
    _hex('b8bac0'),  # grey
)

TEXT_PIXELS = 16.0
REGULAR, BOLD, MONO = 0, 1, 2  # order in which `load_fonts` adds them


@functools.lru_cache(maxsize=512)
def rgba(colour: Colour, alpha: float = 1.0) -> int:
    """The colour as imgui's draw lists take it: 0xAABBGGRR."""
    red, green, blue, own_alpha = colour
    channels = (red, green, blue, own_alpha * alpha)
    return sum(round(channel * 255) << (8 * place) for place, channel in enumerate(channels))


def faded(packed: int) -> int:
    """A packed colour as transparent as the style wants it just now, which is how imgui greys out what is disabled.

    (`imgui.get_color_u32` takes any integer for an index of the style's colours, and reads beyond their end.)
    """
    alpha = imgui.get_style().alpha
    return packed if alpha >= 1.0 else (packed & 0xFFFFFF) | round((packed >> 24) * alpha) << 24


# The ones that controls push and draw with, in that form.
TEXT_RGBA, MUTED_RGBA, FAINT_RGBA = rgba(TEXT), rgba(MUTED), rgba(FAINT)
FRAME_RGBA, BORDER_RGBA = rgba(FRAME), rgba(BORDER)
ACCENT_RGBA, ACCENT_DIM_RGBA, ACCENT_FAINT_RGBA = rgba(ACCENT), rgba(ACCENT_DIM), rgba(ACCENT_FAINT)
VEIL_RGBA = rgba((1.0, 1.0, 1.0, 0.06))
ACCENT_HOVERED_RGBA = rgba(_hex('3a6fb3'))


def load_fonts() -> None:
    """Give the current imgui context its fonts: Roboto, Roboto Bold, Inconsolata, each with the icons merged in."""
    folder = Path(imgui_bundle.__file__).parent / 'assets/fonts'
    fonts = imgui.get_io().fonts
    for name in ('Roboto/Roboto-Regular.ttf', 'Roboto/Roboto-Bold.ttf', 'Inconsolata-Medium.ttf'):
        fonts.add_font_from_file_ttf(str(folder / name), TEXT_PIXELS)
        icons = imgui.ImFontConfig()
        icons.merge_mode = True
        icons.extra_size_scale = 0.86  # the icons are drawn larger than letters of the same size
        icons.glyph_min_advance_x = 1.15 * TEXT_PIXELS  # all as wide, so that what follows them lines up
        fonts.add_font_from_file_ttf(str(folder / 'Font_Awesome_6_Free-Solid-900.otf'), TEXT_PIXELS, icons)


@contextlib.contextmanager
def font(which: int, size: float = 1.0) -> Iterator[None]:
    """Write in REGULAR, BOLD or MONO, `size` times as large as plain text."""
    imgui.push_font(imgui.get_io().fonts.fonts[which], size * TEXT_PIXELS)
    try:
        yield
    finally:
        imgui.pop_font()


def apply(scale: float) -> None:
    """Set the whole style of the current imgui and ImPlot contexts for one scale; calling it again starts over."""
    _apply_sizes(imgui.get_style(), scale)
    _apply_colours(imgui.get_style())
    _apply_plot_style(implot.get_style(), scale)


def _apply_sizes(style: imgui.Style, scale: float) -> None:
    for name, value in {**_default_sizes(), **_SIZES}.items():
        setattr(style, name, ImVec2(*value) if isinstance(value, tuple) else value)
    style.window_menu_button_position = imgui.Dir.none
    style.docking_node_has_close_button = False
    style.scale_all_sizes(scale)
    for name in ('window_border_size', 'child_border_size', 'popup_border_size', 'tab_bar_border_size'):
        setattr(style, name, float(max(1, int(scale))))  # a line of 1.5 pixels would be a blurred one
    style.font_size_base = TEXT_PIXELS
    style.font_scale_dpi = scale


_SIZES: Mapping[str, float | tuple[float, float]] = MappingProxyType(
    {
        'cell_padding': (6.0, 3.0),
        'child_rounding': 5.0,
        'disabled_alpha': 0.42,
        'docking_separator_size': 3.0,
        'frame_padding': (8.0, 4.0),
        'frame_rounding': 5.0,
        'grab_min_size': 5.0,
        'grab_rounding': 4.0,
        'hover_delay_normal': 0.45,
        'indent_spacing': 16.0,
        'item_inner_spacing': (6.0, 4.0),
        'item_spacing': (8.0, 6.0),
        'menu_item_rounding': 4.0,
        'popup_rounding': 6.0,
        'scrollbar_rounding': 6.0,
        'scrollbar_size': 11.0,
        'selectable_rounding': 4.0,
        'separator_text_border_size': 1.0,
        'separator_text_padding': (0.0, 6.0),
        'tab_bar_overline_size': 2.0,
        'window_min_size': (64.0, 48.0),
        'window_padding': (12.0, 10.0),
        'window_rounding': 6.0,
    }
)
"""In pixels at scale 1, where they differ from imgui's own."""


def _default_sizes() -> dict[str, float | tuple[float, float]]:
    """Every size of an untouched style, so that applying another scale does not scale twice."""
    fresh, sizes = imgui.Style(), {}
    for name in dir(fresh):
        value = getattr(fresh, name)
        if isinstance(value, ImVec2):
            sizes[name] = (value.x, value.y)
        elif isinstance(value, float) and not name.startswith(('_', 'font')):
            sizes[name] = value
    return sizes


def _apply_colours(style: imgui.Style) -> None:
    clear = (0.0, 0.0, 0.0, 0.0)
    colours = {
        'text': TEXT, 'text_disabled': MUTED, 'window_bg': PANEL, 'child_bg': clear, 'popup_bg': POPUP,
        'border': BORDER, 'border_shadow': clear, 'frame_bg': FRAME, 'frame_bg_hovered': FRAME_HOVERED,
        'frame_bg_active': FRAME_ACTIVE, 'title_bg': BACKGROUND, 'title_bg_active': BACKGROUND,
        'title_bg_collapsed': BACKGROUND, 'menu_bar_bg': BACKGROUND, 'scrollbar_bg': clear,
        'scrollbar_grab': FRAME_HOVERED, 'scrollbar_grab_hovered': FRAME_ACTIVE, 'scrollbar_grab_active': FAINT,
        'check_mark': ACCENT, 'slider_grab': GRAB, 'slider_grab_active': ACCENT, 'button': FRAME,
        'button_hovered': FRAME_HOVERED, 'button_active': FRAME_ACTIVE, 'header': ACCENT_FAINT,
        'header_hovered': FRAME_HOVERED, 'header_active': FRAME_ACTIVE, 'separator': BORDER,
        'separator_hovered': ACCENT_DIM, 'separator_active': ACCENT, 'resize_grip': clear,
        'resize_grip_hovered': ACCENT_DIM, 'resize_grip_active': ACCENT, 'tab': BACKGROUND,
        'tab_hovered': FRAME_HOVERED, 'tab_selected': PANEL, 'tab_selected_overline': ACCENT, 'tab_dimmed': BACKGROUND,
        'tab_dimmed_selected': PANEL, 'tab_dimmed_selected_overline': FAINT, 'docking_preview': (*ACCENT[:3], 0.5),
        'docking_empty_bg': BACKGROUND, 'plot_lines': ACCENT, 'plot_histogram': ACCENT,
        'table_header_bg': FRAME, 'table_border_strong': BORDER, 'table_border_light': BORDER,
        'table_row_bg': clear, 'table_row_bg_alt': (1.0, 1.0, 1.0, 0.02), 'text_link': ACCENT,
        'text_selected_bg': ACCENT_DIM, 'nav_cursor': ACCENT, 'input_text_cursor': ACCENT,
        'modal_window_dim_bg': (0.0, 0.0, 0.0, 0.55), 'drag_drop_target': ACCENT,
    }  # fmt: skip
    for name, colour in colours.items():
        style.set_color_(getattr(imgui.Col_, name), ImVec4(*colour))


def _apply_plot_style(style: implot.Style, scale: float) -> None:
    pixels = {
        'plot_padding': (2, 5), 'label_padding': (5, 4), 'legend_padding': (0, 3), 'legend_inner_padding': (4, 1),
        'legend_spacing': (10, 1), 'mouse_pos_padding': (8, 6), 'annotation_padding': (3, 2),
        'major_tick_len': (5, 5), 'minor_tick_len': (0, 0), 'plot_min_size': (120, 80),
    }  # fmt: skip
    for name, (across, down) in pixels.items():
        setattr(style, name, ImVec2(across * scale, down * scale))
    style.plot_border_size = float(max(1, int(scale)))
    style.minor_alpha = 0.4
    mouse = implot.get_input_map()
    mouse.zoom_mod = int(imgui.Key.mod_ctrl)  # the plain wheel scrolls the panel that the plot lies in
    mouse.override_mod = int(imgui.Key.mod_alt)  # would be ctrl too, and mean: ignore the mouse
    mouse.fit = int(imgui.MouseButton_.middle)  # the double click returns to the limits that were asked for
    col = implot.Col_
    for place, colour in {
        col.frame_bg: (0.0, 0.0, 0.0, 0.0), col.plot_bg: BACKGROUND, col.plot_border: BORDER, col.legend_bg: (0.0, 0.0, 0.0, 0.0),
        col.legend_border: (0.0, 0.0, 0.0, 0.0), col.legend_text: TEXT, col.title_text: TEXT, col.inlay_text: MUTED,
        col.axis_text: MUTED, col.axis_grid: (1.0, 1.0, 1.0, 0.10), col.selection: ACCENT, col.crosshairs: MUTED,
    }.items():  # fmt: skip
        style.set_color_(place, ImVec4(*colour))

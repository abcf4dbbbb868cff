"""What the parts of the laboratory have in common: the button that measures, results that fade, pictures, sentences."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import numpy as np
from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import plots, theme, widgets
from gui_utils.plots import ColourMap
from viz.commands import CancelMeasuring, MeasuringCommand
from viz.findings import Bench
from viz.view import Desk

OUTDATED = 'Measured before the last change.'
NO_MODEL = 'Open a generator first.'
SETTINGS_EM = 24.0
FADED = 0.45
"""Opacity of a result that is not about what is shown any more."""


def run_row(
    keys: tuple[str, ...],
    wish: MeasuringCommand,
    text: str,
    icon: str,
    bench: Bench,
    desk: Desk,
    *,
    reason: str = '',
) -> None:
    """The button that starts, or how far it is; what went wrong the last time; whether it is still about what is shown."""
    under_way = [bench.running[key] for key in keys if key in bench.running]
    if under_way:
        fraction = (sum(one.fraction for one in under_way) + len(keys) - len(under_way)) / len(keys)
        words = under_way[0].text if len(keys) == 1 else ''
        if widgets.progress(fraction, words or 'Measuring …'):
            desk.ask(CancelMeasuring(keys))
    else:
        with widgets.disabled_unless(not reason, reason):
            if widgets.button(text, icon=icon, primary=True, width=-1):
                desk.ask(wish)
    if reason:
        widgets.text_muted(reason)
    for sentence in {bench.errors[key] for key in keys if key in bench.errors}:
        widgets.notice('bad', sentence, can_dismiss=False)
    if any(is_outdated(key, wish, bench, desk) for key in keys):
        imgui.text_colored(theme.WARN, OUTDATED)


def measured_side(desk: Desk) -> str:
    """Of two generators, the name of the one that is measured where only one is; else empty."""
    return desk.titles()[desk.active] if len(desk.shown) > 1 and 'o' not in desk.shown else ''


def of_side(desk: Desk) -> str:
    """The same behind the words of a button: ' of A'."""
    name = measured_side(desk)
    return f' of {name}' if name else ''


def is_outdated(key: str, wish: MeasuringCommand, bench: Bench, desk: Desk) -> bool:
    """Whether a result is known, and the button would now measure something else."""
    return key not in bench.running and bench.is_outdated(key, desk.side.asked, wish)


@contextlib.contextmanager
def settings(name: str, tooltip: str) -> Iterator[bool]:
    """A button left of the next item, and what it opens; the value says whether that is open: only then fill it."""
    if widgets.icon_button(icons.ICON_FA_SLIDERS, name, tooltip=tooltip):
        imgui.open_popup(name)
    imgui.set_next_window_size(ImVec2(SETTINGS_EM * imgui.get_font_size(), 0.0))
    with widgets.popup(name) as is_open:
        yield is_open
    widgets.same_line(0.25)


@contextlib.contextmanager
def fading(faded: bool) -> Iterator[None]:
    """What is drawn inside is dimmed, if `faded`."""
    if not faded:
        yield
        return
    imgui.push_style_var(imgui.StyleVar_.alpha, imgui.get_style().alpha * FADED)
    try:
        yield
    finally:
        imgui.pop_style_var()


def bullet(words: str) -> None:
    """One entry of a list."""
    imgui.text_colored(theme.MUTED, '•')
    widgets.same_line(0.5)
    widgets.text(words)


def percent(share: float) -> str:
    """A share for people."""
    if math.isnan(share):
        return '–'
    return f'{100 * share:.1f} %' if 0.0005 < share < 0.0995 else f'{100 * share:.0f} %'


def headline(number: str, name: str, sentence: str) -> None:
    """The result: a large number, what it is, and what it means."""
    with theme.font(theme.BOLD, 1.4):
        imgui.text_unformatted(number)
    baseline, em = imgui.get_item_rect_max().y, imgui.get_font_size()
    widgets.same_line(0.5)
    if imgui.get_content_region_avail().x > imgui.calc_text_size(name).x:
        imgui.set_cursor_screen_pos(ImVec2(imgui.get_cursor_screen_pos().x, baseline - 1.25 * em))
        imgui.text_colored(theme.MUTED, name)
    else:
        imgui.new_line()
        widgets.text_muted(name)
    if sentence:
        widgets.text(sentence)


def picture(key: str, pixels: np.ndarray, desk: Desk, *, width: float, height: float, tooltip: str = '') -> bool:
    """Draw pixels [height, width, 3 or 4] in an area of that many screen pixels; True when clicked."""
    corner, size = imgui.get_cursor_screen_pos(), ImVec2(max(round(width), 1), max(round(height), 1))
    is_enlarged = size.x >= 2 * pixels.shape[1]
    texture = desk.textures.show(key, pixels, shown_width=size.x, filter='nearest' if is_enlarged else 'linear')
    end = ImVec2(corner.x + size.x, corner.y + size.y)
    imgui.get_window_draw_list().add_image(texture, corner, end, col=theme.faded(0xFFFFFFFF))
    clicked = imgui.invisible_button(f'##{key}', size)
    widgets.explain(tooltip)
    return clicked


def amplitudes(values: np.ndarray, top: float = 1.0, colour_map: ColourMap = 'inferno') -> np.ndarray:
    """Values [height, width] from 0 to `top` as colours [height, width, 4]."""
    return np.ascontiguousarray(plots.colour_pixels(values, (0.0, top), colour_map))


def shares(values: np.ndarray) -> np.ndarray:
    """Relative amplitudes [height, width] as colours of their energy: what chance leaves then stays dark."""
    return amplitudes(np.square(values))

"""Curves, bars and two-dimensional pictures with axes, by ImPlot. Sizes in em; colours by name from the theme."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from imgui_bundle import ImVec2, ImVec4, imgui, implot

from gui_utils import theme
from gui_utils.texture import Filter, Textures

ColourMap = Literal['viridis', 'inferno', 'grey', 'diverging']
Limits = tuple[float, float]

_FLAGS = int(implot.Flags_.no_menus | implot.Flags_.no_box_select | implot.Flags_.no_title)


_EQUAL = int(implot.Flags_.equal)
_NO_GRID = int(implot.AxisFlags_.no_grid_lines)
_LEGEND_FLAGS = int(implot.LegendFlags_.outside | implot.LegendFlags_.horizontal)
_HEATMAP_AROUND_EM = (3.9, 2.6)
"""About how much of a plot's width and height its numbers take, without the names of the axes."""
_COLOUR_BAR_EM = 4.5
_X_AXIS = ('left', 'right', 'width')


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One curve, or one set of bars."""

    name: str
    y: np.ndarray
    """[points]"""
    x: np.ndarray | None = None
    """[points]; None: 0, 1, 2, …"""
    colour: theme.Colour | None = None
    """None: the next colour of the theme."""
    weight: float = 1.75
    """Thickness in pixels at scale 1."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A vertical line at a place that has a name."""

    x: float
    label: str
    colour: theme.Colour = theme.MUTED


def line_plot(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str = '',
    y_label: str = '',
    x_limits: Limits | None = None,
    y_limits: Limits | None = None,
    log_x: bool = False,
    log_y: bool = False,
    x_ticks: Sequence[float] = (),
    markers: Sequence[Marker] = (),
    height: float = 12.0,
    has_legend: bool | None = None,
    inside: Callable[[], None] | None = None,
) -> float | None:
    """Draw curves; returns the x under the mouse, or None.

    `title` after '##' does not show. The limits given hold until the user drags or zooms (ctrl and wheel); a double
    click, or other limits, return to them. None: as far as the data goes. `x_ticks`: where numbers stand; empty: where
    there is room. `markers`: named vertical lines, named at the top edge.
    `has_legend`: names over the plot; None: if there are several curves. `inside`: called in the plot, to draw or read more.
    Values that are not finite leave gaps.
    """
    key = (x_limits, y_limits, log_x, log_y)
    names = len(series) > 1 if has_legend is None else has_legend
    with _plot(title, height, key=key, has_legend=names) as condition:
        if not condition:
            return None
        _set_axes(x_label, y_label, x_limits, y_limits, condition, log_x=log_x, log_y=log_y)
        if x_ticks:
            implot.setup_axis_ticks(implot.ImAxis_.x1, [float(x) for x in x_ticks], [f'{x:g}' for x in x_ticks])
        scale = imgui.get_style().font_scale_dpi
        for place, entry in enumerate(series):
            spec = implot.Spec(line_color=_series_colour(entry, place), line_weight=entry.weight * scale)
            y = _plain(entry.y)
            x = np.arange(len(y), dtype=np.float64) if entry.x is None else _plain(entry.x)
            implot.plot_line(f'{entry.name}##{place}', x, y, spec)
        _draw_markers(markers)
        if inside is not None:
            inside()
        return implot.get_plot_mouse_pos().x if implot.is_plot_hovered() else None


def bars(
    title: str,
    series: Sequence[Series],
    *,
    names: Sequence[str] = (),
    x_label: str = '',
    y_label: str = '',
    y_limits: Limits | None = None,
    height: float = 10.0,
) -> int | None:
    """Draw upright bars, side by side where there are several series; returns the index under the mouse, or None.

    `names`: under the bars; empty: their numbers.
    """
    count = max((len(entry.y) for entry in series), default=0)
    with _plot(title, height, key=(count, y_limits), has_legend=len(series) > 1) as condition:
        if not condition:
            return None
        _set_axes(x_label, y_label, (-0.6, max(count, 1) - 0.4), y_limits, condition)
        if names:
            implot.setup_axis_ticks(implot.ImAxis_.x1, [float(place) for place in range(len(names))], list(names))
        width = 0.8 / max(len(series), 1)
        for place, entry in enumerate(series):
            shift = (place - (len(series) - 1) / 2) * width
            spec = implot.Spec(fill_color=_series_colour(entry, place), line_weight=0.0)
            y = _plain(entry.y)
            x = np.arange(len(y), dtype=np.float64) + shift
            implot.plot_bars(f'{entry.name}##{place}', x, y, width * 0.92, spec)
        under_mouse = round(implot.get_plot_mouse_pos().x) if implot.is_plot_hovered() else -1
        return under_mouse if 0 <= under_mouse < count else None


def heatmap(
    title: str,
    values: np.ndarray,
    textures: Textures,
    *,
    extent: tuple[float, float, float, float],
    limits: Limits,
    colour_map: ColourMap = 'viridis',
    x_label: str = '',
    y_label: str = '',
    bar_label: str = '',
    height: float = 16.0,
    filter: Filter = 'nearest',
    fills: bool = False,
) -> tuple[float, float] | None:
    """Draw a picture of numbers with axes and a scale of colours; returns the place under the mouse in axis units.

    `values`: [height, width], the first row at the top. Drawn again only if it is another array than before.
    `extent`: left, right, bottom, top of the picture in axis units. `limits`: values of the first and the last colour.
    `fills`: the axes have nothing to do with each other, so the picture is as wide and high as there is room.
    """
    left, right, bottom, top = extent
    if fills:
        width = max(imgui.get_content_region_avail().x - _COLOUR_BAR_EM * imgui.get_font_size(), 1.0)
    else:
        width, height = _heatmap_size(abs((right - left) / (top - bottom)), height, bool(x_label), bool(y_label))
    place, area = None, None
    with _plot(title, height, key=extent, width=width, flags=0 if fills else _EQUAL) as condition:
        if condition:
            implot.setup_axes(x_label, y_label, _NO_GRID, _NO_GRID)
            implot.setup_axes_limits(left, right, bottom, top, condition)
            _space_x_ticks(title, (left, right), width, is_reset=condition == int(implot.Cond_.always))
            texture = textures.show(
                f'heatmap {title}', values, variant=(limits, colour_map), shown_width=width, filter=filter,
                paint=lambda numbers: colour_pixels(numbers, limits, colour_map),
            )  # fmt: skip
            implot.plot_image('##values', texture, implot.Point(left, bottom), implot.Point(right, top))
            area = (implot.get_plot_pos(), implot.get_plot_size())
            _remember_x_axis(title, area[1].x)
            if implot.is_plot_hovered():
                mouse = implot.get_plot_mouse_pos()
                place = (mouse.x, mouse.y)
    if area:
        imgui.same_line(0.0, 0.25 * imgui.get_font_size())
        _colour_bar(*area, limits, bar_label, colour_map, textures)
    return place


def colour_pixels(values: np.ndarray, limits: Limits, colour_map: ColourMap = 'viridis') -> np.ndarray:
    """Numbers as colours: any shape in, the same shape and [4] uint8 out; not a number becomes transparent."""
    low, high = limits
    position = (np.asarray(values, np.float32) - low) * (255.0 / ((high - low) or 1.0))
    table = colour_table(colour_map)
    missing = np.isnan(position)
    pixels = table[np.clip(np.where(missing, 0.0, position), 0.0, 255.0).astype(np.uint8)]
    pixels[missing] = 0
    return pixels


@functools.lru_cache(maxsize=8)
def colour_table(colour_map: ColourMap) -> np.ndarray:
    """The 256 colours of a map: [256, 4] uint8. Interpolated between a few points of the published maps."""
    points = _COLOUR_POINTS[colour_map]
    corners = np.array([[int(point[i : i + 2], 16) for i in (0, 2, 4)] for point in points.split()], np.float64)
    where = np.linspace(0, len(corners) - 1, 256)
    channels = [np.interp(where, np.arange(len(corners)), corners[:, channel]) for channel in range(3)]
    return np.stack([*channels, np.full(256, 255.0)], axis=1).round().astype(np.uint8)


@functools.lru_cache(maxsize=8)
def _colour_strip(colour_map: ColourMap) -> np.ndarray:
    """The colours from the last at the top to the first: [256, 1, 4] uint8."""
    return np.ascontiguousarray(colour_table(colour_map)[::-1, None])


_COLOUR_POINTS = {
    'viridis': '440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725',
    'inferno': '000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4',
    'grey': '000000 ffffff',
    'diverging': '2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b',
}


@contextlib.contextmanager
def _plot(
    title: str, height: float, *, key: Hashable, width: float = -1.0, flags: int = 0, has_legend: bool = False
) -> Iterator[int]:
    """A plot; the value is 0 if it does not show, else ImPlot's condition under which to set its limits.

    They are set at first, when `key` changes, and at a double click; in between the user's zoom holds.
    """
    shown_title = title.split('##', 1)[0]
    if shown_title:
        with theme.font(theme.BOLD):
            imgui.text_unformatted(shown_title)
    flags |= _FLAGS | (0 if has_legend else int(implot.Flags_.no_legend))
    condition = implot.Cond_.always if _is_new(title, key) or _is_double_clicked() else implot.Cond_.once
    if not implot.begin_plot(f'##{title}', ImVec2(width, height * imgui.get_font_size()), flags):
        yield 0
        return
    try:
        if has_legend:  # above the plot, where it covers no data
            implot.setup_legend(implot.Location_.north_west, _LEGEND_FLAGS)
        yield int(condition)
    finally:
        implot.end_plot()


def _set_axes(
    x_label: str,
    y_label: str,
    x_limits: Limits | None,
    y_limits: Limits | None,
    condition: int,
    *,
    log_x: bool = False,
    log_y: bool = False,
) -> None:
    fit = int(implot.AxisFlags_.auto_fit)
    implot.setup_axes(x_label, y_label, 0 if x_limits else fit, 0 if y_limits else fit)
    for axis, limits, is_log in ((implot.ImAxis_.x1, x_limits, log_x), (implot.ImAxis_.y1, y_limits, log_y)):
        if is_log:
            implot.setup_axis_scale(axis, implot.Scale_.log10)
        if limits:
            implot.setup_axis_limits(axis, *limits, condition)


def _is_new(title: str, key: Hashable) -> bool:
    """Whether this plot was last drawn with another key; imgui's storage of the window remembers."""
    storage, place, value = imgui.get_state_storage(), imgui.get_id(f'{title}##limits'), hash(key) & 0x7FFFFFFF
    changed = storage.get_int(place, -1) != value
    storage.set_int(place, value)
    return changed


def _is_double_clicked() -> bool:
    """Whether some plot of this window is: the others then return to their limits too."""
    clicked = imgui.is_mouse_double_clicked(imgui.MouseButton_.left)
    return clicked and imgui.is_window_hovered(imgui.HoveredFlags_.child_windows)


def _series_colour(entry: Series, place: int) -> ImVec4:
    return ImVec4(*(entry.colour or theme.SERIES[place % len(theme.SERIES)]))


def _plain(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float64)


def _draw_markers(markers: Sequence[Marker]) -> None:
    """Named vertical lines. A name stands right of its line, or left, or lower: where it covers no other name."""
    if not markers:
        return
    canvas, corner, size = implot.get_plot_draw_list(), implot.get_plot_pos(), implot.get_plot_size()
    em, pixel = imgui.get_font_size(), imgui.get_style().font_scale_dpi
    ordered = sorted(markers, key=lambda each: each.x)
    places = [round(implot.plot_to_pixels(marker.x, 0.0).x) for marker in ordered]
    implot.push_plot_clip_rect()
    for x, marker in zip(places, ordered, strict=True):
        colour = theme.faded(theme.rgba(marker.colour, 0.6))
        canvas.add_line(ImVec2(x, corner.y), ImVec2(x, corner.y + size.y), colour, pixel)
    taken, row = corner.x, 0  # how far to the right names reach; the row of the last one
    for x, marker, next_x in zip(places, ordered, [*places[1:], corner.x + size.x], strict=True):
        width = imgui.calc_text_size(marker.label).x + 0.5 * em
        left = x + pixel
        row = row + 1 if left < taken else 0
        if left + width > next_x and x - width >= taken:
            left, row = x - width, 0
        elif left + width > corner.x + size.x:  # no room at the right end: below the name before it
            left, row = x - width, row + (1 if x - width < taken and row == 0 else 0)
        low = ImVec2(left, corner.y + (0.15 + 1.15 * row) * em)
        canvas.add_rect_filled(
            low, ImVec2(left + width, low.y + 1.1 * em), theme.faded(theme.rgba(theme.BACKGROUND, 0.7))
        )
        canvas.add_text(ImVec2(left + 0.25 * em, low.y), theme.faded(theme.rgba(marker.colour)), marker.label)
        taken = max(taken, left + width)
    implot.pop_plot_clip_rect()


def _space_x_ticks(title: str, limits: Limits, width: float, *, is_reset: bool) -> None:
    """Numbers below the plot as close as they can stand without touching: ImPlot's own do touch in small plots."""
    em, storage = imgui.get_font_size(), imgui.get_state_storage()
    low, high, inside = (storage.get_float(imgui.get_id(f'{title}##{part}'), 0.0) for part in _X_AXIS)
    if is_reset or high <= low:
        (low, high), inside = limits, width - _HEATMAP_AROUND_EM[0] * em
    places = tick_places(low, high, lambda text: (imgui.calc_text_size(text).x + 0.35 * em) / max(inside, 1.0))
    implot.setup_axis_ticks(implot.ImAxis_.x1, list(places), [f'{place:g}' for place in places])


def _remember_x_axis(title: str, inside: float) -> None:
    """What the user's zoom made of the axis, in pixels and units, for the next frame."""
    seen, storage = implot.get_plot_limits().x, imgui.get_state_storage()
    for part, value in zip(_X_AXIS, (seen.min, seen.max, inside), strict=True):
        storage.set_float(imgui.get_id(f'{title}##{part}'), value)


def tick_places(low: float, high: float, share: Callable[[str], float]) -> tuple[float, ...]:
    """Multiples of the smallest round step whose numbers find room; at least one place.

    `share`: how much of the axis a number needs, its distance to the next included.
    """
    power = math.floor(math.log10(high - low)) - 1
    for step in (factor * 10.0**exponent for exponent in range(power, power + 3) for factor in (1, 2, 5)):
        numbers = range(math.ceil(low / step), math.floor(high / step) + 1)
        places = tuple(round(number * step, 12) for number in numbers)
        if all(share(f'{place:g}') <= step / (high - low) for place in places):
            return places or (low,)
    return (low,)


def _heatmap_size(aspect: float, height: float, has_x_label: bool, has_y_label: bool) -> tuple[float, float]:
    """Width in pixels and height in em of a plot whose inside is about `aspect` times as wide as high."""
    em = imgui.get_font_size()
    across = (_HEATMAP_AROUND_EM[0] + 1.3 * has_y_label) * em
    down = (_HEATMAP_AROUND_EM[1] + 1.2 * has_x_label) * em
    width = max(imgui.get_content_region_avail().x - _COLOUR_BAR_EM * em, 8 * em)
    width = min(width, (height * em - down) * aspect + across)
    return width, min(height, ((width - across) / aspect + down) / em)


def _colour_bar(
    corner: ImVec2, size: ImVec2, limits: Limits, label: str, colour_map: ColourMap, textures: Textures
) -> None:
    """The scale of colours as tall as the plot beside it, with numbers."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    left = imgui.get_cursor_screen_pos().x
    strip = textures.show(f'colours {colour_map}', _colour_strip(colour_map), filter='linear')
    low, high = ImVec2(left, corner.y), ImVec2(left + 0.7 * em, corner.y + size.y)
    canvas.add_image(strip, low, high, col=theme.faded(0xFFFFFFFF))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        number = f'{limits[0] + share * (limits[1] - limits[0]):.4g}'
        y = corner.y + size.y * (1 - share) - em * (0.15 + 0.7 * (1 - share) if share in (0.0, 1.0) else 0.5)
        canvas.add_text(ImVec2(left + 0.95 * em, y), theme.faded(theme.MUTED_RGBA), number)
    if label:
        canvas.add_text(ImVec2(left, corner.y + size.y + 0.3 * em), theme.faded(theme.MUTED_RGBA), label)
    imgui.dummy(ImVec2((_COLOUR_BAR_EM - 0.25) * em, size.y))

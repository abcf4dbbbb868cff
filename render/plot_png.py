"""Plots as pictures, drawn with Pillow: curves, heat maps and contact sheets for the files that commands write."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from analysis.colormap import colormap

WIDTH, HEIGHT = 960, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 200, 44, 56
BACKGROUND, INK, GRID = (255, 255, 255), (32, 34, 40), (224, 226, 230)
COLOURS = (
    (31, 87, 164), (214, 92, 36), (40, 140, 84), (146, 66, 160), (196, 150, 20), (80, 160, 190), (190, 60, 90), (110, 110, 110),
)  # fmt: skip
"""One after the other; told apart by people who do not see all colours, and each curve is named beside the plot."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a plot; points that are not finite are left out."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A straight line with a name: across the plot at `y`, or down at `x`."""

    label: str
    x: float | None = None
    y: float | None = None


def line_plot(
    curves: Sequence[Curve], *, title: str, x_label: str, y_label: str, marks: Sequence[Mark] = (), log_x: bool = False
) -> np.ndarray:
    """The picture [height, width, rgb] uint8 of some curves."""
    image = Image.new('RGB', (WIDTH, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(image)
    frame = _Frame(curves, marks, log_x)
    _axes(draw, frame, title, x_label, y_label)
    for mark in marks:
        _mark(draw, frame, mark)
    for number, curve in enumerate(curves):
        colour = _colour(number, len(curves))
        points = [frame.place(x, y) for x, y in zip(curve.x, curve.y, strict=True) if frame.shows(x, y)]
        if len(points) > 1:
            draw.line(points, fill=colour, width=2, joint='curve')
        elif points:
            draw.ellipse([points[0][0] - 3, points[0][1] - 3, points[0][0] + 3, points[0][1] + 3], fill=colour)
        row = _TOP + 18 * number
        if row < HEIGHT - _BOTTOM:
            draw.line([WIDTH - _RIGHT + 12, row + 7, WIDTH - _RIGHT + 32, row + 7], fill=colour, width=3)
            draw.text((WIDTH - _RIGHT + 38, row), curve.label[:24], fill=INK, font=_font())
    return np.asarray(image)


def heat_map(
    values: np.ndarray, *, rows: Sequence[str], columns: Sequence[str], title: str, low: float, high: float
) -> np.ndarray:
    """The picture [height, width, rgb] uint8 of a table [rows, columns] of numbers, each written into its field; NaN is grey."""
    table = colormap('viridis').numpy()
    field, left = (84, 26), 130
    image = Image.new('RGB', (left + field[0] * len(columns) + 20, 70 + field[1] * len(rows) + 20), BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.text((12, 12), title, fill=INK, font=_font(15))
    for column, name in enumerate(columns):
        draw.text((left + field[0] * column + 6, 46), name, fill=INK, font=_font())
    for row, name in enumerate(rows):
        top = 68 + field[1] * row
        draw.text((12, top + 6), name[:18], fill=INK, font=_font())
        for column in range(len(columns)):
            value = float(values[row, column])
            known = not np.isnan(value)
            level = int(np.clip((value - low) / (high - low), 0, 1) * 255) if known else 0
            colour = tuple(int(part) for part in table[level]) if known else GRID
            box = [left + field[0] * column, top, left + field[0] * (column + 1) - 2, top + field[1] - 2]
            draw.rectangle(box, fill=colour)
            text = ('≥ 200' if value >= 200 else f'{value:.1f}') if known else '–'
            draw.text((box[0] + 8, top + 6), text, fill=INK if level > 140 or not known else BACKGROUND, font=_font())
    return np.asarray(image)


def map_sheet(maps: Sequence[tuple[str, np.ndarray]], *, title: str, cell: int = 160) -> np.ndarray:
    """The picture of some maps [height, width] of values from 0 to 1, with names under them."""
    columns = max(min(len(maps), 5), 1)
    rows = -(-len(maps) // columns)
    image = Image.new('RGB', (columns * (cell + 12) + 12, 44 + rows * (cell + 34)), BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.text((12, 12), title, fill=INK, font=_font(15))
    table = colormap('viridis').numpy()
    for number, (name, values) in enumerate(maps):
        left, top = 12 + number % columns * (cell + 12), 40 + number // columns * (cell + 34)
        known = np.nan_to_num(values)
        if known.size:
            levels = (np.clip(known, 0, 1) * 255).astype(np.uint8)
            tile = Image.fromarray(table[levels]).resize((cell, cell), Image.Resampling.NEAREST)
            image.paste(tile, (left, top))
        draw.text((left, top + cell + 4), name[:26], fill=INK, font=_font())
    return np.asarray(image)


def enlarged(image: np.ndarray, *, least: int = 384) -> np.ndarray:
    """A small picture [height, width, rgb] with every pixel repeated, until its longer side has about `least` pixels."""
    times = max(least // max(image.shape[:2]), 1)
    return image.repeat(times, axis=0).repeat(times, axis=1)


class _Frame:
    """Numbers to places."""

    def __init__(self, curves: Sequence[Curve], marks: Sequence[Mark], log_x: bool):
        self.log_x = log_x
        xs = [self._x(x) for curve in curves for x in curve.x if np.isfinite(x) and (not log_x or x > 0)]
        ys = [y for curve in curves for y in curve.y if np.isfinite(y)]
        ys += [mark.y for mark in marks if mark.y is not None]
        self.x = _padded(min(xs, default=0.0), max(xs, default=1.0), 0.0)
        self.y = _padded(min(ys, default=0.0), max(ys, default=1.0), 0.05)

    def shows(self, x: float, y: float) -> bool:
        return bool(np.isfinite(x) and np.isfinite(y) and (not self.log_x or x > 0))

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = (self._x(x) - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def _x(self, x: float) -> float:
        return float(np.log10(x)) if self.log_x else float(x)


def _padded(low: float, high: float, part: float) -> tuple[float, float]:
    if high <= low:
        return low - 0.5, low + 0.5
    return low - part * (high - low), high + part * (high - low)


def _axes(draw: ImageDraw.ImageDraw, frame: _Frame, title: str, x_label: str, y_label: str) -> None:
    draw.text((_LEFT, 14), title, fill=INK, font=_font(15))
    for value in _ticks(*frame.y):
        _, y = frame.place(10 ** frame.x[0] if frame.log_x else frame.x[0], value)
        draw.line([_LEFT, y, WIDTH - _RIGHT, y], fill=GRID)
        draw.text((_LEFT - 8, y), f'{value:g}', fill=INK, font=_font(), anchor='rm')
    for value in _ticks(*frame.x):
        shown = 10**value if frame.log_x else value
        x, _ = frame.place(shown, frame.y[0])
        draw.line([x, _TOP, x, HEIGHT - _BOTTOM], fill=GRID)
        draw.text((x, HEIGHT - _BOTTOM + 8), f'{shown:.3g}', fill=INK, font=_font(), anchor='ma')
    draw.rectangle([_LEFT, _TOP, WIDTH - _RIGHT, HEIGHT - _BOTTOM], outline=INK)
    draw.text(((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 24), x_label, fill=INK, font=_font(), anchor='ma')
    draw.text((8, 14), y_label, fill=INK, font=_font())


def _mark(draw: ImageDraw.ImageDraw, frame: _Frame, mark: Mark) -> None:
    colour = (150, 150, 156)
    if mark.y is not None:
        _, y = frame.place(10 ** frame.x[0] if frame.log_x else frame.x[0], mark.y)
        draw.line([_LEFT, y, WIDTH - _RIGHT, y], fill=colour)
        draw.text((WIDTH - _RIGHT - 6, y - 2), mark.label, fill=colour, font=_font(), anchor='rd')
    if mark.x is not None and frame.shows(mark.x, 0.0):
        x, _ = frame.place(mark.x, frame.y[0])
        if _LEFT <= x <= WIDTH - _RIGHT:
            draw.line([x, _TOP, x, HEIGHT - _BOTTOM], fill=colour)
            draw.text((x + 4, _TOP + 4), mark.label, fill=colour, font=_font())


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two."""
    step = 10 ** np.floor(np.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 8)
    return [float(value) for value in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]


def _colour(number: int, count: int) -> tuple[int, int, int]:
    if count <= len(COLOURS):
        return COLOURS[number]
    red, green, blue = colormap('viridis')[round(number / max(count - 1, 1) * 230)].to(torch.int64).tolist()
    return red, green, blue


def _font(size: int = 12) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)

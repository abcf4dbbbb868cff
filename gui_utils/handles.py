"""Points of a plot that can be dragged sideways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgui_bundle import ImVec4, imgui, implot

from gui_utils import theme
from gui_utils.rows import show_tooltip

_SIZE = 5.0
"""Radius in pixels at scale 1."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A point that moves along x between two limits."""

    x: float
    y: float
    low: float
    high: float
    colour: theme.Colour
    tooltip: str = ''


def drag_handles(handles: Sequence[Handle]) -> tuple[int, float] | None:
    """Draw the points inside the plot that is open; returns which was moved and its new x, or None."""
    moved = None
    size = _SIZE * imgui.get_style().font_scale_dpi
    for place, handle in enumerate(handles):
        changed, x, _, _, hovered, held = implot.drag_point(
            place, handle.x, handle.y, ImVec4(*handle.colour), size, 0, False, False, False
        )
        if changed:
            moved = (place, min(max(x, handle.low), handle.high))
        if handle.tooltip and (hovered or held):
            show_tooltip(handle.tooltip)
    return moved

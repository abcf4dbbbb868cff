"""Where the picture lies on the screen, and what a movement of the hand means there. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from render.result import RenderResult
from render.session import CanvasState, LatentState, TransformState
from render.sheet import LINE, SheetLayout, sheet_layout

ZOOM_RANGE = (0.05, 64.0)
FIT_MARGIN = 0.02
"""Of the pane, left free around a picture that fits."""
WHEEL_STEP = 2**0.25
"""Zoom of one notch of the wheel."""
SEEDS_PER_PANE = 4.0
"""Lattice steps that a drag across the pane walks, where the picture cannot be moved."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """On the screen, in imgui's units, y down."""

    left: float
    top: float
    width: float
    height: float

    @property
    def center(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def contains(self, x: float, y: float) -> bool:
        """Whether the point lies inside."""
        return self.left <= x < self.right and self.top <= y < self.bottom


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown, in its own pixels."""

    width: int
    height: int
    cell_width: float
    """Of one channel: of a contact sheet the first cell's, else the picture's."""
    cell_height: float
    margin: float = 0.0
    """Pixels around the image canvas on each side of a cell."""
    sheet: SheetLayout | None = None


def picture_of(result: RenderResult) -> Picture | None:
    """The measures of a result's picture; None if it has none."""
    if result.image is None:
        return None
    height, width = result.image.shape[:2]
    layer = result.layer
    if layer is None:
        return Picture(width, height, width, height)
    if result.request.view.mode != 'sheet':
        return Picture(width, height, width, height, layer.margin)
    layout = sheet_layout(result.request.view, layer.channels, layer.height, layer.width)
    return Picture(width, height, layout.cell_width, layout.cell_height, layer.margin / layout.reduction, layout)


@dataclass(frozen=True, slots=True)
class Placement:
    """The picture as it lies in the pane."""

    picture: Picture
    pane: Rectangle
    frame: Rectangle
    """The whole picture on the screen; may be larger than the pane."""

    @property
    def pixel(self) -> float:
        """Width on the screen of one pixel of the picture."""
        return self.frame.width / self.picture.width

    @property
    def canvas(self) -> Rectangle:
        """The image canvas (without margins) on the screen; of a sheet the first cell's."""
        return self.canvas_at(self.frame.left, self.frame.top)

    def canvas_at(self, x: float, y: float) -> Rectangle:
        """The image canvas on the screen of the cell below a point; of the first cell where there is none."""
        picture, pixel, sheet = self.picture, self.pixel, self.picture.sheet
        column = row = 0
        if sheet is not None and self.frame.contains(x, y):
            column = int((x - self.frame.left) / pixel / (sheet.cell_width + LINE)) * (sheet.cell_width + LINE)
            row = int((y - self.frame.top) / pixel / (sheet.cell_height + LINE)) * (sheet.cell_height + LINE)
        return Rectangle(
            self.frame.left + (column + picture.margin) * pixel,
            self.frame.top + (row + picture.margin) * pixel,
            max(picture.cell_width - 2 * picture.margin, 1e-6) * pixel,
            max(picture.cell_height - 2 * picture.margin, 1e-6) * pixel,
        )

    def pixel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Column and row of the picture's pixel below a point of the screen, or None beside the picture."""
        if not self.frame.contains(x, y):
            return None
        column = int((x - self.frame.left) / self.pixel)
        row = int((y - self.frame.top) / self.pixel)
        return min(column, self.picture.width - 1), min(row, self.picture.height - 1)


def place(pane: Rectangle, picture: Picture, view: CanvasState) -> Placement:
    """Where the picture lies in the pane at this zoom and pan."""
    pixel = fit_scale(pane, picture) * view.zoom
    width, height = picture.width * pixel, picture.height * pixel
    center_x, center_y = pane.center
    # Whole screen pixels: a picture that starts between two would be blurred by the screen, not by the network.
    left = round(center_x + view.pan_x * width - width / 2)
    top = round(center_y + view.pan_y * width - height / 2)
    return Placement(picture, pane, Rectangle(left, top, width, height))


def fit_scale(pane: Rectangle, picture: Picture) -> float:
    """Screen pixels per picture pixel of a picture that fits.

    From 2 on a whole number: unevenly enlarged pixels would look like a pattern that sticks to the screen.
    """
    room = 1 - 2 * FIT_MARGIN
    scale = min(pane.width * room / picture.width, pane.height * room / picture.height)
    return max(math.floor(scale), 2.0) if scale >= 2 else max(scale, 1e-6)


def zoomed(view: CanvasState, factor: float, placement: Placement, at: tuple[float, float]) -> CanvasState:
    """The view `factor` times as large; what lies below the point `at` of the screen stays there."""
    zoom = min(max(view.zoom * factor, ZOOM_RANGE[0]), ZOOM_RANGE[1])
    factor = zoom / view.zoom
    width = placement.frame.width
    center_x, center_y = placement.pane.center
    # The picture's centre moves away from `at` by the factor; pans are in widths of the new picture.
    new_x = at[0] + (center_x + view.pan_x * width - at[0]) * factor
    new_y = at[1] + (center_y + view.pan_y * width - at[1]) * factor
    return replace(
        view, zoom=zoom, pan_x=(new_x - center_x) / (width * factor), pan_y=(new_y - center_y) / (width * factor)
    )


def panned(view: CanvasState, dx: float, dy: float, placement: Placement) -> CanvasState:
    """The view moved with the hand by (dx, dy) on the screen."""
    width = placement.frame.width
    return replace(view, pan_x=view.pan_x + dx / width, pan_y=view.pan_y + dy / width)


def fitted(view: CanvasState) -> CanvasState:
    """The view with the whole picture in the pane."""
    return replace(view, zoom=1.0, pan_x=0.0, pan_y=0.0)


def translated(state: TransformState, dx: float, dy: float, placement: Placement) -> TransformState:
    """The transform after the hand moved by (dx, dy) on the screen: one pixel of hand is one pixel of picture."""
    width = placement.canvas.width  # translations are in image widths, down as well
    return replace(state, x=state.x + dx / width, y=state.y + dy / width)


def pivot(state: TransformState, placement: Placement, near: tuple[float, float] | None = None) -> tuple[float, float]:
    """The point of the screen that stays where it is while the picture (in a sheet: the cell at `near`) is rotated."""
    canvas = placement.canvas if near is None else placement.canvas_at(*near)
    center_x, center_y = canvas.center
    return center_x + state.x * canvas.width, center_y + state.y * canvas.width


def rotated(
    state: TransformState,
    before: tuple[float, float],
    after: tuple[float, float],
    placement: Placement,
    *,
    near: tuple[float, float] | None = None,
) -> TransformState:
    """The transform after the hand went from `before` to `after` around the pivot; the picture turns with the hand."""
    x, y = pivot(state, placement, near)
    start = math.atan2(y - before[1], before[0] - x)
    end = math.atan2(y - after[1], after[0] - x)
    return replace(state, degrees=wrap_degrees(state.degrees + math.degrees(end - start)))


def wrap_degrees(degrees: float) -> float:
    """The same angle in [-180, 180)."""
    return (degrees + 180) % 360 - 180


def ring_radius(placement: Placement) -> float:
    """Radius on the screen of the ring that rotates the picture: just inside its border."""
    return 0.47 * min(placement.canvas.width, placement.canvas.height)


def walked(state: LatentState, dx: float, dy: float, pane: Rectangle) -> LatentState:
    """The latent after a drag across a picture that cannot be moved: the lattice of seeds moves with the hand."""
    step = SEEDS_PER_PANE / max(min(pane.width, pane.height), 1.0)
    return replace(
        state, x=max(state.x - dx * step, 0.0), y=max(state.y - dy * step, 0.0)
    )  # the map begins with seed 0

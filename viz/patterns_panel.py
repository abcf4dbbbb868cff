"""What of every layer is tied to the place: a map of one layer, and the list of all."""

from __future__ import annotations

import math

from imgui_bundle import icons_fontawesome_6 as icons
from imgui_bundle import imgui

from gui_utils import plots, widgets
from gui_utils.widgets import Column
from render.measures import FixedPattern, FixedPatterns
from render.session import LayerState, StickingState
from viz.commands import MeasurePatterns
from viz.editing import updated
from viz.findings import PATTERNS, Bench
from viz.laboratory_row import NO_MODEL, fading, is_outdated, percent, run_row
from viz.layer_panel import with_layer
from viz.view import Desk

COLUMNS = (
    Column('Layer'),
    Column(
        'Tied',
        3.6,
        is_number=True,
        tooltip='Of the layer’s variance: 0 % = all moves, 100 % = the same in every picture.',
    ),
    Column(
        'Edge', 3.6, is_number=True, tooltip='The same for the outer eighth of the canvas: high = it knows its border.'
    ),
)
ABOUT = (
    'Averages every layer over latents and, where the input can be moved, over moves. What is not flat in the average tells '
    'the network where it is.'
)
IMAGE = 'image'
LIST_EM = 9.0
"""Height of the list at least."""


def draw_patterns(
    state: StickingState, layer: LayerState, bench: Bench, desk: Desk
) -> tuple[StickingState, LayerState]:
    """Controls, the map and the list; returns the new state, and which layer is shown in the picture."""
    samples = widgets.int_slider('Samples', state.patterns, 2, 128, default=16)
    state, wish = updated(state, patterns=samples), MeasurePatterns(samples)
    reason = '' if desk.model else NO_MODEL
    run_row((PATTERNS,), wish, 'Measure every layer', icons.ICON_FA_THUMBTACK, bench, desk, reason=reason)
    found, model = bench.value(PATTERNS, FixedPatterns), desk.model
    if found is None or model is None or not found.rows:
        widgets.text_muted(ABOUT)
        return state, layer
    with fading(is_outdated(PATTERNS, wish, bench, desk)):
        chosen = shown_row(found, state.pattern)
        _map(found.rows[chosen], desk)
        clicked = _list(found, chosen)
    if found.note:
        widgets.text_muted(found.note)
    if clicked == chosen:
        return state, layer
    row = found.rows[clicked]
    name = row.layer if model.layer(row.layer) is not None else None
    return updated(state, pattern=row.layer), with_layer(layer, model, name)


def shown_row(found: FixedPatterns, name: str | None) -> int:
    """The row of that layer; the picture's, which is the last, if there is none."""
    return next((index for index, row in enumerate(found.rows) if row.layer == name), len(found.rows) - 1)


def row_cells(row: FixedPattern) -> tuple[str, ...]:
    """Name, share, share at the edge."""
    return row.label, percent(row.share), percent(row.edge_share)


def row_sentence(row: FixedPattern) -> str:
    """What a row says, in words."""
    if row.note:
        return f'{row.label}: {row.note}'
    if math.isnan(row.share):
        return f'{row.label}: not measurable.'
    return f'{row.label}: {percent(row.share)} of what varies is the same in every picture. Click to show the layer.'


def _map(row: FixedPattern, desk: Desk) -> None:
    if row.map.size <= 1 or math.isnan(row.share):
        widgets.text_muted(row_sentence(row))
        return
    em = imgui.get_font_size()
    height = max(0.5 * imgui.get_content_region_avail().y / em, 9.0)
    sides = row.map.shape
    plots.heatmap(
        '##fixed pattern', row.map, desk.textures, extent=(0, sides[1], sides[0], 0), limits=(0.0, 1.0),
        colour_map='inferno', bar_label='tied', height=height,
    )  # fmt: skip


def _list(found: FixedPatterns, chosen: int) -> int:
    room = imgui.get_content_region_avail().y / imgui.get_font_size() - (3.0 if found.note else 0.0)
    clicked = widgets.list_table(
        'patterns', COLUMNS, len(found.rows), lambda index: row_cells(found.rows[index]), chosen,
        height=max(room, LIST_EM), tooltips=lambda index: row_sentence(found.rows[index]),
    )  # fmt: skip
    return chosen if clicked is None else clicked

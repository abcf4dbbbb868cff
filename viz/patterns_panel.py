"""What of every layer is tied to the place: a map of one layer, and the list of all."""

from __future__ import annotations

import math

from imgui_bundle import icons_fontawesome_6 as icons
from imgui_bundle import imgui

from gui_utils import theme, widgets
from gui_utils.widgets import Column
from render.measures import FixedPattern, FixedPatterns
from render.session import LayerState, StickingState
from viz.commands import MeasurePatterns
from viz.editing import updated
from viz.findings import PATTERNS, Bench
from viz.laboratory_row import (
    NO_MODEL,
    fading,
    headline,
    is_outdated,
    of_side,
    percent,
    picture,
    run_row,
    settings,
    shares,
)
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
READINGS = (
    (0.01, 'Flat on average: nothing tells it where it is.'),
    (0.10, 'A little of it is the same in every picture.'),
    (1.01, 'Much of it is the same in every picture.'),
)
"""Up to that share, in words."""
MAP_SHARE = 0.42
MAP_EM = 7.0
LIST_EM = 7.0
"""Heights at least."""


def draw_patterns(
    state: StickingState, layer: LayerState, bench: Bench, desk: Desk
) -> tuple[StickingState, LayerState]:
    """Controls, the map and the list; returns the new state, and which layer is shown in the picture."""
    with settings('pattern settings', 'How many samples.') as is_open:
        if is_open:
            samples = widgets.int_slider('Samples', state.patterns, 2, 128, default=16)
            state = updated(state, patterns=samples)
    wish = MeasurePatterns(state.patterns)
    reason = '' if desk.model else NO_MODEL
    run_row(
        (PATTERNS,), wish, f'Measure every layer{of_side(desk)}', icons.ICON_FA_THUMBTACK, bench, desk, reason=reason
    )
    found, model = bench.value(PATTERNS, FixedPatterns), desk.model
    if found is None or model is None or not found.rows:
        widgets.text_muted(ABOUT)
        return state, layer
    rows = in_order(found)
    with fading(is_outdated(PATTERNS, wish, bench, desk)):
        chosen = shown_row(rows, state.pattern)
        _chosen(rows[chosen], desk)
        clicked = _list(rows, chosen, note=found.note)
    if clicked == chosen:
        return state, layer
    row = rows[clicked]
    name = row.layer if model.layer(row.layer) is not None else None
    return updated(state, pattern=row.layer), with_layer(layer, model, name)


def in_order(found: FixedPatterns) -> tuple[FixedPattern, ...]:
    """The picture, which is last, before the layers, as in the list of layers."""
    return found.rows[-1:] + found.rows[:-1]


def shown_row(rows: tuple[FixedPattern, ...], name: str | None) -> int:
    """The row of that layer; the first, the picture's, if there is none."""
    return next((index for index, row in enumerate(rows) if row.layer == name), 0)


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


def _chosen(row: FixedPattern, desk: Desk) -> None:
    """The map of a layer, and its numbers beside it."""
    if row.map.size <= 1 or math.isnan(row.share):
        widgets.text_muted(row_sentence(row))
        return
    em, room = imgui.get_font_size(), imgui.get_content_region_avail()
    side = min(max(MAP_SHARE * room.y, MAP_EM * em), 0.5 * room.x)
    pixels = desk.computed('fixed pattern', row.map, shares)
    picture(
        'fixed pattern', pixels, desk, width=side, height=side * row.map.shape[0] / row.map.shape[1],
        tooltip='Black: nothing is tied to the place. Bright: all that varies in the layer.',
    )  # fmt: skip
    imgui.same_line(0.0, 0.8 * em)
    imgui.begin_group()
    with theme.font(theme.BOLD):
        imgui.text_unformatted(row.label)
    headline(percent(row.share), 'tied to the place', reading(row.share))
    if not math.isnan(row.edge_share):
        widgets.text_muted(f'At the edge: {percent(row.edge_share)}')
    imgui.end_group()


def reading(share: float) -> str:
    """What the share means."""
    return next((words for limit, words in READINGS if share < limit), '')


def _list(rows: tuple[FixedPattern, ...], chosen: int, *, note: str) -> int:
    if note:
        widgets.text_muted(note)
    fits = imgui.get_content_region_avail().y > LIST_EM * imgui.get_font_size()
    clicked = widgets.list_table(
        'patterns', COLUMNS, len(rows), lambda index: row_cells(rows[index]), chosen,
        height=0.0 if fits else LIST_EM, tooltips=lambda index: row_sentence(rows[index]),
    )  # fmt: skip
    return chosen if clicked is None else clicked

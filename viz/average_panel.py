"""Averages in the window: over latents around the shown one (Fig. 1 of the paper, left), and over moved pictures."""

from __future__ import annotations

import math

import numpy as np
from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import plots, theme, widgets
from gui_utils.plots import Series
from render.measures import Neighbourhood, RegisteredAverage
from render.session import StickingState
from viz.commands import MeasureAverage, MeasureRegistered
from viz.editing import available, updated
from viz.findings import AVERAGE, REGISTERED, Bench
from viz.laboratory_row import (
    NO_MODEL,
    amplitudes,
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
from viz.view import Desk

ABOUT_AVERAGE = (
    'Averages pictures of latents around the shown one. If detail moves, the average is soft everywhere; texture that '
    'stays sharp in it is tied to the screen.'
)
ABOUT_REGISTERED = (
    'Moves the picture at random, moves each back, and averages. Detail that moves with the picture stays sharp; detail '
    'that is tied to the screen is lost.'
)
READINGS = (
    (0.03, 'The average is soft everywhere: detail moves.'),
    (0.15, 'A little fine detail is common to all pictures.'),
    (1.01, 'Much fine detail is common to all pictures: it stays in place.'),
)
READINGS_KEPT = (
    (0.75, 'Much detail does not come along when the picture moves.'),
    (0.95, 'Some detail does not come along when the picture moves.'),
    (1.01, 'Detail comes along when the picture moves.'),
)
"""Up to that share, in words."""
FLOOR = 1e-6
AVERAGES_SHARE = 0.4
"""Of the height, for three pictures; the rest is for the plot below them."""
LOWEST_EM = 5.0
PLOT_EM = 7.5
"""Heights at least."""


def draw_average(state: StickingState, bench: Bench, desk: Desk) -> StickingState:
    """Controls, the picture beside the average and what is left in it, and how detail decays; returns the new state."""
    with settings('average settings', 'How many latents, and how far away.') as is_open:
        state = _average_settings(state) if is_open else state
    wish = MeasureAverage(state.neighbours, state.radius)
    run_row(
        (AVERAGE,),
        wish,
        f'Average {wish.samples} neighbours{of_side(desk)}',
        icons.ICON_FA_LAYER_GROUP,
        bench,
        desk,
        reason='' if desk.model else NO_MODEL,
    )
    found = bench.value(AVERAGE, Neighbourhood)
    if found is None:
        widgets.text_muted(ABOUT_AVERAGE)
        return state
    with fading(is_outdated(AVERAGE, wish, bench, desk)):
        sentence = found.note or reading(found.share, READINGS)
        headline(percent(found.share), 'of the fine detail is common to all', sentence)
        residual = desk.computed('average residual', found.residual, shares)
        entries = (
            ('Centre', found.centre, 'The picture in the middle.'),
            (f'Mean of {found.samples}', found.average, 'Sharp places are tied to the screen.'),
            (
                'Left in it',
                residual,
                'Fine detail that all pictures share: black = none, bright = all of it.',
            ),
        )
        _row_of_pictures('average', entries, desk)
        _decay(found)
    return state


def draw_registered(state: StickingState, bench: Bench, desk: Desk) -> StickingState:
    """Controls, the average of pictures that were moved and moved back, and what it lost; returns the new state."""
    can, reason = available('transform', desk.model)
    with settings('registered settings', 'How many moves, and of which kind.') as is_open:
        state = _registered_settings(state) if is_open else state
    wish = MeasureRegistered(state.moves, state.turned)
    text = f'Average {wish.samples} moves'
    run_row(
        (REGISTERED,), wish, text + of_side(desk), icons.ICON_FA_ARROWS_UP_DOWN_LEFT_RIGHT, bench, desk, reason=reason
    )
    found = bench.value(REGISTERED, RegisteredAverage)
    if found is None or not can:
        widgets.text_muted(ABOUT_REGISTERED)
        return state
    with fading(is_outdated(REGISTERED, wish, bench, desk)):
        headline(percent(found.kept), 'of the fine detail is kept', found.note or reading(found.kept, READINGS_KEPT))
        loss = desk.computed('registered loss', found.loss, lambda values: amplitudes(values, 0.5))
        entries = (
            (f'Mean of {found.samples}', found.average, 'Each picture was moved back before.'),
            ('Disagreement', loss, 'Deviation between the pictures that were moved back: black = none.'),
        )
        _row_of_pictures('registered', entries, desk)
    return state


def _average_settings(state: StickingState) -> StickingState:
    samples = widgets.int_slider('Pictures', state.neighbours, 2, 256, default=32)
    radius = widgets.slider(
        'Distance', state.radius, 0.05, 1, format='%.2f', default=0.5,
        tooltip='How far the latents are from the shown one: 1 = other latents altogether.',
    )  # fmt: skip
    return updated(state, neighbours=samples, radius=radius)


def _registered_settings(state: StickingState) -> StickingState:
    samples = widgets.int_slider('Pictures', state.moves, 2, 128, default=16)
    turned = widgets.checkbox('Turn as well', state.turned, default=False, tooltip='By any angle, not only moves.')
    return updated(state, moves=samples, turned=turned)


def reading(share: float, readings: tuple[tuple[float, str], ...]) -> str:
    """What the share means; nothing where there is none."""
    return next((words for limit, words in readings if share < limit), '')


def _row_of_pictures(key: str, entries: tuple[tuple[str, np.ndarray, str], ...], desk: Desk) -> None:
    """Pictures side by side, each under its name."""
    em, room = imgui.get_font_size(), imgui.get_content_region_avail()
    width = (room.x - 0.5 * em * (len(entries) - 1)) / len(entries)
    share = AVERAGES_SHARE if len(entries) > 2 else 1.0
    width = min(width, max(share * (room.y - 2 * em), LOWEST_EM * em))
    for place, (name, pixels, tooltip) in enumerate(entries):
        if place:
            imgui.same_line(0.0, 0.5 * em)
        imgui.begin_group()
        imgui.text_colored(theme.MUTED, name)
        height = width * pixels.shape[0] / max(pixels.shape[1], 1)
        picture(f'{key} {place}', pixels, desk, width=width, height=height, tooltip=tooltip)
        imgui.end_group()


def _decay(found: Neighbourhood) -> None:
    """Energy of fine detail against how many pictures are averaged, with what it would be if all moved."""
    if len(found.counts) < 2:
        return
    counts = np.array(found.counts, np.float64)
    energies = 10 * np.log10(np.maximum(np.array(found.energies), FLOOR))
    ideal = -10 * np.log10(counts)
    bottom = 10 * math.floor(min(float(energies.min()), float(ideal.min())) / 10)
    room = imgui.get_content_region_avail().y / imgui.get_font_size()
    imgui.dummy(ImVec2(0.0, 0.1 * imgui.get_font_size()))
    plots.line_plot(
        '##decay', (Series('fine detail', energies, counts), Series('if all moves: 1/N', ideal, counts)),
        x_label='pictures averaged, N', y_label='dB', x_limits=(1.0, float(counts[-1])), y_limits=(bottom, 3.0), log_x=True,
        x_ticks=found.counts,
        height=max(room - 1.2, PLOT_EM),
    )  # fmt: skip

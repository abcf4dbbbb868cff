"""Inside the non-linearity of a layer: the spectrum of each step, and how much aliasing each layer makes."""

from __future__ import annotations

import math

import numpy as np
from imgui_bundle import ImVec2, imgui

from gui_utils import plots, theme, widgets
from gui_utils.plots import Marker, Series
from render.diagnosis import decibel
from render.measures import AliasBudget, AliasBudgets, LayerStages, Stage
from render.result import GeneratorInfo
from render.session import LayerState, SpectrumState
from viz.editing import updated
from viz.layer_panel import with_layer
from viz.survey_row import OLD_ALPHA, alpha_of, survey_row
from viz.surveys import Survey
from viz.view import Desk

STAGES = {
    'convolution': ('Conv', 'Convolved, bias added.'),
    'upsampled': ('Up', 'Upsampled: the rate is raised for the non-linearity.'),
    'activated': ('LReLU', 'After the non-linearity, which makes frequencies without end.'),
    'lowpassed': ('Low-pass', 'Low-passed, before samples are dropped.'),
    'output': ('Out', 'The layer’s output.'),
}
"""Word and explanation of each stage; its place is its colour."""
AXIS_LABEL = 'cycles per image width'
RANGE_DB = 140.0
STEP_DB = 20.0
PLOT_EM = (11.5, 18.0)
"""Least and largest height of the plot."""
FULL_DB = 100.0
"""The right end of the bars."""
GOOD_DB, FAIR_DB = 60.0, 45.0
"""As much alias is left where a layer’s bar turns green, and yellow: what StyleGAN3 reaches, what StyleGAN2 does not."""
NO_LAYER = 'The picture itself has no non-linearity: choose a layer, here or in the list of layers.'


def stages_view(state: SpectrumState, layer: LayerState, desk: Desk) -> tuple[SpectrumState, LayerState]:
    """Measures and shows the chosen layer, and all layers’ budgets below; returns the new state and the layer shown."""
    model, charts = desk.model, desk.view.surveys.side(desk.active)
    if model is None:
        widgets.text_muted('Open a generator to look inside its layers.')
        return state, layer
    chart = charts.of('stages')
    if layer.layer is None:
        widgets.text_muted(NO_LAYER)
    else:
        desk.ask(Survey('stages'))
        found = chart.value
        if survey_row('stages', chart, desk, words=summary(found, model) if found else ''):
            state = _legend(state, found)
            _plot(found, state.hidden_stages, alpha_of(chart), desk)
            _numbers(found, alpha_of(chart))
    if layer.layer is None or chart.is_whole or chart.ended is not None:  # the chosen layer comes first
        desk.ask(Survey('budgets'))
    return state, _budgets(layer, model, desk)


def summary(found: LayerStages, model: GeneratorInfo) -> str:
    """What the curves are of, in a few words."""
    known = model.layer(found.layer)
    count = f'{found.channels} of {known.channels}' if known and known.channels > found.channels else found.channels
    return f'{found.label}: {count} channels, shown latent'


def _legend(state: SpectrumState, found: LayerStages) -> SpectrumState:
    """A button for each stage, in the colour of its curve, that shows and hides it."""
    present = {stage.key for stage in found.stages}
    hidden = set(state.hidden_stages)
    for place, (key, (word, tip)) in enumerate(STAGES.items()):
        if place:
            widgets.same_line_if_fits(word, 0.15)
        with widgets.disabled_unless(key in present, f'{word}: this layer has no such stage.'):
            is_on = key in present and key not in hidden
            colour = theme.rgba(theme.SERIES[place] if is_on else theme.FAINT)
            imgui.push_style_color(imgui.Col_.text, colour)
            toggled = widgets.toggle_button(word, is_on, tooltip=f'{tip} Click to show or hide.') != is_on
            imgui.pop_style_color()
        if toggled and key in present:
            hidden ^= {key}
    return updated(state, hidden_stages=tuple(key for key in STAGES if key in hidden))


def _plot(found: LayerStages, hidden: tuple[str, ...], alpha: float, desk: Desk) -> None:
    em = imgui.get_font_size()
    room = 0.5 * imgui.get_content_region_avail().y / em
    top = desk.computed('stages top', found, top_of)
    series = [_series(stage, alpha) for stage in found.stages if stage.key not in hidden]
    plots.line_plot(
        '##stages', series, x_label=AXIS_LABEL, y_label='dB', x_limits=(0.0, 1.02 * right_end(found)),
        y_limits=(top - RANGE_DB, top), markers=stage_markers(found), has_legend=False,
        height=min(max(room, PLOT_EM[0]), PLOT_EM[1]),
    )  # fmt: skip


def _series(stage: Stage, alpha: float) -> Series:
    red, green, blue, _ = theme.SERIES[list(STAGES).index(stage.key)]
    return Series(stage.key, stage.radial_db, stage.frequencies, (red, green, blue, alpha))


def stage_markers(found: LayerStages) -> list[Marker]:
    """Lines at the layer’s cutoff, the end of its transition band, and half its output’s rate."""
    markers = [Marker(found.nyquist, 's/2', theme.TEXT)]
    if not math.isnan(found.cutoff):
        markers.append(Marker(found.cutoff, 'f_c', theme.GOOD))
        if not math.isnan(found.half_width):
            markers.append(Marker(found.cutoff + found.half_width, 'f_c+f_h', theme.WARN))
    return markers


def right_end(found: LayerStages) -> float:
    """Half of the largest rate inside the layer."""
    return max(stage.rate for stage in found.stages) / 2


def top_of(found: LayerStages) -> float:
    """The upper end of the axis, on a step."""
    values = np.concatenate([stage.radial_db for stage in found.stages])
    values = values[np.isfinite(values)]
    return STEP_DB * math.ceil(float(values.max()) / STEP_DB) if values.size else 0.0


def _numbers(found: LayerStages, alpha: float) -> None:
    """Energy beyond the output’s band, and the budget, as numbers."""
    imgui.push_style_var(imgui.StyleVar_.alpha, imgui.get_style().alpha * alpha)
    for name, text, tip in number_rows(found):
        imgui.text_colored(theme.MUTED, name)
        widgets.explain(tip)
        imgui.same_line(7.0 * imgui.get_font_size())
        widgets.text(text)
        widgets.explain(tip)
    for sentence in (*found.missing, *((found.budget.note,) if found.budget.note else ())):
        widgets.text_muted(sentence)
    imgui.pop_style_var()


def number_rows(found: LayerStages) -> tuple[tuple[str, str, str], ...]:
    """Name, number and explanation of each line below the plot."""
    budget = found.budget
    parts = (('images', budget.images), ('folding', budget.folding), ('leak', budget.leak))
    causes = '  '.join(f'{name} {min(value, 300):.0f}' for name, value in parts if not math.isnan(value))
    beyond, left = f'{short(found.beyond_db)} dB', f'{short(found.left_db)} dB'
    return (
        (
            'Beyond s/2', '–' if math.isnan(found.beyond_db) else f'{beyond}  →  {left}',
            'Power beyond half the output’s rate relative to that within: before samples are dropped, and what the '
            'low-pass filter leaves of it to fold back.',
        ),
        (
            'Alias budget', f'{short(budget.decibels)} dB   {causes}' if budget.channels else '…',
            'The layer against an ideal one that runs its non-linearity at many times the rate, on the scale of EQ-T; then '
            'with one imperfection each: images (upsampling filter), folding (rate too low), leak (downsampling filter).',
        ),
    )  # fmt: skip


# All layers


def _budgets(layer: LayerState, model: GeneratorInfo, desk: Desk) -> LayerState:
    """Every layer’s alias budget as a bar; a click shows the layer."""
    chart = desk.view.surveys.side(desk.active).of('budgets')
    with widgets.section('Alias budget of every layer', note='dB') as is_open:
        if not is_open:
            return layer
        found = chart.value
        is_settled = chart.is_current and chart.is_whole and chart.running is None
        if not is_settled and not survey_row('budgets', chart, desk):
            return layer
        if isinstance(found, AliasBudgets):
            for row in found.rows:
                clicked = _budget_row(row, row.layer == layer.layer, alpha_of(chart))
                layer = with_layer(layer, model, row.layer) if clicked and model.layer(row.layer) else layer
    return layer


def _budget_row(row: AliasBudget, is_chosen: bool, alpha: float) -> bool:
    """Name, bar, number; True when clicked."""
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    corner, width, height = imgui.get_cursor_screen_pos(), imgui.get_content_region_avail().x, 1.35 * em
    clicked, _ = imgui.selectable(f'{row.label}##budget {row.layer}', is_chosen, 0, ImVec2(width, height))
    widgets.explain(budget_sentence(row))
    left, right = corner.x + 9.0 * em, corner.x + width - 3.6 * em
    low, high = ImVec2(left, corner.y + 0.35 * em), ImVec2(right, corner.y + height - 0.25 * em)
    canvas.add_rect_filled(low, high, theme.faded(theme.FRAME_RGBA), 0.15 * em)
    if not math.isnan(row.decibels):
        share = min(max(row.decibels / FULL_DB, 0.0), 1.0)
        end = ImVec2(left + share * (right - left), high.y)
        canvas.add_rect_filled(low, end, theme.faded(theme.rgba(level_colour(row.decibels), 0.75 * alpha)), 0.15 * em)
    text = short(row.decibels)
    place = ImVec2(corner.x + width - 0.3 * em - imgui.calc_text_size(text).x, corner.y + 0.15 * em)
    canvas.add_text(place, theme.faded(theme.rgba(theme.TEXT, max(alpha, OLD_ALPHA))), text)
    return clicked


def short(decibels: float) -> str:
    """The number alone."""
    return '–' if math.isnan(decibels) else '∞' if decibels >= 250 else f'{decibels:.1f}'


def level_colour(decibels: float) -> theme.Colour:
    """Green, yellow or red."""
    return theme.GOOD if decibels >= GOOD_DB else theme.WARN if decibels >= FAIR_DB else theme.BAD


def budget_sentence(row: AliasBudget) -> str:
    """What the bar says, in words."""
    if row.note:
        return f'{row.label}: {row.note}'
    if math.isnan(row.decibels):
        return f'{row.label}: not measured yet.'
    parts = (('images', row.images), ('folding', row.folding), ('leak', row.leak))
    causes = ', '.join(f'{name} {decibel(value)}' for name, value in parts if not math.isnan(value))
    return f'{row.label}: {decibel(row.decibels)} by {row.channels} channels ({causes}). Click to look inside.'

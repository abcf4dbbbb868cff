"""The answer of Diagnose in the window: ranked findings with their plots, and their cures to try on the picture."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import plots, theme, widgets
from gui_utils.plots import Marker, Series
from render.diagnosis import Diagnosis, Effect, Finding, Plot, State, decibel, evidence_text, layers_text
from render.result import GeneratorInfo
from render.session import Side
from viz import cures
from viz.commands import Diagnose, SaveReport
from viz.findings import DIAGNOSIS, Bench
from viz.laboratory_row import NO_MODEL, bullet, measured_side, run_row
from viz.layer_panel import with_layer
from viz.view import Desk

PLOT_EM = 9.5
STEP_DB = 20.0
LEVELS: dict[State, widgets.Level] = {'healthy': 'good', 'defects': 'bad', 'unknown': 'info'}


def draw_diagnosis(side: Side, bench: Bench, desk: Desk) -> Side:
    """The button, and what was found; returns the side with the layer that is to be shown and the cures that are tried."""
    reason = '' if desk.model else NO_MODEL
    name = measured_side(desk)
    words = f'Diagnose {name}'.rstrip()
    run_row((DIAGNOSIS,), Diagnose(), words, icons.ICON_FA_STETHOSCOPE, bench, desk, reason=reason)
    found = bench.diagnosis
    if found is None:
        widgets.text_muted(
            'Measures every layer, says which of them ties texture to the screen and why, tries each cure on the running '
            'network and measures again. Takes seconds to about a minute; the window stays live.'
        )
        return side
    widgets.notice(LEVELS[found.state], f'{name}: {found.verdict}' if name else found.verdict, can_dismiss=False)
    for number, finding in enumerate(found.findings, 1):
        title = f'{number}. {finding.title}##{finding.cause}'
        with widgets.section(title, open=number == 1, note=layers_text(finding)) as is_open:
            if is_open:
                side = _finding(finding, number, side, desk.model)
    _rest(found, bench, desk)
    return side


def _finding(finding: Finding, number: int, side: Side, model: GeneratorInfo | None) -> Side:
    widgets.text(finding.explanation)
    for piece in finding.evidence:
        bullet(evidence_text(piece))
    for index, plot in enumerate(finding.plots):
        draw_plot(plot, f'{finding.cause} {index}')
    imgui.dummy(ImVec2(0.0, 0.15 * imgui.get_font_size()))
    imgui.text_colored(theme.MUTED, 'Cure')
    widgets.text(finding.cure)
    side = _try_row(finding, number, side, model)
    imgui.text_colored(theme.MUTED, 'Measured again with the cure')
    if not finding.effects:
        bullet('It cannot be tried on a finished network.')
    for effect in finding.effects:
        _effect(effect)
    return side


def _try_row(finding: Finding, number: int, side: Side, model: GeneratorInfo | None) -> Side:
    """Trying the cure on the picture, and showing the layer."""
    cure = cures.cure_for(finding, model)
    with widgets.disabled_unless(isinstance(cure, cures.Cure), cure if isinstance(cure, str) else ''):
        applied = isinstance(cure, cures.Cure) and cures.is_applied(side, cure)
        tooltip = 'Run the picture with the cure. It can be undone; the panels Filters and Noise show what was changed.'
        wanted = widgets.toggle_button(
            f'Apply cure##{number}', applied, icon=icons.ICON_FA_PRESCRIPTION, tooltip=tooltip
        )
    if isinstance(cure, cures.Cure) and wanted != applied:
        side = cures.with_cure(side, cure) if wanted else cures.without_cure(side, cure)
    widgets.same_line(0.4)
    name = layer_called(finding.layer, model)
    with widgets.disabled_unless(name is not None, f'{finding.layer} cannot be shown by itself.'):
        clicked = widgets.button(
            f'Show {finding.layer}##{number}', icon=icons.ICON_FA_EYE, tooltip='Show this layer in the picture.'
        )
    if clicked and model is not None and name is not None:
        return replace(side, layer=with_layer(side.layer, model, name))
    return side


def draw_plot(plot: Plot, identity: str) -> None:
    """Evidence to look at, with its title."""
    finite = [y for curve in plot.curves for y in curve.y if math.isfinite(y)]
    if not finite or all(len(curve.x) < 2 for curve in plot.curves):
        return
    low, high = STEP_DB * math.floor(min(finite) / STEP_DB), STEP_DB * math.ceil(max(finite) / STEP_DB)
    series = [Series(curve.name, np.array(curve.y), np.array(curve.x)) for curve in plot.curves]
    marks = [Marker(x, name) for name, x in plot.marks]
    ends = [x for curve in plot.curves for x in (curve.x[0], curve.x[-1])]
    imgui.text_colored(theme.MUTED, plot.title)
    plots.line_plot(
        f'##{identity}', series, x_label=plot.x_label, y_label=plot.y_label, x_limits=(min(ends), max(ends)),
        y_limits=(low, max(high, low + STEP_DB)), markers=marks, height=PLOT_EM,
    )  # fmt: skip


def _effect(effect: Effect) -> None:
    """The number before and after, green where the cure helped."""
    better = effect.after != effect.before and (effect.after > effect.before) == effect.higher_is_better
    bullet(f'{effect.name}: {decibel(effect.before, effect.unit)}  →')
    after, em = decibel(effect.after, effect.unit), imgui.get_font_size()
    left = imgui.get_item_rect_max().x + 0.4 * em
    is_room = (
        left + imgui.calc_text_size(after).x < imgui.get_cursor_screen_pos().x + imgui.get_content_region_avail().x
    )
    if is_room and imgui.get_item_rect_size().y < 1.8 * em:
        widgets.same_line(0.4)
    else:
        imgui.set_cursor_pos_x(imgui.get_cursor_pos_x() + 0.9 * em)
    imgui.text_colored(theme.GOOD if better else theme.MUTED, after)


def _rest(found: Diagnosis, bench: Bench, desk: Desk) -> None:
    """Numbers of the whole picture, what could not be measured, and the report."""
    if found.numbers:
        with widgets.section('Whole picture') as is_open:
            for piece in found.numbers if is_open else ():
                bullet(evidence_text(piece))
    if found.notes:
        with widgets.section('Not measured') as is_open:
            for note in found.notes if is_open else ():
                bullet(note)
    imgui.dummy(ImVec2(0.0, 0.2 * imgui.get_font_size()))
    if widgets.button(
        'Save report', icon=icons.ICON_FA_FILE_LINES, width=-1,
        tooltip='A page with plots, and all numbers as JSON, into the capture folder.',
    ):  # fmt: skip
        desk.ask(SaveReport())
    widgets.text_muted(f'Wrote {bench.report}' if bench.report else f'Took {found.seconds:.1f} s.')


def layer_called(label: str, model: GeneratorInfo | None) -> str | None:
    """The full name of the layer that people know as `label`."""
    return next((layer.name for layer in model.layers if layer.label == label), None) if model else None

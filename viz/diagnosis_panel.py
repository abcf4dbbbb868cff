"""The answer of Diagnose in the window: ranked findings with their plots, and their cures to try on the picture."""

from __future__ import annotations

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.diagnosis import Diagnosis, Effect, Finding, State, decibel, evidence_text, layers_text
from render.result import GeneratorInfo
from render.session import LayerState
from viz.commands import Diagnose, SaveReport
from viz.findings import DIAGNOSIS, Bench
from viz.laboratory_row import NO_MODEL, bullet, run_row
from viz.layer_panel import with_layer
from viz.view import Desk

LEVELS: dict[State, widgets.Level] = {'healthy': 'good', 'defects': 'bad', 'unknown': 'info'}


def draw_diagnosis(layer: LayerState, bench: Bench, desk: Desk) -> LayerState:
    """The button, and what was found; returns which layer is shown in the picture."""
    reason = '' if desk.model else NO_MODEL
    run_row((DIAGNOSIS,), Diagnose(), 'Diagnose', icons.ICON_FA_STETHOSCOPE, bench, desk, reason=reason)
    found = bench.diagnosis
    if found is None:
        widgets.text_muted(
            'Measures every layer, says which of them ties texture to the screen and why, tries each cure on the running '
            'network and measures again. Takes seconds to about a minute; the window stays live.'
        )
        return layer
    widgets.notice(LEVELS[found.state], found.verdict, can_dismiss=False)
    for number, finding in enumerate(found.findings, 1):
        with widgets.section(f'{number}. {finding.title}##{finding.cause}', note=layers_text(finding)) as is_open:
            if is_open:
                layer = _finding(finding, number, layer, desk.model)
    _rest(found, bench, desk)
    return layer


def _finding(finding: Finding, number: int, layer: LayerState, model: GeneratorInfo | None) -> LayerState:
    widgets.text(finding.explanation)
    for piece in finding.evidence:
        bullet(evidence_text(piece))
    imgui.dummy(ImVec2(0.0, 0.15 * imgui.get_font_size()))
    imgui.text_colored(theme.MUTED, 'Cure')
    widgets.text(finding.cure)
    imgui.text_colored(theme.MUTED, 'Measured again with the cure')
    if not finding.effects:
        bullet('It cannot be tried on a finished network.')
    for effect in finding.effects:
        _effect(effect)
    name = layer_called(finding.layer, model)
    with widgets.disabled_unless(name is not None, f'{finding.layer} cannot be shown by itself.'):
        clicked = widgets.button(
            f'Show {finding.layer}##{number}', icon=icons.ICON_FA_EYE, tooltip='Show this layer in the picture.'
        )
    return with_layer(layer, model, name) if clicked and model is not None and name is not None else layer


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

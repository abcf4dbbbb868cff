"""The laboratory: which layer sticks, why, what cures it; the paper's metrics; every layer at every shift."""

from __future__ import annotations

import math

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.diagnosis import Diagnosis, Effect, Finding, State, decibel, evidence_text, layers_text
from render.jobs_equivariance import GOOD_DB, METRICS, verdict
from render.measures import EquivarianceScore, Metric
from render.result import GeneratorInfo
from render.session import LayerState, StickingState
from viz.commands import CancelMeasuring, Diagnose, MeasureEquivariance, MeasureLadder, MeasuringCommand, SaveReport
from viz.editing import available, updated
from viz.findings import DIAGNOSIS, LADDER, Bench
from viz.ladder_plot import draw_ladder
from viz.layer_panel import with_layer
from viz.view import Desk

VIEWS = {'diagnosis': 'Diagnosis', 'equivariance': 'Picture', 'ladder': 'Layers'}
PARTS = {'decibels': 'All', 'inherited': 'Received', 'created': 'Made here'}
NAMES: dict[Metric, str] = {'eq-t': 'EQ-T', 'eq-t-frac': 'EQ-T frac', 'eq-r': 'EQ-R'}
MEANINGS: dict[Metric, str] = {
    'eq-t': 'Moved by whole pixels. The paper calls 50 dB good.',
    'eq-t-frac': 'Moved by fractions of a pixel. From 40 dB on good; saturates below 50 dB.',
    'eq-r': 'Turned by any angle. From 40 dB on good.',
}
LEVELS: dict[State, widgets.Level] = {'healthy': 'good', 'defects': 'bad', 'unknown': 'info'}
FULL_DB = 80.0
"""The right end of the bars."""
OUTDATED = 'Measured before the last change.'
NO_MODEL = 'Open a generator first.'


def sticking_panel(state: StickingState, layer: LayerState, desk: Desk) -> tuple[StickingState, LayerState]:
    """Starts measurements and shows them; returns the new state, and the layer that is shown in the picture."""
    shown = state.shown
    for choice, text in VIEWS.items():
        if widgets.toggle_button(text, state.shown == choice) and state.shown != choice:
            shown = choice
        widgets.same_line(0.15)
    imgui.new_line()
    state, bench = updated(state, shown=shown), desk.view.laboratory.bench(desk.active)
    if state.shown == 'equivariance':
        return _picture(state, bench, desk), layer
    if state.shown == 'ladder':
        return _layers(state, layer, bench, desk)
    return state, _diagnosis(layer, bench, desk)


def _run_row(
    keys: tuple[str, ...], wish: MeasuringCommand, text: str, icon: str, bench: Bench, desk: Desk, *, reason: str = ''
) -> None:
    """The button that starts, or how far it is; what went wrong the last time; whether it is still about what is shown."""
    under_way = [bench.running[key] for key in keys if key in bench.running]
    if under_way:
        fraction = (sum(one.fraction for one in under_way) + len(keys) - len(under_way)) / len(keys)
        words = under_way[0].text if len(keys) == 1 else ''
        if widgets.progress(fraction, words or 'Measuring …'):
            desk.ask(CancelMeasuring(keys))
    else:
        with widgets.disabled_unless(not reason, reason):
            if widgets.button(text, icon=icon, primary=True, width=-1):
                desk.ask(wish)
    if reason:
        widgets.text_muted(reason)
    for sentence in {bench.errors[key] for key in keys if key in bench.errors}:
        widgets.notice('bad', sentence, can_dismiss=False)
    if any(bench.is_outdated(key, desk.side.asked) for key in keys):
        imgui.text_colored(theme.WARN, OUTDATED)


# The diagnosis


def _diagnosis(layer: LayerState, bench: Bench, desk: Desk) -> LayerState:
    reason = '' if desk.model else NO_MODEL
    _run_row((DIAGNOSIS,), Diagnose(), 'Diagnose', icons.ICON_FA_STETHOSCOPE, bench, desk, reason=reason)
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
        _bullet(evidence_text(piece))
    imgui.dummy(ImVec2(0.0, 0.15 * imgui.get_font_size()))
    imgui.text_colored(theme.MUTED, 'Cure')
    widgets.text(finding.cure)
    imgui.text_colored(theme.MUTED, 'Measured again with the cure')
    if not finding.effects:
        _bullet('It cannot be tried on a finished network.')
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
    _bullet(f'{effect.name}: {decibel(effect.before, effect.unit)}  →')
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


def _bullet(words: str) -> None:
    imgui.text_colored(theme.MUTED, '•')
    widgets.same_line(0.5)
    widgets.text(words)


def _rest(found: Diagnosis, bench: Bench, desk: Desk) -> None:
    """Numbers of the whole picture, what could not be measured, and the report."""
    if found.numbers:
        with widgets.section('Whole picture') as is_open:
            for piece in found.numbers if is_open else ():
                _bullet(evidence_text(piece))
    if found.notes:
        with widgets.section('Not measured') as is_open:
            for note in found.notes if is_open else ():
                _bullet(note)
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


# The paper's metrics


def _picture(state: StickingState, bench: Bench, desk: Desk) -> StickingState:
    can, reason = available('transform', desk.model)
    with widgets.disabled_unless(can, reason):
        samples = widgets.int_slider(
            'Latents', state.samples, 1, 256, default=16, tooltip='Each has its own random shift and angle.'
        )
    text = f'Measure {samples} latents' if samples > 1 else 'Measure 1 latent'
    wish = MeasureEquivariance(samples)
    _run_row(METRICS, wish, text, icons.ICON_FA_GAUGE, bench, desk, reason='' if can else reason)
    if can:
        for metric in METRICS:
            _meter(metric, bench.score(metric))
    return updated(state, samples=samples)


def _meter(metric: Metric, score: EquivarianceScore | None) -> None:
    """Name, bar with the paper's mark, number; and in words."""
    em, good = imgui.get_font_size(), GOOD_DB[metric]
    imgui.dummy(ImVec2(0.0, 0.1 * em))
    imgui.align_text_to_frame_padding()
    with theme.font(theme.BOLD):
        imgui.text_unformatted(NAMES[metric])
    widgets.explain(MEANINGS[metric])
    imgui.same_line(5.6 * em)
    width = max(imgui.get_content_region_avail().x - 5.2 * em, 4 * em)
    corner, height = imgui.get_cursor_screen_pos(), 0.8 * imgui.get_frame_height()
    _bar(corner, width, height, score, good)
    imgui.dummy(ImVec2(width, imgui.get_frame_height()))
    widgets.explain(
        f'The mark is the {good:.0f} dB of the paper. The thin line reaches from the worst latent to the best.'
    )
    widgets.same_line(0.6)
    imgui.align_text_to_frame_padding()
    is_good = score is not None and score.decibels >= good
    imgui.text_colored(theme.GOOD if is_good else theme.TEXT, '–' if score is None else decibel(score.decibels))
    imgui.set_cursor_pos_x(imgui.get_cursor_pos_x() + 5.6 * em - imgui.get_style().window_padding.x)
    widgets.text_muted(f'Good from {good:.0f} dB on.' if score is None else score_words(score))


def score_words(score: EquivarianceScore) -> str:
    """The verdict, how many latents, and the range of single ones."""
    words = verdict(score)
    if math.isnan(score.decibels):  # not a number: the verdict says why
        return words
    count = f'{score.samples} latent{"s" if score.samples > 1 else ""}'
    spread = f', {score.lowest:.0f} to {score.highest:.0f} dB' if score.samples > 1 and score.highest < 250 else ''
    return f'{words[0].upper()}{words[1:]} ({count}{spread}).'


def _bar(corner: ImVec2, width: float, height: float, score: EquivarianceScore | None, good: float) -> None:
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    top = corner.y + 0.1 * imgui.get_frame_height()
    low, high = ImVec2(corner.x, top), ImVec2(corner.x + width, top + height)
    canvas.add_rect_filled(low, high, theme.faded(theme.FRAME_RGBA), 0.15 * em)
    if score is not None and not math.isnan(score.decibels):
        end = corner.x + width * _share(score.decibels)
        colour = theme.GOOD if score.decibels >= good else theme.WARN if score.decibels >= 25 else theme.BAD
        canvas.add_rect_filled(low, ImVec2(end, high.y), theme.faded(theme.rgba(colour, 0.75)), 0.15 * em)
        middle, span = 0.5 * (low.y + high.y), (_share(score.lowest), _share(score.highest))
        first, last = ImVec2(corner.x + width * span[0], middle), ImVec2(corner.x + width * span[1], middle)
        canvas.add_line(first, last, theme.faded(theme.TEXT_RGBA), 0.1 * em)
    mark = corner.x + width * _share(good)
    ends = ImVec2(mark, low.y - 0.1 * em), ImVec2(mark, high.y + 0.1 * em)
    canvas.add_line(*ends, theme.faded(theme.TEXT_RGBA), max(0.1 * em, 1.0))


def _share(decibels: float) -> float:
    return min(max(decibels / FULL_DB, 0.0), 1.0)


# The layers


def _layers(state: StickingState, layer: LayerState, bench: Bench, desk: Desk) -> tuple[StickingState, LayerState]:
    model, can = desk.model, available('transform', desk.model)
    reason = '' if model else NO_MODEL
    _run_row((LADDER,), MeasureLadder(), 'Measure every layer', icons.ICON_FA_STAIRS, bench, desk, reason=reason)
    with widgets.disabled_unless(*can):
        part = widgets.segmented(
            'Error', state.part if can[0] else 'created', PARTS, default='decibels' if can[0] else None,
            tooltip='All of a layer’s error, what it received from the layers before, or what it makes of an ideally moved input.',
        )  # fmt: skip
    if can[0]:
        state = updated(state, part=part)
    if bench.ladder is None or model is None:
        widgets.text_muted(
            'Moves the input by less and less, and compares every layer with its own picture moved as far. Where the '
            'numbers drop from one layer to the next, texture begins to stick.'
        )
        return state, layer
    chosen = draw_ladder(bench.ladder, part, layer.layer, model, desk)
    if bench.ladder.note:
        widgets.text_muted(bench.ladder.note)
    return state, with_layer(layer, model, chosen) if chosen != layer.layer else layer

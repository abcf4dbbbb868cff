"""The laboratory: which layer sticks, why, what cures it; the paper's metrics; every layer at every shift; Fig. 1 live."""

from __future__ import annotations

import math
from dataclasses import replace

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.diagnosis import decibel
from render.jobs_equivariance import GOOD_DB, METRICS, verdict
from render.measures import EquivarianceScore, Ladder, Metric
from render.result import GeneratorInfo
from render.session import LayerState, Side, StickingState
from viz.average_panel import draw_average, draw_registered
from viz.commands import MeasureEquivariance, MeasureLadder, MeasuringCommand
from viz.comparing import as_deep
from viz.diagnosis_panel import draw_diagnosis
from viz.editing import available, updated
from viz.findings import LADDER, Bench, merged
from viz.laboratory_row import NO_MODEL, OUTDATED, run_row
from viz.ladder_bars import draw_bars
from viz.ladder_plot import draw_ladder
from viz.layer_panel import with_layer
from viz.patterns_panel import draw_patterns
from viz.view import Desk
from viz.walk_panel import draw_walk

PARTS_OF_LABORATORY = {
    'measure': 'Measure',
    'walk': 'Walk',
    'average': 'Average',
    'patterns': 'Fixed pattern',
    'registered': 'Registered',
}
PARTS_EM = 22.0
"""Narrower panels show them as a list that opens."""
VIEWS = {'diagnosis': 'Diagnosis', 'equivariance': 'Picture', 'ladder': 'Layers'}
PARTS = {'decibels': 'All', 'inherited': 'Received', 'created': 'Made here'}
NAMES: dict[Metric, str] = {'eq-t': 'EQ-T', 'eq-t-frac': 'EQ-T frac', 'eq-r': 'EQ-R'}
MEANINGS: dict[Metric, str] = {
    'eq-t': 'Moved by whole pixels. The paper calls 50 dB good.',
    'eq-t-frac': 'Moved by fractions of a pixel. From 40 dB on good; saturates below 50 dB.',
    'eq-r': 'Turned by any angle. From 40 dB on good.',
}
SHIFT_TIP = (
    'By how much the input is moved, in pixels of the image. A shift by whole samples of a layer shows none of its '
    'aliasing, only borders and noise; the smallest shows all.'
)
FULL_DB = 80.0
"""The right end of the bars."""


def sticking_panel(state: StickingState, side: Side, desk: Desk) -> tuple[StickingState, Side]:
    """Starts measurements and shows them; returns the new state, and the side with what is shown or tried of it."""
    em = imgui.get_font_size()
    choose = widgets.segmented if imgui.get_content_region_avail().x > PARTS_EM * em else widgets.combo
    view = choose('##laboratory', state.view, PARTS_OF_LABORATORY)
    state, bench = updated(state, view=view), desk.view.laboratory.bench(desk.active)
    match state.view:
        case 'walk':
            return draw_walk(state, side.latent, bench, desk), side
        case 'average':
            return draw_average(state, bench, desk), side
        case 'registered':
            return draw_registered(state, bench, desk), side
        case 'patterns':
            state, layer = draw_patterns(state, side.layer, bench, desk)
        case _:
            return _measure(state, side, bench, desk)
    return state, _with_layer(side, layer)


def _with_layer(side: Side, layer: LayerState) -> Side:
    return side if layer is side.layer else replace(side, layer=layer)


def _measure(state: StickingState, side: Side, bench: Bench, desk: Desk) -> tuple[StickingState, Side]:
    shown = state.shown
    for choice, text in VIEWS.items():
        if widgets.toggle_button(text, state.shown == choice) and state.shown != choice:
            shown = choice
        widgets.same_line(0.15)
    imgui.new_line()
    state, layer = updated(state, shown=shown), side.layer
    if state.shown == 'equivariance':
        return _picture(state, bench, desk), side
    if state.shown == 'ladder':
        state, layer = _layers(state, layer, bench, desk)
        return state, _with_layer(side, layer)
    return state, draw_diagnosis(side, bench, desk)


# The paper's metrics


def _picture(state: StickingState, bench: Bench, desk: Desk) -> StickingState:
    can, reason = available('transform', desk.model)
    with widgets.disabled_unless(can, reason):
        samples = widgets.int_slider(
            'Latents', state.samples, 1, 256, default=16, tooltip='Each has its own random shift and angle.'
        )
    text = f'Measure {samples} latents' if samples > 1 else 'Measure 1 latent'
    wish = MeasureEquivariance(samples)
    run_row(METRICS, wish, text, icons.ICON_FA_GAUGE, _of_all(bench, desk), desk, reason='' if can else reason)
    _outdated_others(METRICS, wish, desk)
    for metric in METRICS if can else ():
        if len(desk.shown) > 1:
            _meters(
                metric, {title: desk.view.laboratory.bench(name).score(metric) for name, title in desk.titles().items()}
            )
        else:
            _meter(metric, bench.score(metric))
    return updated(state, samples=samples)


def _of_all(bench: Bench, desk: Desk) -> Bench:
    """The bench of the side that is edited, busy as long as any picture is being measured."""
    others = [desk.view.laboratory.bench(name) for name in desk.shown if name != desk.active]
    return merged((bench, *others))


def _outdated_others(keys: tuple[str, ...], wish: MeasuringCommand, desk: Desk) -> None:
    """Say which other picture was measured before it changed."""
    for name, title in desk.titles().items():
        bench = desk.view.laboratory.bench(name)
        asked = desk.view.side(name).asked
        if name != desk.active and any(
            key not in bench.running and bench.is_outdated(key, asked, wish) for key in keys
        ):
            imgui.text_colored(theme.WARN, f'{title}: {OUTDATED[0].lower()}{OUTDATED[1:]}')


def _meters(metric: Metric, scores: dict[str, EquivarianceScore | None]) -> None:
    """One metric of two pictures: name, and for each a bar with the paper's mark, and its number."""
    em, good = imgui.get_font_size(), GOOD_DB[metric]
    imgui.dummy(ImVec2(0.0, 0.2 * em))
    with theme.font(theme.BOLD):
        imgui.text_unformatted(NAMES[metric])
    widgets.explain(MEANINGS[metric])
    widgets.same_line(0.6)
    imgui.text_colored(theme.MUTED, f'good from {good:.0f} dB on')
    for title, score in scores.items():
        imgui.align_text_to_frame_padding()
        imgui.text_unformatted(title)
        imgui.same_line(5.6 * em)
        width = max(imgui.get_content_region_avail().x - 5.2 * em, 4 * em)
        _bar(imgui.get_cursor_screen_pos(), width, 0.8 * imgui.get_frame_height(), score, good)
        imgui.dummy(ImVec2(width, imgui.get_frame_height()))
        if score is not None:
            widgets.explain(score_words(score))
        widgets.same_line(0.6)
        is_good = score is not None and score.decibels >= good
        imgui.text_colored(theme.GOOD if is_good else theme.TEXT, '–' if score is None else decibel(score.decibels))


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
    wish, everyone = MeasureLadder(), _of_all(bench, desk)
    run_row((LADDER,), wish, 'Measure every layer', icons.ICON_FA_STAIRS, everyone, desk, reason=reason)
    _outdated_others((LADDER,), wish, desk)
    with widgets.disabled_unless(*can):
        part = widgets.segmented(
            'Error', state.part if can[0] else 'created', PARTS, default='decibels' if can[0] else None,
            tooltip='All of a layer’s error, what it received from the layers before, or what it makes of an ideally moved input.',
        )  # fmt: skip
    if can[0]:
        state = updated(state, part=part)
    ladders = {title: desk.view.laboratory.bench(name).ladder for name, title in desk.titles().items()}
    known = {title: ladder for title, ladder in ladders.items() if ladder is not None}
    if not known or model is None:
        widgets.text_muted(
            'Moves the input by less and less, and compares every layer with its own picture moved as far. Where the '
            'numbers drop from one layer to the next, texture begins to stick.'
        )
        return state, layer
    if len(known) > 1:
        state, chosen = _both_ladders(state, known, part, layer.layer, desk, model)
    elif bench.ladder is not None:
        chosen = draw_ladder(bench.ladder, part, layer.layer, model, desk)
    else:
        return state, layer
    for note in dict.fromkeys(ladder.note for ladder in known.values() if ladder.note):
        widgets.text_muted(note)
    return state, with_layer(layer, model, chosen) if chosen != layer.layer else layer


def _both_ladders(
    state: StickingState, known: dict[str, Ladder], part: str, shown: str | None, desk: Desk, model: GeneratorInfo
) -> tuple[StickingState, str | None]:
    """Bars of both, or the table of one; returns the new state, and the layer that is shown in the picture."""
    first, second = known
    of = widgets.segmented('Show', state.ladder_of, {'both': 'Both', 'first': first, 'second': second}, default='both')
    state = updated(state, ladder_of=of)
    if of == 'both':
        shifts = known[first].shifts
        texts = {index: f'{shift * model.resolution:.3g}' for index, shift in enumerate(shifts)}
        last = len(shifts) - 1
        before = last if state.ladder_shift is None else min(state.ladder_shift, last)
        place = widgets.segmented('Shift, px', before, texts, default=last, tooltip=SHIFT_TIP)
        if place != before:
            state = updated(state, ladder_shift=None if place == last else place)
        return state, draw_bars(known, part, shifts[place], shown, model)
    name = desk.shown[0 if of == 'first' else 1]
    own = desk.view.side(name).model or model
    ladder = known[first if of == 'first' else second]
    lit = shown if own.layer(shown or '') is not None else _name_as_deep(shown, model, own)
    chosen = draw_ladder(ladder, part, lit, own, desk)
    if chosen == lit:
        return state, shown
    return state, chosen if model.layer(chosen or '') is not None else _name_as_deep(chosen, own, model)


def _name_as_deep(name: str | None, source: GeneratorInfo, target: GeneratorInfo) -> str | None:
    """The layer of `target` as deep as the one called `name` in `source`; None for the image."""
    layer = as_deep(name, source, target)
    return None if layer is None else layer.name

"""The spectra of all layers over depth, as a map or as lines, and compared with real pictures."""

from __future__ import annotations

import math

import numpy as np
from imgui_bundle import icons_fontawesome_6 as icons
from imgui_bundle import imgui, implot

from gui_utils import plots, theme, widgets
from gui_utils.plots import Marker, Series
from gui_utils.widgets import FileType
from render.measures import PictureSpectrum, Waterfall
from render.result import GeneratorInfo
from render.session import LayerState, SpectrumState
from viz.editing import updated
from viz.hints import short_path
from viz.layer_panel import with_layer
from viz.survey_row import alpha_of, survey_row
from viz.surveys import Chart, ChooseReal, Survey
from viz.view import Desk
from viz.waterfall_plot import (
    LOWEST,
    RANGE_DB,
    Fall,
    dimmed,
    draw_map,
    explain_marks,
    fall_of,
    line_colour,
    nearest,
    notes_of,
    reading,
)

PLOTS = {'map': 'Map', 'lines': 'Lines', 'real': 'Real'}
TIPS = {
    'map': 'A line for every layer, power as colour.',
    'lines': 'A curve for every layer; a click on one shows the layer.',
    'real': 'Generated pictures against real ones, at 0° and 45° (Fig. 13 of the paper).',
}
AXIS_LABEL = 'cycles per image width'
PURPOSE = 'real pictures'
ZIPS = (FileType('ZIP of pictures', ('.zip',)),)
SLICES = (('0°', 'axis_db', 1.0), ('45°', 'diagonal_db', math.sqrt(2)))
"""Name, field, and how far one bin reaches."""


def waterfall_view(state: SpectrumState, layer: LayerState, desk: Desk) -> tuple[SpectrumState, LayerState]:
    """Measures and shows all layers; returns the new state, and the layer that is shown in the picture."""
    model = desk.model
    if model is None:
        widgets.text_muted('Open a generator to see the spectra of its layers.')
        return state, layer
    state = _tools(state, desk)
    surveys = desk.view.surveys
    desk.ask(Survey('waterfall', state.waterfall_count, surveys.real))
    chart = surveys.side(desk.active).of('waterfall')
    has_value = survey_row('waterfall', chart, desk, words=summary(chart.value), can_retry=True)
    if chart.complaint and surveys.real and widgets.button('Go on without real pictures', icon=icons.ICON_FA_XMARK):
        desk.ask(ChooseReal(''))
    if not has_value:
        return state, layer
    if state.waterfall == 'real':
        _pictures(chart, desk)
        return state, layer
    fall = desk.computed('waterfall', chart.value, fall_of)
    if state.waterfall == 'map':
        return state, _map(fall, layer, model, chart, desk, log=state.log_frequency)
    return state, _lines(fall, layer, model, alpha_of(chart), log=state.log_frequency)


def summary(found: Waterfall | None) -> str:
    """What is shown, in a few words."""
    if found is None:
        return ''
    count = f'Mean of {found.samples} latent{"s" if found.samples > 1 else ""}'
    return count if found.real is None else f'{count}, {found.real.count} real pictures'


def _tools(state: SpectrumState, desk: Desk) -> SpectrumState:
    """What is plotted, the axis, real pictures, and the number of latents."""
    plot = state.waterfall
    for choice, text in PLOTS.items():
        if widgets.toggle_button(text, state.waterfall == choice, tooltip=TIPS[choice]) and plot != choice:
            plot = choice
        widgets.same_line(0.15)
    widgets.same_line_if_fits('log', 0.65)
    log = widgets.toggle_button('log', state.log_frequency, tooltip='Frequencies on a logarithmic axis.')
    widgets.same_line_if_fits(icons.ICON_FA_IMAGES, 0.8)
    _real_button(desk)
    widgets.same_line_if_fits(icons.ICON_FA_SLIDERS, 0.15)
    if widgets.icon_button(icons.ICON_FA_SLIDERS, 'Waterfall settings'):
        imgui.open_popup('waterfall settings')
    imgui.set_next_window_size(imgui.ImVec2(24 * imgui.get_font_size(), 0.0))
    count = state.waterfall_count
    with widgets.popup('waterfall settings') as is_open:
        if is_open:
            count = widgets.int_slider(
                'Latents', count, 1, 64, default=16, tooltip='The power is averaged over so many.'
            )
    return updated(state, waterfall=plot, log_frequency=log, waterfall_count=count)


def _real_button(desk: Desk) -> None:
    """Choose a folder or a ZIP, or none."""
    real = desk.view.surveys.real
    tip = f'Compared with {short_path(real)}.' if real else 'Compare with real pictures, of a folder or a ZIP.'
    if widgets.icon_button(icons.ICON_FA_IMAGES, 'Real pictures', tooltip=tip, lit=bool(real)):
        imgui.open_popup('real pictures')
    with widgets.popup('real pictures') as is_open:
        if is_open:
            _real_choices(real, desk)
    if (path := desk.dialog.take(PURPOSE)) is not None:
        desk.ask(ChooseReal(path))


def _real_choices(real: str, desk: Desk) -> None:
    kind = None
    if widgets.button('A folder …', icon=icons.ICON_FA_FOLDER_OPEN, width=12):
        kind = 'folder'
    if widgets.button('A ZIP …', icon=icons.ICON_FA_FILE_ZIPPER, width=12):
        kind = 'open'
    if real and widgets.button('None', icon=icons.ICON_FA_XMARK, width=12):
        desk.ask(ChooseReal(''))
        imgui.close_current_popup()
    if kind == 'folder':
        desk.dialog.open(PURPOSE, 'Real pictures', kind='folder', start=real)
    elif kind == 'open':
        desk.dialog.open(PURPOSE, 'ZIP of real pictures', start=real, types=ZIPS)
    if kind:
        imgui.close_current_popup()


def _map(fall: Fall, layer: LayerState, model: GeneratorInfo, chart: Chart, desk: Desk, *, log: bool) -> LayerState:
    chosen, words = draw_map(fall, layer.layer, desk, log=log, alpha=alpha_of(chart))
    if words:
        widgets.text(words)
    else:
        explain_marks()
    for sentence in notes_of(fall):
        widgets.text_muted(sentence)
    return with_layer(layer, model, chosen) if chosen != layer.layer else layer


def _lines(fall: Fall, layer: LayerState, model: GeneratorInfo, alpha: float, *, log: bool) -> LayerState:
    """All curves, early layers dark, the chosen one thick, real pictures orange."""
    em, count = imgui.get_font_size(), len(fall.curves)
    shown = [curve for curve in fall.curves if len(curve.frequencies)]
    series = []
    for index, curve in enumerate(fall.curves):
        is_chosen = curve.name == layer.layer and not curve.is_real
        colour = line_colour(index, count, dimmed(alpha))
        if curve.is_real or is_chosen:
            colour = (*(theme.WARN if curve.is_real else theme.TEXT)[:3], alpha)
        if len(curve.frequencies):
            begin = 1 if log else 0  # 0 Hz has no place on a logarithmic axis
            x, y = curve.frequencies[begin:], curve.decibels[begin:]
            series.append(Series(curve.label, y, x, colour, 3.0 if is_chosen or curve.is_real else 1.25))
    chosen = next((curve for curve in shown if curve.name == layer.layer and not curve.is_real), None)
    markers = [] if chosen is None else [Marker(chosen.half_rate, 's/2', theme.TEXT)]
    if chosen is not None and not math.isnan(chosen.cutoff):
        markers.append(Marker(chosen.cutoff, 'f_c', theme.GOOD))
    height = max(imgui.get_content_region_avail().y / em - 1.8, 8.0)
    place: list[tuple[float, float]] = []

    def look() -> None:
        if implot.is_plot_hovered():
            mouse = implot.get_plot_mouse_pos()
            place.append((mouse.x, mouse.y))

    plots.line_plot(
        '##waterfall lines', series, x_label=AXIS_LABEL, y_label='dB', log_x=log, has_legend=False, markers=markers,
        x_limits=(LOWEST if log else 0.0, 1.02 * fall.right), y_limits=(fall.top - RANGE_DB, fall.top), height=height,
        inside=look,
    )  # fmt: skip
    near = nearest(fall, place[0]) if place else None
    if near is None:
        real = 'Orange: real. ' if any(curve.is_real for curve in fall.curves) else 'Bright: late layers. '
        widgets.text_muted(f'{real}White: the chosen one. Click to choose.')
        return layer
    widgets.text(reading(near, place[0][0]))
    if imgui.is_mouse_clicked(imgui.MouseButton_.left) and not near.is_real and near.name != layer.layer:
        return with_layer(layer, model, near.name)
    return layer


def _pictures(chart: Chart, desk: Desk) -> None:
    """Slices of the mean spectra of real and generated pictures."""
    found: Waterfall = chart.value
    if found.real is None or found.generated is None:
        coming = desk.view.surveys.real and chart.running is not None
        widgets.text_muted(
            'Reading the real pictures …'
            if coming
            else 'Choose a folder or a ZIP of real pictures of the generator’s size.'
        )
        return
    em, real = imgui.get_font_size(), found.real
    top = max(float(np.max(one.axis_db)) for one in (found.real, found.generated))
    height = max(imgui.get_content_region_avail().y / em - 3.0, 8.0)
    half = float(real.frequencies[-1])
    plots.line_plot(
        '##real', picture_series(found.real, found.generated, alpha_of(chart)), x_label=AXIS_LABEL, y_label='dB',
        x_limits=(0.0, 1.02 * math.sqrt(2) * half), y_limits=(10 * math.ceil(top / 10) - 80, 10 * math.ceil(top / 10)),
        markers=[Marker(half, 's/2', theme.MUTED)], height=height,
    )  # fmt: skip
    widgets.text_muted(
        f'Whitened by the real pictures’ mean {real.mean:.1f} and deviation {real.std:.1f} (of 255). '
        f'{real.count} real, {found.generated.count} generated.'
    )


def picture_series(real: PictureSpectrum, made: PictureSpectrum, alpha: float) -> list[Series]:
    """Slices at 0° and 45°, real ones orange, generated ones blue."""
    series = []
    for place, (name, field, reach) in enumerate(SLICES):
        for one, title, colour in ((real, 'real', theme.WARN), (made, 'generated', theme.ACCENT)):
            shade = (*colour[:3], alpha * (0.6 if place else 1.0))
            series.append(Series(f'{title} {name}', getattr(one, field), one.frequencies * reach, shade))
    return series

"""The power spectrum of what is shown: in two dimensions, and along three directions."""

from __future__ import annotations

import math

import numpy as np
from imgui_bundle import icons_fontawesome_6 as icons
from imgui_bundle import imgui

from gui_utils import plots, theme, widgets
from gui_utils.plots import Marker, Series
from render.result import LayerInfo, RenderResult, Spectrum
from render.session import SpectrumState
from viz.commands import AverageSpectrum, CancelAverage, ForgetAverage
from viz.editing import updated
from viz.view import Desk

PLOTS = {'both': 'Both', 'image': '2-D', 'profiles': 'Profiles'}
DISPLAY_SIDE = 256
"""Finer spectra are shown with the greatest power of each block."""
RANGE_DB = 100.0
STEP_DB = 20.0
"""The scale moves in such steps, so that it stands still while the picture moves."""
READOUTS_EM = 6.2
"""Free width that the numbers beside the heatmap need."""
AVERAGE_EM = 6.8
"""Narrower than that, its button has no words."""
AXIS_LABEL = 'cycles per image width'


def spectrum_panel(state: SpectrumState, desk: Desk) -> SpectrumState:
    """Both plots, averaging, settings; returns the new state."""
    result, spectrum = desk.side.result, desk.side.shown_spectrum()
    state = _tool_row(state, desk, spectrum)
    if result is None or spectrum is None:
        widgets.text_muted('The spectrum of the picture appears here.')
    else:
        _plots(state.plot, spectrum, result, desk)
    return state


def _tool_row(state: SpectrumState, desk: Desk, spectrum: Spectrum | None) -> SpectrumState:
    """What is plotted, averaging, and the settings."""
    plot = state.plot
    for choice, text in PLOTS.items():
        if widgets.toggle_button(text, state.plot == choice) and state.plot != choice:
            plot = choice
        widgets.same_line(0.15)
    widgets.same_line(0.8)
    state = _settings_button(updated(state, plot=plot), desk.side.result)
    widgets.same_line(0.8)
    _average_button(state, desk, spectrum)
    return state


def _average_button(state: SpectrumState, desk: Desk, spectrum: Spectrum | None) -> None:
    task = desk.view.averaging
    if task is not None:
        if widgets.progress(task.fraction, task.text or 'Averaging …'):
            desk.ask(CancelAverage())
        return
    if spectrum is not None and spectrum.samples > 1:
        if widgets.button(
            f'Mean of {spectrum.samples}', icon=icons.ICON_FA_XMARK, tooltip='Back to the spectrum of this picture.'
        ):
            desk.ask(ForgetAverage())
        return
    words, icon = f'Average {state.average_count}', icons.ICON_FA_LAYER_GROUP
    tooltip = 'The mean power over many latents: what they have in common remains.'
    is_narrow = imgui.get_content_region_avail().x < AVERAGE_EM * imgui.get_font_size()
    with widgets.disabled_unless(spectrum is not None, 'There is no picture yet.'):
        if (
            widgets.icon_button(icon, words, tooltip=f'{words}. {tooltip}')
            if is_narrow
            else widgets.button(words, icon=icon, tooltip=tooltip)
        ):
            desk.ask(AverageSpectrum(state.average_count))


def _settings_button(state: SpectrumState, result: RenderResult | None) -> SpectrumState:
    if widgets.icon_button(icons.ICON_FA_SLIDERS, 'Spectrum settings'):
        imgui.open_popup('spectrum settings')
    imgui.set_next_window_size(imgui.ImVec2(24 * imgui.get_font_size(), 0.0))
    with widgets.popup('spectrum settings') as is_open:
        return _settings(state, result) if is_open else state


def _plots(plot: str, spectrum: Spectrum, result: RenderResult, desk: Desk) -> None:
    em = imgui.get_font_size()
    room = imgui.get_content_region_avail().y / em
    both = plot == 'both'
    if plot != 'profiles':
        _heatmap(spectrum, result, desk, height=max(0.5 * room if both else room - 1.6, 7.0), is_small=both)
    if plot != 'image':
        rest = imgui.get_content_region_avail().y / em if both else room
        _profiles(spectrum, result, desk, height=max(rest, 6.5))


def _heatmap(spectrum: Spectrum, result: RenderResult, desk: Desk, *, height: float, is_small: bool) -> None:
    values = desk.computed('spectrum', spectrum.power_db, reduced)
    top = desk.computed('spectrum top', spectrum.power_db, top_of_scale)
    edge = spectrum.extent
    under_mouse = plots.heatmap(
        '##spectrum', values, desk.textures, extent=(-edge, edge, -edge, edge), limits=(top - RANGE_DB, top),
        colour_map='inferno', x_label='' if is_small else AXIS_LABEL, bar_label='dB', height=height,
    )  # fmt: skip
    right = imgui.get_cursor_screen_pos().x + imgui.get_content_region_avail().x
    if right - imgui.get_item_rect_max().x > READOUTS_EM * imgui.get_font_size():
        widgets.same_line(0.6)
        _readouts(spectrum, result, under_mouse, title=desk.titles().get(desk.active, '') if desk.shown[1:] else '')


def _readouts(spectrum: Spectrum, result: RenderResult, under_mouse: tuple[float, float] | None, *, title: str) -> None:
    """Beside the heatmap: which of several pictures it is of, what the axes mean for this layer, and the power below the mouse."""
    layer = result.layer
    rows = [('of', title)] if title else []
    rows.append(('s/2', f'{spectrum.extent:g}'))
    if layer is not None and layer.cutoff is not None:
        rows.append(('f_c', f'{layer.cutoff:.4g}'))
    if layer is not None and layer.stopband is not None:
        rows.append(('f_t', f'{layer.stopband:.4g}'))
    if under_mouse is not None and max(map(abs, under_mouse)) <= spectrum.extent:
        x, y = under_mouse
        rows += [('x', f'{x:.1f}'), ('y', f'{y:.1f}'), ('power', f'{value_at(spectrum, x, y):.1f} dB')]
    imgui.begin_group()
    for name, text in rows:
        imgui.text_colored(theme.MUTED, name)
        imgui.same_line(0.0, max(3.2 * imgui.get_font_size() - imgui.calc_text_size(name).x, 0.0))
        imgui.text_unformatted(text)
    imgui.end_group()


def _profiles(spectrum: Spectrum, result: RenderResult, desk: Desk, *, height: float) -> None:
    several = spectra_shown(desk)
    if len(several) > 1:
        _profiles_of_several(several, result, height=height)
        return
    series = (
        Series('radial', spectrum.radial_db, spectrum.frequencies),
        Series('0°', spectrum.axis_db, spectrum.frequencies),
        Series('45°', spectrum.diagonal_db, spectrum.frequencies),
    )
    top = desk.computed('profile top', spectrum.radial_db, lambda _: profile_top(spectrum))
    plots.line_plot(
        '##profiles', series, x_label=AXIS_LABEL, y_label='dB', x_limits=(0.0, 1.05 * spectrum.extent),
        y_limits=(top - RANGE_DB - STEP_DB, top), markers=frequency_markers(result.layer, spectrum.extent), height=height,
    )  # fmt: skip


def spectra_shown(desk: Desk) -> dict[str, Spectrum]:
    """The spectra of all pictures that are shown, by what these are called."""
    found = {title: desk.view.side(name).shown_spectrum() for name, title in desk.titles().items()}
    return {title: spectrum for title, spectrum in found.items() if spectrum is not None}


def _profiles_of_several(several: dict[str, Spectrum], result: RenderResult, *, height: float) -> None:
    """The radial profiles of two pictures in one plot."""
    series = [
        Series(f'{title}, radial', one.radial_db, one.frequencies, weight=2.25 if place == 0 else 1.5)
        for place, (title, one) in enumerate(several.items())
    ]
    top = max(top_of_scale(one.radial_db) for one in several.values())
    extent = max(one.extent for one in several.values())
    plots.line_plot(
        '##profiles of both', series, x_label=AXIS_LABEL, y_label='dB', x_limits=(0.0, 1.05 * extent),
        y_limits=(top - RANGE_DB - STEP_DB, top), markers=frequency_markers(result.layer, extent), height=height,
    )  # fmt: skip


def frequency_markers(layer: LayerInfo | None, half_rate: float) -> tuple[Marker, ...]:
    """Lines at the layer's cutoff, stopband and half sampling rate."""
    markers = [Marker(half_rate, 's/2', theme.MUTED)]
    if layer is not None and layer.cutoff is not None:
        markers.append(Marker(layer.cutoff, 'f_c', theme.GOOD))
    if layer is not None and layer.stopband is not None:
        markers.append(Marker(layer.stopband, 'f_t', theme.WARN))
    return tuple(markers)


def top_of_scale(power_db: np.ndarray) -> float:
    """The upper end of the scale of colours, on a step."""
    finite = power_db[np.isfinite(power_db)]
    return STEP_DB * math.ceil(float(finite.max()) / STEP_DB) if finite.size else 0.0


def profile_top(spectrum: Spectrum) -> float:
    """The upper end of the axis of the three profiles."""
    return max(map(top_of_scale, (spectrum.radial_db, spectrum.axis_db, spectrum.diagonal_db)))


def reduced(power_db: np.ndarray) -> np.ndarray:
    """At most about `DISPLAY_SIDE` values a side: the greatest of each block, so that no peak is lost."""
    step = math.ceil(max(power_db.shape) / DISPLAY_SIDE / 1.1)
    if step <= 1:
        return power_db
    rows = np.maximum.reduceat(power_db, np.arange(0, power_db.shape[0], step), axis=0)
    return np.ascontiguousarray(np.maximum.reduceat(rows, np.arange(0, power_db.shape[1], step), axis=1))


def value_at(spectrum: Spectrum, x: float, y: float) -> float:
    """The power at a frequency; y upwards."""
    height, width = spectrum.power_db.shape
    column = round((x / spectrum.extent + 1) / 2 * (width - 1))
    row = round((1 - y / spectrum.extent) / 2 * (height - 1))
    return float(spectrum.power_db[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])


def _settings(state: SpectrumState, result: RenderResult | None) -> SpectrumState:
    count = widgets.int_slider('Average', state.average_count, 2, 256, unit='latents', default=32)
    beta = widgets.slider(
        'Window β',
        state.kaiser_beta,
        0,
        16,
        format='%.1f',
        default=8.0,
        tooltip='Of the Kaiser window, which hides the edges of the picture.',
    )
    channels = result.statistics.shape[0] if result and result.statistics else 1
    every = widgets.checkbox('All channels', state.channel is None, tooltip='The mean power of all channels, or one.')
    channel = None if every else (state.channel or 0)
    if channel is not None:
        channel = widgets.int_input('Channel##spectrum', min(channel, channels - 1), low=0, high=channels - 1)
    return updated(state, average_count=count, kaiser_beta=beta, channel=channel)

"""A training run: losses, equivariance and spectra over the training, and a slider through its snapshots."""

from __future__ import annotations

import numpy as np
from imgui_bundle import icons_fontawesome_6 as icons
from imgui_bundle import imgui

from gui_utils import plots, theme, widgets
from gui_utils.plots import Marker, Series
from render.run_log import Curve, RunLog, RunSpectra
from render.session import Session
from viz.commands import ShowSnapshot
from viz.editing import updated
from viz.run_view import RunView
from viz.view import Desk

SHOWN = {'losses': 'Losses', 'equivariance': 'EQ-T, EQ-R', 'spectra': 'Spectra'}
RANGE_DB = 60.0
_LOSSES = (('generator_loss', 'generator'), ('discriminator_loss', 'discriminator'))
_EQUIVARIANCE = (('eq_t_db', 'EQ-T'), ('eq_r_db', 'EQ-R'))
_SMOOTH_SHARE = 0.03
"""Losses are averaged over this part of the training: from step to step they jump."""
_FOLLOWS_DB = 65.0
"""Top of the scale of EQ-T and EQ-R: detail sticks below about 25 dB, and follows above 50."""
_LEAST_PLOT_EM = 7.0
_DASH_SHARE = 0.03
"""Of the axis."""
_COLUMNS = 256
Named = tuple[tuple[str, str], ...]


def run_panel(session: Session, desk: Desk) -> Session:
    """Slider and plots; returns the session after the controls."""
    run = desk.view.run
    if run is None:
        widgets.text_muted('Open the folder of a training run: its course appears here.')
        return session
    _scrubber(run, desk)
    shown = widgets.segmented('Plot', session.run_plot, SHOWN, default='losses', tooltip='Over the training.')
    height = max(imgui.get_content_region_avail().y / imgui.get_font_size(), _LEAST_PLOT_EM)
    if shown == 'losses':
        _curves(run, desk, _LOSSES, 'loss', height, smooth=True)
    elif shown == 'equivariance':
        _curves(run, desk, _EQUIVARIANCE, 'dB', height, smooth=False)
    else:
        _spectra(run, desk, height)
    return updated(session, run_plot=shown)


def _scrubber(run: RunView, desk: Desk) -> None:
    """Which snapshot is shown: a slider, one back, one on, and the newest."""
    snapshots = run.log.snapshots
    if not snapshots:
        widgets.text_muted('No snapshot yet.')
        return
    last = len(snapshots) - 1
    place = None if run.wanted is None else run.log.index_of(run.wanted)
    now = last if place is None else place
    chosen = widgets.int_slider(
        'Snapshot', now + 1, 1, max(last + 1, 2), unit=f'of {last + 1}  ({snapshots[now].kimg:.4g} kimg)',
        tooltip='Opens that snapshot in place: latent, layer and filters stay. When did sticking appear?',
    )  # fmt: skip
    chosen = min(chosen - 1, last)
    back = widgets.icon_button(icons.ICON_FA_BACKWARD_STEP, 'The snapshot before')
    widgets.same_line(0.25)
    on = widgets.icon_button(icons.ICON_FA_FORWARD_STEP, 'The next snapshot')
    widgets.same_line(0.5)
    chosen = min(max(chosen + on - back, 0), last)
    follows = run.wanted is None
    if widgets.toggle_button(
        'Newest', follows, icon=icons.ICON_FA_TOWER_BROADCAST, tooltip='Show each new snapshot as soon as it is written.'
    ) != follows:  # fmt: skip
        desk.ask(ShowSnapshot(None if not follows else snapshots[now].name))
    elif chosen != now:
        desk.ask(ShowSnapshot(snapshots[chosen].name))
    widgets.same_line(0.8)
    widgets.text_muted(_speed(run.log))


def _speed(log: RunLog) -> str:
    """How fast the run was at last, and how far it is."""
    rate, kimg = log.curves.get('images_per_second'), _newest_kimg(log)
    return f'{kimg:.4g} kimg' + (f', {rate.values[-1]:.3g} images/s' if rate is not None else '')


def _newest_kimg(log: RunLog) -> float:
    ends = [float(curve.kimg[-1]) for curve in log.curves.values()]
    return max([*ends, *(snapshot.kimg for snapshot in log.snapshots)], default=0.0)


def _curves(run: RunView, desk: Desk, names: Named, unit: str, height: float, *, smooth: bool) -> None:
    """Some numbers over the training, with a line at the snapshot that is shown."""
    known = [(title, run.log.curves[name]) for name, title in names if name in run.log.curves]
    if not known:
        widgets.text_muted(_why_none(run.log, is_measured=not smooth))
        return
    key = f'run {unit}'
    drawn = desk.computed(
        key, run.log, lambda _: [(title, _smoothed(curve) if smooth else curve) for title, curve in known]
    )
    end = max(_newest_kimg(run.log), 1e-3)
    series = [_series(title, curve, end) for title, curve in drawn]
    plots.line_plot(
        f'##{key}', series, x_label='thousand images', y_label=unit, x_limits=(0.0, end),
        y_limits=desk.computed(f'{key} limits', run.log, lambda _: _limits([curve for _, curve in drawn], smooth)),
        markers=_marker(run), height=height,
    )  # fmt: skip


def _series(title: str, curve: Curve, end: float) -> Series:
    """The curve; a single point as a dash, for a line of one point cannot be seen."""
    if len(curve.values) > 1:
        return Series(title, curve.values, curve.kimg)
    place = float(curve.kimg[0])
    return Series(title, curve.values.repeat(2), np.array([place - _DASH_SHARE * end, place]))


def _why_none(log: RunLog, *, is_measured: bool) -> str:
    if not is_measured:
        return 'No line of statistics yet.'
    if log.spectra is not None:
        return 'Not measured: the input of this generator cannot be moved.'
    return 'Nothing was measured yet: it appears with the first snapshot.'


def _spectra(run: RunView, desk: Desk, height: float) -> None:
    """Power over frequency (upwards) and training (to the right)."""
    spectra = run.log.spectra
    if spectra is None:
        widgets.text_muted('No spectrum was measured yet: it appears with the first snapshot.')
        return
    values = desk.computed('run spectra', run.log, lambda _: spectrum_picture(spectra))
    top = desk.computed('run spectra top', run.log, lambda _: float(np.ceil(np.nanmax(values) / 10) * 10))
    end = max(float(spectra.kimg[-1]), 1e-3)
    under_mouse = plots.heatmap(
        '##run spectra', values, desk.textures, extent=(0.0, end, 0.0, float(spectra.power_db.shape[1] - 1)),
        limits=(top - RANGE_DB, top), colour_map='inferno', x_label='thousand images',
        y_label='cycles per image width', bar_label='dB', height=height, fills=True,
    )  # fmt: skip
    if under_mouse is not None:
        _explain_point(spectra, *under_mouse)


def _explain_point(spectra: RunSpectra, kimg: float, frequency: float) -> None:
    ring = round(frequency)
    if 0 <= ring < spectra.power_db.shape[1]:
        column = int(np.abs(spectra.kimg - kimg).argmin())
        imgui.set_tooltip(
            f'{spectra.power_db[column, ring]:.1f} dB at {ring} cycles per image width, after {spectra.kimg[column]:.4g} kimg'
        )


def spectrum_picture(spectra: RunSpectra) -> np.ndarray:
    """[rings, columns], highest frequency first; each column shows the nearest snapshot, for they need not be evenly spaced."""
    end = max(float(spectra.kimg[-1]), 1e-3)
    columns = min(_COLUMNS, max(4 * len(spectra.kimg), 2))
    places = (np.arange(columns) + 0.5) * (end / columns)
    nearest = np.abs(spectra.kimg[None] - places[:, None]).argmin(1)
    return np.ascontiguousarray(spectra.power_db[nearest].T[::-1])


def _smoothed(curve: Curve) -> Curve:
    """Running mean over a small part of all points; the beginning over what is there."""
    width = max(int(len(curve.values) * _SMOOTH_SHARE), 1)
    sums = np.concatenate([[0.0], np.cumsum(curve.values)])
    ends = np.arange(1, len(curve.values) + 1)
    starts = np.maximum(ends - width, 0)
    return Curve(curve.kimg, (sums[ends] - sums[starts]) / (ends - starts))


def _limits(curves: list[Curve], fits: bool) -> tuple[float, float]:
    """Room for all values; without `fits` always the whole scale from sticking to following."""
    low = min(float(curve.values.min()) for curve in curves)
    high = max(float(curve.values.max()) for curve in curves)
    if not fits:
        return min(low, 0.0), max(high + 5.0, _FOLLOWS_DB)
    room = max(high - low, 0.1) * 0.08
    return min(low - room, 0.0) if low >= 0 and low < 0.5 * high else low - room, high + room


def _marker(run: RunView) -> tuple[Marker, ...]:
    """A line at the snapshot that is shown."""
    place = None if run.shown is None else run.log.index_of(run.shown)
    return () if place is None else (Marker(run.log.snapshots[place].kimg, 'shown', theme.TEXT),)

"""The table of panels, and drawing them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from imgui_bundle import imgui

from gui_utils import widgets
from render.session import Session, Side, is_animating
from viz import layout
from viz.capture_panel import capture_panel
from viz.channel_sort import rows_em, sort_rows
from viz.editing import updated, with_side
from viz.filter_panel import filter_panel
from viz.latent_panel import latent_panel
from viz.layer_panel import Below, layer_panel
from viz.meter_panel import meter_section
from viz.mixing_panel import mixing_panel
from viz.model_panel import model_panel
from viz.noise_panel import noise_panel
from viz.performance_panel import performance_panel
from viz.run_panel import run_panel
from viz.shortcuts import with_shown_layer
from viz.spectrum_views import spectrum_views
from viz.sticking_panel import sticking_panel
from viz.transform_panel import motion_controls, place_controls
from viz.truncation_panel import truncation_panel
from viz.view import Desk

LAYERS_TITLE = 'Layers'
RUN_TITLE = 'Run'
SPECTRUM_TITLE = 'Spectrum'
TRUNCATION_ROWS = 2.8
"""Height of the truncation section below the map of seeds, in rows of controls."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One window of controls."""

    title: str
    place: str
    draw: Callable[[Session, Desk], Session]


def _latent(session: Session, desk: Desk) -> Session:
    side = session.current
    side = _with(side, latent=latent_panel(side.latent, desk.model, rows_below=TRUNCATION_ROWS))
    with widgets.section('Truncation') as is_open:
        if is_open:
            side = _with(side, truncation=truncation_panel(side.truncation, desk.model))
    return with_side(session, side)


def _transform(session: Session, desk: Desk) -> Session:
    side = session.current
    state = place_controls(side.transform, desk.model)
    session = updated(session, meter=meter_section(session.meter, side, desk))
    return with_side(session, _with(side, transform=motion_controls(state, desk.model)))


def _styles(session: Session, desk: Desk) -> Session:
    side = session.current
    return with_side(session, _with(side, mixing=mixing_panel(side.mixing, desk.model)))


def _noise(session: Session, desk: Desk) -> Session:
    side = session.current
    return with_side(session, _with(side, noise=noise_panel(side.noise, desk.model)))


def _layers(session: Session, desk: Desk) -> Session:
    side, result = session.current, desk.side.result
    below = Below(rows_em, lambda state: sort_rows(state, desk))
    state = layer_panel(side.layer, desk.model, result.statistics if result else None, below)
    return with_side(session, with_shown_layer(side, state, desk))


def _spectrum(session: Session, desk: Desk) -> Session:
    side = session.current
    state, layer = spectrum_views(side.spectrum, side.layer, desk)
    return with_side(session, with_shown_layer(_with(side, spectrum=state), layer, desk))


def _filters(session: Session, desk: Desk) -> Session:
    side, result = session.current, desk.side.result
    curves = result.curves if result else ()
    return with_side(session, _with(side, filters=filter_panel(side.filters, desk.model, curves)))


def _sticking(session: Session, desk: Desk) -> Session:
    side = session.current
    state, changed = sticking_panel(session.sticking, side, desk)
    if changed.layer is not side.layer:
        changed = with_shown_layer(replace(changed, layer=side.layer), changed.layer, desk)
    return updated(with_side(session, changed), sticking=state)


def _capture(session: Session, desk: Desk) -> Session:
    return updated(session, capture=capture_panel(session.capture, desk, animating=is_animating(session)))


def _performance(session: Session, desk: Desk) -> Session:
    return updated(session, performance=performance_panel(session.performance, desk))


PANELS: tuple[Panel, ...] = (
    Panel('Latent', layout.LEFT_TOP, _latent),
    Panel('Model', layout.LEFT_TOP, model_panel),
    Panel('Transform', layout.LEFT_BOTTOM, _transform),
    Panel('Styles', layout.LEFT_BOTTOM, _styles),
    Panel('Noise', layout.LEFT_BOTTOM, _noise),
    Panel(LAYERS_TITLE, layout.RIGHT_TOP, _layers),
    Panel(RUN_TITLE, layout.RIGHT_TOP, run_panel),
    Panel(SPECTRUM_TITLE, layout.RIGHT_BOTTOM, _spectrum),
    Panel('Sticking', layout.RIGHT_BOTTOM, _sticking),
    Panel('Filters', layout.RIGHT_BOTTOM, _filters),
    Panel('Capture', layout.RIGHT_BOTTOM, _capture),
    Panel('Speed', layout.RIGHT_BOTTOM, _performance),
)


def draw_panels(session: Session, desk: Desk) -> tuple[Session, bool]:
    """Draw every panel that is open; returns the session after the controls, and whether a list takes the arrow keys."""
    arrows_taken = False
    for panel in PANELS:
        if panel.title in session.window.hidden or (panel.title == RUN_TITLE and desk.view.run is None):
            continue
        with widgets.panel(panel.title) as shows:
            if panel.title == SPECTRUM_TITLE:
                session = with_spectrum_visible(session, visible=shows)
            if shows:
                session = panel.draw(session, desk)
            if panel.title == LAYERS_TITLE:
                arrows_taken = imgui.is_window_hovered(imgui.HoveredFlags_.child_windows)
    return session, arrows_taken


def with_spectrum_visible(session: Session, *, visible: bool) -> Session:
    """The session that computes spectra only while someone looks at them."""
    session = _with_visible(session, 'a', visible=visible)
    return session if session.b is None else _with_visible(session, 'b', visible=visible)


def _with_visible(session: Session, name: str, *, visible: bool) -> Session:
    side = session.b if name == 'b' else session.a
    if side is None or side.spectrum.visible == visible:
        return session
    changed = replace(side, spectrum=replace(side.spectrum, visible=visible))
    return replace(session, b=changed) if name == 'b' else replace(session, a=changed)


def _with(side: Side, **parts: object) -> Side:
    """`side` with new parts; the same object if each part is the same object."""
    for name, part in parts.items():
        if getattr(side, name) is not part:
            return replace(side, **parts)
    return side

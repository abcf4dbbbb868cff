"""The spectrum panel's three views: of what is shown, of the steps inside its layer, of all layers."""

from __future__ import annotations

from imgui_bundle import imgui

from gui_utils import widgets
from render.session import LayerState, SpectrumState
from viz.editing import updated
from viz.spectrum_panel import spectrum_panel
from viz.stages_view import stages_view
from viz.view import Desk
from viz.waterfall_view import waterfall_view

VIEWS = {'picture': 'Shown', 'stages': 'Stages', 'layers': 'All layers'}
TIPS = {
    'picture': 'The spectrum of what the picture pane shows.',
    'stages': 'Inside the non-linearity of the chosen layer: what each step adds, and what folds back.',
    'layers': 'The spectrum of every layer over depth, averaged over latents.',
}


def spectrum_views(state: SpectrumState, layer: LayerState, desk: Desk) -> tuple[SpectrumState, LayerState]:
    """The chosen view; returns the new state, and the layer that is shown in the picture."""
    shown = state.shown
    for choice, text in VIEWS.items():
        if widgets.toggle_button(text, state.shown == choice, tooltip=TIPS[choice]) and state.shown != choice:
            shown = choice
        widgets.same_line(0.15)
    imgui.new_line()
    state = updated(state, shown=shown)
    if state.shown == 'stages':
        return stages_view(state, layer, desk)
    if state.shown == 'layers':
        return waterfall_view(state, layer, desk)
    return spectrum_panel(state, desk), layer

"""How far the latent may lie from the average."""

from __future__ import annotations

from gui_utils import widgets
from render.result import GeneratorInfo
from render.session import TruncationState
from viz.editing import available, updated


def truncation_panel(state: TruncationState, model: GeneratorInfo | None) -> TruncationState:
    """Truncation towards the average latent; returns the new state."""
    with widgets.disabled_unless(*available('truncation', model)):
        psi = widgets.slider(
            'Truncation', state.psi, -1, 2, format='%.2f', default=1.0,
            tooltip='ψ: 1 leaves the latent alone, 0 is the average image, less is its opposite.',
        )  # fmt: skip
        rows = model.num_ws if model else 16
        shown = rows if state.layers is None else min(state.layers, rows)
        chosen = widgets.int_slider(
            'Layers', shown, 0, rows, default=rows, tooltip='How many layers, from the first, are truncated.'
        )
        layers = state.layers if chosen == shown else chosen
    return updated(state, psi=psi, layers=None if layers is not None and layers >= rows else layers)

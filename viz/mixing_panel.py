"""Style mixing: some layers take their latent from another seed."""

from __future__ import annotations

from imgui_bundle import imgui

from gui_utils import widgets
from render.result import GeneratorInfo
from render.session import SEED_LIMIT, MixingState
from viz.editing import available, updated

CELL_EM = 2.1


def presets(rows: int) -> dict[str, tuple[int, ...]]:
    """Rows of w by name: pose and shape (coarse), parts (middle), colour and texture (fine)."""
    first, second = round(rows / 4), round(rows / 2)
    return {
        'Coarse': tuple(range(first)),
        'Middle': tuple(range(first, second)),
        'Fine': tuple(range(second, rows)),
        'All': tuple(range(rows)),
    }


def mixing_panel(state: MixingState, model: GeneratorInfo | None) -> MixingState:
    """The second seed and the layers that take it; returns the new state."""
    with widgets.disabled_unless(*available('style_mixing', model)):
        rows = model.num_ws if model else 16
        enabled = widgets.checkbox(
            'Mix styles', state.enabled, tooltip='The layers ticked below take their latent from another seed.'
        )
        layers = presets(rows)['Fine'] if enabled and not state.layers else state.layers
        state = updated(state, enabled=enabled, layers=layers)
        with widgets.disabled_unless(state.enabled, 'Switch on "Mix styles" first.'):
            seed = widgets.int_input(
                'Seed',
                state.seed,
                low=0,
                high=SEED_LIMIT - 1,
                default=1,
                tooltip='Where the ticked layers take their latent from.',
            )
            state = updated(state, seed=seed)
            state = _choose_rows(state, rows, model)
    return state


def _choose_rows(state: MixingState, rows: int, model: GeneratorInfo | None) -> MixingState:
    named = presets(rows)
    current = next((name for name, layers in named.items() if layers == state.layers), '')
    chosen = widgets.segmented(
        'Layers', current, tuple(named), tooltip='Coarse: pose and shape. Middle: parts. Fine: colours and texture.'
    )
    if chosen != current:
        state = updated(state, layers=named[chosen])
    ticked = frozenset(state.layers)
    toggled = _grid(ticked, rows, model)
    if toggled is None:
        return state
    return updated(state, layers=tuple(sorted(ticked ^ {toggled})))


def _grid(ticked: frozenset[int], rows: int, model: GeneratorInfo | None) -> int | None:
    """Draw a button for each row of w; the one that was clicked."""
    clicked = None
    em, gap = imgui.get_font_size(), 0.2
    across = max(int((imgui.get_content_region_avail().x / em + gap) / (CELL_EM + gap)), 1)
    for row in range(rows):
        if row % across:
            imgui.same_line(0.0, gap * em)
        if widgets.toggle_button(f'{row}##row', row in ticked, width=CELL_EM) != (row in ticked):
            clicked = row
        if imgui.is_item_hovered(imgui.HoveredFlags_.for_tooltip):
            widgets.explain(_readers(row, model))
    return clicked


def _readers(row: int, model: GeneratorInfo | None) -> str:
    names = [layer.label for layer in model.layers if row in layer.styles] if model else []
    return f'Latent {row}, read by {", ".join(names)}.' if names else f'Latent {row}.'

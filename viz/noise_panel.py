"""The noise inputs of StyleGAN2."""

from __future__ import annotations

from gui_utils import widgets
from render.result import GeneratorInfo
from render.session import SEED_LIMIT, NoiseState
from viz.editing import available, updated
from viz.hints import another_seed

MODES = {'none': 'Off', 'constant': 'Constant', 'random': 'Random'}


def noise_panel(state: NoiseState, model: GeneratorInfo | None) -> NoiseState:
    """Which noise the network adds; returns the new state."""
    with widgets.disabled_unless(*available('noise', model)):
        mode = widgets.segmented(
            'Noise', state.mode, MODES, default='constant',
            tooltip='Constant: the noise stored in the network, fixed to the pixels. Random: drawn from a seed.',
        )  # fmt: skip
        state = updated(state, mode=mode)
        with widgets.disabled_unless(state.mode == 'random', 'Only random noise has a seed.'):
            seed = widgets.int_input('Noise seed', state.seed, low=0, high=SEED_LIMIT - 1, default=0)
            animate = widgets.checkbox('Animate', state.animate, default=False, tooltip='New noise in every frame.')
            if widgets.button('Draw again', icon='\uf522', tooltip='Another noise seed.'):
                seed = another_seed(seed)
    return updated(state, seed=seed, animate=animate)

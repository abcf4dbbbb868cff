"""Moving the picture by moving the network's input: translate, rotate, scale."""

from __future__ import annotations

from gui_utils import widgets
from render.result import GeneratorInfo
from render.session import TransformState
from viz.editing import available, updated

DEFAULT = TransformState()
ANIMATIONS = {'none': 'Off', 'translate': 'Shift', 'rotate': 'Turn'}


def transform_panel(state: TransformState, model: GeneratorInfo | None) -> TransformState:
    """Where the input's Fourier features are, and how they move by themselves; returns the new state."""
    return motion_controls(place_controls(state, model), model)


def place_controls(state: TransformState, model: GeneratorInfo | None) -> TransformState:
    """Translation, rotation and scale of the input's Fourier features; returns the new state."""
    with widgets.disabled_unless(*available('transform', model)):
        state = _translation(state, model.resolution if model else 256)
        degrees = widgets.slider(
            'Rotate', state.degrees, -180, 180, unit='°', format='%.1f', default=0.0,
            tooltip='Counter-clockwise. On the picture: drag the ring, or Ctrl+drag.',
        )  # fmt: skip
        scale = widgets.slider(
            'Scale', state.scale, 0.25, 4, unit='×', format='%.2f', logarithmic=True, default=1.0,
            tooltip='Larger than 1 enlarges. Networks are not trained for this.',
        )  # fmt: skip
        return updated(state, degrees=degrees, scale=scale)


def motion_controls(state: TransformState, model: GeneratorInfo | None) -> TransformState:
    """The translation once more in percent, animation, and the way back; returns the new state."""
    with widgets.disabled_unless(*available('transform', model)):
        state = _percent(state)
        animate = widgets.segmented('Animate', state.animate, ANIMATIONS, default='none')
        speed = widgets.slider(
            'Speed', state.speed, 0.005, 0.5, unit='/s', format='%.3f', logarithmic=True, default=DEFAULT.speed,
            tooltip='Image widths, or turns, a second.',
        )  # fmt: skip
        state = updated(state, animate=animate, speed=speed)
        if widgets.reset_button(state != DEFAULT, 'Reset transform'):
            return DEFAULT
    return state


def _translation(state: TransformState, resolution: int) -> TransformState:
    pixels = (state.x * resolution, state.y * resolution)
    moved = widgets.drag2(
        'Translate', pixels, speed=0.1, unit='px', format='%.2f', default=(0.0, 0.0),
        tooltip=f'Right and down, in pixels of the {resolution}-pixel image. On the picture: drag it.',
    )  # fmt: skip
    return state if moved == pixels else updated(state, x=moved[0] / resolution, y=moved[1] / resolution)


def _percent(state: TransformState) -> TransformState:
    percent = (100 * state.x, 100 * state.y)
    moved = widgets.drag2(
        'Translate, %',
        percent,
        speed=0.05,
        unit='%',
        format='%.2f',
        tooltip='The same translation in percent of the image width.',
    )
    return state if moved == percent else updated(state, x=moved[0] / 100, y=moved[1] / 100)

"""Looking inside the network: which layer is shown, and how its channels become a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imgui_bundle import imgui

from gui_utils import theme, widgets
from gui_utils.widgets import Column
from render.result import GeneratorInfo, LayerInfo, Statistics
from render.session import LayerState
from viz.editing import updated

COLUMNS = (
    Column('Layer'),
    Column('Size', 2.5, is_number=True, tooltip='Width in samples, margins included.'),
    Column('Ch', 2.0, is_number=True, tooltip='Channels.'),
    Column('Type', 2.1, tooltip='Number format: f32 or f16.'),
    Column('s', 2.3, is_number=True, tooltip='Sampling rate s: samples per image width.'),
    Column('f_c', 2.7, is_number=True, tooltip='Cutoff f_c: cycles per image width.'),
)
DROPPED = (3, 4, 2)
"""Columns that a narrow panel does without, in this order."""
PADDING_EM, SCROLLBAR_EM = 0.8, 0.6
"""Of one column, and of the list."""
LONGEST_NAME_EM = 8.0
"""Longer names may be cut."""
MODES = {'rgb': 'RGB', 'channel': 'Channel', 'sheet': 'Sheet'}
COLORMAPS = {
    'gray': 'Gray',
    'viridis': 'Viridis',
    'magma': 'Magma',
    'diverging': 'Blue-red (signed)',
}
NUMBER_TYPES = {'float32': 'f32', 'float16': 'f16', 'bfloat16': 'bf16', 'float64': 'f64'}
VIEW_ROWS_EM = 9.7
"""Height of the controls below the list."""
LEAST_LIST_EM = 5.0
"""Of the list: in a lower panel the controls scroll instead."""


@dataclass(frozen=True, slots=True)
class Below:
    """More rows of controls below those of the layer."""

    height_em: Callable[[LayerState], float]
    draw: Callable[[LayerState], LayerState]


def layer_panel(
    state: LayerState, model: GeneratorInfo | None, statistics: Statistics | None = None, below: Below | None = None
) -> LayerState:
    """The list of layers, and how the chosen one is shown; returns the new state. `below`: more rows of controls."""
    if model is None:
        widgets.text_muted('Open a generator to see its layers.')
        return state
    state = _choose_layer(state, model, VIEW_ROWS_EM + (below.height_em(state) if below else 0.0))
    layer = model.layer(state.layer) if state.layer else None
    state = _view_rows(state, layer, model, statistics)
    return below.draw(state) if below else state


def stepped_layer(state: LayerState, model: GeneratorInfo | None, step: int) -> LayerState:
    """The layer `step` places further down the list, as far as there are any."""
    if model is None:
        return state
    names = (None, *(layer.name for layer in model.layers))
    place = names.index(state.layer) if state.layer in names else 0
    return with_layer(state, model, names[min(max(place + step, 0), len(names) - 1)])


def with_layer(state: LayerState, model: GeneratorInfo, name: str | None) -> LayerState:
    """The state with another layer; the channel stays if that layer has it."""
    layer = model.layer(name) if name else None
    keeps = layer is not None and state.channel < layer.channels
    return updated(
        state, layer=name, channel=state.channel if keeps else 0, order=() if name != state.layer else state.order
    )


def _choose_layer(state: LayerState, model: GeneratorInfo, rows_em: float) -> LayerState:
    layers = model.layers
    names = [None, *(layer.name for layer in layers)]
    selected = names.index(state.layer) if state.layer in names else 0

    def cells(row: int) -> tuple[str, ...]:
        texts = _image_cells(model) if row == 0 else _layer_cells(layers[row - 1])
        return tuple(texts[place] for place in places)

    def explanation(row: int) -> str:
        return 'What the network makes in the end.' if row == 0 else _layer_sentence(layers[row - 1])

    em = imgui.get_font_size()
    longest = max((layer.label for layer in layers), key=len, default='')
    name_em = min(imgui.calc_text_size(longest).x / em, LONGEST_NAME_EM)
    places = shown_columns(imgui.get_content_region_avail().x / em, name_em)
    reveal = _was_chosen_elsewhere(selected)
    chosen = widgets.list_table(
        'layers',
        tuple(COLUMNS[place] for place in places),
        len(names),
        cells,
        selected,
        height=max(imgui.get_content_region_avail().y / em - rows_em, LEAST_LIST_EM),
        tooltips=explanation,
        reveal=reveal,
    )
    return state if chosen in (None, selected) else with_layer(state, model, names[chosen])


def shown_columns(room_em: float, name_em: float) -> tuple[int, ...]:
    """Which of `COLUMNS` a panel of that width shows, so that names of that width stay whole: the least needed go first."""
    shown = tuple(range(len(COLUMNS)))
    for least in DROPPED:
        taken = sum(COLUMNS[place].width for place in shown) + PADDING_EM * len(shown) + SCROLLBAR_EM
        if room_em - taken >= name_em:
            break
        shown = tuple(place for place in shown if place != least)
    return shown


def _was_chosen_elsewhere(selected: int) -> bool:
    """Whether another row is chosen than in the frame before; imgui remembers it for this window."""
    storage, key = imgui.get_state_storage(), imgui.get_id('shown layer')
    before = storage.get_int(key, -1)
    storage.set_int(key, selected)
    return before != selected


def _image_cells(model: GeneratorInfo) -> tuple[str, ...]:
    size = str(model.resolution)
    return 'Image', size, str(model.image_channels), '', size, ''


def _layer_cells(layer: LayerInfo) -> tuple[str, ...]:
    size = str(layer.width) if layer.width == layer.height else f'{layer.width}×{layer.height}'
    rate = f'{layer.rate:g}' if layer.rate is not None else '–'
    cutoff = f'{layer.cutoff:.4g}' if layer.cutoff is not None else '–'
    return layer.label, size, str(layer.channels), NUMBER_TYPES.get(layer.dtype, layer.dtype), rate, cutoff


def _layer_sentence(layer: LayerInfo) -> str:
    parts = [f'{layer.name}: {layer.channels} channels of {layer.width}x{layer.height} {layer.dtype}']
    if layer.margin:
        parts.append(f'of which {layer.margin} on each side are margin')
    if layer.cutoff is not None and layer.stopband is not None:
        parts.append(f'cutoff f_c {layer.cutoff:.2f}, stopband f_t {layer.stopband:.2f} cycles per image width')
    if layer.up_factor * layer.down_factor > 1:
        parts.append(f'up ×{layer.up_factor}, down ×{layer.down_factor}')
    return '; '.join(parts) + '.'


def _view_rows(
    state: LayerState, layer: LayerInfo | None, model: GeneratorInfo, statistics: Statistics | None
) -> LayerState:
    with widgets.disabled_unless(layer is not None, 'The image is shown as it is: choose a layer above.'):
        mode = widgets.segmented('Show', state.mode, MODES, default='rgb')
        channels = layer.channels if layer else model.image_channels
        channel = widgets.int_input(
            'Channel', min(state.channel, channels - 1), low=0, high=channels - 1, step=step_of(mode), default=0,
            tooltip='The first of the three shown as red, green and blue; the one shown; or the first of the sheet.',
        )  # fmt: skip
        with widgets.disabled_unless(mode != 'rgb' or layer is None, 'Three channels are shown as colours.'):
            colormap = widgets.combo('Colours', state.colormap, COLORMAPS, default='gray')
    gain = widgets.slider('Gain', state.gain_db, -40, 40, unit='dB', format='%+.1f', default=0.0)
    with widgets.disabled_unless(layer is not None, 'The image is shown as it is.'):
        normalize = widgets.toggle_button(
            'Normalise', state.normalize, tooltip='Divide each channel by its largest magnitude.'
        )
    _statistics_line(statistics)
    if layer is None:  # greyed out, but one value may have been cut to what the image has
        return updated(state, gain_db=gain)
    if mode != state.mode and state.sort != 'number':
        channel = 0 if mode == 'sheet' else state.order[channel] if channel < len(state.order) else channel
    return updated(state, mode=mode, channel=channel, normalize=normalize, colormap=colormap, gain_db=gain)


def step_of(mode: str) -> int:
    """How many channels one step of the channel control is."""
    return {'rgb': 3, 'channel': 1, 'sheet': 16}[mode]


def _statistics_line(statistics: Statistics | None) -> None:
    if statistics is None:
        return
    text = f'{statistics.minimum:+.2f} … {statistics.maximum:+.2f}   σ {statistics.std:.2f}'
    if statistics.nan_count:
        text += f'   {statistics.nan_count} NaN'
    widgets.same_line()
    imgui.align_text_to_frame_padding()
    imgui.push_style_color(imgui.Col_.text, theme.rgba(theme.BAD if statistics.nan_count else theme.MUTED))
    imgui.text_unformatted(text)
    imgui.pop_style_color()
    widgets.explain(f'Smallest and largest value, standard deviation; mean {statistics.mean:+.4g}. Of all channels.')

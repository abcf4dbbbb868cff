"""One filter of one layer: where it is, and the controls for it."""

from __future__ import annotations

from imgui_bundle import ImVec2, imgui

from gui_utils import theme, widgets
from render.filter_choices import BAND_LIMITED, FACTORS, LEAST_SHARE, MAX_LENGTH, Place, why_no_oversampling
from render.request import FilterKind
from render.result import GeneratorInfo, LayerInfo
from render.session import FilterState
from viz import filter_edits
from viz.editing import updated

KINDS: dict[FilterKind, str] = {
    'network': "The network's own",
    'sinc': 'Sinc (Kaiser window)',
    'jinc': 'Jinc (radial)',
    'lanczos': 'Lanczos',
    'gaussian': 'Gaussian',
    'bilinear': 'Bilinear',
    'nearest': 'Nearest',
}
PLOTTED = {'up': 'Upsampling', 'down': 'Downsampling'}
LEAST_CELL_EM = 1.35
"""Below, the strip of layers takes two lines."""
PLACE_ROWS = 5
"""Controls of a place below the plot."""
WIDE_EM = 20.0
NO_CUTOFF = 'This kernel follows the sampling factor and has no cutoff: choose Sinc or Jinc.'


def choose_place(state: FilterState, model: GeneratorInfo | None) -> FilterState:
    """The strip of layers, those that differ marked, the direction, and for one place the kind of its filter."""
    layers = filter_edits.filtered_layers(model)
    if not layers:
        return state
    shown = filter_edits.plotted_layer(state, model)
    name = shown.name if shown else None
    chosen = _strip(layers, name, filter_edits.changed_layers(state, model))
    if chosen != name:
        state = updated(state, response_layer=chosen)
    direction = widgets.segmented(
        'Of which', state.response_direction, PLOTTED if is_wide() else {'up': 'Up', 'down': 'Down'},
        tooltip='Filter before the non-linearity (upsampling) or behind it (downsampling).',
    )  # fmt: skip
    state = updated(state, response_direction=direction)
    place = filter_edits.place_of(state, model) if state.one_place else None
    return state if place is None else _kind(state, place)


def is_wide() -> bool:
    """Whether there is room for long words on buttons."""
    return imgui.get_content_region_avail().x > WIDE_EM * imgui.get_font_size()


def _strip(layers: tuple[LayerInfo, ...], shown: str | None, changed: frozenset[str]) -> str | None:
    """A button for each layer; returns the name of the chosen one. A dot marks those that run otherwise than the network's."""
    em, room = imgui.get_font_size(), imgui.get_content_region_avail().x
    gap = round(0.12 * em)
    across = len(layers)
    while across > 1 and (room + gap) / across - gap < LEAST_CELL_EM * em:
        across = (across + 1) // 2
    width = int((room + gap) / across) - gap
    imgui.push_style_var(imgui.StyleVar_.frame_padding, ImVec2(0.0, imgui.get_style().frame_padding.y))
    for index, layer in enumerate(layers):
        if index % across:
            imgui.same_line(0.0, gap)
        differs = layer.name in changed
        words = f'{layer.label}{": not as in the network" if differs else ""}'
        if widgets.toggle_button(f'{index}##filter layer', layer.name == shown, width=width / em, tooltip=words) != (
            layer.name == shown
        ):
            shown = layer.name
        if differs:
            corner = imgui.get_item_rect_max()
            place = ImVec2(corner.x - 0.28 * em, imgui.get_item_rect_min().y + 0.28 * em)
            imgui.get_window_draw_list().add_circle_filled(place, 0.17 * em, theme.faded(theme.rgba(theme.WARN)))
    imgui.pop_style_var()
    return shown


def numbers_of_place(state: FilterState, model: GeneratorInfo | None) -> FilterState:
    """The numbers of the chosen place, and the way back."""
    layer = filter_edits.plotted_layer(state, model)
    if layer is None:
        return state
    place = filter_edits.place_of(state, model)
    if place is None:
        widgets.text_muted(f'{layer.label} has no {state.response_direction}sampling filter that could be changed.')
    else:
        state = _numbers(state, place)
    state = _factor(state, layer, model)
    return _resets(state, layer)


def _kind(state: FilterState, place: Place) -> FilterState:
    kind = filter_edits.edit_at(state, place).kind
    chosen: FilterKind = widgets.combo(
        'Filter', kind, KINDS, default='network', tooltip=f'Of {place.layer.label} alone.'
    )
    return state if chosen == kind else filter_edits.with_kind(state, place, chosen)


def _numbers(state: FilterState, place: Place) -> FilterState:
    edit, own = filter_edits.edit_at(state, place), filter_edits.own_numbers(place)
    shown = filter_edits.shown_numbers(edit, place)
    length = widgets.int_slider(
        'Taps n', int(shown['taps']), 1, MAX_LENGTH, default=int(own['taps']),
        tooltip=f'Taps per sample of the lower rate; here times {place.filter.factor}.',
    )  # fmt: skip
    if length != shown['taps']:
        state = filter_edits.with_numbers(state, place, taps=length)
    with widgets.disabled_unless(edit.kind in BAND_LIMITED, NO_CUTOFF):
        for name, label, top, tooltip in (
            ('cutoff', 'Cutoff f_c', place.half_rate, 'Where the filter is at -6 dB, in cycles per image width. At most s/2. Or drag the green point.'),
            ('half_width', 'Half-width f_h', place.filter.rate / 2, 'From the cutoff to where the filter has fallen off, in cycles per image width. Or drag the amber point.'),
        ):  # fmt: skip
            value = widgets.slider(
                label, shown[name], LEAST_SHARE * top, top, format=number_format(top), default=own[name],
                tooltip=tooltip,
            )  # fmt: skip
            if value != shown[name]:
                state = filter_edits.with_numbers(state, place, **{name: value})
    return state


def number_format(top: float) -> str:
    """As many decimals as a frequency up to `top` deserves."""
    return '%.2f' if top < 40 else '%.1f'


def _factor(state: FilterState, layer: LayerInfo, model: GeneratorInfo | None) -> FilterState:
    reason = why_no_oversampling(model) if model else None
    factor = filter_edits.factor_of(state, layer.name, model)
    with widgets.disabled_unless(reason is None, reason or ''):
        chosen = widgets.segmented(
            'Oversampling m', factor, FACTORS, default=state.oversampling or filter_edits.own_factor(model),
            tooltip=f'Rate of the non-linearity of {layer.label}, in rates of the layer. 1: nothing is filtered around it.',
        )  # fmt: skip
    return state if chosen == factor else filter_edits.with_factor(state, layer.name, chosen, model)


def _resets(state: FilterState, layer: LayerInfo) -> FilterState:
    has_own = any(one.layer == layer.name for one in (*state.edits, *state.layer_oversampling))
    if widgets.button(
        'Reset layer', enabled=has_own, tooltip=f'{layer.label} follows what holds for all layers again.'
    ):
        state = filter_edits.without_layer(state, layer.name)
    widgets.same_line()
    anything = bool(state.edits or state.layer_oversampling)
    if widgets.button('Reset all', enabled=anything, tooltip='No layer has anything of its own any more.'):
        state = updated(state, edits=(), layer_oversampling=())
    return state

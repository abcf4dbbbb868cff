"""Where in latent space: a map of seeds to drag, a number to type, a class, a walk."""

from __future__ import annotations

import math

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.result import GeneratorInfo
from render.session import LATTICE_ROW, SEED_LIMIT, LatentState, lattice_seeds
from viz.editing import available, updated
from viz.hints import another_seed, nearest_seed

CELL_EM = 5.0
"""On the screen, between two seeds of the map."""
MAP_HEIGHTS_EM = (7.0, 22.0)
WORDS_EM = 5.0
"""Narrower buttons have no words."""
OWN_ROWS = 5
TYPE_CLASSES_FROM = 20


def latent_panel(state: LatentState, model: GeneratorInfo | None, *, rows_below: float = 0.0) -> LatentState:
    """The map of seeds, the seed's number, class and animation; returns the new state.

    `rows_below`: how many rows of controls follow in the same window; the map takes the rest of it.
    """
    state = _map(state, rows_below + OWN_ROWS)
    state = _seed_row(state)
    with widgets.disabled_unless(*available('classes', model)):
        state = _class_row(state, model)
    animate = widgets.checkbox(
        'Walk', state.animate, default=False, tooltip='Walk along the row of seeds. Space starts and stops it.'
    )
    speed = widgets.slider(
        'Speed', state.speed, 0.02, 4, unit='seeds/s', format='%.2f', logarithmic=True, default=LatentState().speed
    )
    return updated(state, animate=animate, speed=speed)


def at_seed(state: LatentState, seed: int) -> LatentState:
    """The latent exactly on a seed, at the place of the map where its neighbours follow one another."""
    return updated(state, x=float(seed % LATTICE_ROW), y=float(seed // LATTICE_ROW))


def stepped(state: LatentState, step: int) -> LatentState:
    """The latent on the seed `step` places to the right of the nearest one."""
    column, row = round(state.x) + step, round(state.y)
    return (
        updated(state, x=float(column), y=float(row))
        if column >= 0
        else at_seed(state, max(column + LATTICE_ROW * row, 0))
    )


def on_map(state: LatentState) -> LatentState:
    """The latent within the map, which begins with seed 0: beyond, seeds would count back from the largest."""
    return updated(state, x=max(state.x, 0.0), y=max(state.y, 0.0))


def _seed_row(state: LatentState) -> LatentState:
    seed = nearest_seed(state)
    typed = widgets.int_input(
        'Seed',
        seed,
        low=0,
        high=SEED_LIMIT - 1,
        default=0,
        tooltip='The latent of this seed; between seeds, the nearest.',
    )
    if typed != seed:
        return at_seed(state, typed)
    width = (imgui.get_content_region_avail().x / imgui.get_font_size() - 1.0) / 3
    hidden = '' if width > WORDS_EM else '##'  # all three with words, or none
    if widgets.button(
        f'{hidden}Previous', icon=icons.ICON_FA_ANGLE_LEFT, width=width, tooltip='The seed to the left (P).'
    ):
        return stepped(state, -1)
    widgets.same_line()
    if widgets.button(
        f'{hidden}Next', icon=icons.ICON_FA_ANGLE_RIGHT, width=width, tooltip='The seed to the right (N).'
    ):
        return stepped(state, 1)
    widgets.same_line()
    if widgets.button(f'{hidden}Random', icon=icons.ICON_FA_DICE, width=width, tooltip='Some other seed.'):
        return at_seed(state, another_seed(seed))
    return state


def _class_row(state: LatentState, model: GeneratorInfo | None) -> LatentState:
    count = model.class_count if model else 0
    if count == 0:
        widgets.combo('Class', 0, {0: 'None'})
        return state
    before = state.class_index or 0
    if count < TYPE_CLASSES_FROM:
        chosen = widgets.combo('Class', before, range(count), default=0)
    else:
        chosen = widgets.int_input('Class', before, low=0, high=count - 1, default=0, tooltip=f'0 to {count - 1}.')
    return state if chosen == before else updated(state, class_index=chosen)


def _map(state: LatentState, rows_below: float) -> LatentState:
    """A piece of the lattice of seeds around the latent; dragging moves the map below the cross in its middle."""
    em = imgui.get_font_size()
    corner = imgui.get_cursor_screen_pos()
    room = imgui.get_content_region_avail()
    height = room.y - rows_below * imgui.get_frame_height_with_spacing() - em
    size = ImVec2(max(room.x, 4 * em), min(max(height, MAP_HEIGHTS_EM[0] * em), MAP_HEIGHTS_EM[1] * em))
    imgui.invisible_button('seed map', size)
    cell, io = CELL_EM * em, imgui.get_io()
    is_held = imgui.is_item_active() and not imgui.is_item_activated()
    if is_held and (io.mouse_delta.x or io.mouse_delta.y):
        state = on_map(updated(state, x=state.x - io.mouse_delta.x / cell, y=state.y - io.mouse_delta.y / cell))
    if imgui.is_item_hovered():
        imgui.set_mouse_cursor(imgui.MouseCursor_.resize_all)
        if imgui.is_mouse_double_clicked(imgui.MouseButton_.left):
            state = _seed_below(state, io.mouse_pos, corner, size, cell)
    widgets.explain('Drag the map: between seeds their latents are blended. Double click a seed to go there.')
    _draw_map(state, corner, size, cell)
    return state


def _seed_below(state: LatentState, mouse: ImVec2, corner: ImVec2, size: ImVec2, cell: float) -> LatentState:
    x = state.x + (mouse.x - corner.x - size.x / 2) / cell
    y = state.y + (mouse.y - corner.y - size.y / 2) / cell
    return on_map(updated(state, x=float(round(x)), y=float(round(y))))


def _draw_map(state: LatentState, corner: ImVec2, size: ImVec2, cell: float) -> None:
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    end = ImVec2(corner.x + size.x, corner.y + size.y)
    center = ImVec2(corner.x + size.x / 2, corner.y + size.y / 2)
    rounding = imgui.get_style().frame_rounding
    canvas.add_rect_filled(corner, end, theme.faded(theme.rgba(theme.BACKGROUND)), rounding)
    canvas.push_clip_rect(corner, end, True)
    across, down = size.x / 2 / cell + 0.5, size.y / 2 / cell + 0.5
    weights = dict(lattice_seeds(state.x, state.y))
    for row in range(max(math.ceil(state.y - down), 0), math.floor(state.y + down) + 1):
        y = center.y + (row - state.y) * cell
        for column in range(max(math.ceil(state.x - across), 0), math.floor(state.x + across) + 1):
            place = ImVec2(center.x + (column - state.x) * cell, y)
            seed = (column + LATTICE_ROW * row) % SEED_LIMIT
            _draw_seed(canvas, place, seed, weights.get(seed, 0.0), em, within=(corner, end))
    _draw_cross(canvas, center, em)
    canvas.pop_clip_rect()


def _draw_seed(
    canvas: imgui.ImDrawList, place: ImVec2, seed: int, weight: float, em: float, *, within: tuple[ImVec2, ImVec2]
) -> None:
    faint = theme.faded(theme.FAINT_RGBA)
    if weight > 0:
        canvas.add_circle_filled(
            place, (0.2 + 0.45 * weight) * em, theme.faded(theme.rgba(theme.ACCENT, 0.25 + 0.5 * weight))
        )
    canvas.add_circle_filled(place, 0.14 * em, faint)
    (low, high), size = within, imgui.calc_text_size(str(seed))
    start = ImVec2(round(place.x + 0.35 * em), round(place.y - 1.25 * em))
    if start.x < low.x or start.y < low.y or start.x + size.x > high.x or start.y + size.y > high.y:
        return  # half a number would be another number
    canvas.add_text(start, theme.faded(theme.rgba(theme.TEXT if weight > 0.5 else theme.MUTED)), str(seed))


def _draw_cross(canvas: imgui.ImDrawList, center: ImVec2, em: float) -> None:
    colour, arm = theme.faded(theme.TEXT_RGBA), 0.55 * em
    canvas.add_line(ImVec2(center.x - arm, center.y), ImVec2(center.x + arm, center.y), colour, 0.08 * em)
    canvas.add_line(ImVec2(center.x, center.y - arm), ImVec2(center.x, center.y + arm), colour, 0.08 * em)

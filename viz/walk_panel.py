"""A line of the picture during a latent walk, time downwards (Fig. 1 of the paper, right): stuck detail makes streaks."""

from __future__ import annotations

from imgui_bundle import icons_fontawesome_6 as icons
from imgui_bundle import imgui

from gui_utils import theme, widgets
from render.measures import Strip
from render.session import LatentState, StickingState, WalkLine
from viz.commands import MeasureWalk, SaveStrip
from viz.editing import updated
from viz.findings import WALK, Bench
from viz.hints import nearest_seed
from viz.laboratory_row import NO_MODEL, fading, headline, is_outdated, percent, picture, run_row, settings
from viz.view import Desk

INTRODUCTION = (
    'Goes through a few latents and notes one line of the picture, time downwards. Detail that moves makes slanted, broken '
    'tracks; detail that sticks makes straight vertical streaks. Drag the ends of the line in the picture.'
)
READINGS = (
    (0.02, 'Fine detail moves with the picture.'),
    (0.10, 'A little of the fine detail stays where it is.'),
    (0.35, 'Much of the fine detail stays where it is.'),
    (1.01, 'Most of the fine detail is glued to the screen.'),
)
"""Up to that share, in words."""
SAVE = 'Save strip'
LOWEST_EM = 8.0
"""Height of the strip at least."""


def draw_walk(state: StickingState, latent: LatentState, bench: Bench, desk: Desk) -> StickingState:
    """Controls, the strip and its score; returns the new state."""
    with settings('walk settings', 'How far the walk goes, and its line.') as is_open:
        state = _settings(state) if is_open else state
    line = state.line
    wish = MeasureWalk(
        (line.start_x, line.start_y),
        (line.end_x, line.end_y),
        state.walk_frames,
        state.walk_stops,
        nearest_seed(latent),
    )
    text = f'Walk from seed {wish.first_seed} to {wish.first_seed + max(wish.stops - 1, 0)}'
    run_row((WALK,), wish, text, icons.ICON_FA_SHOE_PRINTS, bench, desk, reason='' if desk.model else NO_MODEL)
    strip = bench.value(WALK, Strip)
    if strip is None:
        widgets.text_muted(INTRODUCTION)
        return state
    with fading(is_outdated(WALK, wish, bench, desk)):
        headline(percent(strip.share), 'of the fine detail does not move', strip.note or reading(strip.share))
        _strip(strip, desk)
    return state


def reading(share: float) -> str:
    """What the share means."""
    return next((words for limit, words in READINGS if share < limit), '')


def _settings(state: StickingState) -> StickingState:
    frames = widgets.int_slider('Pictures', state.walk_frames, 2, 512, default=64, tooltip='Lines of the strip.')
    stops = widgets.int_slider(
        'Latents', state.walk_stops, 2, 16, default=5,
        tooltip='The walk begins at the shown seed and passes the next ones.',
    )  # fmt: skip
    start = widgets.drag2('Line from', (state.line.start_x, state.line.start_y), low=0, high=1, default=(0.0, 0.5))
    end = widgets.drag2('to', (state.line.end_x, state.line.end_y), low=0, high=1, default=(1.0, 0.5))
    widgets.text_muted('In picture widths from the top left corner. Its ends can also be dragged in the picture.')
    return updated(state, walk_frames=frames, walk_stops=stops, line=WalkLine(*start, *end))


def _strip(strip: Strip, desk: Desk) -> None:
    """The strip as wide as the panel, what its sides are, and saving it."""
    em, room = imgui.get_font_size(), imgui.get_content_region_avail()
    height = max(room.y - imgui.get_frame_height() - 0.7 * em, LOWEST_EM * em)
    picture(
        'walk strip', strip.image, desk, width=room.x, height=height,
        tooltip=f'{strip.frames} pictures from top to bottom; across, the line from its start to its end. Detail: from '
        f'{strip.above:.3g} cycles per image width on.',
    )  # fmt: skip
    imgui.align_text_to_frame_padding()
    imgui.text_colored(theme.MUTED, 'time ↓   along the line →')
    imgui.same_line(0.0, 0.0)
    free = imgui.get_content_region_avail().x - imgui.calc_text_size(SAVE).x - 3.0 * em
    imgui.set_cursor_pos_x(imgui.get_cursor_pos_x() + max(free, 0.5 * em))
    if widgets.button(SAVE, icon=icons.ICON_FA_DOWNLOAD, tooltip='As PNG, into the capture folder.'):
        desk.ask(SaveStrip())

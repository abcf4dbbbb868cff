"""A line of the picture during a latent walk, time downwards (Fig. 1 of the paper, right): stuck detail makes streaks."""

from __future__ import annotations

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.measures import Strip
from render.session import LatentState, StickingState, WalkLine
from viz.commands import MeasureWalk, SaveStrip
from viz.editing import updated
from viz.findings import WALK, Bench
from viz.hints import nearest_seed
from viz.laboratory_row import NO_MODEL, fading, headline, is_outdated, percent, picture, run_row
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
LOWEST_EM = 8.0
"""Height of the strip at least."""


def draw_walk(state: StickingState, latent: LatentState, bench: Bench, desk: Desk) -> StickingState:
    """Controls, the strip and its score; returns the new state."""
    frames = widgets.int_slider('Pictures', state.walk_frames, 8, 512, default=64, tooltip='Lines of the strip.')
    stops = widgets.int_slider(
        'Latents', state.walk_stops, 2, 16, default=5,
        tooltip='The walk begins at the shown seed and passes the next ones.',
    )  # fmt: skip
    line = widgets_line(state.line)
    state = updated(state, walk_frames=frames, walk_stops=stops, line=line)
    wish = MeasureWalk((line.start_x, line.start_y), (line.end_x, line.end_y), frames, stops, nearest_seed(latent))
    run_row((WALK,), wish, 'Walk', icons.ICON_FA_SHOE_PRINTS, bench, desk, reason='' if desk.model else NO_MODEL)
    strip = bench.value(WALK, Strip)
    if strip is None:
        widgets.text_muted(INTRODUCTION)
        return state
    with fading(is_outdated(WALK, wish, bench, desk)):
        headline(percent(strip.share), 'of the fine detail does not move', strip.note or reading(strip.share))
        _strip(strip, desk)
    if widgets.button('Save strip', icon=icons.ICON_FA_DOWNLOAD, tooltip='As PNG, into the capture folder.', width=-1):
        desk.ask(SaveStrip())
    return state


def widgets_line(line: WalkLine) -> WalkLine:
    """The line: its default back, if it was moved."""
    start = f'{line.start_x:.2f}, {line.start_y:.2f}'
    imgui.align_text_to_frame_padding()
    imgui.text_unformatted('Line')
    widgets.explain('Drag its ends in the picture. In image widths from the top left corner.')
    imgui.same_line(0.0, 0.0)
    imgui.set_cursor_pos_x(imgui.get_cursor_pos_x())
    widgets.same_line(0.5)
    widgets.text_muted(f'{start}  to  {line.end_x:.2f}, {line.end_y:.2f}')
    return line


def reading(share: float) -> str:
    """What the share means."""
    return next((words for limit, words in READINGS if share < limit), '')


def _strip(strip: Strip, desk: Desk) -> None:
    """The strip as wide as the panel, and what its sides are."""
    em, room = imgui.get_font_size(), imgui.get_content_region_avail()
    rest = imgui.get_frame_height_with_spacing() + 1.6 * em
    height = max(room.y - rest, LOWEST_EM * em)
    picture(
        'walk strip', strip.image, desk, width=room.x, height=height,
        tooltip=f'{strip.frames} pictures from top to bottom; across, the line from its start to its end. Detail: from '
        f'{strip.above:.3g} cycles per image width on.',
    )  # fmt: skip
    imgui.text_colored(theme.MUTED, 'time ↓   along the line →')
    imgui.dummy(ImVec2(0.0, 0.0))

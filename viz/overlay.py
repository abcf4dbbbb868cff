"""Words over the picture: progress, complaints, hints, the numbers of a pixel, the list of gestures."""

from __future__ import annotations

import math

from imgui_bundle import ImVec2, imgui
from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import theme, widgets
from render.result import RenderResult
from render.session import PictureName, Session
from render.sheet import sheet_layout
from viz.commands import Browse, CancelOpening, DismissError, OpenTwins
from viz.comparing import is_changed
from viz.dragging import FLUENT_SECONDS
from viz.filter_edits import filter_label
from viz.geometry import Placement, Rectangle
from viz.hand import Hand
from viz.opening import shown_name
from viz.view import Desk, SideView

HINT = 'Drag the picture: the texture should move with it'
HINT_WITHOUT_TRANSFORM = 'Drag the picture to walk through latents: this generator has no transform'
NEXT_HINT = 'Key M lights up what was left behind; the tab Sticking says why'
EXACT_PART = (
    'This network is slower than the hand, so only a part of the picture is computed while it moves. Inside the frame every '
    "pixel is the whole network's; the dark rest is the last whole picture. The next one comes when the hand rests."
)
FULL = 'The whole picture, each time; it cannot come more often.'
ERROR_SCALE_EM = (15.0, 5.6)
"""What the scale of an error map takes of the pane's width, and where it ends below its top."""
PATIENCE_SECONDS = 0.15
"""A picture that comes sooner is not announced."""


def draw_progress_dot(desk: Desk) -> None:
    """At the right end of the toolbar: that another model, or a newer picture, is on its way, and which picture is shown."""
    known, task, em = desk.side, desk.view.opening, imgui.get_font_size()
    if task is not None:
        percent = '' if task.fraction is None else f' {100 * task.fraction:.0f} %'
        texts, reason = (task.title + percent, percent.strip() or '…'), task.title  # the shorter in narrow panes
    elif known.shown_part is None and (
        known.is_current or known.error or desk.view.seconds - known.waiting_since < PATIENCE_SECONDS
    ):
        return
    else:
        texts, reason = waiting_words(known)
    imgui.same_line()
    corner, room = imgui.get_cursor_screen_pos(), imgui.get_content_region_avail().x - 1.7 * em
    text = next((text for text in texts if imgui.calc_text_size(text).x <= room), texts[-1])
    width = imgui.calc_text_size(text).x
    left = round(corner.x + room + 0.9 * em - width)
    top = corner.y + imgui.get_style().frame_padding.y
    canvas = imgui.get_window_draw_list()
    canvas.add_circle_filled(ImVec2(left - 0.6 * em, top + 0.55 * em), 0.25 * em, theme.ACCENT_RGBA)
    canvas.add_text(ImVec2(left, top), theme.MUTED_RGBA, text)
    if reason:
        imgui.set_cursor_screen_pos(ImVec2(left - em, corner.y))
        imgui.dummy(ImVec2(width + em, imgui.get_frame_height()))
        widgets.explain(reason)


def waiting_words(known: SideView) -> tuple[tuple[str, ...], str]:
    """What is said while a newer picture is on its way, from long to short, and why: which picture is shown, and how many a second
    there are."""
    if known.shown_part is not None:
        is_dragged = known.sent is not None and known.sent.synthesis.part is not None
        rest = f'{1 / known.speed.part_seconds:.2g} /s' if is_dragged and known.speed.part_seconds else 'whole follows'
        return (f'exact part · {rest}', f'part · {rest}', 'exact part', 'part'), EXACT_PART
    if known.speed.whole_seconds <= FLUENT_SECONDS:
        return ('rendering…',), ''
    why_not = known.result.why_no_parts if known.result is not None else ''
    return (f'full · {1 / known.speed.whole_seconds:.2g} /s', 'full'), f'{FULL} {why_not}'.strip()


def draw_pill(text: str, x: float, y: float, canvas: imgui.ImDrawList, *, room: float = 0.0) -> None:
    """A few words on a dark ground around a point of the screen; in several lines if they are wider than `room` pixels."""
    em, size = imgui.get_font_size(), imgui.calc_text_size(text)
    if 0.0 < room < size.x + 1.2 * em:
        text = wrapped(text, room - 1.2 * em)
        size = imgui.calc_text_size(text)
    # Whole pixels: letters between two would be blurred, differently from run to run.
    low = ImVec2(round(x - size.x / 2 - 0.6 * em), round(y - size.y / 2 - 0.3 * em))
    high = ImVec2(low.x + round(size.x + 1.2 * em), low.y + round(size.y + 0.6 * em))
    canvas.add_rect_filled(low, high, theme.faded(theme.rgba(theme.BACKGROUND, 0.85)), 0.4 * em)
    canvas.add_text(ImVec2(low.x + round(0.6 * em), low.y + round(0.3 * em)), theme.faded(theme.TEXT_RGBA), text)


def wrapped(text: str, width: float, *, between: str = ' ') -> str:
    """The text with line breaks, so that no line is wider than `width` pixels if its words are not.

    `between`: what may become a break.
    """
    lines: list[str] = []
    for word in text.split(between):
        longer = f'{lines[-1]}{between}{word}' if lines else word
        if lines and imgui.calc_text_size(longer).x <= width:
            lines[-1] = longer
        else:
            lines.append(word.lstrip())
    return '\n'.join(lines)


def draw_side_label(
    session: Session, name: PictureName, pane: Rectangle, known: SideView, *, taken: float = 0.0
) -> None:
    """Which side this is, what may set it apart, and whether the panels edit it.

    `taken`: how many pixels of the line are not free, at its right end.
    """
    em, canvas = imgui.get_font_size(), imgui.get_window_draw_list()
    is_active = session.b is not None and name == session.active
    texts = side_labels(session, name, known)
    row, room = 0, pane.width - taken - 3 * em
    if taken and imgui.calc_text_size(texts[-1]).x > room:
        row, room, taken = 1, pane.width - 2 * em, 0.0
    text = next((text for text in texts if imgui.calc_text_size(text).x <= room), '')
    if text:
        draw_pill(text, pane.center[0] - taken / 2, pane.top + (1.4 + 1.9 * row) * em, canvas)
    if is_active:
        low, high = ImVec2(pane.left, pane.top), ImVec2(pane.right, pane.top + 0.15 * em)
        canvas.add_rect_filled(low, high, theme.faded(theme.ACCENT_RGBA))


def side_labels(session: Session, name: PictureName, known: SideView) -> tuple[str, ...]:
    """What sets a picture apart from the other, from long to short."""
    if name == 'o':
        return ('Original',)
    kind = filter_label(session.side(name).filters)
    if session.compare.original:
        return (kind[:1].upper() + kind[1:] or 'Changed' if is_changed(known.asked) else 'Unchanged',)
    side = session.side(name)
    opened = shown_name(side.model.path) if side.model else ''
    title = known.model.title if known.model else ''
    long = ' · '.join(part for part in (opened, title, kind) if part)
    middle = ' · '.join(part for part in (opened, kind) if part)
    return f'{name.upper()}   {long}', f'{name.upper()}   {middle}', f'{name.upper()}   {kind or opened}', name.upper()


def draw_empty(session: Session, pane: Rectangle, desk: Desk) -> None:
    """Where no picture is yet: what is going on, or what to do."""
    em, task = imgui.get_font_size(), desk.view.opening
    width = min(24 * em, pane.width - 2 * em)
    imgui.set_cursor_screen_pos(ImVec2(pane.center[0] - width / 2, pane.center[1] - 3 * em))
    imgui.push_id(f'empty {pane.left:.0f}')
    if imgui.begin_child('empty', ImVec2(width, 8 * em)):
        asked = desk.side.asked is not None
        if task is not None or asked:
            widgets.text(task.title if task else 'Rendering the first picture …')
            if widgets.progress(
                task.fraction if task else None, task.text if task else '', can_cancel=task is not None
            ):
                desk.ask(CancelOpening())
        else:
            widgets.heading('Drop a generator here')
            widgets.text_muted('A StyleGAN3 or StyleGAN2 snapshot, a .safetensors, a session, or a PNG saved here.')
            if widgets.button('Open a file …', icon=icons.ICON_FA_FOLDER_OPEN, primary=True):
                desk.ask(Browse())
            widgets.same_line()
            if widgets.button('Bundled twins'):
                desk.ask(OpenTwins())
    imgui.end_child()
    imgui.pop_id()


def draw_over_everything(session: Session, whole: Rectangle, desk: Desk, hand: Hand) -> None:
    """The complaint of the newest render, and the hint of the first run."""
    em, known = imgui.get_font_size(), desk.side
    complaint = desk.view.complaint or known.error
    if complaint is not None:
        imgui.set_cursor_screen_pos(ImVec2(whole.left + em, whole.top + 0.8 * em))
        if imgui.begin_child('complaint', ImVec2(whole.width - 2 * em, 0.0), imgui.ChildFlags_.auto_resize_y):
            canvas, corner = imgui.get_window_draw_list(), imgui.get_window_pos()
            high = ImVec2(corner.x + imgui.get_window_width(), corner.y + imgui.get_window_height())
            canvas.add_rect_filled(corner, high, theme.faded(theme.rgba(theme.POPUP)), imgui.get_style().frame_rounding)
            if widgets.notice('bad', complaint, identity='complaint'):
                desk.ask(DismissError())
        imgui.end_child()
    if hint := first_hint(session, desk, hand):
        draw_pill(
            hint,
            whole.center[0],
            whole.bottom - 2.2 * em,
            imgui.get_window_draw_list(),
            room=whole.width - em,
        )


def first_hint(session: Session, desk: Desk, hand: Hand) -> str:
    """At the first start: what to do, and for a while after that what to do next; else empty."""
    known, can_see = desk.side, hand.doing == 'nothing' and not session.meter.error_map
    movable = known.model is not None and known.model.why_not('transform') is None
    if known.result is None:
        return ''
    if not session.window.hint_seen and not hand.has_moved:
        return f'{icons.ICON_FA_HAND_POINTER}  {HINT if movable else HINT_WITHOUT_TRANSFORM}'
    if movable and can_see and desk.view.seconds < desk.view.next_hint_until:
        return f'{icons.ICON_FA_LIGHTBULB}  {NEXT_HINT}'
    return ''


def draw_probe(result: RenderResult, placement: Placement, *, hovered: bool, row: int = 0, taken: float = 0.0) -> None:
    """The numbers of the pixel below the mouse, in the upper left corner of the pane; `hovered`: the mouse is on it.

    `row`: how many lines lower, where there are names of pictures. `taken`: pixels of the first line that are not free.
    """
    if not hovered or result.values is None:
        return
    mouse = imgui.get_mouse_pos()
    place = placement.pixel_at(mouse.x, mouse.y)
    if place is None:
        return
    em, canvas, pane = imgui.get_font_size(), imgui.get_window_draw_list(), placement.pane
    room = pane.width - 2.4 * em
    text = wrapped(probe_text(result, *place), room, between='  ')  # a number stays with its name
    size = imgui.calc_text_size(text)
    has_scale = result.equivariance is not None and result.equivariance.scale is not None
    top = probe_top(row, (room - size.x) / em, taken / em, has_scale=has_scale)
    draw_pill(text, pane.left + size.x / 2 + 1.2 * em, pane.top + top * em + size.y / 2, canvas)


def probe_top(row: int, free: float, taken: float, *, has_scale: bool) -> float:
    """How far below the pane's top the probe stands, where it covers neither the number of the error nor its scale; in em.

    `free`: width that its words leave beside them. `taken`: by the number, in row 0.
    """
    row += row == 0 and taken > free
    is_below_scale = has_scale and row > 0 and ERROR_SCALE_EM[0] > free
    return ERROR_SCALE_EM[1] if is_below_scale else 0.9 + 1.9 * row


def probe_text(result: RenderResult, column: int, row: int) -> str:
    """Place and values of one pixel of the picture: its own coordinates, and the image's."""
    values, view, layer = result.values, result.request.view, result.layer
    if values is None or not (0 <= row < values.shape[1] and 0 <= column < values.shape[2]):
        return ''
    if layer is not None and view.mode == 'sheet':
        found = sheet_layout(view, layer.channels, layer.height, layer.width).locate(column, row)
        if found is None:
            return ''
        channel, x, y = found
        return f'{_place(result, x, y)}   channel {channel}: {values[0, row, column]:+.4g}'
    if result.equivariance is not None and result.equivariance.scale is not None:
        return f'{_place(result, column, row)}   {error_text(float(values[0, row, column]))}'
    numbers = [f'{value:+.4g}' for value in values[:, row, column]]
    if layer is None:
        names = 'RGB' if len(numbers) == 3 else ' ' * len(numbers)
        shown = '  '.join(f'{name} {number}'.strip() for name, number in zip(names, numbers, strict=False))
    else:
        shown = '  '.join(f'#{index}: {number}' for index, number in zip(view.channels, numbers, strict=False))
    return f'{_place(result, column, row)}   {shown}'


def error_text(rms: float) -> str:
    """The error of one pixel: of values from -1 to 1, and as the dB that a whole picture of it would have."""
    if math.isnan(rms):
        return 'not known in both pictures'
    return f'error {rms:.3g}' + (f'  {20 * math.log10(2 / rms):.1f} dB' if rms > 0 else '')


def _place(result: RenderResult, x: int, y: int, width: int | None = None) -> str:
    """Sample indices, and where that is in the image, in image widths. `width`: of the whole picture, where that is not all."""
    layer = result.layer
    margin = layer.margin if layer else 0
    own = layer.width if layer else result.image.shape[1] if result.image is not None else 1
    across = max((own if width is None else width) - 2 * margin, 1)
    return f'{x}, {y}   ({(x - margin + 0.5) / across:.3f}, {(y - margin + 0.5) / across:.3f})'

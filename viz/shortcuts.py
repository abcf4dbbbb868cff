"""The keyboard: one table from which keys, menus, the help overlay and the manual are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from imgui_bundle import imgui

from render.session import CanvasState, Session, Side, TransformState, is_animating
from viz import geometry
from viz.commands import Browse, Command, Quit, Redo, SavePicture, SaveSession, SaveWindow, ToggleHelp, Undo
from viz.comparing import with_next_mode, with_original
from viz.editing import updated, with_side
from viz.hand import Grip, Hand
from viz.latent_panel import stepped
from viz.layer_panel import step_of, stepped_layer
from viz.view import Desk

Act = Callable[[Session, Desk], Session]
Key = imgui.Key
STEP_PIXELS = 8.0
STEP_DEGREES = 5.0
FINE = 1 / 8
"""With Shift: one pixel, or 0.6 degrees."""

GESTURES = (
    ('Drag the picture', 'translate it: the texture should move with it'),
    ('Drag the ring, or Ctrl + drag', 'rotate it'),
    ('Wheel', 'zoom the view at the mouse'),
    ('Middle button, or Space + drag', 'move the view'),
    ('Double click', 'reset the transform'),
    ('Drag the map of seeds', 'walk through latents'),
    ('Right click on a control', 'back to its default'),
    ('Ctrl + click on a slider', 'type a number'),
    ('Drop a file', 'open a model, a session, or a PNG saved here'),
    ('Drop two models, or one with Shift', 'side by side'),
)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One key and what it does."""

    group: str
    keys: str
    """As it is written for people."""
    what: str
    key: imgui.Key
    act: Act
    ctrl: bool = False
    shift: bool | None = False
    """None: with or without."""
    repeat: bool = False
    is_arrow: bool = False
    """Not while the mouse is over a list that takes the arrow keys."""


def press_shortcuts(session: Session, desk: Desk, *, arrows_taken: bool) -> Session:
    """The session after the keys that were pressed since the last frame."""
    io = imgui.get_io()
    if io.want_text_input or io.key_alt:
        return session
    ctrl, shift = io.key_ctrl, io.key_shift
    for entry in SHORTCUTS:
        if (
            entry.ctrl == ctrl
            and entry.shift in (None, shift)
            and imgui.is_key_pressed(entry.key, entry.repeat)
            and not (entry.is_arrow and arrows_taken)
        ):
            session = entry.act(session, desk)
    return session


def held_by(hand: Hand) -> Grip:
    """What is held just now: the picture, a control, or a key that moves something."""
    if imgui.is_mouse_down(imgui.MouseButton_.left):
        return Grip(held=True, pixel=hand.grabbed if hand.doing != 'nothing' else None)
    keys = {entry.key for entry in SHORTCUTS if entry.repeat and not entry.ctrl}
    return Grip(held=not imgui.get_io().want_text_input and any(imgui.is_key_down(key) for key in keys))


def toggle_animation(session: Session) -> Session:
    """Everything that moves stops; if nothing does, a walk through latents starts."""
    side = session.current
    if not is_animating(session):
        return with_side(session, replace(side, latent=replace(side.latent, animate=True)))
    session = replace(session, a=_stopped(session.a))
    return session if session.b is None else replace(session, b=_stopped(session.b))


def reset_side(session: Session) -> Session:
    """Everything about the generator back to its default, except which generator it is."""
    return with_side(session, Side(model=session.current.model, spectrum=session.current.spectrum))


def _stopped(side: Side) -> Side:
    return replace(
        side,
        latent=updated(side.latent, animate=False),
        noise=updated(side.noise, animate=False),
        transform=updated(side.transform, animate='none'),
    )


def _ask(command: Command) -> Act:
    def act(session: Session, desk: Desk) -> Session:
        desk.ask(command)
        return session

    return act


def _translate(dx: float, dy: float) -> Act:
    def act(session: Session, desk: Desk) -> Session:
        if desk.model is None or desk.model.why_not('transform'):
            return session
        step = STEP_PIXELS * (FINE if imgui.get_io().key_shift else 1) / desk.model.resolution
        transform = session.current.transform
        moved = replace(transform, x=transform.x + dx * step, y=transform.y + dy * step)
        return with_side(session, replace(session.current, transform=moved))

    return act


def _rotate(sign: float) -> Act:
    def act(session: Session, desk: Desk) -> Session:
        if desk.model is None or desk.model.why_not('transform'):
            return session
        step = sign * STEP_DEGREES * (FINE if imgui.get_io().key_shift else 1)
        transform = session.current.transform
        turned = replace(transform, degrees=geometry.wrap_degrees(transform.degrees + step))
        return with_side(session, replace(session.current, transform=turned))

    return act


def _zoom(factor: float) -> Act:
    def act(session: Session, desk: Desk) -> Session:
        low, high = geometry.ZOOM_RANGE
        zoom = min(max(session.canvas.zoom * factor, low), high)
        return replace(session, canvas=replace(session.canvas, zoom=zoom))

    return act


def _canvas(change: Callable[[CanvasState], CanvasState]) -> Act:
    return lambda session, desk: replace(session, canvas=change(session.canvas))


def _seed(step: int) -> Act:
    def act(session: Session, desk: Desk) -> Session:
        side = session.current
        return with_side(session, replace(side, latent=stepped(side.latent, step)))

    return act


def _layer(step: int) -> Act:
    def act(session: Session, desk: Desk) -> Session:
        return with_side(
            session, with_shown_layer(session.current, stepped_layer(session.current.layer, desk.model, step), desk)
        )

    return act


def _channel(sign: int) -> Act:
    def act(session: Session, desk: Desk) -> Session:
        state = session.current.layer
        layer = desk.model.layer(state.layer) if desk.model and state.layer else None
        if layer is None:
            return session
        channel = min(max(state.channel + sign * step_of(state.mode), 0), layer.channels - 1)
        return with_side(session, replace(session.current, layer=updated(state, channel=channel)))

    return act


def with_shown_layer(side: Side, layer_state: object, desk: Desk) -> Side:
    """`side` showing that layer; the filter plot follows it where it has filters."""
    if layer_state is side.layer:
        return side
    changed = replace(side, layer=layer_state)
    layer = desk.model.layer(changed.layer.layer) if desk.model and changed.layer.layer else None
    if layer is None or not layer.filters or changed.layer.layer == side.layer.layer:
        return changed
    return replace(changed, filters=updated(side.filters, response_layer=layer.name))


def _reset_transform(session: Session, desk: Desk) -> Session:
    return with_side(session, replace(session.current, transform=TransformState()))


def _toggle_untransform(state: CanvasState) -> CanvasState:
    return replace(state, undo_transform=not state.undo_transform)


def _toggle_outline(state: CanvasState) -> CanvasState:
    return replace(state, outline=not state.outline)


def _toggle_error(session: Session, desk: Desk) -> Session:
    return replace(session, meter=replace(session.meter, error_map=not session.meter.error_map))


def _capture(session: Session, desk: Desk) -> Session:
    desk.ask(SavePicture() if session.capture.what == 'picture' else SaveWindow())
    return session


def _next_mode(session: Session, desk: Desk) -> Session:
    return with_next_mode(session, -1 if imgui.get_io().key_shift else 1)


def _toggle_original(session: Session, desk: Desk) -> Session:
    return with_original(session, on=not session.compare.original)


MOVE, LOOK, PICK, FILE = 'Move', 'Look', 'Choose', 'Program'
SHORTCUTS: tuple[Shortcut, ...] = (
    Shortcut(
        MOVE,
        '←',
        'translate (Shift: by one pixel)',
        Key.left_arrow,
        _translate(-1, 0),
        shift=None,
        repeat=True,
        is_arrow=True,
    ),
    Shortcut(MOVE, '→', '', Key.right_arrow, _translate(1, 0), shift=None, repeat=True, is_arrow=True),
    Shortcut(MOVE, '↑', '', Key.up_arrow, _translate(0, -1), shift=None, repeat=True, is_arrow=True),
    Shortcut(MOVE, '↓', '', Key.down_arrow, _translate(0, 1), shift=None, repeat=True, is_arrow=True),
    Shortcut(MOVE, 'Q', 'rotate left (Shift: finely)', Key.q, _rotate(1), shift=None, repeat=True),
    Shortcut(MOVE, 'E', 'rotate right', Key.e, _rotate(-1), shift=None, repeat=True),
    Shortcut(MOVE, 'R', 'reset the transform', Key.r, _reset_transform),
    Shortcut(LOOK, '+', 'zoom in', Key.equal, _zoom(geometry.WHEEL_STEP), shift=None, repeat=True),
    Shortcut(LOOK, '', '', Key.keypad_add, _zoom(geometry.WHEEL_STEP), shift=None, repeat=True),
    Shortcut(LOOK, '-', 'zoom out', Key.minus, _zoom(1 / geometry.WHEEL_STEP), shift=None, repeat=True),
    Shortcut(LOOK, '', '', Key.keypad_subtract, _zoom(1 / geometry.WHEEL_STEP), shift=None, repeat=True),
    Shortcut(LOOK, '0', 'reset the view', Key._0, _canvas(geometry.fitted)),
    Shortcut(LOOK, 'F', 'fit the picture', Key.f, _canvas(geometry.fitted)),
    Shortcut(LOOK, 'U', 'undo the transform in the picture', Key.u, _canvas(_toggle_untransform)),
    Shortcut(LOOK, 'O', 'outline the canvas in layers with margins', Key.o, _canvas(_toggle_outline)),
    Shortcut(LOOK, 'M', 'map of the error of the moved picture', Key.m, _toggle_error),
    Shortcut(LOOK, 'C', 'next way of comparing (Shift: the one before)', Key.c, _next_mode, shift=None),
    Shortcut(LOOK, 'X', 'compare with the original', Key.x, _toggle_original),
    Shortcut(PICK, 'N', 'next seed', Key.n, _seed(1), repeat=True),
    Shortcut(PICK, 'P', 'previous seed', Key.p, _seed(-1), repeat=True),
    Shortcut(PICK, ']', 'next layer', Key.right_bracket, _layer(1), repeat=True),
    Shortcut(PICK, '[', 'previous layer', Key.left_bracket, _layer(-1), repeat=True),
    Shortcut(PICK, '.', 'next channels', Key.period, _channel(1), repeat=True),
    Shortcut(PICK, ',', 'previous channels', Key.comma, _channel(-1), repeat=True),
    Shortcut(FILE, 'Ctrl+O', 'open a file', Key.o, _ask(Browse()), ctrl=True),
    Shortcut(
        FILE, 'Ctrl+Shift+O', 'open a second one beside it', Key.o, _ask(Browse(beside=True)), ctrl=True, shift=True
    ),
    Shortcut(FILE, 'Ctrl+S', 'save the session', Key.s, _ask(SaveSession()), ctrl=True),
    Shortcut(FILE, 'Ctrl+P', 'save a PNG', Key.p, _capture, ctrl=True),
    Shortcut(FILE, 'Ctrl+Z', 'undo', Key.z, _ask(Undo()), ctrl=True, repeat=True),
    Shortcut(FILE, 'Ctrl+Shift+Z', 'redo', Key.z, _ask(Redo()), ctrl=True, shift=True, repeat=True),
    Shortcut(FILE, '', '', Key.y, _ask(Redo()), ctrl=True, repeat=True),
    Shortcut(FILE, 'F1', 'show or hide this list', Key.f1, _ask(ToggleHelp())),
    Shortcut(FILE, 'Ctrl+Q', 'quit', Key.q, _ask(Quit()), ctrl=True),
)
SPACE_TEXT = ('Space', 'start or stop the animation')
PEEK_TEXT = ('Hold V', 'the second of two pictures')


def key_rows(group: str) -> list[tuple[str, str]]:
    """(keys, what they do) of a group, as the help overlay and the manual list them."""
    rows = [(entry.keys, entry.what) for entry in SHORTCUTS if entry.group == group and entry.what]
    if group == MOVE:
        rows[0] = ('← → ↑ ↓', rows[0][1])
    extra = {PICK: [SPACE_TEXT], LOOK: [PEEK_TEXT]}
    return [*rows, *extra.get(group, [])]

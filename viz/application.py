"""The application: one loop in which everything chosen is a frozen value and nothing waits.

session ─► panels, picture ─► session' ─► to_request ─► worker ─► result ─► view ─► panels, picture
"""

from __future__ import annotations

import time
from dataclasses import replace

from imgui_bundle import imgui

from gui_utils import widgets
from gui_utils.dialogs import FileDialog
from gui_utils.texture import Textures
from gui_utils.window import Frame, Window
from render import compare
from render.clips import clip_requests
from render.request import RenderRequest
from render.result import RenderResult
from render.session import PictureName, Session, is_animating, tick
from render.session_file import BadFile
from render.worker import RenderWorker
from viz import commands, comparing, editing, help_overlay, layout, menus
from viz.averaging import Averaging
from viz.canvas import draw_canvas
from viz.captures import Captures, Said
from viz.channel_order import ordered
from viz.commands import Command
from viz.comparing import Blinker
from viz.dragging import Dragging
from viz.files import capture_path
from viz.first_start import first_plans
from viz.fitting import fit_side
from viz.following import Following
from viz.hand import Hand
from viz.history import History
from viz.measure import Meter
from viz.measuring import Measuring
from viz.model_panel import OPENABLE
from viz.opening import Failure, Opening, Plan, Success, after_opening, choose_dropped, plans_for, remark_after
from viz.panels import PANELS, RUN_TITLE, draw_panels
from viz.shortcuts import held_by, press_shortcuts, toggle_animation
from viz.status_line import draw_status_line
from viz.surveying import Surveying
from viz.view import Computed, Desk, FrameTimes, SideView, View

IDLE_SECONDS = 1.0
BUSY_SECONDS = 0.1
HINT_SECONDS = 40.0
"""How long the second hint shows after the first was followed."""
SETTLE_SECONDS = 0.5
"""Edits by key that follow one another faster are undone together."""
TITLES = tuple(panel.title for panel in PANELS)
PLACES = {panel.title: panel.place for panel in PANELS}
FRONT_TITLES = ('Latent', 'Transform', 'Layers', 'Spectrum', 'Picture')
"""Their tabs are in front in a new layout; the last has the keyboard."""


class App:
    """The window's content. The window, the worker and the textures belong to whoever made it."""

    def __init__(
        self,
        window: Window,
        worker: RenderWorker,
        session: Session,
        textures: Textures,
        *,
        dialog: FileDialog | None = None,
    ) -> None:
        self.window, self.worker, self.session, self.textures = window, worker, session, textures
        self.view = View(graphics=window.gl_info().get('renderer', ''))
        self.dialog = dialog or FileDialog()
        self.opening, self.captures, self.measuring = Opening(worker), Captures(worker), Measuring(worker)
        self._surveying = Surveying(worker)
        self.quit = False
        self._blinker = Blinker()
        self._averaging, self._following, self._dragging = Averaging(worker), Following(), Dragging()
        self._hand, self._times, self._memory, self._meter = Hand(), FrameTimes(), Computed(), Meter()
        self._asked: list[Command] = []
        self._requested: tuple[Session | None, tuple[RenderRequest | None, ...]] = (None, ())
        self._edited_at, self._edited_by_mouse = 0.0, False
        self._rebuild_layout, self._first_frame = False, True
        self._raise_tabs: tuple[tuple[str, ...], ...] = ()  # in this frame, in the next one, …
        self._title, self._scale = '', session.window.scale

    @property
    def wait_seconds(self) -> float | None:
        """How long the window may sleep; None while something moves."""
        if is_animating(self.session) or self._asked or self._raise_tabs:
            return None
        blinks = self._blinker.wait_seconds
        if self.opening.is_busy or self.view.toasts or self.view.history.start or self._is_working:
            return BUSY_SECONDS
        return IDLE_SECONDS if blinks is None else blinks

    @property
    def _is_working(self) -> bool:
        """Whether the worker has something to do, or will have once the hand rests."""
        return self.worker.is_busy() or self._surveying.is_waiting or self._dragging.is_waiting

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to wait for: every side shows what is asked, or says why it cannot."""
        if self.opening.is_busy or self.captures.is_busy or self._is_working or self._asked:
            return False
        known = [self.view.side(name) for name in compare.pictures(self.session)]
        return all(side.is_final or side.error is not None for side in known)

    def open(self, *paths: str, allow_code: bool = False, beside: bool = False) -> None:
        """Begin to open whatever a path names, a second one as side B; a complaint if it names nothing.

        `beside`: the generator is opened as side B, next to the one that is open.
        """
        try:
            plans, remarks = plans_for(paths[0], self.session, beside=beside)
        except BadFile as error:
            self.complain(str(error))
            return
        for remark in remarks:
            self.say(remark, 'warning')
        if len(paths) > 1:
            first = plans[0] if plans[0].target else replace(plans[0], side='a')
            plans = (first, Plan(paths[1], 'b', beside=True))
        self.begin(tuple(replace(plan, allow_code=allow_code) for plan in plans))

    def begin(self, plans: tuple[Plan, ...]) -> None:
        """Begin to open these models."""
        self.opening.begin(plans, self.view.seconds)

    def say(self, words: str, level: widgets.Level = 'info') -> None:
        """Show a sentence for a while."""
        self.view = self.view.noticed(words, level)

    def _tell(self, said: Said | None) -> None:
        if said is not None:
            self.say(said.words, said.level)

    def complain(self, words: str) -> None:
        """Show a sentence over the picture until it is closed."""
        self.view = replace(self.view, complaint=words)

    def draw(self, frame: Frame) -> None:
        """One frame: receive, draw, edit, ask, obey. To be called between the begin and end of `window.frame()`."""
        self.view = replace(self.view, seconds=self.view.seconds + frame.seconds)
        self.captures.take(self.session, self.desk().side, self.window)
        self._receive()
        self._meter.look()
        if self.view.measured is not self._meter.measured:
            self.view = replace(self.view, measured=self._meter.measured)
        if frame.dropped_files:
            chosen, sentence = choose_dropped(frame.dropped_files)
            if sentence:
                self.say(sentence)
            self.open(*chosen, beside=imgui.get_io().key_shift)
        self.view = self._blinker.look(self.session, self.view)
        before = self.session = tick(self.session, frame.seconds)
        started = time.perf_counter()
        self.session = self._draw(before)
        self._times.add(frame.seconds, time.perf_counter() - started)
        self.view = (
            replace(self.view, toasts=widgets.toasts(self.view.toasts, frame.seconds))
            if self.view.toasts
            else self.view
        )
        self._note_edit(before)
        self.worker.yield_to_hand(imgui.is_mouse_down(0) or imgui.is_mouse_down(2))
        self._submit()
        asked, self._asked = self._asked, []
        for command in asked:
            self._obey(command)
        self._tell_window()

    def hold_still(self) -> None:
        """Let nothing blink any more: for a screenshot."""
        self._blinker.still = True

    def close(self) -> None:
        """End a dialog that is still open."""
        self.dialog.close()

    def desk(self) -> Desk:
        """What the panels of this frame are given."""
        known = self.view, self._asked.append, self.textures, self.dialog, self._times, self._memory
        return Desk(*known, self.session.active, compare.pictures(self.session))

    def _draw(self, session: Session) -> Session:
        if self._first_frame:
            self._first_frame = False
            layout.bake_letters()
        desk = self.desk()
        session = menus.draw_menus(session, desk, titles=TITLES)
        draw_status_line(session, desk)
        if layout.dock_space(rebuild=self._rebuild_layout, places=PLACES):
            self._rebuild_layout, self._raise_tabs = False, (FRONT_TITLES, FRONT_TITLES)
        session, arrows_taken = draw_panels(session, desk)
        session = draw_canvas(session, desk, self._hand)
        if self._raise_tabs:
            titles, *rest = self._raise_tabs
            self._raise_tabs = tuple(rest)
            for title in titles:
                imgui.set_window_focus(title)
        session = comparing.matched(press_shortcuts(session, desk, arrows_taken=arrows_taken), self.view)
        session = self._press_space(session)
        help_overlay.draw_help(desk)
        self.dialog.draw()
        for purpose in ('open', 'open beside'):
            if (path := self.dialog.take(purpose)) is not None:
                self.open(path, beside=purpose != 'open')
        return session

    def _press_space(self, session: Session) -> Session:
        """Space animates when it is released, unless it was used to move the view."""
        if imgui.get_io().want_text_input or not imgui.is_key_released(imgui.Key.space):
            return session
        panned, self._hand.space_panned = self._hand.space_panned, False
        return session if panned else toggle_animation(session)

    # What the worker did since the last frame

    def _receive(self) -> None:
        outcome = self.opening.poll(self.view.seconds)
        if isinstance(outcome, Success):
            self._opened(outcome)
        elif isinstance(outcome, Failure):
            self.complain(outcome.sentence)
        for name in compare.PICTURES:
            result = self.worker.poll(name)
            if result is not None:
                self._answered(name, result)
        for said in self.captures.poll():
            self._tell(said)
        self.view = self._averaging.poll(self.view)
        self.measuring.poll(self.session)
        if self.view.laboratory is not self.measuring.laboratory:
            self.view = replace(self.view, laboratory=self.measuring.laboratory)
        self._surveying.poll(self.session)
        if (newer := self._following.poll(self.session, is_opening=self.opening.is_busy)) is not None:
            self.begin((newer,))
        if self._following.is_another_run():
            self._raise_tabs = ((), (RUN_TITLE,), FRONT_TITLES[-1:])
        self.view = self._following.noted(self.view)
        if self.view.surveys is not self._surveying.surveys:
            self.view = replace(self.view, surveys=self._surveying.surveys)
        if self.view.opening is not self.opening.task or self.view.recording is not self.captures.clip:
            self.view = replace(self.view, opening=self.opening.task, recording=self.captures.clip)

    def _opened(self, success: Success) -> None:
        before = self.session
        self.session = after_opening(self.session, success)
        if before.a.model is not None:
            self.view = replace(self.view, history=self.view.history.edited(before).settled(self.session))
        self.view = replace(self.view, complaint=None)
        if (remark := remark_after(success)) is not None:
            self.say(remark, 'warning')

    def _answered(self, name: PictureName, result: RenderResult) -> None:
        known = self.view.side(name)
        self.view = self.view.with_side(name, known.answered(result))
        if name != 'o' and result.model is not None and result.model is not known.model:
            side = self.session.side(name)
            fitted = fit_side(side, result.model)
            if fitted is not side:
                self.session = editing.with_named_side(self.session, name, fitted)
        self._meter.note(result)
        self._dragging.note(name, result)

    # What changes because of this frame

    def _note_edit(self, before: Session) -> None:
        """Undo steps end when the mouse lets go, or a little after the last key, or with the next press of the mouse."""
        history = self.view.history
        if imgui.is_mouse_clicked(0) or imgui.is_mouse_clicked(2):
            history = history.settled(before)
        if self.session is not before:
            history = history.edited(before)
            self._edited_at = self.view.seconds
            self._edited_by_mouse = imgui.is_mouse_down(0) or imgui.is_mouse_released(0) or imgui.is_mouse_down(2)
        held = widgets.is_editing() or imgui.is_mouse_down(0)
        waited = self._edited_by_mouse or self.view.seconds - self._edited_at > SETTLE_SECONDS
        if history.start is not None and not held and waited:
            history = history.settled(self.session)
        if history is not self.view.history:
            self.view = replace(self.view, history=history)
        if self._hand.has_moved and not self.session.window.hint_seen:
            self.session = replace(self.session, window=replace(self.session.window, hint_seen=True))
            self.view = replace(self.view, next_hint_until=self.view.seconds + HINT_SECONDS)

    def _submit(self) -> None:
        self.session = ordered(self.session, self.view.surveys)
        if self._requested[0] is not self.session:
            self._requested = (self.session, compare.requests(self.session))
        grip = held_by(self._hand)
        for name, request in zip(compare.PICTURES, self._requested[1], strict=True):
            known = self.view.side(name)
            sent = self._dragging.wanted(self.session, name, request, known, grip, self.view.seconds)
            if sent is not known.sent:  # each call wakes the other thread
                self.worker.submit(sent, side=name)
            if name == 'o' and request is None:
                known = known if known.result is None and known.asked is None else SideView()
            self.view = self.view.with_side(name, self._asked_for(known, request, sent))

    def _asked_for(self, known: SideView, request: RenderRequest | None, sent: RenderRequest | None) -> SideView:
        if request is None:
            return known if known.asked is known.sent is None else replace(known, asked=None, sent=None)
        since = self.view.seconds if known.is_current else known.waiting_since
        if request is known.asked and sent is known.sent and since == known.waiting_since:
            return known
        return replace(known, asked=request, sent=sent, waiting_since=since)

    def _obey(self, command: Command) -> None:
        match command:
            case commands.OpenPath(path, beside):
                self.open(path, beside=beside)
            case commands.OpenTwins():
                self.begin(first_plans())
            case commands.ShowSnapshot(name):
                self.begin(self._following.show(name, self.session))
            case commands.Browse(True):
                self.dialog.open('open beside', 'Open a generator as side B', types=OPENABLE)
            case commands.Browse():
                self.dialog.open('open', 'Open a generator, a session or a picture', types=OPENABLE)
            case commands.CancelOpening():
                self.opening.cancel()
            case commands.AverageSpectrum(count):
                self.view = self._averaging.start(self.session, self.view, count)
            case commands.CancelAverage():
                self._averaging.cancel()
            case commands.ResetMeter():
                known = self.desk().side
                self.view = self.view.with_side(self.session.active, replace(known, meter=known.meter.cleared()))
            case commands.ForgetAverage():
                for name in compare.pictures(self.session):
                    self.view = self.view.with_side(name, replace(self.view.side(name), average=None))
            case _ if isinstance(command, commands.SurveyCommand):
                self._surveying.obey(command, self.session)
            case _ if isinstance(command, commands.MeasuringCommand):
                said = self.measuring.obey(command, self.session, self.desk().model)
                self._tell(said)
            case commands.Undo():
                self._travel(*self.view.history.undo(self.session))
            case commands.Redo():
                self._travel(*self.view.history.redo(self.session))
            case _:
                self._obey_capture(command)

    def _obey_capture(self, command: Command) -> None:
        match command:
            case commands.SavePicture():
                self.captures.wants_picture = True
            case commands.SaveWindow():
                self.captures.wants_window = True
            case commands.RecordClip():
                path = capture_path(self.session, self.desk().model, '.mp4', what=self.session.capture.motion)
                self.captures.record(path, clip_requests(self.session), self.session)
            case commands.CancelClip():
                self.captures.cancel_clip()
            case commands.SaveSession():
                self._tell(self.captures.save_session(self.session, self.desk().model))
            case _:
                self._obey_window(command)

    def _obey_window(self, command: Command) -> None:
        match command:
            case commands.ToggleHelp():
                self.view = replace(self.view, help_open=not self.view.help_open)
            case commands.ResetLayout():
                self._rebuild_layout = True
            case commands.DismissError():
                name = self.session.active
                self.view = replace(
                    self.view.with_side(name, replace(self.view.side(name), error=None)), complaint=None
                )
            case commands.CopyText(text):
                self.window.set_clipboard(text)
            case commands.Quit():
                self.quit = True

    def _travel(self, history: History, session: Session) -> None:
        """Go to another session of the history."""
        self.view = replace(self.view, history=history)
        self.session = session

    def _tell_window(self) -> None:
        """Title and scale, when they change."""
        title = menus.window_title(self.desk())
        if title != self._title:
            self._title = title
            self.window.set_title(title)
        if self.session.window.scale != self._scale:
            self._scale = self.session.window.scale
            self.window.set_scale(self._scale)

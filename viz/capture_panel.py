"""Pictures and clips for others: each carries the session that made it."""

from __future__ import annotations

from imgui_bundle import icons_fontawesome_6 as icons

from gui_utils import widgets
from render.session import CaptureState
from viz.commands import CancelClip, RecordClip, SavePicture, SaveSession, SaveWindow
from viz.editing import updated
from viz.view import Desk

WHAT = {'picture': 'Picture', 'window': 'Window'}
MOTIONS = {
    'latents': 'Walk through latents',
    'drag': 'Drag in a circle',
    'turn': 'One turn',
    'animations': 'What is animated now',
}


def capture_panel(state: CaptureState, desk: Desk, *, animating: bool = False) -> CaptureState:
    """Where to, what, and how long; the buttons ask for the capture. Returns the new state."""
    folder = widgets.path_input(
        'Folder', state.folder, desk.dialog, kind='folder', tooltip='Where captures are written.'
    )
    what = widgets.segmented(
        'Picture of', state.what, WHAT, default='picture',
        tooltip='The picture pixel for pixel, or the whole window. Drop the PNG on the window to come back to this session.',
    )  # fmt: skip
    state = updated(state, folder=folder or state.folder, what=what)
    ready = desk.side.result is not None
    with widgets.disabled_unless(ready or what == 'window', 'There is no picture yet.'):
        if widgets.button('Save PNG', icon=icons.ICON_FA_CAMERA, primary=True, width=-1, tooltip='Ctrl+P'):
            desk.ask(SavePicture() if what == 'picture' else SaveWindow())
    if widgets.button(
        'Save session', icon=icons.ICON_FA_FLOPPY_DISK, width=-1, tooltip='Everything chosen, as JSON (Ctrl+S).'
    ):
        desk.ask(SaveSession())
    with widgets.section('Clip') as is_open:
        return _clip_rows(state, desk, animating=animating) if is_open else state


def _clip_rows(state: CaptureState, desk: Desk, *, animating: bool) -> CaptureState:
    motion = widgets.combo('Motion', state.motion, MOTIONS, default='latents')
    seconds = widgets.slider('Length', state.seconds, 0.5, 30, unit='s', format='%.1f', default=4.0)
    rate = widgets.int_slider('Frames', state.frames_per_second, 10, 60, unit='/s', default=30)
    state = updated(state, motion=motion, seconds=seconds, frames_per_second=rate)
    task = desk.view.recording
    if task is not None:
        if widgets.progress(task.fraction, task.text or 'Recording …'):
            desk.ask(CancelClip())
        return state
    reason = why_no_clip(state, desk, animating=animating)
    with widgets.disabled_unless(not reason, reason):
        if widgets.button('Record MP4', icon=icons.ICON_FA_VIDEO, width=-1):
            desk.ask(RecordClip())
    return state


def why_no_clip(state: CaptureState, desk: Desk, *, animating: bool) -> str:
    """Why this clip cannot be recorded, as a sentence; empty if it can."""
    if desk.model is None:
        return 'Open a generator first.'
    if state.motion in ('drag', 'turn'):
        return desk.model.why_not('transform') or ''
    if state.motion == 'animations' and not animating:
        return 'Nothing is animated: start an animation in the Latent or Transform panel.'
    return ''

"""The application as a whole: opening, failing, undoing, capturing, comparing, waiting."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imgui_bundle import imgui
from PIL import Image

from gui_utils.testing import WindowDriver
from render.png_session import load_carried_session, save_png, shared_text
from render.request import ModelKey
from render.session import Session, Side, TransformState
from render.session_file import load_session, save_session
from render.worker import Progress
from tests.viz.conftest import Rig
from tests.viz.fake_renderer import make_info, make_layers, make_spectrum, waves
from viz import commands
from viz.panels import PANELS, RUN_TITLE

pytestmark = pytest.mark.display
Key = imgui.Key
OTHER = make_info(title='StyleGAN3-R 256 px', layers=make_layers(5), class_count=0)


def test_the_demo_opens_and_is_named_everywhere(rig: Rig) -> None:
    assert rig.side.model == ModelKey('demo:', 'sha-demo:')
    assert rig.app.session.recent == ('demo:',)
    assert rig.app._title == 'StyleGAN3-T 256 px · CPU · AliasScope'
    assert 'StyleGAN3-T 256 px' in rig.texts()


def test_while_the_first_model_is_read_the_window_says_so(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    reading, go_on = threading.Event(), threading.Event()
    open_model = rig.renderer.models.open

    def slow(*arguments: object, **options: object) -> object:
        reading.set()
        go_on.wait(20)
        return open_model(*arguments, **options)

    rig.renderer.models.open = slow
    rig.app.open('demo:')
    assert reading.wait(20)
    rig.driver.step(3)
    assert 'Loading demo: …' in rig.texts()
    assert rig.app.wait_seconds is not None, 'a window that waits sleeps'
    go_on.set()
    rig.settle()
    assert rig.side.model is not None


def test_opening_can_be_cancelled(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    reading, go_on = threading.Event(), threading.Event()

    def slow(path: str, network: str, *, allow_code: bool, on_progress: Callable[[float, str], None]) -> object:
        reading.set()
        go_on.wait(20)
        while True:  # until it raises
            on_progress(0.9, 'Reading')

    rig.renderer.models.open = slow
    rig.app.open('demo:')
    assert reading.wait(20)
    rig.app.opening.cancel()
    go_on.set()
    rig.settle()
    assert rig.side.model is None and rig.app.view.complaint is None
    assert 'Drop a generator here' in rig.texts()


def test_another_model_keeps_what_it_has_and_forgets_the_rest(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(infos={'demo:': make_info(), 'other.pkl': OTHER})
    rig.open()
    rig.change(
        transform=TransformState(x=0.1),
        layer=replace(rig.side.layer, layer='synthesis.L9_148_8'),
        latent=replace(rig.side.latent, x=7.0),
    )
    rig.open('other.pkl')
    assert rig.side.transform.x == 0.1 and rig.side.latent.x == 7
    assert rig.side.layer.layer is None and rig.side.latent.class_index is None
    rig.driver.keys(Key.z, ctrl=True)
    rig.settle()
    assert rig.side.model.path == 'demo:' and rig.side.layer.layer == 'synthesis.L9_148_8'


@pytest.mark.parametrize('name', ['missing.pkl', 'photo.jpg', 'photo.png', 'broken.json', 'empty-session.json'])
def test_what_cannot_be_opened_is_one_sentence_over_the_old_picture(rig: Rig, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == 'photo.png':
        save_png(path, np.zeros((8, 8, 3), np.uint8))
    elif name == 'broken.json':
        path.write_text('{"a": ')
    elif name == 'empty-session.json':
        save_session(path, Session())
    before = rig.app.view.a.result
    rig.driver.drop([str(path)])
    rig.settle()
    complaint = rig.app.view.complaint
    assert complaint and complaint.count('\n') == 0 and complaint.endswith('.')
    assert rig.app.view.a.result is before and rig.side.model.path == 'demo:'
    rig.driver.click('dismiss complaint')
    assert rig.app.view.complaint is None


def test_of_several_dropped_files_the_first_useful_one_is_opened(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(infos={'demo:': make_info(), '/x/other.pkl': OTHER})
    rig.open()
    rig.driver.drop(['/x/photo.jpg', '/x/other.pkl', '/x/session.json'])
    rig.settle()
    assert rig.side.model.path == '/x/other.pkl'
    assert 'only other.pkl is opened' in rig.app.view.toasts[-1].words


def test_a_render_that_fails_leaves_the_picture_and_the_next_one_works(rig: Rig) -> None:
    before = rig.app.view.a.result
    rig.renderer.fail_with = 'It went wrong on purpose.'
    rig.change(transform=TransformState(x=0.3))
    assert rig.app.view.a.error == 'It went wrong on purpose.' and rig.app.view.a.result is before
    assert 'It went wrong on purpose.' in rig.texts()
    rig.renderer.fail_with = None
    rig.change(transform=TransformState(x=0.31))
    assert rig.app.view.a.error is None and rig.app.view.a.is_current


def test_a_slow_model_is_announced_and_the_newest_request_wins(rig: Rig) -> None:
    started, go_on = threading.Event(), threading.Event()
    render = rig.renderer.render

    def slow(*arguments: object) -> object:
        started.set()
        go_on.wait(20)
        return render(*arguments)

    rig.renderer.render = slow
    rendered = len(rig.renderer.rendered)
    for step in range(30):
        rig.app.session = rig.app.session.with_current(replace(rig.side, transform=TransformState(x=step / 100)))
        rig.driver.step()
    assert started.wait(20)
    assert not rig.app.view.a.is_current
    assert rig.app.view.seconds - rig.app.view.a.waiting_since > 0.15
    go_on.set()
    rig.settle()
    assert rig.app.view.a.result.request.synthesis.transform[2] == pytest.approx(0.29)
    assert len(rig.renderer.rendered) - rendered <= 4, 'requests that nobody will see are not rendered'


def test_a_drag_is_one_step_of_undo_and_redo(rig: Rig) -> None:
    rig.driver.drag('Picture/picture a', by=(40, 0))
    moved = rig.side.transform
    rig.driver.drag('Picture/picture a', by=(0, 40))
    rig.driver.keys(Key.z, ctrl=True)
    assert rig.side.transform == moved
    rig.driver.keys(Key.z, ctrl=True)
    assert rig.side.transform == TransformState()
    rig.driver.keys(Key.z, ctrl=True, shift=True)
    assert rig.side.transform == moved


def test_a_key_just_before_a_drag_is_a_step_of_its_own(rig: Rig) -> None:
    rig.driver.keys(Key.right_arrow)
    moved = rig.side.transform
    assert moved != TransformState()
    rig.driver.drag('Picture/picture a', by=(0, 40))
    rig.driver.keys(Key.z, ctrl=True)
    assert rig.side.transform == moved
    rig.driver.keys(Key.z, ctrl=True)
    assert rig.side.transform == TransformState()


def test_undo_from_the_menu(rig: Rig) -> None:
    rig.driver.click('Latent/Next')
    rig.driver.click('Edit')
    rig.driver.click('Undo')
    assert rig.side.latent.x == 0


def test_the_twins_come_back_by_the_menu(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(infos={name: make_info() for name in ('demo:', 'demo:aliased', 'demo:alias-free')})
    rig.open()
    rig.driver.click('File')
    entry = rig.driver.find('Bundled generators')
    rig.driver.move((entry.low[0] + 10, entry.low[1] + 5))
    rig.driver.step(3)
    rig.driver.click('The twins, side by side')
    rig.settle()
    session = rig.app.session
    assert session.b is not None and session.a.model is not None and session.b.model is not None
    assert (session.a.model.path, session.b.model.path) == ('demo:aliased', 'demo:alias-free')


def test_everything_is_reset_but_the_generator(rig: Rig) -> None:
    rig.change(transform=TransformState(x=0.3), latent=replace(rig.side.latent, x=5.0))
    rig.driver.click('Edit')
    rig.driver.click('Reset everything')
    rig.settle()
    assert rig.side.transform == TransformState() and rig.side.latent.x == 0 and rig.side.model.path == 'demo:'


def test_the_spectrum_is_computed_only_while_it_is_seen(rig: Rig) -> None:
    assert rig.app.view.a.result.spectrum is not None
    rig.driver.step()
    imgui_focus(rig.driver, 'Filters')
    rig.settle()
    assert rig.app.view.a.result.request.view.spectrum is None
    assert rig.app.view.history.past == (), 'looking at another tab is no edit'


def imgui_focus(driver: WindowDriver, title: str) -> None:
    with driver.window.frame() as frame:
        driver._draw(frame)
        imgui.set_window_focus(title)
    driver.step(2)


def test_a_spectrum_is_averaged_and_forgotten(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def average(renderer: object, *, request: object, count: int) -> object:
        spectrum = None
        for index in range(count):
            spectrum = make_spectrum(waves(request, 64, 64, 0, 3), 64, samples=index + 1)
            yield Progress((index + 1) / count, f'{index + 1} of {count} latents', partial=spectrum)
        return spectrum

    monkeypatch.setattr('viz.averaging.jobs.average_spectrum', average)
    rig.driver.click('Spectrum/Average 32')
    rig.settle()
    assert rig.app.view.a.shown_spectrum().samples == 32
    rig.driver.click('Spectrum/Mean of 32')
    assert rig.app.view.a.shown_spectrum().samples == 1


def test_a_picture_carries_its_session_and_leads_back_to_it(rig: Rig, tmp_path: Path) -> None:
    rig.app.session = replace(rig.app.session, capture=replace(rig.app.session.capture, folder=str(tmp_path)))
    rig.change(transform=TransformState(x=0.125, degrees=20), latent=replace(rig.side.latent, x=3.0))
    rig.driver.keys(Key.p, ctrl=True)
    rig.settle()
    (path,) = tmp_path.glob('*.png')
    assert path.name == 'stylegan3-t-256-px-seed3-image-001.png'
    with Image.open(path) as picture:
        assert (np.asarray(picture) == rig.app.view.a.result.image[..., :3]).all()
    assert load_carried_session(path)[0].a.transform.degrees == 20
    rig.change(transform=TransformState(), latent=replace(rig.side.latent, x=0.0))
    rig.driver.drop([str(path)])
    rig.settle()
    assert rig.side.transform == TransformState(x=0.125, degrees=20) and rig.side.latent.x == 3


def test_the_whole_window_is_captured(rig: Rig, tmp_path: Path) -> None:
    capture = replace(rig.app.session.capture, folder=str(tmp_path), what='window')
    rig.app.session = replace(rig.app.session, capture=capture)
    rig.settle()
    rig.driver.keys(Key.p, ctrl=True)
    rig.settle()
    (path,) = tmp_path.glob('*window-001.png')
    with Image.open(path) as picture:
        assert picture.size == (1280, 800)


def test_a_session_is_saved_and_opened_again(rig: Rig, tmp_path: Path) -> None:
    rig.app.session = replace(rig.app.session, capture=replace(rig.app.session.capture, folder=str(tmp_path)))
    rig.change(transform=TransformState(x=0.25))
    rig.driver.keys(Key.s, ctrl=True)
    (path,) = tmp_path.glob('*.json')
    assert load_session(path)[0].a.transform.x == 0.25
    rig.change(transform=TransformState())
    rig.driver.drop([str(path)])
    rig.settle()
    assert rig.side.transform.x == 0.25


def test_a_folder_that_cannot_be_written_is_one_sentence(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    capture = replace(rig.app.session.capture, folder=str(tmp_path / 'file' / 'below'))
    rig.app.session = replace(rig.app.session, capture=capture)
    rig.driver.keys(Key.s, ctrl=True)
    rig.driver.keys(Key.p, ctrl=True)
    rig.settle()
    assert all(toast.level == 'bad' for toast in rig.app.view.toasts) and rig.app.view.toasts


def test_a_clip_is_recorded_frame_by_frame(rig: Rig, tmp_path: Path) -> None:
    capture = replace(rig.app.session.capture, folder=str(tmp_path), motion='drag', seconds=0.5, frames_per_second=10)
    rig.app.session = replace(rig.app.session, capture=capture)
    before = len(rig.renderer.rendered)
    rig.app._obey(commands.RecordClip())
    rig.settle()
    (path,) = tmp_path.glob('*.mp4')
    frames = rig.renderer.rendered[before : before + 5]
    assert len({request.synthesis.transform for request in frames}) == 5
    assert load_carried_session(path)[0].a.model.path == 'demo:'


def test_a_session_of_a_changed_file_says_so(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / 'old.json'
    path.write_text(shared_text(Session(a=Side(model=ModelKey('demo:', 'another sha')))))
    rig.driver.drop([str(path)])
    rig.settle()
    assert any('is not the file that the session was made with' in toast.words for toast in rig.app.view.toasts)


def test_remarks_about_a_session_are_shown(rig: Rig, tmp_path: Path) -> None:
    data = json.loads(shared_text(rig.app.session))
    data['a']['latent']['speed'] = 'fast'
    path = tmp_path / 'odd.json'
    path.write_text(json.dumps(data))
    rig.driver.drop([str(path)])
    rig.settle()
    assert any('speed' in toast.words for toast in rig.app.view.toasts)


def test_a_session_with_two_generators_opens_both(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig(infos={'demo:': make_info(), 'other.pkl': OTHER})
    rig.open()
    two = Session(
        a=Side(model=ModelKey('other.pkl', 'sha-other.pkl')), b=Side(model=ModelKey('demo:', 'sha-demo:')), active='b'
    )
    save_session(tmp_path / 'two.json', two)
    rig.open(str(tmp_path / 'two.json'))
    assert rig.app.view.a.model is OTHER and rig.app.view.b.model is not OTHER
    assert rig.app.session.b.model.path == 'demo:' and rig.app.view.b.is_current


def test_help_opens_and_closes_by_key(rig: Rig) -> None:
    rig.driver.keys(Key.f1)
    rig.driver.step(3)
    assert rig.app.view.help_open and 'rotate it' in rig.texts()
    rig.driver.keys(Key.escape)
    rig.driver.step(2)
    assert not rig.app.view.help_open


def test_panels_can_be_hidden_and_come_back(rig: Rig) -> None:
    window = rig.app.session.window
    rig.app.session = replace(rig.app.session, window=replace(window, hidden=('Layers',)))
    rig.driver.step(2)
    assert not any(label.startswith('Layers/') for label in rig.driver.labels())
    rig.driver.click('View')
    rig.driver.click('Reset the layout')
    rig.driver.step(5)
    assert any(label.startswith('Layers/') for label in rig.driver.labels())


def test_everything_can_be_drawn_larger(rig: Rig) -> None:
    rig.app.session = replace(rig.app.session, window=replace(rig.app.session.window, scale=2.0))
    rig.driver.step(3)
    assert rig.app.window.scale == 2.0


def test_every_panel_draws_in_front(rig: Rig) -> None:
    for panel in PANELS:
        if panel.title == RUN_TITLE:  # only there while a run is open
            continue
        imgui_focus(rig.driver, panel.title)
        assert any(label.startswith(f'{panel.title}/') for label in rig.driver.labels()), panel.title


def test_an_idle_window_sleeps_and_an_animated_one_does_not(rig: Rig) -> None:
    rig.settle()
    assert rig.app.wait_seconds is not None
    rig.change(latent=replace(rig.side.latent, animate=False))
    rig.app.session = rig.app.session.with_current(
        replace(rig.side, transform=replace(rig.side.transform, animate='rotate'))
    )
    assert rig.app.wait_seconds is None


def test_a_followed_run_is_opened_again_when_it_has_a_newer_snapshot(
    make_rig: Callable[..., Rig], tmp_path: Path
) -> None:
    rig = make_rig(infos={str(tmp_path): make_info()})
    rig.open(str(tmp_path))
    rig.change(transform=TransformState(x=0.2))
    rig.app._following._looked_at = -10.0  # long ago
    rig.driver.step(2)
    assert rig.renderer.models.opened == [str(tmp_path)]
    (tmp_path / 'snapshot-000200.safetensors').write_bytes(b'new')
    rig.app._following._looked_at = -10.0  # long ago
    rig.driver.step(2)
    rig.settle()
    assert rig.renderer.models.opened == [str(tmp_path)] * 2
    assert rig.side.transform.x == 0.2


def test_quitting_is_a_wish(rig: Rig) -> None:
    rig.driver.keys(Key.q, ctrl=True)
    assert rig.app.quit and rig.side.transform == TransformState()


def test_a_provisional_picture_is_shown_but_not_saved(rig: Rig, tmp_path: Path) -> None:
    rig.app.session = replace(rig.app.session, capture=replace(rig.app.session.capture, folder=str(tmp_path)))
    final = rig.app.view.a.result
    rig.app.view = rig.app.view.with_side('a', rig.app.view.a.answered(replace(final, provisional=True)))
    rig.driver.keys(Key.p, ctrl=True)
    rig.driver.step(5)
    assert not rig.app.is_current
    assert not list(tmp_path.glob('*.png')) and 'compiling …' in rig.texts()
    rig.app.view = rig.app.view.with_side('a', rig.app.view.a.answered(final))
    rig.settle()
    assert list(tmp_path.glob('*.png'))

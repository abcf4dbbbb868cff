"""`run_window`: exit codes, screenshots, what is opened first, what is kept."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gui_utils.window import NoDisplay
from render.png_session import load_carried_session
from render.request import ModelKey
from render.session import CompareState, Session, Side, TransformState
from render.session_file import load_session, save_session
from tests.viz.conftest import Rig
from tests.viz.fake_renderer import FakeRenderer, make_info
from viz import app as app_module
from viz import files, running
from viz.app import run_window
from viz.first_start import ALIAS_FREE, ALIASED
from viz.running import _Keeper

pytestmark = pytest.mark.display
SIZE = (900, 600)


@pytest.fixture
def renderers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[FakeRenderer]]:
    """The renderers that windows made, and a folder of settings of its own."""
    made: list[FakeRenderer] = []

    def make(device: str, *, wait_for_kernels: bool) -> FakeRenderer:
        made.append(FakeRenderer(dict.fromkeys(('demo:', ALIASED, ALIAS_FREE), make_info())))
        return made[-1]

    monkeypatch.setattr(app_module, 'make_renderer', make)
    monkeypatch.setattr(files, 'config_folder', lambda: tmp_path / 'config')
    yield made


def opened(session: Session) -> ModelKey | None:
    return session.a.model


def test_a_headless_screenshot_shows_the_whole_window(renderers: list[FakeRenderer], tmp_path: Path) -> None:
    picture = tmp_path / 'window.png'
    assert run_window(None, headless=True, screenshot=picture, size=SIZE, frames=3) == 0
    with Image.open(picture) as image:
        assert image.size == SIZE
        assert len(image.convert('RGB').getcolors(1 << 20)) > 100, 'a picture, not an empty window'
    assert opened(load_carried_session(picture)[0]) == ModelKey(ALIASED, f'sha-{ALIASED}')
    assert not (tmp_path / 'config').exists(), 'headless windows keep nothing'


def test_two_screenshots_are_the_same_bit_for_bit(renderers: list[FakeRenderer], tmp_path: Path) -> None:
    for name in ('first.png', 'second.png'):
        assert run_window('demo:', headless=True, screenshot=tmp_path / name, size=SIZE) == 0
    with Image.open(tmp_path / 'first.png') as first, Image.open(tmp_path / 'second.png') as second:
        assert first.tobytes() == second.tobytes()


def test_what_cannot_be_opened_is_one_line_and_exit_code_1(
    renderers: list[FakeRenderer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_window('nowhere.pkl', headless=True, screenshot=tmp_path / 'x.png', size=SIZE) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines == ['nowhere.pkl does not exist; check the path.']


def test_a_session_decides_what_is_shown(renderers: list[FakeRenderer], tmp_path: Path) -> None:
    session = Session(a=Side(ModelKey('demo:', 'sha-demo:'), transform=TransformState(x=0.25)))
    save_session(tmp_path / 's.json', session)
    assert run_window(None, headless=True, session=tmp_path / 's.json', size=SIZE) == 0
    assert renderers[0].rendered[-1].synthesis.transform[2] == 0.25


def test_a_session_can_be_looked_at_with_another_generator(renderers: list[FakeRenderer], tmp_path: Path) -> None:
    session = Session(a=Side(ModelKey('gone.pkl', 'x'), transform=TransformState(x=0.25)))
    save_session(tmp_path / 's.json', session)
    assert run_window('demo:', headless=True, session=tmp_path / 's.json', size=SIZE) == 0
    last = renderers[0].rendered[-1]
    assert last.model.path == 'demo:' and last.synthesis.transform[2] == 0.25


def test_two_generators_are_opened_side_by_side_with_the_choices_of_a_session(
    renderers: list[FakeRenderer], tmp_path: Path
) -> None:
    gone = Side(ModelKey('gone.pkl', 'x'), transform=TransformState(x=0.25))
    save_session(tmp_path / 's.json', Session(a=gone, compare=CompareState(mode='blink')))
    picture = tmp_path / 'window.png'
    options = {'headless': True, 'session': tmp_path / 's.json', 'screenshot': picture, 'size': SIZE}
    assert run_window('demo:', 'demo:', **options) == 0
    session = load_carried_session(picture)[0]
    assert session.b is not None and session.compare.mode == 'blink'
    assert session.a.transform == session.b.transform == TransformState(x=0.25)


def test_a_damaged_session_is_one_line_and_exit_code_1(
    renderers: list[FakeRenderer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 's.json').write_text('{')
    assert run_window(None, headless=True, session=tmp_path / 's.json', size=SIZE) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_without_a_display_the_reason_goes_to_whoever_asked(
    renderers: list[FakeRenderer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise NoDisplay('No window could be opened (test): add --headless.')

    monkeypatch.setattr(running, 'open_window', fail)
    assert run_window(None) == 1
    assert capsys.readouterr().err == 'No window could be opened (test): add --headless.\n'
    assert run_window(None, on_no_display=lambda reason: 7 if 'test' in reason else 0) == 7


def synthetic_windows(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    """Windows that believe they are on a screen, and are closed by the user after some frames."""
    real = running.open_window

    def open_synthetic(title: str, size: tuple[int, int], *, headless: bool, **options: Any) -> Any:
        window = real(title, size, headless=True, **options)
        left, draw = iter([False] * frames), window.frame
        window.should_close = lambda: next(left, True)
        window.frame = lambda wait=None, **_: draw(wait and 0.01)  # nobody is there to wait for
        return window

    monkeypatch.setattr(running, 'open_window', open_synthetic)


def test_the_session_comes_back_at_the_next_start(
    renderers: list[FakeRenderer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    synthetic_windows(monkeypatch, 40)
    assert run_window('demo:', size=SIZE) == 0
    kept = tmp_path / 'config' / files.SESSION_FILE
    session = load_session(kept)[0]
    assert opened(session) == ModelKey('demo:', 'sha-demo:')
    save_session(kept, replace(session, a=replace(session.a, transform=TransformState(x=0.5))))
    assert run_window(None, size=SIZE) == 0
    assert renderers[1].rendered[-1].synthesis.transform[2] == 0.5
    assert load_session(kept)[0].a.transform.x == 0.5


def test_a_damaged_last_session_is_kept_aside_and_the_first_pictures_open(
    renderers: list[FakeRenderer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / 'config'
    folder.mkdir()
    (folder / files.SESSION_FILE).write_text('{"a": ')
    synthetic_windows(monkeypatch, 40)
    assert run_window(None, size=SIZE) == 0
    assert list(folder.glob('*.bad'))
    assert renderers[0].models.opened == [ALIASED, ALIAS_FREE]


def test_the_session_is_kept_every_thirty_seconds(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig()
    keeper = _Keeper(rig.app, tmp_path)
    rig.open()
    keeper.keep(keeper._at + 29)
    assert not (tmp_path / files.SESSION_FILE).exists()
    keeper.keep(keeper._at + 31)
    assert (tmp_path / files.SESSION_FILE).exists()


def test_a_settings_folder_that_cannot_be_written_is_said_once(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig()
    (tmp_path / 'file').write_text('')
    keeper = _Keeper(rig.app, tmp_path / 'file')
    rig.open()
    keeper.keep(None)
    keeper.keep(None)
    assert [toast.level for toast in rig.app.view.toasts] == ['warning']


@pytest.mark.parametrize(
    ('platform', 'variable', 'expected'),
    [('linux', 'XDG_CONFIG_HOME', 'aliasscope'), ('win32', 'APPDATA', 'AliasScope'), ('darwin', 'X', 'AliasScope')],
)
def test_settings_are_where_the_system_wants_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str, expected: str
) -> None:
    monkeypatch.setattr(files.sys, 'platform', platform)
    monkeypatch.setenv(variable, str(tmp_path))
    folder = files.config_folder()
    assert folder.name == expected
    assert platform == 'darwin' or folder.parent == tmp_path


def test_capture_names_never_hit_an_existing_file(tmp_path: Path) -> None:
    session = replace(Session(), capture=replace(Session().capture, folder=str(tmp_path)))
    first = files.capture_path(session, None, '.png')
    first.touch()
    assert first.name == 'aliasscope-seed0-image-001.png'
    assert files.capture_path(session, None, '.png').name == 'aliasscope-seed0-image-002.png'


def test_a_session_that_moves_comes_to_rest_for_its_screenshot(renderers: list[FakeRenderer], tmp_path: Path) -> None:
    latent = replace(Session().a.latent, animate=True, speed=60.0)
    session = Session(a=Side(ModelKey('demo:', 'sha-demo:'), latent=latent))
    save_session(tmp_path / 's.json', session)
    assert run_window(None, headless=True, session=tmp_path / 's.json', size=SIZE, frames=4) == 0
    assert renderers[0].rendered[-1].latent.seeds != ((0, 1.0),)


def test_the_window_stands_without_torch() -> None:
    code = 'import sys, viz.app, viz.running; raise SystemExit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_the_way_into_the_window_imports_neither_imgui_nor_opengl() -> None:
    code = 'import sys, viz.app; raise SystemExit("imgui_bundle" in sys.modules or "OpenGL" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], cwd=Path(__file__).parents[2], check=False).returncode == 0

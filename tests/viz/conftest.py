"""A whole application over a fake renderer, and panels without any window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from imgui_bundle import imgui

from gui_utils.dialogs import FileDialog
from gui_utils.testing import NoTextures, PanelTester, WindowDriver
from gui_utils.texture import TexturePool
from render.session import Session, Side
from render.worker import RenderWorker
from tests.gui.conftest import open_headless, tester  # noqa: F401  fixtures
from tests.viz.fake_renderer import KEY, FakeRenderer, make_info
from viz.application import App
from viz.commands import Command
from viz.view import Desk, SideView, View


@dataclass
class Rig:
    """An application in a headless window, with hands."""

    app: App
    driver: WindowDriver
    renderer: FakeRenderer
    worker: RenderWorker

    @property
    def side(self) -> Side:
        return self.app.session.current

    def settle(self) -> None:
        """Draw until every picture is current. Waits for the worker, not for time."""
        for _ in range(200):
            self.driver.step()
            if self.app.is_current:
                self.driver.step(2)
                if self.app.is_current:
                    return
            assert self.worker.wait(20), 'the worker hangs'
        raise AssertionError('the picture never becomes current')

    def open(self, path: str = 'demo:') -> None:
        """Open a generator and wait for its picture."""
        self.app.open(path)
        self.settle()

    def change(self, **parts: Any) -> None:
        """Give the active side other states."""
        self.app.session = self.app.session.with_current(replace(self.side, **parts))
        self.settle()

    def texts(self) -> str:
        """All words of the last frame."""
        return '\n'.join(item.label for item in self.driver.recorder.texts)


@pytest.fixture
def make_rig(
    open_headless: Callable[..., Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Rig]]:
    """Applications; what a test leaves open is closed. `sees`: the test looks at pixels."""
    render = imgui.backends.opengl3_render_draw_data

    def render_small(data: Any) -> None:
        """Draw a thumbnail: everything is submitted, next to nothing is rasterised."""
        data.framebuffer_scale = imgui.ImVec2(0.02, 0.02)
        render(data)

    undo: list[Callable[[], object]] = []

    def make(
        size: tuple[int, int] = (1280, 800), *, infos: dict[str, Any] | None = None, sees: bool = False, **options: Any
    ) -> Rig:
        if not sees:
            monkeypatch.setattr(imgui.backends, 'opengl3_render_draw_data', render_small)
        window = open_headless(size, **options)
        renderer = FakeRenderer(infos)
        worker = RenderWorker(lambda: renderer)
        textures = TexturePool()
        app = App(window, worker, Session(), textures, dialog=FileDialog(use_system=False))
        driver = WindowDriver(window, app.draw)
        driver.__enter__()
        undo.extend((worker.close, app.close, textures.close, lambda: driver.__exit__(None, None, None)))
        return Rig(app, driver, renderer, worker)

    yield make
    for step in reversed(undo):
        step()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """An application that shows the fake demo."""
    made = make_rig()
    made.open()
    return made


@pytest.fixture
def seeing_rig(make_rig: Callable[..., Rig]) -> Rig:
    """The same, with all its pixels."""
    made = make_rig(sees=True)
    made.open()
    return made


@pytest.fixture
def asked() -> list[Command]:
    """What panels asked for."""
    return []


@pytest.fixture
def make_desk(asked: list[Command]) -> Callable[..., Desk]:
    """Desks for panels; by default one with a picture of the fake demo."""

    def make(*, view: View | None = None, **side: Any) -> Desk:
        if 'result' not in side:
            request = side.pop('request', None) or sample_request()
            side['result'] = FakeRenderer({'demo:': side.pop('model', make_info())}).render(request)
        view = replace(view or View(), a=SideView(**side))
        return Desk(view, asked.append, NoTextures(), FileDialog(use_system=False))

    return make


def sample_request(**parts: Any) -> Any:
    """What a default session of the fake demo asks for."""
    from render.session import to_request

    return to_request(Session(a=Side(model=KEY, **parts)))


def draw(tester: PanelTester, panel: Callable[..., Any], state: Any, *arguments: Any) -> Any:  # noqa: F811
    """The state after two frames without any event."""
    return tester.run(panel, state, *arguments)

"""The whole window on the bundled generator: open, drag, change every panel, capture, close."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imgui_bundle import imgui

from gui_utils.dialogs import FileDialog
from gui_utils.testing import WindowDriver
from gui_utils.texture import TexturePool
from ops.backend import use_backend
from render.models import ModelStore
from render.renderer import Renderer
from render.result import RenderResult
from render.session import Session, Side, SpectrumState, to_request
from render.worker import RenderWorker
from tests.viz.conftest import Rig
from viz.application import App

pytestmark = pytest.mark.display


class ReferenceRenderer(Renderer):
    """Runs the plain operators: nothing has to be compiled first."""

    def __init__(self) -> None:
        super().__init__(ModelStore('cpu'))

    def render(self, *arguments: Any, **options: Any) -> RenderResult:
        with use_backend('reference'):
            return super().render(*arguments, **options)

    def power(self, *arguments: Any, **options: Any) -> Any:
        with use_backend('reference'):
            return super().power(*arguments, **options)


def test_every_panel_changes_the_picture_that_a_command_would_render(
    open_headless: Callable[..., Any], tmp_path: Path
) -> None:
    worker = RenderWorker(ReferenceRenderer)
    window = open_headless((1280, 800))
    textures = TexturePool()
    app = App(window, worker, Session(), textures, dialog=FileDialog(use_system=False))
    with WindowDriver(window, app.draw) as driver:
        rig = Rig(app, driver, None, worker)
        app.session = Session(a=Side(spectrum=SpectrumState(average_count=3)))
        rig.open('demo:')
        requests = [app.view.a.result.request]

        def use(title: str, *clicks: str, changes: bool = True) -> None:
            """Click in a panel and wait for the picture; it must be another one if the click `changes` it."""
            with window.frame() as frame:
                app.draw(frame)
                imgui.set_window_focus(title)
            driver.step(2)
            for name in clicks:
                driver.click(name)
            rig.settle()
            assert app.view.complaint is None and app.view.a.error is None
            assert (app.view.a.result.request != requests[-1]) == changes, title
            requests.append(app.view.a.result.request)

        driver.drag('Picture/picture a', by=(33, -12))
        rig.settle()
        assert app.view.a.result.request.synthesis.transform != requests[0].synthesis.transform
        requests.append(app.view.a.result.request)
        use('Latent', 'Latent/Next')
        use('Styles', 'Styles/Mix styles')
        use('Layers', f'Layers/{app.view.a.model.layers[4].label}', 'Layers/Sheet')
        use('Spectrum', 'Spectrum/Average 3', changes=False)
        assert app.view.a.shown_spectrum().samples == 3
        use('Filters', 'Filters/Filters', 'Bilinear')
        use('Speed', 'Speed/float32')
        driver.keys(imgui.Key.u)
        rig.settle()
        result = app.view.a.result
        assert len(np.unique(driver.pixels().reshape(-1, 3), axis=0)) > 500
        app.session = replace(app.session, capture=replace(app.session.capture, folder=str(tmp_path)))
        use('Capture', 'Capture/Save PNG')  # its spectrum is hidden, so it is not computed
    direct = ReferenceRenderer()
    direct.models.open('demo:')
    again = direct.render(result.request)
    assert (again.image == result.image).all(), 'the window and a command make the same picture, bit for bit'
    assert to_request(app.session).model == result.request.model
    assert list(tmp_path.glob('*.png'))
    app.close()
    textures.close()
    assert worker.close()

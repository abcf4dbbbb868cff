from types import SimpleNamespace
from typing import Any, cast

import pytest

from gui_utils.graphics import draws_in_software
from viz.application import App
from viz.running import SOFTWARE_PAUSE_SECONDS, pause_seconds


def application(graphics: str, *, busy: str) -> App:
    worker: Any = SimpleNamespace(is_busy=lambda name: name == busy)
    return cast(App, SimpleNamespace(view=SimpleNamespace(graphics=graphics), worker=worker))


@pytest.mark.parametrize('name', ['llvmpipe (LLVM 15.0.6, 256 bits)', 'GDI Generic', 'Google SwiftShader', 'softpipe'])
def test_opengl_on_the_processor_is_known_by_its_name(name: str) -> None:
    assert draws_in_software(name)


@pytest.mark.parametrize('name', ['NVIDIA H200/PCIe/SSE2', 'Mesa Intel(R) UHD Graphics 620 (KBL GT2)', 'Apple M2', ''])
def test_a_graphics_card_is_known_by_its_name(name: str) -> None:
    assert not draws_in_software(name)


@pytest.mark.parametrize('side', ['a', 'b', 'o'])
def test_a_window_drawn_in_software_rests_while_a_picture_is_computed(side: str) -> None:
    assert pause_seconds(application('llvmpipe', busy=side)) == SOFTWARE_PAUSE_SECONDS


def test_a_window_drawn_in_software_does_not_rest_when_nothing_is_computed() -> None:
    assert pause_seconds(application('llvmpipe', busy='')) == 0


def test_a_window_drawn_by_a_graphics_card_never_rests() -> None:
    assert pause_seconds(application('NVIDIA H200', busy='a')) == 0

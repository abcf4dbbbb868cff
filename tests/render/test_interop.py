"""Pictures from CUDA to OpenGL, with a runtime that is only imagined: what is called, in which order, and what if it fails."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from render import interop

ADDRESS, TEXTURE = 0x7F0000000000, 7


class Runtime:
    """Notes what is called; one function may fail."""

    def __init__(self, failing: str = ''):
        self.calls: list[str] = []
        self.copied: tuple[Any, ...] = ()
        self.failing = failing
        self.cudaGetErrorString = lambda code: b'invalid graphics context'

    def __getattr__(self, name: str):
        def call(*arguments: Any) -> int:
            self.calls.append(name.removeprefix('cudaGraphics'))
            if name == 'cudaMemcpy2DToArray':
                self.copied = tuple(getattr(argument, 'value', argument) for argument in arguments)
            return 219 if name == self.failing else 0

        return call


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interop, '_interop', interop._Interop())
    monkeypatch.setenv(interop.SWITCH, '1')


def use(monkeypatch: pytest.MonkeyPatch, runtime: object) -> None:
    monkeypatch.setattr(interop, 'load_runtime', lambda: runtime)


def picture() -> np.ndarray:
    host = np.zeros((3, 5, 4), np.uint8)
    interop.remember(host, SimpleNamespace(data_ptr=lambda: ADDRESS))
    return host


def test_a_picture_is_copied_on_the_device_and_everything_is_given_back(monkeypatch):
    runtime, host = Runtime(), picture()
    use(monkeypatch, runtime)
    assert interop.upload(host, TEXTURE)
    assert runtime.calls == [
        'GLRegisterImage', 'MapResources', 'SubResourceGetMappedArray', 'cudaMemcpy2DToArray', 'UnmapResources',
        'UnregisterResource',
    ]  # fmt: skip
    assert runtime.copied[1:] == (0, 0, ADDRESS, 20, 20, 3, 3)  # from, bytes a row twice, rows, device to device
    assert interop.note() == 'upload: 1 pictures without a way through the CPU'


@pytest.mark.parametrize(
    ('failing', 'given_back'),
    [
        ('cudaGraphicsGLRegisterImage', []),
        ('cudaGraphicsMapResources', ['UnregisterResource']),
        ('cudaMemcpy2DToArray', ['UnmapResources', 'UnregisterResource']),
    ],
)
def test_a_failure_gives_everything_back_and_is_not_tried_again(monkeypatch, failing, given_back):
    runtime, host = Runtime(failing), picture()
    use(monkeypatch, runtime)
    assert not interop.upload(host, TEXTURE)
    assert runtime.calls[runtime.calls.index(failing.removeprefix('cudaGraphics')) + 1 :] == given_back
    count = len(runtime.calls)
    assert not interop.upload(host, TEXTURE) and len(runtime.calls) == count
    assert interop.note() == f'upload: through the memory of the CPU ({failing} failed: invalid graphics context)'


def test_without_a_runtime_pictures_go_through_the_cpu():
    host = picture()  # the real loader: there is no CUDA runtime here, or it knows no such context
    assert not interop.upload(host, TEXTURE)
    assert interop.note().startswith('upload: through the memory of the CPU (')


def test_pictures_that_are_not_known_or_not_wanted_are_uploaded_as_ever(monkeypatch):
    use(monkeypatch, Runtime())
    assert not interop.upload(np.zeros((3, 5, 4), np.uint8), TEXTURE) and not interop._interop.problem
    monkeypatch.delenv(interop.SWITCH)
    assert not interop.upload(picture(), TEXTURE) and interop.note() == ''
    assert not interop._interop.pictures


def test_few_copies_are_kept_on_the_device():
    hosts = [picture() for _ in range(20)]
    assert len(interop._interop.pictures) == 4 and hosts

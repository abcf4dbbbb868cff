"""What `doctor` says about a machine, and how a missing system library is reported."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from gui_utils import graphics


def test_a_machine_that_runs_these_tests_has_the_packages() -> None:
    findings = {finding.name: finding for finding in graphics.check_graphics()}
    assert {'imgui_bundle', 'glfw', 'OpenGL', 'numpy', 'display'} <= set(findings)
    assert findings['imgui_bundle'].level == 'good'


def test_a_missing_system_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'platform', 'linux')
    monkeypatch.setattr(graphics, '_loads', lambda file_name: file_name != 'libEGL.so.1')
    findings = {finding.name: finding for finding in graphics.check_graphics()}
    assert findings['libGL'].level == 'good'
    assert findings['libEGL'].level == 'bad'
    assert findings['libEGL'].cure.startswith('apt-get install -y --no-install-recommends libegl1 ')
    assert 'dnf install -y libglvnd-egl' in findings['libEGL'].cure


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def broken(name: str) -> object:
        if name == 'glfw':
            raise ModuleNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib, 'import_module', broken)
    findings = {finding.name: finding for finding in graphics.check_graphics()}
    assert findings['glfw'].cure == 'python -m pip install "glfw"'


def test_an_import_that_fails_for_want_of_a_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a bare server `import imgui_bundle` fails: it is linked against libX11 even when nothing is shown."""

    def broken(name: str) -> object:
        raise ImportError('libX11.so.6: cannot open shared object file:\nNo such file or directory')

    monkeypatch.setattr(sys, 'platform', 'linux')
    monkeypatch.setattr(importlib, 'import_module', broken)
    monkeypatch.setattr(graphics, '_loads', lambda file_name: file_name != 'libX11.so.6')
    with pytest.raises(graphics.NoDisplay) as caught:
        graphics.import_graphics(headless=True)
    words = str(caught.value)
    assert 'libX11' in words
    assert 'apt-get install -y --no-install-recommends libgl1 libegl1' in words
    assert '\n' not in words
    assert '--headless' not in words, 'it is what the user asked for'


def test_other_systems_are_told_what_applies_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert 'macOS' in graphics.install_hint()
    assert 'apt-get' not in str(graphics.no_display('why', headless=False))
    monkeypatch.setattr(sys, 'platform', 'win32')
    assert 'driver' in graphics.install_hint()


def test_nobody_asks_imgui_to_convert_a_packed_colour() -> None:
    """`imgui.get_color_u32(0xff8040ff)` takes the number for an index of the style's colours: it crashed the window."""
    root = Path(__file__).parents[2]
    for path in [*root.glob('gui_utils/*.py'), *root.glob('viz/*.py')]:
        for call in re.findall(r'imgui\.get_color_u32\(\s*(.{9})', path.read_text(encoding='utf-8')):
            assert call.startswith('imgui.Col'), f'{path.name}: use theme.faded'

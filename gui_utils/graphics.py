"""What a window needs from the system, checked without importing anything that could fail.

Only the standard library is imported here, so that `doctor` and the command line can explain a machine on which
`import imgui_bundle` itself fails (it links against libX11 and libGL even when nothing is shown).
"""

from __future__ import annotations

import ctypes.util
import importlib
import os
import sys
from dataclasses import dataclass
from typing import Literal

Level = Literal['good', 'warning', 'bad']

DEBIAN = 'apt-get install -y --no-install-recommends libgl1 libegl1'
FEDORA = 'dnf install -y libglvnd-glx libglvnd-egl mesa-dri-drivers libX11'


_IN_SOFTWARE = ('llvmpipe', 'softpipe', 'swrast', 'software', 'swiftshader', 'gdi generic', 'basic render')


def draws_in_software(renderer: str) -> bool:
    """Whether the OpenGL of this name runs on the processor, where every frame of a window costs 10 to 30 ms of it."""
    return any(name in renderer.lower() for name in _IN_SOFTWARE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `doctor` looked at."""

    name: str
    level: Level
    text: str
    """What was found, one line."""
    cure: str = ''
    """The command or the step that repairs it. Empty when nothing is wrong."""


class NoDisplay(Exception):
    """No window can be opened here. The message is one sentence that names the cure."""


class GraphicsLost(Exception):
    """The graphics driver was reset; everything on the graphics card is gone and the window must be reopened."""


@dataclass(frozen=True, slots=True)
class _Library:
    name: str
    linux_file: str
    purpose: str
    debian: str
    fedora: str


_LIBRARIES = (
    _Library('libX11', 'libX11.so.6', 'needed by imgui_bundle, also without a display', 'libgl1', 'libX11'),
    _Library('libGL', 'libGL.so.1', 'draws the window', 'libgl1', 'libglvnd-glx mesa-dri-drivers'),
    _Library('libEGL', 'libEGL.so.1', 'draws without a display (--headless)', 'libegl1', 'libglvnd-egl'),
)
_PACKAGES = (
    ('imgui_bundle', 'imgui-bundle==1.93.*'),
    ('glfw', 'glfw'),
    ('OpenGL', 'PyOpenGL'),
    ('numpy', 'numpy'),
)


def install_hint() -> str:
    """The command that brings the system's graphics libraries, for this operating system."""
    if sys.platform == 'darwin':
        return 'nothing has to be installed on macOS 14 or newer with Apple silicon; start from a logged-in desktop'
    if sys.platform == 'win32':
        return 'install the graphics driver of the card (Windows Update or its maker), OpenGL 3.3 or newer'
    return f'{DEBIAN}   (Fedora: {FEDORA})'


def no_display(detail: str, *, headless: bool) -> NoDisplay:
    """The error for a machine where no window opens; `detail` is what the system said."""
    detail = ' '.join(detail.split()).rstrip('.') or 'no reason was given'
    cure = install_hint()
    if sys.platform.startswith('linux'):
        cure = f'install what is missing: {DEBIAN} (and xvfb xauth for a virtual display)'
    if headless:
        return NoDisplay(f'Nothing can be drawn without a display here ({detail}): {cure}.')
    return NoDisplay(f'No window could be opened ({detail}): add --headless to draw without a display, or {cure}.')


def import_graphics(*, headless: bool) -> None:
    """Import imgui_bundle, glfw and PyOpenGL in the only order that works.

    Raises `NoDisplay` with the command that installs the missing system library.
    """
    choose_opengl_platform(headless=headless)
    for module in ('imgui_bundle', 'gui_utils.opengl'):
        try:
            importlib.import_module(module)
        except (ImportError, OSError, AttributeError, TypeError) as error:
            # PyOpenGL reports a missing libGL as an AttributeError or TypeError of its own platform module.
            missing = ', '.join(entry.name for entry in _missing_libraries()) or 'the package itself'
            raise no_display(
                f'{module} cannot be imported, {missing} is missing: {error}', headless=headless
            ) from error


def choose_opengl_platform(*, headless: bool) -> None:
    """Tell PyOpenGL which window system to ask; has an effect only before its first import.

    Left alone it takes EGL in a Wayland session although GLFW's window is an X11 one, and GLX without any display.
    A value from the environment is not respected: `osmesa`, which other tools ask for, cannot work here.
    """
    if sys.platform.startswith('linux') and 'OpenGL.platform' not in sys.modules:
        os.environ['PYOPENGL_PLATFORM'] = 'egl' if headless or not os.environ.get('DISPLAY') else 'x11'


def check_graphics() -> list[Finding]:
    """Everything a window needs, one finding each; never raises, opens nothing, and imports only when asked."""
    findings = [_check_package(module, requirement) for module, requirement in _PACKAGES]
    if sys.platform.startswith('linux'):
        findings += [_check_library(library) for library in _LIBRARIES]
        findings.append(_check_display())
    elif sys.platform in ('darwin', 'win32'):
        findings.append(Finding('display', 'good', 'part of the operating system'))
    return findings


def _check_package(module: str, requirement: str) -> Finding:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return Finding(module, 'bad', 'not installed', f'python -m pip install "{requirement}"')
    except (ImportError, OSError) as error:
        return Finding(module, 'bad', ' '.join(str(error).split()), install_hint())
    return Finding(module, 'good', str(getattr(found, '__version__', 'installed')))


def _missing_libraries() -> list[_Library]:
    return [library for library in _LIBRARIES if sys.platform.startswith('linux') and not _loads(library.linux_file)]


def _loads(file_name: str) -> bool:
    try:
        ctypes.CDLL(file_name)
    except OSError:
        return False
    return True


def _check_library(library: _Library) -> Finding:
    if _loads(library.linux_file):
        return Finding(library.name, 'good', f'{library.linux_file}: {library.purpose}')
    cure = f'apt-get install -y --no-install-recommends {library.debian}   (Fedora: dnf install -y {library.fedora})'
    return Finding(library.name, 'bad', f'{library.linux_file} is missing: {library.purpose}', cure)


def _check_display() -> Finding:
    display = os.environ.get('DISPLAY')
    if display:
        return Finding('display', 'good', f'DISPLAY={display}')
    cure = 'use --headless, or xvfb-run -a (apt-get install -y --no-install-recommends xvfb xauth)'
    if os.environ.get('WAYLAND_DISPLAY'):
        cure = 'enable XWayland: the window speaks X11; or use --headless'
    return Finding('display', 'warning', 'no X11 display: windows cannot open, --headless works', cure)

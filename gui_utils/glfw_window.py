"""The one implementation of `Window`: GLFW for the context, imgui's C++ backends, our own framebuffer.

On screen: imgui's GLFW backend feeds clock, mouse and keys. Synthetic (headless, or under test on screen): a fixed
clock, and events by `io.add_*` only; imgui's GLFW backend must not run then, it would overwrite the mouse each frame.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from imgui_bundle import ImVec2, imgui, implot

from gui_utils import theme
from gui_utils.chords import Chords
from gui_utils.framebuffer import Framebuffer
from gui_utils.graphics import GraphicsLost, no_display
from gui_utils.opengl import GL, glfw
from gui_utils.window import Frame, Window

LOG = logging.getLogger(__name__)

SYNTHETIC_SECONDS = 1 / 60
LONGEST_FRAME_SECONDS = 0.1
FRAMES_AFTER_EVENT = 3
"""imgui shows the full effect of an event up to this many frames later."""
HOVER_SECONDS = 0.8
"""For this long after an event frames go on at a low rate: tooltips appear when the mouse has rested."""
HOVER_STEP_SECONDS = 0.1
GL_CONTEXT_LOST = 0x0507


class GlfwWindow(Window):
    """See `Window`. GLFW and its error callback belong to the process, hence one window at a time."""

    _opened: ClassVar[GlfwWindow | None] = None

    def __init__(
        self,
        title: str,
        size: tuple[int, int],
        *,
        headless: bool,
        synthetic_input: bool,
        scale: float | None,
        vsync: bool,
        ini_path: Path | str | None,
    ) -> None:
        if GlfwWindow._opened is not None:
            raise RuntimeError('A window is already open in this process: close it before opening another.')
        self._headless, self._synthetic = headless, synthetic_input
        self._wanted_scale = scale
        self._dropped: list[str] = []
        self._chords = Chords()
        self._awake, self._alive = threading.Event(), threading.Lock()
        self._closed, self._settling, self._last_event = False, FRAMES_AFTER_EVENT, time.monotonic()
        with contextlib.ExitStack() as undo:
            self._handle = _create_window(title, size, headless=headless, follow_monitor=scale is None, undo=undo)
            if not headless:
                glfw.swap_interval(1 if vsync and not synthetic_input else 0)
                listen_to_drops: Any = glfw.set_drop_callback  # pyGLFW makes one list of the C arguments
                listen_to_drops(self._handle, lambda _, paths: self.drop_files(paths))
            if not synthetic_input:
                _fit_to_monitor(self._handle)
            self._size = size if synthetic_input else glfw.get_framebuffer_size(self._handle)
            self._start_imgui(ini_path, undo)
            self._framebuffer = Framebuffer(self._size)
            undo.callback(self._framebuffer.delete)
            self._undo = undo.pop_all()
        GlfwWindow._opened = self

    def _start_imgui(self, ini_path: Path | str | None, undo: contextlib.ExitStack) -> None:
        self._context = imgui.create_context()
        undo.callback(imgui.destroy_context, self._context)
        self._plot_context = implot.create_context()
        undo.callback(implot.destroy_context, self._plot_context)
        self._io = imgui.get_io()
        self._io.config_flags |= imgui.ConfigFlags_.docking_enable
        self._io.config_windows_move_from_title_bar_only = True
        if ini_path is not None:
            Path(ini_path).parent.mkdir(parents=True, exist_ok=True)
        self._io.set_ini_filename('' if ini_path is None else str(ini_path))
        theme.load_fonts()
        self._scale = 0.0
        self._follow_scale()
        if not imgui.backends.opengl3_init('#version 330'):
            raise no_display('imgui could not start on this OpenGL driver', headless=self._headless)
        undo.callback(imgui.backends.opengl3_shutdown)
        imgui.backends.opengl3_create_device_objects()
        _let_textures_choose_their_filter()
        if not self._synthetic:
            # Before imgui's own, which calls it.
            glfw.set_key_callback(
                self._handle, lambda _, key, _code, action, held: self._chords.note(key, action, held)
            )
            imgui.backends.glfw_init_for_opengl(ctypes.cast(self._handle, ctypes.c_void_p).value or 0, True)
            undo.callback(imgui.backends.glfw_shutdown)

    def should_close(self) -> bool:
        return self._closed or bool(glfw.window_should_close(self._handle))

    @contextlib.contextmanager
    def frame(self, wait_seconds: float | None = None, *, pause_seconds: float = 0.0) -> Iterator[Frame]:
        if self._closed:
            raise RuntimeError('This window is closed: open a new one to draw a frame.')
        if pause_seconds:
            self._awake.wait(pause_seconds)
        self._handle_events(wait_seconds)
        self._follow_scale()
        self._begin()
        try:
            yield self._describe_frame()
        except BaseException:
            self._abandon()
            raise
        imgui.render()
        self._draw()

    def _handle_events(self, wait_seconds: float | None) -> None:
        if not self._headless and 0 in glfw.get_framebuffer_size(self._handle):
            wait_seconds, self._settling = max(wait_seconds or 0.0, HOVER_STEP_SECONDS), 0  # minimised: no vsync
        if not wait_seconds or self._settling > 0:
            self._settling = max(self._settling - 1, 0)
            glfw.poll_events()
            self._awake.clear()
            return
        started = time.monotonic()
        if started - self._last_event < HOVER_SECONDS or self._io.want_text_input:
            wait_seconds = min(wait_seconds, HOVER_STEP_SECONDS)  # tooltips; the blinking cursor
        if self._headless:
            self._awake.wait(wait_seconds)  # the null platform neither waits nor receives empty events
            glfw.poll_events()
        elif not self._awake.is_set():
            glfw.wait_events_timeout(wait_seconds)
        if self._awake.is_set() or time.monotonic() - started < wait_seconds:
            self._last_event, self._settling = time.monotonic(), FRAMES_AFTER_EVENT
        self._awake.clear()

    def _follow_scale(self) -> None:
        scale = self._wanted_scale or _monitor_scale(self._handle, synthetic=self._synthetic)
        if scale != self._scale:
            self._scale = scale
            theme.apply(scale)

    def _begin(self) -> None:
        imgui.set_current_context(self._context)
        implot.set_current_context(self._plot_context)
        if glfw.get_current_context() != self._handle:
            glfw.make_context_current(self._handle)
        if not self._synthetic:
            self._size = glfw.get_framebuffer_size(self._handle)
            self._io.config_input_trickle_event_queue = True
        imgui.backends.opengl3_new_frame()
        if self._synthetic:
            self._io.display_size, self._io.display_framebuffer_scale = ImVec2(*self._size), ImVec2(1.0, 1.0)
            self._io.delta_time = SYNTHETIC_SECONDS
        else:
            imgui.backends.glfw_new_frame()
        imgui.new_frame()
        self._chords.correct(self._io)

    def _describe_frame(self) -> Frame:
        dropped, self._dropped = tuple(self._dropped), []
        display = self._io.display_size
        return Frame(
            seconds=min(self._io.delta_time, LONGEST_FRAME_SECONDS),
            size=(int(display.x), int(display.y)),
            scale=self._scale,
            dropped_files=dropped,
        )

    def _abandon(self) -> None:
        """End a frame whose drawing raised, without complaining about what it left open."""
        asserting = self._io.config_error_recovery_enable_assert
        self._io.config_error_recovery_enable_assert = False
        imgui.end_frame()
        self._io.config_error_recovery_enable_assert = asserting

    def _draw(self) -> None:
        if 0 in self._size:
            return  # minimised
        self._framebuffer.resize(self._size)
        self._framebuffer.begin(theme.BACKGROUND[:3])
        imgui.backends.opengl3_render_draw_data(imgui.get_draw_data())
        _check_context()
        if self._headless:
            GL.glFlush()
        else:
            self._framebuffer.show(glfw.get_framebuffer_size(self._handle))
            glfw.swap_buffers(self._handle)

    def request_redraw(self) -> None:
        self._settling = FRAMES_AFTER_EVENT

    def wake(self) -> None:
        with self._alive:  # `close` takes it too: GLFW must not be called after it ended
            self._awake.set()
            if not self._closed and not self._headless:
                glfw.post_empty_event()

    def pixels(self) -> np.ndarray:
        return self._framebuffer.pixels()

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def scale(self) -> float:
        return self._scale

    def set_scale(self, scale: float | None) -> None:
        self._wanted_scale = scale

    def resize(self, size: tuple[int, int]) -> None:
        if min(size) < 1:
            raise ValueError(f'A window needs a width and height of at least 1 pixel, got {size[0]}x{size[1]}.')
        if self._synthetic:
            self._size = size
        if not self._headless:
            pixels_per_unit = _pixels_per_unit(self._handle)
            glfw.set_window_size(self._handle, *(max(1, round(length / pixels_per_unit)) for length in size))
        self.request_redraw()

    def set_title(self, title: str) -> None:
        glfw.set_window_title(self._handle, title)

    def drop_files(self, paths: Iterable[str]) -> None:
        self._dropped.extend(str(path) for path in paths)
        self.request_redraw()

    def set_clipboard(self, text: str) -> None:
        imgui.set_clipboard_text(text)

    def gl_info(self) -> dict[str, str]:
        names = {'vendor': GL.GL_VENDOR, 'renderer': GL.GL_RENDERER, 'version': GL.GL_VERSION}
        info = {key: (GL.glGetString(name) or b'unknown').decode(errors='replace') for key, name in names.items()}
        return info | {'platform': 'headless' if self._headless else 'screen'}

    def close(self) -> None:
        with self._alive:
            if self._closed:
                return
            self._closed = True
        GlfwWindow._opened = None
        imgui.set_current_context(self._context)
        implot.set_current_context(self._plot_context)
        self._undo.close()


def _create_window(
    title: str, size: tuple[int, int], *, headless: bool, follow_monitor: bool, undo: contextlib.ExitStack
) -> Any:
    """A GLFW window whose OpenGL 3.3 context is current; `undo` learns how to take it away again."""
    complaints: list[str] = []
    listen: Any = glfw.set_error_callback  # its annotations say str where bytes arrive, and forget None
    undo.callback(listen, None)
    listen(lambda code, text: complaints.append(f'{text.decode(errors="replace")} [{code:#x}]'))
    # macOS and Windows have no EGL, but always a desktop: there, headless is a window that is never shown.
    without_desktop = headless and sys.platform.startswith('linux')
    glfw.init_hint(glfw.PLATFORM, glfw.PLATFORM_NULL if without_desktop else glfw.ANY_PLATFORM)
    if not glfw.init():
        raise no_display('; '.join(complaints), headless=headless)
    undo.callback(glfw.terminate)
    hints = {
        glfw.CONTEXT_VERSION_MAJOR: 3,
        glfw.CONTEXT_VERSION_MINOR: 3,
        glfw.OPENGL_FORWARD_COMPAT: True,
        glfw.OPENGL_PROFILE: glfw.OPENGL_CORE_PROFILE,
        glfw.CONTEXT_CREATION_API: glfw.EGL_CONTEXT_API if without_desktop else glfw.NATIVE_CONTEXT_API,
        glfw.VISIBLE: not headless,
        glfw.SCALE_TO_MONITOR: follow_monitor and not headless,
    }
    for name, value in hints.items():
        glfw.window_hint(name, int(value))
    handle = glfw.create_window(*size, title, None, None)
    if not handle:
        raise no_display('OpenGL 3.3 did not start: ' + '; '.join(complaints), headless=headless)
    undo.callback(glfw.destroy_window, handle)
    glfw.make_context_current(handle)
    listen(_log_complaint)
    return handle


def _let_textures_choose_their_filter() -> None:
    """Remove the sampler objects of imgui's renderer.

    It binds a linear one over all textures, which hides their own filters (sharp pixels, mipmaps), and its switch for
    that is not reachable from Python (imgui-bundle 1.93). Binding a deleted sampler is defined to change nothing.
    """
    samplers = [name for name in range(1, 9) if GL.glIsSampler(name)]
    GL.glDeleteSamplers(len(samplers), samplers)


def _check_context() -> None:
    """Forget the errors of this frame (the missing samplers make some); raise if the driver was reset."""
    for _ in range(64):  # a lost context reports an error for ever
        error = GL.glGetError()
        if error == GL_CONTEXT_LOST:
            raise GraphicsLost(
                'The graphics driver was reset and what the window showed is lost: start the program again.'
            )
        if error == GL.GL_NO_ERROR:
            return


def _log_complaint(code: int, text: bytes) -> None:
    LOG.warning('GLFW: %s [%#x]', text.decode(errors='replace'), code)


def _fit_to_monitor(handle: Any) -> None:
    """Make a window that is larger than what the monitor has free as large as that, and put it there."""
    monitor = glfw.get_primary_monitor()
    if not monitor:
        return
    left, top, width, height = glfw.get_monitor_workarea(monitor)
    frame_left, frame_top, frame_right, frame_bottom = glfw.get_window_frame_size(handle)
    free = (width - frame_left - frame_right, height - frame_top - frame_bottom)
    wanted = glfw.get_window_size(handle)
    if min(free) > 0 and (wanted[0] > free[0] or wanted[1] > free[1]):
        glfw.set_window_size(handle, min(wanted[0], free[0]), min(wanted[1], free[1]))
        glfw.set_window_pos(handle, left + frame_left, top + frame_top)


def _pixels_per_unit(handle: Any) -> float:
    """1, except where GLFW measures windows in points that hold several pixels (macOS)."""
    return glfw.get_framebuffer_size(handle)[0] / max(glfw.get_window_size(handle)[0], 1) or 1.0


def _monitor_scale(handle: Any, *, synthetic: bool) -> float:
    """The monitor's scale, less what its points already contain (on macOS imgui sees points, not pixels)."""
    if synthetic:
        return 1.0
    return max(glfw.get_window_content_scale(handle)[0] / _pixels_per_unit(handle), 0.5)

"""The window: opening, frames, sizes, scales, events, and the way back to nothing."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from imgui_bundle import ImVec2, imgui

from gui_utils import theme, widgets
from gui_utils.testing import WindowDriver
from gui_utils.window import Frame, GraphicsLost, Window

ROOT = Path(__file__).parents[2]
MakeWindow = Callable[..., Window]
GL_CONTEXT_LOST = 0x0507  # of OpenGL 4.5

pytestmark = pytest.mark.display


def draw_square(window: Window) -> np.ndarray:
    """A frame with a red square of 20 pixels at (10, 30) on the bare background."""
    with window.frame():
        canvas = imgui.get_background_draw_list()
        canvas.add_rect_filled(ImVec2(10, 30), ImVec2(30, 50), theme.rgba((1.0, 0.0, 0.0, 1.0)))
    return window.pixels()


def run_python(code: str, *, display: str | None = None, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key not in ('DISPLAY', 'WAYLAND_DISPLAY')}
    environment |= {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'} | ({'DISPLAY': display} if display else {})
    command = [*under, sys.executable, '-c', code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_headless_frame_holds_exactly_what_was_drawn(open_headless: MakeWindow) -> None:
    pixels = draw_square(open_headless((64, 60)))
    assert pixels.shape == (60, 64, 3)
    assert pixels.dtype == np.uint8
    red = (pixels == (255, 0, 0)).all(axis=2)
    expected = np.zeros((60, 64), bool)
    expected[30:50, 10:30] = True
    np.testing.assert_array_equal(red, expected)
    np.testing.assert_array_equal(pixels[0, 0], [round(255 * channel) for channel in theme.BACKGROUND[:3]])


def test_time_without_a_display_advances_by_a_sixtieth_a_frame(open_headless: MakeWindow) -> None:
    window = open_headless()
    for _ in range(2):
        with window.frame() as frame:
            assert frame.seconds == pytest.approx(1 / 60)
            assert frame.size == (320, 240)
            assert frame.scale == 1.0


def test_a_resized_window_draws_in_its_new_size(open_headless: MakeWindow) -> None:
    window = open_headless((64, 60))
    draw_square(window)
    window.resize((100, 80))
    pixels = draw_square(window)
    assert pixels.shape == (80, 100, 3)
    assert (pixels[30:50, 10:30] == (255, 0, 0)).all()
    assert window.size == (100, 80)


def test_a_size_without_pixels_is_refused_in_words(open_headless: MakeWindow) -> None:
    with pytest.raises(ValueError, match='at least 1 pixel, got 0x80'):
        open_headless().resize((0, 80))


def test_scale_two_doubles_the_text_and_the_way_back_is_exact(open_headless: MakeWindow) -> None:
    window = open_headless((400, 200))

    def text_height() -> tuple[float, np.ndarray]:
        height = 0.0
        for _ in range(2):
            with window.frame():
                imgui.set_next_window_pos(ImVec2(0, 0))
                imgui.set_next_window_size(ImVec2(390, 150))
                with widgets.panel('Scale'):
                    widgets.slider('Value', 0.5, 0, 1)
                height = imgui.get_font_size()
        return height, window.pixels()

    single, before = text_height()
    window.set_scale(2.0)
    double, _ = text_height()
    window.set_scale(1.0)
    again, after = text_height()
    assert (single, double, again) == (16.0, 32.0, 16.0)
    np.testing.assert_array_equal(before, after)


def test_four_windows_one_after_the_other_leave_nothing_behind(open_headless: MakeWindow) -> None:
    pictures = []
    for _ in range(4):
        window = open_headless((64, 60))
        pictures.append(draw_square(window))
        window.close()
        window.close()  # closing twice is harmless
    for picture in pictures[1:]:
        np.testing.assert_array_equal(picture, pictures[0])
    assert imgui.get_current_context() is None


def test_a_closed_window_is_collected(open_headless: MakeWindow) -> None:
    from gui_utils.window import open_window

    open_headless().close()  # skips where there is no OpenGL
    window = open_window('Test', (64, 60), headless=True)
    draw_square(window)
    window.close()
    ghost = weakref.ref(window)
    del window
    gc.collect()
    assert ghost() is None


def test_a_second_window_is_refused_in_words(open_headless: MakeWindow) -> None:
    open_headless()
    with pytest.raises(RuntimeError, match='already open'):
        open_headless()


def test_a_frame_of_a_closed_window_is_refused_in_words(open_headless: MakeWindow) -> None:
    window = open_headless()
    window.close()
    with pytest.raises(RuntimeError, match='closed'), window.frame():
        pass


def test_an_exception_while_drawing_leaves_the_window_usable(open_headless: MakeWindow) -> None:
    window = open_headless((64, 60))
    before = draw_square(window)
    with pytest.raises(ZeroDivisionError), window.frame():
        imgui.begin('left open')
        imgui.push_style_color(imgui.Col_.text, 0)
        raise ZeroDivisionError
    np.testing.assert_array_equal(draw_square(window), before)


def test_a_reset_graphics_driver_is_reported(open_headless: MakeWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    window = open_headless()
    monkeypatch.setattr('gui_utils.glfw_window.GL.glGetError', lambda: GL_CONTEXT_LOST)
    with pytest.raises(GraphicsLost, match='start the program again'), window.frame():
        pass


def test_dropped_files_arrive_in_the_next_frame_once(open_headless: MakeWindow) -> None:
    window = open_headless()
    window.drop_files(['/tmp/a.pkl', '/tmp/ö b.png'])
    with window.frame() as frame:
        assert frame.dropped_files == ('/tmp/a.pkl', '/tmp/ö b.png')
    with window.frame() as frame:
        assert frame.dropped_files == ()


def test_a_closed_window_says_so(open_headless: MakeWindow) -> None:
    window = open_headless()
    assert not window.should_close()
    window.close()
    assert window.should_close()


def test_an_idle_frame_ends_when_another_thread_wakes_it(
    open_headless: MakeWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_headless()
    monkeypatch.setattr('gui_utils.glfw_window.HOVER_SECONDS', 0.0)  # no extra frames for tooltips: it truly waits
    for _ in range(5):
        with window.frame():
            pass
    thread = threading.Thread(target=window.wake)
    started = time.monotonic()
    thread.start()
    with window.frame(wait_seconds=20):
        pass
    thread.join()
    assert time.monotonic() - started < 10


def test_an_idle_frame_comes_back_by_itself(open_headless: MakeWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    window = open_headless()
    monkeypatch.setattr('gui_utils.glfw_window.HOVER_SECONDS', 0.0)
    for _ in range(5):
        with window.frame():
            pass
    started = time.monotonic()
    with window.frame(wait_seconds=0.05):
        pass
    assert time.monotonic() - started >= 0.05


def test_waking_a_closed_window_does_nothing(open_headless: MakeWindow) -> None:
    window = open_headless()
    window.close()
    window.wake()


def test_the_clipboard_returns_what_was_put_there(open_headless: MakeWindow) -> None:
    window = open_headless()
    window.set_clipboard('grüße')
    assert imgui.get_clipboard_text() == 'grüße'


def test_opengl_says_who_it_is(open_headless: MakeWindow) -> None:
    info = open_headless().gl_info()
    assert set(info) == {'vendor', 'renderer', 'version', 'platform'}
    assert all(info.values())
    assert int(info['version'][0]) >= 3


def test_the_arrangement_is_kept_in_the_file_that_was_named(open_headless: MakeWindow, tmp_path: Path) -> None:
    ini = tmp_path / 'new folder' / 'layout.ini'

    def position(wanted: ImVec2 | None) -> tuple[float, float]:
        window = open_headless(ini_path=ini)
        with window.frame():
            if wanted:
                imgui.set_next_window_pos(wanted)
            with widgets.panel('Kept'):
                found = imgui.get_window_pos()
        window.close()
        return found.x, found.y

    assert position(ImVec2(120, 90)) == (120, 90)
    assert position(None) == (120, 90)


def test_the_driver_drags_a_slider_in_the_whole_window(open_headless: MakeWindow) -> None:
    values = [0.0]

    def draw(frame: Frame) -> None:
        imgui.set_next_window_size(ImVec2(300, 200))
        with widgets.panel('Panel'):
            values[0] = widgets.slider('Amount', values[0], 0, 1)

    with WindowDriver(open_headless(), draw) as driver:
        before = driver.pixels()
        driver.drag('Amount', start=(0.0, 0.5), to=(0.5, 0.5))
        assert values[0] == pytest.approx(0.5, abs=0.01)
        driver.drag('Amount', start=(0.5, 0.5), to=(1.5, 0.5))
        assert values[0] == 1.0
        assert (driver.pixels() != before).any()
        driver.drop(['x.pkl'])


def test_the_driver_scrolls_to_what_does_not_show(open_headless: MakeWindow) -> None:
    clicked: list[int] = []

    def draw(frame: Frame) -> None:
        imgui.set_next_window_size(ImVec2(300, 200))
        with widgets.panel('Long'):
            clicked.extend(number for number in range(40) if widgets.button(f'Button {number}'))

    with WindowDriver(open_headless(), draw) as driver:
        driver.click('Button 37')
        driver.click('Button 2')
    assert clicked == [37, 2]


def test_opening_without_a_display_names_the_cure() -> None:
    if not sys.platform.startswith('linux'):
        pytest.skip('macOS and Windows always have a display')
    done = run_python(
        'from gui_utils.window import open_window, NoDisplay\n'
        'try: open_window("x", (64, 60))\n'
        'except NoDisplay as error: print(error)'
    )
    assert '--headless' in done.stdout
    assert 'apt-get install -y --no-install-recommends libgl1 libegl1' in done.stdout
    assert done.stdout.count('\n') == 1, done.stderr


def test_importing_the_window_loads_no_heavy_library() -> None:
    done = run_python(
        'import sys; import gui_utils.window\n'
        'early = {"imgui_bundle", "glfw", "OpenGL"} & set(sys.modules)\n'
        'import gui_utils.widgets, gui_utils.plots, gui_utils.glfw_window\n'
        'print(early, {"torch", "PIL", "imageio", "matplotlib", "scipy"} & set(sys.modules))'
    )
    assert done.stdout.strip() == 'set() set()', done.stderr


COMPARE = """
import numpy as np
from imgui_bundle import imgui, ImVec2
from gui_utils import widgets
from gui_utils.window import open_window

def picture(**options):
    with open_window('Test', (500, 300), scale=1.5, **options) as window:
        for _ in range(4):
            with window.frame():
                imgui.set_next_window_pos(ImVec2(7, 5))
                imgui.set_next_window_size(ImVec2(450, 260))
                with widgets.panel('Compare'):
                    widgets.heading('Größe ½ ψ')
                    widgets.slider('Amount', 0.3, 0, 1, default=0.5)
                    widgets.segmented('Kind', 'a', ('a', 'b', 'c'))
                    widgets.notice('warning', 'A banner with some words in it.')
        return window.pixels(), window.gl_info()['platform']

screen, name = picture(synthetic_input=True)
headless, other = picture(headless=True)
assert (name, other) == ('screen', 'headless')
print(screen.shape == headless.shape == (300, 500, 3), int((screen != headless).sum()), int(screen.max()) > 200)
"""


def test_a_window_on_screen_and_a_headless_one_are_equal_bit_for_bit(open_headless: MakeWindow) -> None:
    open_headless().close()  # skips where there is no OpenGL
    xvfb = shutil.which('xvfb-run')
    if xvfb is None:
        pytest.skip('xvfb-run is not installed: apt-get install -y --no-install-recommends xvfb xauth')
    done = run_python(COMPARE, under=(xvfb, '-a'))
    assert done.stdout.strip() == 'True 0 True', done.stderr


LIVE = """
import gc, weakref
from imgui_bundle import imgui
from gui_utils.opengl import glfw
from gui_utils.window import open_window

with open_window('Test', (300, 200), ini_path=None) as window:
    seconds = []
    for turn in range(4):
        with window.frame(wait_seconds=0.05) as frame:
            imgui.text('alive')
            seconds.append(frame.seconds)
    window.set_title('Other');
    window.resize((260, 180))
    for turn in range(20):
        with window.frame(wait_seconds=0.05) as frame: imgui.text('alive')
    measure = glfw.get_framebuffer_size
    glfw.get_framebuffer_size = lambda handle: (0, 0)   # what a minimised window reports on Windows
    for turn in range(2):
        with window.frame() as frame: imgui.text('unseen')
    glfw.get_framebuffer_size = measure
    with window.frame() as frame: imgui.text('alive')
    print(window.pixels().shape[2], all(0 < s <= 0.1 for s in seconds), window.size, window.scale)
ghost = weakref.ref(window)
del window
gc.collect()
print(ghost())
with open_window('Too large', (5000, 4000)) as window:
    for turn in range(20):
        with window.frame(wait_seconds=0.05) as frame: imgui.text('alive')
    print(window.size)
"""


def test_a_live_window_fits_the_monitor_resizes_hides_and_closes() -> None:
    xvfb = shutil.which('xvfb-run')
    if xvfb is None:
        pytest.skip('xvfb-run is not installed: apt-get install -y --no-install-recommends xvfb xauth')
    done = run_python(LIVE, under=(xvfb, '-a', '-s', '-screen 0 1280x800x24'))
    assert done.stdout.splitlines() == ['3 True (260, 180) 1.0', 'None', '(1280, 800)'], done.stderr


def test_a_pause_ends_when_the_window_is_woken(open_headless: MakeWindow) -> None:
    window = open_headless()
    thread = threading.Thread(target=window.wake)
    started = time.monotonic()
    thread.start()
    with window.frame(pause_seconds=20):
        pass
    thread.join()
    assert time.monotonic() - started < 10


def test_a_pause_ends_by_itself(open_headless: MakeWindow) -> None:
    window = open_headless()
    with window.frame():
        pass
    started = time.monotonic()
    with window.frame(pause_seconds=0.05):
        pass
    assert time.monotonic() - started >= 0.05

"""Windows for tests. The skip has one reason only, no OpenGL; REQUIRE_DISPLAY=1 turns it into a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gui_utils.testing import PanelTester
from gui_utils.window import NoDisplay, Window, open_window


@pytest.fixture
def open_headless() -> Iterator[Callable[..., Window]]:
    """`open_window` without a display; what the test leaves open is closed."""
    opened: list[Window] = []

    def make(size: tuple[int, int] = (320, 240), **options: Any) -> Window:
        try:
            opened.append(open_window('Test', size, headless=True, **options))
        except NoDisplay as error:
            if os.environ.get('REQUIRE_DISPLAY') == '1':
                raise
            pytest.skip(f'no OpenGL here: {error}')
        return opened[-1]

    yield make
    for window in opened:
        window.close()


@pytest.fixture
def tester() -> Iterator[PanelTester]:
    """A `PanelTester` that needs neither window nor graphics card."""
    with PanelTester() as made:
        yield made

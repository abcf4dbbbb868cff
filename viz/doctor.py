"""What this machine offers for drawing: libraries, display, and who draws. Nothing is imported that may be missing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gui_utils.graphics import check_graphics, no_display


def graphics_report() -> dict[str, Any]:
    """Findings about libraries and display, and the OpenGL that a headless window gets, in JSON types."""
    return {'graphics': [asdict(finding) for finding in check_graphics()], 'gl': _opengl()}


def cannot_draw(error: Exception, *, headless: bool) -> str:
    """Why the drawing libraries cannot be imported and what to do, as one sentence."""
    return str(no_display(str(error), headless=headless))


def _opengl() -> dict[str, str]:
    """Vendor, renderer and version of a window without display, or why there is none."""
    try:
        from gui_utils.window import open_window

        with open_window('AliasScope doctor', (64, 64), headless=True) as window:
            return dict(window.gl_info())
    except Exception as error:  # drivers fail in their own ways: the doctor must say it, not die of it
        return {'error': ' '.join(f'{type(error).__name__}: {error}'.split())}

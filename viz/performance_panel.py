"""How fast, on what, and why not faster."""

from __future__ import annotations

import numpy as np

from gui_utils import plots, widgets
from gui_utils.plots import Series
from render.session import PerformanceState
from viz import hints
from viz.editing import updated
from viz.view import FRAME_TIMES, Desk

DRAGGING = {'part': 'Exact part', 'whole': 'Whole picture'}
PRECISIONS = {'network': "Network's", 'float32': 'float32'}
FRAMES = np.arange(FRAME_TIMES, dtype=np.float32)


def performance_panel(state: PerformanceState, desk: Desk) -> PerformanceState:
    """Times, backends and memory; returns the state with the chosen precision."""
    notes = desk.side.result.notes if desk.side.result else ()
    if complaint := hints.kernel_complaint(notes):
        widgets.notice('warning', complaint, can_dismiss=False)
    precision = widgets.segmented(
        'Precision',
        state.precision,
        PRECISIONS,
        default='network',
        tooltip='float32: every layer in single precision, for comparison.',
    )
    dragging = widgets.segmented(
        'Dragging',
        state.dragging,
        DRAGGING,
        default='part',
        tooltip='What a network that is slower than the hand shows while it drags: as large a part of the picture as can follow, '
        'each pixel as in the whole one; or whole pictures, fewer of them.',
    )
    widgets.property_table(summary_rows(desk))
    _frame_plot(desk)
    with widgets.section('Operators', tooltip='Which implementation runs, and why.') as is_open:
        if is_open:
            widgets.property_table([split_note(note) for note in notes], name='operators')
    return updated(state, precision=precision, dragging=dragging)


def summary_rows(desk: Desk) -> list[tuple[str, str]]:
    """Names and values of what was measured."""
    view, speed = desk.view, desk.side.speed
    frame = desk.times.mean_frame()
    return [
        ('Device', view.measured.device or 'not known yet'),
        ('Render', hints.render_time(speed) or '–'),
        ('Part', hints.duration(speed.part_seconds) if speed.part_seconds else '–'),
        ('Pictures', f'{view.measured.renders_a_second:.1f} /s' if view.measured.renders_a_second else '–'),
        ('Window', f'{frame:.1f} ms a frame' if frame else '–'),
        ('Memory', f'{view.measured.memory_bytes / 2**20:,.0f} MiB' if view.measured.memory_bytes else '–'),
        ('Graphics', view.graphics or '–'),
    ]


def split_note(note: str) -> tuple[str, str]:
    """'name: text' as a row of a table; a note without a name as text alone."""
    name, colon, text = note.partition(': ')
    return (name, text) if colon and ' ' not in name else ('', note)


def _frame_plot(desk: Desk) -> None:
    times = desk.times
    series = (
        Series('frame', np.roll(times.frames, -times.start), FRAMES),
        Series('panels', np.roll(times.panels, -times.start), FRAMES),
    )
    top = float(max(20.0, 10 * np.ceil(max(times.frames.max(), times.panels.max()) / 10)))
    plots.line_plot('##frames', series, y_label='ms', x_limits=(0, FRAME_TIMES - 1), y_limits=(0.0, top), height=9.0)

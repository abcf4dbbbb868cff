"""The line over a view that measures by itself: how far it is, what went wrong, or what is shown."""

from __future__ import annotations

from imgui_bundle import icons_fontawesome_6 as icons
from imgui_bundle import imgui

from gui_utils import theme, widgets
from viz.surveys import CancelSurvey, Chart, RepeatSurvey, What
from viz.view import Desk

OLD_ALPHA = 0.35
"""Of what is drawn of an older subject while the new one is measured."""


def survey_row(what: What, chart: Chart, desk: Desk, *, words: str = '', can_retry: bool = False) -> bool:
    """Draw it; returns whether there is a value to draw.

    `words`: what is shown, when nothing is going on. `can_retry`: what failed may go well the next time.
    """
    if chart.running is not None and chart.running == chart.wanted:
        if widgets.progress(chart.fraction, chart.text or 'Measuring …'):
            desk.ask(CancelSurvey(what))
    elif chart.complaint:
        widgets.notice('bad' if can_retry else 'info', chart.complaint, can_dismiss=False)
        if can_retry and widgets.button(f'Try again##{what}', icon=icons.ICON_FA_ARROW_ROTATE_RIGHT):
            desk.ask(RepeatSurvey(what))
    elif chart.was_stopped:
        if widgets.button(
            f'Go on measuring##{what}', icon=icons.ICON_FA_PLAY, width=-1, tooltip='It was stopped by you.'
        ):
            desk.ask(RepeatSurvey(what))
    else:
        imgui.align_text_to_frame_padding()
        is_coming = not chart.is_current
        imgui.text_colored(theme.MUTED, 'Measured as soon as your hand rests …' if is_coming else words)
    return chart.value is not None and not chart.complaint


def alpha_of(chart: Chart) -> float:
    """How strongly the value is drawn: what is about something else than asked is dim."""
    return 1.0 if chart.is_current else OLD_ALPHA

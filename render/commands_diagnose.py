"""`visualizer.py analyze PATH --what diagnose`: causes of sticking on the terminal, as JSON, and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from render.diagnosis import to_json, to_text
from render.jobs_diagnose import diagnose
from render.report_html import html_report

if TYPE_CHECKING:
    from render.analyze_measures import Report, Task


def diagnose_report(task: Task) -> Report:
    """Causes, evidence, cures and what they change; with `--out`, a self-contained page beside the JSON."""
    from render.analyze_measures import Report  # which imports this module for its table of measurements

    job = diagnose(task.renderer, request=task.request, samples=task.samples, first_seed=task.seed)
    answer = task.run(job)
    return Report(to_json(answer), tuple(to_text(answer)), files={'diagnose.html': html_report(answer).encode('utf-8')})

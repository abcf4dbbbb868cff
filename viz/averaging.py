"""The mean spectrum over many latents: asked for by the spectrum panel, computed by the worker."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from render import jobs
from render.request import RenderRequest
from render.result import Spectrum
from render.session import Session, SideName, to_request
from render.worker import RenderWorker
from viz.view import Average, Task, View, average_subject

AVERAGE_JOB = 'average'


class Averaging:
    """At most one spectrum that is being averaged."""

    def __init__(self, worker: RenderWorker) -> None:
        self._worker = worker
        self._subject: tuple[SideName, RenderRequest] | None = None

    def start(self, session: Session, view: View, count: int) -> View:
        """Begin to average what the active side shows over `count` latents; the view that says so."""
        name: SideName = session.active if session.b is not None else 'a'
        request = to_request(session, name)
        if request is None:
            return view
        self._subject = (name, average_subject(request))
        self._worker.start(partial(jobs.average_spectrum, request=request, count=count), name=AVERAGE_JOB)
        return replace(view, averaging=Task('Averaging …', 0.0, f'0 of {count} latents'))

    def cancel(self) -> None:
        """Stop; the mean so far stays."""
        self._worker.cancel(AVERAGE_JOB)

    def poll(self, view: View) -> View:
        """The view with what came since the last call; the same object if nothing did."""
        report = self._worker.poll_job(AVERAGE_JOB) if self._subject is not None else None
        if report is None or self._subject is None:
            return view
        name, subject = self._subject
        spectrum = report.outcome if report.done else report.progress.partial
        if isinstance(spectrum, Spectrum):
            view = view.with_side(name, replace(view.side(name), average=Average(spectrum, subject)))
        if not report.done:
            return replace(view, averaging=Task('Averaging …', report.progress.fraction, report.progress.text))
        self._subject = None
        view = replace(view, averaging=None)
        return view if report.error is None else view.noticed(report.error, 'bad')

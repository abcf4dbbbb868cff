"""The mean spectrum over many latents: asked for by the spectrum panel, computed by the worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from render import jobs
from render.compare import picture_request, pictures
from render.request import RenderRequest
from render.result import Spectrum
from render.session import PictureName, Session
from render.worker import JobReport, RenderWorker
from viz.view import Average, Task, View, average_subject


class Averaging:
    """At most one spectrum of each picture that is shown, being averaged."""

    def __init__(self, worker: RenderWorker) -> None:
        self._worker = worker
        self._running: dict[PictureName, _Running] = {}

    def start(self, session: Session, view: View, count: int) -> View:
        """Begin to average what is shown, each picture over the same `count` latents; the view that says so."""
        for name in pictures(session):
            request = picture_request(session, name)
            if request is not None:
                self._running[name] = _Running(average_subject(request), 0.0)
                job = partial(jobs.average_spectrum, request=request, count=count)
                self._worker.start(job, name=_job(name), yields=True)
        return replace(view, averaging=Task('Averaging …', 0.0, f'0 of {count} latents')) if self._running else view

    def cancel(self) -> None:
        """Stop; the means so far stay."""
        for name in self._running:
            self._worker.cancel(_job(name))

    def poll(self, view: View) -> View:
        """The view with what came since the last call; the same object if nothing did."""
        for name, running in tuple(self._running.items()):
            report = self._worker.poll_job(_job(name))
            if report is not None:
                view = self._received(view, name, running, report)
        return view

    def _received(self, view: View, name: PictureName, running: _Running, report: JobReport) -> View:
        spectrum = report.outcome if report.done else report.progress.partial
        if isinstance(spectrum, Spectrum):
            view = view.with_side(name, replace(view.side(name), average=Average(spectrum, running.subject)))
        if report.done:
            del self._running[name]
        else:
            self._running[name] = replace(running, fraction=report.progress.fraction or 0.0)
        if report.error is not None:
            view = view.noticed(report.error, 'bad')
        if not self._running:
            return replace(view, averaging=None)
        fraction = min(one.fraction for one in self._running.values())
        return replace(view, averaging=Task('Averaging …', fraction, report.progress.text))


@dataclass(frozen=True, slots=True)
class _Running:
    """An average that is being made."""

    subject: RenderRequest
    fraction: float


def _job(name: PictureName) -> str:
    """The worker's name for the average of one picture."""
    return f'average {name}'

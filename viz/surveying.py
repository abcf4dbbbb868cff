"""Measures what views wish for while they are looked at: after a moment's rest, one step at a time, never in the way."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from imgui_bundle import imgui

from render.jobs_measure import alias_budgets, channel_triage, layer_stages, waterfall
from render.session import Session, SideName, to_request
from render.worker import JobReport, RenderWorker, StartJob
from viz.surveys import (
    CancelSurvey,
    Chart,
    Charts,
    ChooseReal,
    RepeatSurvey,
    Subject,
    Survey,
    SurveyCommand,
    Surveys,
    What,
    subject_of,
)

SIDES: tuple[SideName, ...] = ('a', 'b')
REST_SECONDS = 0.35
"""Nothing may have changed for so long, so that nothing is measured on the way to another layer or seed."""
STAGE_CHANNELS, BUDGET_CHANNELS = 64, 4
"""Of a layer: enough for a spectrum and for a budget to 1 dB, and few enough to follow the hand."""
REAL_LIMIT = 256
"""Real pictures that are read: their mean spectrum hardly changes from there on."""


class Surveying:
    """The jobs behind views that measure by themselves. `poll` once a frame, `obey` for what the views wish."""

    def __init__(self, worker: RenderWorker) -> None:
        self._worker = worker
        self.surveys = Surveys()
        """What is known, for the panels."""
        self._resting: dict[tuple[SideName, What], tuple[Subject, float]] = {}
        self._renewed: set[tuple[SideName, What]] = set()

    @property
    def is_waiting(self) -> bool:
        """Whether something is measured, or will be as soon as the hand rests."""
        known = (chart for name in SIDES for chart in self.surveys.side(name).charts.values())
        return bool(self._resting) or any(chart.running is not None for chart in known)

    def obey(self, command: SurveyCommand, session: Session) -> None:
        """Do what a view asked for about the active side."""
        name = session.active if session.b is not None else 'a'
        match command:
            case Survey():
                self._want(name, command, session)
            case CancelSurvey(what):
                chart = self.surveys.side(name).of(what)
                self._worker.cancel(job_name(what, name))
                self._keep(name, what, replace(chart, running=None, ended=chart.running, error=''))
            case RepeatSurvey(what):
                self._keep(name, what, replace(self.surveys.side(name).of(what), ended=None, error=''))
            case ChooseReal(path):
                self.surveys = replace(self.surveys, real=path)

    def poll(self, session: Session) -> None:
        """Take what the jobs found since the last frame; forget wishes that were not renewed, and models that are gone."""
        self._resting = {key: rest for key, rest in self._resting.items() if key in self._renewed}
        self._renewed.clear()
        for name in SIDES:
            charts = self.surveys.side(name)
            side = session.b if name == 'b' else session.a
            if charts.model is not None and (side is None or side.model != charts.model):
                self._drop(name, charts)
                continue
            for what, chart in charts.charts.items():
                report = self._worker.poll_job(job_name(what, name)) if chart.running is not None else None
                if report is not None:
                    self._keep(name, what, received(chart, report))

    def _want(self, name: SideName, survey: Survey, session: Session) -> None:
        request = to_request(session, name)
        if request is None:
            return
        charts = self.surveys.side(name)
        key: tuple[SideName, What] = (name, survey.what)
        if charts.model != request.model:
            self._drop(name, charts)
            self.surveys = self.surveys.with_side(name, Charts(request.model))
        subject, chart = subject_of(survey, request), self.surveys.side(name).of(survey.what)
        if chart.wanted != subject:
            chart = replace(chart, wanted=subject)
        if chart.running is not None and chart.running != subject:
            self._worker.cancel(job_name(survey.what, name))
            chart = replace(chart, running=None)
        self._keep(name, survey.what, chart)
        if chart.has_tried(subject):
            self._resting.pop(key, None)
            return
        self._renewed.add(key)
        known, since = self._resting.get(key, (None, 0.0))
        if known != subject or imgui.is_mouse_down(imgui.MouseButton_.left):
            self._resting[key] = (subject, imgui.get_time())
        elif imgui.get_time() - since >= REST_SECONDS:
            del self._resting[key]
            self._worker.start(job_of(subject), name=job_name(survey.what, name), yields=True)
            self._keep(name, survey.what, replace(chart, running=subject, fraction=0.0, text='', ended=None, error=''))

    def _drop(self, name: SideName, charts: Charts) -> None:
        for what in charts.charts:
            self._worker.cancel(job_name(what, name))
        self.surveys = self.surveys.with_side(name, Charts())

    def _keep(self, name: SideName, what: What, chart: Chart) -> None:
        self.surveys = self.surveys.with_side(name, self.surveys.side(name).with_chart(what, chart))


def received(chart: Chart, report: JobReport) -> Chart:
    """`chart` with the newest state of its job."""
    value = report.outcome if report.done else report.progress.partial
    if value is not None:
        chart = replace(chart, value=value, subject=chart.running, is_whole=report.done)
    if not report.done:
        return replace(chart, fraction=report.progress.fraction or 0.0, text=report.progress.text)
    if report.error is not None:
        chart = replace(chart, ended=chart.running, error=report.error)
    return replace(chart, running=None)


def job_name(what: What, name: SideName) -> str:
    """The worker's name for one measurement of one side."""
    return f'survey {what} {name}'


def job_of(subject: Subject) -> StartJob:
    """The job that measures `subject`."""
    survey, request = subject.survey, subject.request
    match survey.what:
        case 'stages':
            return partial(
                layer_stages, request=request, layer=request.synthesis.layer or '', samples=1, first_seed=None,
                channels=STAGE_CHANNELS, budget_channels=BUDGET_CHANNELS,
            )  # fmt: skip
        case 'budgets':
            return partial(alias_budgets, request=request, samples=survey.samples, channels=BUDGET_CHANNELS)
        case 'waterfall':
            real = survey.real or None
            return partial(waterfall, request=request, samples=survey.samples, real=real, real_limit=REAL_LIMIT)
        case 'triage':
            return partial(
                channel_triage, request=request, layer=request.synthesis.layer or '', samples=survey.samples,
                alias_samples=int(survey.aliasing),
            )  # fmt: skip

"""Measuring in the background why textures stick; what becomes known is kept with what it was measured on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from render.compare import PICTURES, choices, picture_request, pictures
from render.diagnosis import Diagnosis, to_json
from render.jobs_diagnose import diagnose
from render.jobs_equivariance import METRICS, equivariance, layer_ladder
from render.jobs_measure import fixed_patterns, neighbourhood, registered_average, walk_strip
from render.measures import Strip
from render.png_session import save_png, shared_text, write_file
from render.report_html import html_report
from render.request import RenderRequest
from render.result import GeneratorInfo
from render.session import PictureName, Session, SideName
from render.session_file import BadFile
from render.worker import JobReport, RenderWorker, StartJob
from viz.captures import Said
from viz.commands import (
    CancelMeasuring,
    Diagnose,
    MeasureAverage,
    MeasureEquivariance,
    MeasureLadder,
    MeasurePatterns,
    MeasureRegistered,
    MeasureWalk,
    MeasuringCommand,
    SaveReport,
    SaveStrip,
)
from viz.files import capture_path
from viz.findings import (
    AVERAGE,
    DIAGNOSIS,
    LADDER,
    PATTERNS,
    REGISTERED,
    WALK,
    Bench,
    Laboratory,
    Measurement,
    Running,
    Value,
    subject_of,
)


class Measuring:
    """The laboratory's jobs, each with a name of its own, on the worker's thread."""

    def __init__(self, worker: RenderWorker) -> None:
        self._worker = worker
        self.laboratory = Laboratory()
        """What is known, for the panels."""

    def obey(self, command: MeasuringCommand, session: Session, model: GeneratorInfo | None) -> Said | None:
        """Do what a panel asked for about the active side, and what is to be compared about all pictures that are shown.

        A sentence if there is something to say.
        """
        name = session.active if session.b is not None else 'a'
        match command:
            case CancelMeasuring(what):
                for key, one in itertools.product(what, PICTURES):
                    self._worker.cancel(job_name(key, one))
            case SaveReport():
                return self._save(name, session, model)
            case SaveStrip():
                return self._save_strip(name, session, model)
            case _:
                compared = isinstance(command, MeasureEquivariance | MeasureLadder)
                for one in pictures(session) if compared else (name,):
                    request = picture_request(session, one)
                    if request is not None:
                        self._start(one, request, command)
        return None

    def poll(self, session: Session) -> None:
        """Take what the jobs found since the last call; drop what was measured on a model that is gone."""
        for name in PICTURES:
            bench = before = self.laboratory.bench(name)
            if bench.model is None:
                continue
            side = choices(session, name)
            if side.model != bench.model or (name == 'b' and session.b is None):
                bench = self._dropped(name, bench)
            for key in bench.running:
                report = self._worker.poll_job(job_name(key, name))
                bench = bench if report is None else _received(bench, key, report)
            if bench is not before:
                self.laboratory = self.laboratory.with_bench(name, bench)

    def _start(self, name: PictureName, request: RenderRequest, command: MeasuringCommand) -> None:
        jobs = _jobs(command, request)
        bench = self.laboratory.bench(name)
        if bench.model != request.model:
            bench = replace(self._dropped(name, bench), model=request.model)
        running, known, errors = dict(bench.running), dict(bench.known), dict(bench.errors)
        for key, job in jobs.items():
            running[key] = Running(subject_of(key, request), command=command)
            known.pop(key, None)
            errors.pop(key, None)
            self._worker.start(job, name=job_name(key, name), yields=True)
        bench = replace(
            bench, running=_kept(running), known=_kept(known), errors=_kept(errors),
            report='' if DIAGNOSIS in jobs else bench.report,
        )  # fmt: skip
        self.laboratory = self.laboratory.with_bench(name, bench)

    def _dropped(self, name: PictureName, bench: Bench) -> Bench:
        for key in bench.running:
            self._worker.cancel(job_name(key, name))
        return Bench()

    def _save(self, name: SideName, session: Session, model: GeneratorInfo | None) -> Said | None:
        bench = self.laboratory.bench(name)
        if bench.diagnosis is None:
            return None
        path = capture_path(session, model, '.html', what='diagnosis')
        try:
            save_report(path, bench.diagnosis)
        except BadFile as error:
            return Said(str(error), 'bad')
        self.laboratory = self.laboratory.with_bench(name, replace(bench, report=str(path)))
        return Said(f'Wrote {path}, and the same as JSON')

    def _save_strip(self, name: SideName, session: Session, model: GeneratorInfo | None) -> Said | None:
        strip = self.laboratory.bench(name).value(WALK, Strip)
        if strip is None:
            return None
        path = capture_path(session, model, '.png', what='walk')
        try:
            save_png(path, strip.image, shared_text(session))
        except BadFile as error:
            return Said(str(error), 'bad')
        return Said(f'Wrote {path}')


def save_report(path: Path, diagnosis: Diagnosis) -> None:
    """Write the page, and its numbers beside it under the same name as JSON. Raises `BadFile`."""
    text = json.dumps(to_json(diagnosis), indent=1, allow_nan=False, ensure_ascii=False)
    write_file(path, html_report(diagnosis).encode('utf-8'))
    write_file(path.with_suffix('.json'), text.encode('utf-8'))


def job_name(key: str, name: PictureName) -> str:
    """The worker's name for one measurement of one picture."""
    return f'measure {key} {name}'


def _jobs(command: MeasuringCommand, request: RenderRequest) -> dict[str, StartJob]:
    """The jobs of a wish, by key; each is given exactly what its outcome is said to depend on."""
    match command:
        case MeasureEquivariance(samples):
            return {
                one: partial(equivariance, request=subject_of(one, request), metric=one, samples=samples)
                for one in METRICS
            }
        case MeasureLadder():
            return {LADDER: partial(layer_ladder, request=subject_of(LADDER, request))}
        case Diagnose():
            return {DIAGNOSIS: partial(diagnose, request=subject_of(DIAGNOSIS, request))}
        case MeasureWalk(start, end, frames, stops, seed):
            walk: dict[str, Any] = {'start': start, 'end': end, 'frames': frames, 'stops': stops, 'first_seed': seed}
            return {WALK: partial(walk_strip, request=subject_of(WALK, request), **walk)}
        case MeasureAverage(samples, radius):
            job = partial(neighbourhood, request=subject_of(AVERAGE, request), samples=samples, radius=radius)
            return {AVERAGE: job}
        case MeasurePatterns(samples):
            return {PATTERNS: partial(fixed_patterns, request=subject_of(PATTERNS, request), samples=samples)}
        case MeasureRegistered(samples, rotate):
            job = partial(registered_average, request=subject_of(REGISTERED, request), samples=samples, rotate=rotate)
            return {REGISTERED: job}
    raise AssertionError(command)


def _received(bench: Bench, key: str, report: JobReport) -> Bench:
    """`bench` with the newest state of one of its jobs."""
    running, value = bench.running[key], report.outcome if report.done else report.progress.partial
    if isinstance(value, Value):
        found = Measurement(value, running.subject, running.command)
        bench = replace(bench, known=_kept({**bench.known, key: found}))
    if report.done:
        left = {other: one for other, one in bench.running.items() if other != key}
        errors = {**bench.errors, key: report.error} if report.error is not None else bench.errors
        return replace(bench, running=_kept(left), errors=_kept(errors))
    newest = replace(running, fraction=report.progress.fraction or 0.0, text=report.progress.text)
    return replace(bench, running=_kept({**bench.running, key: newest}))


def _kept(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))

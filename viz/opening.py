"""From a path to a picture: what a path may be, reading it in the background, and what is chosen afterwards."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from render import jobs
from render.jobs import Opened
from render.png_session import load_carried_session
from render.session import Session, Side, SideName
from render.session_file import BadFile, load_session
from render.worker import JobReport, RenderWorker
from viz.editing import with_comparison, with_named_side, with_recent
from viz.fitting import fit_side
from viz.view import Task

JOB = 'open'
SESSION_ENDINGS = ('.json', '.png', '.mp4')
PICTURE_ENDINGS = ('.jpg', '.jpeg', '.webp', '.gif', '.bmp', '.tif', '.tiff', '.avif')


@dataclass(frozen=True, slots=True)
class Plan:
    """One model to open, and what becomes of it."""

    path: str
    side: SideName = 'a'
    network: str = 'G_ema'
    target: Session | None = None
    """Choices to take over once the model is there: of a session file, or of the last time."""
    allow_code: bool = False
    """The user named a function of their own on the command line."""
    beside: bool = False
    """For side B, which comes into being if nothing is compared."""
    scrubs: bool = False
    """Another snapshot of the same training run: nothing to remember among what was opened."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A plan that came to nothing."""

    plan: Plan
    sentence: str


@dataclass(frozen=True, slots=True)
class Success:
    """A plan whose model is open."""

    plan: Plan
    opened: Opened


class Opening:
    """The models that wait to be opened, one at a time. A new wish of the user replaces the older ones."""

    def __init__(self, worker: RenderWorker) -> None:
        self._worker = worker
        self._waiting: deque[Plan] = deque()
        self._current: Plan | None = None
        self.task: Task | None = None
        """What is being opened, for the panels."""

    @property
    def is_busy(self) -> bool:
        """Whether anything is being opened or waits for it."""
        return self._current is not None or bool(self._waiting)

    def begin(self, plans: tuple[Plan, ...], seconds: float) -> None:
        """Open these, and nothing that waited before."""
        self._waiting = deque(plans)
        self._current = None
        self._next(seconds)

    def cancel(self) -> None:
        """Open nothing more."""
        self._waiting.clear()
        self._worker.cancel(JOB)

    def poll(self, seconds: float) -> Success | Failure | None:
        """What came of the current plan, once; None while it goes on."""
        report = self._worker.poll_job(JOB) if self._current is not None else None
        if report is None or self._current is None:
            return None
        if not report.done:
            self.task = replace(
                self._task(self._current, seconds), fraction=report.progress.fraction, text=report.progress.text
            )
            return None
        plan, self._current, self.task = self._current, None, None
        if report.error is not None:
            self._waiting.clear()
            return Failure(plan, report.error)
        self._next(seconds)
        return _outcome(plan, report)

    def _next(self, seconds: float) -> None:
        if not self._waiting:
            return
        plan = self._current = self._waiting.popleft()
        self.task = self._task(plan, seconds)
        job = partial(jobs.open_model, path=plan.path, network=plan.network, allow_code=plan.allow_code)
        self._worker.start(job, name=JOB)

    def _task(self, plan: Plan, seconds: float) -> Task:
        started = self.task.started if self.task else seconds
        return Task(f'Loading {shown_name(plan.path)} …', started=started)


def _outcome(plan: Plan, report: JobReport) -> Success | None:
    return Success(plan, report.outcome) if isinstance(report.outcome, Opened) else None  # None: cancelled


def plans_for(path: str, session: Session, *, beside: bool = False) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
    """What opening `path` means for the active side, and remarks. Raises `BadFile` when it means nothing.

    `beside`: a generator is opened as side B, next to the one that is open.
    """
    ending = Path(path).suffix.lower()
    if ending in PICTURE_ENDINGS:
        raise BadFile(
            'a-picture',
            f'{shown_name(path)} is a picture, not a generator: drop a model, a session, or a PNG saved by AliasScope.',
        )
    if ending in SESSION_ENDINGS:
        target, remarks = load_session(path) if ending == '.json' else load_carried_session(path)
        return plans_of_session(target), remarks
    if beside and session.a.model is not None:
        return (Plan(path, 'b', beside=True),), ()
    return (Plan(path, session.active if session.b is not None else 'a'),), ()


def is_session(path: str) -> bool:
    """Whether a path names a session, or a picture that may carry one, and not a generator."""
    return Path(path).suffix.lower() in SESSION_ENDINGS


def plans_of_session(target: Session) -> tuple[Plan, ...]:
    """The models that a session needs. Raises `BadFile` if it names none."""
    if target.a.model is None:
        raise BadFile('no-model', 'This session names no generator: open one, then save the session again.')
    plans = [Plan(target.a.model.path, 'a', target.a.model.network, target)]
    if target.b is not None and target.b.model is not None:
        plans.append(Plan(target.b.model.path, 'b', target.b.model.network))
    return tuple(plans)


def choose_dropped(paths: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Which of several dropped files to open, and a sentence about the others.

    Two generators are opened side by side; else the first file that may hold something.
    """
    useful = [path for path in paths if Path(path).suffix.lower() not in PICTURE_ENDINGS]
    chosen = tuple(useful[:2]) if len(useful) > 1 and not any(map(is_session, useful[:2])) else tuple(useful[:1])
    chosen = chosen or paths[:1]
    if len(chosen) == len(paths):
        return chosen, None
    names = ' and '.join(map(shown_name, chosen))
    return chosen, f'{len(paths)} files were dropped; only {names} {"is" if len(chosen) == 1 else "are"} opened.'


def after_opening(session: Session, success: Success) -> Session:
    """The session once a plan has come true: its target's choices, fitted to the model that is there."""
    plan, opened = success.plan, success.opened
    if plan.target is not None:
        kept = plan.target
        session = replace(
            kept, b=_without_model(kept.b), recent=session.recent, window=session.window, capture=session.capture
        )
    if plan.beside and session.b is None:
        session = with_comparison(session, on=True)
        session = replace(session, active='a', compare=replace(session.compare, original=False))
    side = session.side(plan.side) if plan.side == 'a' or session.b is not None else session.a
    side = fit_side(replace(side, model=opened.key), opened.info)
    session = with_named_side(session, plan.side, side) if plan.side == 'a' or session.b is not None else session
    return session if plan.scrubs else with_recent(session, plan.path)


def remark_after(success: Success) -> str | None:
    """A sentence if the model is not the one that the session was made with."""
    target = success.plan.target
    if target is None or target.a.model is None or target.a.model.sha256 in ('', success.opened.key.sha256):
        return None
    return f'{shown_name(success.plan.path)} is not the file that the session was made with: the picture may differ.'


def _without_model(side: Side | None) -> Side | None:
    """The second side waits for its own model."""
    return None if side is None else replace(side, model=None)


def shown_name(path: str) -> str:
    """A path in a sentence: its last part; 'demo:' and functions as they are."""
    name = Path(path).name
    return path if ':' in path and not Path(path).exists() else name or path

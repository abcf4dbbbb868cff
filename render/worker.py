"""One background thread that renders and runs jobs: the newest request wins, nothing starves. Standard library only.

The worker never imports torch itself: it is given a *factory* and calls it on its own thread, so a window can stand
before torch is there.

    worker = RenderWorker(make_renderer, on_result=window.wake)
    worker.submit(request)                      # every frame; equal requests cost nothing
    result = worker.poll()                      # RenderResult | None, each once, newest only
    worker.start(partial(jobs.open_model, path=path), name='open a')
    report = worker.poll_job('open a')          # JobReport | None, each state once
    worker.close()
"""

import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from networks.bad_file import BadFile
from render.request import RenderRequest, makes_worthless
from render.result import RenderResult

IsStale = Callable[[], bool]
"""Asked between layers: True means that nobody wants the answer any more, raise `Abandoned`."""
FRAMES_PER_STEP = 4
"""A job gets a step after so many frames in a row, however many more wait: a drag does not starve it."""
_MAX_SENTENCE = 300
_SETTLE_SECONDS = 0.05
"""Between two questions whether a provisional picture can be made for good."""

_log = logging.getLogger(__name__)


class Abandoned(Exception):
    """Raised inside a render or a job whose answer nobody wants any more."""


class Rendering(Protocol):
    """What the worker needs of a renderer."""

    def render(self, request: RenderRequest, is_stale: IsStale) -> RenderResult:
        """The answer to `request`; may raise `Abandoned` once `is_stale()` is true."""
        ...

    def is_settled(self) -> bool:
        """Whether rendering a request again whose result was `provisional` would be final. Asked only then."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    fraction: float | None = None
    """0 to 1; None = unknown."""
    text: str = ''
    partial: object | None = field(default=None, compare=False)
    """What is already known, of the same kind as the job's outcome."""


Job = Generator[Progress, None, Any]
"""A long task: yields after every short step, returns its outcome. Closing it cancels it."""
StartJob = Callable[[Any], Job]
"""Given the renderer (on the worker's thread), the job."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """The newest state of a job."""

    name: str
    progress: Progress = Progress(0.0)
    outcome: object | None = field(default=None, compare=False)
    """What the job returned, once `done` without `error`."""
    error: str | None = None
    done: bool = False
    cancelled: bool = False


@dataclass(slots=True)
class _Side:
    """The slots of one side of a comparison."""

    waiting: RenderRequest | None = None
    running: RenderRequest | None = None
    finished: RenderRequest | None = None
    result: RenderResult | None = None
    unwanted: bool = False
    """The running frame belongs to a side that was taken away."""
    provisional: bool = False
    """What was finished can be made better later."""
    again: bool = False
    """… namely now."""

    @property
    def coming(self) -> RenderRequest | None:
        """What this side will show if nothing else is asked."""
        return self.finished if self.running is None or self.unwanted else self.running


@dataclass(slots=True)
class _Running:
    """One job and its newest state."""

    start: StartJob
    report: JobReport
    steps: Job | None = None
    yields: bool = False  # takes no step while a hand is busy
    cancelled: bool = False
    fresh: bool = True
    """The report was not polled yet."""


def make_renderer(device: str = 'auto', *, wait_for_kernels: bool = False) -> Rendering:
    """A renderer on `device` ('auto', 'cpu', 'cuda'): the usual factory. Imports torch when called, not before.
    `wait_for_kernels`: every picture is final at once (for pictures that go into files), see `Renderer`."""
    from ops.fast_cpu.library import compile_early

    if wait_for_kernels:  # compile while torch is imported; a window that does not wait is there sooner without
        compile_early()
    from render.models import ModelStore, choose_device
    from render.renderer import Renderer

    return Renderer(ModelStore(choose_device(device)), wait_for_kernels=wait_for_kernels, repeats_first=True)


class RenderWorker:
    """Runs renders and jobs on one background thread; of waiting requests of a side only the newest survives.

    A running frame finishes, because abandoning it on every new request would show nothing for a whole drag. It is
    abandoned only when it is worthless: its side is gone, the worker closes, or what waits makes it so (`makes_worthless`).
    """

    def __init__(self, make_renderer: Callable[[], Rendering], on_result: Callable[[], None] = lambda: None):
        """`make_renderer` is called once, on the worker's thread. `on_result` is called there too, whenever there is
        something new to poll, to wake a sleeping window."""
        self._make_renderer = make_renderer
        self._on_result = on_result
        self._changed = threading.Condition()
        self._sides: dict[str, _Side] = {}
        self._jobs: dict[str, _Running] = {}
        self._replaced: list[Job] = []
        self._frames_in_a_row = 0
        self._hand_busy = False
        self._busy = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name='render', daemon=True)
        self._thread.start()

    # The window's side: returns at once.

    def submit(self, request: RenderRequest | None, side: str = 'a') -> None:
        """Ask for a picture; ignored if it is what `side` already has or awaits. None: this side shows nothing."""
        with self._changed:
            slots = self._sides.setdefault(side, _Side())
            if request is None:
                self._sides[side] = _Side(running=slots.running, unwanted=slots.running is not None)
            elif request == slots.coming:
                slots.waiting = None  # what waited was changed back
            elif request != slots.waiting:
                slots.waiting = request
            self._changed.notify_all()

    def poll(self, side: str = 'a') -> RenderResult | None:
        """The newest result of `side`, once; None if there is nothing new."""
        with self._changed:
            slots = self._sides.get(side)
            if slots is None:
                return None
            result, slots.result = slots.result, None
            return result

    def is_busy(self, side: str | None = None) -> bool:
        """Whether a picture of `side` (None: anything at all, jobs too) is waited for."""
        with self._changed:
            return self._has_work() if side is None else self._awaits(side)

    def start(self, job: StartJob, *, name: str = 'job', yields: bool = False) -> None:
        """Begin a job; one of the same `name` that still runs is cancelled and forgotten. `yields`: see `yield_to_hand`."""
        with self._changed:
            self._retire(name)
            self._jobs[name] = _Running(job, JobReport(name), yields=yields)
            self._changed.notify_all()

    def yield_to_hand(self, busy: bool) -> None:
        """While a hand drags, jobs that yield take no step, so that the picture follows at its full rate."""
        if busy != self._hand_busy:
            with self._changed:
                self._hand_busy = busy
                self._changed.notify_all()

    def cancel(self, name: str = 'job') -> None:
        """Stop a job at its next step; its last report has `cancelled`."""
        with self._changed:
            job = self._jobs.get(name)
            if job is not None and not job.report.done:
                job.cancelled = True
                self._changed.notify_all()

    def poll_job(self, name: str = 'job') -> JobReport | None:
        """The newest state of the job, once; None if nothing changed since. A job that is done is then forgotten."""
        with self._changed:
            job = self._jobs.get(name)
            if job is None or not job.fresh:
                return None
            job.fresh = False
            if job.report.done:
                del self._jobs[name]
            return job.report

    def wait(self, seconds: float | None = None) -> bool:
        """Block until nothing is left to render or to do; False if that took longer. For commands and tests."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._has_work() or self._closing, seconds)

    def close(self, seconds: float = 10.0) -> bool:
        """Abandon what runs, stop the thread; True if it ended in time."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # The worker's side.

    def _run(self) -> None:
        renderer: Rendering | None = None
        failure = ''
        try:
            renderer = self._make_renderer()
        except Exception as error:  # shown in the window: every request is answered with it
            failure = sentence(error)
            _log.exception('the renderer could not be made')
        while True:
            with self._changed:
                while not self._closing and self._next() is None:
                    self._improve(renderer)
                if self._closing:
                    break
                task = self._next()
                self._busy = True
            if task is not None and task[0] == 'frame':
                self._render(task[1], renderer, failure)
            elif task is not None:
                self._step(task[1], renderer, failure)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
        self._end_jobs()

    def _improve(self, renderer: Rendering | None) -> None:
        """Wait for something to do; or, where a picture is provisional, until it can be made for good."""
        provisional = [side for side in self._sides.values() if side.provisional]
        self._changed.wait(_SETTLE_SECONDS if provisional else None)
        if renderer is not None and provisional and renderer.is_settled():
            for side in provisional:
                side.provisional, side.again = False, True

    def _next(self) -> tuple[str, str] | None:
        """('frame', side), ('job', name), or None: frames first, but a job is never starved."""
        job = next((name for name, job in self._jobs.items() if self._may_step(job)), None)
        frame = next((name for name, side in self._sides.items() if side.waiting is not None or side.again), None)
        if job is not None and (frame is None or self._frames_in_a_row >= FRAMES_PER_STEP or self._jobs[job].cancelled):
            return 'job', job
        return None if frame is None else ('frame', frame)

    def _may_step(self, job: _Running) -> bool:
        return not job.report.done and (job.cancelled or not (job.yields and self._hand_busy))

    def _render(self, side: str, renderer: Rendering | None, failure: str) -> None:
        with self._changed:
            slots = self._sides.pop(side)
            self._sides[side] = slots  # to the end of the queue: sides take turns
            request = slots.waiting or (slots.finished if slots.again else None)
            slots.waiting, slots.again = None, False
            if request is None:
                return  # taken back meanwhile
            slots.running = request
            self._frames_in_a_row += 1
        started = time.perf_counter()
        result: RenderResult | None = None
        try:
            if renderer is None:
                raise RuntimeError(failure)
            result = renderer.render(request, lambda: self._is_worthless(side, request))
        except Abandoned:
            _log.debug('abandoned a frame of side %s', side)
        except Exception as error:  # shown over the old picture; the worker goes on
            if renderer is not None:
                tell = _log.warning if isinstance(error, BadFile) else _log.exception
                tell('the render failed: %s', error)
            result = RenderResult(request, error=sentence(error), seconds=time.perf_counter() - started)
        self._deliver(side, request, result)

    def _deliver(self, side: str, request: RenderRequest, result: RenderResult | None) -> None:
        with self._changed:
            slots = self._sides[side]
            wanted = not slots.unwanted
            slots.running, slots.unwanted = None, False
            if wanted and result is not None:
                slots.finished, slots.result, slots.provisional = request, result, result.provisional
            elif wanted and slots.waiting is None:
                slots.waiting = request  # abandoned, but wanted again meanwhile
        self._tell()

    def _is_worthless(self, side: str, request: RenderRequest) -> bool:
        if self._closing:
            return True
        slots = self._sides.get(side)  # no lock: a stale answer costs one more layer
        if slots is None or slots.unwanted:
            return True
        return slots.waiting is not None and makes_worthless(slots.waiting, request)

    def _step(self, name: str, renderer: Rendering | None, failure: str) -> None:
        """Advance one job by one step, and let the next one have the next turn."""
        with self._changed:
            self._frames_in_a_row = 0
            self._close_replaced()
            job = self._jobs.pop(name, None)
            if job is None:
                return
            self._jobs[name] = job
        report = job.report
        try:
            report = self._advance(job, renderer, failure)
        except Abandoned:
            report = JobReport(name, job.report.progress, done=True, cancelled=True)
        except Exception as error:  # shown where the job was started
            if renderer is not None:
                tell = _log.warning if isinstance(error, BadFile) else _log.exception  # its sentence says everything
                tell('the job %r failed: %s', name, error)
            report = JobReport(name, job.report.progress, error=sentence(error), done=True)
        with self._changed:
            changed = report != job.report or report.progress.partial is not job.report.progress.partial
            job.report, job.fresh = report, job.fresh or changed
        if changed:
            self._tell()

    def _advance(self, job: _Running, renderer: Rendering | None, failure: str) -> JobReport:
        name = job.report.name
        if renderer is None:
            raise RuntimeError(failure)
        if job.cancelled:
            if job.steps is not None:
                job.steps.close()
            return JobReport(name, job.report.progress, done=True, cancelled=True)
        if job.steps is None:
            job.steps = job.start(renderer)
        try:
            return JobReport(name, next(job.steps))
        except StopIteration as end:
            return JobReport(name, Progress(1.0, job.report.progress.text), outcome=end.value, done=True)

    def _retire(self, name: str) -> None:
        """Forget the job called `name`; its generator is closed on the worker's thread."""
        job = self._jobs.pop(name, None)
        if job is not None and job.steps is not None:
            self._replaced.append(job.steps)

    def _close_replaced(self) -> None:
        while self._replaced:
            steps = self._replaced.pop()
            try:
                steps.close()
            except Exception:  # its owner is gone: only the log can tell
                _log.exception('a cancelled job failed while it was closed')

    def _end_jobs(self) -> None:
        with self._changed:
            for name in list(self._jobs):
                self._retire(name)
            self._close_replaced()
            self._changed.notify_all()

    def _awaits(self, side: str) -> bool:
        slots = self._sides.get(side)
        return slots is not None and (slots.waiting is not None or slots.running is not None)

    def _has_work(self) -> bool:
        return self._busy or self._next() is not None or any(not job.report.done for job in self._jobs.values())

    def _tell(self) -> None:
        try:
            self._on_result()
        except Exception:  # a window that cannot be woken must not end the thread
            _log.exception('on_result failed')


def sentence(error: BaseException) -> str:
    """What went wrong, on one line, for people; errors that already speak in sentences are left alone."""
    text = ' '.join(str(error).split())
    if type(error).__name__ == 'OutOfMemoryError' or isinstance(error, MemoryError):
        return 'There is not enough memory for this picture; close the other model or choose a smaller layer.'
    if len(text) > _MAX_SENTENCE:
        text = text[: _MAX_SENTENCE - 1] + '…'
    if isinstance(error, (BadFile, ValueError, RuntimeError, OSError)):
        return text or f'{type(error).__name__} without a message; the log has the details.'
    return f'{type(error).__name__}: {text or "no message"}'

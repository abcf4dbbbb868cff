"""The worker with renderers that wait for the test: no sleeps, no torch."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from networks.bad_file import BadFile
from render.request import LatentSpec, ModelKey, Part, RenderRequest
from render.result import RenderResult
from render.worker import FRAMES_PER_STEP, Abandoned, IsStale, JobReport, Progress, RenderWorker, sentence

SECONDS = 20.0
KEY = ModelKey('a', 'a' * 64)


def request(seed: int, model: ModelKey = KEY) -> RenderRequest:
    return RenderRequest(model, LatentSpec(seeds=((seed, 1.0),)))


@dataclass
class GatedRenderer:
    """Renders when the test opens the gate, and tells which frames it was asked for."""

    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    seen: list[RenderRequest] = field(default_factory=list)
    honours_stale: bool = True
    fails: bool = False
    thread: str = ''
    settled: threading.Event | None = None
    """Until it is set, results are provisional."""

    def render(self, request: RenderRequest, is_stale: IsStale) -> RenderResult:
        self.seen.append(request)
        self.thread = threading.current_thread().name
        self.entered.release()
        assert self.gate.acquire(timeout=SECONDS)
        if self.honours_stale and is_stale():
            raise Abandoned
        if self.fails:
            raise ValueError('the layer\nis gone')
        return RenderResult(request, provisional=not self.is_settled())

    def is_settled(self) -> bool:
        return self.settled is None or self.settled.is_set()

    def started(self) -> RenderRequest:
        """The frame that was begun next."""
        assert self.entered.acquire(timeout=SECONDS)
        return self.seen[-1]


@pytest.fixture
def workers():
    made: list[tuple[RenderWorker, GatedRenderer]] = []

    def make(on_result: Callable[[], None] = lambda: None, **options) -> tuple[RenderWorker, GatedRenderer]:
        renderer = GatedRenderer(**options)
        worker = RenderWorker(lambda: renderer, on_result)
        made.append((worker, renderer))
        return worker, renderer

    yield make
    for worker, renderer in made:
        renderer.gate.release(1000)
        assert worker.close(SECONDS)


def finish(worker: RenderWorker, renderer: GatedRenderer, frames: int = 1) -> None:
    renderer.gate.release(frames)
    assert worker.wait(SECONDS)


def test_a_request_is_answered_once(workers):
    worker, renderer = workers()
    worker.submit(request(1))
    finish(worker, renderer)
    assert worker.poll() == RenderResult(request(1))
    assert worker.poll() is None


def test_the_renderer_is_made_and_used_on_the_workers_thread(workers):
    made_on = []
    renderer = GatedRenderer()

    def make():
        made_on.append(threading.current_thread().name)
        return renderer

    worker = RenderWorker(make)
    worker.submit(request(1))
    finish(worker, renderer)
    assert made_on == [renderer.thread] and made_on != [threading.current_thread().name]
    assert worker.close(SECONDS)


def test_of_waiting_requests_only_the_newest_is_rendered(workers):
    worker, renderer = workers()
    worker.submit(request(1))
    assert renderer.started() == request(1)
    for seed in (2, 3, 4):
        worker.submit(request(seed))
    finish(worker, renderer, 2)
    assert [one.latent.seeds[0][0] for one in renderer.seen] == [1, 4]
    assert worker.poll() == RenderResult(request(4))


def test_dragging_never_starves_the_view(workers):
    """A running frame finishes although newer requests came: each is shown."""
    worker, renderer = workers()
    worker.submit(request(0))
    shown = []
    for seed in range(1, 6):
        running = renderer.started()
        worker.submit(request(seed))
        renderer.gate.release()
        renderer_next = renderer.started()
        shown.append(worker.poll())
        renderer.entered.release()
        assert shown[-1] == RenderResult(running) and renderer_next == request(seed)
    finish(worker, renderer)
    assert worker.poll() == RenderResult(request(5))


def test_an_equal_request_costs_nothing(workers):
    worker, renderer = workers()
    worker.submit(request(1))
    renderer.started()
    worker.submit(request(1))
    finish(worker, renderer)
    worker.submit(request(1))
    assert not worker.is_busy() and len(renderer.seen) == 1


def test_going_back_to_the_running_request_forgets_the_waiting_one(workers):
    worker, renderer = workers()
    worker.submit(request(1))
    renderer.started()
    worker.submit(request(2))
    worker.submit(request(1))
    finish(worker, renderer)
    assert len(renderer.seen) == 1 and worker.poll() == RenderResult(request(1))


def test_a_frame_of_a_model_that_is_no_longer_wanted_is_abandoned(workers):
    worker, renderer = workers()
    other = ModelKey('b', 'b' * 64)
    worker.submit(request(1))
    renderer.started()
    worker.submit(request(1, other))
    renderer.gate.release()
    assert renderer.started().model == other
    assert worker.poll() is None
    finish(worker, renderer)
    assert worker.poll() == RenderResult(request(1, other))


def test_a_frame_with_another_latent_of_the_same_model_is_not_stale(workers):
    worker, renderer = workers()
    worker.submit(request(1))
    renderer.started()
    worker.submit(request(2))
    renderer.gate.release()
    renderer.started()
    assert worker.poll() == RenderResult(request(1))


def test_both_sides_take_turns(workers):
    worker, renderer = workers()
    worker.submit(request(0), 'a')
    renderer.started()
    order = []
    for seed in range(1, 7):
        worker.submit(request(2 * seed), 'a')
        worker.submit(request(2 * seed + 1), 'b')
        renderer.gate.release()
        order.append(renderer.started().latent.seeds[0][0] % 2)
    assert 2 <= sum(order) <= 4 and order[0] != order[1]


def test_results_of_one_side_are_not_polled_by_the_other(workers):
    worker, renderer = workers()
    worker.submit(request(1), 'a')
    worker.submit(request(2), 'b')
    finish(worker, renderer, 2)
    assert worker.poll('b') == RenderResult(request(2))
    assert worker.poll('a') == RenderResult(request(1))


def test_a_side_that_was_taken_away_gets_no_result(workers):
    worker, renderer = workers()
    worker.submit(request(1), 'b')
    renderer.started()
    worker.submit(None, 'b')
    finish(worker, renderer)
    assert worker.poll('b') is None
    worker.submit(request(1), 'b')
    finish(worker, renderer)
    assert worker.poll('b') == RenderResult(request(1))


def test_an_exception_becomes_a_sentence_and_the_worker_goes_on(workers):
    worker, renderer = workers(fails=True)
    worker.submit(request(1))
    finish(worker, renderer)
    result = worker.poll()
    assert result is not None and result.error == 'the layer is gone' and result.request == request(1)
    renderer.fails = False
    worker.submit(request(2))
    finish(worker, renderer)
    assert worker.poll() == RenderResult(request(2))


def test_a_renderer_that_cannot_be_made_answers_every_request_with_the_reason():
    def make():
        raise ModuleNotFoundError("No module named 'torch'")

    worker = RenderWorker(make)
    for seed in (1, 2):
        worker.submit(request(seed))
        assert worker.wait(SECONDS)
        result = worker.poll()
        assert result is not None and "No module named 'torch'" in (result.error or '')
    worker.start(lambda _: steps([]))
    assert worker.wait(SECONDS)
    report = worker.poll_job()
    assert report is not None and report.done and 'torch' in (report.error or '')
    assert worker.close(SECONDS)


def test_on_result_is_called_for_every_answer_and_may_fail(workers):
    called = threading.Semaphore(0)

    def wake() -> None:
        called.release()
        raise RuntimeError('the window is gone')

    worker, renderer = workers(on_result=wake)
    for seed in (1, 2):
        worker.submit(request(seed))
        finish(worker, renderer)
        assert called.acquire(timeout=SECONDS)


def test_closing_abandons_a_running_frame(workers):
    worker, renderer = workers()
    worker.submit(request(1))
    renderer.started()
    closing = threading.Thread(target=worker.close, args=(SECONDS,))
    closing.start()
    while not worker._closing:  # the flag is set before the join
        pass
    renderer.gate.release()
    closing.join(SECONDS)
    assert worker.poll() is None and not worker._thread.is_alive()


def test_a_provisional_picture_is_made_for_good_as_soon_as_possible(workers):
    called = threading.Semaphore(0)
    worker, renderer = workers(on_result=called.release, settled=threading.Event())
    worker.submit(request(1))
    finish(worker, renderer)
    assert called.acquire(timeout=SECONDS) and worker.poll().provisional
    renderer.settled.set()
    renderer.gate.release()
    assert called.acquire(timeout=SECONDS)
    worker.submit(request(1))  # what the window goes on asking for does not matter
    assert worker.wait(SECONDS) and not worker.poll().provisional
    assert len(renderer.seen) == 2 and not worker.is_busy()


def test_a_provisional_picture_that_was_replaced_is_not_made_again(workers):
    worker, renderer = workers(settled=threading.Event())
    worker.submit(request(1))
    finish(worker, renderer)
    worker.submit(request(2))
    renderer.settled.set()
    finish(worker, renderer, 2)
    assert worker.poll() == RenderResult(request(2))
    assert [one.latent.seeds[0][0] for one in renderer.seen if one != request(1)] == [2]


def steps(log: list[str], count: int = 3, gate: threading.Semaphore | None = None):
    """A job that notes each step and its end."""
    try:
        for index in range(count):
            if gate is not None:
                assert gate.acquire(timeout=SECONDS)
            log.append(f'step {index}')
            yield Progress((index + 1) / count, f'{index + 1} of {count}', partial=index)
        return 'outcome'
    finally:
        log.append('closed')


def test_a_job_reports_progress_and_its_outcome(workers):
    worker, _ = workers()
    log: list[str] = []
    worker.start(lambda renderer: steps(log), name='average')
    assert worker.wait(SECONDS)
    report = worker.poll_job('average')
    assert report == JobReport('average', Progress(1.0, '3 of 3'), done=True) and report.outcome == 'outcome'
    assert worker.poll_job('average') is None and log[-1] == 'closed'


def test_a_waiting_frame_goes_before_the_next_step(workers):
    worker, renderer = workers()
    log: list[str] = []
    gate = threading.Semaphore(0)
    worker.start(lambda renderer: steps(log, 3, gate))
    worker.submit(request(1))
    gate.release()
    renderer.started()
    assert len(log) <= 1
    renderer.gate.release()
    gate.release(3)
    assert worker.wait(SECONDS) and worker.poll() == RenderResult(request(1))


def test_frames_without_end_do_not_starve_a_job(workers):
    worker, renderer = workers()
    log: list[str] = []
    worker.submit(request(0))
    renderer.started()
    worker.start(lambda renderer: steps(log, 2))
    for seed in range(1, 2 * FRAMES_PER_STEP + 2):
        worker.submit(request(seed))
        renderer.gate.release()
        renderer.started()
    assert 'step 1' in log


def test_a_job_that_yields_takes_no_step_while_the_hand_is_busy(workers):
    worker, renderer = workers()
    log: list[str] = []
    worker.yield_to_hand(True)
    worker.start(lambda renderer: steps(log), yields=True)
    for seed in range(2 * FRAMES_PER_STEP):
        worker.submit(request(seed))
        renderer.gate.release()
        renderer.started()
    assert worker.is_busy() and log == []
    worker.yield_to_hand(False)
    assert worker.wait(SECONDS) and log[-1] == 'closed'


def test_a_job_that_rests_for_the_hand_can_be_cancelled(workers):
    worker, _ = workers()
    log: list[str] = []
    worker.yield_to_hand(True)
    worker.start(lambda renderer: steps(log), yields=True)
    worker.cancel()
    assert worker.wait(SECONDS) and log == []
    report = worker.poll_job()
    assert report is not None and report.cancelled


def test_an_expected_failure_is_logged_as_one_sentence(workers, caplog):
    def failing(renderer):
        raise BadFile('missing', 'x.pkl is not there; choose another file.')
        yield

    worker, _ = workers()
    worker.start(failing, name='open a')
    assert worker.wait(SECONDS)
    assert [(one.levelname, one.getMessage(), one.exc_info) for one in caplog.records] == [
        ('WARNING', "the job 'open a' failed: x.pkl is not there; choose another file.", None)
    ]


def test_a_cancelled_job_is_closed_and_says_so(workers):
    worker, _ = workers()
    log: list[str] = []
    gate = threading.Semaphore(0)
    worker.start(lambda renderer: steps(log, 1000, gate))
    gate.release(2)
    worker.cancel()
    gate.release(1000)
    assert worker.wait(SECONDS)
    report = worker.poll_job()
    assert report is not None and report.done and report.cancelled and report.error is None
    assert len(log) < 1001 and log[-1:] != ['step 999']


def test_a_new_job_of_the_same_name_replaces_the_old_one(workers):
    worker, _ = workers()
    old: list[str] = []
    new: list[str] = []
    gate = threading.Semaphore(0)
    worker.start(lambda renderer: steps(old, 1000, gate))
    gate.release()
    worker.start(lambda renderer: steps(new))
    gate.release(1000)
    assert worker.wait(SECONDS)
    assert new[-1] == 'closed' and old.count('closed') == (1 if old else 0) and 'step 999' not in old


def test_jobs_of_two_names_run_side_by_side(workers):
    worker, _ = workers()
    log: list[str] = []
    worker.start(lambda renderer: steps(log), name='open a')
    worker.start(lambda renderer: steps(log), name='open b')
    assert worker.wait(SECONDS)
    for name in ('open a', 'open b'):
        report = worker.poll_job(name)
        assert report is not None and report.outcome == 'outcome'


def test_a_job_that_fails_ends_with_a_sentence(workers):
    def failing(renderer):
        yield Progress(0.5)
        raise OSError('the disk is full')

    worker, _ = workers()
    worker.start(failing)
    assert worker.wait(SECONDS)
    report = worker.poll_job()
    assert report is not None and report.error == 'the disk is full' and report.done


def test_closing_closes_jobs(workers):
    worker, _ = workers()
    log: list[str] = []
    gate = threading.Semaphore(1)
    worker.start(lambda renderer: steps(log, 1000, gate))
    gate.release(1)
    closing = threading.Thread(target=worker.close, args=(SECONDS,))
    closing.start()
    while not worker._closing:
        pass
    gate.release(1000)
    closing.join(SECONDS)
    assert not worker._thread.is_alive() and (not log or log[-1] == 'closed')


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (MemoryError(), 'There is not enough memory'),
        (KeyError('w'), "KeyError: 'w'"),
        (RuntimeError('shapes\n  differ'), 'shapes differ'),
        (ValueError(''), 'ValueError without a message'),
    ],
)
def test_every_error_is_one_line(error: Exception, expected: str):
    assert sentence(error).startswith(expected) and '\n' not in sentence(error)


def test_a_whole_picture_is_abandoned_for_a_part_because_the_hand_moved_on(workers):
    worker, renderer = workers()
    whole = request(1)
    part = replace(request(2), synthesis=replace(whole.synthesis, part=Part(0, 0, 64, 64)))
    worker.submit(whole)
    renderer.started()
    worker.submit(part)
    renderer.gate.release()
    assert renderer.started() == part and worker.poll() is None
    finish(worker, renderer)
    assert worker.poll() == RenderResult(part)

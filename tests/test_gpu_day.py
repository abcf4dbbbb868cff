"""The command that does the waiting GPU work: what goes wrong in one step must not cost the others, nor the time."""

import importlib.util
import io
import json
import sys
import time
from pathlib import Path

import pytest

from benchmarks import gpu_day
from benchmarks.gpu_day import PARTS, ROOT, Step, attempt, main, run, why_not

PYTHON = ('{python}', '-c')


def test_a_step_that_fails_or_hangs_does_not_keep_the_next_from_running(monkeypatch, tmp_path: Path, capsys):
    steps = (
        Step('breaks', (*PYTHON, 'print("so far"); raise SystemExit(3)'), 20),
        Step('hangs', (*PYTHON, 'import time; print("begun", flush=True); time.sleep(60)'), 0.5),
        Step('is not there', ('no-such-program',), 20),
        Step('needs more', (*PYTHON, 'print(1)'), 20, needs=('no_such_module',)),
        Step('works', (*PYTHON, 'print("done")'), 20),
    )
    monkeypatch.setattr(gpu_day, 'PARTS', {1: steps})
    assert main(['--part', '1', '--out', str(tmp_path)]) == 1
    lines = [json.loads(line) for line in (tmp_path / 'part-1.jsonl').read_text().splitlines()]
    assert [line['state'] for line in lines] == ['failed', 'too slow', 'failed', 'left out', 'ok']
    assert [line['code'] for line in lines] == [3, None, 127, None, 0]
    assert lines[3]['last'] == 'the package no_such_module is missing' and lines[4]['last'] == 'done'
    assert 'begun' in (tmp_path / 'part-1.txt').read_text() and 'works' in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == 'win32', reason='there are no process groups')
def test_what_a_step_started_ends_with_it():
    child = 'import subprocess, sys; subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])'
    started = time.monotonic()
    code, output = run([sys.executable, '-c', child], 0.5)
    assert code is None and 'ended after' in output and time.monotonic() - started < 20


def test_no_step_begins_that_could_not_end_in_time():
    step = Step('long', (*PYTHON, 'print(1)'), 300)
    assert why_not(step, {}, 20.0) == 'only 20 s are left'
    assert why_not(step, {}, 200.0) == ''
    assert why_not(Step('short', (), 6), {}, 12.0) == ''


def test_a_step_for_failures_runs_after_one_only(tmp_path: Path):
    first = Step('first', (*PYTHON, 'raise SystemExit(1)'), 20)
    then = Step('then', (*PYTHON, 'print(1)'), 20, after_failure_of='first')
    assert why_not(then, {}, 100) == 'it is for a failure of "first"'
    result = attempt(first, {}, tmp_path, time.monotonic() + 60, io.StringIO())
    assert why_not(then, {'first': result}, 100) == ''


def test_every_step_names_what_is_there_and_once():
    for steps in PARTS.values():
        names = [step.name for step in steps]
        assert len(set(names)) == len(names)
        for step in steps:
            words = step.command
            if '-m' in words and words[words.index('-m') + 1].startswith('benchmarks.'):
                assert importlib.util.find_spec(words[words.index('-m') + 1]) is not None
            assert all((ROOT / word).exists() for word in words if word.startswith('tests/'))
            assert not step.after_failure_of or step.after_failure_of in names

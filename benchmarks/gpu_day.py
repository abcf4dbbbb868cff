"""Everything that waits for a GPU, in parts of less than ten minutes, the most valuable first; see docs/gpu.md.

    python -m benchmarks.gpu_day --part 1 --out DIR [--minutes 9.3] [--only WORD]
    python -m benchmarks.gpu_day --list

Each step is a process of its own with a limit; what fails or takes too long does not keep the next from running, and none begins
that could not end in time. Results are in DIR as they come: part-N.txt (all output, cut where it is long) and part-N.jsonl (a line
per step). Needs torch and the standard library; steps that need more say so. Without a GPU every step says so, quickly.
"""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
_MOST_BYTES = 400_000
"""Of a step's output that are kept; files may have to travel."""
_GRACE = 5.0
"""Seconds for writing things up."""
PYTEST = (
    '{python}',
    '-m',
    'pytest',
    '-p',
    'no:cacheprovider',
    '-q',
    '-W',
    'default',
    '--tb=short',
    '-rfEs',
    '-m',
    'gpu',
)
"""Warnings are no errors here: this machine may have other versions than the pinned ones."""


@dataclass(frozen=True)
class Step:
    """One process."""

    name: str
    command: tuple[str, ...]
    seconds: float
    """Its limit."""
    tail: int = 25
    """Lines of its output that are printed; all go to the file."""
    needs: tuple[str, ...] = ()
    """Modules, or programs with a leading '!'."""
    after_failure_of: str = ''
    """Runs only where the step of that name failed."""


@dataclass(frozen=True)
class Result:
    """What became of a step."""

    name: str
    state: str
    """'ok', 'failed', 'too slow', 'left out'."""
    seconds: float
    code: int | None
    last: str
    """Line of the output, or why it was left out."""


def tests(name: str, seconds: float, *words: str) -> Step:
    """Tests that need a GPU."""
    return Step(name, (*PYTEST, *words), seconds, 20, ('pytest',))


def module(name: str, seconds: float, *words: str, tail: int = 40, needs: tuple[str, ...] = ()) -> Step:
    """A program of ours."""
    return Step(' '.join((name, *words[:3])), ('{python}', '-m', f'benchmarks.{name}', *words), seconds, tail, needs)


KERNELS = 'tests/ops/test_cuda_kernels.py'
SANITIZE = (
    'env',
    'PYTORCH_NO_CUDA_MEMORY_CACHING=1',
    'compute-sanitizer',
    '--print-limit',
    '5',
    '--error-exitcode',
    '9',
)
"""Each tensor by itself, so that an access beyond its end is seen."""
PARTS: dict[int, tuple[Step, ...]] = {
    1: (
        module('gpu_facts', 90, tail=20),
        tests('kernels: bias and activation', 90, KERNELS, '-k', 'bias'),
        tests('kernels: resampling', 90, KERNELS, '-k', 'resampling or impossible'),
        tests('kernels: filtered leaky ReLU', 120, KERNELS, '-k', 'not bias and not resampling and not impossible'),
        Step('memory check', (*SANITIZE, *PYTEST, KERNELS, '-x', '-k', 'seams and size0'), 100, 40,
             ('pytest', '!compute-sanitizer'), 'kernels: filtered leaky ReLU'),
        tests('networks and graphs', 100, 'tests/networks/test_cuda.py'),
        module('gpu', 110, '--sizes', '256', '512', '--networks', 'T-256', 'R-256', needs=('tyro',)),
        module('gpu_profile', 90, 'T-256', 'R-256', tail=60),
        tests('goldens', 60, 'tests/ops/test_cuda_goldens.py'),
        module('gpu_compare', 110, needs=('tyro',)),
    ),
    2: (
        module('gpu', 170, '--sizes', '1024', '--networks', 'T-1024', 'R-1024', needs=('tyro',)),
        module('gpu_profile', 90, 'T-1024', 'R-1024', tail=60),
        module('ops', 150, '--device', 'cuda', '--channel-base', '32768', needs=('tyro',), tail=80),
        Step('counters of the kernel', ('ncu', '--clock-control', 'none', '--set', 'basic', '--section', 'WarpStateStats',
             '-k', 'regex:filtered_lrelu', '-c', '2', '{python}', '-m', 'benchmarks.gpu', '--sizes', '512',
             '--networks', '--rounds', '1'), 90, 90, ('!ncu', 'tyro')),
        module('drag', 40, needs=('tyro',)),
        module('training', 90, '--device', 'cuda', needs=('tyro',)),
        module('training', 90, '--preset', 'stylegan3-t', '--device', 'cuda', '--side', '256', '--batch', '8', needs=('tyro',)),
        module('ops', 120, '--gradients', '--device', 'cuda', '--channel-base', '16384', needs=('tyro',), tail=60),
    ),
    3: (
        Step('memory check of all kernels', (*SANITIZE, *PYTEST, KERNELS), 200, 30, ('pytest', '!compute-sanitizer')),
        Step('races in the filtered leaky ReLU', (*SANITIZE, '--tool', 'racecheck', *PYTEST, KERNELS, '-k', 'seams'), 120, 30,
             ('pytest', '!compute-sanitizer')),
        Step('doctor', ('{python}', 'visualizer.py', 'doctor'), 60, 60, ('tyro',)),
        Step('a headless window', ('{python}', 'visualizer.py', 'window', 'demo:', '--headless', '--size', '1280x800',
             '--screenshot', '{out}/window.png'), 60, 20, ('imgui_bundle',)),
        tests('everything marked gpu', 200, '--continue-on-collection-errors', 'tests/ops', 'tests/networks', 'tests/render', 'tests/training'),
    ),
}  # fmt: skip
"""In the order in which they run."""


def main(arguments: list[str]) -> int:
    """Run a part; 1 where a step failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--part', type=int, choices=sorted(PARTS), default=1)
    parser.add_argument('--out', type=Path, default=Path('out/gpu'))
    parser.add_argument('--minutes', type=float, default=9.3, help='after which no step runs any more')
    parser.add_argument('--only', default='', help='only steps with this word in their name')
    parser.add_argument('--list', action='store_true', help='print the steps and stop')
    options = parser.parse_args(arguments)
    if options.list:
        for number, steps in PARTS.items():
            print(f'part {number}: {", ".join(f"{step.name} ({step.seconds:.0f} s)" for step in steps)}')
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * options.minutes
    results: dict[str, Result] = {}
    with (
        (options.out / f'part-{options.part}.txt').open('w', encoding='utf-8') as log,
        (options.out / f'part-{options.part}.jsonl').open('w', encoding='utf-8') as lines,
    ):
        for step in PARTS[options.part]:
            if options.only in step.name:
                result = results[step.name] = attempt(step, results, options.out, end, log)
                lines.write(json.dumps(asdict(result)) + '\n')
                lines.flush()
    print('\n== summary')
    for result in results.values():
        print(f'{result.state:9} {result.seconds:6.1f} s  {result.name:36} {result.last[:150]}')
    return int(any(result.state in ('failed', 'too slow') for result in results.values()))


def attempt(step: Step, before: dict[str, Result], out: Path, end: float, log: TextIO) -> Result:
    """Run a step, unless there is a reason not to."""
    why = why_not(step, before, end - time.monotonic())
    print(f'\n== {step.name}' + (f': left out, {why}' if why else ''), flush=True)
    if why:
        return Result(step.name, 'left out', 0.0, None, why)
    limit = min(step.seconds, end - time.monotonic() - _GRACE)
    command = [word.format(python=sys.executable, out=out) for word in step.command]
    started = time.monotonic()
    code, output = run(command, limit)
    spent = time.monotonic() - started
    log.write(f'\n== {step.name}: {" ".join(command)}\n{cut(output)}\n-- exit {code} after {spent:.1f} s\n')
    log.flush()
    rows = [row for row in output.splitlines() if row.strip()]
    print('\n'.join(rows[-step.tail :]), flush=True)
    state = 'too slow' if code is None else 'failed' if code else 'ok'
    last = rows[-1].strip() if rows else '(no output)'
    without = next((row.strip() for row in rows if 'no GPU' in row), '') if state == 'failed' else ''
    return Result(step.name, state, round(spent, 1), code, without or last)


def why_not(step: Step, before: dict[str, Result], left: float) -> str:
    """Why a step does not run; empty where it does."""
    if step.after_failure_of:
        cause = before.get(step.after_failure_of)
        if cause is None or cause.state not in ('failed', 'too slow') or 'no GPU' in cause.last:
            return f'it is for a failure of "{step.after_failure_of}"'
    for name in step.needs:
        if name.startswith('!') and shutil.which(name[1:]) is None:
            return f'there is no program {name[1:]} here'
        if not name.startswith('!') and importlib.util.find_spec(name) is None:
            return f'the package {name} is missing'
    return '' if left > min(30.0, step.seconds / 3) + _GRACE else f'only {left:.0f} s are left'


def run(command: list[str], limit: float) -> tuple[int | None, str]:
    """Exit code (None: it took longer than `limit` seconds and was ended) and output of a process and its children."""
    environment = {**os.environ, 'REQUIRE_GPU': '1', 'PYTHONUNBUFFERED': '1', 'PYTHONWARNINGS': 'default'}
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        return 127, f'it could not be started: {error}'
    try:
        output, _ = process.communicate(timeout=limit)
        return process.returncode, output.decode(errors='replace')
    except subprocess.TimeoutExpired:
        stop(process)
        output, _ = process.communicate()
        return None, output.decode(errors='replace') + f'\n(ended after {limit:.0f} s)'


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started."""
    if os.name == 'posix':
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def cut(text: str) -> str:
    """Without its middle where it is long."""
    half = _MOST_BYTES // 2
    return text if len(text) <= _MOST_BYTES else f'{text[:half]}\n… cut …\n{text[-half:]}'


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

"""Time from start to window and to the demo's first picture, against `import torch` alone, in one interleaved run.

python -m benchmarks.startup [--rounds N] [--path PATH] [--screen] [--json]

'first_picture' finds its compiled kernels on the disk, as at every start but the first; 'cold' has an empty folder for them. Without
`--screen` the window is headless and waits for its kernels; with it, on $DISPLAY (`xvfb-run` provides one), it does not.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.inputs import no_display, run_checked

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Options:
    path: str = 'demo:'
    """What is opened."""
    rounds: int = 5
    """How often each is started, in turn; one more round warms the file cache."""
    screen: bool = False
    """On $DISPLAY instead of headless."""
    json: bool = False
    """Print JSON instead of a table."""


def environment(**more: str) -> dict[str, str]:
    """That of a user's terminal: Python keeps what it compiled of our sources, as it does for torch's."""
    return {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'} | more


def seconds_to_import_torch() -> float:
    """Wall time of a Python that imports torch and ends."""
    start = time.perf_counter()
    subprocess.run([sys.executable, '-c', 'import torch'], check=True, env=environment())
    return time.perf_counter() - start


def seconds_to_events(path: str, screen: bool = False, **variables: str) -> dict[str, float]:
    """Seconds from the start of the process to 'window' and 'first_picture', as the window itself reports them."""
    command = [sys.executable, str(ROOT / 'visualizer.py'), 'window', path, '--frames', '1', '--timings']
    command += [] if screen else ['--headless']
    start = time.time()
    process = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment(**variables)
    )
    output = process.stdout
    if process.returncode:
        said = (process.stderr.strip().splitlines() or [f'The window ended with status {process.returncode}.'])[-1]
        raise SystemExit(no_display(said) if screen and said.startswith('No window') else said)
    events = [json.loads(line) for line in output.splitlines() if line.startswith('{')]
    return {event['event']: event['time'] - start for event in events}


def measure(options: Options) -> dict[str, list[float]]:
    """Seconds per kind, one entry a round."""
    rows: dict[str, list[float]] = {'import torch': [], 'window': [], 'first_picture': [], 'cold': []}
    for index in range(options.rounds + 1):
        torch_seconds, events = seconds_to_import_torch(), seconds_to_events(options.path, options.screen)
        with tempfile.TemporaryDirectory() as empty:
            cold = seconds_to_events(options.path, options.screen, ALIASSCOPE_CACHE=empty)
        if index:
            rows['import torch'].append(torch_seconds)
            rows['window'].append(events['window'])
            rows['first_picture'].append(events['first_picture'])
            rows['cold'].append(cold['first_picture'])
    return rows


def main(options: Options) -> None:
    rows = measure(options)
    base = rows['import torch']
    table = {
        name: {
            'median_s': statistics.median(values),
            'min_s': min(values),
            'max_s': max(values),
            'ratio': statistics.median(value / reference for value, reference in zip(values, base, strict=True)),
        }
        for name, values in rows.items()
    }
    if options.json:
        print(json.dumps(table, indent=2))
        return
    print(f'{"":16}{"median s":>10}{"range":>16}{"× import torch":>16}')
    for name, row in table.items():
        spread = f'{row["min_s"]:.2f}–{row["max_s"]:.2f}'
        print(f'{name:16}{row["median_s"]:10.2f}{spread:>16}{row["ratio"]:16.2f}')


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

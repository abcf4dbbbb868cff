"""What nobody can measure is refused by benchmarks in one sentence."""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.inputs import refuse_nonsense, run_checked
from networks.bad_file import BadFile

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Options:
    size: tuple[int, ...] = (64,)
    rounds: int = 3
    threads: int = 0
    seconds: float = 1.0
    swaps: int = 5
    networks: tuple[str, ...] = ('T-256',)
    screen: bool = False


@pytest.mark.parametrize(
    'change',
    [
        {'size': (64, 7)},
        {'rounds': 0},
        {'threads': -1},
        {'seconds': 0.0},
        {'swaps': -1},
        {'networks': ('X',)},
        {'networks': ('T-7',)},
    ],
)
def test_the_option_and_its_value_are_named(change: dict) -> None:
    ((name, _),) = change.items()
    with pytest.raises(SystemExit, match=f'^--{name} is .*; .*\\.$'):
        refuse_nonsense(replace(Options(), **change))


def test_defaults_and_what_can_be_measured_are_not_refused() -> None:
    refuse_nonsense(Options())
    refuse_nonsense(Options(size=(8, 1024), rounds=1, threads=2, swaps=0, networks=('SG2-64', 'R-1024')))


def test_a_file_that_cannot_be_opened_ends_a_benchmark_with_its_sentence() -> None:
    def broken(options: Options) -> None:
        raise BadFile('unknown', 'x is no model.')

    with pytest.raises(SystemExit, match=r'^x is no model\.$'):
        run_checked(broken, Options())


@pytest.mark.skipif(sys.platform != 'linux', reason='displays have names on Linux only')
@pytest.mark.parametrize('display', [None, ':7654'])
def test_without_a_display_the_start_is_not_measured_and_xvfb_is_named(
    monkeypatch: pytest.MonkeyPatch, display: str | None
) -> None:
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    monkeypatch.setenv('DISPLAY', display) if display else monkeypatch.delenv('DISPLAY', raising=False)
    ended = subprocess.run(
        [sys.executable, '-m', 'benchmarks.startup', '--screen'], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1 and 'xvfb-run' in ended.stderr

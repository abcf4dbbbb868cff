"""The same training by one process and by two that `torchrun` starts; slow, for each process imports torch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.training.conftest import MakeZip, png

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    *('demo', '--batch', '8', '--tick-kimg', '0.008', '--threads', '1', '--device', 'cpu', '--r1-interval', '2'),
    *('--snapshot-samples', '0', '--no-tensorboard', '--z-dim', '16', '--w-dim', '16'),
    *('--generator.channel-base', '256', '--generator.channel-max', '8', '--generator.num-layers', '4'),
    *('--discriminator.channel-base', '256', '--discriminator.channel-max', '8', '--discriminator-mapping-layers', '1'),
)
EVERYTHING = (
    *('--style-mixing', '0.9', '--path-length-weight', '2', '--path-length-interval', '1'),
    *('--augment', 'ada', '--ada-target', '-0.9', '--ada-kimg', '0.05', '--ada-interval', '1', '--no-reuse-fakes'),
)
STYLEGAN2 = ('--architecture', 'stylegan2', '--stylegan2.channel-base', '256', '--stylegan2.channel-max', '8')
TORCHRUN = ('-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith('linux'), reason='looks for processes in /proc'),
]


@pytest.fixture
def data(make_zip: MakeZip) -> Path:
    return make_zip([png(64, seed) for seed in range(20)], [0, 1] * 10)


def started(data: Path, out: Path, *options: str, torchrun: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [sys.executable, *torchrun, 'train.py', *TINY, '--data', str(data), '--out', str(out), *options]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)


def finished(run: subprocess.Popen[str]) -> Path:
    said, problems = run.communicate(timeout=600)
    assert run.returncode == 0, problems
    (folder,) = said.splitlines()  # the first process speaks, the other is silent
    return Path(folder)


def newest_state(folder: Path) -> Path:
    return max(folder.glob('training-state-*.safetensors'), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize(
    'chosen',
    [
        pytest.param(('--reuse-fakes',), id='same fakes for both networks'),
        pytest.param(EVERYTHING, id='StyleGAN3 with every term and ADA'),
        pytest.param((*EVERYTHING, *STYLEGAN2), id='StyleGAN2 with every term and ADA'),
    ],
)
def test_two_processes_train_to_the_weights_of_one(data: Path, tmp_path: Path, chosen: tuple[str, ...]):
    """R1 in every second step; groups of 4 share a minibatch deviation."""
    options = ('--kimg', '0.024', '--snapshot-kimg', '0.016', *chosen)
    one, two = (
        finished(started(data, tmp_path / name, *options, torchrun=torchrun))
        for name, torchrun in (('one', ()), ('two', TORCHRUN))
    )
    expected, found = load_file(newest_state(one)), load_file(newest_state(two))
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():  # Adam makes a full step of 0.0025 of whatever sign rounding leaves
        assert (tensor - found[name]).abs().max() <= 2e-4 * max(float(tensor.abs().max()), 1), name
    rows = [[json.loads(line) for line in (path / 'stats.jsonl').read_text().splitlines()] for path in (one, two)]
    assert [row['discriminator_loss'] for row in rows[1]] == pytest.approx(
        [row['discriminator_loss'] for row in rows[0]], rel=1e-5
    )
    assert [row['images'] for row in rows[1]] == [8, 16, 24]


def test_when_a_process_is_killed_all_begin_again_from_what_was_saved_last(data: Path, tmp_path: Path):
    run = started(
        data, tmp_path, '--kimg', '0.48', '--snapshot-kimg', '0.008', torchrun=(*TORCHRUN, '--max_restarts=2')
    )
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob('*/training-state-*')):
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)  # another process's file
    victim = next(pid for pid in children(run.pid) if b'RANK=1\0' in Path(f'/proc/{pid}/environ').read_bytes())
    os.kill(victim, signal.SIGKILL)
    folder = finished(run)
    rows = [json.loads(line) for line in (folder / 'stats.jsonl').read_text().splitlines()]
    assert [row['images'] for row in rows] == list(range(8, 481, 8))
    assert len(list(tmp_path.glob('0*'))) == 1


def children(pid: int) -> list[int]:
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rsplit(')', 1)[1].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found

"""Two real processes; slow, because each imports torch."""

import os
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from networks.batch_mean import batch_mean
from tests.training.test_shares import gradients
from training.errors import TrainingError
from training.gan_loss import PHASES
from training.gradients import GradientSum, Term
from training.ranks import ALONE, _meeting_file, joined, telling_who_is_gone
from training.shares import share_of


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def in_company(rank: int, port: int, folder: str) -> None:
    """What each of the two processes does; the first one writes what came out."""
    torch.set_num_threads(1)
    os.environ |= {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port), 'WORLD_SIZE': '2', 'RANK': str(rank)}
    with joined(gpu=False) as ranks:
        rows = share_of(8, part=rank, parts=2, group=4)
        found = {phase: gradients(phase, rows, ranks) for phase in PHASES}
        copied = torch.full((3,), float(rank + 7))
        ranks.copy_from_first([copied])
        said = (
            ranks.mean(torch.tensor([float(rank)])).item(),
            ranks.any(rank == 1),
            ranks.any(False),
            copied.tolist(),
            batch_mean(torch.tensor(2.0 * rank)).item(),
        )
        if ranks.is_first:
            torch.save(found, Path(folder) / 'gradients.pt')
            (Path(folder) / 'said.txt').write_text(repr(said))
    (Path(folder) / f'threads-{rank}.txt').write_text(repr(gloo_threads()))


def in_company_that_fails(rank: int, port: int, folder: str) -> None:
    """As `in_company`, until an error ends it in the middle of a term of the loss."""
    os.environ |= {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port), 'WORLD_SIZE': '2', 'RANK': str(rank)}

    def term() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        raise TrainingError('as it happens')

    try:
        with joined(gpu=False) as ranks:
            fail_in(GradientSum(torch.nn.Linear(2, 2), ranks), term)
    except TrainingError:
        (Path(folder) / f'threads-{rank}.txt').write_text(repr(gloo_threads()))  # while its frames are still there


def fail_in(gradients_of_a_network: GradientSum, term: Term) -> None:
    gradients_of_a_network.add(term)


def gloo_threads() -> list[str]:
    names = [(thread / 'comm').read_text().strip() for thread in Path('/proc/self/task').iterdir()]
    return [name for name in names if 'gloo' in name]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == 'win32', reason='gloo over sockets is tested on POSIX')
def test_two_processes_agree_and_make_the_gradients_of_one(tmp_path: Path):
    multiprocessing.spawn(in_company, (free_port(), str(tmp_path)), nprocs=2)
    assert (tmp_path / 'said.txt').read_text() == repr((0.5, True, False, [7.0] * 3, 1.0))
    together = torch.load(tmp_path / 'gradients.pt', weights_only=True)
    for phase in PHASES:
        for expected, found in zip(gradients(phase, range(8)), together[phase], strict=True):
            assert (expected is None) == (found is None)  # Adam passes over a parameter without a gradient
            assert expected is None or torch.allclose(found, expected, rtol=1e-7, atol=1e-10), phase


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='looks for threads in /proc')
@pytest.mark.parametrize('work', [in_company, in_company_that_fails])
def test_no_thread_of_the_exchange_is_left_for_python_s_end_to_trip_over(tmp_path: Path, work: Callable[..., None]):
    """Else a finished training now and then dies of SIGABRT, and torchrun says that it failed."""
    multiprocessing.spawn(work, (free_port(), str(tmp_path)), nprocs=2)
    assert [(tmp_path / f'threads-{rank}.txt').read_text() for rank in range(2)] == ['[]', '[]']


def test_each_start_of_torchrun_has_a_meeting_file_of_its_own_though_process_numbers_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    for name in ('WORLD_SIZE', 'LOCAL_WORLD_SIZE'):
        monkeypatch.setenv(name, '2')

    def file_of(start: str, attempt: int, rank: int) -> Path | None:
        monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', str(attempt))
        monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', f'{start}/attempt_{attempt}/{rank}/error.json')
        return _meeting_file()

    found = {file_of(start, attempt, 0) for start in ('/tmp/run_a', '/tmp/run_b') for attempt in (0, 1)}
    assert len(found) == 4
    assert file_of('/tmp/run_b', 1, 1) in found  # the other process of one of them


def test_a_process_on_its_own_exchanges_nothing():
    values = torch.ones(2)
    assert ALONE.mean(values) is values
    assert ALONE.any(True)
    assert batch_mean(values) is values
    with joined(gpu=False) as ranks:
        assert ranks is ALONE


def test_a_lost_connection_is_one_sentence_and_any_other_error_stays_what_it_is():
    gloo = (
        '[/src/gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:9113. This is typically caused by a crash.\nmore'
    )
    sentence = r'is gone \(Connection closed by peer \[127.0.0.1\]:9113\); what'
    with pytest.raises(TrainingError, match=sentence), telling_who_is_gone():
        raise RuntimeError(gloo)
    with pytest.raises(RuntimeError, match='out of memory'), telling_who_is_gone():
        raise RuntimeError('out of memory')

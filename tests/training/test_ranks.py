"""Two real processes; slow, because each imports torch."""

import os
import socket
import sys
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from networks.batch_mean import batch_mean
from tests.training.test_shares import gradients
from training.errors import TrainingError
from training.gan_loss import PHASES
from training.ranks import ALONE, joined, telling_who_is_gone
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

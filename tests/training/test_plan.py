import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import train
from benchmarks.resume import tiny_config
from training import trial
from training.errors import TrainingError
from training.memory import available_bytes, is_out_of_memory, limited_to, peak_bytes
from training.plan import plan


def test_a_plan_names_parameters_steps_gamma_disk_and_time_and_writes_nothing(tmp_path: Path):
    config = replace(tiny_config(tmp_path, 1000, stylegan2=True), r1_gamma=None)
    lines = list(plan(config))
    text = '\n'.join(lines)
    for part in ('12 images of 16 x 16 pixels, 2 classes', 'StyleGAN2', '1,000 of 4 images', 'path length 2', 'Disk'):
        assert part in text
    assert f'R1 gamma {0.0002 * 16 * 16 / 4:.3g} (0.0002 x pixels / batch)' in text
    assert 'images/s' in lines[-2]
    assert not config.out.exists()


def test_a_plan_refuses_what_a_training_would(tmp_path: Path):
    with pytest.raises(TrainingError, match='--batch is 0'):
        list(plan(replace(tiny_config(tmp_path, 1, stylegan2=False), batch=0)))


def test_a_dry_run_prints_and_makes_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture):
    data = tiny_config(tmp_path, 1, stylegan2=False).data
    arguments = ['demo', '--data', str(data), '--out', str(tmp_path / 'runs'), '--dry-run', '--threads', '1']
    assert train.main(arguments) == 0
    assert 'Generator     StyleGAN3' in capsys.readouterr().out
    assert not (tmp_path / 'runs').exists()


def test_large_networks_are_guessed_from_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trial, '_WORTH_TRYING_SECONDS', 0.0)
    lines = list(plan(tiny_config(tmp_path, 1000, stylegan2=False)))
    assert [line for line in lines if line.startswith('Trying')] == ['Trying one image …']
    assert 'a guess from one image' in lines[-2]
    assert 'about' in lines[-1]


def test_a_batch_that_does_not_fit_is_told_from_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    peaks = iter([1 << 30, 2 << 30])
    monkeypatch.setattr(trial, 'peak_bytes', lambda device: next(peaks))
    monkeypatch.setattr(trial, 'available_bytes', lambda device: (2 << 30) * 10 // 9)
    lines = list(plan(tiny_config(tmp_path, 1000, stylegan2=False)))
    assert [line for line in lines if line.startswith('Trying')] == ['Trying one image …', 'Trying steps of 2 images …']
    assert 'up to about 3.2' in lines[-2]  # 1 GiB, and twice the GiB that 2 images took
    assert lines[-1].startswith('warning: that is more than is free; use a smaller --batch')


def test_memory_that_gives_out_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trial, 'training_step', lambda *_: np.empty(1 << 60, np.uint8))
    with pytest.raises(
        TrainingError, match=r'A step with 2 images needs more memory than is free .*; use a smaller --batch'
    ):
        list(plan(tiny_config(tmp_path, 1000, stylegan2=False)))


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='only Linux holds a process to it')
def test_inside_the_limit_more_memory_is_an_error_and_afterwards_none():
    with pytest.raises(RuntimeError) as error, limited_to(100 << 20):
        torch.empty(1 << 30, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert not is_out_of_memory(RuntimeError('another'))
    torch.empty(1 << 30, dtype=torch.uint8)


def test_what_is_free_and_taken_is_known_where_the_system_says():
    cpu = torch.device('cpu')
    free, peak = available_bytes(cpu), peak_bytes(cpu)
    assert free is None or free > 1 << 20
    assert peak is None or 50 << 20 < peak < 1 << 40

from dataclasses import replace
from pathlib import Path

import pytest

import train
from benchmarks.resume import tiny_config
from training.errors import TrainingError
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

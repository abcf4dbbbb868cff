import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from networks.build import build_checked
from networks.checkpoint import load_checkpoint
from networks.sources import newest_snapshot, resolve
from render.run_log import RunReader
from training.config import TrainConfig
from training.errors import TrainingError
from training.loop import train
from training.presets import PRESETS
from training.run_folder import RunFolder, snapshot_number
from training.state import generator_keywords, new_state


def quietly(config: TrainConfig, *, steps: int | None = None) -> Path:
    """Train, stopping after `steps` steps; the run's folder."""
    asked = iter(range(10_000))
    return train(config, stop=lambda: steps is not None and next(asked) >= steps, report=lambda line: None)


def trained_state(folder: Path, config: TrainConfig):
    state = new_state(config, side=16, class_count=2, device=torch.device('cpu'))
    assert RunFolder(folder).load_state(state) == ()
    return state


def test_two_steps_change_every_weight_of_both_networks(config: TrainConfig):
    before = new_state(config, side=16, class_count=2, device=torch.device('cpu'))
    after = trained_state(quietly(config), config)
    assert (after.step, after.images) == (2, 8)
    for old, new in ((before.generator, after.generator), (before.discriminator, after.discriminator)):
        unmoved = [
            name
            for (name, a), b in zip(old.named_parameters(), new.parameters(), strict=True)
            if torch.equal(a, b) and b.numel() > 1
        ]
        assert not unmoved


def test_a_snapshot_is_a_model_that_can_be_opened(config: TrainConfig):
    folder = quietly(config)
    checkpoint = load_checkpoint(newest_snapshot(folder))
    generator = build_checked(checkpoint.family, checkpoint.config, checkpoint.tensors)
    with torch.no_grad():
        images = generator(torch.randn(2, 8), torch.eye(2))
    assert images.shape == (2, 3, 16, 16)
    assert images.isfinite().all()
    state = trained_state(folder, config)
    assert all(torch.equal(tensor, checkpoint.tensors[name]) for name, tensor in state.average.state_dict().items())


def test_snapshots_less_than_a_thousand_images_apart_are_all_kept(config: TrainConfig):
    folder = quietly(replace(config, kimg=0.01))
    names = sorted(path.name for path in folder.glob('snapshot-*'))
    assert names == [f'snapshot-000000-{images:03d}.safetensors' for images in (4, 8, 12)]
    assert newest_snapshot(folder).name == names[-1]
    assert [snapshot.name for snapshot in RunReader(folder).poll().snapshots] == names


@pytest.mark.parametrize(
    ('images', 'kimg', 'number'),
    [
        (50_016, 50.0, '000050'),  # the first step that passes 50,000 with a batch of 32
        (50_048, 50.0, '000050-048'),  # ended by hand one step later
        (50_016, 0.5, '000050-016'),
        (50_000, 0.5, '000050'),
        (3_008, 1.5, '000003-008'),
        (1_000_000, 50.0, '001000'),
    ],
)
def test_a_snapshot_is_called_after_its_images(config: TrainConfig, images: int, kimg: float, number: str):
    assert snapshot_number(images, replace(config, batch=32, snapshot_kimg=kimg)) == number


def test_the_same_command_continues_where_the_run_was_stopped(config: TrainConfig):
    folder = quietly(config, steps=1)
    assert trained_state(folder, config).step == 1
    assert quietly(config) == folder
    assert trained_state(folder, config).step == 2
    rows = [json.loads(line) for line in (folder / 'stats.jsonl').read_text().splitlines()]
    assert [row['images'] for row in rows] == [4, 8]


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(config: TrainConfig, tmp_path: Path):
    whole = trained_state(quietly(replace(config, kimg=0.016)), config)
    other = replace(config, kimg=0.016, out=tmp_path / 'other')
    quietly(other, steps=1)
    quietly(other, steps=2)
    parts = trained_state(quietly(other), other)
    expected, found = whole.tensors(), parts.tensors()
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


def test_other_options_start_another_run(config: TrainConfig):
    first = quietly(config)
    assert quietly(replace(config, r1_gamma=7.0)) != first
    assert quietly(replace(config, kimg=0.012)) == first


def test_a_damaged_state_is_passed_over_for_the_one_before(config: TrainConfig):
    folder = quietly(config)
    newest = folder / 'training-state-000000008.safetensors'
    newer = folder / 'training-state-000000012.safetensors'
    newer.write_bytes(newest.read_bytes()[:-9])
    state = new_state(config, side=16, class_count=2, device=torch.device('cpu'))
    (note,) = RunFolder(folder).load_state(state)
    assert newer.name in note
    assert state.step == 2


def test_a_preview_and_the_options_lie_in_the_folder(config: TrainConfig):
    folder = quietly(config)
    assert (folder / 'previews' / '000000-004.png').read_bytes().startswith(b'\x89PNG')
    assert json.loads((folder / 'config.json').read_text())['batch'] == 4


def test_training_without_labels_gives_an_unconditional_generator(config: TrainConfig):
    folder = quietly(replace(config, conditional=False))
    assert load_checkpoint(folder / 'latest.safetensors').config['c_dim'] == 0


@pytest.mark.parametrize(
    ('change', 'part'),
    [
        ({'batch': 0}, '--batch is 0'),
        ({'batch': 6}, 'groups of 4'),
        ({'kimg': 0.0}, '--kimg is 0'),
        ({'class_balance': 2.0}, 'between 0 and 1'),
        ({'data': Path('nowhere.zip')}, 'no file nowhere.zip'),
    ],
)
def test_impossible_options_are_refused_before_anything_is_made(config: TrainConfig, change: dict, part: str):
    with pytest.raises(TrainingError, match=part):
        quietly(replace(config, **change))
    assert not config.out.exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_snapshot(config: TrainConfig):
    folder = quietly(config, steps=1)
    state = trained_state(folder, config)
    with torch.no_grad():
        next(state.discriminator.parameters()).fill_(float('nan'))
    RunFolder(folder).write_state(state, config)
    with pytest.raises(TrainingError, match='became nan in step 2'):
        quietly(config)
    assert load_checkpoint(folder / 'latest.safetensors').notes == ()


def test_the_demo_preset_makes_a_file_that_fits_the_repository():
    config = PRESETS['demo'].config
    state = new_state(config, side=64, class_count=10, device=torch.device('cpu'))
    assert sum(tensor.numel() * tensor.element_size() for tensor in state.average.state_dict().values()) <= 8e6


def test_the_bundled_demo_is_what_the_preset_describes():
    preset = PRESETS['demo'].config
    checkpoint = load_checkpoint(resolve('demo:ground-64'))
    expected = generator_keywords(preset, side=64, class_count=10)
    assert {name: checkpoint.config[name] for name in expected} == expected
    assert checkpoint.notes == ()
    assert (resolve('demo:ground-64').parent / 'README.md').read_text(encoding='utf-8').count('Wildfire Games')

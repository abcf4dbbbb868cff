from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.resume import tiny_config
from networks.checkpoint import Checkpoint, save_checkpoint
from tests.networks.pickle_writer import write_snapshot
from training.config import TrainConfig
from training.errors import TrainingError
from training.loop import train
from training.state import TrainState, generator_keywords, new_state
from training.transfer import table, transfer

CPU = torch.device('cpu')


def state_of(config: TrainConfig) -> TrainState:
    return new_state(config, side=16, class_count=2, device=CPU)


def saved_generator(path: Path, config: TrainConfig) -> TrainState:
    """A model file of ours with other weights than `config` begins with; the state it was taken from."""
    other = state_of(replace(config, seed=9))
    keywords = generator_keywords(config, side=16, class_count=2)
    save_checkpoint(path, Checkpoint('stylegan3', keywords, other.average.state_dict(), '', ''))
    return other


def test_a_model_of_ours_gives_its_weights_to_both_generators_and_none_to_the_discriminator(tmp_path: Path):
    config = tiny_config(tmp_path, 1, stylegan2=False)
    other = saved_generator(tmp_path / 'model.safetensors', config)
    state, fresh = state_of(config), state_of(config)
    rows = transfer(state, tmp_path / 'model.safetensors')
    for module in (state.generator, state.average):
        for name, tensor in module.state_dict().items():
            assert torch.equal(tensor, other.average.state_dict()[name])
    assert torch.equal(state.discriminator.b4.out.weight, fresh.discriminator.b4.out.weight)
    assert [(row.network, row.taken == row.total) for row in rows] == [('G', True), ('G_ema', True), ('D', False)]
    assert 'D begins with new weights' in table(tmp_path, rows)


def test_a_run_gives_all_three_networks(tmp_path: Path):
    config = tiny_config(tmp_path, 2, stylegan2=False)
    folder = train(config, report=lambda line: None)
    rows = transfer(state_of(replace(config, seed=5)), folder)
    assert all(row.taken == row.total for row in rows)


def test_what_has_another_shape_is_left_and_named(tmp_path: Path):
    config = tiny_config(tmp_path, 1, stylegan2=False)
    saved_generator(tmp_path / 'model.safetensors', config)
    wider = state_of(replace(config, w_dim=10))
    before = wider.generator.mapping.fc1.weight.detach().clone()
    generator, *_ = transfer(wider, tmp_path / 'model.safetensors')
    assert 0 < generator.taken < generator.total
    assert 'mapping.fc1.weight' in generator.other_shape
    assert torch.equal(wider.generator.mapping.fc1.weight, before)


def test_a_model_of_which_nothing_fits_is_refused(tmp_path: Path):
    config = tiny_config(tmp_path, 1, stylegan2=False)
    path = tmp_path / 'model.safetensors'
    save_checkpoint(path, Checkpoint('stylegan3', {}, {'nothing': torch.zeros(1)}, '', ''))
    with pytest.raises(TrainingError):
        transfer(state_of(config), path)


def test_training_begins_with_the_weights_of_another_run_and_without_blur(tmp_path: Path):
    config = tiny_config(tmp_path, 2, stylegan2=False)
    first = train(config, report=lambda line: None)
    lines: list[str] = []
    second = train(replace(config, resume_from=first, seed=3), report=lines.append)
    assert second != first
    assert any('Weights taken from' in line for line in lines)
    assert state_of(replace(config, resume_from=first)).loss.config.blur_initial_sigma == 0
    assert state_of(config).loss.config.blur_initial_sigma > 0


def test_an_official_snapshot_gives_all_three_networks(tmp_path: Path):
    config = tiny_config(tmp_path, 1, stylegan2=False)
    other = state_of(replace(config, seed=9))
    networks = {'G': other.generator, 'D': other.discriminator, 'G_ema': other.average}
    path = write_snapshot(tmp_path / 'network-snapshot-000001.pkl', networks)
    state = state_of(config)
    rows = transfer(state, path)
    assert [(row.network, row.source, row.taken) for row in rows] == [
        (name, name, len(module.state_dict()))
        for name, module in (('G', state.generator), ('G_ema', state.average), ('D', state.discriminator))
    ]
    assert torch.equal(state.discriminator.b4.out.weight, other.discriminator.b4.out.weight)

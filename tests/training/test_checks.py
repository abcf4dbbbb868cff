import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from training.checks import check_options
from training.config import TrainConfig
from training.errors import TrainingError
from training.loop import train
from training.presets import PRESETS
from training.room import room_for
from training.state import new_state

Config = Callable[..., TrainConfig]


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        ({'batch': 0}, '--batch is 0; it must be 1 or more'),
        ({'threads': -1}, '--threads is -1; it must be 0 or more'),
        ({'path_length_interval': 0}, '--path-length-interval is 0; it must be 1 or more'),
        ({'snapshot_kimg': 0.0}, '--snapshot-kimg is 0; it must be above 0'),
        ({'kimg': float('nan')}, '--kimg is nan; it must be above 0'),
        ({'r1_gamma': -1.0}, '--r1-gamma is -1; it must be 0 or more'),
        ({'style_mixing': 1.5}, '--style-mixing is 1.5; it must lie between 0 and 1'),
        ({'ada_target': 2.0}, '--ada-target is 2; a mean sign lies between -1 and 1'),
        ({'batch': 6}, '--batch 6 cannot be divided into groups of 4'),
        ({'resume_from': Path('no/such/run')}, '--resume-from no/such/run does not exist'),
        ({'fp16': 'on', 'device': 'cpu'}, '--fp16 on needs an NVIDIA GPU'),
    ],
)
def test_an_option_that_cannot_work_is_refused_with_its_value(change: dict, sentence: str):
    with pytest.raises(TrainingError) as caught:
        check_options(replace(TrainConfig(device='cpu'), **change))
    assert sentence in str(caught.value)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(TrainingError, match='--device cuda needs an NVIDIA GPU'):
        check_options(TrainConfig(device='cuda', fp16='on'))


@pytest.mark.parametrize('name', sorted(PRESETS))
def test_every_preset_passes_and_knows_its_name(name: str):
    config = PRESETS[name].config
    check_options(config)
    assert config.preset == name


def test_gamma_follows_pixels_and_batch_unless_it_is_given():
    assert TrainConfig(batch=32).gamma(256) == pytest.approx(0.0002 * 256**2 / 32)
    assert TrainConfig(batch=32, r1_gamma=6.6).gamma(256) == 6.6


def test_the_paper_presets_carry_its_numbers():
    t, r, baseline = (PRESETS[name].config for name in ('stylegan3-t', 'stylegan3-r', 'stylegan2'))
    assert (t.batch, t.ema_kimg, t.generator_rate, t.discriminator_rate) == (32, 10, 0.0025, 0.002)
    assert (t.generator.channel_base, t.generator.channel_max, t.mapping.num_layers) == (2**15, 512, 2)
    assert (r.generator.channel_base, r.generator.channel_max, r.generator.conv_kernel) == (2**16, 1024, 1)
    assert (r.blur_sigma, r.blur_fade_kimg) == (10, 200)
    assert (baseline.mapping.num_layers, baseline.path_length_weight, baseline.style_mixing) == (8, 2, 0.9)
    assert (t.style_mixing, t.path_length_weight, t.magnitude_ema_kimg) == (0, 0, 20)


def test_the_twins_differ_in_nothing_but_the_generator():
    aliased, alias_free = (PRESETS[name].config for name in ('twin-aliased', 'twin-alias-free'))
    assert replace(aliased, preset='', architecture='stylegan3') == replace(alias_free, preset='')
    assert aliased.stylegan2.fourier_bandwidth == 2


@pytest.mark.parametrize('file', ['networks/config.py', 'training/config.py'])
def test_every_option_is_explained_in_the_help(file: str):
    """tyro shows the text below a field."""
    tree = ast.parse((Path(__file__).resolve().parents[2] / file).read_text(encoding='utf-8'))
    bare = []
    for parent in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node, following in zip(parent.body, [*parent.body[1:], None], strict=True):
            explained = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if isinstance(node, ast.AnnAssign) and not explained:
                bare.append(f'{parent.name}.{ast.unparse(node.target)}')
    assert not bare


def test_a_disk_without_room_for_the_first_state_is_refused_before_anything_is_made(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr('training.room.shutil.disk_usage', lambda path: SimpleNamespace(free=1000))
    with pytest.raises(TrainingError, match=r'its snapshot needs \d+ kB, and 1 kB are free'):
        train(config)
    assert not config.out.exists()


def test_the_room_for_a_state_is_what_its_file_takes(config: TrainConfig):
    folder = train(config, report=lambda line: None)
    state = new_state(config, side=16, class_count=2, device=torch.device('cpu'))
    (*_, newest) = sorted(folder.glob('training-state-*'))
    assert newest.stat().st_size == pytest.approx(room_for(config, state).state, rel=0.4)  # and its header

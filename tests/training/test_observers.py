import builtins
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator as StyleGAN3
from training import snapshot_report
from training.config import TrainConfig
from training.loop import train
from training.snapshot_report import measure_snapshot, write_walk
from training.tensorboard import MISSING, open_events

KEYWORDS: dict[str, Any] = {'channel_base': 64, 'channel_max': 8}


@pytest.fixture
def generator() -> StyleGAN3:
    torch.manual_seed(0)
    made = StyleGAN3(8, 2, 8, 16, 3, num_layers=3, num_critical=1, margin_size=2, **KEYWORDS)
    return made.eval().requires_grad_(False)


def test_a_snapshot_gets_equivariance_and_a_spectrum_and_is_left_as_it_is(generator: StyleGAN3):
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    found = measure_snapshot(generator, 2)
    assert found['eq_t_db'] > 20
    assert found['eq_r_db'] > 0
    assert len(found['spectrum_db']) == 9  # rings 0 to 8 of 16 pixels
    assert json.loads(json.dumps(found)) == found
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    assert measure_snapshot(generator, 2) == found


def test_a_generator_that_cannot_be_moved_gets_a_spectrum_only():
    plain = StyleGAN2(8, 0, 8, 8, 3, **KEYWORDS).eval().requires_grad_(False)
    assert set(measure_snapshot(plain, 2)) == {'spectrum_db'}


def test_the_spectrum_is_that_of_the_pictures(generator: StyleGAN3, monkeypatch: pytest.MonkeyPatch):
    """White noise of variance 0.25 has -6.02 dB at every frequency."""
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) / 2
    adapter = type('Adapter', (), {'synthesize': lambda *_, **__: noise})()
    monkeypatch.setattr(snapshot_report, '_latents', lambda *_: None)
    power = snapshot_report._mean_power(adapter, 1)
    assert 10 * float(power.mean().log10()) == pytest.approx(-6.02, abs=0.2)


class Frames(list[np.ndarray]):
    """Takes the frames of a clip."""

    def __init__(self, path: Path, frames_per_second: int) -> None:
        super().__init__()
        clips.append(self)

    def __enter__(self) -> 'Frames':
        return self

    def __exit__(self, *exception: object) -> None: ...

    def add(self, image: np.ndarray) -> None:
        self.append(image.astype(float))

    def finish(self) -> None: ...


clips: list[Frames] = []


def test_the_walk_is_closed_and_moves(generator: StyleGAN3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(snapshot_report, '_WALK_SECONDS', 2)
    monkeypatch.setattr(snapshot_report, 'ClipWriter', Frames)
    clips.clear()
    write_walk(tmp_path / 'walk.mp4', generator, seed=0)
    (frames,) = clips
    assert len(frames) == 48
    steps = [np.abs(one - other).mean() for one, other in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert max(steps) > 1
    assert steps[-1] < max(steps) / 2  # the walk rests at each seed, so the last frame lies near the first


def test_a_run_leaves_measurements_a_walk_and_tensorboard_files(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(snapshot_report, '_WALK_SECONDS', 1)
    said: list[str] = []
    folder = train(replace(config, snapshot_samples=1, tensorboard=True, kimg=0.004), report=said.append)
    (row,) = [
        row for line in (folder / 'stats.jsonl').read_text().splitlines() if 'snapshot' in (row := json.loads(line))
    ]
    assert (folder / row['snapshot']).exists()
    assert row['images'] == 4
    assert len(list((folder / 'previews').glob('*.mp4'))) == 1
    (events,) = (folder / 'tensorboard').iterdir()
    assert b'Loss/generator_loss' in events.read_bytes()
    assert b'samples' in events.read_bytes()
    assert any('images/s' in line for line in said)


def test_without_tensorboard_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith('torch.utils.tensorboard'):
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, '__import__', refuse)
    assert open_events(tmp_path, 0) == (None, MISSING)


def test_a_long_run_on_jagged_images_begins_with_a_warning(config: TrainConfig):
    """Random pixels have as much power at the pixel limit as anywhere."""
    said: list[str] = []
    train(replace(config, kimg=20.0), stop=lambda: True, report=said.append)
    assert any(line.startswith('warning: Edges are jagged') for line in said)

"""Small data and small networks for the training tests."""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from networks.config import AliasFreeConfig, DiscriminatorConfig
from training.config import TrainConfig

MakeZip = Callable[..., Path]


def png(side: int, seed: int = 0, *, height: int | None = None) -> bytes:
    """A picture of random pixels as PNG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height or side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return file.getvalue()


@pytest.fixture
def make_zip(tmp_path: Path) -> MakeZip:
    """Writes a ZIP of `pictures`, with `labels` if given, and returns its path."""

    def make(pictures: Sequence[bytes], labels: Sequence[int] | None = None) -> Path:
        path = tmp_path / 'pictures.zip'
        with zipfile.ZipFile(path, 'w') as archive:
            for index, picture in enumerate(pictures):
                archive.writestr(f'{index:03d}.png', picture)
            if labels is not None:
                rows = [[f'{index:03d}.png', label] for index, label in enumerate(labels)]
                archive.writestr('dataset.json', json.dumps({'labels': rows}))
        return path

    return make


@pytest.fixture
def config(tmp_path: Path, make_zip: MakeZip) -> TrainConfig:
    """16-pixel pictures of two classes, networks of a few thousand weights, one step a tick."""
    data = make_zip([png(16, seed) for seed in range(12)], [0] * 9 + [1] * 3)
    return replace(
        TrainConfig(),
        data=data,
        out=tmp_path / 'runs',
        kimg=0.008,
        batch=4,
        threads=1,
        generator=AliasFreeConfig(channel_base=64, channel_max=8, num_layers=3, num_critical=1, margin_size=2),
        discriminator=DiscriminatorConfig(channel_base=64, channel_max=8),
        discriminator_mapping_layers=1,
        z_dim=8,
        w_dim=8,
        tick_kimg=0.004,
        snapshot_kimg=0.004,
        r1_interval=2,
        snapshot_samples=0,
        tensorboard=False,
    )

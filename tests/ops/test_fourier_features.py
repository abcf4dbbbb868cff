"""Waves: the definition in float64, by every backend, for moved and still pictures."""

import math

import pytest
import torch
from torch import Tensor

from ops.backend import report, use_backend
from ops.fast_cpu import library
from ops.fourier_features import fourier_features
from ops.styles import LatentStyles


@pytest.fixture(autouse=True)
def kernels_at_once():
    with library.use_policy('wait'), torch.no_grad():
        yield


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TRANSFORM = torch.tensor([[0.9, -0.3, 0.11], [0.2, 1.1, -0.27], [0.0, 0.0, 1.0]], dtype=torch.float64)
SIZES = {'width': 21, 'height': 13, 'rate': 16.0, 'bandwidth': 3.0}


def definition(motion: Tensor, transform: Tensor, freqs: Tensor, phases: Tensor, weight: Tensor) -> Tensor:
    """Of one sample, point by point: what a point of the picture shows is what lies where the motion takes it from."""
    cosine, sine, x, y = (motion / motion[:2].norm()).tolist()
    out = torch.empty(weight.shape[0], SIZES['height'], SIZES['width'], dtype=torch.float64)
    rotation = torch.tensor([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], dtype=torch.float64)
    shift = torch.tensor([[1, 0, -x], [0, 1, -y], [0, 0, 1]], dtype=torch.float64)
    matrix = rotation @ shift @ transform
    moved = freqs @ matrix[:2, :2]
    room = SIZES['rate'] / 2 - SIZES['bandwidth']
    amplitudes = (1 - (moved.norm(dim=1) - SIZES['bandwidth']) / room).clamp(0, 1)
    for row in range(SIZES['height']):
        for column in range(SIZES['width']):
            here = torch.tensor([column + 0.5 - SIZES['width'] / 2, row + 0.5 - SIZES['height'] / 2, SIZES['rate']])
            there = matrix[:2] @ (here.double() / SIZES['rate'])
            waves = torch.sin(2 * math.pi * (freqs @ there + phases)) * amplitudes
            out[:, row, column] = weight @ waves / math.sqrt(weight.shape[0])
    return out


@pytest.mark.parametrize('channels', [5, 16, 19, 40])
@pytest.mark.parametrize('backend', ['reference', 'cpu'])
def test_features_are_what_is_defined(channels, backend):
    tensors = TRANSFORM, 3 * rand(channels, 2), rand(channels, seed=1), rand(channels, channels, seed=2)
    motion = rand(3, 4, seed=3)
    expected = torch.stack([definition(one, *tensors) for one in motion])
    with use_backend(backend, strict=True):
        actual = fourier_features(motion.float(), *(one.float() for one in tensors), **SIZES)
        fourier_features(motion.float(), *(one.float() for one in tensors), **SIZES)
    assert actual.shape == (3, channels, 13, 21)
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert 'declined' not in report()['fourier_features']


@pytest.mark.parametrize('backend', ['reference', 'cpu'])
def test_without_motion_the_transform_alone_moves_the_waves(backend):
    tensors = TRANSFORM, rand(16, 2), rand(16, seed=1), rand(16, 16, seed=2)
    expected = definition(torch.tensor([1.0, 0, 0, 0], dtype=torch.float64), *tensors)
    with use_backend(backend, strict=True):
        actual = fourier_features(None, *(one.float() for one in tensors), **SIZES)
    assert actual.shape[0] == 1
    assert (actual[0] - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize('channels', [17, 44, 512])
def test_kernels_take_the_four_by_four_pixels_that_stylegan2_starts_from(channels):
    tensors = [one.float() for one in (TRANSFORM, rand(channels, 2), rand(channels, seed=1), rand(channels, channels))]
    sizes = {'width': 4, 'height': 4, 'rate': 4.0, 'bandwidth': 2.0}
    expected = fourier_features(None, *(one.double() for one in tensors), **sizes)
    with use_backend('cpu', strict=True):
        actual = fourier_features(None, *tensors, **sizes)
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize('batch', [1, 3])
def test_the_latent_may_be_left_to_the_kernels(batch):
    tensors = tuple(one.float() for one in (TRANSFORM, rand(16, 2), rand(16, seed=1), rand(16, 16, seed=2)))
    latents, weight, bias = (one.float() for one in (rand(batch, 3, 32, seed=3), rand(4, 32, seed=4), rand(4, seed=5)))
    styles = LatentStyles(latents[:, 1], weight, bias, 0.2, 1.5)
    expected = fourier_features(styles.compute(), *tensors, **SIZES)
    with use_backend('cpu', strict=True):
        actual = [fourier_features(styles, *tensors, **SIZES) for _ in range(2)]
    assert torch.allclose(actual[0], expected, rtol=0, atol=1e-5)
    assert torch.equal(*actual)


@pytest.mark.parametrize('changed', range(4))
def test_what_changes_between_two_runs_is_seen(changed):
    tensors = [one.float() for one in (TRANSFORM, rand(16, 2), rand(16, seed=1), rand(16, 16, seed=2))]
    motion = rand(1, 4, seed=3)
    before = [fourier_features(motion.float(), *tensors, **SIZES) for _ in range(2)]
    tensors[changed].mul_(0.9)
    after = fourier_features(motion.float(), *tensors, **SIZES)
    expected = definition(motion[0], *(one.double() for one in tensors))
    assert torch.equal(*before)
    assert not torch.equal(after, before[0])
    assert (after[0] - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_gradient_for_the_matrix_or_the_latent_goes_through():
    tensors = [one.float() for one in (TRANSFORM, rand(16, 2), rand(16, seed=1), rand(16, 16, seed=2))]
    latent = rand(1, 8).float().requires_grad_()
    tensors[-1].requires_grad_()
    with torch.enable_grad():
        styles = LatentStyles(latent, rand(4, 8).float(), torch.ones(4), 1.0, 1.0)
        fourier_features(styles, *tensors, **SIZES).square().sum().backward()
    assert latent.grad is not None and tensors[-1].grad is not None
    assert latent.grad.abs().sum() > 0


def test_the_number_of_threads_changes_no_bit():
    tensors = [one.float() for one in (TRANSFORM, rand(40, 2), rand(40, seed=1), rand(40, 40, seed=2))]
    before, results = torch.get_num_threads(), []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append(fourier_features(None, *tensors, **SIZES))
    torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])

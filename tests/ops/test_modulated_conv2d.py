"""Modulated convolution against its definition, in both families' forms."""

import numpy as np
import pytest
import torch

from ops.backend import use_backend
from ops.modulated_conv2d import modulated_conv2d, modulated_conv2d_resample
from tests.ops import dense

pytestmark = pytest.mark.usefixtures('on_each_backend')

DOUBLE = torch.float64


def random(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=DOUBLE)


def definition(x: np.ndarray, weight: np.ndarray, styles: np.ndarray, demodulate: bool, padding: int) -> np.ndarray:
    """Eq. 1 to 3 of the StyleGAN2 paper, one sample at a time."""
    samples = []
    for sample, style in zip(x, styles, strict=True):
        scaled = weight * style[None, :, None, None]
        if demodulate:
            scaled = scaled / np.sqrt((scaled**2).sum((1, 2, 3), keepdims=True) + 1e-8)
        samples.append(dense.correlate(sample[None], scaled, (padding,) * 4)[0])
    return np.stack(samples)


@pytest.fixture
def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    return random(generator, 3, 4, 6, 5), random(generator, 5, 4, 3, 3), random(generator, 3, 4)


@pytest.mark.parametrize('demodulate', [False, True])
@pytest.mark.parametrize('padding', [0, 1, 2])
def test_stylegan3s_form_equals_the_definition(tensors, demodulate: bool, padding: int):
    x, weight, styles = tensors
    ours = modulated_conv2d(x, weight, styles, demodulate=demodulate, padding=padding)
    expected = definition(x.numpy(), weight.numpy(), styles.numpy(), demodulate, padding)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('demodulate', [False, True])
def test_stylegan2s_form_equals_the_definition(tensors, demodulate: bool, fused: bool):
    x, weight, styles = tensors
    ours = modulated_conv2d_resample(x, weight, styles, demodulate=demodulate, padding=1, fused=fused)
    expected = definition(x.numpy(), weight.numpy(), styles.numpy(), demodulate, 1)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize(('up', 'down'), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize('demodulate', [False, True])
def test_fused_and_shared_weights_agree_with_resampling_and_noise(tensors, up: int, down: int, demodulate: bool):
    x, weight, styles = tensors
    options = {'up': up, 'down': down, 'padding': 1, 'demodulate': demodulate, 'flip_weight': up == 1}
    options |= {'resample_filter': torch.outer(torch.arange(1, 5), torch.arange(2, 6)).double()}
    plain = modulated_conv2d_resample(x, weight, styles, **options)
    noise = random(torch.Generator().manual_seed(9), 3, 1, *plain.shape[2:])
    fused = modulated_conv2d_resample(x, weight, styles, noise=noise, **options)
    shared = modulated_conv2d_resample(x, weight, styles, noise=noise, fused=False, **options)
    torch.testing.assert_close(fused, shared)
    torch.testing.assert_close(fused, plain + noise)


def test_demodulation_gives_unit_variance_whatever_the_scale_of_weights_and_styles(tensors):
    _, weight, styles = tensors
    x = random(torch.Generator().manual_seed(2), 3, 4, 64, 64)
    y = modulated_conv2d(x, weight * 30, styles * 0.02)
    torch.testing.assert_close(y.std([2, 3]), torch.ones(3, 5, dtype=DOUBLE), atol=0.1, rtol=0)


@pytest.mark.parametrize('shape', [(), (4,), (3, 4)])
def test_the_input_gain_acts_like_scaling_the_input(tensors, shape: tuple[int, ...]):
    x, weight, styles = tensors
    gain = random(torch.Generator().manual_seed(3), *shape)
    ours = modulated_conv2d(x, weight, styles, padding=1, input_gain=gain)
    scaled = x * gain.expand(3, 4)[:, :, None, None]
    torch.testing.assert_close(ours, modulated_conv2d(scaled, weight, styles, padding=1))


@pytest.mark.parametrize('function', [modulated_conv2d, modulated_conv2d_resample])
@pytest.mark.parametrize('demodulate', [False, True])
def test_first_and_second_derivatives_are_right(function, demodulate: bool):
    generator = torch.Generator().manual_seed(6)
    x = random(generator, 2, 2, 3, 3).requires_grad_()
    weight, styles = random(generator, 2, 2, 3, 3).requires_grad_(), random(generator, 2, 2).requires_grad_()

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        return function(*tensors, padding=1, demodulate=demodulate)

    assert torch.autograd.gradcheck(call, (x, weight, styles))
    assert torch.autograd.gradgradcheck(call, (x, weight, styles))


def test_large_weights_and_styles_do_not_overflow_in_half_precision(tensors):
    x, weight, styles = tensors
    expected = modulated_conv2d(x, weight, styles, padding=1)
    big = (x.half(), (weight * 1e3).float(), (styles * 1e3).float())
    for result in (modulated_conv2d(*big, padding=1), modulated_conv2d_resample(*big, padding=1)):
        assert result.dtype == torch.float16
        torch.testing.assert_close(result.double(), expected, atol=2e-2, rtol=0)


@pytest.mark.parametrize('function', [modulated_conv2d, modulated_conv2d_resample])
def test_styles_of_the_wrong_size_are_named(function):
    with pytest.raises(ValueError, match=r'got \(2, 3, 4, 4\), \(5, 3, 1, 1\) and \(2, 4\)'):
        function(torch.zeros(2, 3, 4, 4), torch.zeros(5, 3, 1, 1), torch.zeros(2, 4))


@pytest.mark.parametrize('demodulate', [False, True])
@pytest.mark.parametrize(('side', 'padding'), [(3, 0), (3, (1, 2)), (1, 0)])
@pytest.mark.parametrize('gain', [None, torch.tensor(0.7), torch.rand(2, 19, generator=torch.Generator())])
def test_the_kernels_form_equals_the_exact_one(demodulate: bool, side: int, padding, gain):
    generator = torch.Generator().manual_seed(4)
    x, weight = torch.randn(2, 19, 9, 14, generator=generator), torch.randn(21, 19, side, side, generator=generator)
    styles = torch.randn(2, 19, generator=generator)
    options = {'demodulate': demodulate, 'padding': padding}
    with use_backend('reference'):
        exact = modulated_conv2d(
            x.double(), weight.double(), styles.double(), input_gain=None if gain is None else gain.double(), **options
        )
    x = x.contiguous(memory_format=torch.channels_last)
    with use_backend('cpu', strict=True):
        ours = modulated_conv2d(x, weight, styles, input_gain=gain, **options)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert (ours - exact).abs().max() <= 1e-5 * exact.abs().max()
    modulated_conv2d(2 * x, weight, styles, input_gain=gain, **options)
    assert (ours - exact).abs().max() <= 1e-5 * exact.abs().max(), 'a later call overwrote the result'

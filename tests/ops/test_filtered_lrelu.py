"""Filtered leaky ReLU against its definition, and what it is for: no aliases."""

import numpy as np
import pytest
import torch

from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass
from tests.ops import dense

pytestmark = pytest.mark.usefixtures('on_each_backend')

DOUBLE = torch.float64


def random(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=DOUBLE)


@pytest.mark.parametrize('seed', range(24))
def test_it_equals_the_definition_for_any_factors_padding_and_filters(seed: int):
    generator = torch.Generator().manual_seed(seed)
    up, down = torch.randint(1, 5, (2,), generator=generator).tolist()
    padding = tuple(torch.randint(-1, 9, (4,), generator=generator).tolist())
    slope, gain, clamp, flip = (0.2, 0.0, 1.0, 0.1)[seed % 4], 1 + seed / 9, (None, 0.6)[seed % 2], seed % 3 == 1
    x, bias = random(generator, 2, 3, 9, 11), random(generator, 3)
    up_filter = (random(generator, 6), random(generator, 3, 4), None)[seed % 3]
    down_filter = (random(generator, 5, 2), None, random(generator, 4))[(seed // 3) % 3]

    def numbers(f: torch.Tensor | None):
        return None if f is None else f.numpy()

    biased = (x + bias[:, None, None]).numpy()
    wave = dense.resample(biased, numbers(up_filter), (up, up), padding=padding, flip=flip, gain=up**2)
    wave = np.where(wave > 0, wave, slope * wave) * gain
    wave = wave if clamp is None else np.clip(wave, -clamp, clamp)
    expected = dense.resample(wave, numbers(down_filter), down=(down, down), flip=flip)
    options = {'up': up, 'down': down, 'padding': padding, 'gain': gain, 'slope': slope, 'clamp': clamp}
    ours = filtered_lrelu(x, up_filter, down_filter, bias, flip_filter=flip, **options)
    np.testing.assert_allclose(ours, expected, atol=1e-12 * max(1, np.abs(expected).max()))


def test_a_positive_constant_is_only_multiplied_by_the_gain():
    up_filter, down_filter = lowpass(12, 8, 16, 64), lowpass(12, 8, 16, 64, radial=True)
    x = torch.full((1, 1, 20, 20), 3.0)
    y = filtered_lrelu(x, up_filter, down_filter, up=2, down=2, padding=11, gain=1.5)
    torch.testing.assert_close(y[0, 0, 8:12, 8:12], torch.full((4, 4), 4.5))


def test_what_the_nonlinearity_creates_beyond_the_cutoff_is_filtered_away():
    """A wave shifted by a fraction of a sample gives the shifted result: hardly, without filters; well, with them."""

    def layer(shift: float, filtered: bool) -> torch.Tensor:
        positions = torch.arange(96, dtype=DOUBLE) + shift
        wave = torch.sin(2 * torch.pi * 0.09 * positions).expand(1, 1, 96, 96)
        if not filtered:
            return filtered_lrelu(wave, None, None, slope=0.0)[0, 0, 48]
        taps = lowpass(96, 0.25, 0.1, 4.0)
        assert taps is not None
        return filtered_lrelu(wave, taps.double(), taps.double(), up=4, down=4, padding=95, slope=0.0)[0, 0, 48]

    def error(filtered: bool) -> float:
        """Largest difference between the layer of a shifted wave and the shifted layer of the wave, from its spectrum."""
        base, shifted = layer(0.0, filtered), layer(0.5, filtered)
        begin = 24
        times = torch.arange(48, dtype=DOUBLE)
        harmonics = torch.stack([torch.exp(2j * torch.pi * 0.09 * k * times) for k in range(-2, 3)], 1)
        fit = torch.linalg.lstsq(harmonics, base[begin : begin + 48].to(torch.complex128)).solution
        turned = torch.stack([torch.exp(2j * torch.pi * 0.09 * k * (times + 0.5)) for k in range(-2, 3)], 1) @ fit
        return float((turned.real - shifted[begin : begin + 48]).abs().max())

    assert error(filtered=True) < 0.1 * error(filtered=False)


@pytest.mark.parametrize('clamp', [None, 0.5])
@pytest.mark.parametrize('full', [False, True])
def test_first_and_second_derivatives_are_right(clamp: float | None, full: bool):
    generator = torch.Generator().manual_seed(4)
    x, bias = random(generator, 1, 2, 4, 5).requires_grad_(), random(generator, 2).requires_grad_()
    up_filter, down_filter = random(generator, 4), random(generator, 3, 4) if full else random(generator, 4)

    def call(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return filtered_lrelu(x, up_filter, down_filter, bias, up=2, down=2, padding=(3, 2, 4, 1), clamp=clamp)

    assert torch.autograd.gradcheck(call, (x, bias))
    assert torch.autograd.gradgradcheck(call, (x, bias))


def test_a_tensor_of_wrong_rank_is_named():
    with pytest.raises(ValueError, match=r'needs \[batch, channels, height, width\], got \(4, 4\)'):
        filtered_lrelu(torch.zeros(4, 4), None, None)

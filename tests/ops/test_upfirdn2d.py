"""upfirdn2d against its definition, and what it must do to simple signals."""

import numpy as np
import pytest
import torch

from ops.upfirdn2d import downsample2d, filter2d, upfirdn2d, upsample2d
from tests.ops import dense

pytestmark = pytest.mark.usefixtures('on_each_backend')

DOUBLE = torch.float64


def random(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=DOUBLE)


def integers(generator: torch.Generator, low: int, high: int, count: int) -> list[int]:
    return torch.randint(low, high + 1, (count,), generator=generator).tolist()


@pytest.mark.parametrize('seed', range(40))
def test_it_equals_the_definition_for_any_factors_padding_and_filter(seed: int):
    generator = torch.Generator().manual_seed(seed)
    height, width, rows, columns = integers(generator, 4, 9, 2) + integers(generator, 1, 5, 2)
    up, down = tuple(integers(generator, 1, 4, 2)), tuple(integers(generator, 1, 4, 2))
    padding = tuple(value + 4 for value in integers(generator, -6, 4, 4))
    flip, gain = bool(seed % 2), 1 + seed / 10
    x = random(generator, 2, 3, height, width)
    f = (None, random(generator, columns), random(generator, rows, columns))[seed % 3]
    ours = upfirdn2d(x, f, up=up, down=down, padding=padding, flip_filter=flip, gain=gain)
    numbers = None if f is None else f.numpy()
    np.testing.assert_allclose(ours, dense.resample(x.numpy(), numbers, up, down, padding, flip, gain), atol=1e-12)


@pytest.mark.parametrize('padding', [2, (2, 2), [2, 2, 2, 2]])
def test_one_two_or_four_numbers_may_say_the_padding(padding):
    x = torch.ones(1, 1, 3, 3, dtype=DOUBLE)
    assert upfirdn2d(x, None, padding=padding).shape == (1, 1, 7, 7)
    assert upfirdn2d(x, None, padding=padding)[0, 0, 2:5, 2:5].equal(x[0, 0])


@pytest.mark.parametrize('function', [upfirdn2d, filter2d, upsample2d, downsample2d])
def test_first_and_second_derivatives_are_right(function):
    generator = torch.Generator().manual_seed(1)
    x = random(generator, 1, 2, 5, 4).requires_grad_()
    f = random(generator, 3, 2).requires_grad_()
    options = {'padding': (1, 2, -1, 2)}
    assert torch.autograd.gradcheck(lambda x, f: function(x, f, **options), (x, f))
    assert torch.autograd.gradgradcheck(lambda x, f: function(x, f, **options), (x, f))


@pytest.mark.parametrize('taps', [1, 2, 5, 6, 12])
@pytest.mark.parametrize('factor', [1, 2, 3, 4])
def test_resampling_keeps_extent_and_mean(taps: int, factor: int):
    x = torch.full((1, 1, 24, 36), 2.5, dtype=DOUBLE)
    f = torch.ones(taps, dtype=DOUBLE) / taps
    if taps >= factor:  # a shorter filter leaves inserted zeros as they are
        larger = upsample2d(x, f.repeat_interleave(factor) / factor, up=factor)
        assert larger.shape == (1, 1, 24 * factor, 36 * factor)
        inside = larger[:, :, 12 * factor, 18 * factor]
        torch.testing.assert_close(inside, torch.full_like(inside, 2.5))
    smaller = downsample2d(x, f, down=factor)
    assert smaller.shape == (1, 1, 24 // factor, 36 // factor)
    torch.testing.assert_close(smaller[:, :, 12 // factor, 18 // factor], torch.full((1, 1), 2.5, dtype=DOUBLE))
    assert filter2d(x, f).shape == x.shape


def test_upsampling_a_band_limited_wave_returns_the_wave_at_the_new_pixel_centres():
    factor, taps, side = 4, 64, 48
    distance = (torch.arange(taps, dtype=DOUBLE) - (taps - 1) / 2) / factor
    sinc = torch.sinc(distance) * torch.kaiser_window(taps, periodic=False, beta=10.0, dtype=DOUBLE) / factor
    positions = torch.arange(side, dtype=DOUBLE) + 0.5  # in coarse pixels, from the edge of the picture
    finer = (torch.arange(side * factor, dtype=DOUBLE) + 0.5) / factor
    y = upsample2d(torch.sin(0.7 * positions).expand(1, 1, side, side), sinc, up=factor)
    inside = slice(taps, -taps)
    torch.testing.assert_close(y[0, 0, inside, inside][9], torch.sin(0.7 * finer)[inside], atol=1e-3, rtol=0)


def test_half_precision_goes_in_and_comes_out():
    x = torch.ones(1, 1, 4, 4, dtype=torch.float16)
    assert upfirdn2d(x, torch.ones(2) / 2).dtype == torch.float16


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        (lambda x: upfirdn2d(x[0], None), 'batch, channels, height, width'),
        (lambda x: upfirdn2d(x, torch.ones(2, 2, 2)), r'\[taps\] or \[height, width\]'),
        (lambda x: upfirdn2d(x, torch.ones(9)), 'smaller than the filter'),
        (lambda x: upfirdn2d(x, None, padding=-3), 'leaves nothing'),
        (lambda x: upfirdn2d(x, None, padding=[1, 2, 3]), 'padding must be'),
        (lambda x: upfirdn2d(x, None, up=0), '1 or more'),
    ],
)
def test_a_wrong_argument_is_named_in_one_sentence(call, words: str):
    with pytest.raises(ValueError, match=words) as raised:
        call(torch.ones(1, 1, 5, 5))
    assert '\n' not in str(raised.value)

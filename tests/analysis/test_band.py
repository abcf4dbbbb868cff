import pytest
import torch

from analysis.band import (
    advance,
    filter_spectrum,
    fold_spectrum,
    full_spectrum,
    half_spectrum,
    refit,
    repeat_spectrum,
    smooth_side,
)


def noise(side: int) -> torch.Tensor:
    return torch.randn(2, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(side))


def signal(spectrum: torch.Tensor, side: int) -> torch.Tensor:
    return torch.fft.irfft2(spectrum, s=(side, side))


@pytest.mark.parametrize(('old', 'new'), [(8, 12), (9, 15), (8, 11), (9, 12), (6, 18)])
def test_more_samples_and_back_is_the_same_signal(old: int, new: int):
    x = noise(old)
    torch.testing.assert_close(signal(refit(refit(half_spectrum(x), old, new), new, old), old), x)


def test_more_samples_go_through_those_that_were_there():
    x = noise(9)
    torch.testing.assert_close(signal(refit(half_spectrum(x), 9, 27), 27)[:, ::3, ::3], x)


def test_fewer_samples_lose_what_they_cannot_hold():
    steps = torch.arange(24, dtype=torch.float64)
    slow, fast = torch.cos(2 * torch.pi * 3 * steps / 24), torch.cos(2 * torch.pi * 9 * steps / 24)
    both = (slow + fast).expand(24, 24)
    torch.testing.assert_close(signal(refit(half_spectrum(both), 24, 12), 12), slow.expand(24, 24)[::2, ::2])


def test_zeros_between_samples_repeat_the_spectrum():
    zeros = torch.zeros(2, 36, 36, dtype=torch.float64)
    zeros[:, ::3, ::3] = noise(12)
    torch.testing.assert_close(repeat_spectrum(half_spectrum(noise(12)), 12, 3), half_spectrum(zeros))


@pytest.mark.parametrize('keep', [2, 3])
def test_dropping_samples_folds_the_spectrum(keep: int):
    x = noise(12)
    torch.testing.assert_close(
        fold_spectrum(half_spectrum(x), 12, keep), half_spectrum(x[:, ::keep, ::keep].contiguous())
    )


@pytest.mark.parametrize('side', [8, 9])
def test_all_columns_follow_from_half_of_them(side: int):
    torch.testing.assert_close(full_spectrum(half_spectrum(noise(side)), side), torch.fft.fft2(noise(side)))


def test_a_filter_acts_as_a_circular_convolution():
    taps = torch.tensor([0.5, 0.25, 0.125], dtype=torch.float64)
    x = noise(8)
    rows = sum(tap * x.roll(shift, -2) for shift, tap in enumerate(taps))
    expected = sum(tap * rows.roll(shift, -1) for shift, tap in enumerate(taps))
    torch.testing.assert_close(signal(half_spectrum(x) * filter_spectrum(taps, 8), 8), expected)


def test_advancing_brings_a_sample_to_the_origin():
    x = noise(9)
    torch.testing.assert_close(signal(advance(half_spectrum(x), 9, 2, -1), 9), x.roll((-2, 1), (-2, -1)))


def test_smooth_sides_are_quick_to_transform():
    assert smooth_side(97) == 100
    assert smooth_side(97, 4) == 100
    assert smooth_side(61, 3) == 72

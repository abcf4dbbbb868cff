"""Spectra of signals whose spectrum is known in closed form."""

import math

import pytest
import torch

from analysis.spectrum import (
    FLOOR_DB,
    axis_slice,
    decibel,
    diagonal_slice,
    kaiser_window,
    power_spectrum,
    radial_profile,
    with_both_edges,
)


def wave(height: int, width: int, cycles_x: float, cycles_y: float) -> torch.Tensor:
    x = torch.arange(width, dtype=torch.float64) / width
    y = torch.arange(height, dtype=torch.float64) / height
    return torch.cos(2 * math.pi * (cycles_x * x[None, :] + cycles_y * y[:, None]) + 0.3)


@pytest.mark.parametrize(('height', 'width'), [(16, 16), (15, 15), (12, 20), (9, 14)])
def test_without_a_window_the_mean_power_is_the_variance(height: int, width: int):
    x = torch.randn([3, height, width], generator=torch.Generator().manual_seed(0)) + 5
    variance = (x - x.mean(dim=(1, 2), keepdim=True)).square().mean()
    assert float(power_spectrum(x, 0.0).mean()) == pytest.approx(float(variance), rel=1e-5)


@pytest.mark.parametrize(('height', 'width'), [(16, 16), (15, 21)])
@pytest.mark.parametrize(('cycles_x', 'cycles_y'), [(3, 0), (0, 5), (2, -4)])
def test_a_wave_of_k_cycles_appears_at_k_and_minus_k(height: int, width: int, cycles_x: int, cycles_y: int):
    power = power_spectrum(wave(height, width, cycles_x, cycles_y), 0.0)
    expected = torch.zeros_like(power)
    for sign in (1, -1):  # cos² has mean 1/2: a quarter of the bins' sum at each of the two
        expected[height // 2 + sign * cycles_y, width // 2 + sign * cycles_x] = height * width / 4
    assert torch.allclose(power, expected, atol=1e-3)


def test_the_real_transform_is_completed_like_a_complex_one():
    for shape in ([7, 8], [8, 7], [8, 8], [7, 7]):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        whole = torch.fft.fftshift(torch.fft.fft2(x - x.mean()).abs().square()) / x.numel()
        assert torch.allclose(power_spectrum(x, 0.0).double(), whole, rtol=1e-4, atol=1e-6)


def test_a_constant_has_no_power():
    power = power_spectrum(torch.full([2, 8, 8], 7.0))
    assert float(power.max()) < 1e-10 and bool((decibel(power * 0) == FLOOR_DB).all())


def test_many_channels_are_averaged_in_parts_as_at_once(monkeypatch):
    x = torch.randn([5, 16, 16], generator=torch.Generator().manual_seed(2))
    at_once = power_spectrum(x)
    monkeypatch.setattr('analysis.spectrum._CHUNK_VALUES', 256)
    assert torch.allclose(power_spectrum(x), at_once, rtol=1e-5)


def test_the_window_keeps_the_power_of_noise():
    x = torch.randn([400, 24, 24], generator=torch.Generator().manual_seed(3))
    assert float(power_spectrum(x, 8.0).mean()) == pytest.approx(1.0, abs=0.02)
    assert float(kaiser_window(24, 8.0).square().mean()) == pytest.approx(1.0, abs=1e-6)


def test_the_window_confines_a_wave_between_two_bins():
    """Without a window a wave of 4.5 cycles leaks everywhere; Kaiser with beta 8 keeps side lobes below -58 dB."""
    x = wave(64, 64, 4.5, 0)
    far = [
        decibel(power_spectrum(x, beta))[32, 32 + 20] - decibel(power_spectrum(x, beta)).max() for beta in (0.0, 8.0)
    ]
    assert far[0] > -40 and far[1] < -58


def test_the_ring_of_k_bins_holds_waves_of_every_direction():
    for cycles in ((5, 0), (0, 5), (3, 4)):
        profile = radial_profile(power_spectrum(wave(32, 32, *cycles), 0.0))
        assert int(profile.argmax()) == 5 and profile.shape == (17,)


def test_of_a_wide_array_both_axes_end_at_the_same_frequency():
    """16 x 32 samples with the same rate on both axes: bin k of the long axis is frequency k/2 of the short one."""
    profile = radial_profile(power_spectrum(wave(16, 32, 8, 0), 0.0))
    assert int(profile.argmax()) == 4


def test_white_noise_is_flat_on_rings():
    x = torch.randn([3000, 16, 16], generator=torch.Generator().manual_seed(4))
    profile = radial_profile(power_spectrum(x, 0.0))[1:]
    assert float((10 * profile.log10()).abs().max()) < 0.3


def test_slices_run_along_their_direction():
    along_x, along_diagonal = power_spectrum(wave(32, 32, 6, 0), 0.0), power_spectrum(wave(32, 32, 4, 4), 0.0)
    assert int(axis_slice(along_x).argmax()) == 6 and float(diagonal_slice(along_x).max()) < 1e-3
    # 4 and 4 cycles are 4 sqrt(2) = 5.66 cycles at 45 degrees.
    assert int(diagonal_slice(along_diagonal).argmax()) in (5, 6) and float(axis_slice(along_diagonal).max()) < 1e-3
    vertical = power_spectrum(wave(32, 32, 0, 6), 0.0)
    assert float(axis_slice(vertical).max()) < 1e-3


def test_the_last_entry_of_the_axis_is_half_the_sampling_rate():
    nyquist = torch.tensor([1.0, -1.0]).repeat(8).expand(16, 16)
    assert int(axis_slice(power_spectrum(nyquist, 0.0)).argmax()) == 8


def test_both_edges_make_zero_the_middle():
    power = power_spectrum(torch.randn([6, 8], generator=torch.Generator().manual_seed(5)))
    whole = with_both_edges(power)
    assert whole.shape == (7, 9)
    assert torch.allclose(whole, whole.flip([0, 1]), rtol=1e-4, atol=1e-7)
    assert with_both_edges(torch.ones(5, 7)).shape == (5, 7)


def test_decibels_are_relative_to_the_mean_power():
    power = torch.tensor([[1.0, 3.0]])
    assert decibel(power).tolist()[0] == pytest.approx([10 * math.log10(0.5), 10 * math.log10(1.5)], abs=1e-5)
    assert decibel(power, 0.1).tolist()[0] == pytest.approx([10.0, 10 * math.log10(30)], abs=1e-5)


def test_nothing_to_transform_is_an_error():
    with pytest.raises(ValueError, match='height, width'):
        power_spectrum(torch.zeros(3))

import math

import pytest
import torch

from analysis.dataset_spectrum import dataset_moments, dataset_spectrum, smoothed


def white_noise(count: int = 64, side: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_white_noise_has_the_same_power_everywhere():
    spectrum = dataset_spectrum([white_noise()], mean=0.0, std=1.0)
    assert abs(10 * math.log10(float(spectrum.power.mean()))) < 0.1
    assert abs(float(spectrum.axis_db().mean() - spectrum.diagonal_db().mean())) < 0.5


def test_a_wave_appears_at_its_frequency():
    side, cycles = 32, 5
    x = torch.arange(side, dtype=torch.float64) / side
    wave = torch.sin(2 * math.pi * cycles * x).expand(1, 1, side, side)
    spectrum = dataset_spectrum([wave], mean=0.0, std=1.0, interpolation=4)
    assert int(spectrum.axis_db().argmax()) == cycles * 4


def test_batches_do_not_matter():
    images = white_noise(10)
    whole = dataset_spectrum([images], mean=0.1, std=2.0)
    parts = dataset_spectrum(images.split(3), mean=0.1, std=2.0)
    assert whole.count == parts.count == 10
    torch.testing.assert_close(whole.power, parts.power)


def test_smoothing_keeps_a_constant_and_its_edges():
    torch.testing.assert_close(smoothed(torch.full((9, 9), 3.0), 1.5), torch.full((9, 9), 3.0))


def test_moments_are_of_all_values():
    assert dataset_moments(torch.tensor([[[[0, 2]]]], dtype=torch.uint8)) == (1.0, 1.0)


@pytest.mark.parametrize('batches', [[], [torch.zeros(1, 3, 4, 5)], [torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 8, 8)]])
def test_what_cannot_be_averaged_is_refused_with_a_sentence(batches: list[torch.Tensor]):
    with pytest.raises(ValueError, match='picture'):
        dataset_spectrum(batches, mean=0.0, std=1.0)

import math
from collections.abc import Callable

import torch
from torch import Tensor

from analysis.equivariance import (
    PooledError,
    masked_error,
    rotation_error,
    translation_error,
    uniform_angle,
    uniform_shift,
)

SIZE = 64


def fourier_generator(*, stuck: float = 0.0) -> Callable[[Tensor], Tensor]:
    """Pictures made of a few plane waves, moved exactly by any map; plus `stuck` times a pattern that stays on the screen."""
    generator = torch.Generator().manual_seed(5)
    frequencies = (torch.rand(24, 2, generator=generator, dtype=torch.float64) * 2 - 1) * 8
    phases = torch.rand(24, generator=generator, dtype=torch.float64)
    axis = (torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE - 0.5
    y, x = torch.meshgrid(axis, axis, indexing='ij')
    pattern = torch.rand(SIZE, SIZE, generator=generator, dtype=torch.float64) - 0.5

    def synthesize(matrix: Tensor) -> Tensor:
        inverse = torch.linalg.inv(matrix)
        u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
        v = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
        waves = torch.sin(2 * math.pi * (u[..., None] * frequencies[:, 0] + v[..., None] * frequencies[:, 1] + phases))
        return (waves.mean(dim=-1) + stuck * pattern)[None, None]

    return synthesize


STILL = torch.eye(3, dtype=torch.float64)


def test_an_exactly_equivariant_generator_scores_above_100_db():
    synthesize = fourier_generator()
    assert translation_error(synthesize, synthesize(STILL), 0.11, -0.07).psnr() > 200


def test_detail_that_sticks_to_the_screen_is_found():
    synthesize = fourier_generator(stuck=0.25)
    psnr = translation_error(synthesize, synthesize(STILL), 0.11, -0.07).psnr()
    # The difference of two independent uniform values of width 0.25 has variance 2 * 0.25² / 12.
    expected = 10 * math.log10(4 / (2 * 0.25**2 / 12))
    assert abs(psnr - expected) < 0.3


def test_the_fractional_metric_and_rotation_saturate_where_resampling_does():
    synthesize = fourier_generator()
    assert 40 < translation_error(synthesize, synthesize(STILL), 0.113, -0.071, fractional=True).psnr() < 100
    assert 40 < rotation_error(synthesize, synthesize(STILL), 0.6).psnr() < 100


def test_errors_are_pooled_before_the_logarithm():
    quiet, loud = PooledError(1.0, 100.0), PooledError(9.0, 100.0)
    assert math.isclose((quiet + loud).psnr(), 10 * math.log10(4 / (10 / 200)))


def test_no_valid_pixel_is_not_a_score():
    synthesize = fourier_generator()
    assert math.isnan(translation_error(synthesize, synthesize(STILL), 3.0, 0.0).psnr())


def test_nan_features_do_not_pass_for_a_score():
    broken = torch.full((1, 1, 4, 4), math.nan)
    assert math.isnan(masked_error(broken, broken, torch.ones(4, 4)).psnr())


def test_no_difference_is_infinite():
    assert masked_error(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4), torch.ones(4, 4)).psnr() == math.inf


def test_draws_stay_in_their_range_and_repeat_with_the_seed():
    shifts = [uniform_shift(torch.Generator().manual_seed(seed)) for seed in range(50)]
    angles = [uniform_angle(torch.Generator().manual_seed(seed)) for seed in range(50)]
    assert all(abs(value) <= 1 / 8 for shift in shifts for value in shift)
    assert max(abs(angle) for angle in angles) > math.pi / 2
    assert uniform_shift(torch.Generator().manual_seed(3)) == shifts[3]

"""Alias budgets against numbers from mathematics."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.nonlinearity import (
    Nonlinearity,
    alias_errors,
    beyond,
    density_profile,
    middle,
    run_stages,
    signal_to_alias_db,
    stage_power,
)
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass

RATE, SIZE = 32.0, 52


def waves(highest: float, *, channels: int = 3, size: int = SIZE + 2) -> Tensor:
    """[1, channels, size, size], sums of plane waves."""
    generator = torch.Generator().manual_seed(1)
    turn = torch.rand(30, channels, 1, 1, generator=generator) * 2 * math.pi
    radius = torch.rand(30, channels, 1, 1, generator=generator).sqrt() * highest
    phase = torch.rand(30, channels, 1, 1, generator=generator)
    axis = (torch.arange(size) + 0.5 - size / 2) / RATE
    y, x = torch.meshgrid(axis, axis, indexing='ij')
    return torch.sin(2 * math.pi * (radius * (turn.cos() * x + turn.sin() * y) + phase)).sum(0)[None] * 0.3


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2) * 2**0.5


def layer(m: int, *, function=lrelu, taps: int = 6, half_width: float = 6.0) -> Nonlinearity:
    """The paper's layer without change of rate, m times oversampled."""
    up = lowpass(taps * m, 8.0, 2 * half_width, RATE * m) if m > 1 else None
    length = 1 if up is None else len(up)
    total = (SIZE - 1) * m + 1 + 2 * (length - 1) - (SIZE + 2) * m
    before = (total + m) // 2
    return Nonlinearity(function, RATE, m, m, up, up, (before, total - before, before, total - before))


def budget(m: int, signal: Tensor, **options) -> float:
    errors = alias_errors(signal, layer(m, **options))
    return signal_to_alias_db(errors.power, errors.total)


def test_the_stages_end_where_the_operator_ends():
    x, case = waves(8), layer(2)
    expected = filtered_lrelu(x, case.up_filter, case.down_filter, up=2, down=2, padding=case.padding)
    torch.testing.assert_close(run_stages(x, case)[-1].signal, expected)
    assert [stage.key for stage in run_stages(x, case)] == [
        'convolution', 'upsampled', 'activated', 'lowpassed', 'output',
    ]  # fmt: skip


@pytest.mark.parametrize('m', [1, 2, 4])
def test_a_linear_layer_creates_no_aliasing(m: int):
    assert budget(m, waves(6), function=lambda x: x * 1.5, taps=12) > 90


def test_each_doubling_of_the_oversampling_helps():
    found = [budget(m, waves(6)) for m in (1, 2, 4)]
    assert found[0] + 15 < found[1] < found[2] - 8


def test_squaring_aliases_exactly_where_its_sum_of_frequencies_does_not_fit():
    # The square of a wave of 4 cycles has 8, below half the rate of 32; that of 11 cycles has 22, above it.
    axis = (torch.arange(SIZE) + 0.5 - SIZE / 2) / RATE
    square = Nonlinearity(torch.square, RATE)
    fits, folds = (torch.sin(2 * math.pi * f * axis).expand(1, 1, SIZE, SIZE).contiguous() for f in (4, 11))
    fine, bad = (alias_errors(x, square) for x in (fits, folds))
    assert signal_to_alias_db(fine.power, fine.total) > 60
    # Behind the ideal only the mean is left of the second: all that varies is alias.
    assert signal_to_alias_db(bad.power, bad.total) < 25
    assert bad.images is None
    assert bad.leak is None


def test_twice_the_oversampling_of_the_ideal_changes_little():
    four, eight = (alias_errors(waves(8), layer(2), oversampling=times) for times in (4, 8))
    assert (four.oversampling, eight.oversampling) == (4, 8)
    levels = [signal_to_alias_db(one.power, one.total) for one in (four, eight)]
    assert abs(levels[0] - levels[1]) < 0.3


def test_channels_and_samples_do_not_influence_each_other():
    signal = torch.cat([waves(8), waves(4)])
    whole = alias_errors(signal, layer(2))
    apart = alias_errors(signal[1:, 2:], layer(2)) + alias_errors(signal[:1, 2:], layer(2))
    torch.testing.assert_close(whole.total[2], apart.total[0], rtol=1e-4, atol=0)


def test_a_weak_down_filter_is_told_from_a_weak_up_filter():
    good = layer(2)
    box = torch.zeros(12)
    box[5:7] = 0.5
    weak_up = alias_errors(waves(8), Nonlinearity(lrelu, RATE, 2, 2, box, good.down_filter, good.padding))
    weak_down = alias_errors(waves(8), Nonlinearity(lrelu, RATE, 2, 2, good.up_filter, box, good.padding))
    assert weak_up.images is not None
    assert weak_down.leak is not None
    assert weak_up.images.sum() > 100 * weak_down.images.sum()
    assert weak_down.leak.sum() > 100 * weak_up.leak.sum()


def test_nothing_to_measure_is_not_a_number():
    zero = alias_errors(torch.zeros(1, 1, SIZE + 2, SIZE + 2), layer(2))
    broken = alias_errors(torch.full((1, 1, SIZE + 2, SIZE + 2), math.nan), layer(2))
    assert math.isnan(signal_to_alias_db(zero.power, zero.total))
    assert math.isnan(signal_to_alias_db(broken.power, broken.total))
    assert math.isnan(signal_to_alias_db(1.0, None))


def test_the_share_beyond_the_band_is_that_of_the_wave_beyond_it():
    axis = (torch.arange(64) + 0.5 - 32) / 64
    both = torch.sin(2 * math.pi * 8 * axis) + 0.1 * torch.sin(2 * math.pi * 24 * axis)
    stages = run_stages(both.expand(1, 1, 64, 64).contiguous(), Nonlinearity(lambda x: x, 64.0))
    within, outside = beyond(stage_power(stages[0]), 64.0, 16.0)
    assert abs(10 * math.log10(outside / within) + 20) < 0.1


def test_densities_of_different_rates_agree():
    # The same signal on twice as many samples has the same power per squared cycle per image width.
    def density(side: int) -> Tensor:
        axis = (torch.arange(side) + 0.5 - side / 2) / side
        x = torch.sin(2 * math.pi * 5 * axis).expand(1, 1, side, side).contiguous()
        return density_profile(stage_power(run_stages(x, Nonlinearity(lambda x: x, float(side)))[0]), float(side))[1]

    torch.testing.assert_close(density(64)[5], density(128)[5], rtol=0.05, atol=0)


def test_of_large_layers_the_middle_tells_what_the_whole_would():
    large = waves(8, channels=1, size=202)
    whole = alias_errors(large, layer(2), oversampling=2)
    part = alias_errors(middle(large, 80), layer(2), oversampling=2)
    levels = [signal_to_alias_db(one.power, one.total) for one in (whole, part)]
    assert abs(levels[0] - levels[1]) < 2
    assert middle(large, 80).shape[-1] == 80
    assert middle(large, 81).shape[-1] == 80


def test_the_ideal_is_oversampled_for_large_layers_too():
    assert alias_errors(waves(8, channels=1, size=600), layer(2)).oversampling == 4

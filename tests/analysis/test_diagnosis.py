"""The decisions of `diagnose` on measured values: filters by a test signal, featureless answers by their shape."""

import math
from dataclasses import replace

import pytest
import torch

from analysis.diagnosis import judge
from analysis.diagnosis_facts import Band, InputFacts, LayerFacts
from analysis.diagnosis_filters import real_length, reference_band, usual_length
from analysis.diagnosis_flat import FlatResponse, flat_response
from analysis.diagnosis_signal import (
    Resampling,
    anisotropy_db,
    common_detail_db,
    folding_of,
    half_amplitude,
    separability,
    stress,
)
from ops.filters import FilterShape, design, lowpass

BAND = Band(8.0, 8.0)
"""Half of s / 2 at a rate of 32: as the flexible layers have it."""
QUIET = FlatResponse(-140.0, -140.0, -140.0)


def kaiser(taps: int = 12, cutoff: float = 8.0, half_width: float = 8.0, *, radial: bool = False) -> torch.Tensor:
    found = lowpass(taps, cutoff, 2 * half_width, 64.0, radial)
    assert found is not None
    return found


def kernel(kind: str, taps: int = 12) -> torch.Tensor:
    return design(kind, FilterShape('up', 2, taps, 64.0, 8.0, 8.0, False))  # type: ignore[arg-type]


def layer(label: str = 'L1', **changes: object) -> LayerFacts:
    """A layer at 32 samples per image width that does nothing wrong."""
    pointwise = bool(changes.get('pointwise'))
    facts = LayerFacts(
        label,
        32.0,
        32.0,
        flat=QUIET,
        resampling=Resampling(2, 2, kaiser(), kaiser(radial=pointwise)),
        band_in=BAND,
        band=BAND,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def network(defective: LayerFacts) -> list[LayerFacts]:
    """Three layers, the middle one given."""
    healthy = layer(pointwise=defective.pointwise)
    return [replace(healthy, label='L0'), defective, replace(healthy, label='L2')]


def causes(defective: LayerFacts) -> list[tuple[str, str]]:
    return [(one.cause, one.layer) for one in judge(network(defective))]


@pytest.mark.parametrize('pointwise', [False, True])
def test_the_papers_design_is_healthy(pointwise: bool):
    assert causes(layer(pointwise=pointwise)) == []


@pytest.mark.parametrize('kind', ['bilinear', 'nearest', 'gaussian'])
def test_kernels_of_image_processing_are_weak_filters(kind: str):
    taps = kernel(kind)
    assert causes(layer(resampling=Resampling(2, 2, taps, kaiser()))) == [('up-filter', 'L1')]
    assert causes(layer(resampling=Resampling(2, 2, kaiser(), taps))) == [('down-filter', 'L1')]


def test_a_short_filter_among_long_ones_is_weak():
    assert causes(layer(resampling=Resampling(2, 2, kaiser(taps=4), kaiser()))) == [('up-filter', 'L1')]


def test_a_network_of_shorter_or_longer_filters_is_not_blamed_for_that():
    for taps in (8, 16):
        filters = Resampling(2, 2, kaiser(taps), kaiser(taps))
        assert judge([layer(f'L{index}', resampling=filters) for index in range(3)]) == ()


def test_a_bare_nonlinearity_is_named_and_the_cure_is_twice_the_rate():
    (found,) = judge(network(layer(resampling=Resampling(1, 1, None, None))))
    assert (found.cause, found.layer, found.cure.oversampling) == ('nonlinearity', 'L1', 2)
    moving = next(one for one in found.numbers if 'equivariance' in one.name)
    assert moving.healthy is not None
    assert moving.healthy > moving.value + 15


def test_a_cutoff_at_half_the_rate_is_critical_sampling_not_a_weak_filter():
    high = Band(16.0, (math.sqrt(2) - 1) * 16)
    filters = Resampling(2, 2, kaiser(), kaiser(cutoff=16.0, half_width=high.half_width))
    assert causes(layer(resampling=filters, band=high)) == [('cutoff', 'L1')]


def test_the_last_layers_may_be_sampled_critically():
    high = Band(16.0, 3.7)
    filters = Resampling(2, 2, kaiser(), kaiser(cutoff=16.0, half_width=3.7))
    facts = [layer('L0'), layer('L1', resampling=filters, band=high, last=True)]
    assert judge(facts) == ()


def test_the_next_filter_that_follows_a_high_cutoff_is_not_blamed():
    high = Band(16.0, 6.6)
    filters = Resampling(2, 2, kaiser(), kaiser(cutoff=16.0, half_width=6.6))
    following = Resampling(2, 2, kaiser(cutoff=16.0, half_width=6.6), kaiser())
    facts = network(layer(resampling=filters, band=high))
    facts[2] = replace(facts[2], resampling=following, band_in=high)
    assert [(one.cause, one.layer) for one in judge(facts)] == [('cutoff', 'L1')]


@pytest.mark.parametrize('full', [False, True])
def test_a_separable_filter_is_named_where_convolutions_are_pointwise(full: bool):
    taps = torch.outer(kaiser(), kaiser()) if full else kaiser()
    filters = Resampling(2, 2, kaiser(), taps)
    assert causes(layer(pointwise=True, resampling=filters)) == [('separable', 'L1')]
    assert causes(layer(pointwise=False, resampling=filters)) == []


def test_noise_and_border_are_told_apart():
    assert causes(layer(flat=FlatResponse(-20.0, -140.0, -140.0))) == [('noise', 'L1')]
    assert causes(layer(flat=FlatResponse(-140.0, -10.0, -140.0))) == [('border', 'L1')]
    assert causes(layer(flat=FlatResponse(-140.0, -140.0, 0.0))) == [('border', 'L1')]


def test_an_input_that_does_not_move_is_a_constant():
    still, moving = InputFacts('input', -200.0, 9.0), InputFacts('input', 3.0, 130.0)
    assert [one.cause for one in judge(network(layer()), still)] == ['constant']
    assert judge(network(layer()), moving) == ()


def test_the_worst_finding_comes_first():
    loud = layer(flat=FlatResponse(-5.0, -140.0, -140.0), resampling=Resampling(2, 2, kernel('bilinear'), kaiser()))
    assert [cause for cause, _ in causes(loud)] == ['noise', 'up-filter']


def test_filters_padded_with_zeros_count_by_their_taps():
    assert real_length(torch.nn.functional.pad(kaiser(8), (2, 2))) == 8
    assert usual_length([layer(resampling=Resampling(2, 2, kaiser(8), kaiser(8)))]) == 4
    assert usual_length([layer(resampling=Resampling(2, 2, kaiser(4), None))]) == 6


def test_a_reference_band_leaves_room_below_half_the_rate():
    assert reference_band(Band(8.0, 8.0), 32.0, critical=False) == Band(8.0, 8.0)
    lowered = reference_band(Band(16.0, 3.0), 32.0, critical=False)
    assert lowered.cutoff + lowered.half_width == pytest.approx(16)
    assert reference_band(Band(16.0, 3.7), 32.0, critical=True) == Band(16.0, 3.7)


def test_an_ideal_layer_moves_almost_perfectly_and_a_bare_one_does_not():
    filters = Resampling(4, 4, kaiser(24), kaiser(24))
    fine = lowpass(48, 8.0, 16.0, 128.0)
    ideal = stress(Resampling(4, 4, fine, fine), 0.3, 1.0)
    bare = stress(Resampling(1, 1, None, None), 0.3, 1.0)
    assert filters.up == 4
    assert ideal.equivariance_db > bare.equivariance_db + 25


def test_a_linear_function_folds_nothing_and_a_relu_does():
    assert folding_of(lambda x: 3 * x, 0.5) < -250 or folding_of(lambda x: 3 * x, 0.5) == -200
    assert folding_of(torch.relu, 0.5) > -40


def test_half_amplitude_of_an_ideal_shape_is_its_cutoff():
    assert half_amplitude(kaiser(taps=128, cutoff=8.0, half_width=1.0), 2) == pytest.approx(0.5, abs=0.01)
    assert half_amplitude(torch.tensor([0.25, 0.5, 0.25]), 2) == pytest.approx(1.0, abs=0.01)  # cos²(pi f / s')


def test_a_circular_filter_is_even_and_no_outer_product():
    assert separability(kaiser(radial=True)) > 0.01
    assert separability(torch.outer(kaiser(), kaiser())) < 1e-6
    assert anisotropy_db(kaiser(radial=True), 2) < anisotropy_db(kaiser(cutoff=8, half_width=2), 2)


def test_detail_that_all_pictures_share_is_found_and_chance_is_taken_off():
    generator = torch.Generator().manual_seed(3)
    apart = torch.randn(16, 1, 32, 32, generator=generator)
    assert common_detail_db(apart) < -15
    assert common_detail_db(apart + 3 * torch.randn(1, 1, 32, 32, generator=generator)) == pytest.approx(-0.45, abs=0.3)
    assert math.isnan(common_detail_db(apart[:1]))


def flat_features(size: int = 36) -> torch.Tensor:
    return torch.arange(6.0)[:, None, None].expand(6, size, size).clone()


def test_a_flat_answer_is_neither_noise_nor_border():
    found = flat_response(flat_features(), 1.0, 16.0)
    assert max(found.noise_db, found.border_db, found.outside_db) < -150


def test_a_frame_is_border_and_not_noise():
    x = flat_features()
    x[:, 10:26, 10:26] += 0.5
    x[:, 11:25, 11:25] -= 0.5  # one sample wide, inside the canvas of 16
    found = flat_response(x, 1.0, 16.0)
    assert found.border_db == pytest.approx(-6, abs=1)
    assert found.noise_db < -150


def test_an_empty_margin_is_seen_outside_the_canvas_only():
    x = torch.zeros(6, 36, 36)
    x[:, 10:26, 10:26] = 2.0
    found = flat_response(x, 1.0, 16.0)
    assert found.outside_db > 0
    assert found.border_db < -150


@pytest.mark.parametrize('seed', range(20))
def test_noise_shared_by_all_channels_is_not_taken_for_a_border(seed: int):
    noise = torch.randn(36, 36, generator=torch.Generator().manual_seed(seed))
    found = flat_response(flat_features() + 0.1 * noise, 1.0, 16.0)
    assert found.border_db < -40
    assert found.noise_db == pytest.approx(-20, abs=2)


def test_a_pattern_of_the_upsampling_period_is_no_noise():
    x = flat_features(64)
    x[:, ::2, ::2] += 0.1
    assert flat_response(x, 1.0, 32.0, period=2).noise_db < -150
    assert flat_response(x, 1.0, 32.0).noise_db > -40

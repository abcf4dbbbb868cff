"""Sticking measures on patterns that move, stay, or do both to a known part."""

import math

import pytest
import torch

from analysis.sticking import CommonPattern, Decay, common_share, high_pass, line_samples, strip_score

POINTS = 96


def strip(stuck: float, moving: float, frames: int = 48) -> torch.Tensor:
    """[frames, 1, POINTS]: noise that stays and noise that walks about 6 points a frame, with these powers, and a slow swell."""
    generator = torch.Generator().manual_seed(0)
    still = torch.randn(POINTS, generator=generator)
    long = torch.randn(POINTS + 6 * frames, generator=generator)
    swell = torch.sin(torch.linspace(0, 2 * math.pi, POINTS))
    rows = [
        stuck**0.5 * still + moving**0.5 * long[6 * t : 6 * t + POINTS] + 2 * math.cos(0.5 * t) * swell
        for t in range(frames)
    ]
    return torch.stack(rows)[:, None]


@pytest.mark.parametrize(('stuck', 'moving'), [(1, 0), (0, 1), (1, 1), (1, 3)])
def test_the_score_is_the_part_of_the_detail_that_stays(stuck: float, moving: float):
    score = strip_score(strip(stuck, moving))
    assert abs(score.share - stuck / (stuck + moving)) < 0.1
    assert score.moved > 0.5
    assert score.why_not() == ''


def test_a_walk_that_goes_nowhere_is_said():
    still = strip(1, 0)[:1].expand(8, -1, -1)
    score = strip_score(still)
    assert score.share == 1
    assert 'walk further' in score.why_not()


def test_a_line_without_detail_has_no_score():
    assert 'no detail' in strip_score(torch.ones(4, 3, 32)).why_not()
    assert 'finite' in strip_score(torch.full((4, 3, 32), math.nan)).why_not()


def test_a_walk_of_one_picture_is_refused():
    with pytest.raises(ValueError, match='at least 2 pictures'):
        strip_score(torch.zeros(1, 3, 32))
    with pytest.raises(ValueError, match='at least 2 pictures'):
        strip_score(torch.zeros(0, 3, 32))


def test_a_line_through_pixel_centres_reads_those_pixels():
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    row = line_samples(image, (0.5 / 8, 2.5 / 8), (7.5 / 8, 2.5 / 8), 8)
    torch.testing.assert_close(row, image[:, 2], atol=1e-5, rtol=0)
    diagonal = line_samples(image, (0.5 / 8, 0.5 / 8), (7.5 / 8, 7.5 / 8), 8)
    torch.testing.assert_close(diagonal, image.diagonal(dim1=1, dim2=2), atol=1e-5, rtol=0)


def test_a_line_between_pixels_reads_the_ramp_between_them():
    ramp = (torch.arange(16.0) + 0.5).div(16).expand(1, 16, 16)
    points = line_samples(ramp, (0.3, 0.4), (0.7, 0.61), 9)[0]
    torch.testing.assert_close(points, torch.linspace(0.3, 0.7, 9), atol=2e-3, rtol=0)


def test_the_share_takes_off_what_chance_leaves():
    assert common_share(1.0, 1.0, 8) == 1
    assert common_share(1 / 8, 1.0, 8) == 0
    assert math.isclose(common_share((1 + 1 / 8) / 2, 1.0, 8), 0.5)
    assert math.isnan(common_share(0.0, 0.0, 8))
    assert math.isnan(common_share(1.0, 1.0, 1))


def test_averages_of_unlike_pictures_decay_as_one_over_n():
    generator, decay = torch.Generator().manual_seed(0), Decay()
    for _ in range(64):
        decay.add(torch.randn(3, 32, 32, generator=generator))
    counts, energies = decay.curve()
    assert counts == (1, 2, 4, 8, 16, 32, 64)
    assert energies == pytest.approx([1 / n for n in counts], rel=0.1)
    assert decay.share() < 0.02


def test_what_pictures_share_is_where_the_decay_ends():
    generator, decay = torch.Generator().manual_seed(0), Decay()
    common = torch.randn(3, 32, 32, generator=generator)
    for _ in range(64):
        decay.add(common + torch.randn(3, 32, 32, generator=generator))
    assert decay.curve()[1][-1] == pytest.approx(0.5 + 0.5 / 64, rel=0.05)
    assert decay.share() == pytest.approx(0.5, abs=0.03)


def test_the_high_pass_keeps_fine_waves_and_drops_coarse_ones():
    axis = torch.arange(64.0).expand(64, 64)
    coarse, fine = (high_pass(torch.sin(2 * math.pi * f * axis / 64)).square().mean() for f in (2, 20))
    assert coarse < 1e-4 * fine


def test_a_fixed_pattern_is_found_per_channel_and_place():
    generator, pattern = torch.Generator().manual_seed(0), CommonPattern()
    fixed = torch.zeros(2, 16, 16)
    fixed[0, :, :8] = torch.randn(16, 8, generator=generator) * 3
    for _ in range(50):
        pattern.add(torch.randn(2, 16, 16, generator=generator) + fixed)
    first, second = pattern.channel_shares()
    assert 0.6 < first < 1
    assert second < 0.05
    shown = pattern.map()
    assert shown[:, :8].mean() > 3 * shown[:, 8:].mean()
    right = torch.zeros(16, 16)
    right[:, 8:] = 1
    assert pattern.share(right) < 0.2 < pattern.share(1 - right)


def test_a_pattern_does_not_depend_on_the_order_of_its_samples():
    samples = torch.randn(5, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    one, other = CommonPattern(), CommonPattern()
    for index in range(5):
        one.add(samples[index])
        other.add(samples[4 - index])
    assert one.share() == pytest.approx(other.share(), rel=1e-9)

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from training.augment import (
    SYM2,
    SYM6,
    AugmentPipe,
    adapted_strength,
    band_filters,
    choose_band_gains,
    filter_images,
)
from training.augment_colour import choose_colours, hue_rotation, luma_flip, recolour, saturation
from training.augment_geometry import choose_motion, warp
from training.augment_options import AugmentOptions, Choice, published_options
from training.random_source import TorchRandom


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def seeded(seed: int = 0) -> TorchRandom:
    return TorchRandom(torch.Generator().manual_seed(seed))


def chance(count: int, strength: float = 1.0, seed: int = 0) -> Choice:
    return Choice(count, torch.tensor(strength), seeded(seed), None)


class Scripted:
    """Answers every draw with its kind's next number."""

    def __init__(self, *, uniform: Sequence[float] = (), normal: Sequence[float] = ()) -> None:
        self._uniform, self._normal = iter(uniform), iter(normal)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        return torch.full(tuple(shape), next(self._uniform))

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.full(tuple(shape), next(self._normal))


# Geometry


def test_strength_zero_leaves_the_picture_though_it_is_resampled():
    pipe = AugmentPipe(
        **{name: 1 for name in ('xflip', 'rotate90', 'xint', 'scale', 'rotate', 'aniso', 'xfrac', 'hue')}
    )
    pipe.p.zero_()
    images = random_images(3, 3, 24, 24)
    changed = pipe(images, seeded())
    torch.testing.assert_close(changed, images, atol=4e-6, rtol=0)
    assert not changed.equal(images), 'the resampling did not run, so the test shows nothing'


def test_whole_shifts_move_pixels_exactly_and_mirror_the_edges():
    images = random_images(1, 3, 16, 24)
    moved = AugmentPipe(xint=1)(images, debug_percentile=0.9)  # 0.8 * 0.125 of 24 and 16 pixels: 2 right and 2 down
    torch.testing.assert_close(moved[..., 2:, 2:], images[..., :-2, :-2], atol=5e-6, rtol=0)
    torch.testing.assert_close(moved[..., 2:, 0], images[..., :-2, 2], atol=5e-6, rtol=0)
    torch.testing.assert_close(moved[..., 0, 2:], images[..., 2, :-2], atol=5e-6, rtol=0)


def smooth_image(size: int) -> Tensor:
    """A bright spot off the centre: no detail that the asymmetric wavelet would change."""
    position = torch.arange(size, dtype=torch.float32)
    spot = lambda centre: torch.exp(-((position - centre) / (size / 6)).square())  # noqa: E731
    return (spot(size / 4)[:, None] * spot(size / 2.5)).expand(1, 3, size, size)


def test_a_mirrored_picture_is_mirrored_about_its_centre():
    images = smooth_image(32)
    source = Scripted(uniform=[0.7, 0.0])  # mirror, and do use it
    torch.testing.assert_close(
        AugmentPipe(xflip=1)(images, source), images.flip(3), atol=0.03, rtol=0
    )  # the wavelet's centre is 0.1 pixels off


@pytest.mark.parametrize(('draw', 'quarters'), [(0.1, 0), (0.3, 1), (0.6, 2), (0.9, 3)])
def test_quarter_turns_go_counter_clockwise_about_the_centre(draw: float, quarters: int):
    images = smooth_image(32)
    turned = AugmentPipe(rotate90=1)(images, Scripted(uniform=[draw, 0.0]))
    torch.testing.assert_close(
        turned, images.rot90(quarters, [2, 3]), atol=0.03, rtol=0
    )  # the wavelet's centre is 0.1 pixels off


def test_a_scaled_sine_is_a_slower_sine():
    x = (torch.arange(64) + 0.5) / 64 - 0.5
    wave = lambda cycles: torch.sin(2 * math.pi * cycles * x).expand(1, 1, 64, 64)  # noqa: E731
    factor = 2**0.2
    scaled = AugmentPipe(scale=1)(wave(4), Scripted(uniform=[0.0], normal=[1.0]))
    torch.testing.assert_close(scaled[..., 8:-8], wave(4 / factor)[..., 8:-8], atol=0.03, rtol=0)


def test_the_first_step_is_the_first_to_move_the_picture():
    options = AugmentOptions(xint=1, scale=1)
    source = Scripted(
        uniform=[1.0, 0.0, 0.0], normal=[5.0]
    )  # by an eighth of 16 pixels, then 2^(5 * 0.2) = 2 times larger
    inverse = choose_motion(options, Choice(1, torch.tensor(1.0), source, None), width=16, height=16)
    assert inverse is not None
    centre = inverse @ torch.tensor([4.0, 4.0, 1.0])  # where the centre has gone: 2 pixels aside, then twice that
    torch.testing.assert_close(centre[0], torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0)


@pytest.mark.parametrize('kind', ['xflip', 'rotate90', 'xint', 'scale', 'aniso', 'xfrac'])
def test_each_motion_happens_as_often_as_its_multiplier_times_p(kind: str):
    options = AugmentOptions(**{kind: 0.5})
    inverse = choose_motion(options, chance(20_000, 0.6), width=512, height=512)
    assert inverse is not None
    moved = float((inverse - torch.eye(3)).abs().amax([1, 2]).gt(1e-6).float().mean())
    share = {'xflip': 1 / 2, 'rotate90': 3 / 4}.get(kind, 1.0)  # of the draws, the rest is no motion
    assert moved == pytest.approx(0.3 * share, abs=0.012)


def test_at_least_one_of_the_two_rotations_happens_as_often_as_p_says():
    inverse = choose_motion(AugmentOptions(rotate=1), chance(20_000, 0.5), width=16, height=16)
    assert inverse is not None
    rotated = (inverse - torch.eye(3)).abs().amax([1, 2]) > 1e-6
    assert float(rotated.float().mean()) == pytest.approx(0.5, abs=0.015)
    torch.testing.assert_close(inverse @ inverse.transpose(1, 2), torch.eye(3).expand_as(inverse), atol=1e-6, rtol=0)


def test_stretching_keeps_the_area():
    inverse = choose_motion(AugmentOptions(aniso=1), chance(100), width=16, height=16)
    assert inverse is not None
    torch.testing.assert_close(torch.linalg.det(inverse), torch.ones(100), atol=1e-5, rtol=0)


def test_the_pipe_can_be_differentiated_twice():
    pipe = AugmentPipe(xflip=1, scale=1, rotate=1, xfrac=1, brightness=1, contrast=1, hue=1, cutout=1).double()
    images = random_images(1, 3, 6, 6).double().requires_grad_(True)
    change = lambda x: pipe(x, debug_percentile=0.7).square()  # noqa: E731
    assert torch.autograd.gradcheck(change, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(change, images, fast_mode=True)


def test_the_long_wavelet_is_orthogonal_with_six_vanishing_moments():
    taps = torch.tensor(SYM6, dtype=torch.float64)
    assert float(taps.sum()) == pytest.approx(math.sqrt(2), abs=1e-9)
    for shift in range(6):
        assert float((taps[2 * shift :] * taps[: 12 - 2 * shift]).sum()) == pytest.approx(float(shift == 0), abs=1e-9)
    position = torch.arange(12, dtype=torch.float64) - 5
    for moment in range(6):
        assert float((taps * position**moment * (-1) ** position).sum()) == pytest.approx(0, abs=1e-6)


def test_the_filters_are_buffers_under_the_published_names():
    state = AugmentPipe().state_dict()
    assert {name: tuple(x.shape) for name, x in state.items()} == {'p': (), 'Hz_geom': (12,), 'Hz_fbank': (4, 43)}
    assert float(state['Hz_geom'].sum()) == pytest.approx(1, abs=1e-6)


def test_warping_by_nothing_gives_back_any_batch():
    images = random_images(2, 1, 9, 30)
    taps = AugmentPipe().Hz_geom
    torch.testing.assert_close(warp(images, torch.eye(3).expand(2, 3, 3), taps), images, atol=4e-6, rtol=0)


# Colour


@pytest.mark.parametrize('matrix', [luma_flip(torch.ones(1)), hue_rotation(torch.tensor([0.7]))])
def test_reflection_and_rotation_of_colours_are_orthogonal(matrix: Tensor):
    torch.testing.assert_close(matrix[0] @ matrix[0].t(), torch.eye(3), atol=1e-6, rtol=0)


def test_the_luma_flip_turns_white_into_black_and_keeps_what_is_not_grey():
    flip = luma_flip(torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(flip[0] @ torch.ones(3), -torch.ones(3))
    pure = torch.tensor([1.0, -1.0, 0.0])
    torch.testing.assert_close(flip[0] @ pure, pure)
    assert flip[1].equal(torch.eye(3))


def test_a_third_of_the_hue_circle_exchanges_the_primaries_and_keeps_grey():
    turned = hue_rotation(torch.tensor([2 * math.pi / 3]))[0]
    torch.testing.assert_close(turned, torch.eye(3).roll(1, 0), atol=1e-6, rtol=0)
    torch.testing.assert_close(turned @ torch.ones(3), torch.ones(3))


def test_no_saturation_is_grey_and_double_saturation_doubles_the_distance_from_it():
    colour = torch.tensor([0.5, -0.2, 0.9])
    grey, doubled = saturation(torch.tensor([0.0, 2.0])) @ colour
    torch.testing.assert_close(grey, torch.full((3,), 0.4))
    torch.testing.assert_close(doubled - grey, 2 * (colour - grey))


def test_brightness_is_added_and_then_contrast_multiplies():
    options = AugmentOptions(brightness=1, contrast=1)
    source = Scripted(uniform=[0.0, 0.0], normal=[1.0, 2.0])  # plus 0.2, times 2^(2 * 0.5)
    colours = choose_colours(options, Choice(1, torch.tensor(1.0), source, None))
    assert colours is not None
    images = random_images(1, 3, 4, 4)
    torch.testing.assert_close(recolour(images, colours), (images + 0.2) * 2)


def test_grey_images_change_like_the_mean_of_their_three_colours():
    options = published_options()
    colours = choose_colours(options, chance(4))
    assert colours is not None
    grey = random_images(4, 1, 5, 5)
    expected = recolour(grey.expand(-1, 3, -1, -1), colours).mean(1, keepdim=True)
    torch.testing.assert_close(recolour(grey, colours), expected)


def test_colours_of_images_with_two_channels_are_refused():
    with pytest.raises(ValueError, match='3 channels or 1, got 2'):
        AugmentPipe(hue=1)(random_images(1, 2, 8, 8), seeded())


# Filters, noise, cutout


def test_the_bands_add_up_to_the_signal_and_each_passes_its_own_octave():
    bands = band_filters()
    impulse = torch.zeros(43, dtype=torch.float64)
    impulse[21] = 1
    torch.testing.assert_close(bands.sum(0), impulse, atol=1e-12, rtol=0)
    angles = torch.tensor([1 / 16, 3 / 16, 3 / 8, 3 / 4], dtype=torch.float64) * math.pi  # the middle of each octave
    waves = torch.cos(angles[:, None] * (torch.arange(43) - 21))
    assert (waves @ bands.t()).argmax(1).tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(bands, bands.flip(1), atol=1e-12, rtol=0)


def test_the_short_wavelet_is_orthogonal():
    taps = torch.tensor(SYM2, dtype=torch.float64)
    assert float(taps.square().sum()) == pytest.approx(1)
    assert float(taps[2:] @ taps[:2]) == pytest.approx(0, abs=1e-12)


def test_amplifying_a_band_keeps_the_power_of_a_natural_image():
    gains = choose_band_gains(AugmentOptions(imgfilter=1, imgfilter_bands=(0, 0, 1, 0)), chance(50))
    power = (gains.square() * torch.tensor([10.0, 1, 1, 1]) / 13).sum(1)
    torch.testing.assert_close(power, torch.ones(50))
    assert (gains[:, 2] / gains[:, 0]).log2().std() > 0.5


def test_filtering_scales_a_wave_by_the_gain_of_its_band_along_both_axes():
    gains = torch.tensor([[1.0, 1.0, 1.0, 0.5]])
    column = torch.tensor([1.0, -1.0]).repeat(16)  # the highest frequency: only in the last band
    images = (column[:, None] * column).expand(1, 2, 32, 32)
    filtered = filter_images(images, gains @ band_filters().float())
    torch.testing.assert_close(filtered[..., 8:24, 8:24], 0.25 * images[..., 8:24, 8:24], atol=1e-5, rtol=0)


def test_images_too_small_for_the_filters_are_refused():
    with pytest.raises(ValueError, match='above 21 pixels, got 16 x 16'):
        AugmentPipe(imgfilter=1)(random_images(1, 3, 16, 16), seeded())


def test_noise_has_the_chosen_deviation():
    images = torch.zeros(1, 3, 64, 64)

    class NormalFrom(TorchRandom):
        def normal(self, shape: Sequence[int]) -> Tensor:
            return torch.full(tuple(shape), -2.0) if len(shape) == 1 else super().normal(shape)

    noisy = AugmentPipe(noise=1)(images, NormalFrom(torch.Generator().manual_seed(0)))
    assert float(noisy.std()) == pytest.approx(0.2, rel=0.03)


def test_cutout_blanks_half_of_each_side_around_the_chosen_centre():
    images = torch.ones(1, 3, 16, 32)
    cut = AugmentPipe(cutout=1)(images, debug_percentile=0.5)
    expected = images.clone()
    expected[..., 4:12, 8:24] = 0
    assert cut.equal(expected)


# The whole


def test_equal_seeds_change_pictures_equally_and_other_seeds_otherwise():
    pipe = AugmentPipe(**{name: 1 for name in ('xflip', 'rotate', 'hue', 'noise', 'cutout')})
    images = random_images(4, 3, 16, 16)
    assert pipe(images, seeded(1)).equal(pipe(images, seeded(1)))
    assert not pipe(images, seeded(1)).equal(pipe(images, seeded(2)))


def test_without_any_multiplier_pictures_pass_untouched():
    images = random_images(2, 3, 8, 8)
    assert AugmentPipe()(images, seeded()) is images


def test_the_groups_of_the_paper_build_on_each_other():
    assert published_options('b') == AugmentOptions(xflip=1, rotate90=1, xint=1)
    assert published_options().hue == 1 and published_options().imgfilter == 0
    assert published_options('bgcfnc').cutout == 1
    with pytest.raises(ValueError, match="'gb'"):
        published_options('gb')


@pytest.mark.parametrize('percentile', [0.0, 1.0, -0.5])
def test_percentiles_that_no_draw_can_have_are_refused(percentile: float):
    with pytest.raises(ValueError, match='between 0 and 1'):
        AugmentPipe(scale=1)(random_images(1, 3, 8, 8), debug_percentile=percentile)


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'yflip'"):
        AugmentPipe(yflip=1)


# Its strength


def test_strength_rises_from_zero_to_one_in_half_a_million_images():
    strength = 0.0
    for _ in range(500_000 // 256):
        strength = adapted_strength(strength, 0.9, images=256)
    assert strength == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(('mean_sign', 'expected'), [(0.61, 0.51), (0.6, 0.5), (0.59, 0.49), (-1.0, 0.49)])
def test_strength_follows_the_side_of_the_target_only(mean_sign: float, expected: float):
    assert adapted_strength(0.5, mean_sign, images=5_000) == pytest.approx(expected)


def test_strength_never_falls_below_zero():
    assert adapted_strength(0.001, 0.1, images=5_000) == 0.0

import math

import pytest
import torch
from torch import Tensor

from analysis.path_length import (
    PathOptions,
    path_steps,
    perceptual_path_length,
    slerp,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pixels(pictures: Tensor) -> Tensor:
    """Features that undo the mapping to 0..255: squared distances of pictures. One channel of the three equal ones."""
    return pictures[:, 0].flatten(1) * (2 / 255)


def identity(x: Tensor) -> Tensor:
    return x


def as_picture(w: Tensor) -> Tensor:
    return w[:, None, None, :]


def distances(synthesize, ends: tuple[Tensor, Tensor], **options) -> Tensor:
    position = torch.rand(len(ends[0]), generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return path_steps(identity, synthesize, pixels, ends, position, PathOptions(**options)).distances


# The great circle


def test_the_great_circle_begins_and_ends_at_its_ends_and_stays_on_the_sphere():
    a, b = random(5, 7), 3 * random(5, 7, seed=1)
    unit = lambda x: x / x.norm(dim=1, keepdim=True)  # noqa: E731
    torch.testing.assert_close(slerp(a, b, torch.zeros(5, 1)), unit(a))
    torch.testing.assert_close(slerp(a, b, torch.ones(5, 1)), unit(b))
    middle = slerp(a, b, torch.full((5, 1), 0.3))
    torch.testing.assert_close(middle.norm(dim=1), torch.ones(5, dtype=torch.float64))
    angle = lambda x, y: (unit(x) * unit(y)).sum(1).acos()  # noqa: E731
    torch.testing.assert_close(angle(a, middle), 0.3 * angle(a, b))


def test_the_great_circle_from_a_point_to_itself_is_that_point():
    a = random(2, 4)
    point = slerp(a, a, torch.full((2, 1), 0.5))
    torch.testing.assert_close(point, a / a.norm(dim=1, keepdim=True), atol=1e-7, rtol=0)


# The distance


@pytest.mark.parametrize('sampling', ['full', 'end'])
def test_of_a_linear_generator_the_distance_is_the_squared_length_of_the_path(sampling):
    matrix = random(6, 30)
    ends = random(40, 6, seed=1), random(40, 6, seed=2)
    expected = ((ends[1] - ends[0]) @ matrix).square().sum(1)
    found = distances(lambda w: as_picture(w @ matrix), ends, sampling=sampling)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=0)


def test_of_a_linear_generator_and_gaussian_latents_its_mean_is_twice_the_trace_of_the_squared_matrix():
    matrix = random(6, 30)
    count = 20_000
    found = distances(lambda w: as_picture(w @ matrix), (random(count, 6, seed=1), random(count, 6, seed=2)))
    assert float(found.mean()) == pytest.approx(2 * float(matrix.square().sum()), rel=0.03)


@pytest.mark.parametrize(('features', 'expected'), [(2, math.pi**2 / 3), (512, math.pi**2 / 4 + 1 / 512)])
@pytest.mark.parametrize('epsilon', [1e-2, 1e-4])
def test_on_the_sphere_the_distance_is_the_squared_angle(features: int, expected: float, epsilon: float):
    ends = random(4000, features, seed=1), random(4000, features, seed=2)
    found = distances(as_picture, ends, space='z', sampling='full', epsilon=epsilon)
    spread = float(found.std()) / math.sqrt(4000)
    assert float(found.mean()) == pytest.approx(expected, abs=4 * spread + 1e-4)


def test_scaled_pictures_scale_the_distance_by_the_square_and_a_constant_generator_has_none():
    ends = random(10, 6, seed=1), random(10, 6, seed=2)
    curved = lambda w: as_picture(w.sin())  # noqa: E731
    once, twice = distances(curved, ends), distances(lambda w: 2 * curved(w), ends)
    torch.testing.assert_close(twice, 4 * once)
    assert distances(lambda w: as_picture(torch.ones_like(w)), ends).equal(torch.zeros(10, dtype=torch.float64))


def test_end_looks_at_the_beginning_of_the_path_only():
    seen: list[Tensor] = []
    ends = random(3, 6, seed=1), random(3, 6, seed=2)

    def synthesize(w: Tensor) -> Tensor:
        seen.append(w)
        return as_picture(w)

    distances(synthesize, ends, sampling='end')
    assert seen[0][:3].equal(ends[0])
    distances(synthesize, ends, sampling='full')
    assert not torch.isclose(seen[1][:3], ends[0]).any()


# What the features see


def prepared(pictures: Tensor, **options) -> Tensor:
    ends = torch.zeros(1, 1), torch.zeros(1, 1)
    constant = lambda w: pictures.expand(len(w), -1, -1, -1)  # noqa: E731
    return path_steps(identity, constant, pixels, ends, torch.zeros(1), PathOptions(**options)).pictures


def test_the_crop_is_the_middle_of_a_face():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing='ij')
    seen = prepared(torch.stack([rows, columns, rows])[None], crop=True) / 127.5 - 1
    assert seen.shape == (2, 3, 32, 32)
    torch.testing.assert_close(seen[0, 0, :, 0], torch.arange(24.0, 56.0))
    torch.testing.assert_close(seen[0, 1, 0], torch.arange(16.0, 48.0))


def test_large_pictures_are_averaged_to_256_rows_and_small_ones_left():
    pictures = torch.rand(1, 3, 512, 512) * 2 - 1
    seen = prepared(pictures)
    assert seen.shape == (2, 3, 256, 256)
    torch.testing.assert_close(seen[0, :, 0, 0], (pictures[0, :, :2, :2].mean([1, 2]) + 1) * 127.5)
    assert prepared(pictures[..., :300, :300]).shape == (2, 3, 300, 300)


def test_grey_pictures_are_shown_in_three_channels_between_0_and_255():
    seen = prepared(torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2))
    assert seen.shape == (2, 3, 1, 2)
    assert seen[0].equal(torch.tensor([0.0, 255.0]).expand(3, 1, 2))


# The number


def test_the_length_is_the_mean_without_the_outermost_hundredths():
    values = torch.arange(1.0, 1001.0)
    values[-1] = 1e9
    assert perceptual_path_length(values[torch.randperm(1000)]) == pytest.approx(sum(range(10, 992)) / 982)
    # 999 steps * 1 % = 9.99: the percentiles are the 10th value (lower) and the 991st (higher)


def test_a_single_distance_is_its_own_mean_and_none_is_refused():
    assert perceptual_path_length(torch.tensor([3.0])) == 3.0
    with pytest.raises(ValueError, match='at least one'):
        perceptual_path_length(torch.zeros(0))

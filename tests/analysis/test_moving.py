import math

import pytest
import torch
from torch import Tensor

from analysis.moving import (
    apply_affine,
    pseudo_rotate,
    rotate,
    rotation_matrix,
    translate,
    translate_whole,
    translation_matrix,
)

SIZE = 48


def waves(matrix: Tensor, *, cycles: float = 5.0) -> Tensor:
    """A band-limited picture, [1, 1, SIZE, SIZE] float64, moved exactly by `matrix`: what any move must come close to."""
    axis = (torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE - 0.5
    y, x = torch.meshgrid(axis, axis, indexing='ij')
    inverse = torch.linalg.inv(matrix)
    u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
    v = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
    return (torch.sin(2 * math.pi * (cycles * u + 1.5 * v) + 0.3) + torch.cos(2 * math.pi * cycles * 0.6 * v))[
        None, None
    ]


def largest_error(moved_image: Tensor, mask: Tensor, exact: Tensor) -> float:
    assert mask.sum() > 100
    return float(((moved_image - exact) * mask).abs().max())


STILL = torch.eye(3, dtype=torch.float64)


def test_a_whole_pixel_translation_is_exact_and_moves_right_and_down():
    picture = torch.zeros(1, 1, 8, 8)
    picture[0, 0, 2, 3] = 1
    moved = translate_whole(picture, 2 / 8, 1 / 8)
    assert moved.image[0, 0, 3, 5] == 1
    assert moved.image.sum() == 1
    assert moved.mask[:, :2].sum() == 0
    assert moved.mask[:1].sum() == 0
    assert moved.mask.sum() == 6 * 7


def test_a_fractional_translation_is_close_to_the_continuous_signal():
    x, y = 3.37 / SIZE, -1.81 / SIZE
    moved = translate(waves(STILL), x, y)
    assert largest_error(moved.image, moved.mask, waves(translation_matrix(x, y))) < 0.02


def test_a_rotation_is_close_to_the_continuous_signal():
    moved = rotate(waves(STILL), 0.7)
    assert largest_error(moved.image, moved.mask, waves(rotation_matrix(0.7))) < 0.03


def test_a_quarter_turn_keeps_every_sample():
    moved = rotate(waves(STILL), math.pi / 2)
    assert largest_error(moved.image, moved.mask, torch.rot90(waves(STILL), 1, (2, 3))) < 0.01


def test_the_pseudo_rotation_stays_put_and_keeps_low_frequencies():
    moved = pseudo_rotate(waves(STILL, cycles=3), 0.4)
    assert largest_error(moved.image, moved.mask, waves(STILL, cycles=3)) < 0.01


def test_there_and_back_is_where_it_was():
    matrix = translation_matrix(0.05, 0.02) @ rotation_matrix(0.3)
    there = apply_affine(waves(STILL), matrix)
    back = apply_affine(there.image, torch.linalg.inv(matrix))
    inner = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    inner[18:-18, 18:-18] = 1
    assert largest_error(back.image, inner, waves(STILL)) < 0.03


@pytest.mark.parametrize('shift', [(2.0, 0.0), (0.0, -1.5)])
def test_moved_out_of_sight_leaves_nothing_valid(shift: tuple[float, float]):
    assert translate_whole(waves(STILL), *shift).mask.sum() == 0
    assert translate(waves(STILL), *shift).mask.sum() == 0


def test_where_not_even_the_ends_of_the_kernel_reach_there_is_nothing_at_all():
    assert apply_affine(waves(STILL), translation_matrix(2.0, 0.0)).image.count_nonzero() == 0

"""Conventions that make pictures repeatable: seeds, transforms, pixels."""

import math

import numpy as np
import pytest
import torch

from networks.sampling import image_to_uint8, make_transform, seed_to_z


def test_a_seed_gives_the_draw_of_numpys_legacy_generator():
    np.random.seed(1234)
    expected = np.random.randn(1, 8)
    assert seed_to_z(1234, 8).numpy().tolist() == expected.tolist()


@pytest.mark.parametrize('seed', [-1, 2**32])
def test_a_seed_out_of_range_is_named(seed: int):
    with pytest.raises(ValueError, match=f'from 0 to 4294967295, got {seed}'):
        seed_to_z(seed, 4)


def test_the_transform_rotates_about_the_centre_and_then_moves():
    moved = make_transform((0.25, -0.5), 90) @ torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(moved, torch.tensor([0.25, -1.5, 1.0], dtype=torch.float64))


@pytest.mark.parametrize('degrees', [0.0, 30.0, -200.0])
def test_the_transform_is_rigid(degrees: float):
    matrix = make_transform((0.3, 0.1), degrees)
    torch.testing.assert_close(matrix[:2, :2] @ matrix[:2, :2].T, torch.eye(2, dtype=torch.float64))
    assert matrix[0, 0].item() == pytest.approx(math.cos(math.radians(degrees)))
    assert matrix[2].tolist() == [0, 0, 1]


def test_pixels_are_cut_off_not_rounded_and_limited():
    values = torch.tensor([-2.0, -1.0, 0.0, 0.999 / 127.5, 1.0 / 127.5, 1.0, 2.0])
    pixels = image_to_uint8(values.reshape(1, 1, 1, -1))
    assert pixels.shape == (1, 1, 7, 1) and pixels.dtype == torch.uint8
    assert pixels.flatten().tolist() == [0, 0, 128, 128, 129, 255, 255]

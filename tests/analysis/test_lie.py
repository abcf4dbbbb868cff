import math

import torch

from analysis.layer_equivariance import Grid
from analysis.lie import generator, gradient, lie_difference, lie_ratio

GRID = Grid(rate=32, height=52, width=52)


def wave(x: float = 0.0, y: float = 0.0, radians: float = 0.0) -> torch.Tensor:
    """A plane wave of (3, 2) cycles per image width, turned counter-clockwise, then moved."""
    across, down = GRID.positions()
    u, v = across - x, down - y
    cos, sin = math.cos(radians), math.sin(radians)
    back_u, back_v = cos * u - sin * v, sin * u + cos * v
    return torch.sin(2 * math.pi * (3 * back_u + 2 * back_v) + 0.4)[None, None]


def ratio(forth: torch.Tensor, back: torch.Tensor, motion, step: float) -> float:
    mask = GRID.canvas_mask()
    return lie_ratio(lie_difference(wave(), forth, back, GRID, motion, step, mask=mask, reach=10))


def test_slopes_are_those_of_the_continuous_wave():
    across, down = GRID.positions()
    slope = 2 * math.pi * torch.cos(2 * math.pi * (3 * across + 2 * down) + 0.4)
    along_x, along_y = gradient(wave(), GRID)
    inner = (slice(None), slice(None), slice(10, -10), slice(10, -10))
    torch.testing.assert_close(along_x[inner][0, 0], 3 * slope[10:-10, 10:-10], atol=0.01, rtol=0)
    torch.testing.assert_close(along_y[inner][0, 0], 2 * slope[10:-10, 10:-10], atol=0.01, rtol=0)


def test_features_that_move_have_no_error():
    step = 1e-3
    assert ratio(wave(x=step), wave(x=-step), 'x', step) < 1e-3
    assert ratio(wave(y=step), wave(y=-step), 'y', step) < 1e-3
    assert ratio(wave(radians=step), wave(radians=-step), 'rotation', step) < 1e-3


def test_features_that_stay_have_an_error_of_one():
    assert math.isclose(ratio(wave(), wave(), 'x', 1e-3), 1.0)


def test_turning_the_wrong_way_is_twice_as_bad():
    step = 1e-3
    assert abs(ratio(wave(radians=-step), wave(radians=step), 'rotation', step) - 2) < 1e-3


def test_the_generator_of_a_rotation_is_that_of_the_reference_transform():
    from analysis.moving import rotate

    step = 0.02
    there, back = rotate(wave(), step), rotate(wave(), -step)
    found = (there.image - back.image) / (2 * step)
    inner = (slice(None), slice(None), slice(14, -14), slice(14, -14))
    expected = generator(wave(), GRID, 'rotation')[inner]
    assert float((found[inner] - expected).square().mean() / expected.square().mean()) < 0.02


def test_nothing_valid_is_not_a_number():
    assert math.isnan(
        lie_ratio(lie_difference(wave(), wave(), wave(), GRID, 'x', 1.0, mask=torch.zeros(52, 52), reach=4))
    )

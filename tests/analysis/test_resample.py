"""Moving pictures back: pictures of few cycles, whose moved versions are known in closed form."""

import math

import pytest
import torch

from analysis.resample import apply_inverse_affine, translate

SIZE = 48


def scene(matrix: tuple[float, ...], *, height: int = SIZE, width: int = SIZE, rate: float = SIZE) -> torch.Tensor:
    """Waves of up to 5 cycles per image width, moved by `matrix`: the value at q is that of the scene at matrix^-1 q."""
    a, b, x, c, d, y = matrix
    qy = ((torch.arange(height, dtype=torch.float64) + 0.5) - height / 2)[:, None] / rate - y
    qx = ((torch.arange(width, dtype=torch.float64) + 0.5) - width / 2)[None, :] / rate - x
    determinant = a * d - b * c
    px, py = (d * qx - b * qy) / determinant, (a * qy - c * qx) / determinant
    red = torch.sin(2 * math.pi * (4 * px + py)) + 0.3
    green = torch.cos(2 * math.pi * (3 * py - 2 * px))
    return torch.stack([red, green]).float()


def turned(degrees: float, scale: float = 1.0, x: float = 0.0, y: float = 0.0) -> tuple[float, ...]:
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return (cos, sin, x, -sin, cos, y)


STILL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def psnr(a: torch.Tensor, b: torch.Tensor, mask: torch.Tensor) -> float:
    error = (a - b)[:, mask].double().square().mean()
    return float(10 * torch.log10(4 / error.clamp(min=1e-30)))


def test_whole_pixels_are_exact():
    matrix = (1.0, 0.0, 5 / SIZE, 0.0, 1.0, -3 / SIZE)
    back, mask = apply_inverse_affine(scene(matrix), matrix)
    assert psnr(back, scene(STILL), mask) > 100
    assert int(mask.sum()) == (SIZE - 5) * (SIZE - 3)
    assert torch.equal(back[:, 3:, : SIZE - 5], scene(matrix)[:, : SIZE - 3, 5:])


@pytest.mark.parametrize(
    ('matrix', 'decibels'),
    [
        ((1.0, 0.0, 0.07, 0.0, 1.0, -0.113), 48),  # Lanczos saturates near 50 dB (Appendix E.2)
        (turned(30), 34),
        (turned(90), 34),
        (turned(-140, x=0.05, y=-0.1), 34),
        (turned(10, 0.7), 30),
        (turned(0, 1.5), 34),
    ],
)
def test_a_moved_scene_comes_back(matrix: tuple[float, ...], decibels: float):
    back, mask = apply_inverse_affine(scene(matrix), matrix)
    assert psnr(back, scene(STILL), mask) > decibels
    assert mask.float().mean() > 0.3


def test_outside_the_mask_there_is_nothing():
    matrix = turned(45)
    back, mask = apply_inverse_affine(scene(matrix), matrix)
    assert not bool(mask[0, 0]) and bool((back[:, ~mask] == 0).all())


def test_margins_count_in_samples_of_the_layer():
    """A layer of 48 samples whose image is 32 wide: a shift by an eighth of the image is 4 samples."""
    matrix = (1.0, 0.0, 1 / 8, 0.0, 1.0, 0.0)
    back, mask = apply_inverse_affine(scene(matrix, rate=32), matrix, rate=32)
    assert torch.equal(back[:, :, :-4], scene(matrix, rate=32)[:, :, 4:]) and not bool(mask[:, -4:].any())


def test_shrinking_on_the_way_back_does_not_alias():
    """A picture enlarged twice may hold 20 cycles per 48 samples; on half the samples they cannot be kept."""
    fine = torch.sin(2 * math.pi * 20 * (torch.arange(SIZE) + 0.5) / SIZE).expand(1, SIZE, SIZE)
    back, mask = apply_inverse_affine(fine, turned(0, 2.0))
    assert float(back[:, mask].abs().max()) < 0.1


def test_a_shift_out_of_the_picture_leaves_nothing():
    back, mask = translate(torch.ones(1, 8, 8), 100.0, 0.0)
    assert not bool(mask.any()) and not bool(back.any())
    assert not bool(translate(torch.ones(1, 8, 8), 0.0, -7.5)[1].any())


def test_a_constant_stays_constant_under_fractions():
    """The taps sum to 1."""
    back, mask = translate(torch.full([1, 16, 16], 3.0), 0.37, -1.61)
    assert torch.allclose(back[:, mask], torch.tensor(3.0), atol=1e-5) and bool(mask.any())


def test_other_than_an_image_is_refused():
    with pytest.raises(ValueError, match='channels, height, width'):
        apply_inverse_affine(torch.zeros(4, 4), STILL)

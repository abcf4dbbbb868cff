"""The error of one moved picture: the numbers of the paper's metrics, its map, and when there is none."""

import math

import pytest
import torch
from torch import Tensor

from analysis.equivariance import rotation_error, translation_error
from analysis.moving import affine_lowpass, rotation_matrix
from analysis.picture_error import CannotCompare, PictureError, Rows, metric_of, picture_error
from analysis.turn_kernels import turn_lowpass

SIZE = 48
STILL = torch.eye(3, dtype=torch.float64)


def waves(matrix: Tensor, *, stuck: float = 0.0) -> Tensor:
    """[1, 3, SIZE, SIZE]: plane waves that any map moves exactly, plus `stuck` times a pattern that stays."""
    generator = torch.Generator().manual_seed(3)
    frequencies = (torch.rand(3, 8, 2, generator=generator, dtype=torch.float64) * 2 - 1) * 6
    phases = torch.rand(3, 8, generator=generator, dtype=torch.float64)
    pattern = torch.rand(3, SIZE, SIZE, generator=generator, dtype=torch.float64) - 0.5
    axis = (torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE - 0.5
    y, x = torch.meshgrid(axis, axis, indexing='ij')
    inverse = torch.linalg.inv(matrix)
    u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
    v = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
    turns = u[..., None, None] * frequencies[..., 0] + v[..., None, None] * frequencies[..., 1] + phases
    return ((2 * math.pi * turns).sin().mean(-1).permute(2, 0, 1) + stuck * pattern)[None]


def rows_of(matrix: Tensor) -> Rows:
    a, b, x, c, d, y = matrix[:2].flatten().tolist()
    return (a, b, x, c, d, y)


def shift(x: float, y: float) -> Tensor:
    return torch.tensor([[1, 0, x / SIZE], [0, 1, y / SIZE], [0, 0, 1]], dtype=torch.float64)


def measured(matrix: Tensor, *, stuck: float = 0.0) -> PictureError:
    return picture_error(waves(STILL, stuck=stuck)[0], waves(matrix, stuck=stuck)[0], rows_of(matrix))


@pytest.mark.parametrize(('x', 'y'), [(5, -3), (-11, 0), (0, 20)])
def test_whole_shifts_are_samples_of_eq_t_exactly(x: int, y: int) -> None:
    synthesize = lambda matrix: waves(matrix, stuck=0.1)  # noqa: E731
    error = measured(shift(x, y), stuck=0.1)
    expected = translation_error(synthesize, synthesize(STILL), x / SIZE, y / SIZE)
    assert error.metric == 'eq-t' and error.pooled.count == expected.count
    assert error.pooled.squared == pytest.approx(expected.squared, rel=1e-12)


def test_parts_of_a_pixel_are_samples_of_eq_t_frac() -> None:
    synthesize = lambda matrix: waves(matrix, stuck=0.1)  # noqa: E731
    error = measured(shift(4.3, -2.6), stuck=0.1)
    expected = translation_error(synthesize, synthesize(STILL), 4.3 / SIZE, -2.6 / SIZE, fractional=True)
    assert error.metric == 'eq-t-frac' and error.pooled.count == expected.count
    assert error.pooled.squared == pytest.approx(expected.squared, rel=1e-9)


@pytest.mark.parametrize('degrees', [12.0, 90.0, -135.0, 33.6, -0.45, 179.5])
def test_turns_are_samples_of_eq_r(degrees: float) -> None:
    synthesize = lambda matrix: waves(matrix, stuck=0.1)  # noqa: E731
    error = measured(rotation_matrix(math.radians(degrees)), stuck=0.1)
    expected = rotation_error(synthesize, synthesize(STILL), math.radians(degrees))
    assert error.metric == 'eq-r' and error.pooled.count == expected.count
    # Between whole degrees the kernel is interpolated.
    assert error.pooled.squared == pytest.approx(expected.squared, rel=1e-9 if degrees == round(degrees) else 5e-3)


def test_a_turn_with_a_shift_is_measured_where_both_are_known() -> None:
    alone, shifted = rotation_matrix(0.4), shift(3.3, -4) @ rotation_matrix(0.4)
    good, bad = measured(shifted), measured(shifted, stuck=0.2)
    assert good.pooled.psnr() > 40 > 30 > bad.pooled.psnr()
    assert good.pooled.count < measured(alone).pooled.count


def test_the_map_holds_the_pooled_error_and_nothing_beyond_the_valid_region() -> None:
    for matrix in (shift(6, 2), shift(6.5, 2), rotation_matrix(0.3)):
        error = measured(matrix, stuck=0.2)
        valid = ~error.rms.isnan()
        assert 3 * int(valid.sum()) == error.pooled.count
        assert float(error.rms[valid].double().square().sum()) * 3 == pytest.approx(error.pooled.squared, rel=1e-5)
    known = ~measured(shift(6, 2)).rms.isnan()
    assert known[2:, 6:].all() and not known[:2].any() and not known[:, :6].any()


def test_the_map_is_bright_where_texture_sticks() -> None:
    moved = waves(shift(4, 0))[0]
    moved[:, 20:28, 20:28] += 0.5
    error = picture_error(waves(STILL)[0], moved, rows_of(shift(4, 0)))
    assert error.rms[20:28, 20:28].min() > 0.49 and error.rms[30:, 10:].max() < 0.01


@pytest.mark.parametrize(
    ('rows', 'words'),
    [
        ((1, 0, 0, 0, 1, 0), 'Drag the picture'),
        ((1.5, 0, 0.1, 0, 1.5, 0), 'scale'),
        ((1, 0, 1.2, 0, 1, 0), 'less far'),
        ((1, 0, 0.01, 0, 1, -0.95), 'less far'),
        ((1, 0, math.nan, 0, 1, 0), 'no numbers'),
    ],
)
def test_what_cannot_be_measured_is_said(rows: Rows, words: str) -> None:
    picture = waves(STILL)[0]
    with pytest.raises(CannotCompare, match=words):
        picture_error(picture, picture, rows)


@pytest.mark.parametrize('matrix', [shift(3, 1), shift(3.5, 1), rotation_matrix(0.2)])
def test_not_a_number_is_never_measured(matrix: Tensor) -> None:
    broken = waves(matrix)[0]
    broken[1, 24, 24] = math.nan
    with pytest.raises(CannotCompare, match='no numbers'):
        picture_error(waves(STILL)[0], broken, rows_of(matrix))


def test_a_shift_within_rounding_of_whole_pixels_is_whole() -> None:
    assert metric_of((1, 0, 3 / SIZE + 1e-12, 0, 1, 0), SIZE, SIZE) == 'eq-t'
    assert metric_of((1, 0, 3.01 / SIZE, 0, 1, 0), SIZE, SIZE) == 'eq-t-frac'


@pytest.mark.parametrize('radians', [0.0, 0.37, math.pi / 2, -2.2])
@pytest.mark.parametrize('up', [1, 4])
def test_the_kernel_of_a_turn_is_that_of_circular_convolutions_by_fourier_transforms(radians: float, up: int) -> None:
    reach, grid, lobes = 6, 64, 3
    positions = torch.arange(1 - grid * up, grid * up, dtype=torch.float64) / up
    y, x = torch.meshgrid(positions, positions, indexing='ij')
    m = rotation_matrix(radians)
    u, v = m[0, 0] * x + m[0, 1] * y, m[1, 0] * x + m[1, 1] * y

    def window(distance: Tensor) -> Tensor:
        return torch.sinc(distance / lobes) * (distance.abs() < lobes)

    def convolved(first: Tensor, second: Tensor) -> Tensor:
        product = torch.fft.rfft2(torch.fft.ifftshift(first)) * torch.fft.rfft2(torch.fft.ifftshift(second))
        return torch.fft.fftshift(torch.fft.irfft2(product, s=first.shape))

    kernel = convolved(torch.sinc(x) * torch.sinc(y), torch.sinc(u) * torch.sinc(v))
    kernel *= convolved(window(x) * window(y), window(u) * window(v))
    cut = (grid - reach) * up
    kernel = kernel[cut:-cut, cut:-cut]
    expected = torch.zeros_like(kernel)
    for row in range(up):
        for column in range(up):
            phase = kernel[row::up, column::up]
            expected[row::up, column::up] = phase / phase.sum() / up**2
    assert torch.allclose(affine_lowpass(m, reach=reach, up=up), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize('up', [1, 4])
@pytest.mark.parametrize('degrees', [0.4, 31.7, 89.6, -200.55])
def test_kernels_between_whole_degrees_are_close_to_those_computed_for_the_angle(degrees: float, up: int) -> None:
    expected = affine_lowpass(rotation_matrix(math.radians(degrees)), up=up)
    error = turn_lowpass(math.radians(degrees), up=up) - expected
    assert float(error.abs().max()) < 5e-4 * float(expected.max())


def test_interpolated_kernels_leave_a_high_number_as_it_is() -> None:
    for degrees in (0.45, 71.3):
        synthesize = lambda matrix: waves(matrix, stuck=0.003)  # noqa: E731
        expected = rotation_error(synthesize, synthesize(STILL), math.radians(degrees)).psnr()
        found = measured(rotation_matrix(math.radians(degrees)), stuck=0.003).pooled.psnr()
        assert expected > 50 and abs(found - expected) < 0.05


@pytest.mark.parametrize(('channels', 'height', 'width'), [(3, 64, 64), (1, 13, 29), (4, 40, 24)])
@pytest.mark.parametrize('radians', [0.2, -1.1, 3.0])
def test_the_kernel_of_turns_finds_what_plain_torch_finds(
    channels: int, height: int, width: int, radians: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(height)
    reference, picture = torch.randn(2, channels, height, width, generator=generator)
    rows = rows_of(shift(0.7, -0.4) @ rotation_matrix(radians))
    found = picture_error(reference, picture, rows)
    monkeypatch.setattr('analysis.picture_error.turn_error', lambda *_: None)
    expected = picture_error(reference, picture, rows)
    assert found.pooled.count == expected.pooled.count
    assert found.pooled.squared == pytest.approx(expected.pooled.squared, rel=1e-5)
    assert torch.allclose(found.rms, expected.rms, rtol=1e-5, atol=2e-6, equal_nan=True)


def test_the_kernel_of_turns_is_used_for_pictures_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('analysis.picture_error.apply_affine', None)  # what plain torch would need
    picture = waves(STILL)[0].float()
    assert picture_error(picture, picture, rows_of(rotation_matrix(0.5))).pooled.count > 0


def test_the_kernel_of_turns_reads_a_picture_whose_channels_lie_together_as_any_other() -> None:
    picture = torch.randn(3, 20, 30, generator=torch.Generator().manual_seed(1))
    rows = rows_of(rotation_matrix(0.3))
    together = picture.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert picture_error(together, together, rows).pooled == picture_error(picture, picture, rows).pooled

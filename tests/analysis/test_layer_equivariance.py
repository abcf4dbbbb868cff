import math

import pytest
import torch
from torch import Tensor

from analysis.layer_equivariance import (
    FeatureError,
    Grid,
    IdealShift,
    created_error,
    dyadic_shifts,
    feature_error,
    moved_features,
)

GRID = Grid(rate=32, height=52, width=52)


def features(x: float, y: float, *, batch: int = 1, highest: float = 8.0) -> Tensor:
    """Plane waves of up to `highest` cycles per image width, moved exactly by (x, y): [batch, 4, 52, 52]."""
    generator = torch.Generator().manual_seed(1)
    frequencies = (torch.rand(3, 4, 2, 1, 1, generator=generator, dtype=torch.float64)[:batch] * 2 - 1) * highest
    phases = torch.rand(3, 4, 1, 1, generator=generator, dtype=torch.float64)[:batch]
    axis = (torch.arange(52, dtype=torch.float64) + 0.5 - 26) / GRID.rate
    rows, columns = torch.meshgrid(axis - y, axis - x, indexing='ij')
    return torch.sin(2 * math.pi * (frequencies[:, :, 0] * columns + frequencies[:, :, 1] * rows + phases))


def layer_error(base: Tensor, moved: Tensor, grid: Grid, x: float, y: float) -> FeatureError:
    """Error of features [batch, channels, height, width] after the input was moved by (x, y) image widths, on the canvas."""
    return feature_error(moved_features(base, grid, x, y), moved, grid.canvas_mask())


@pytest.mark.parametrize('shift', [(1 / 16, 0.0), (1 / 64, -1 / 128), (0.3 / 32, 0.7 / 32)])
def test_exactly_moved_features_score_above_100_db(shift: tuple[float, float]):
    assert layer_error(features(0, 0), features(*shift), GRID, *shift).psnr() > 100


def test_features_that_stay_put_are_found():
    x = 1 / 32
    assert layer_error(features(0, 0), features(0, 0), GRID, x, 0.0).psnr() < 25


def test_half_of_the_power_wrong_reads_as_the_formula_says():
    error = FeatureError(squared=1.0, power=2.0, count=10.0)
    assert math.isclose(error.psnr(), 10 * math.log10(16 * 2))


def test_results_do_not_depend_on_batch_or_order():
    base, moved = features(0, 0, batch=3), features(0.01, 0.02, batch=3) + 0.01
    whole = layer_error(base, moved, GRID, 0.01, 0.02)
    parts = [layer_error(base[i : i + 1], moved[i : i + 1], GRID, 0.01, 0.02) for i in (2, 0, 1)]
    total = parts[0] + parts[1] + parts[2]
    assert math.isclose(whole.psnr(), total.psnr(), rel_tol=1e-9)


def test_an_ideal_input_leaves_only_what_the_layer_makes():
    base = features(0, 0, highest=4.0)
    ideal = moved_features(base, GRID, 0.3 / 32, 0.0)
    squared = ideal.image.square()  # a pointwise layer, equivariant as long as the doubled frequencies fit the grid
    shift = IdealShift(GRID, GRID, 0.3 / 32, 0.0, support=0.0)
    error = created_error(base.square(), squared, shift)
    assert error.psnr() > 70


def test_an_all_zero_layer_has_no_score():
    zero = torch.zeros(1, 2, 52, 52)
    assert math.isnan(layer_error(zero, zero, GRID, 0.1, 0.0).psnr())


def test_nan_features_have_no_score():
    broken = torch.full((1, 2, 52, 52), math.nan)
    assert math.isnan(layer_error(broken, broken, GRID, 0.1, 0.0).psnr())


def test_a_shift_out_of_the_array_has_no_score():
    assert math.isnan(layer_error(features(0, 0), features(0, 0), GRID, 2.0, 0.0).psnr())


def test_the_ladder_runs_from_a_sixteenth_to_below_a_pixel():
    assert dyadic_shifts(64) == (1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256)

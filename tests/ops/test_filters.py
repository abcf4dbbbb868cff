"""Filter design against SciPy, and the promise that a swapped filter never shifts the picture."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy import signal, special
from torch.nn import functional as F

from ops.filters import FilterKind, FilterShape, design, lowpass, response_db, setup_filter
from ops.upfirdn2d import downsample2d, upsample2d

KINDS = get_args(FilterKind)


def shape(taps: int = 12, factor: int = 2, radial: bool = False, half_width: float = 6.0) -> FilterShape:
    return FilterShape('up', factor, taps, rate=64.0, cutoff=8.0, half_width=half_width, radial=radial)


@pytest.mark.parametrize('seed', range(20))
def test_the_separable_design_equals_scipys(seed: int):
    random = np.random.default_rng(seed)
    taps, rate = int(random.integers(2, 50)), float(random.uniform(1, 2000))
    cutoff, width = rate * float(random.uniform(0.01, 0.49)), rate * float(random.uniform(0.01, 0.49))
    expected = signal.firwin(taps, cutoff, width=width, fs=rate)
    np.testing.assert_allclose(lowpass(taps, cutoff, width, rate), expected, atol=1e-7)


@pytest.mark.parametrize('taps', [2, 9, 12, 24])
def test_the_radial_design_is_a_jinc_under_a_separable_kaiser_window(taps: int):
    cutoff, width, rate = 5.0, 9.0, 64.0
    positions = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.maximum(np.hypot(*np.meshgrid(positions, positions)), 1e-9)
    window = np.kaiser(taps, signal.kaiser_beta(signal.kaiser_atten(taps, width / (rate / 2))))
    expected = special.j1(2 * np.pi * cutoff * radius) / radius * np.outer(window, window)
    np.testing.assert_allclose(lowpass(taps, cutoff, width, rate, radial=True), expected / expected.sum(), atol=1e-7)


def test_a_single_tap_is_the_identity():
    assert lowpass(1, 2.0, 3.0, 16.0) is None
    assert lowpass(1, 2.0, 3.0, 16.0, radial=True) is None


@pytest.mark.parametrize('wrong', [(0, 1, 1, 1), (4, -1, 1, 1), (4, 1, 0, 1), (4, 1, 1, math.nan)])
def test_a_design_that_cannot_be_is_refused(wrong: tuple[int, float, float, float]):
    with pytest.raises(ValueError, match='positive taps, cutoff, width and rate'):
        lowpass(*wrong)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('factor', [1, 2, 3, 4])
@pytest.mark.parametrize('taps', [1, 2, 3, 4, 7, 12, 24])
@pytest.mark.parametrize('radial', [False, True])
def test_a_swap_keeps_taps_centre_symmetry_and_sum(kind: FilterKind, factor: int, taps: int, radial: bool):
    f = design(kind, shape(taps, factor, radial)).double()
    assert f.dtype == torch.float64 and f.shape in ((taps,), (taps, taps))
    along_x = f if f.ndim == 1 else f.sum(0)
    centroid = (along_x * torch.arange(taps)).sum()
    torch.testing.assert_close(centroid, torch.tensor((taps - 1) / 2, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(f.sum(), torch.tensor(1.0, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(f, f.flip(list(range(f.ndim))), atol=1e-7, rtol=0)


def test_only_jinc_and_a_radial_networks_own_filter_are_two_dimensional():
    assert [design(kind, shape(radial=False)).ndim for kind in KINDS] == [2 if kind == 'jinc' else 1 for kind in KINDS]
    full = [kind for kind in KINDS if design(kind, shape(radial=True)).ndim == 2]
    assert full == ['network', 'jinc']


@pytest.mark.parametrize('radial', [False, True])
def test_the_networks_own_kind_is_its_kaiser_design(radial: bool):
    expected = lowpass(12, 8.0, 12.0, 64.0, radial)
    assert expected is not None and design('network', shape(radial=radial)).equal(expected)


def test_bilinear_of_four_taps_is_stylegan2s_filter():
    torch.testing.assert_close(design('bilinear', shape(taps=4)), torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8)


@pytest.mark.parametrize('factor', [2, 3, 4])
@pytest.mark.parametrize('kind', ['nearest', 'bilinear'])
def test_upsampling_with_a_classic_kernel_equals_torchs_interpolation(kind: FilterKind, factor: int):
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    taps = 12 if factor % 2 == 0 else 11
    ours = upsample2d(x, design(kind, shape(taps, factor)), up=factor)
    if kind == 'nearest':
        expected = F.interpolate(x, scale_factor=factor, mode='nearest')
    else:
        expected = F.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=False)
    inside = slice(4 * factor, -4 * factor)  # the borders differ: torch repeats the edge, a filter sees zeros
    torch.testing.assert_close(ours[:, :, inside, inside], expected[:, :, inside, inside])


def test_downsampling_with_the_box_is_the_mean_of_the_pixels():
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    ours = downsample2d(x, design('nearest', shape(12, 4)), down=4)
    torch.testing.assert_close(ours, F.avg_pool2d(x, 4))


@pytest.mark.parametrize(('taps', 'lobes'), [(24, 3), (12, 3), (8, 2), (4, 1)])
def test_lanczos_has_as_many_lobes_as_its_taps_hold_but_at_most_three(taps: int, lobes: int):
    f = design('lanczos', shape(taps)).double()
    t = (np.arange(taps) - (taps - 1) / 2) / 2
    expected = np.where(np.abs(t) < lobes, np.sinc(t) * np.sinc(t / lobes), 0)
    np.testing.assert_allclose(f, expected / expected.sum(), atol=1e-7)


def test_a_filter_without_a_transition_band_of_its_own_still_gets_a_sinc():
    f = design('sinc', shape(taps=4, half_width=0.0))
    assert f.isfinite().all() and f.shape == (4,)


def test_an_unknown_kind_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no filter kind 'cubic'.*lanczos"):
        design('cubic', shape())  # pyright: ignore[reportArgumentType]


def test_the_response_equals_scipys():
    taps = lowpass(12, 8.0, 12.0, 64.0)
    assert taps is not None
    frequencies, db = response_db(taps, rate=64.0, count=100)
    expected = np.abs(signal.freqz(taps.double().numpy(), worN=frequencies.numpy(), fs=64.0)[1])
    np.testing.assert_allclose(10 ** (db.numpy() / 20), expected, atol=1e-9)
    assert frequencies[0] == 0 and frequencies[-1] == 32


def test_stylegan2s_filter_lets_half_the_band_through_at_minus_9_db():
    frequencies, db = response_db(torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8, rate=2.0, count=5)
    assert frequencies.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert db[0] == pytest.approx(0, abs=1e-6) and db[2] == pytest.approx(-9.03, abs=0.01)
    assert db[4] == -200.0


def test_the_diagonal_tells_a_separable_filter_from_a_radial_one():
    separable, radial = lowpass(24, 16.0, 8.0, 64.0), lowpass(24, 16.0, 8.0, 64.0, radial=True)
    assert separable is not None and radial is not None
    beyond = slice(350, 400)  # of 512 up to 32: about 22 to 25 cycles, past the cutoff of 16
    for taps, leaks in ((separable, True), (torch.outer(separable, separable), True), (radial, False)):
        _, along = response_db(taps, rate=64.0)
        _, across = response_db(taps, rate=64.0, diagonal=True)
        assert along[beyond].max() < -30
        assert (across[beyond].max() > -20) == leaks


@pytest.mark.parametrize('f', [torch.rand(7), torch.rand(5, 7)])
@pytest.mark.parametrize('diagonal', [False, True])
def test_the_response_is_the_fourier_sum_over_all_taps(f: torch.Tensor, diagonal: bool):
    full = torch.outer(f, f) / f.sum() ** (not diagonal) if f.ndim == 1 else f
    frequencies, db = response_db(f, rate=10.0, count=7, diagonal=diagonal)
    scale = 1 / math.sqrt(2) if diagonal else 1.0
    y, x = torch.meshgrid(torch.arange(full.shape[0]), torch.arange(full.shape[1]), indexing='ij')
    for frequency, level in zip(frequencies.tolist(), db.tolist(), strict=True):
        phase = 2 * math.pi * frequency * scale / 10.0 * (x + (y if diagonal else 0))
        magnitude = torch.complex((full * phase.cos()).sum(), (full * phase.sin()).sum()).abs()
        assert 10 ** (level / 20) == pytest.approx(float(magnitude), rel=1e-4, abs=1e-5)


def test_a_filter_is_set_up_from_what_people_write():
    assert setup_filter(None).tolist() == [[1.0]]
    assert setup_filter([1, 3, 3, 1], separable=True).tolist() == [0.125, 0.375, 0.375, 0.125]
    assert setup_filter([1, 3, 3, 1]).shape == (4, 4)
    assert setup_filter(list(range(1, 9))).shape == (8,)
    assert setup_filter([[1, 2], [3, 4]], normalize=False, flip_filter=True, gain=2).tolist() == [[8, 6], [4, 2]]
    assert setup_filter([1, 2, 1], gain=4, separable=True).sum() == 2


def test_setting_up_a_filter_does_not_change_the_callers_tensor():
    mine = torch.tensor([1.0, 3.0, 3.0, 1.0])
    setup_filter(mine)
    setup_filter(mine, separable=True)
    assert mine.tolist() == [1.0, 3.0, 3.0, 1.0]


@pytest.mark.parametrize('wrong', [torch.zeros(2, 2, 2), []])
def test_a_filter_of_wrong_shape_is_named(wrong):
    with pytest.raises(ValueError, match='got shape'):
        setup_filter(wrong)


def test_a_full_filter_cannot_become_separable():
    with pytest.raises(ValueError, match='cannot be used as separable'):
        setup_filter([[1, 2], [3, 4]], separable=True)

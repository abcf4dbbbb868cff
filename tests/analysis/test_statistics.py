"""Numbers about tensors, against their definitions."""

import math

import pytest
import torch

from analysis.statistics import summarize


def test_numbers_agree_with_their_definitions():
    x = torch.randn([3, 7, 5], generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 100
    found = summarize(x)
    assert found.mean == pytest.approx(float(x.mean()), rel=1e-6)
    assert found.std == pytest.approx(float(x.std(correction=0)), rel=1e-5)
    assert (found.minimum, found.maximum) == pytest.approx((float(x.min()), float(x.max())), rel=1e-6)


def test_nan_is_counted_and_left_out():
    found = summarize(torch.tensor([1.0, math.nan, 3.0, math.nan]))
    assert (found.minimum, found.maximum, found.mean, found.std, found.nan_count) == (1.0, 3.0, 2.0, 1.0, 2)


def test_nothing_but_nan_has_no_numbers():
    found = summarize(torch.full([4], math.nan))
    assert math.isnan(found.mean) and found.nan_count == 4


def test_infinities_of_both_signs_are_no_nan():
    found = summarize(torch.tensor([math.inf, -math.inf, 0.0]))
    assert found.nan_count == 0 and (found.minimum, found.maximum) == (-math.inf, math.inf)


def test_half_precision_does_not_overflow():
    assert summarize(torch.full([100_000], 60_000.0, dtype=torch.float16)).mean == pytest.approx(60_000, rel=1e-3)

"""The difference of two pictures: its numbers from arithmetic, sizes that differ, places that are not known."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from networks.info import LayerInfo
from render.compare import original, picture_request, pictures, requests
from render.difference import Difference, area_mean, difference
from render.request import FilterSpec, ModelKey, RenderRequest, ViewSpec
from render.result import RenderResult
from render.session import CompareState, FilterState, NoiseState, Session, Side, TransformState

KEY = ModelKey('demo:', 'abc')


def result(
    values: np.ndarray, *, margin: int | None = None, mode: Any = 'rgb', alpha: np.ndarray | None = None
) -> RenderResult:
    """What a renderer would answer; `margin`: the picture is a layer's."""
    channels, height, width = values.shape
    image = np.full((height, width, 4), 255, np.uint8)
    if alpha is not None:
        image[..., 3] = alpha
    layer = None if margin is None else LayerInfo('L', 'L', channels, height, width, margin=margin)
    request = RenderRequest(KEY, view=ViewSpec(mode=mode))
    return RenderResult(request, image=image, values=values.astype(np.float32), layer=layer)


def found(a: RenderResult, b: RenderResult) -> Difference:
    value = difference(a, b)
    assert isinstance(value, Difference), value
    return value


def test_a_constant_difference_of_a_tenth_of_the_range_is_20_db() -> None:
    one = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 8, 8))
    measured = found(result(one), result(one + 0.2))
    assert measured.decibels == pytest.approx(20, abs=1e-4)
    np.testing.assert_allclose(measured.values, 0.1, atol=1e-6)
    assert not measured.reduced and measured.is_image


def test_equal_pictures_have_no_difference() -> None:
    one = result(np.ones((3, 4, 4)))
    measured = found(one, one)
    assert measured.decibels == math.inf and not measured.values.any()


def test_of_a_layer_the_signal_is_set_over_the_difference() -> None:
    one = np.where(np.indices((2, 6, 6)).sum(0) % 2, 30.0, -30.0)
    measured = found(result(one, margin=1), result(0.9 * one, margin=1))
    assert measured.decibels == pytest.approx(20, abs=1e-4) and measured.scale == 30
    assert measured.margin == 1


def test_what_is_not_known_on_either_side_counts_nowhere() -> None:
    one, other = np.zeros((3, 4, 4)), np.full((3, 4, 4), 0.2)
    other[:, 0] = 1e9
    alpha = np.full((4, 4), 255)
    alpha[0] = 0
    measured = found(result(one), result(other, alpha=alpha))
    assert measured.decibels == pytest.approx(20, abs=1e-4)
    assert np.isnan(measured.values[0]).all() and np.isfinite(measured.values[1:]).all()


def test_pictures_of_two_resolutions_are_compared_at_the_smaller_one() -> None:
    small = np.random.default_rng(0).normal(size=(3, 8, 8))
    large = small.repeat(4, axis=1).repeat(4, axis=2)
    measured = found(result(large), result(small))
    assert measured.reduced and measured.values.shape == (8, 8)
    assert measured.values.max() < 1e-6


def test_layers_with_other_margins_are_compared_where_the_image_is() -> None:
    inner = np.random.default_rng(0).normal(size=(3, 8, 8))
    wide = np.pad(inner, ((0, 0), (10, 10), (10, 10)), constant_values=7.0)
    narrow = np.pad(inner, ((0, 0), (3, 3), (3, 3)), constant_values=-7.0)
    measured = found(result(wide, margin=10), result(narrow, margin=3))
    assert measured.values.shape == (8, 8) and measured.decibels == math.inf
    assert measured.margin == 0 and not measured.reduced


def test_a_mean_over_areas_that_do_not_divide_keeps_the_sum_and_the_unknown() -> None:
    x = np.random.default_rng(0).normal(size=(2, 9, 12)).astype(np.float32)
    assert area_mean(x, 4, 5).mean() == pytest.approx(x.mean(), abs=1e-6)
    np.testing.assert_allclose(area_mean(np.ones_like(x), 4, 5), 1, rtol=1e-5)
    x[0, 0, 0] = np.nan
    reduced = area_mean(x, 3, 4)
    assert np.isnan(reduced[0, 0, 0]) and np.isnan(reduced).sum() == 1


@pytest.mark.parametrize(
    ('one', 'other', 'words'),
    [
        (result(np.ones((3, 4, 4))), result(np.ones((3, 4, 4)), margin=0), 'the other a layer'),
        (result(np.ones((1, 9, 9)), margin=0, mode='sheet'), result(np.ones((1, 8, 8)), margin=0, mode='sheet'), 'sheets'),
        (result(np.ones((3, 4, 4))), result(np.full((3, 4, 4), np.nan)), 'no valid place'),
        (result(np.ones((3, 4, 4))), replace(result(np.ones((3, 4, 4))), values=None), 'not there yet'),
    ],
)  # fmt: skip
def test_what_cannot_be_subtracted_is_said(one: RenderResult, other: RenderResult, words: str) -> None:
    sentence = difference(one, other)
    assert isinstance(sentence, str) and words in sentence and sentence.endswith('.')


def test_the_original_differs_in_nothing_but_what_was_changed() -> None:
    side = Side(KEY, filters=FilterState('bilinear'), transform=TransformState(x=0.25), noise=NoiseState('none'))
    session = Session(a=side, compare=CompareState(original=True))
    assert pictures(session) == ('a', 'o')
    changed, second, own = requests(session)
    assert changed is not None and own is not None and second is None
    assert own.synthesis.filters == FilterSpec() and own.synthesis.noise == 'constant'
    assert own.synthesis.transform == changed.synthesis.transform
    assert (own.model, own.latent, own.view) == (changed.model, changed.latent, changed.view)


def test_an_unchanged_network_is_its_own_original() -> None:
    request = picture_request(Session(a=Side(KEY)), 'a')
    assert request is not None and original(request) is request


def test_of_two_generators_the_one_that_is_edited_is_compared_with_its_original() -> None:
    session = Session(a=Side(KEY), b=Side(ModelKey('other', 'x')), active='b', compare=CompareState(original=True))
    assert pictures(session) == ('b', 'o')
    first, second, own = requests(session)
    assert first is None and second is not None and own is not None and own.model.path == 'other'

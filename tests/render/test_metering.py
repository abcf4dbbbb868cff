"""The meter behind the window: one synthesis a picture, the numbers of the metrics, a map, and sentences."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.equivariance import translation_error
from render.renderer import Renderer
from render.request import IDENTITY, LatentSpec, RenderRequest, SynthesisSpec, ViewSpec
from tests.render.fakes import KEY, SIZE, FakeGenerator, fake_store

VIEW = ViewSpec(meter=True)
WHOLE = (1.0, 0.0, 4 / SIZE, 0.0, 1.0, -2 / SIZE)
FRACTION = (1.0, 0.0, 0.11, 0.0, 1.0, 0.04)
TURNED = (math.cos(0.3), math.sin(0.3), 0.0, -math.sin(0.3), math.cos(0.3), 0.0)


def asks(transform=WHOLE, *, view=VIEW, **synthesis) -> RenderRequest:
    return RenderRequest(KEY, synthesis=SynthesisSpec(transform=transform, **synthesis), view=view)


@pytest.fixture
def generator():
    return FakeGenerator(0)


@pytest.fixture
def renderer(generator):
    return Renderer(fake_store(generator))


def test_a_drag_costs_one_synthesis_a_picture(renderer, generator):
    renderer.render(asks(IDENTITY))
    for step in range(1, 6):
        assert renderer.render(asks((1.0, 0.0, step / 100, 0.0, 1.0, 0.0))).equivariance.metric == 'eq-t-frac'
    assert generator.synthesized == 6


def test_a_drag_of_a_picture_that_was_never_still_costs_one_more(renderer, generator):
    for step in range(1, 6):
        renderer.render(asks((1.0, 0.0, step / 100, 0.0, 1.0, 0.0)))
    assert generator.synthesized == 6


def test_switching_meter_and_map_runs_no_synthesis(renderer, generator):
    renderer.render(asks())
    before = generator.synthesized
    for view in (
        ViewSpec(error_map=True), ViewSpec(error_map=True, error_gain_db=20.0), ViewSpec(), ViewSpec(meter=True, error_map=True),
    ):  # fmt: skip
        renderer.render(asks(view=view))
    assert generator.synthesized == before


def test_the_meter_changes_no_pixel(renderer):
    with_meter, without = renderer.render(asks()), renderer.render(asks(view=ViewSpec()))
    assert np.array_equal(with_meter.image, without.image) and without.equivariance is None


def test_whole_shifts_read_what_the_metric_of_the_paper_says(renderer):
    reading = renderer.render(asks()).equivariance

    def synthesize(matrix: torch.Tensor) -> torch.Tensor:
        a, b, x, c, d, y = matrix[:2].flatten().tolist()
        return renderer.tensor(asks((a, b, x, c, d, y)))[None]

    expected = translation_error(synthesize, renderer.tensor(asks(IDENTITY))[None], WHOLE[2], WHOLE[5])
    assert reading.metric == 'eq-t' and reading.count == expected.count
    assert reading.squared == pytest.approx(expected.squared, rel=1e-12)
    assert reading.decibels == pytest.approx(expected.psnr(), abs=1e-9)


def test_each_kind_of_motion_feeds_its_metric_and_says_so(renderer):
    for transform, metric, words in (
        (WHOLE, 'eq-t', 'EQ-T.'), (FRACTION, 'eq-t-frac', 'EQ-T frac'), (TURNED, 'eq-r', 'EQ-R'),
    ):  # fmt: skip
        reading = renderer.render(asks(transform)).equivariance
        assert reading.metric == metric and words in reading.sentence and math.isfinite(reading.decibels)


def test_the_reference_belongs_to_latent_and_synthesis(renderer):
    other = replace(asks(), latent=LatentSpec(seeds=((7, 1.0),)))
    first, second = renderer.render(asks()).equivariance, renderer.render(other).equivariance
    assert first.squared != second.squared
    assert Renderer(fake_store(FakeGenerator(0))).render(other).equivariance == second


def test_the_map_shows_errors_in_colours_and_dims_what_is_not_known(renderer):
    result = renderer.render(asks(view=ViewSpec(error_map=True)))
    errors = result.values[0]
    known = ~np.isnan(errors)
    assert errors.shape == (SIZE, SIZE) and known[: SIZE - 2, 4:].all() and not known[:, :4].any()
    red, green, blue = (result.image[..., channel].astype(int) for channel in range(3))
    assert (red == green)[~known].all() and (green == blue)[~known].all(), 'grey outside'
    assert result.image[~known][:, :3].max() < 0.31 * 255 and (result.image[..., 3] == 255).all()
    scale = result.equivariance.scale
    place = np.nanargmax(errors)
    decibels = -20 * math.log10(errors.flat[place] / 2)
    share = (decibels - scale.bright_db) / (scale.dark_db - scale.bright_db)
    expected = scale.colours[0, round(min(max(share, 0), 1) * 255)].astype(int)
    assert np.abs(result.image.reshape(-1, 4)[place].astype(int) - expected).max() <= 6


def test_gain_makes_the_map_brighter_and_moves_its_scale(renderer):
    plain = renderer.render(asks(view=ViewSpec(error_map=True)))
    strong = renderer.render(asks(view=ViewSpec(error_map=True, error_gain_db=15.0)))
    assert strong.image[..., :3].sum() > plain.image[..., :3].sum()
    assert strong.equivariance.scale.bright_db == plain.equivariance.scale.bright_db + 15
    assert np.array_equal(strong.values, plain.values, equal_nan=True)


@pytest.mark.parametrize(
    ('request_', 'words'),
    [
        (asks(IDENTITY), 'Drag the picture'),
        (asks((2.0, 0.0, 0.0, 0.0, 2.0, 0.0)), 'scale'),
        (asks((1.0, 0.0, 3.0, 0.0, 1.0, 0.0)), 'less far'),
        (asks(layer='synthesis.L0'), 'choose Image'),
    ],
)
def test_what_has_no_error_is_shown_as_it_is_with_a_sentence(renderer, request_, words):
    result = renderer.render(replace(request_, view=ViewSpec(error_map=True)))
    plain = renderer.render(replace(request_, view=ViewSpec()))
    reading = result.equivariance
    assert words in reading.sentence and reading.metric is None and math.isnan(reading.decibels)
    assert np.array_equal(result.image, plain.image) and reading.scale is None


def test_a_picture_that_holds_no_numbers_has_no_error(renderer, generator):
    generator.module.synthesis.L2.weight[0, 0] = math.nan
    assert 'no numbers' in renderer.render(asks()).equivariance.sentence


def test_without_a_transform_nothing_is_measured_and_nothing_more_is_run(generator):
    info = generator.info
    generator.info = replace(
        info, capabilities=info.capabilities - {'transform'}, missing=(('transform', 'It has a learned constant.'),)
    )
    result = Renderer(fake_store(generator)).render(asks())
    assert 'learned constant' in result.equivariance.sentence and generator.synthesized == 1


def test_noise_that_counts_as_error_is_said(renderer, generator):
    assert ('noise' in renderer.render(asks(noise='constant')).equivariance.sentence) == (
        generator.info.why_not('noise') is None
    )
    assert 'noise' not in renderer.render(asks(noise='none')).equivariance.sentence

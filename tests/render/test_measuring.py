"""The measuring jobs on generators whose right answers are known."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from networks.adapters.any_module import AnyModule
from networks.adapters.wrap import wrap
from networks.bad_file import BadFile
from render import jobs_equivariance, jobs_measure
from render.jobs import run_to_end
from render.measures import EquivarianceScore, to_json
from render.measuring.equivariance import LadderRun
from render.request import FilterSpec, SynthesisSpec
from tests.networks.small import small_ladder, small_stylegan2
from tests.render.fourier import Fourier, opened


class Decoder(nn.Module):
    """A plain decoder: 4 x 4, 8 x 8, 16 x 16 pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.start = nn.Linear(8, 8 * 16)
        self.body = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Upsample(scale_factor=2), nn.Conv2d(8, 8, 3, padding=1), nn.SiLU(inplace=True),
            nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.body(self.start(z).reshape(-1, 8, 4, 4))


class Broken(nn.Module):
    """Three outputs: one sample, all zero, and not a number."""

    def __init__(self, last: float) -> None:
        super().__init__()
        self.one, self.zero, self.act = nn.Conv2d(4, 4, 1), nn.Identity(), nn.LeakyReLU(0.2)
        self.last = last

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        small = self.one(z.reshape(-1, 4, 1, 1))
        flat = self.zero(torch.zeros(len(z), 4, 16, 16) * small)
        return self.act(flat + self.last)[:, :3]


def measured(job: Callable[..., Any], adapter: Any, **options: Any) -> Any:
    renderer, request = opened(adapter)
    return run_to_end(job(renderer, request=request, **options))


def test_every_layer_of_an_exactly_equivariant_generator_scores_above_100_db():
    ladder = measured(jobs_equivariance.layer_ladder, Fourier())
    assert [row.label for row in ladder.rows] == ['waves', 'mix', 'picture', 'image']
    for row in ladder.rows[:3]:
        assert min(row.decibels) > 100
    # The picture has no margin, so its shift by fractions of a pixel is known in fewer places, but as well.
    assert min(ladder.rows[3].decibels) > 100
    assert min(ladder.rows[1].created) > 100


def test_detail_that_sticks_is_found_in_the_layer_that_makes_it():
    waves, mix, picture, _ = measured(jobs_equivariance.layer_ladder, Fourier(stuck=0.5)).rows
    assert min(waves.decibels) > 100
    assert max(mix.decibels[:3]) < 40
    assert max(mix.created[:3]) < 40
    assert min(mix.inherited) > 100
    assert min(picture.created) > 100
    assert max(picture.inherited[:3]) < 40


def test_results_of_layers_do_not_depend_on_the_order_of_the_latents():
    renderer, request = opened(wrap(small_ladder('T')))
    adapter = renderer.models.get(request.model)

    def rows(seeds: tuple[int, ...]) -> list[float]:
        run = LadderRun(adapter, request, (1 / 64,))
        for seed in seeds:
            run.start(seed)
            run.measure(seed, 1 / 64)
        return [min(row.decibels[0], 100.0) for row in run.result(len(seeds)).rows]

    assert rows((5, 6, 7)) == pytest.approx(rows((7, 5, 6)), abs=1e-2)
    assert rows((5,)) != pytest.approx(rows((6,)), abs=1e-2)


def test_small_motions_of_an_equivariant_generator_have_no_lie_derivative_error():
    for row in measured(jobs_equivariance.lie_ladder, Fourier()).rows:
        assert row.translation < 2e-3
        assert row.rotation < 2e-3
    mix = measured(jobs_equivariance.lie_ladder, Fourier(stuck=3.0)).rows[1]
    assert mix.created_translation > 0.5


def test_only_the_radial_network_moves_with_small_rotations():
    t = measured(jobs_equivariance.lie_ladder, wrap(small_ladder('T'))).rows[-2]
    r = measured(jobs_equivariance.lie_ladder, wrap(small_ladder('R'))).rows[-2]
    assert r.rotation < 0.1 < 0.3 < t.rotation


def test_a_generator_that_cannot_be_moved_says_so_and_offers_what_holds():
    ladder = measured(jobs_equivariance.layer_ladder, wrap(small_stylegan2()))
    assert 'learned constant' in ladder.note
    own = [value for row in ladder.rows for value in row.created if not math.isnan(value)]
    assert len(own) > 10
    assert min(own) < 40
    assert all(math.isnan(value) for row in ladder.rows for value in row.decibels)
    with pytest.raises(ValueError, match='cannot be measured'):
        measured(jobs_equivariance.equivariance, wrap(small_stylegan2()), metric='eq-t', samples=1)
    with pytest.raises(ValueError, match='moved back'):
        measured(jobs_measure.registered_average, wrap(Decoder()))


def test_unfiltered_layers_alias_more_than_filtered_ones():
    def lowest(**keywords: Any) -> float:
        budgets = measured(jobs_measure.alias_budgets, wrap(small_ladder('T', **keywords)), channels=4)
        return min(row.decibels for row in budgets.rows if not row.note)

    bare, filtered = lowest(lrelu_upsampling=1), lowest()
    assert bare < 50 < filtered


def test_a_weak_filter_shows_where_it_sits():
    renderer, request = opened(wrap(small_ladder('T')))

    def budgets(direction: Any) -> dict[str, Any]:
        spec = SynthesisSpec(filters=FilterSpec('nearest', direction, ('synthesis.L5_52_8',)))
        found = run_to_end(jobs_measure.alias_budgets(renderer, request=replace(request, synthesis=spec), channels=4))
        return {row.label: row for row in found.rows}

    up, down, own = budgets('up')['L5_52_8'], budgets('down')['L5_52_8'], budgets('up')['L4_36_8']
    assert up.images < 60 < own.images - 40
    assert up.images < down.images - 10
    assert up.leak > 60
    assert down.leak < up.leak - 20


def test_the_stages_of_a_filtered_layer_are_there_with_their_rates():
    stages = measured(jobs_measure.layer_stages, wrap(small_ladder('T')), layer='synthesis.L5_52_8', samples=1)
    assert [stage.key for stage in stages.stages] == ['convolution', 'upsampled', 'activated', 'lowpassed', 'output']
    assert [stage.rate for stage in stages.stages][1:] == [64, 64, 64, 32]
    assert stages.left_db < stages.beyond_db - 20
    assert stages.nyquist == 16
    assert stages.missing == ()


def test_stages_that_a_layer_lacks_are_named():
    stages = measured(jobs_measure.layer_stages, wrap(small_stylegan2()), layer='synthesis.b8.conv1', samples=1)
    assert [stage.key for stage in stages.stages] == ['convolution', 'output']
    assert len(stages.missing) == 2
    plain = measured(jobs_measure.layer_stages, wrap(Decoder()), layer='body.3', samples=1)
    assert len(plain.missing) == 3
    assert math.isfinite(plain.budget.decibels)
    with pytest.raises(ValueError, match='Conv2d'):
        measured(jobs_measure.layer_stages, wrap(Decoder()), layer='body.2', samples=1)


def test_looking_inside_does_not_change_the_picture():
    renderer, request = opened(wrap(Decoder()))
    before = renderer.tensor(request).clone()
    run_to_end(jobs_measure.alias_budgets(renderer, request=request, samples=1))
    run_to_end(jobs_equivariance.layer_ladder(renderer, request=request))
    other, _ = opened(renderer.models.get(request.model))
    assert torch.equal(other.tensor(request), before)


@pytest.mark.parametrize('make', [Fourier, lambda: wrap(small_stylegan2()), lambda: wrap(Decoder())])
def test_spectra_patterns_walks_and_triage_answer_for_any_generator(make: Callable[[], Any]):
    adapter = make()
    layer = adapter.info.layers[1].name
    found = [
        measured(jobs_measure.waterfall, adapter, samples=1),
        measured(jobs_measure.fixed_patterns, adapter, samples=3),
        measured(jobs_measure.walk_strip, adapter, frames=6, stops=2),
        measured(jobs_measure.neighbourhood, adapter, samples=3),
        measured(jobs_measure.channel_triage, adapter, layer=layer, samples=2),
    ]
    for one in found:
        json.dumps(to_json(one), allow_nan=False)
    assert len(found[0].rows) == len(adapter.info.layers) + 1
    assert sorted(found[4].by_phase) == list(range(adapter.info.layers[1].channels))


def test_a_pattern_that_stays_is_found_and_one_that_moves_is_not():
    moving = measured(jobs_measure.fixed_patterns, Fourier(), samples=24)
    stuck = measured(jobs_measure.fixed_patterns, Fourier(stuck=3.0), samples=24)
    assert max(row.share for row in moving.rows) < 0.1
    # Waves of unit weight have variance 1/2 each; the pattern has 9.
    waves = 0.5 * float(Fourier().module.mix.weight.square().sum(1).mean())
    assert abs(stuck.rows[1].share - 9 / (9 + waves)) < 0.05
    assert stuck.rows[0].share < 0.1


def test_a_walk_tells_stuck_detail_from_moving_detail():
    assert measured(jobs_measure.neighbourhood, Fourier(stuck=3.0), radius=1.0, samples=16).share > 0.9
    assert measured(jobs_measure.walk_strip, Fourier(stuck=3.0), frames=24).share > 0.9
    kept = measured(jobs_measure.registered_average, Fourier(), samples=4).kept
    lost = measured(jobs_measure.registered_average, Fourier(stuck=3.0), samples=16).kept
    assert lost < 0.2 < 0.999 < kept


def test_the_worst_channel_comes_first():
    adapter = Fourier()
    adapter.module.mix.pattern[:, 2] = 5 * torch.randn(52, 52, generator=torch.Generator().manual_seed(9))
    triage = measured(jobs_measure.channel_triage, adapter, layer='mix', samples=8)
    assert triage.by_stuck[0] == 2
    assert triage.channels[2].stuck > 0.8
    assert 'not known here' in triage.note


@pytest.mark.parametrize('last', [0.0, math.nan])
def test_layers_that_hold_nothing_have_a_sentence_instead_of_a_number(last: float):
    adapter = AnyModule(Broken(last), z_dim=4)
    rows = {row.label: row for row in measured(jobs_equivariance.layer_ladder, adapter).rows}
    assert all(math.isnan(value) for row in rows.values() for value in row.created)
    assert 'one sample' in rows['one'].note
    assert 'does not vary' in rows['zero'].note
    assert ('finite' if math.isnan(last) else 'does not vary') in rows['act'].note
    for row in (
        *measured(jobs_measure.fixed_patterns, adapter, samples=2).rows,
        *measured(jobs_measure.waterfall, adapter).rows,
    ):
        assert row.note.endswith('.')
    budget = measured(jobs_measure.alias_budgets, adapter).rows[-1]
    assert math.isnan(budget.decibels)
    assert budget.note.endswith('.')
    if math.isnan(last):
        with pytest.raises(ValueError, match='finite'):
            measured(jobs_measure.walk_strip, adapter)
    else:
        assert 'same everywhere' in measured(jobs_measure.walk_strip, adapter, frames=3).note


@pytest.mark.parametrize(('weight', 'word'), [(0.0, 'same everywhere'), (math.nan, 'finite')])
def test_a_picture_that_shows_nothing_is_not_a_perfect_one(weight: float, word: str):
    adapter = Fourier()
    adapter.module.picture.weight.fill_(weight)
    score = measured(jobs_equivariance.equivariance, adapter, metric='eq-t', samples=2)
    assert math.isnan(score.decibels)
    assert word in score.note
    assert jobs_equivariance.verdict(score) == score.note


def test_a_transform_that_pushes_everything_out_of_the_band_is_said():
    renderer, request = opened(wrap(small_ladder('T')))
    tiny = (0.05, 0.0, 0.0, 0.0, 0.05, 0.0)  # twenty times smaller: all waves above half of every rate
    request = replace(request, synthesis=SynthesisSpec(transform=tiny))
    fall = run_to_end(jobs_measure.waterfall(renderer, request=request, samples=1))
    assert 'out of the band' in fall.rows[0].note
    strip = run_to_end(jobs_measure.walk_strip(renderer, request=request, frames=3))
    assert math.isnan(strip.share)
    assert 'out of the band' in strip.note


def test_a_walk_that_leads_nowhere_is_said():
    renderer, request = opened(wrap(small_ladder('T')))
    request = replace(request, latent=replace(request.latent, truncation=0.0))  # every latent is the average one
    strip = run_to_end(jobs_measure.walk_strip(renderer, request=request, frames=3, stops=2))
    assert 'hardly changed' in strip.note


@pytest.mark.parametrize('job', [jobs_measure.neighbourhood, jobs_measure.registered_average])
def test_averages_of_what_is_no_number_are_refused_with_a_sentence(job: Any):
    adapter = Fourier()
    adapter.module.picture.weight.fill_(math.nan)
    with pytest.raises(ValueError, match='finite'):
        measured(job, adapter)


def test_an_average_comes_with_the_picture_in_its_middle():
    renderer, request = opened(Fourier())
    request = replace(request, latent=replace(request.latent, seeds=((5, 1.0),)))
    around = run_to_end(jobs_measure.neighbourhood(renderer, request=request, samples=2))
    assert np.array_equal(around.centre, renderer.render(request).image[..., :3])


def test_what_is_left_of_an_average_is_all_where_detail_sticks_and_little_where_it_moves():
    moving = measured(jobs_measure.neighbourhood, Fourier(), radius=1.0, samples=8).residual
    stuck = measured(jobs_measure.neighbourhood, Fourier(stuck=100.0), radius=1.0, samples=8).residual
    assert float(np.median(moving)) < 0.3 and float(np.median(stuck)) > 0.9
    assert float(stuck.max()) <= 1.0


@pytest.mark.parametrize(
    ('job', 'options', 'words'),
    [
        (jobs_measure.walk_strip, {'frames': 0}, 'at least 2 pictures'),
        (jobs_measure.walk_strip, {'frames': 1}, 'got 1 and 5; make it longer'),
        (jobs_measure.walk_strip, {'stops': 1}, '2 latents to go between'),
        (jobs_measure.walk_strip, {'end': (math.nan, 0.5)}, 'no length'),
        (jobs_measure.walk_strip, {'start': (0.5, 0.5), 'end': (0.5, 0.5)}, 'no length'),
        (jobs_measure.walk_strip, {'points': 3}, '3 points'),
        (jobs_measure.neighbourhood, {'radius': 0.0}, 'radius'),
        (jobs_measure.neighbourhood, {'samples': 1}, 'at least 2'),
        (jobs_measure.fixed_patterns, {'samples': 0}, 'at least one'),
        (jobs_measure.layer_stages, {'layer': 'nowhere'}, "'nowhere'"),
        (jobs_measure.channel_triage, {'layer': 'nowhere'}, "'nowhere'"),
        (jobs_measure.alias_budgets, {'channels': 0}, 'at least one channel'),
        (jobs_equivariance.layer_ladder, {'samples': 0}, 'at least one'),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_sentence(job: Any, options: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        measured(job, Fourier(), **options)


def test_real_pictures_of_another_size_are_refused(tmp_path):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / 'small.png')
    with pytest.raises(BadFile, match=r'16 x 16 pixels but the generator makes 32 x 32'):
        measured(jobs_measure.waterfall, Fourier(), real=tmp_path)
    with pytest.raises(BadFile, match='no folder or ZIP'):
        measured(jobs_measure.waterfall, Fourier(), real=tmp_path / 'missing')


def test_real_pictures_are_whitened_by_their_own_moments(tmp_path):
    generator = np.random.default_rng(0)
    for index in range(4):
        pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'{index}.png')
    fall = measured(jobs_measure.waterfall, Fourier(), samples=2, real=tmp_path)
    assert fall.real.count == 4
    assert abs(fall.real.mean - 127.5) < 2
    # White noise of unit variance has 0 dB at every frequency.
    assert abs(float(np.mean(10 ** (fall.real.power_db / 10))) - 1) < 0.1
    assert fall.real.frequencies[-1] == 16
    assert fall.generated.count == 2


def test_a_good_result_of_few_latents_is_not_called_good_yet() -> None:
    few = EquivarianceScore('eq-t', 120.0, 2, 110.0, 130.0)
    assert jobs_equivariance.verdict(few).startswith('good so far')
    assert jobs_equivariance.verdict(replace(few, samples=16)) == 'good: detail moves with the picture'
    assert jobs_equivariance.verdict(replace(few, decibels=20.0)) == 'detail sticks to the screen'

"""The short jobs behind the window's spectra: what they answer for what is shown, and that no step is long."""

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
from render import jobs_measure
from render.jobs import run_to_end
from tests.networks.small import small_ladder, small_stylegan2
from tests.render.fourier import Fourier, opened
from tests.render.test_measuring import Decoder, measured

LAYER = 'synthesis.L1_36_8'


class Empty(nn.Module):
    """Activations of one sample, all zero, and not a number."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.zero, self.bad = nn.LeakyReLU(0.2), nn.ReLU(), nn.SiLU()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        small = self.one(z.reshape(-1, 4, 1, 1))
        return self.bad(self.zero(torch.zeros(len(z), 4, 16, 16) * small) + math.nan)[:, :3]


@pytest.fixture(scope='module')
def ladder() -> Any:
    return wrap(small_ladder('T'))


def test_stages_without_a_first_seed_are_of_the_latent_of_the_request(ladder: Any):
    renderer, request = opened(ladder)
    shown = replace(request, latent=replace(request.latent, seeds=((5, 1.0),)))
    found = run_to_end(
        jobs_measure.layer_stages(renderer, request=shown, layer=LAYER, samples=1, first_seed=None, budget_channels=1)
    )
    seed = run_to_end(
        jobs_measure.layer_stages(renderer, request=request, layer=LAYER, samples=1, first_seed=5, budget_channels=1)
    )
    other = run_to_end(
        jobs_measure.layer_stages(renderer, request=request, layer=LAYER, samples=1, first_seed=6, budget_channels=1)
    )
    np.testing.assert_array_equal(found.stages[2].radial_db, seed.stages[2].radial_db)
    assert not np.array_equal(found.stages[2].radial_db, other.stages[2].radial_db)


def test_several_samples_of_one_latent_are_refused(ladder: Any):
    renderer, request = opened(ladder)
    with pytest.raises(ValueError, match='one latent to measure, not 2'):
        run_to_end(jobs_measure.layer_stages(renderer, request=request, layer=LAYER, samples=2, first_seed=None))


def test_stages_in_parts_are_the_mean_over_all_channels(ladder: Any, monkeypatch: pytest.MonkeyPatch):
    whole = measured(jobs_measure.layer_stages, ladder, layer=LAYER, samples=1, budget_channels=1)
    monkeypatch.setattr('render.measuring.nonlinearity.STEP_VALUES', 1)
    parts = measured(jobs_measure.layer_stages, ladder, layer=LAYER, samples=1, budget_channels=1)
    for one, other in zip(whole.stages, parts.stages, strict=True):
        np.testing.assert_allclose(one.radial_db.clip(-90), other.radial_db.clip(-90), atol=0.05)  # float32
    assert (whole.beyond_db, whole.left_db) == pytest.approx((parts.beyond_db, parts.left_db), abs=0.02)
    assert whole.channels == 8


def test_fewer_channels_are_evenly_chosen_and_counted(ladder: Any):
    found = measured(jobs_measure.layer_stages, ladder, layer=LAYER, samples=1, channels=3, budget_channels=2)
    assert (found.channels, found.budget.channels) == (3, 2)


def test_every_channel_of_a_budget_is_a_step_of_its_own(ladder: Any):
    renderer, request = opened(ladder)
    steps = list(jobs_measure.layer_stages(renderer, request=request, layer=LAYER, samples=1, budget_channels=3))
    assert sum('alias budget' in step.text for step in steps) == 3
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert steps[-2].partial.stages, 'spectra are shown before the budget is known'


def test_a_triage_goes_through_few_channels_a_step_and_leaves_aliasing_out_on_request(ladder: Any):
    renderer, request = opened(ladder)
    steps = list(jobs_measure.channel_triage(renderer, request=request, layer=LAYER, samples=1, alias_samples=1))
    assert sum('alias leak' in step.text for step in steps) == 2
    quick = measured(jobs_measure.channel_triage, ladder, layer=LAYER, samples=2, alias_samples=0)
    assert all(math.isnan(channel.alias_db) and channel.stuck >= 0 for channel in quick.channels)


@pytest.mark.parametrize(
    ('make', 'layer', 'stages'),
    [
        (lambda: wrap(small_ladder('R')), 'synthesis.L1_36_8', 5),
        (lambda: wrap(small_stylegan2()), 'synthesis.b16.conv1', 2),
        (lambda: wrap(Decoder()), 'body.3', 2),
    ],
)
def test_stages_and_triage_answer_for_every_family(make: Callable[[], Any], layer: str, stages: int):
    adapter = make()
    found = measured(jobs_measure.layer_stages, adapter, layer=layer, samples=1, first_seed=None, budget_channels=1)
    assert len(found.stages) == stages and math.isfinite(found.budget.decibels)
    triage = measured(jobs_measure.channel_triage, adapter, layer=layer, samples=2, alias_samples=1)
    for order in (triage.by_alias, triage.by_stuck, triage.by_phase):
        assert sorted(order) == list(range(len(triage.channels)))
    assert math.isfinite(triage.channels[triage.by_alias[0]].alias_db)


@pytest.mark.parametrize(
    ('layer', 'stages', 'triage'),
    [('one', 'one sample only', 'varies'), ('zero', 'does not vary', 'varies'), ('bad', 'not finite', 'not finite')],
)
def test_layers_that_hold_nothing_are_refused_with_a_sentence(layer: str, stages: str, triage: str):
    adapter = AnyModule(Empty(), z_dim=4)
    with pytest.raises(ValueError, match=stages) as refused:
        measured(jobs_measure.layer_stages, adapter, layer=layer, samples=1)
    assert str(refused.value).endswith('.')
    found = measured(jobs_measure.channel_triage, adapter, layer=layer, samples=2)
    assert triage in found.note and all(math.isnan(channel.phase) for channel in found.channels)


def test_real_noise_is_flat_on_rings_at_the_density_of_its_variance(tmp_path: Any):
    generator = np.random.default_rng(0)
    for index in range(6):
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f'{index}.png')
    fall = measured(jobs_measure.waterfall, Fourier(), samples=1, real=tmp_path)
    expected = -20 * math.log10(32)  # variance 1 over 32 x 32 squared cycles
    assert float(np.mean(fall.real.radial_db[4:])) == pytest.approx(expected, abs=0.3)
    assert len(fall.real.radial_db) == len(fall.real.frequencies)
    assert len(fall.generated.radial_db) == len(fall.real.radial_db)


def test_no_more_real_pictures_are_read_than_the_limit_and_each_step_is_one(tmp_path: Any):
    generator = np.random.default_rng(0)
    for index in range(5):
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f'{index}.png')
    renderer, request = opened(Fourier())
    job = jobs_measure.waterfall(renderer, request=request, samples=2, real=tmp_path, real_limit=3)
    steps = []
    try:
        while True:
            steps.append(next(job))
    except StopIteration as end:
        assert end.value.real.count == 3
    assert [step.text for step in steps].count('spectra of the pictures') == 3 + 2
    assert steps[-1].fraction == 1


def test_a_folder_without_pictures_is_refused(tmp_path: Any):
    (tmp_path / 'notes.txt').write_text('no picture')
    with pytest.raises(BadFile, match='holds no pictures'):
        measured(jobs_measure.waterfall, Fourier(), samples=1, real=tmp_path)


def test_pictures_of_one_colour_are_refused(tmp_path: Any):
    Image.fromarray(np.full((32, 32, 3), 9, np.uint8)).save(tmp_path / 'grey.png')
    with pytest.raises(ValueError, match='all of one colour'):
        measured(jobs_measure.waterfall, Fourier(), samples=1, real=tmp_path)

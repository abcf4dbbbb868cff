from collections.abc import Sequence

import pytest
import torch

from networks.discriminator import Discriminator, MinibatchStd
from networks.stylegan2 import Generator as StyleGAN2
from training.errors import TrainingError
from training.gan_loss import GanBatch, GanLoss, LossConfig, Phase
from training.random_source import TorchRandom
from training.ranks import ALONE, Ranks
from training.shares import SharedRandom, share_of


@pytest.mark.parametrize(('batch', 'parts', 'group'), [(8, 2, None), (16, 2, 4), (16, 4, 4), (24, 3, 2), (6, 1, 3)])
def test_parts_take_each_sample_once(batch: int, parts: int, group: int | None):
    taken = [share_of(batch, part=part, parts=parts, group=group) for part in range(parts)]
    assert sorted(sample for rows in taken for sample in rows) == list(range(batch))
    assert {len(rows) for rows in taken} == {batch // parts}


def test_groups_of_the_minibatch_deviation_stay_whole():
    x = torch.randn(16, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    layer = MinibatchStd(4, 2)
    whole = layer(x)
    for part in range(2):
        rows = list(share_of(16, part=part, parts=2, group=4))
        assert torch.allclose(layer(x[rows]), whole[rows], atol=1e-6)


@pytest.mark.parametrize(
    ('batch', 'parts', 'group', 'part'), [(9, 2, None, 'multiple of 2'), (8, 3, 4, 'multiple of 3 x 4')]
)
def test_a_batch_that_does_not_come_out_even_is_refused(batch: int, parts: int, group: int | None, part: str):
    with pytest.raises(TrainingError, match=part):
        share_of(batch, part=0, parts=parts, group=group)


def test_draws_are_rows_of_the_draw_for_the_whole_minibatch():
    rows = share_of(8, part=1, parts=2, group=4)
    whole, own = TorchRandom(torch.Generator().manual_seed(5)), TorchRandom(torch.Generator().manual_seed(5))
    shared = SharedRandom(own, rows, 8)
    assert torch.equal(shared.normal((4, 3)), whole.normal((8, 3))[list(rows)])
    assert torch.equal(shared.uniform((1,)), whole.uniform((1,)))  # one number for all
    assert torch.equal(shared.normal((2, 5)), whole.normal((4, 5))[list(rows[:2])])  # half of the batch, as path length
    assert torch.equal(shared.uniform((4,)), whole.uniform((8,))[list(rows)])


@pytest.mark.parametrize('phase', ['Gmain', 'Dboth'])
def test_mean_gradients_of_two_shares_are_those_of_the_whole_minibatch(phase: Phase):
    """StyleGAN2 in double precision with style mixing, noise, minibatch deviation and R1; with exchange: test_ranks.py."""
    shares = [gradients(phase, share_of(8, part=part, parts=2, group=4)) for part in range(2)]
    for expected, a, b in zip(gradients(phase, range(8)), *shares, strict=True):
        assert (expected is None) == (a is None) == (b is None)
        assert expected is None or torch.allclose((a + b) / 2, expected, rtol=1e-7, atol=1e-10)


def gradients(phase: Phase, rows: Sequence[int], ranks: Ranks = ALONE) -> list[torch.Tensor | None]:
    """Of each parameter of the phase's network, from these samples of a minibatch of 8."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = StyleGAN2(8, 0, 8, 8, 3, channel_base=64, channel_max=8).double()
        discriminator = Discriminator(0, 8, 3, channel_base=64, channel_max=8, mbstd_group_size=4).double()
        real, z, none = torch.randn(8, 3, 8, 8).double(), torch.randn(8, 8).double(), torch.zeros(8, 0)
    own = list(rows)
    config = LossConfig(style_mixing=0.9, path_length_weight=2.0, path_length_decay=0.5, r1_gamma=3.0)
    loss = GanLoss(generator, discriminator, config, ranks=ranks)
    loss.path_length_mean = loss.path_length_mean.double()
    source = SharedRandom(Doubles(3), own, 8)
    loss.accumulate(phase, GanBatch(real[own], none[own], z[own], none[own]), source=source)
    network = generator if phase[0] == 'G' else discriminator
    return [parameter.grad for parameter in network.parameters()]


class Doubles:
    """Draws in double precision."""

    def __init__(self, seed: int) -> None:
        self._source = TorchRandom(torch.Generator().manual_seed(seed))

    def uniform(self, shape):
        return self._source.uniform(shape).double()

    def normal(self, shape):
        return self._source.normal(shape).double()

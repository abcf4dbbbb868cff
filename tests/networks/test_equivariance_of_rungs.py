"""Untrained networks already tell the rungs of the ladder apart: integer shifts, random weights, 64 px.

An independent implementation of the same recipe found, over three seeds: F from 20, G from 25, T and R from 60 dB,
each rung above the one before it.
"""

import pytest
import torch
from torch.func import functional_call

from networks.sampling import make_transform
from tests.networks.small import small_ladder

SIDE = 64


def translation_db(rung: str, *, seed: int, samples: int) -> float:
    """EQ-T in dB over `samples` shifts of up to an eighth of the width (Appendix E.1), pictures scaled to deviation 0.5."""
    generator = small_ladder(rung, resolution=SIDE, width=48, seed=seed)
    random = torch.Generator().manual_seed(seed)
    pictures, errors = [], []
    for _ in range(samples):
        ws = generator.mapping(torch.randn(1, 16, generator=random))
        dx, dy = (int(pixels) for pixels in torch.randint(1, SIDE // 8 + 1, (2,), generator=random))
        transform = make_transform((dx / SIDE, dy / SIDE), 0).inverse().float()
        still = generator.synthesis(ws)
        moved = functional_call(generator.synthesis, {'input.transform': transform}, (ws,))
        pictures.append(still)
        errors.append((moved[:, :, dy:, dx:] - still[:, :, :-dy, :-dx]).square().mean())
    scale = 0.5 / torch.cat(pictures).std()
    return float(10 * torch.log10(4 / (torch.stack(errors).mean() * scale**2)))


def test_t_is_equivariant_to_translation_before_training():
    assert translation_db('T', seed=1, samples=3) > 60


def test_unfiltered_nonlinearities_break_equivariance():
    assert translation_db('E', seed=1, samples=4) < 30


@pytest.mark.slow
def test_the_rungs_stand_in_the_order_of_the_paper():
    e, f, g, t, r = (sum(translation_db(rung, seed=seed, samples=6) for seed in range(2)) / 2 for rung in 'EFGTR')
    assert e + 4 < f < g - 4 < t - 8
    assert f >= 20
    assert g >= 25
    assert t >= 60
    assert r >= 60

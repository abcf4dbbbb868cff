import math

import pytest
import torch

from training.losses import discriminator_loss, generator_loss, r1_penalty


def test_losses_are_the_logarithms_of_probabilities():
    scores = torch.tensor([[0.7], [-1.3]])
    real, fake = (1 / (1 + math.exp(-value)) for value in (0.7, -1.3))
    assert generator_loss(scores).item() == pytest.approx(-(math.log(real) + math.log(fake)) / 2, abs=1e-6)
    expected = -math.log(real) - math.log(1 - fake)
    assert discriminator_loss(scores[:1], scores[1:]).item() == pytest.approx(expected, abs=1e-6)


def test_r1_of_a_linear_discriminator_is_the_squared_length_of_its_weights():
    weights = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    reals = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = r1_penalty((reals * weights).sum([1, 2, 3])[:, None], reals)
    assert penalty.item() == pytest.approx(weights.square().sum().item(), rel=1e-6)


def test_r1_itself_can_be_differentiated():
    factor = torch.tensor(2.0, requires_grad=True)
    reals = torch.ones(1, 1, 2, 2, requires_grad=True)
    r1_penalty((factor * reals).sum([1, 2, 3])[:, None], reals).backward()
    assert factor.grad is not None
    assert factor.grad.item() == pytest.approx(16.0)  # d/df of 4 f²

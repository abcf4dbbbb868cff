import torch
from torch import nn

from training.gradients import zero_lost_gradients
from training.tally import Stats, Tally


def parameter(gradient: list[float] | None) -> nn.Parameter:
    made = nn.Parameter(torch.zeros(3))
    made.grad = None if gradient is None else torch.tensor(gradient)
    return made


def test_gradients_that_are_not_finite_are_counted_and_become_0():
    parameters = [parameter([1, float('nan'), 2]), parameter(None), parameter([float('inf'), 3, -float('inf')])]
    assert zero_lost_gradients(parameters) == 3
    assert [p.grad.tolist() for p in parameters if p.grad is not None] == [[1, 0, 2], [0, 3, 0]]


def test_finite_gradients_are_left_alone_even_where_their_sum_overflows():
    large = parameter([3e38, 3e38, 1])
    assert zero_lost_gradients([large]) == 0
    assert large.grad is not None
    assert large.grad[2] == 1


def test_a_tally_averages_each_value_over_the_steps_that_had_it_and_adds_lost_gradients():
    tally = Tally()
    tally.add(Stats(1.0, 2.0, 0.5, 0.25, r1=8.0, lost_gradients=2), images=4, seconds=2.0)
    tally.add(Stats(3.0, 4.0, 0.5, 0.75, lost_gradients=1), images=4, seconds=2.0)
    assert tally.values() == {
        'generator_loss': 2.0,
        'discriminator_loss': 3.0,
        'real_share': 0.5,
        'fake_share': 0.5,
        'r1': 8.0,
        'lost_gradients': 3,
    }
    assert tally.rate() == 2.0
    assert Tally(**tally.as_json()) == tally

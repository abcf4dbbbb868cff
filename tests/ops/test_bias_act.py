"""bias_act against the formulas of its activations."""

import numpy as np
import pytest
import torch
from scipy import special

from ops.bias_act import ACTIVATIONS, bias_act

pytestmark = pytest.mark.usefixtures('on_each_backend')

FORMULAS = {
    'linear': lambda x: x,
    'relu': lambda x: np.maximum(x, 0) * np.sqrt(2),
    'lrelu': lambda x: np.where(x > 0, x, 0.2 * x) * np.sqrt(2),
    'tanh': np.tanh,
    'sigmoid': special.expit,
    'elu': lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    'selu': lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    'softplus': lambda x: np.logaddexp(0, x),
    'swish': lambda x: x * special.expit(x) * np.sqrt(2),
}


def values(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 2


def test_every_activation_has_a_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize('act', FORMULAS)
def test_each_activation_equals_its_formula_with_its_own_gain(act: str):
    x, b = values(2, 3, 4, 5), values(3)
    expected = FORMULAS[act]((x + b[:, None, None]).numpy())
    np.testing.assert_allclose(bias_act(x, b, act=act), expected, atol=1e-12)


def test_gain_comes_before_clamp():
    x = torch.tensor([-9.0, -1.0, 1.0, 9.0], dtype=torch.float64)
    assert bias_act(x, dim=0, gain=2.0, clamp=3.0).tolist() == [-3.0, -2.0, 2.0, 3.0]


def test_the_bias_belongs_to_the_chosen_axis():
    x = torch.zeros(2, 3, 4, dtype=torch.float64)
    b = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    assert bias_act(x, b, dim=2)[1, 2].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_alpha_is_the_slope_of_the_leaky_relu_only():
    x = torch.tensor([[-1.0]], dtype=torch.float64)
    assert bias_act(x, act='lrelu', alpha=0.5, gain=1).item() == -0.5
    assert bias_act(x, act='relu', alpha=0.5, gain=1).item() == 0.0


@pytest.mark.parametrize('act', FORMULAS)
def test_first_and_second_derivatives_are_right(act: str):
    x, b = values(2, 3, 2).requires_grad_(), values(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, b: bias_act(x, b, act=act, clamp=1.5), (x, b))
    assert torch.autograd.gradgradcheck(lambda x, b: bias_act(x, b, act=act, clamp=1.5), (x, b))


def test_an_unknown_activation_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no activation 'gelu'.*lrelu"):
        bias_act(torch.zeros(1, 1), act='gelu')


def test_a_bias_of_wrong_length_is_named():
    with pytest.raises(ValueError, match=r'must be \[3\].*got \(4,\)'):
        bias_act(torch.zeros(2, 3), torch.zeros(4))

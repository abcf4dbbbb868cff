import pytest
import torch
from torch import Tensor

from ops.backend import use_backend
from ops.modulated_conv2d import modulated_conv2d


@pytest.mark.parametrize('demodulate', [True, False])
@pytest.mark.parametrize('with_gain', [True, False])
def test_shared_weights_give_values_and_two_derivatives_of_the_reference(demodulate: bool, with_gain: bool):
    torch.manual_seed(0)
    x = torch.randn(3, 5, 7, 6).double().requires_grad_(True)
    weight = torch.randn(4, 5, 3, 3).double().requires_grad_(True)
    styles = torch.randn(3, 5).double().requires_grad_(True)
    gain = torch.rand(5).double() if with_gain else None

    def everything(name: str) -> list[Tensor]:
        with use_backend(name, strict=name == 'cpu'):  # type: ignore[arg-type]
            y = modulated_conv2d(x, weight, styles, demodulate=demodulate, padding=(1, 2), input_gain=gain)
            first = torch.autograd.grad(y.sin().sum(), (x, weight, styles), create_graph=True)
            second = torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight, styles))
        return [y, *first, *second]

    for found, expected in zip(everything('cpu'), everything('reference'), strict=True):
        torch.testing.assert_close(found, expected)


def test_without_gradients_the_reference_runs_as_before():
    x, weight, styles = torch.randn(1, 2, 4, 4), torch.randn(2, 2, 1, 1), torch.randn(1, 2)
    with pytest.raises(RuntimeError), use_backend('cpu', strict=True):
        modulated_conv2d(x, weight, styles)

import pytest
import torch
from torch import Tensor

from ops.backend import use_backend
from ops.fast_cpu import learned_convolution
from ops.modulated_conv2d import modulated_conv2d


@pytest.fixture(autouse=True)
def small_pictures_by_kernels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned_convolution, '_FEWEST_PIXELS', 1)


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


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ('batch', 'channels', 'sides', 'padding'),
    [(2, (16, 16), (8, 9), 1), (3, (19, 21), (13, 8), 2), (1, (9, 8), (5, 6), 0), (2, (40, 17), (20, 21), (0, 2))],
)
def test_kernels_give_values_and_two_derivatives_of_the_exact_reference(batch, channels, sides, padding, layout):
    torch.manual_seed(1)
    ins, outs = channels
    x = torch.randn(batch, ins, *sides).contiguous(memory_format=layout)
    given = (x, torch.randn(outs, ins, 3, 3), torch.randn(batch, ins) + 1)

    def everything(dtype: torch.dtype, name: str) -> list[Tensor]:
        tensors = [one.to(dtype).requires_grad_() for one in given]
        with use_backend(name, strict=name == 'cpu'):  # type: ignore[arg-type]
            y = modulated_conv2d(*tensors, padding=padding, input_gain=torch.tensor(0.7, dtype=dtype))
            alone = torch.autograd.grad(y.sin().sum(), tensors, retain_graph=True)
            first = torch.autograd.grad(y.sin().sum(), tensors, create_graph=True)
            second = torch.autograd.grad(sum(g.square().sum() for g in first), tensors)
        return [y, *alone, *first, *second]

    for found, exact in zip(everything(torch.float32, 'cpu'), everything(torch.float64, 'reference'), strict=True):
        assert (found - exact).abs().max() <= 1e-5 * exact.abs().max()


def test_gradients_by_kernels_are_the_same_bits_for_any_number_of_threads_and_again():
    torch.manual_seed(2)
    tensors = [torch.randn(3, 20, 17, 18), torch.randn(24, 20, 3, 3), torch.randn(3, 20)]
    tensors = [one.requires_grad_() for one in tensors]
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            y = modulated_conv2d(*tensors, padding=1)
            results.append([y, *torch.autograd.grad(y.square().sum(), tensors)])
    finally:
        torch.set_num_threads(before)
    for others in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(results[0], others, strict=True))


def test_an_input_without_gradient_and_a_frozen_weight_get_none():
    x, weight, styles = torch.randn(1, 8, 9, 9), torch.randn(8, 8, 3, 3), torch.randn(1, 8, requires_grad=True)
    frozen = modulated_conv2d(x, weight, styles, padding=1)
    (gradient,) = torch.autograd.grad(frozen.sum(), styles)
    (again,) = torch.autograd.grad(modulated_conv2d(x, weight.requires_grad_(), styles, padding=1).sum(), styles)
    assert torch.equal(gradient, again)
    (of_x,) = torch.autograd.grad(modulated_conv2d(x.requires_grad_(), weight.detach(), styles.detach()).sum(), x)
    assert of_x.shape == x.shape and of_x.abs().max() > 0

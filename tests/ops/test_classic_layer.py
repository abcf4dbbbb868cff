"""StyleGAN2's layers and pictures: the CPU kernels give what the composed references give in float64."""

import gc
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from networks.classic_variants import FilteredLayer, filtered
from networks.stylegan2 import NoisePlan, SynthesisLayer
from ops.backend import report, use_backend
from ops.classic_layer import classic_layer
from ops.classic_picture import add_upsampled
from ops.conv2d import conv2d
from ops.fast_cpu import classic, learned_convolution
from ops.filters import setup_filter
from tests.networks.small import small_stylegan2

FILTERS = ([1, 3, 3, 1], [1, 2, 3, 7], [1, 2, 1], [1, 1], [1])
SIZES = ((1, 16, 16, 8, 8), (2, 19, 21, 7, 13), (1, 5, 9, 4, 4), (2, 64, 48, 33, 9), (1, 4, 4, 3, 1))


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_exact(call, *tensors: Tensor | None, strict: bool = True) -> Tensor:
    """By kernels as by the reference in float64."""
    with use_backend('reference'):
        expected = call(*(None if one is None else one.double() for one in tensors))
    with use_backend('cpu', strict=strict):
        actual = call(*tensors)
    assert actual.shape == expected.shape
    assert actual.dtype == torch.float32
    assert (actual - expected).abs().max() <= 5e-6 * expected.abs().max()
    return actual


def tensors_for(size: tuple[int, int, int, int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, channels_in, channels_out, height, width = size
    x, weight = rand(batch, channels_in, height, width), rand(channels_out, channels_in, 3, 3, seed=1)
    return x, weight, rand(batch, channels_in, seed=2) + 1, rand(channels_out, seed=3)


@pytest.mark.parametrize('taps', FILTERS)
@pytest.mark.parametrize('size', SIZES)
def test_a_layer_that_doubles_the_rate_is_exact_for_every_filter_and_size(taps, size):
    f, noise = setup_filter(taps), rand(size[0], 1, 2 * size[3], 2 * size[4], seed=4)

    def call(x, weight, styles, bias, noise):
        return classic_layer(x, weight, styles, bias, noise=noise, resample_filter=f.to(x.dtype), up=2)

    assert_exact(call, *tensors_for(size), noise)


@pytest.mark.parametrize('size', SIZES)
def test_a_layer_that_keeps_the_rate_is_exact(size):
    def call(x, weight, styles, bias, noise):
        return classic_layer(x, weight, styles, bias, noise=noise)

    assert_exact(call, *tensors_for(size), rand(size[0], 1, *size[3:], seed=4))


OPTIONS = {
    'clamp': {'clamp': 3.0},
    'linear': {'slope': 1.0, 'gain': 1.0},
    'another gain': {'slope': 0.5, 'gain': 0.3, 'clamp': 0.2},
    'no demodulation': {'demodulate': False},
}


@pytest.mark.parametrize('up', [1, 2])
@pytest.mark.parametrize('name', OPTIONS)
def test_options_mean_the_same_to_kernels(name, up):
    f = setup_filter([1, 3, 3, 1])

    def call(x, weight, styles, bias):
        return classic_layer(x, weight, styles, bias, resample_filter=f.to(x.dtype), up=up, **OPTIONS[name])

    assert_exact(call, *tensors_for(SIZES[1]))


@pytest.mark.parametrize('up', [1, 2])
def test_noise_of_any_form_and_no_bias(up):
    f, (x, weight, styles, _) = setup_filter([1, 3, 3, 1]), tensors_for(SIZES[1])
    sides = (x.shape[2] * up, x.shape[3] * up)

    def call(x, weight, styles, noise):
        return classic_layer(x, weight, styles, None, noise=noise, resample_filter=f.to(x.dtype), up=up)

    for noise in (rand(*sides), rand(1, 1, *sides), rand(2, 1, *sides), rand(2, 1, *reversed(sides)).mT, rand(1)):
        assert_exact(call, x, weight, styles, noise)


@pytest.mark.parametrize('up', [1, 2])
def test_any_layout_gives_the_same_bits_and_so_does_any_number_of_threads(up):
    f, (x, weight, styles, bias) = setup_filter([1, 3, 3, 1]), tensors_for((2, 16, 32, 60, 50))
    wide = torch.zeros(2, 20, 60, 52)
    wide[:, 3:19, :, 2:] = x
    layouts = (x, x.contiguous(memory_format=torch.channels_last), wide[:, 3:19, :, 2:], x.mT.contiguous().mT)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results += [classic_layer(one, weight, styles, bias, resample_filter=f, up=up) for one in layouts]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, results[0]) for one in results[1:])
    assert results[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('pixels', [(4, 4), (5, 7), (16, 16)])
def test_colours_are_exact_for_few_and_many_pixels(pixels):
    x, weight, styles, bias = rand(2, 19, *pixels), rand(3, 19, 1, 1), rand(2, 19), rand(3)

    def call(x, weight, styles, bias):
        return classic_layer(x, weight, styles, bias, demodulate=False, slope=1, gain=1, clamp=4.0)

    assert_exact(call, x, weight, styles, bias)


@pytest.mark.parametrize(
    'reason, change',
    [
        ('not float64', {'x': rand(1, 8, 9, 9).double(), 'weight': rand(8, 8, 3, 3).double()}),
        ('gradients are asked for', {'weight': rand(8, 8, 3, 3).requires_grad_()}),
        ('weights of 3x3', {'weight': rand(8, 8, 5, 5)}),
        ('4 channels or more', {'weight': rand(3, 8, 3, 3)}),
        ('at most 4 taps', {'up': 2, 'resample_filter': setup_filter([1, 2, 3, 3, 2, 1])}),
        ('at most 4 taps', {'up': 2, 'resample_filter': None}),
        ('a slope from 0 to 1', {'slope': -0.5}),
    ],
)
def test_what_the_kernels_cannot_do_is_declined_with_a_reason_and_computed_all_the_same(reason, change):
    kind = change.get('x', rand(1)).dtype
    given = {'x': rand(1, 8, 9, 9), 'weight': rand(8, 8, 3, 3), **change}
    with torch.enable_grad():
        y = classic_layer(styles=rand(1, 8).to(kind), bias=rand(len(given['weight'])).to(kind), **given)
    assert reason in report()['classic_layer']
    assert y.shape[2:] == (9 * change.get('up', 1),) * 2


def test_a_filter_that_is_not_separable_is_computed_by_the_composed_operators_and_the_reason_told():
    f = rand(4, 4)

    def call(x, weight, styles, bias):
        return classic_layer(x, weight, styles, bias, resample_filter=f.to(x.dtype), up=2)

    assert_exact(call, *tensors_for(SIZES[0]), strict=False)
    call(*tensors_for(SIZES[0]))
    assert 'separable filter' in report()['classic_layer']


def test_weights_are_laid_out_again_after_a_change_in_place_and_go_with_their_owner():
    f, (x, weight, styles, bias) = setup_filter([1, 3, 3, 1]), tensors_for(SIZES[0])

    def call(x, weight, styles, bias):
        return classic_layer(x, weight, styles, bias, resample_filter=f.to(x.dtype), up=2)

    call(x, weight, styles, bias)
    weight.mul_(rand(*weight.shape, seed=9))
    assert_exact(call, x, weight, styles, bias)
    kept = len(classic._weights.matrices)
    del weight
    gc.collect()
    assert len(classic._weights.matrices) == kept - 1


@pytest.mark.parametrize('taps', FILTERS)
@pytest.mark.parametrize('size', [(1, 3, 4, 4), (2, 3, 50, 7), (1, 1, 8, 9), (2, 4, 1, 5)])
def test_a_picture_is_doubled_and_added_to_for_every_filter_and_size(taps, size):
    batch, channels, height, width = size
    f, picture, own = setup_filter(taps), rand(*size), rand(batch, channels, 2 * height, 2 * width)

    def call(picture, own):
        return add_upsampled(picture, own, f.to(picture.dtype))

    first = assert_exact(call, picture, own)
    assert_exact(call, first, rand(batch, channels, 4 * height, 4 * width))  # what the kernel made goes in again
    assert_exact(call, picture.mT.contiguous().mT, own.contiguous(memory_format=torch.channels_last))


@pytest.mark.parametrize('architecture', ['skip', 'resnet', 'orig'])
def test_a_whole_generator_is_exact_and_its_hooks_see_every_layer(architecture):
    generator = small_stylegan2(architecture, resolution=64)
    ws = generator.mapping(rand(2, 16))
    seen: dict[str, list[Tensor]] = {}
    for name, module in generator.named_modules():
        if isinstance(module, SynthesisLayer):
            module.register_forward_hook(partial(_keep, seen, name))
    with use_backend('cpu'):
        actual = generator.synthesis(ws, noise_mode='constant')
    with use_backend('reference'):
        expected = generator.double().synthesis(ws.double(), noise_mode='constant')
    assert (actual - expected).abs().max() <= 5e-6 * expected.abs().max()
    assert len(seen) == 9
    for ours, exact in seen.values():
        assert (ours - exact).abs().max() <= 5e-6 * exact.abs().max()


def _keep(seen: dict[str, list[Tensor]], name: str, module: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
    seen.setdefault(name, []).append(made.clone())


def test_a_filtered_twin_runs_by_kernels_too():
    layer = next(one for one in small_stylegan2().modules() if isinstance(one, SynthesisLayer) and one.up == 2)
    twin, plan = filtered(layer, 2), NoisePlan('constant')
    x, w = rand(2, 8, layer.side // 2, layer.side // 2), rand(2, 16)
    assert isinstance(twin, FilteredLayer)
    actual = twin(x, w, plan)
    assert report()['classic_layer'] == 'cpu'
    with use_backend('reference'):
        expected = twin(x, w, plan)
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (actual - layer(x, w, plan)).abs().max() > 0.01


@pytest.mark.parametrize('demodulate', [True, False])
def test_a_layer_that_learns_has_the_derivatives_of_the_exact_reference(demodulate, monkeypatch):
    monkeypatch.setattr(learned_convolution, '_FEWEST_PIXELS', 1)
    x, weight, styles, bias = tensors_for((3, 19, 21, 9, 14))
    noise = rand(3, 1, 9, 14, seed=4)

    def everything(dtype: torch.dtype, backend: Any) -> list[Tensor]:
        given = [one.to(dtype).requires_grad_() for one in (x, weight, styles, bias, noise)]
        with torch.enable_grad(), use_backend(backend):
            y = classic_layer(*given[:4], noise=given[4], demodulate=demodulate, clamp=40)
            first = torch.autograd.grad((y / 10).sin().sum(), given, create_graph=True)
            second = torch.autograd.grad(sum(one.square().sum() for one in first), given)
            alone = torch.autograd.grad(classic_layer(*given[:4], demodulate=demodulate).square().sum(), given[:4])
        return [y, *first, *second, *alone]

    found, exact = everything(torch.float32, 'cpu'), everything(torch.float64, 'reference')
    for one, other in zip(found, exact, strict=True):
        assert (one - other).abs().max() <= 3e-5 * other.abs().max()


@pytest.mark.parametrize('size', [(2, 16, 16, 30, 31), (1, 9, 8, 31, 30)])
def test_a_plain_convolution_that_learns_has_the_exact_derivatives(size):
    x, weight, _, _ = tensors_for(size)

    def everything(dtype: torch.dtype, backend: Any) -> list[Tensor]:
        given = [one.to(dtype).requires_grad_() for one in (x, weight)]
        with torch.enable_grad(), use_backend(backend, strict=backend == 'cpu'):
            y = conv2d(*given, padding=(1, 1))
            first = torch.autograd.grad((y / 10).sin().sum(), given, create_graph=True)
            penalty = torch.autograd.grad(first[0].square().sum(), given)  # as in R1
            return [y, *first, *penalty, *torch.autograd.grad(conv2d(*given, padding=(0, 2)).square().sum(), given)]

    for one, other in zip(everything(torch.float32, 'cpu'), everything(torch.float64, 'reference'), strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()

"""The polyphase implementations in plain torch give what the references give, with all derivatives."""

import random

import pytest
import torch
from torch import Tensor

from ops.backend import use_backend
from ops.fast_cpu import library
from ops.fast_cpu.terms import separable_terms
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass
from ops.upfirdn2d import upfirdn2d


@pytest.fixture(autouse=True)
def only_polyphase():
    """Keep the compiled kernels out of these tests."""
    with library.use_policy('off'):
        yield


def both(call):
    """(reference, fast) results of a call."""
    with use_backend('reference'):
        expected = call()
    with use_backend('cpu', strict=True):
        return expected, call()


def assert_close(actual, expected, tolerance=1e-5):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


def some_filter(rng, generator):
    """None, separable taps, or a full filter that is not separable; never amplifies."""
    kind = rng.choice(['none', 'separable', 'separable', 'full'])
    if kind == 'none':
        return None
    f = torch.randn([rng.randint(1, 13) for _ in range(1 if kind == 'separable' else 2)], generator=generator)
    return f / f.abs().sum()


def taps(f: Tensor | None) -> tuple[int, int]:
    return (1, 1) if f is None else (f.shape[0], f.shape[-1])


def some_signal(rng, generator):
    return torch.randn([rng.randint(1, high) for high in (3, 5, 40, 90)], generator=generator)


def some_padding(rng, x, up, size):
    """Padding, also negative, that leaves at least a filter of `size` (height, width)."""
    while True:
        padding = [rng.randint(-9, 14) for _ in range(4)]
        height, width = x.shape[2] * up[1] + sum(padding[2:]), x.shape[3] * up[0] + sum(padding[:2])
        if height >= size[0] and width >= size[1]:
            return padding


def lrelu_case(number):
    """A random call of `filtered_lrelu` that leaves at least one sample."""
    rng, generator = random.Random(number), torch.Generator().manual_seed(number)
    x, up_filter, down_filter = some_signal(rng, generator), some_filter(rng, generator), some_filter(rng, generator)
    up, size = (
        rng.choice([1, 2, 3, 4]),
        [sum(pair) - 1 for pair in zip(taps(up_filter), taps(down_filter), strict=True)],
    )
    bias = torch.randn(x.shape[1], generator=generator) if rng.random() < 0.7 else None
    options = {'up': up, 'down': rng.choice([1, 2, 3, 4]), 'padding': some_padding(rng, x, (up, up), size)}
    options |= {'gain': rng.choice([1.0, 1.7, -0.5]), 'slope': rng.choice([0.2, 0.0, 1.0, -0.3])}
    options |= {'clamp': rng.choice([None, 0.3]), 'flip_filter': rng.choice([True, False])}
    return x, up_filter, down_filter, bias, options


@pytest.mark.parametrize('number', range(40))
def test_filtered_lrelu_equals_the_reference_for_any_filters_sizes_and_paddings(number):
    x, up_filter, down_filter, bias, options = lrelu_case(number)
    expected, actual = both(lambda: filtered_lrelu(x, up_filter, down_filter, bias, **options))
    assert_close(actual, expected)


@pytest.mark.parametrize('number', range(40))
def test_upfirdn2d_equals_the_reference_for_any_filter_factors_and_paddings(number):
    rng, generator = random.Random(number), torch.Generator().manual_seed(number)
    x, f = some_signal(rng, generator), some_filter(rng, generator)
    up, down = ([rng.choice([1, 1, 2, 3, 4]) for _ in range(2)] for _ in range(2))
    options = {'up': up, 'down': down, 'padding': some_padding(rng, x, up, taps(f)), 'gain': rng.choice([1.0, 4.0])}
    options |= {'flip_filter': rng.choice([True, False])}
    expected, actual = both(lambda: upfirdn2d(x, f, **options))
    assert_close(actual, expected)


LAYERS = {
    'up 4': (lowpass(24, 8.0, 10.0, 128), lowpass(12, 8.0, 10.0, 64), {'up': 4, 'padding': [-6, -7, -6, -7]}),
    'up 2': (lowpass(12, 8.0, 10.0, 64), lowpass(12, 8.0, 10.0, 64), {'up': 2, 'padding': [9, 8, 9, 8]}),
    'radial': (lowpass(12, 8.0, 10.0, 64), lowpass(12, 8.0, 10.0, 64, radial=True), {'up': 2, 'padding': [9, 8, 9, 8]}),
}


@pytest.mark.parametrize('layer', LAYERS)
@pytest.mark.parametrize('threads', [1, 2])
def test_a_large_layer_cut_into_tiles_equals_the_reference_for_every_thread_count(layer, threads):
    up_filter, down_filter, options = LAYERS[layer]
    generator = torch.Generator().manual_seed(0)
    x, bias = torch.randn(2, 9, 70, 61, generator=generator), torch.randn(9, generator=generator)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        expected, actual = both(lambda: filtered_lrelu(x, up_filter, down_filter, bias, down=2, clamp=2.0, **options))
    finally:
        torch.set_num_threads(before)
    assert_close(actual, expected, 2e-6)


def test_a_transposed_and_a_channels_last_input_give_the_same():
    up_filter, down_filter, options = LAYERS['up 2']
    x = torch.randn(2, 5, 20, 30, generator=torch.Generator().manual_seed(0))
    expected = filtered_lrelu(x, up_filter, down_filter, down=2, **options)
    strange = [x.to(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)]
    for other in strange:
        assert not other.is_contiguous()
        assert torch.equal(filtered_lrelu(other, up_filter, down_filter, down=2, **options), expected)


@pytest.mark.parametrize('layer', LAYERS)
def test_gradients_of_a_layer_equal_those_of_the_reference(layer):
    up_filter, down_filter, options = LAYERS[layer]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 31, 26, generator=generator, requires_grad=True)
    bias = torch.randn(3, generator=generator, requires_grad=True)

    def gradients():
        y = filtered_lrelu(x, up_filter, down_filter, bias, down=2, clamp=1.5, **options)
        probe = torch.sin(torch.arange(y.numel())).view_as(y)
        return torch.autograd.grad((y * probe).sum(), (x, bias))

    expected, actual = both(gradients)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, 2e-6)


@pytest.mark.parametrize('layer', LAYERS)
def test_first_and_second_derivatives_of_filtered_lrelu_agree_with_finite_differences(layer):
    up_filter, down_filter, options = LAYERS[layer]
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(1, 1, 14, 13, generator=generator, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(1, generator=generator, dtype=torch.float64, requires_grad=True)

    def call(x, bias):
        return filtered_lrelu(x, up_filter, down_filter, bias, down=2, clamp=1.0, **options)

    with use_backend('cpu', strict=True):
        assert torch.autograd.gradcheck(call, (x, bias), eps=1e-7, atol=1e-5)
        assert torch.autograd.gradgradcheck(call, (x, bias), eps=1e-7, atol=1e-5)


def test_first_and_second_derivatives_of_upfirdn2d_agree_with_finite_differences():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(1, 2, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    f = torch.randn(3, 4, generator=generator)
    with use_backend('cpu', strict=True):
        for options in ({'up': 2, 'padding': 2}, {'down': (2, 3), 'padding': (1, 2, 3, 0)}):
            assert torch.autograd.gradcheck(lambda x, options=options: upfirdn2d(x, f, **options), (x,))
            assert torch.autograd.gradgradcheck(lambda x, options=options: upfirdn2d(x, f, **options), (x,))


def test_the_gradient_of_a_filter_comes_from_the_reference():
    x, f = torch.ones(1, 1, 6, 6), torch.ones(4, requires_grad=True)
    expected, actual = both(lambda: torch.autograd.grad(upfirdn2d(x, f, up=2).sum(), f)[0])
    assert torch.equal(actual, expected)
    expected, actual = both(lambda: torch.autograd.grad(filtered_lrelu(x, f, f, up=2).sum(), f)[0])
    assert torch.equal(actual, expected)


def test_a_signal_that_is_too_small_or_a_filter_of_wrong_shape_raises_what_the_reference_raises():
    x = torch.ones(1, 1, 4, 4)
    with use_backend('cpu', strict=True):
        with pytest.raises(ValueError, match='smaller than the filter'):
            upfirdn2d(x, torch.ones(9), down=2)
        with pytest.raises(ValueError, match='smaller than the filter'):
            filtered_lrelu(x, torch.ones(3), torch.ones(9))
        with pytest.raises(ValueError, match='a filter must be'):
            upfirdn2d(x, torch.ones(1, 1, 1))
        with pytest.raises(ValueError, match='height, width'):
            filtered_lrelu(x[0], torch.ones(3), None)


def test_half_precision_is_declined_with_a_reason():
    with use_backend('cpu', strict=True), pytest.raises(RuntimeError, match='not float16'):
        upfirdn2d(torch.ones(1, 1, 4, 4, dtype=torch.float16), None)


def test_an_empty_batch_stays_empty():
    expected, actual = both(lambda: filtered_lrelu(torch.ones(0, 2, 8, 8), torch.ones(4), torch.ones(4), up=2, down=2))
    assert actual.shape == expected.shape


def test_a_radial_filter_needs_only_a_few_separable_terms():
    f = lowpass(12, 8.0, 10.0, 64, radial=True)
    terms = separable_terms(f, flip=False, gain=1, precise=False)
    assert terms[0].shape[0] <= 6
    rebuilt = torch.from_numpy(terms[0].T @ terms[1]).flip([0, 1])
    assert (rebuilt - f).abs().max() <= 1e-6 * f.abs().max()

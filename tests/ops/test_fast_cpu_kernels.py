"""The compiled kernels give what the references give in float64, for all layouts, sizes and thread counts."""

import itertools
from threading import Thread

import pytest
import torch
from torch import Tensor

from ops.backend import note_usage, report, use_backend
from ops.fast_cpu import compiled, convolution, library, polyphase, threads
from ops.fast_cpu.geometry import nest, segment_rows
from ops.fast_cpu.terms import separable_terms
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass
from ops.synthesis_layer import LayerOptions, synthesis_layer
from ops.upfirdn2d import upfirdn2d

UP_4 = {'up': 4, 'down': 2, 'padding': (-6, -7, -6, -7)}
UP_2 = {'up': 2, 'down': 2, 'padding': (9, 8, 9, 8)}
FILTERS = {
    'up 4': (lowpass(24, 8.0, 10.0, 128), lowpass(12, 8.0, 10.0, 64), UP_4),
    'up 2': (lowpass(12, 8.0, 10.0, 64), lowpass(12, 8.0, 10.0, 64), UP_2),
    'radial': (lowpass(12, 8.0, 10.0, 64), lowpass(12, 8.0, 10.0, 64, radial=True), UP_2),
}


@pytest.fixture(autouse=True, scope='module')
def kernels_at_once(tmp_path_factory):
    """Compile what a test needs before it goes on, and keep it for the other tests of this file."""
    with pytest.MonkeyPatch.context() as patch, library.use_policy('wait'), torch.no_grad():
        patch.setenv('ALIASSCOPE_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def exact(call, *tensors: Tensor | None) -> Tensor:
    """The reference's result in float64."""
    with use_backend('reference'):
        return call(*(None if one is None else one.double() for one in tensors))


def by_kernel(op: str, call, *tensors: Tensor | None) -> Tensor:
    """The result; fails if the kernel did not run."""
    earlier = report()[op]  # what other tests made decline stays in the report
    with use_backend('cpu', strict=True):
        first = call(*tensors)
        call(*tensors)  # what declined the first time would now be reported
        assert report()[op] in ('cpu', "cpu: use_backend('cpu')", earlier), report()[op]
    return first


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    assert actual.shape == expected.shape
    assert actual.dtype == torch.float32
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize('name', FILTERS)
@pytest.mark.parametrize('channels', [5, 16, 19])
@pytest.mark.parametrize('layout', ['rows', 'pixels'])
def test_filtered_lrelu_equals_the_reference_for_the_filters_of_the_networks(name, channels, layout):
    up_filter, down_filter, options = FILTERS[name]
    x, bias = rand(2, channels, 43, 90), rand(channels)
    if layout == 'pixels':
        x = x.contiguous(memory_format=torch.channels_last)

    def call(x, bias):
        return filtered_lrelu(x, up_filter, down_filter, bias, clamp=2.0, **options)

    actual = by_kernel('filtered_lrelu', call, x, bias)
    assert_close(actual, exact(call, x, bias), 2e-6)
    assert actual.is_contiguous(memory_format=torch.channels_last if layout == 'pixels' else torch.contiguous_format)


ASYMMETRIC = torch.tensor([0.1, 0.5, 0.3, -0.2, 0.15, 0.05])
FLAT = torch.tensor([[0.1, 0.2, 0.05], [0.3, -0.1, 0.2], [0.0, 0.15, 0.1]])


@pytest.mark.parametrize(
    'up_filter, down_filter, options',
    [
        (ASYMMETRIC, ASYMMETRIC, {'up': 2, 'down': 2, 'padding': (3, 0, -1, 5)}),
        (ASYMMETRIC, ASYMMETRIC, {'up': 2, 'down': 2, 'padding': (4, 1, 2, 3), 'flip_filter': True, 'gain': 0.7}),
        (ASYMMETRIC, FLAT, {'up': 2, 'down': 1, 'padding': (0, 7, 3, -2), 'slope': 0.0}),
        (ASYMMETRIC, FLAT, {'up': 2, 'down': 1, 'padding': 5, 'flip_filter': True, 'slope': 1.0, 'clamp': 0.5}),
        (None, FLAT, {'up': 1, 'down': 3, 'padding': (2, 2, 0, 1)}),
        (FLAT, ASYMMETRIC, {'up': 3, 'down': 2, 'padding': (3, -1, 4, 2), 'clamp': 0.7}),
        (FLAT, FLAT, {'up': 2, 'down': 1, 'padding': (-1, 3, 2, 5), 'flip_filter': True}),
        (ASYMMETRIC[:5], None, {'up': 3, 'down': 1, 'padding': (-2, 11, 4, -3)}),
    ],
)
def test_filtered_lrelu_equals_the_reference_for_odd_filters_and_paddings(up_filter, down_filter, options):
    def call(x, bias):
        return filtered_lrelu(x, up_filter, down_filter, bias, **options)

    for height, width in itertools.product((5, 8, 21), (6, 13, 80)):
        x, bias = rand(1, 9, height, width, seed=height + width), rand(9)
        assert_close(by_kernel('filtered_lrelu', call, x, bias), exact(call, x, bias), 2e-6)


@pytest.mark.parametrize(
    'up, down, filters',
    [
        (2, 2, ('even', 'radial')),
        (3, 2, ('odd', 'odd')),
        (3, 1, ('even', 'flat')),
        (5, 2, ('even', 'even')),
        (6, 4, ('odd', 'even')),
        (8, 1, ('even', None)),
    ],
)
def test_several_strips_of_columns_join_without_a_seam_for_any_factors(up, down, filters):
    known = {'even': lowpass(12, 8.0, 10.0, 64), 'radial': FILTERS['radial'][1], 'odd': ASYMMETRIC[:5], 'flat': FLAT}
    up_filter, down_filter = (None if name is None else known[name] for name in filters)

    def call(x):
        return filtered_lrelu(x, up_filter, down_filter, up=up, down=down, padding=(up, 2, 3, up), clamp=1.5)

    x = rand(1, 5, 9, 300 * down // up + 7).contiguous(memory_format=torch.channels_last)
    assert_close(by_kernel('filtered_lrelu', call, x), exact(call, x), 2e-6)


@pytest.mark.parametrize('cutoff, half_width', [(1.0, 4.0), (4.0, 8.0), (8.0, 10.0), (16.0, 5.0)])
def test_terms_of_a_radial_filter_lose_two_taps_each_and_still_sum_to_it(cutoff, half_width):
    f = lowpass(12, cutoff, half_width, 64, radial=True)
    taps = separable_terms(f, flip=False, gain=1.0, precise=False)
    nested = nest(*taps)
    assert nested is not None
    assert torch.allclose(
        torch.from_numpy(nested[0].T @ nested[1]), torch.from_numpy(taps[0].T @ taps[1]), rtol=0, atol=1e-9
    )
    for number, (first, second) in enumerate(zip(*nested, strict=True)):
        assert not first[6 - number : 6 + number].any()
        assert not second[6 - number : 6 + number].any()
        assert second[5 - number] == second[6 + number] == 1


@pytest.mark.parametrize(
    'rows, others, threads, segments',
    [(52, 2, 2, 2), (52, 4, 2, 1), (84, 5, 2, 2), (20, 1, 4, 1), (276, 1, 2, 4), (84, 3, 1, 1)],
)
def test_rows_are_cut_where_threads_would_otherwise_wait(rows, others, threads, segments):
    count, length = segment_rows(rows, others, threads)
    assert count == segments
    assert (count - 1) * length < rows <= count * length


def test_a_filter_that_differs_along_its_axes_keeps_its_own_terms():
    mirrored = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 2, 2, 1])) / 48
    assert nest(*separable_terms(mirrored, flip=False, gain=1.0, precise=False)) is None


def test_a_view_with_gaps_and_a_transposed_view_give_the_same():
    up_filter, down_filter, options = FILTERS['up 2']
    whole = rand(3, 40, 50, 60)
    for view in (whole[1:, 3:22, 7:, 5:], whole[:, ::2], whole.transpose(2, 3), whole.permute(0, 3, 1, 2)[:, 1:]):
        actual = filtered_lrelu(view, up_filter, down_filter, **options)
        assert torch.equal(actual, filtered_lrelu(view.contiguous(), up_filter, down_filter, **options))


@pytest.mark.parametrize('name', FILTERS)
def test_the_number_of_threads_changes_no_bit(name):
    up_filter, down_filter, options = FILTERS[name]
    x, weight, styles = rand(1, 16, 60, 60), rand(16, 16, 3, 3), rand(1, 16)
    before, results = torch.get_num_threads(), []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        try:
            results.append(
                synthesis_layer(
                    x, weight, styles, up_filter, down_filter, rand(16), LayerOptions(conv_padding=2, **options)
                )
            )
        finally:
            torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_helpers_share_the_jobs_and_a_second_caller_works_alone_meanwhile():
    up_filter, down_filter, options = FILTERS['up 2']
    x, before = rand(1, 64, 60, 60), torch.get_num_threads()
    expected = filtered_lrelu(x, up_filter, down_filter, **options)
    results: list[Tensor] = []

    def work() -> None:
        torch.set_num_threads(4)
        with torch.no_grad():
            results.extend(filtered_lrelu(x, up_filter, down_filter, **options) for _ in range(20))

    callers = [Thread(target=work) for _ in range(3)]
    try:
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        torch.set_num_threads(4)
        with threads._pool.lock:  # as if another thread were using the helpers
            results.append(filtered_lrelu(x, up_filter, down_filter, **options))
    finally:
        torch.set_num_threads(before)
    assert len(threads._pool.helpers) >= 3
    assert len(results) == 61
    assert all(torch.equal(result, expected) for result in results)


def test_what_is_not_a_number_stays_visible():
    up_filter, down_filter, options = FILTERS['up 2']
    x = rand(1, 8, 40, 40)
    x[0, 3, 20, 20] = torch.nan
    actual = filtered_lrelu(x, up_filter, down_filter, clamp=256.0, **options)
    assert torch.equal(actual.isnan(), exact(lambda x: filtered_lrelu(x, up_filter, down_filter, **options), x).isnan())


@pytest.mark.parametrize(
    'factors', [{'up': 2, 'padding': (2, 1, 2, 1), 'gain': 4}, {'down': 2, 'padding': 1}, {'padding': (2, 1, 0, 3)}]
)
@pytest.mark.parametrize('f', [torch.tensor([1.0, 3, 3, 1]) / 8, torch.outer(ASYMMETRIC[:4], ASYMMETRIC[1:5])])
@pytest.mark.parametrize('flip_filter', [False, True])
def test_upfirdn2d_equals_the_reference(factors, f, flip_filter):
    def call(x):
        return upfirdn2d(x, f, flip_filter=flip_filter, **factors)

    x = rand(2, 9, 33, 20)
    for laid_out in (x, x.contiguous(memory_format=torch.channels_last)):
        assert_close(by_kernel('upfirdn2d', call, laid_out), exact(call, x), 2e-6)


def gradients(call, *tensors: Tensor) -> tuple[Tensor, ...]:
    """First derivatives of a sum of the results, each weighted differently, and of their squares again."""
    leaves = [one.detach().requires_grad_() for one in tensors]
    with torch.enable_grad():
        y = call(*leaves)
        probe = torch.sin(torch.arange(y.numel(), dtype=y.dtype)).view_as(y)
        first = torch.autograd.grad((y * probe).sum(), leaves, create_graph=True)
        second = torch.autograd.grad(first[0].square().sum() + (y * probe).sum(), leaves)
    return *(one.detach() for one in first), *second


@pytest.mark.parametrize('name', FILTERS)
@pytest.mark.parametrize('channels', [5, 19])
@pytest.mark.parametrize('layout', ['rows', 'pixels'])
def test_gradients_by_kernels_equal_those_of_the_reference(name, channels, layout, monkeypatch):
    up_filter, down_filter, options = FILTERS[name]
    x, bias = rand(2, channels, 26, 60), rand(channels)
    if layout == 'pixels':
        x = x.contiguous(memory_format=torch.channels_last)

    def call(x, bias):
        return filtered_lrelu(x, up_filter, down_filter, bias, clamp=1.5, **options)

    monkeypatch.setattr(polyphase, 'forward', None)
    monkeypatch.setattr(polyphase, 'adjoint', None)
    expected = exact(lambda *tensors: gradients(call, *tensors), x, bias)
    with use_backend('cpu', strict=True):
        actual = gradients(call, x, bias)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, 5e-6)


@pytest.mark.parametrize('up, down', [(1, 3), (2, 1), (3, 2), (4, 4)])
@pytest.mark.parametrize('filters', [(ASYMMETRIC, FLAT), (ASYMMETRIC[:5], None), (None, ASYMMETRIC)])
def test_gradients_by_kernels_are_right_for_odd_factors_filters_and_paddings(up, down, filters):
    for padding in ((3, 1, 0, 2), (-1, 7, 4, -2)):
        x = rand(1, 9, 15, 12)

        def call(x, padding=padding):
            return filtered_lrelu(x, *filters, up=up, down=down, padding=padding, slope=0.5, gain=0.8)

        with use_backend('cpu', strict=True):
            actual = gradients(call, x)
        for one, other in zip(actual, exact(lambda x, call=call: gradients(call, x), x), strict=True):
            assert_close(one, other, 5e-6)


@pytest.mark.parametrize(
    'factors',
    [{'up': 2, 'padding': (2, 1, 2, 1), 'gain': 4}, {'down': 2, 'padding': 1}, {'up': 2, 'down': 3, 'padding': 4}],
)
@pytest.mark.parametrize('f', [ASYMMETRIC, torch.outer(ASYMMETRIC[:4], ASYMMETRIC[1:5]), FLAT])
def test_gradients_of_upfirdn2d_equal_those_of_the_reference(factors, f):
    def call(x):
        return upfirdn2d(x, f, **factors)

    x = rand(2, 9, 17, 20)
    with use_backend('cpu', strict=True):
        actual = gradients(call, x)
    for one, other in zip(actual, exact(lambda x: gradients(call, x), x), strict=True):
        assert_close(one, other, 5e-6)


LAYERS = {
    '3x3': ((21, 19, 3, 3), 'up 2', {'conv_padding': 2}),
    '3x3 wide': ((40, 33, 3, 3), 'up 4', {'conv_padding': 2, 'clamp': 1.0}),
    '3x3 narrow': ((6, 5, 3, 3), 'up 2', {'conv_padding': 1}),
    '3x3 hardly any channels': ((5, 2, 3, 3), 'up 2', {'conv_padding': 2}),
    '1x1': ((21, 19, 1, 1), 'radial', {}),
    '5x5': ((8, 9, 5, 5), 'up 2', {'conv_padding': 4}),
    'without demodulation': ((21, 19, 3, 3), 'up 2', {'conv_padding': 2, 'demodulate': False}),
    'to colours': ((3, 17, 1, 1), None, {'demodulate': False, 'slope': 1, 'gain': 1, 'clamp': 1.5}),
    'to many colours': ((40, 6, 1, 1), None, {'demodulate': False}),
}


@pytest.mark.parametrize('name', LAYERS)
@pytest.mark.parametrize('batch', [1, 3])
def test_a_synthesis_layer_equals_the_composed_references(name, batch):
    shape, filters, options = LAYERS[name]
    up_filter, down_filter, resampling = FILTERS[filters] if filters else (None, None, {})
    x, weight, bias = rand(batch, shape[1], 37, 30), rand(*shape), rand(shape[0])
    styles, gain = rand(batch, shape[1], seed=1) + 1, torch.tensor(0.7)

    def call(x, weight, styles, bias, gain):
        return synthesis_layer(
            x, weight, styles, up_filter, down_filter, bias, LayerOptions(**options, **resampling), input_gain=gain
        )

    tensors = (x, weight, styles, bias, gain)
    expected = exact(call, *tensors)
    assert_close(by_kernel('synthesis_layer', call, *tensors), expected)
    x = x.contiguous(memory_format=torch.channels_last)
    assert_close(by_kernel('synthesis_layer', call, x, *tensors[1:]), expected)


def test_an_input_gain_per_channel_and_per_sample_is_applied():
    up_filter, down_filter, options = FILTERS['up 2']
    x, weight, styles, bias = rand(2, 8, 20, 20), rand(8, 8, 1, 1), rand(2, 8) + 1, rand(8)

    def call(x, weight, styles, bias, gain):
        return synthesis_layer(
            x, weight, styles, up_filter, down_filter, bias, LayerOptions(**options), input_gain=gain
        )

    for gain in (rand(8) + 1, rand(2, 8) + 1):
        tensors = (x, weight, styles, bias, gain)
        assert_close(by_kernel('synthesis_layer', call, *tensors), exact(call, *tensors))


def test_a_weight_that_changes_in_place_is_prepared_again_and_goes_with_its_owner():
    up_filter, down_filter, options = FILTERS['up 2']
    x, weight, styles, bias = rand(1, 8, 20, 20), rand(8, 8, 3, 3), rand(1, 8) + 1, rand(8)

    def call(x, weight, styles, bias):
        return synthesis_layer(x, weight, styles, up_filter, down_filter, bias, LayerOptions(conv_padding=2, **options))

    call(x, weight, styles, bias)
    weight.mul_(rand(8, 8, 3, 3, seed=5))
    assert_close(call(x, weight, styles, bias), exact(call, x, weight, styles, bias))
    kept = len(convolution._weights.prepared)
    del weight
    assert len(convolution._weights.prepared) == kept - 1


def test_weights_beyond_the_bound_are_not_kept(monkeypatch):
    monkeypatch.setattr(convolution, '_MOST_BYTES', 0)
    weight = rand(8, 8, 3, 3)
    kept = len(convolution._weights.prepared)
    convolution.prepared_weight(weight, demodulate=True, activated=False)
    assert len(convolution._weights.prepared) == kept


def test_a_hook_sees_the_same_numbers_as_without_kernels():
    layer = torch.nn.Module()
    up_filter, down_filter, options = FILTERS['up 2']
    seen = []

    def forward(x):
        return synthesis_layer(
            x, weight, styles, up_filter, down_filter, torch.zeros(16), LayerOptions(conv_padding=2, **options)
        )

    weight, styles = rand(16, 16, 3, 3), rand(1, 16)
    layer.forward = forward
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    x = rand(1, 16, 20, 20)
    layer(layer(x))
    with use_backend('reference'):
        layer(layer(x))
    assert_close(seen[0], seen[2])
    assert_close(seen[1], seen[3])
    assert seen[0].mean((0, 2, 3)).shape == (16,)


@pytest.mark.parametrize(
    'reason, change',
    [
        ('not float64', lambda x: x.double()),
        ('not float16', lambda x: x.half()),
        ('needs 4 channels or more', lambda x: x[:, :3]),
        ('plain tensors', lambda x: x.as_subclass(type('Marked', (Tensor,), {}))),
    ],
)
def test_a_call_that_the_kernel_cannot_do_is_declined_with_a_reason(reason, change):
    up_filter, down_filter, options = FILTERS['up 2']
    x = change(rand(1, 8, 20, 20))
    for _ in range(2):
        filtered_lrelu(x, up_filter, down_filter, **options)
    assert reason in report()['filtered_lrelu']


@pytest.mark.parametrize(
    'reason, filters, options',
    [
        ('slope from 0 to 1', (ASYMMETRIC, ASYMMETRIC), {'slope': 1.5}),
        ('square up filter', (FLAT[:2], ASYMMETRIC), {}),
        ('square down filter', (ASYMMETRIC, FLAT[:2]), {}),
        ('too long', (ASYMMETRIC, rand(40, 40)), {'padding': 40}),
        ('nothing to filter', (None, None), {'up': 2}),
    ],
)
def test_filters_that_the_kernel_does_not_know_are_declined_with_a_reason(reason, filters, options):
    x = rand(1, 8, 20, 20)
    for _ in range(2):
        actual = filtered_lrelu(x, *filters, **options)
    assert reason in report()['filtered_lrelu']
    assert_close(actual, exact(lambda x: filtered_lrelu(x, *filters, **options), x))


@pytest.mark.filterwarnings('ignore:.torch.jit.script. is deprecated')  # torch's own, inside make_dual
def test_forward_derivatives_are_left_to_plain_torch():
    up_filter, down_filter, options = FILTERS['up 2']
    x = rand(1, 8, 20, 20)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        tangent = torch.autograd.forward_ad.unpack_dual(filtered_lrelu(dual, up_filter, down_filter, **options)).tangent
    assert tangent is not None and tangent.abs().sum() > 0


def test_wrong_shapes_raise_what_the_references_raise():
    x, weight, styles, bias = rand(1, 8, 20, 20), rand(8, 8, 3, 3), rand(1, 8), rand(8)
    with pytest.raises(ValueError, match='modulated convolution needs'):
        synthesis_layer(x, weight[:, :4], styles, None, None, bias)
    with pytest.raises(RuntimeError):
        filtered_lrelu(x, ASYMMETRIC, None, rand(7))


def test_an_empty_batch_stays_empty():
    up_filter, down_filter, options = FILTERS['up 2']
    assert filtered_lrelu(torch.empty(0, 8, 20, 20), up_filter, down_filter, **options).shape[0] == 0


def test_the_memory_of_reasons_is_bounded(monkeypatch):
    monkeypatch.setattr(compiled, '_memory', compiled._Memory())
    monkeypatch.setattr(compiled, '_MAX_REMEMBERED', 2)
    for pad in range(4):
        filtered_lrelu(rand(1, 2, 20, 20), ASYMMETRIC, None, up=2, padding=pad)
    assert len(compiled._memory.reasons) == 2


def test_too_few_channels_once_do_not_keep_the_kernel_from_more():
    f = torch.tensor([1.0, 3, 3, 1]) / 8

    def call(x):
        return upfirdn2d(x, f, up=2, padding=(2, 1, 2, 1), gain=4)

    with use_backend('cpu'):
        call(rand(1, 3, 33, 20))
        call(rand(1, 3, 33, 20))  # declined by now: three channels are polyphase's
        actual = call(rand(1, 9, 33, 20))
        assert 'declined' not in report()['upfirdn2d']
    assert_close(actual, exact(call, rand(1, 9, 33, 20)), 2e-6)


def test_a_filter_that_a_kernel_cannot_do_keeps_no_other_of_its_size_from_it():
    x, long, round_ = rand(1, 8, 20, 20), rand(40, 40), torch.ones(40, 40) / 1600
    with use_backend('cpu', strict=True), note_usage() as usage:
        first = [filtered_lrelu(x, ASYMMETRIC, f, padding=40) for f in (round_, long)]
        second = [filtered_lrelu(x, ASYMMETRIC, f, padding=40) for f in (round_, long)]
        assert 'too long' in report()['filtered_lrelu']
        filtered_lrelu(x, ASYMMETRIC, round_, padding=40)
        assert 'too long' not in report()['filtered_lrelu']
    assert usage.calls == {('filtered_lrelu', 'cpu'): 3, ('filtered_lrelu', 'cpu in plain torch'): 2}
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))

"""The CUDA kernels against the reference: their PTX run on the CPU, and on a GPU where there is one.

The machine that runs the PTX also looks for accesses outside of arrays, reads of what nobody wrote, and races.
"""

import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from ops.backend import needs_gradient
from ops.bias_act import ACTIVATIONS, ActivationName, ActSpec, bias_act_reference
from ops.cuda import bias_act, filtered_lrelu, launcher, upfirdn2d
from ops.cuda.code import KernelCode
from ops.filtered_lrelu import LreluSpec, filtered_lrelu_reference
from ops.filters import lowpass
from ops.upfirdn2d import FirSpec, parse_padding, upfirdn2d_reference
from tests.gpu import require_gpu
from tests.ops import nvrtc, ptx_launch

ALL = ('emulated', pytest.param('gpu', marks=pytest.mark.gpu))


@pytest.fixture(params=ALL)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Where kernels run: a real GPU, or the CPU by way of the PTX."""
    torch.manual_seed(0)
    if request.param == 'gpu':
        yield require_gpu(kernels=True)
        return
    if nvrtc.library() is None:
        pytest.skip('there is no NVRTC for this system')
    monkeypatch.setattr(launcher, 'launch', ptx_launch.launch)
    monkeypatch.setattr(launcher, 'prepare', ptx_launch.prepare)
    yield torch.device('cpu')


def lrelu_spec(x: Tensor, u: Tensor | None, d: Tensor | None, b: Tensor | None, **options) -> LreluSpec:
    shapes = (() if u is None else tuple(u.shape), () if d is None else tuple(d.shape))
    values = {
        'up': 1,
        'down': 1,
        'padding': 0,
        'gain': 1.5,
        'slope': 0.2,
        'clamp': None,
        'flip_filter': False,
        **options,
    }
    values['padding'] = parse_padding(values['padding'])
    return LreluSpec(*values.values(), *shapes, b is not None, needs_gradient(x, b))


def check(ours: Tensor, expected: Tensor, error: float = 1e-5) -> None:
    assert ours.shape == expected.shape and ours.dtype == expected.dtype
    torch.testing.assert_close(ours, expected, rtol=0, atol=error * float(expected.detach().abs().max()))


def check_derivatives(call: Callable[..., Tensor], reference: Callable[..., Tensor], inputs: list[Tensor]) -> None:
    """Value, gradients, and the derivatives of the first gradient, against those of the reference in float64."""
    precise = [one.detach().double().requires_grad_() for one in inputs]
    mine, true = call(*inputs), reference(*precise)
    check(mine, true.float())
    gradient = torch.randn_like(mine).requires_grad_()
    double = gradient.detach().double().requires_grad_()
    firsts = torch.autograd.grad(mine, inputs, gradient, create_graph=True)
    trues = torch.autograd.grad(true, precise, double, create_graph=True)
    for one, other in zip(firsts, trues, strict=True):
        check(one, other.float())
    tangent = torch.randn_like(firsts[0])
    seconds = torch.autograd.grad(firsts[0], [gradient, *inputs], tangent, allow_unused=True)
    others = torch.autograd.grad(trues[0], [double, *precise], tangent.double(), allow_unused=True)
    for one, other, like in zip(seconds, others, [gradient, *inputs], strict=True):
        check(
            torch.zeros_like(like) if one is None else one, torch.zeros_like(like) if other is None else other.float()
        )


CASES = [
    # up, down, shape of the up filter, of the down filter, padding, clamp, flip
    (2, 2, (12,), (12,), (11, 12, 10, 9), 0.8, False),
    (4, 2, (24,), (12,), (3, -2, 20, 5), None, True),
    (2, 2, (12,), (12, 12), 11, 0.5, False),
    (3, 1, (4, 7), None, (4, 3, 0, 6), 0.9, False),
    pytest.param(1, 4, None, (9,), 0, None, True, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(('up', 'down', 'u', 'd', 'padding', 'clamp', 'flip'), CASES)
def test_the_filtered_lrelu_and_its_derivatives_equal_the_reference(device, up, down, u, d, padding, clamp, flip):
    x = torch.randn(1, 2, 13, 30, device=device, requires_grad=True)
    b = torch.randn(2, device=device, requires_grad=True)
    up_filter, down_filter = (None if shape is None else torch.randn(shape, device=device) / 4 for shape in (u, d))
    options = {'up': up, 'down': down, 'padding': padding, 'clamp': clamp, 'flip_filter': flip}
    spec = lrelu_spec(x, up_filter, down_filter, b, **options)
    assert filtered_lrelu.supports(spec) is None

    def reference(x: Tensor, b: Tensor) -> Tensor:
        filters = (None if f is None else f.double() for f in (up_filter, down_filter))
        return filtered_lrelu_reference(x, *filters, b, spec)

    check_derivatives(lambda x, b: filtered_lrelu.filtered_lrelu(x, up_filter, down_filter, b, spec), reference, [x, b])


@pytest.mark.parametrize('size', [(1, 1), (3, 97), pytest.param((64, 33), marks=pytest.mark.slow), (31, 65)])
def test_the_filtered_lrelu_has_no_seams_between_tiles_of_any_size(device, size):
    x = torch.randn(1, 1, *size, device=device)
    taps = lowpass(12, 8, 16, 64).to(device)
    options = {'up': 2, 'down': 2, 'padding': (12, 11, 12, 11), 'clamp': 1.0}
    spec = lrelu_spec(x, taps, taps, None, **options)
    check(filtered_lrelu.filtered_lrelu(x, taps, taps, None, spec), filtered_lrelu_reference(x, taps, taps, None, spec))


def test_half_precision_is_computed_in_single_precision(device):
    x = torch.randn(1, 2, 17, 20, device=device).half()
    taps = lowpass(12, 8, 16, 64).to(device)
    spec = lrelu_spec(x, taps, taps, None, up=2, down=2, padding=11)
    exact = filtered_lrelu_reference(x.double(), taps.double(), taps.double(), None, spec)
    ours = filtered_lrelu.filtered_lrelu(x, taps, taps, None, spec)
    assert ours.dtype == torch.float16
    assert (ours.double() - exact).abs().max() <= 2**-11 * exact.abs().max()  # only the last rounding


@pytest.mark.parametrize('slope', [0.0, 1.0])
def test_the_kept_bits_are_those_of_torchs_derivatives_at_zero_and_at_the_limit(device, slope):
    x = torch.tensor([0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 0.0], device=device).reshape(1, 1, 1, 8).requires_grad_()
    one = torch.ones(1, device=device)  # a filter, though one that changes nothing
    spec = lrelu_spec(x, one, None, None, gain=1.0, clamp=1.0, slope=slope)
    (ours,) = torch.autograd.grad(filtered_lrelu.filtered_lrelu(x, one, None, None, spec).sum(), x)
    (expected,) = torch.autograd.grad(filtered_lrelu_reference(x, one, None, None, spec).sum(), x)
    assert torch.equal(ours, expected)


def test_what_is_no_number_stays_visible_and_spreads_no_further_than_the_filters(device):
    x = torch.zeros(1, 1, 40, 40, device=device)
    x[0, 0, 20, 20] = float('nan')
    taps = torch.full((4,), 0.25, device=device)
    spec = lrelu_spec(x, taps, taps, None, up=2, down=2, padding=3, clamp=1.0)
    ours = filtered_lrelu.filtered_lrelu(x, taps, taps, None, spec)
    x, taps = x.cpu(), taps.cpu()  # convolutions of a GPU may spread it over tiles of theirs
    assert torch.equal(ours.cpu().isnan(), filtered_lrelu_reference(x, taps, taps, None, spec).isnan())


def test_inputs_may_have_any_strides(device):
    x = torch.randn(2, 12, 9, 3, device=device)
    taps = torch.randn(4, device=device)
    for view in (x.permute(0, 3, 2, 1), x.permute(0, 3, 1, 2), x[:, ::2, :, 1:], x.transpose(0, 1)):
        spec = lrelu_spec(view, taps, None, None, up=2, padding=(2, 1, 2, 1))
        check(
            filtered_lrelu.filtered_lrelu(view, taps, None, None, spec),
            filtered_lrelu_reference(view, taps, None, None, spec),
        )


@pytest.mark.parametrize(
    ('up', 'down', 'shape', 'padding', 'flip'),
    [
        ((2, 2), (1, 1), (4,), (2, 1, 2, 1), False),
        ((1, 1), (2, 2), (4,), (1, 1, 1, 1), True),
        ((3, 2), (2, 1), (5, 3), (3, -1, 2, 0), True),
        ((2, 1), (1, 3), (7,), (4, 4, 30, 3), False),
        ((1, 1), (2, 3), (), (1, 2, 0, -1), False),
    ],
)
def test_resampling_and_its_derivatives_equal_the_reference(device, up, down, shape, padding, flip):
    x = torch.randn(2, 1, 37, 70, device=device, requires_grad=True)
    f = torch.randn(shape, device=device) if shape else None
    spec = FirSpec(up, down, padding, flip, 1.7, shape, needs_gradient=True)
    assert upfirdn2d.supports(spec) is None
    check_derivatives(
        lambda x: upfirdn2d.upfirdn2d(x, f, spec),
        lambda x: upfirdn2d_reference(x, None if f is None else f.double(), spec),
        [x],
    )


@pytest.mark.parametrize(
    'act', [name if name in ('lrelu', 'swish') else pytest.param(name, marks=pytest.mark.slow) for name in ACTIVATIONS]
)
@pytest.mark.parametrize('clamp', [None, 0.7])
def test_bias_and_activation_and_their_derivatives_equal_the_reference(device, act: ActivationName, clamp):
    x = (2 * torch.randn(2, 3, 5, 7, device=device)).requires_grad_()
    b = torch.randn(3, device=device, requires_grad=True)
    spec = ActSpec(1, act, 0.2, 1.3, clamp, has_bias=True, needs_gradient=True)
    check_derivatives(lambda x, b: bias_act.bias_act(x, b, spec), lambda x, b: bias_act_reference(x, b, spec), [x, b])


def test_the_bias_belongs_to_its_axis_however_the_tensor_lies_in_memory(device):
    x, b = torch.randn(2, 3, 5, 7, device=device), torch.randn(3, device=device)
    flat, wide = torch.randn(4, 3, device=device), x.to(memory_format=torch.channels_last)
    for given in (x, wide, x[:, :, ::2], flat, flat.half()):
        spec = ActSpec(1, 'relu', 0.0, 1.0, None, has_bias=True, needs_gradient=False)
        ours = bias_act.bias_act(given, b, spec)
        check(ours, bias_act_reference(given, b, spec), 1e-6 if given.dtype == torch.float32 else 1e-3)
    assert bias_act.bias_act(wide, b, spec).is_contiguous(memory_format=torch.channels_last)


def test_nothing_and_impossible_sizes_are_left_to_the_reference(device):
    taps, x = torch.ones(9, device=device), torch.randn(1, 1, 4, 4, device=device)
    with pytest.raises(ValueError, match='smaller than the filter'):
        filtered_lrelu.filtered_lrelu(x, taps, None, None, lrelu_spec(x, taps, None, None))
    spec = FirSpec((1, 1), (1, 1), (0, 0, 0, 0), False, 1.0, (9,), needs_gradient=False)
    with pytest.raises(ValueError, match='smaller than the filter'):
        upfirdn2d.upfirdn2d(x, taps, spec)
    with pytest.raises(ValueError, match='bias must be'):
        bias_act.bias_act(x, taps, ActSpec(1, 'relu', 0, 1, None, has_bias=True, needs_gradient=False))


@pytest.mark.skipif(sys.platform == 'darwin', reason='there is no NVRTC for this system')
@pytest.mark.parametrize(
    ('before', 'after', 'complaint'),
    [
        ('    __syncthreads();\n#if !FULL', '#if !FULL', 'nobody wrote|a race'),
        ('row >= p.out_height || ', '', 'outside of every tensor'),
        ('COUNT_X = FULL ? REACH_X * UP_X : larger(', 'COUNT_X = FULL ? 1 : smaller(', 'outside of every shared array'),
    ],
)
def test_the_machine_notices_what_a_gpu_would_not_tell(monkeypatch, before: str, after: str, complaint: str):
    step = upfirdn2d.resampling((6, 6), FirSpec((2, 1), (1, 1), (3, 2, 3, 2), True, 1.0, (5,), needs_gradient=False))
    code = upfirdn2d.code_of(step, half=False)
    text = code.text()
    assert before in text
    smaller = '__host__ __device__ constexpr int smaller(int a, int b) { return a < b ? a : b; }\n'
    monkeypatch.setattr(type(code), 'text', lambda _: smaller + text.replace(before, after))
    marked = KernelCode(code.name, (*code.constants, ('MUTANT', len(before))))
    monkeypatch.setattr(upfirdn2d, 'code_of', lambda step, half: marked)
    monkeypatch.setattr(launcher, 'launch', ptx_launch.launch)
    with pytest.raises(AssertionError, match=complaint):
        upfirdn2d._run(torch.randn(1, 1, 6, 6), torch.randn(5), step)

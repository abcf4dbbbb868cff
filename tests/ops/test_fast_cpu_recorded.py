"""Layers that run again as recorded programs give the same, see every change, and share nothing; blocks are used again."""

import sys
from threading import Thread

import pytest
import torch
from torch import Tensor

from ops.backend import use_backend
from ops.fast_cpu import blocks, compiled, library, recorded
from ops.filters import lowpass
from ops.styles import LatentStyles
from ops.synthesis_layer import LayerOptions, synthesis_layer

SEPARABLE = lowpass(12, 8.0, 10.0, 64)
RADIAL = lowpass(12, 8.0, 10.0, 64, radial=True)
OPTIONS = {'up': 2, 'down': 2, 'padding': (9, 8, 9, 8), 'clamp': 2.0}


@pytest.fixture(autouse=True)
def fresh(tmp_path_factory, monkeypatch):
    """No programs and no blocks; kernels are compiled at once."""
    monkeypatch.setattr(recorded, '_programs', recorded._Programs())
    monkeypatch.setattr(blocks, '_blocks', blocks._Blocks())
    with library.use_policy('wait'), torch.no_grad():
        yield


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Layer:
    """A layer's tensors, and how it is called."""

    def __init__(
        self, kernel: int = 3, batch: int = 1, down_filter: Tensor | None = SEPARABLE, demodulate: bool = True
    ):
        self.weight, self.bias = rand(19, 17, kernel, kernel), rand(19)
        self.up_filter = None if SEPARABLE is None else SEPARABLE.clone()
        self.down_filter = None if down_filter is None else down_filter.clone()
        self.options = {**OPTIONS, 'conv_padding': kernel - 1, 'demodulate': demodulate}
        self.batch = batch

    def inputs(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features, styles, gain."""
        x = rand(self.batch, 17, 31, 26, seed=seed).contiguous(memory_format=torch.channels_last)
        return x, rand(self.batch, 17, seed=seed + 1) + 1, rand(1, seed=seed + 2)[0].abs() + 0.5

    def run(self, x: Tensor, styles: Tensor | LatentStyles, gain: Tensor | None) -> Tensor:
        return synthesis_layer(
            x,
            self.weight,
            styles,
            self.up_filter,
            self.down_filter,
            self.bias,
            LayerOptions(**self.options),
            input_gain=gain,
        )

    def assert_right(self, seed: int) -> Tensor:
        x, styles, gain = self.inputs(seed)
        with use_backend('cpu', strict=True):
            y = self.run(x, styles, gain)
        with use_backend('reference'):
            expected = self.run(x, styles, gain)
        assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()
        return y


def programs() -> int:
    return sum(len(one.programs) for one in recorded._programs.of_weight.values())


def forbid_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, '_first_run', None)


@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize(
    'options', [{}, {'kernel': 1, 'down_filter': RADIAL}, {'demodulate': False}, {'down_filter': None}]
)
def test_a_program_computes_other_inputs_as_the_first_run_would(monkeypatch, batch, options):
    layer = Layer(batch=batch, **options)
    if options.get('down_filter', 0) is None:
        layer.options |= {'down': 1, 'padding': (3, 2, 3, 2)}
    first = layer.assert_right(1)
    fresh_runs = [layer.assert_right(seed) for seed in (1, 5)]
    recorded._programs.of_weight.clear()
    anew = layer.assert_right(5)
    forbid_recording(monkeypatch)
    assert torch.equal(first, fresh_runs[0])
    assert torch.equal(anew, fresh_runs[1])
    assert torch.equal(layer.assert_right(5), anew)


@pytest.mark.parametrize('channels, features', [(17, 32), (40, 48), (6, 12), (17, 9)])
@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('demodulate', [True, False])
def test_styles_may_be_left_to_the_layer(channels, features, batch, demodulate):
    layer = Layer(batch=batch, demodulate=demodulate)
    layer.weight = rand(19, channels, 3, 3)
    weight, bias, gain = rand(channels, features, seed=1), rand(channels, seed=2) + 1, torch.tensor(0.8)
    for seed in (3, 4, 5):
        x = rand(batch, channels, 31, 26, seed=seed).contiguous(memory_format=torch.channels_last)
        latents = rand(batch, 2, features, seed=seed)[:, 1]
        styles = LatentStyles(latents, weight, bias, 0.3, 1.5)
        exact = latents.double() @ weight.double().t() * 0.3 + bias.double() * 1.5
        with use_backend('reference'):
            expected = layer.run(x, exact.float(), gain)
        with use_backend('cpu', strict=True):
            actual = layer.run(x, styles, gain)
        assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()
        bias.mul_(1.1)
        weight.mul_(0.9)


def test_a_program_is_kept_once_all_its_kernels_are_there(monkeypatch, tmp_path):
    monkeypatch.setenv('ALIASSCOPE_CACHE', str(tmp_path))
    monkeypatch.setattr(library, '_library', library._Library(policy='background'))
    monkeypatch.setattr(compiled, '_memory', compiled._Memory())
    layer, affine = Layer(), (rand(17, 32, seed=1), rand(17, seed=2) + 1, 0.3, 1.5)
    x, _, gain = layer.inputs(1)
    for _ in range(8):  # each run asks for the next kernel that it misses
        layer.run(x, LatentStyles(rand(1, 32), *affine), gain)
        assert library.wait(60)
    assert [one.origin for known in recorded._programs.of_weight.values() for one in known.programs.values()] == [
        'latents'
    ]


def to_colours() -> Layer:
    """Without filters: one kernel."""
    layer = Layer(kernel=1, down_filter=None, demodulate=False)
    layer.up_filter = None
    layer.options |= {'up': 1, 'down': 1, 'padding': 0, 'slope': 1.0, 'gain': 1.0}
    return layer


def test_a_layer_without_filters_is_a_program_too_and_sees_its_bias_change(monkeypatch):
    layer = to_colours()
    first = layer.assert_right(1)
    forbid_recording(monkeypatch)
    assert torch.equal(layer.assert_right(1), first)
    layer.assert_right(5)
    monkeypatch.undo()
    layer.bias.add_(1)
    assert not torch.equal(layer.assert_right(1), first)


def change_weight(layer: Layer) -> None:
    layer.weight.mul_(rand(19, 17, 1, 1, seed=7))


def replace_weight_data(layer: Layer) -> None:
    layer.weight.data = rand(19, 17, 3, 3, seed=8)


def change_filter(layer: Layer) -> None:
    assert layer.down_filter is not None
    layer.down_filter.mul_(-0.5)


def change_bias(layer: Layer) -> None:
    layer.bias.add_(1)


def change_padding(layer: Layer) -> None:
    layer.options |= {'padding': (8, 9, 9, 8)}


@pytest.mark.parametrize('change', [change_weight, replace_weight_data, change_filter, change_bias, change_padding])
def test_what_changes_between_two_runs_is_seen(change):
    layer = Layer()
    before = layer.assert_right(1)
    change(layer)
    assert not torch.equal(layer.assert_right(1), before)


@pytest.mark.parametrize(
    'gain', [None, rand(17, seed=3) + 2, rand(1, 17, seed=3) + 2, torch.tensor([2.0]), torch.tensor(2.0).double()]
)
def test_gains_of_other_shapes_get_programs_of_their_own(gain):
    layer = Layer()
    x, styles, scalar = layer.inputs(1)
    layer.run(x, styles, scalar)
    actual = [layer.run(x, styles, gain) for _ in range(2)]
    with use_backend('reference'):
        expected = layer.run(x, styles, gain)
    for one in actual:
        assert (one - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_inputs_laid_out_otherwise_are_computed_all_the_same():
    layer = Layer()
    x, styles, gain = layer.inputs(1)
    expected = layer.run(x, styles, gain)
    wide = rand(1, 40, 31, 26).contiguous(memory_format=torch.channels_last)
    wide[:, 3:20] = x
    both = torch.stack([styles, styles], 2)
    for other, its_styles in ((x.contiguous(), styles), (wide[:, 3:20], styles), (x, both[:, :, 0])):
        for _ in range(2):
            assert torch.allclose(layer.run(other, its_styles, gain), expected, rtol=0, atol=1e-5)


def test_threads_that_run_one_program_at_once_do_not_disturb_each_other():
    layer = Layer(batch=2)
    inputs = [layer.inputs(seed) for seed in range(4)]
    expected = [layer.run(*one) for one in inputs]
    results: list[tuple[int, Tensor]] = []

    def work(number: int) -> None:
        torch.set_num_threads(2)
        with torch.no_grad():
            results.extend((number, layer.run(*inputs[number])) for _ in range(15))

    callers = [Thread(target=work, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 60
    assert all(torch.equal(y, expected[number]) for number, y in results)


def test_programs_go_with_their_weight_and_are_not_many():
    layer = Layer()
    for width in range(20, 23):
        layer.run(layer.inputs(1)[0][..., :width].contiguous(memory_format=torch.channels_last), *layer.inputs(1)[1:])
    assert programs() == 3
    change_weight(layer)
    layer.assert_right(1)
    assert programs() == 1
    del layer
    assert programs() == 0


def test_too_many_programs_of_a_weight_start_over(monkeypatch):
    monkeypatch.setattr(recorded, '_MOST', 2)
    layer = Layer()
    for width in range(20, 25):
        layer.run(layer.inputs(1)[0][..., :width].contiguous(memory_format=torch.channels_last), *layer.inputs(1)[1:])
        assert programs() <= 2


def large(seed: int) -> Tensor:
    """A result that takes a block."""
    y = blocks.result((1, 32, 40, 50), (64000, 1, 1600, 32), 64000)
    return y.copy_(rand(1, 32, 40, 50, seed=seed))


def test_a_block_is_used_again_once_nothing_shows_it_and_not_before():
    first = large(1)
    address, part = first.data_ptr(), first[:, 3:5]
    array = part.numpy()
    del first
    second = large(2)
    assert second.data_ptr() != address
    del part
    assert large(3).data_ptr() != address
    assert torch.equal(torch.from_numpy(array), rand(1, 32, 40, 50, seed=1)[:, 3:5])
    del array
    free = [large(4), large(5)]
    assert address in {one.data_ptr() for one in free}
    assert torch.equal(second, rand(1, 32, 40, 50, seed=2))


def test_free_blocks_are_bounded_and_old_ones_given_back(monkeypatch):
    monkeypatch.setattr(blocks, '_MOST_FREE', 300_000)
    kept = [large(seed) for seed in range(5)]
    assert len(blocks._blocks.blocks) == 5
    kept.clear()
    blocks.result((2**18,), (1,), 2**18)
    assert len(blocks._blocks.blocks) == 2, 'one of the five may stay'
    for _ in range(6 * blocks._OFTEN):
        blocks.result((2**18,), (1,), 2**18)
    assert len(blocks._blocks.blocks) == 1


def test_a_result_is_like_any_tensor():
    y = large(1)
    assert y._base is None
    assert y.is_contiguous(memory_format=torch.channels_last)
    with torch.enable_grad():
        y.requires_grad_().square().sum().backward()
    assert y.grad is not None
    with torch.inference_mode():
        assert blocks.result((40, 500), (500, 1), 20000).is_inference()


@pytest.mark.skipif(sys.platform != 'linux', reason='huge pages are those of Linux')
def test_without_huge_pages_small_ones_do(monkeypatch):
    monkeypatch.setattr(blocks.mmap, 'MADV_HUGEPAGE', 9999)
    assert blocks.result((2**20,), (1,), 2**20).zero_().sum() == 0

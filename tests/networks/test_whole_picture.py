"""Pictures in one go give the bits of the layers one by one, see every change, and step back where somebody watches."""

import copy
from collections.abc import Iterator
from threading import Thread
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from networks import whole_picture
from networks.stylegan3 import Generator, SynthesisLayer, SynthesisNetwork
from ops.backend import note_usage, use_backend
from ops.fast_cpu import library
from tests.networks.small import small_ladder

LAYER = 'L3_36_8'


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No chains yet; kernels are waited for, no gradients."""
    monkeypatch.setattr(whole_picture, '_chains', whole_picture._Chains())
    with library.use_policy('wait'), torch.no_grad():
        yield


@pytest.fixture(scope='module')
def original() -> Generator:
    return small_ladder('T', resolution=16)


@pytest.fixture
def network(original: Generator) -> SynthesisNetwork:
    """A copy, to be changed."""
    return copy.deepcopy(original).synthesis


def layer(network: SynthesisNetwork, name: str = LAYER) -> SynthesisLayer:
    return cast(SynthesisLayer, network.get_submodule(name))


def buffer(module: nn.Module, name: str) -> Tensor:
    return dict(module.named_buffers())[name]


def latents(network: SynthesisNetwork, seed: int = 1, batch: int = 1) -> Tensor:
    return torch.randn(batch, network.num_ws, network.w_dim, generator=torch.Generator().manual_seed(seed))


def joined(network: SynthesisNetwork, batch: int = 1) -> SynthesisNetwork:
    """Its pictures come in one go from now on."""
    for _ in range(2):
        network(latents(network, batch=batch))
    assert batch in whole_picture._chains.of_network[network]
    return network


def one_by_one(network: SynthesisNetwork, ws: Tensor) -> Tensor:
    return network._one_by_one(ws, update_emas=False, float32=False) * network.config.output_scale


def assert_same(network: SynthesisNetwork, ws: Tensor | None = None) -> Tensor:
    """Same bits as one by one."""
    ws = latents(network) if ws is None else ws
    image = network(ws)
    assert torch.equal(image, one_by_one(network, ws))
    return image


def forbid_layers(network: SynthesisNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SynthesisNetwork, '_one_by_one', None)


@pytest.mark.parametrize('rung', ['T', 'R'])
@pytest.mark.parametrize('threads', [1, 2])
def test_pictures_in_one_go_have_the_bits_of_the_layers(rung: str, threads: int, monkeypatch: pytest.MonkeyPatch):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        network = joined(small_ladder(rung, resolution=16).synthesis)
        ws = latents(network, 7)
        expected = one_by_one(network, ws)
        forbid_layers(network, monkeypatch)
        assert torch.equal(network(ws), expected)
    finally:
        torch.set_num_threads(before)


def test_batches_of_other_sizes_have_their_own(network: SynthesisNetwork):
    joined(network)
    joined(network, batch=3)
    assert_same(network, latents(network, 2, batch=3))
    assert_same(network, latents(network, 2))
    assert set(whole_picture._chains.of_network[network]) == {1, 3}


def test_pictures_share_no_memory(network: SynthesisNetwork):
    joined(network)
    first = network(latents(network, 1))
    kept = first.clone()
    network(latents(network, 2))
    assert torch.equal(first, kept)


def test_latents_without_memory_of_their_own_for_each_layer(network: SynthesisNetwork):
    joined(network)
    ws = latents(network)[:, :1].expand(-1, network.num_ws, -1)
    for _ in range(3):
        assert_same(network, ws)


@pytest.mark.parametrize(
    'name',
    ['weight', 'bias', 'up_filter', 'down_filter', 'magnitude_ema', 'affine.weight', 'affine.bias'],
)
@pytest.mark.parametrize('counted', [True, False])
def test_tensors_that_change_in_place_are_seen(network: SynthesisNetwork, name: str, counted: bool):
    """`counted`: the change raises the tensor's version, which is all that a layer looks at in its weight."""
    before = assert_same(joined(network))
    tensor = layer(network).state_dict(keep_vars=True)[name]
    (tensor if counted or name == 'weight' else tensor.data).add_(0.3)
    assert not torch.equal(assert_same(network), before)


def test_the_bias_and_the_gain_of_the_last_layer_are_seen(network: SynthesisNetwork):
    last = layer(network, network.layer_names[-1])
    for tensor in (last.bias, buffer(last, 'magnitude_ema')):
        before = assert_same(joined(network))
        tensor.data.add_(0.5)
        assert not torch.equal(assert_same(network), before)


def test_buffers_replaced_for_a_call_are_seen(network: SynthesisNetwork):
    before = assert_same(joined(network))
    ws, moved = latents(network), torch.eye(3)
    moved[0, 2] = 0.25
    for name, tensor in (
        ('input.transform', moved),
        ('input.freqs', buffer(network.input, 'freqs') * 1.5),
        (f'{LAYER}.up_filter', buffer(layer(network), 'up_filter') * 2),
    ):
        image = functional_call(network, {name: tensor}, (ws,))
        with use_backend('reference'):
            expected = functional_call(network, {name: tensor}, (ws,))
        assert (image - expected).abs().max() <= 1e-5 * expected.abs().max()
        assert not torch.equal(image, before)
    assert torch.equal(network(ws), before)


def test_a_moved_picture_needs_no_layers(network: SynthesisNetwork, monkeypatch: pytest.MonkeyPatch):
    joined(network)
    forbid_layers(network, monkeypatch)
    for shift in (0.1, 0.2):
        moved = torch.eye(3)
        moved[0, 2] = shift
        functional_call(network, {'input.transform': moved}, (latents(network),))


@pytest.mark.parametrize('name', [LAYER, f'{LAYER}.affine', 'input'])
def test_hooks_are_called_and_cost_nothing_afterwards(
    network: SynthesisNetwork, name: str, monkeypatch: pytest.MonkeyPatch
):
    joined(network)
    seen = []
    handle = network.get_submodule(name).register_forward_hook(lambda *_: seen.append(1))
    network(latents(network))
    handle.remove()
    forbid_layers(network, monkeypatch)
    network(latents(network))
    assert len(seen) == 1


def test_a_module_with_another_setting_or_another_module_is_seen(network: SynthesisNetwork):
    before = assert_same(joined(network))
    layer(network).clamp = 0.1
    clamped = assert_same(network)
    other = copy.deepcopy(layer(network))
    other.weight.neg_()
    joined(network)._modules[LAYER] = other
    negative = assert_same(network)
    assert not torch.equal(clamped, before)
    assert not torch.equal(negative, clamped)


def test_another_precision_is_seen(network: SynthesisNetwork):
    joined(network).double()
    assert network(latents(network)).dtype == torch.float64
    assert_same(network.float())


def test_another_backend_that_is_asked_for_runs_the_layers(network: SynthesisNetwork):
    joined(network)
    with note_usage() as used, use_backend('reference'):
        network(latents(network))
    assert {backend for _, backend in used.calls} == {'reference'}


def test_operators_are_noted_as_if_called(network: SynthesisNetwork):
    joined(network)
    with note_usage() as used:
        one_by_one(network, latents(network))
    with note_usage() as joint:
        network(latents(network))
    assert joint.calls == used.calls
    assert joint.notes() == used.notes()


def test_what_is_no_number_stays_so(network: SynthesisNetwork):
    ws = latents(joined(network))
    ws[0, 2] = torch.nan
    assert network(ws).isnan().all()


def test_several_threads_share_a_network(network: SynthesisNetwork):
    joined(network)
    wanted = [one_by_one(network, latents(network, seed)) for seed in range(4)]
    made: list[bool] = []

    def work(seed: int) -> None:
        with torch.no_grad():
            made.append(all(torch.equal(network(latents(network, seed)), wanted[seed]) for _ in range(20)))

    threads = [Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [True] * 4


def test_gradients_and_averages_come_from_the_layers(network: SynthesisNetwork):
    joined(network)
    magnitude = buffer(layer(network), 'magnitude_ema')
    before = magnitude.clone()
    network(latents(network), update_emas=True)
    assert not torch.equal(magnitude, before)

"""Whole networks by the CUDA kernels: by their PTX on the CPU (slow), and on a GPU where there is one."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from networks import stylegan2, stylegan3
from networks.discriminator import Discriminator
from ops import backend
from ops.backend import use_backend
from render.graphs import CudaRecorder, GraphCache
from render.models import ModelStore
from render.renderer import Renderer
from render.request import LatentSpec, RenderRequest, SynthesisSpec
from tests.gpu import require_gpu
from tests.networks.small import small_ladder, small_stylegan2
from tests.ops.emulated import emulated as emulated

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    'T': lambda: small_ladder('T', resolution=32, width=4),
    'R': lambda: small_ladder('R', resolution=32, width=4),
    'F': lambda: small_ladder('F', resolution=16, width=4),
    'StyleGAN2': lambda: small_stylegan2('skip', resolution=16),
}


def images(network: nn.Module, **options: object) -> Tensor:
    torch.manual_seed(1)
    if isinstance(network, stylegan2.Generator):
        options['noise_mode'] = 'constant'  # each device draws its own random numbers
    ws = network.mapping(torch.randn(1, 16).to(next(network.parameters()).device))  # pyright: ignore[reportCallIssue]
    return network.synthesis(ws, **options)  # pyright: ignore[reportCallIssue]


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('half', [False, True])
def test_a_network_by_the_ptx_of_its_kernels_equals_the_reference(name: str, half: bool, emulated, monkeypatch):
    network = NETWORKS[name]()
    for module in (stylegan2, stylegan3):
        monkeypatch.setattr(module, 'runs_in_half', lambda marked, x, float32: half and marked)
    with use_backend('reference'):
        expected = images(network)
    ours = images(network)
    error = 0.01 if half else 1e-5
    torch.testing.assert_close(ours, expected, rtol=0, atol=error * float(expected.abs().max()))
    assert backend.report()['filtered_lrelu' if name in 'TRF' else 'upfirdn2d'] == 'cpu'


@pytest.mark.slow
def test_the_gradient_penalty_by_the_ptx_of_its_kernels_equals_the_reference(emulated):
    """Second derivatives through a whole discriminator."""
    torch.manual_seed(0)
    judge = Discriminator(0, 8, 3, channel_base=32, channel_max=4)
    image = torch.randn(2, 3, 8, 8)

    def penalty() -> list[Tensor]:
        x = image.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
        parameters = [one for one in judge.parameters() if one.ndim > 1]
        return list(torch.autograd.grad(gradient.square().sum(), parameters, allow_unused=True))

    with use_backend('reference'):
        expected = penalty()
    for one, other in zip(penalty(), expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


# On a GPU


@pytest.mark.gpu
@pytest.mark.parametrize('name', NETWORKS)
def test_a_network_on_a_gpu_equals_that_on_the_cpu(name: str):
    device, network = require_gpu(kernels=True), NETWORKS[name]()
    with use_backend('reference'):
        expected = images(network)
    for float32, error in ((True, 1e-5), (False, 0.02)):
        ours = images(network.to(device), float32=float32).cpu()
        torch.testing.assert_close(ours, expected, rtol=0, atol=error * float(expected.abs().max()))
    assert backend.report()['filtered_lrelu' if name in 'TRF' else 'upfirdn2d'] == 'cuda'


@pytest.mark.gpu
def test_a_replayed_picture_equals_one_that_is_launched_step_by_step():
    store = ModelStore(require_gpu(kernels=True))
    key, _ = store.open('demo:')
    requests = [
        RenderRequest(key, LatentSpec(((seed, 1.0),)), SynthesisSpec(transform=(1, 0, seed / 50, 0, 1, 0)))
        for seed in range(6)
    ]
    replayed = Renderer(store)
    steps = Renderer(store)
    steps._graphs.for_picture = steps._graphs.for_mapping = lambda *_: None  # pyright: ignore[reportAttributeAccessIssue]
    for request in requests:
        assert torch.equal(replayed.tensor(request), steps.tensor(request))
    assert replayed._graphs.replays == 2 * (len(requests) - 1) - 1  # latents and pictures; the first is not moved


@pytest.mark.gpu
def test_what_cannot_be_recorded_runs_step_by_step_and_the_device_goes_on():
    device = require_gpu()
    graphs, x, here = GraphCache(CudaRecorder()), torch.full([4], 2.0, device=device), torch.cuda.current_stream()
    for _ in range(3):
        assert graphs.call('a', lambda x: x * x.sum().item(), (x,)).tolist() == [16.0] * 4
    assert graphs.note().startswith('graphs: not recorded') and 'captur' in graphs.note()
    assert torch.cuda.current_stream() == here
    torch.cuda.empty_cache()
    for number in range(3):
        assert graphs.call('b', lambda x: x * 3, (x + number,)).tolist() == [6.0 + 3 * number] * 4
    assert graphs.replays == 2


@pytest.mark.gpu
def test_a_graph_is_recorded_while_another_thread_uses_the_device():
    device, ended, rounds = require_gpu(), threading.Event(), []

    def total(x: Tensor) -> Tensor:
        return torch.stack([x * number for number in range(100)]).sum(0)

    def busy() -> None:
        while not ended.is_set():
            rounds.append(float(torch.ones(1000 + len(rounds), 1000).to(device).sum()))  # memory, copies, waiting

    other = threading.Thread(target=busy)
    other.start()
    try:
        graphs, x = GraphCache(CudaRecorder()), torch.ones(1000, 1000, device=device)
        for key in range(5):
            for _ in range(2):
                found = graphs.call(key, total, (x,))
            assert float(found[0, 0]) == sum(range(100))
    finally:
        ended.set()
        other.join()
    assert graphs.replays == 5 and rounds == [1e6 + 1000 * index for index in range(len(rounds))]


@pytest.mark.gpu
def test_a_picture_of_a_gpu_equals_that_of_the_cpu():
    device = require_gpu(kernels=True)
    results = []
    for place in ('cpu', device):
        store = ModelStore(place)
        key, _ = store.open('demo:')
        request = RenderRequest(key, synthesis=SynthesisSpec(precision='float32', transform=(1, 0, 0.1, 0, 1, 0)))
        results.append(Renderer(store).render(request).image)
    assert abs(results[0].astype(int) - results[1].astype(int)).max() <= 1

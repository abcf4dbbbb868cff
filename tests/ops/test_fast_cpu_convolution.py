"""The kernels of the convolutions give what torch gives in float64: tiles, edges, empty lanes, shares of threads."""

import pytest
import torch
from torch import Tensor

from ops.fast_cpu import convolution, library
from ops.fast_cpu.window import Window


@pytest.fixture(autouse=True, scope='module')
def kernels_at_once(tmp_path_factory):
    """Compile what a test needs before it goes on, and keep it for the other tests of this file."""
    with pytest.MonkeyPatch.context() as patch, library.use_policy('wait'), torch.no_grad():
        patch.setenv('ALIASSCOPE_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(params=['16 lanes', '8 lanes'])
def lanes(request, monkeypatch):
    """Kernels of processors with and without AVX-512; any processor can run both."""
    monkeypatch.setattr(library, 'has_wide_vectors', lambda: request.param == '16 lanes')


def convolved(x: Tensor, weight: Tensor, factors: Tensor, padding: int) -> Tensor:
    """By the kernel."""
    prepared = convolution.prepared_weight(weight, demodulate=False, activated=False)
    assert prepared.shape is not None
    return convolution.convolve(x, prepared, factors, (padding, padding), library.get(prepared.shape)).clone()


def error(batch: int, channels: tuple[int, int], size: tuple[int, int], side: int, padding: int) -> float:
    """The largest error, relative to the largest value."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, channels[0], *size, generator=generator).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels[1], channels[0], side, side, generator=generator)
    factors = torch.rand(batch, channels[0], generator=generator) + 0.5
    exact = torch.conv2d(x.double() * factors[:, :, None, None], weight.double(), padding=padding)
    actual = convolved(x, weight, factors, padding)
    assert actual.shape == exact.shape
    return float((actual - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize('size', [(36, 36), (4, 4), (12, 20), (20, 8), (13, 20), (20, 14), (7, 5)])
@pytest.mark.parametrize('padding', [1, 2])
def test_tiles_and_edges_cover_pictures_of_any_size(lanes, size, padding):
    assert error(2, (20, 24), size, 3, padding) < 3e-6


@pytest.mark.parametrize('channels', [(4, 4), (7, 20), (16, 5), (33, 45), (64, 91)])
@pytest.mark.parametrize('side', [1, 3])
def test_channels_need_not_fill_vectors(lanes, channels, side):
    assert error(1, channels, (8, 12), side, side - 1) < 3e-6


def test_an_edge_that_is_too_long_for_one_job_is_shared():
    assert error(1, (4, 4), (4, 800), 3, 2) < 3e-6
    assert error(1, (4, 4), (800, 4), 3, 2) < 3e-6


@pytest.mark.parametrize('side', [1, 3])
def test_the_share_of_a_thread_changes_no_bit(side, monkeypatch):
    x, weight, factors = torch.randn(1, 32, 36, 36), torch.randn(32, 32, side, side), torch.ones(1, 32)
    x = x.contiguous(memory_format=torch.channels_last)
    results = []
    for threads in (1, 3, 7):
        monkeypatch.setattr(torch, 'get_num_threads', lambda threads=threads: threads)
        results.append(convolved(x, weight, factors, side - 1))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ('side', 'window'), [(3, Window(6, 9, 3, 14)), (3, Window(0, 25, 1, 25)), (1, Window(5, 11, 0, 24))]
)
def test_a_window_is_a_part_of_the_whole_convolution(lanes, side, window):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 20, 24, 24, generator=generator).contiguous(memory_format=torch.channels_last)
    weight, factors = torch.randn(24, 20, side, side, generator=generator), torch.ones(2, 20)
    prepared = convolution.prepared_weight(weight, demodulate=False, activated=False)
    assert prepared.shape is not None
    kernel, padding = library.get(prepared.shape), (side - 1, side - 1)
    part = convolution.convolve(x, prepared, factors, padding, kernel, window).clone()
    exact = window.of(torch.conv2d(x.double(), weight.double(), padding=padding))
    assert part.shape == exact.shape
    assert float((part - exact).abs().max() / exact.abs().max()) < 3e-6

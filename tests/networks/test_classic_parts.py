"""A part of a StyleGAN2 picture is the same cut of the whole picture, on every backend, noise included."""

import pytest
import torch

from networks.adapters.wrap import wrap
from networks.classic_parts import part_modules, why_not
from networks.stylegan2 import Generator
from networks.variants import twin_of, with_buffers, with_submodules
from ops.backend import use_backend
from ops.fast_cpu import library
from tests.networks.small import small_stylegan2
from tests.networks.test_parts import RECTANGLES


def pictures(generator: Generator, **noise: object) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
    """The whole picture, and (part, that cut of the whole)."""
    ws = torch.randn(1, generator.num_ws, generator.w_dim, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode(), library.use_policy('wait'):
        whole = wrap(generator).synthesize(ws, **noise)  # type: ignore[arg-type]
        found = []
        for columns, rows in RECTANGLES.values():
            part = wrap(generator).part(columns, rows)[0].synthesize(ws, **noise)  # type: ignore[arg-type]
            found.append((part, whole[:, :, rows[0] : rows[1], columns[0] : columns[1]]))
    return whole, found


def largest_error(generator: Generator, **noise: object) -> float:
    whole, found = pictures(generator, **noise)
    assert all(part.shape == cut.shape for part, cut in found)
    return max(float((part - cut).abs().max() / whole.abs().max()) for part, cut in found)


@pytest.mark.parametrize('backend', ['reference', 'torch', 'cpu'])
def test_a_part_is_that_cut_of_the_whole_picture_wherever_it_lies(backend: str) -> None:
    with use_backend(backend):
        assert largest_error(small_stylegan2()) < 1e-5


@pytest.mark.parametrize('mode', ['none', 'random'])
def test_noise_lies_where_it_lies_in_the_whole_picture(mode: str) -> None:
    assert largest_error(small_stylegan2(), noise=mode, noise_seed=5) < 1e-5


def test_networks_whose_last_block_alone_makes_the_picture_have_parts_too() -> None:
    assert largest_error(small_stylegan2('orig')) < 1e-5


@pytest.mark.parametrize('taps', [1, 6, 11])
def test_a_part_is_exact_with_filters_of_other_lengths(taps: int) -> None:
    generator = small_stylegan2()
    shape = torch.rand(taps, generator=torch.Generator().manual_seed(taps)).softmax(0)
    filters = {
        name: torch.outer(shape, shape) for name, _ in generator.named_buffers() if name.endswith('resample_filter')
    }
    edited = twin_of(generator)
    edited._modules.update(with_submodules(generator, with_buffers(generator, filters))._modules)
    assert largest_error(edited) < 1e-5


def test_parts_use_the_kernels_of_the_whole_picture() -> None:
    torch.manual_seed(0)
    generator = Generator(16, 0, 16, 64, 3, channel_base=1024, channel_max=16).eval().requires_grad_(False)
    ws = torch.randn(1, generator.num_ws, 16)
    with torch.inference_mode(), use_backend('cpu'), library.use_policy('wait'):
        generator.synthesis(ws, noise_mode='constant')
        before = library.asked()
        for first in (0, 5, 48):
            modules, _ = part_modules(generator, (first, first + 16), (first, first + 16))
            with_submodules(generator, modules).get_submodule('synthesis')(ws, noise_mode='constant')
        assert library.asked() == before


def test_a_small_part_of_a_large_picture_is_several_times_less_work() -> None:
    generator = Generator(16, 0, 16, 256, 3, channel_base=2048, channel_max=64)
    assert 2 < part_modules(generator, (64, 192), (64, 192))[1] < 4 < part_modules(generator, (96, 160), (96, 160))[1]
    assert part_modules(generator, (0, 256), (0, 256))[1] == 1


def test_what_parts_of_a_large_picture_spare_is_about_what_was_measured() -> None:
    with torch.device('meta'):  # shapes are all that counts
        generator = Generator(512, 0, 512, 1024, 3, channel_base=32768, channel_max=512)
    for side, gain in ((512, 2.1), (256, 4.4), (128, 7.0)):
        place = (1024 - side) // 2, (1024 + side) // 2
        predicted = part_modules(generator, place, place)[1]
        assert gain / 1.4 < predicted < gain * 1.4, 'small layers wait for their weights: products alone promise 18'


def test_networks_without_parts_say_why() -> None:
    assert 'residual' in str(why_not(small_stylegan2('resnet')))
    watched = small_stylegan2()
    watched.synthesis.get_submodule('b8.conv0').register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match='Hooks'):
        part_modules(watched, (0, 8), (0, 8))
    with pytest.raises(ValueError, match='not a part of a picture of 32x32'):
        part_modules(small_stylegan2(), (20, 33), (0, 8))

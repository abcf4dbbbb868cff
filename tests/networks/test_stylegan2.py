"""StyleGAN2: sizes, noise, and filters of other lengths."""

import pytest
import torch
from torch.func import functional_call

from networks.discriminator import Discriminator
from networks.stylegan2 import Generator
from tests.networks.small import padded_with_zeros, parameter_count, small_stylegan2


def test_parameter_counts_at_1024_are_those_of_config_f_and_e():
    with torch.device('meta'):
        f, e = Generator(512, 0, 512, 1024, 3), Generator(512, 0, 512, 1024, 3, channel_base=16384)
        f_judge, e_judge = Discriminator(0, 1024, 3), Discriminator(0, 1024, 3, channel_base=16384)
    assert parameter_count(f.synthesis) == 28_268_812
    assert parameter_count(f.mapping) == 2_101_248
    assert parameter_count(f_judge) == 29_012_513
    assert parameter_count(e.synthesis) == 22_799_516
    assert parameter_count(e_judge) == 24_038_161


@pytest.mark.parametrize('resolution', [8, 32, 1024])
def test_two_latents_are_read_per_resolution(resolution: int):
    with torch.device('meta'):
        generator = Generator(8, 0, 8, resolution, 3, channel_base=32, channel_max=8)
    assert generator.num_ws == 2 * (resolution.bit_length() - 1) - 2  # 2 log2(side) - 2


@pytest.mark.parametrize('architecture', ['orig', 'skip', 'resnet'])
def test_filters_of_other_lengths_stay_aligned(architecture: str):
    generator = small_stylegan2(architecture)
    ws = generator.mapping(torch.randn(1, 16))
    options = {'noise_mode': 'constant'}
    longer = {
        name: padded_with_zeros(taps, 2)
        for name, taps in generator.synthesis.named_buffers()
        if name.endswith('resample_filter')
    }
    expected = generator.synthesis(ws, **options)
    actual = functional_call(generator.synthesis, longer, (ws,), options)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_constant_noise_is_the_networks_own_and_none_is_none():
    generator = small_stylegan2()
    ws = generator.mapping(torch.randn(1, 16))
    constant = generator.synthesis(ws, noise_mode='constant')
    none = generator.synthesis(ws, noise_mode='none')
    drawn = generator.synthesis(ws, noise_mode='random', noise_draw=torch.zeros)
    assert not torch.allclose(constant, none)
    torch.testing.assert_close(drawn, none)


def test_noise_is_drawn_once_per_convolution_in_the_order_of_execution():
    generator = small_stylegan2('resnet', resolution=16)
    shapes: list[tuple[int, ...]] = []

    def draw(shape: tuple[int, ...]) -> torch.Tensor:
        shapes.append(shape)
        return torch.zeros(shape)

    generator.synthesis(generator.mapping(torch.randn(2, 16)), noise_mode='random', noise_draw=draw)
    assert shapes == [(2, 1, side, side) for side in (4, 8, 8, 16, 16)]


def test_torgb_reads_the_same_latent_as_the_next_convolution():
    generator = small_stylegan2(resolution=8)
    ws = generator.mapping(torch.randn(1, 16)).clone()
    seen: dict[str, torch.Tensor] = {}
    for name in ('b4.torgb', 'b8.conv0'):
        layer = generator.synthesis.get_submodule(name)
        layer.affine.register_forward_pre_hook(lambda module, args, name=name: seen.update({name: args[0]}))
    ws += torch.arange(4)[:, None]
    generator.synthesis(ws)
    assert torch.equal(seen['b4.torgb'], seen['b8.conv0'])
    assert torch.equal(seen['b8.conv0'], ws[:, 1])


def test_the_older_nested_keywords_mean_no_clamp_and_no_half_precision():
    older = Generator(8, 0, 8, 16, 3, synthesis_kwargs={'channel_base': 64, 'channel_max': 8})
    newer = Generator(8, 0, 8, 16, 3, channel_base=64, channel_max=8)
    assert (older.synthesis.config.conv_clamp, older.synthesis.config.num_fp16_res) == (None, 0)
    assert (newer.synthesis.config.conv_clamp, newer.synthesis.config.num_fp16_res) == (256.0, 4)


def test_an_unknown_noise_mode_and_architecture_are_named():
    generator = small_stylegan2()
    with pytest.raises(ValueError, match="'const'"):
        generator(torch.randn(1, 16), noise_mode='const')
    with pytest.raises(ValueError, match="'unet'"):
        Generator(8, 0, 8, 16, 3, architecture='unet')

"""The alias-free generator: what it must not depend on, and what must move it."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from networks.schedule import InputRecord
from networks.stylegan3 import Generator, SynthesisInput
from tests.networks.small import padded_with_zeros, small_ladder


def images(generator: Generator, ws: Tensor, **buffers: Tensor) -> Tensor:
    return functional_call(generator.synthesis, buffers, (ws,))


@pytest.mark.parametrize('rung', ['E', 'F', 'G', 'H', 'T', 'R'])
def test_filters_of_other_lengths_stay_aligned(rung: str):
    generator = small_ladder(rung, resolution=16)
    ws = generator.mapping(torch.randn(1, 16))
    longer = {
        name: padded_with_zeros(taps, 3)
        for name, taps in generator.synthesis.named_buffers()
        if name.endswith(('up_filter', 'down_filter'))
    }
    assert longer
    expected = images(generator, ws)
    torch.testing.assert_close(images(generator, ws, **longer), expected, rtol=0, atol=1e-5 * expected.abs().max())


@pytest.mark.parametrize('rung', ['E', 'F', 'G', 'H', 'T', 'R'])
def test_every_rung_yields_pictures_of_its_resolution(rung: str):
    generator = small_ladder(rung, resolution=16)
    picture = generator(torch.randn(2, 16))
    assert picture.shape == (2, 3, 16, 16)
    assert picture.isfinite().all()
    assert picture[0].std() > 0.01


def test_a_picture_does_not_depend_on_its_batch():
    generator = small_ladder('T', resolution=16)
    ws = generator.mapping(torch.randn(3, 16))
    alone = torch.cat([generator.synthesis(one[None]) for one in ws])
    torch.testing.assert_close(generator.synthesis(ws), alone, rtol=1e-4, atol=1e-5)


def test_features_are_sine_waves_of_the_drawn_frequencies():
    layer = SynthesisInput(4, InputRecord(channels=3, size=12, rate=8, bandwidth=2, affine=True)).requires_grad_(False)
    layer.weight.copy_(torch.eye(3) * 3**0.5)
    features = layer(torch.zeros(1, 4))
    row, column, channel = 2, 7, 1
    x, y = (column + 0.5 - 6) / 8, (row + 0.5 - 6) / 8
    frequency, phase = layer.freqs[channel], layer.phases[channel]
    expected = torch.sin(2 * torch.pi * (frequency[0] * x + frequency[1] * y + phase))
    torch.testing.assert_close(features[0, channel, row, column], expected)


def test_frequencies_fill_the_disc_of_the_band_uniformly():
    torch.manual_seed(0)
    layer = SynthesisInput(4, InputRecord(channels=4096, size=4, rate=8, bandwidth=2, affine=False))
    radius = layer.freqs.norm(dim=1)
    assert radius.max() <= 2
    assert float(radius.mean()) == pytest.approx(2 * 2 / 3, rel=0.02)  # of a uniform disc of radius 2
    assert float(radius.square().mean()) == pytest.approx(2, rel=0.03)


def test_frequencies_beyond_the_band_fade_out():
    layer = SynthesisInput(4, InputRecord(channels=2, size=8, rate=8, bandwidth=2, affine=True)).requires_grad_(False)
    layer.weight.copy_(torch.eye(2) * 2**0.5)
    layer.freqs.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    layer.phases.zero_()
    waves = layer(torch.zeros(1, 4))
    layer.transform.copy_(torch.diag(torch.tensor([3.0, 1.0, 1.0])))  # 1 -> 3 cycles: halfway from band to s / 2
    faded = layer(torch.zeros(1, 4))
    torch.testing.assert_close(faded[:, 1], waves[:, 1])
    x = (torch.arange(8) + 0.5 - 4) / 8
    torch.testing.assert_close(faded[0, 0, 0], 0.5 * torch.sin(2 * torch.pi * 3 * x), atol=1e-6, rtol=0)


def test_a_critically_sampled_input_keeps_its_whole_band():
    layer = SynthesisInput(4, InputRecord(channels=64, size=24, rate=4, bandwidth=2, affine=False)).requires_grad_(
        False
    )
    layer.weight.copy_(torch.eye(64) * 8)
    features = layer(torch.zeros(1, 4))
    assert (features.amax((0, 2, 3)) > 0.5).all()


def test_training_mode_updates_the_magnitudes_before_using_them():
    generator = small_ladder('T', resolution=16, magnitude_ema_beta=0.25)
    layer = generator.synthesis.get_submodule(generator.synthesis.layer_names[0])
    x, w = torch.randn(2, 8, 36, 36), torch.randn(2, 16)
    layer.magnitude_ema.fill_(2.0)
    expected = 0.75 * float(x.square().mean()) + 0.25 * 2.0
    updated = layer(x, w, update_emas=True)
    assert float(layer.magnitude_ema) == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(updated, layer(x, w))


def test_without_an_update_nothing_in_the_generator_changes():
    generator = small_ladder('H', resolution=16)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    generator(torch.randn(2, 16), truncation_psi=0.5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_double_precision_runs_in_double_precision():
    generator = small_ladder('T', resolution=16)
    z = torch.randn(1, 16)
    single = generator(z)
    double = generator.double()(z)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-5)


def test_latents_of_a_wrong_shape_are_refused_with_both_shapes():
    generator = small_ladder('T', resolution=16)
    with pytest.raises(ValueError, match=r'\[batch, 16, 16\], got \(1, 3, 16\)'):
        generator.synthesis(torch.zeros(1, 3, 16))
    with pytest.raises(ValueError, match=r'\[batch, 16\], got \(1, 5\)'):
        generator(torch.zeros(1, 5))


def test_a_hook_sees_the_styles_that_a_layer_computes_itself_otherwise():
    generator = Generator(16, 0, 16, 16, 3, channel_base=256, channel_max=16).eval()
    ws, seen = generator.mapping(torch.ones(1, 16)), []
    with torch.no_grad():
        alone = generator.synthesis(ws)
        layer = generator.synthesis.get_submodule(generator.synthesis.layer_names[2])
        handle = layer.affine.register_forward_hook(lambda module, inputs, output: seen.append(output))
        watched = generator.synthesis(ws)
        handle.remove()
        assert torch.equal(generator.synthesis(ws), alone)
    assert len(seen) == 1
    assert seen[0].shape == (1, layer.record.channels_in)
    assert torch.allclose(watched, alone, rtol=0, atol=1e-5 * float(alone.abs().max()))

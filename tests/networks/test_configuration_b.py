import pytest
import torch

from networks.adapters.wrap import wrap
from networks.checkpoint import Checkpoint, load_generator, save_checkpoint
from networks.sampling import make_transform
from networks.stylegan2 import Generator

OPTIONS = {
    'z_dim': 8,
    'c_dim': 0,
    'w_dim': 8,
    'img_resolution': 16,
    'img_channels': 3,
    'mapping_kwargs': {'num_layers': 2},
    'channel_base': 64,
    'channel_max': 8,
    'fourier_bandwidth': 2.0,
}


def made() -> Generator:
    torch.manual_seed(0)
    return Generator(**OPTIONS)


def test_moving_the_input_moves_the_features_exactly():
    adapter = wrap(made())
    features = adapter.module.get_submodule('synthesis.b4.input')
    overrides = adapter.transform(make_transform((0.25, 0.0), 0.0))  # one sample of the 4 x 4 grid to the right
    still = features(torch.zeros(1, 8))
    moved = torch.func.functional_call(
        features, {'transform': overrides['synthesis.b4.input.transform']}, torch.zeros(1, 8)
    )
    torch.testing.assert_close(moved[..., 1:], still[..., :-1])


def test_the_picture_moves_but_not_alike_since_zeros_enter_at_the_border():
    adapter = wrap(made())
    latents = adapter.latents(torch.randn(1, 8))
    still, moved = (
        adapter.synthesize(latents, adapter.transform(make_transform((x, 0.0), 0.0)), noise='none') for x in (0.0, 0.25)
    )
    assert float((moved[..., 4:] - still[..., :-4]).abs().max()) > 1e-3
    assert float((moved - still).abs().max()) > 1e-2


def test_it_says_what_it_can_and_comes_back_from_a_file(tmp_path):
    generator = made()
    save_checkpoint(tmp_path / 'b.safetensors', Checkpoint('stylegan2', OPTIONS, generator.state_dict(), '', ''))
    adapter = load_generator(tmp_path / 'b.safetensors')
    assert {'transform', 'noise', 'filters'} <= adapter.info.capabilities
    assert adapter.info.layers[0].label == 'b4.input'
    assert 'Fourier' in adapter.info.title
    latents = adapter.latents(torch.randn(1, 8))
    assert torch.equal(adapter.synthesize(latents), wrap(generator).synthesize(latents))


def test_a_learned_constant_still_cannot_be_moved():
    adapter = wrap(Generator(**{**OPTIONS, 'fourier_bandwidth': None}))
    assert 'transform' not in adapter.info.capabilities
    with pytest.raises(ValueError, match='learned constant'):
        adapter.transform(make_transform((0.0, 0.0), 0.0))


def test_waves_above_the_nyquist_frequency_of_the_grid_are_refused():
    with pytest.raises(ValueError, match='at most 2 cycles'):
        Generator(**{**OPTIONS, 'fourier_bandwidth': 3.0})


def test_pictures_with_gradients_by_shared_weights_are_those_without_by_separate_ones():
    torch.manual_seed(1)
    generator = made().double()
    z = torch.randn(3, 8).double()
    shared = generator(z, noise_mode='none')
    with torch.no_grad():
        separate = generator(z, noise_mode='none')
    assert shared.requires_grad
    torch.testing.assert_close(shared.detach(), separate)

"""What the renderer relies on: purity, directions, seeds, and layer lists that tell the truth."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from networks.adapters.base import Inspectable
from networks.adapters.stylegan2 import StyleGAN2Adapter
from networks.adapters.stylegan3 import StyleGAN3Adapter
from networks.adapters.wrap import wrap
from networks.sampling import make_transform
from networks.stylegan2 import Generator as StyleGAN2
from tests.networks.small import padded_with_zeros, psnr_db, same_buffers, small_ladder, small_stylegan2

FAMILIES: dict[str, Callable[[], nn.Module]] = {
    **{rung: lambda rung=rung: small_ladder(rung, resolution=16) for rung in ('E', 'F', 'H', 'T', 'R')},
    **{name: lambda name=name: small_stylegan2(name, resolution=16) for name in ('skip', 'resnet', 'orig')},
}


def latents(adapter: Inspectable, seed: int = 0, count: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return adapter.latents(torch.randn(count, adapter.info.z_dim, generator=random))


@pytest.mark.parametrize('family', FAMILIES)
def test_the_layer_list_says_what_runs(family: str):
    adapter = wrap(FAMILIES[family]())
    ran: list[tuple[str, tuple[int, ...], str]] = []

    def hook_for(name: str) -> Callable[..., None]:
        return lambda module, args, x: ran.append((name, tuple(x.shape[1:]), str(x.dtype).removeprefix('torch.')))

    for layer in adapter.info.layers:
        adapter.module.get_submodule(layer.name).register_forward_hook(hook_for(layer.name))
    adapter.synthesize(latents(adapter))
    assert ran == [(one.name, (one.channels, one.height, one.width), one.dtype) for one in adapter.info.layers]


@pytest.mark.parametrize('family', FAMILIES)
def test_the_list_of_filters_says_what_the_buffers_hold(family: str):
    adapter = wrap(FAMILIES[family]())
    listed = [info for layer in adapter.info.layers for info in layer.filters]
    assert set(adapter.filters()) == {info.buffer for info in listed}
    for info in listed:
        taps = adapter.filters()[info.buffer]
        assert taps.shape[0] == info.taps
        assert taps.ndim == 2 or not info.radial
        torch.testing.assert_close(float(taps.sum()), 1.0, atol=1e-5, rtol=0)


@pytest.mark.parametrize('family', FAMILIES)
def test_every_latent_is_read_by_the_layers_that_say_so(family: str):
    adapter = wrap(FAMILIES[family]())
    rows = {row for layer in adapter.info.layers for row in layer.styles}
    assert rows == set(range(adapter.info.num_ws))
    ws = latents(adapter)
    changed = ws.clone()
    changed[:, -1] += 1
    first, last = adapter.info.layers[0], adapter.info.layers[-1]
    assert last.styles == (adapter.info.num_ws - 1,)
    seen: dict[str, list[Tensor]] = {first.name: [], last.name: []}
    for name, outputs in seen.items():
        adapter.module.get_submodule(name).register_forward_hook(lambda m, a, x, outputs=outputs: outputs.append(x))
    adapter.synthesize(ws)
    adapter.synthesize(changed)
    assert torch.equal(*seen[first.name])
    assert not torch.equal(*seen[last.name])


@pytest.mark.parametrize('family', ['T', 'R', 'E', 'skip'])
def test_overrides_leave_no_trace(family: str):
    adapter = wrap(FAMILIES[family]())
    before = {name: tensor.clone() for name, tensor in adapter.module.state_dict().items()}
    ws = latents(adapter)
    overrides = {name: torch.ones(2) / 2 for name in adapter.filters()}
    if 'transform' in adapter.info.capabilities:
        overrides |= adapter.transform(make_transform((0.2, 0.1), 30))
    first = adapter.synthesize(ws)
    changed = adapter.synthesize(ws, overrides)
    assert not torch.equal(first, changed)
    assert torch.equal(adapter.synthesize(ws), first)
    assert same_buffers(adapter.module, before)


@pytest.mark.parametrize('family', ['T', 'skip'])
def test_an_exception_inside_leaves_no_trace(family: str):
    adapter = wrap(FAMILIES[family]())
    ws = latents(adapter)
    first = adapter.synthesize(ws)

    def stop(module: nn.Module, args: object, output: object) -> None:
        raise KeyboardInterrupt

    handle = adapter.module.get_submodule(adapter.info.layers[3].name).register_forward_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        adapter.synthesize(ws, {name: torch.ones(4) / 4 for name in adapter.filters()})
    handle.remove()
    assert torch.equal(adapter.synthesize(ws), first)


@pytest.mark.parametrize('family', ['T', 'R', 'skip', 'resnet'])
def test_longer_filters_do_not_move_the_picture(family: str):
    adapter = wrap(FAMILIES[family]())
    ws = latents(adapter)
    longer = {name: padded_with_zeros(taps, 2) for name, taps in adapter.filters().items()}
    expected = adapter.synthesize(ws)
    tolerance = 1e-5 * float(expected.abs().max())
    torch.testing.assert_close(adapter.synthesize(ws, longer), expected, rtol=0, atol=tolerance)


def test_an_unknown_buffer_is_named_and_nothing_runs():
    adapter = wrap(small_ladder(resolution=16))
    with pytest.raises(ValueError, match=r'synthesis\.L99\.up_filter'):
        adapter.synthesize(latents(adapter), {'synthesis.L99.up_filter': torch.ones(2)})


@pytest.mark.parametrize(('x', 'y'), [(0.25, 0.0), (0.0, 0.25), (-0.125, 0.25)])
def test_translation_moves_the_picture_right_and_down(x: float, y: float):
    adapter = wrap(small_ladder('T', resolution=32, width=16))
    ws = latents(adapter)
    still = adapter.synthesize(ws)
    moved = adapter.synthesize(ws, adapter.transform(make_transform((x, y), 0)))
    across, down = round(x * 32), round(y * 32)
    there = (slice(max(down, 0), 32 + min(down, 0)), slice(max(across, 0), 32 + min(across, 0)))
    here = (slice(max(-down, 0), 32 + min(-down, 0)), slice(max(-across, 0), 32 + min(-across, 0)))
    deviation = float(still.std())
    assert psnr_db(moved[:, :, *there], still[:, :, *here], deviation=deviation) > 40
    assert psnr_db(moved[:, :, *here], still[:, :, *there], deviation=deviation) < 20


def test_positive_degrees_turn_the_picture_against_the_clock():
    adapter = wrap(small_ladder('R', resolution=32))
    ws = latents(adapter)
    still = adapter.synthesize(ws)
    turned = adapter.synthesize(ws, adapter.transform(make_transform((0, 0), 90)))
    assert psnr_db(turned, torch.rot90(still, 1, (2, 3)), deviation=float(still.std())) > 80


def test_scaling_zooms_into_the_centre():
    adapter = wrap(small_ladder('T', resolution=32, width=16))
    ws = latents(adapter)
    input_layer = adapter.module.get_submodule('synthesis.input')
    seen: list[Tensor] = []
    input_layer.register_forward_hook(lambda module, args, x: seen.append(x))
    adapter.synthesize(ws)
    adapter.synthesize(ws, adapter.transform(torch.diag(torch.tensor([2.0, 2.0, 1.0]))))
    plain, zoomed = seen
    # At twice the size, the sample half a step from the centre shows what was a quarter of a step away; in odd
    # multiples, sample 2k + 1 from the centre lies exactly between samples k and k + 1 of the plain features.
    between = plain[..., 9:27, 9:27]
    coarse = zoomed.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    assert float(((coarse - between).square().mean() / between.square().mean()).sqrt()) < 0.05


def test_a_transform_that_cannot_be_inverted_is_refused():
    adapter = wrap(small_ladder(resolution=16))
    with pytest.raises(ValueError, match='cannot be inverted'):
        adapter.transform(torch.diag(torch.tensor([0.0, 1.0, 1.0])))
    with pytest.raises(ValueError, match=r'\(2, 3\)'):
        adapter.transform(torch.zeros(2, 3))


def test_stylegan2_says_why_it_cannot_be_moved():
    adapter = wrap(small_stylegan2())
    with pytest.raises(ValueError, match='learned constant'):
        adapter.transform(torch.eye(3))


def test_random_noise_follows_its_seed_and_nothing_else():
    adapter = wrap(small_stylegan2())
    ws = latents(adapter, count=2)
    state = torch.get_rng_state()
    first = adapter.synthesize(ws, noise='random', noise_seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.randn(3)
    assert torch.equal(adapter.synthesize(ws, noise='random', noise_seed=5), first)
    assert not torch.equal(adapter.synthesize(ws, noise='random', noise_seed=6), first)


def test_the_noise_of_a_picture_does_not_depend_on_its_batch():
    adapter = wrap(small_stylegan2())
    ws = latents(adapter, count=3)
    together = adapter.synthesize(ws, noise='random', noise_seed=5)
    alone = adapter.synthesize(ws[:1], noise='random', noise_seed=5)
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-4)


def test_neighbouring_seeds_share_no_noise():
    from networks.adapters.parts import seeded_noise

    draws = [seeded_noise(seed) for seed in (0, 1)]
    maps = [draw((1, 1, 4, 4)) for draw in draws for _ in range(20)]
    assert len({tuple(one.flatten().tolist()) for one in maps}) == 40


def test_z_in_double_precision_gives_the_same_latent():
    adapter = wrap(small_ladder(resolution=16))
    z = torch.randn(1, 16, dtype=torch.float64)
    assert torch.equal(adapter.latents(z), adapter.latents(z.float()))


def test_no_class_means_class_zero_and_a_wrong_one_is_named():
    adapter = wrap(small_stylegan2(c_dim=3))
    z = torch.randn(1, 16)
    assert torch.equal(adapter.latents(z), adapter.latents(z, 0))
    assert not torch.equal(adapter.latents(z), adapter.latents(z, 2))
    with pytest.raises(ValueError, match='no class 3'):
        adapter.latents(z, 3)


def test_capabilities_and_reasons_cover_each_other():
    for make in FAMILIES.values():
        info = wrap(make()).info
        named = {name for name, _ in info.missing}
        assert not named & info.capabilities
        assert named | info.capabilities == {'transform', 'filters', 'noise', 'truncation', 'style_mixing', 'classes'}


def test_the_average_is_the_mapping_networks():
    adapter = wrap(small_ladder(resolution=16))
    assert adapter.average() is adapter.module.get_buffer('mapping.w_avg')


@pytest.mark.parametrize(
    ('rung', 'title'),
    [('T', 'StyleGAN3-T 16 px'), ('R', 'StyleGAN3-R 16 px'), ('E', 'StyleGAN3 ladder, rung E, 16 px')],
)
def test_the_title_is_the_papers_name(rung: str, title: str):
    assert wrap(small_ladder(rung, resolution=16)).info.title == title


def test_wrap_chooses_the_family():
    assert isinstance(wrap(small_ladder(resolution=16)), StyleGAN3Adapter)
    assert isinstance(wrap(small_stylegan2(resolution=16)), StyleGAN2Adapter)


def test_a_generator_without_noise_inputs_says_so():
    generator = StyleGAN2(8, 0, 8, 8, 3, channel_base=32, channel_max=4, use_noise=False)
    adapter = wrap(generator)
    assert 'without noise' in str(adapter.info.why_not('noise'))
    assert adapter.synthesize(latents(adapter), noise='random').shape == (1, 3, 8, 8)

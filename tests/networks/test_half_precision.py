"""The float16 path, which runs on GPUs only, forced on the CPU: right types everywhere, and close to float32."""

import pytest
import torch

from networks import discriminator, stylegan2, stylegan3
from tests.networks.small import small_ladder, small_stylegan2


@pytest.fixture
def half_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers marked for float16 use it although this is no GPU."""
    for module in (stylegan2, stylegan3, discriminator):
        monkeypatch.setattr(module, 'runs_in_half', lambda marked, x, float32: marked and not float32)


def dtypes(network: torch.nn.Module, names: tuple[str, ...]) -> dict[str, torch.dtype]:
    """Fills itself with the type of each named submodule's output while the network runs."""
    seen: dict[str, torch.dtype] = {}
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.update(
                {name: (output[0] if isinstance(output, tuple) else output).dtype}
            )
        )
    return seen


@pytest.mark.parametrize('rung', ['E', 'G', 'T', 'R'])
def test_the_highest_rates_of_stylegan3_run_in_half_precision(rung: str, half_everywhere: None):
    generator = small_ladder(rung, resolution=64, num_fp16_res=2)
    records = generator.synthesis.schedule.layers
    seen = dtypes(generator.synthesis, generator.synthesis.layer_names)
    ws = generator.mapping(torch.randn(1, 16))
    half = generator.synthesis(ws)
    assert seen == {one.name: torch.float16 if one.rate >= 32 else torch.float32 for one in records}
    full = generator.synthesis(ws, float32=True)
    assert set(seen.values()) == {torch.float32}
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0, atol=0.02 * float(full.abs().max()))


@pytest.mark.parametrize('architecture', ['skip', 'resnet', 'orig'])
def test_the_highest_sides_of_stylegan2_run_in_half_precision(architecture: str, half_everywhere: None):
    generator = small_stylegan2(architecture, resolution=64)
    seen = dtypes(generator.synthesis, ('b4', 'b8', 'b64.conv1'))
    ws = generator.mapping(torch.randn(1, 16))
    half = generator.synthesis(ws, noise_mode='constant')
    assert seen == {'b4': torch.float32, 'b8': torch.float16, 'b64.conv1': torch.float16}
    full = generator.synthesis(ws, noise_mode='constant', float32=True)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0, atol=0.02 * float(full.abs().max()))


@pytest.mark.parametrize('architecture', ['skip', 'resnet', 'orig'])
def test_the_discriminator_ends_in_full_precision(architecture: str, half_everywhere: None):
    torch.manual_seed(0)
    judge = discriminator.Discriminator(
        0, 32, 3, architecture=architecture, channel_base=256, channel_max=16, num_fp16_res=2
    ).requires_grad_(False)
    seen = dtypes(judge, ('b32', 'b16', 'b8', 'b4'))
    image = torch.randn(4, 3, 32, 32)
    half = judge(image)
    assert seen == {'b32': torch.float16, 'b16': torch.float16, 'b8': torch.float32, 'b4': torch.float32}
    torch.testing.assert_close(half, judge(image, float32=True), rtol=0.02, atol=0.02)


def test_on_the_cpu_nothing_runs_in_half_precision():
    generator = small_ladder('T', resolution=16)
    seen = dtypes(generator.synthesis, generator.synthesis.layer_names)
    generator(torch.randn(1, 16))
    assert set(seen.values()) == {torch.float32}

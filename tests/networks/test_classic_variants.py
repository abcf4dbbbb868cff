"""Twins of StyleGAN2's layers: noise off, non-linearity filtered; the original stays as it is."""

import pytest
import torch

from analysis.diagnosis_facts import Cure
from networks.classic_variants import FilteredLayer, filtered, without_noise
from networks.config import StyleGAN2Config
from networks.sources import open_model
from networks.stylegan2 import SynthesisLayer
from ops.bias_act import bias_act
from render.diagnose_cures import cured

SIDE = 32


def layer() -> SynthesisLayer:
    torch.manual_seed(0)
    made = SynthesisLayer(4, 4, 8, SIDE, 1, StyleGAN2Config())
    torch.nn.init.constant_(made.noise_strength, 0.7)
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize('factor', [2, 4])
def test_a_smooth_signal_passes_the_filtered_non_linearity_unmoved(factor: int) -> None:
    made = layer()
    y, x = torch.meshgrid(torch.arange(float(SIDE)), torch.arange(float(SIDE)), indexing='ij')
    bump = torch.exp(-((x - 15.3) ** 2 + (y - 17.1) ** 2) / 18).expand(1, 4, SIDE, SIDE)
    plain, smooth = bias_act(bump, made.bias, act='lrelu'), filtered(made, factor).activate(bump, 1.0)
    inside = (..., slice(8, 24), slice(8, 24))
    assert smooth.shape == plain.shape
    torch.testing.assert_close(smooth[inside], plain[inside], rtol=0, atol=0.02)
    moved = torch.roll(plain, 1, dims=-1)
    assert (smooth - moved)[inside].abs().max() > 0.1  # a shift would be seen


def test_the_filtered_non_linearity_folds_less() -> None:
    made = layer()
    phase = torch.arange(SIDE) * 11 / SIDE
    wave = torch.sin(2 * torch.pi * (phase[None, :] + 0.1)).expand(1, 4, SIDE, SIDE)
    # The third harmonic of 11 cycles would fold to 1 cycle, the second to 10.
    power = [
        torch.fft.rfft(one[0, 0, SIDE // 2]).abs()[10]
        for one in (bias_act(wave, made.bias, act='lrelu'), filtered(made, 4).activate(wave, 1.0))
    ]
    assert power[1] < 0.3 * power[0]


def test_cures_of_one_layer_add_up_and_leave_the_network_alone() -> None:
    generator = open_model('demo:aliased')
    name = next(one.name for one in generator.info.layers if one.label == 'b16.conv1')
    before = generator.module.get_submodule(name)
    better = cured(generator, [Cure('b16.conv1', without_noise=True), Cure('b16.conv1', oversampling=2)])
    after = better.module.get_submodule(name)
    assert isinstance(after, FilteredLayer) and not after.use_noise
    assert generator.module.get_submodule(name) is before and before.use_noise and type(before) is SynthesisLayer


def test_without_noise_is_the_layer_at_strength_zero() -> None:
    made = layer()
    quiet = without_noise(made)
    torch.nn.init.zeros_(made.noise_strength)
    generator = torch.Generator().manual_seed(1)
    x, w = torch.randn(1, 4, SIDE, SIDE, generator=generator), torch.randn(1, 8, generator=generator)
    from networks.stylegan2 import NoisePlan

    plan = NoisePlan('constant', 0)
    assert torch.equal(quiet(x, w, plan), made(x, w, plan))

"""Networks small enough for tests, and what several tests measure on them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from networks.config import ladder_keywords
from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator as StyleGAN3


def small_ladder(rung: str = 'T', *, resolution: int = 32, width: int = 8, seed: int = 0, **keywords: Any) -> StyleGAN3:
    """A generator of a rung with `width` channels everywhere and random weights, its magnitudes calibrated on one batch."""
    torch.manual_seed(seed)
    sizes = {'channel_base': width * resolution, 'channel_max': width, 'magnitude_ema_beta': 0.0}
    options = {**ladder_keywords(rung, resolution), **sizes, **keywords}
    generator = StyleGAN3(16, 0, 16, resolution, 3, **options).eval().requires_grad_(False)
    generator(torch.randn(2, 16), update_emas=True)
    return generator


def small_stylegan2(architecture: str = 'skip', *, resolution: int = 32, c_dim: int = 0, seed: int = 0) -> StyleGAN2:
    """A StyleGAN2 with 8 channels and random weights, biases and noise strengths."""
    torch.manual_seed(seed)
    generator = StyleGAN2(
        16, c_dim, 16, resolution, 3, channel_base=8 * resolution, channel_max=8, architecture=architecture
    )
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith(('bias', 'noise_strength')):
                parameter += 0.3 * torch.randn_like(parameter)
    return generator.eval().requires_grad_(False)


def parameter_count(module: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in module.parameters())


def psnr_db(a: Tensor, b: Tensor, *, deviation: float) -> float:
    """Peak signal-to-noise ratio for a range of 2, with both pictures scaled from `deviation` to 0.5."""
    error = ((a - b).double() * (0.5 / deviation)).square().mean()
    return float(10 * torch.log10(4 / error.clamp(min=1e-30)))


def padded_with_zeros(taps: Tensor, count: int) -> Tensor:
    """The same filter with `count` zeros on every side: other lengths, same response."""
    return nn.functional.pad(taps, (count, count) * taps.ndim)


def same_buffers(module: nn.Module, before: Mapping[str, Tensor]) -> bool:
    """Whether all tensors of `module` are bit-identical to `before`."""
    return all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())

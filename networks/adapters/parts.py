"""What the adapters of the StyleGAN families have in common."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from networks.mapping import MappingNetwork
from networks.stylegan2 import NoiseDraw

NOISE_STRIDE = 1009
"""Seeds of neighbouring noise seeds are this far apart: more than any network has layers."""


def mapped_latents(mapping: MappingNetwork, z: Tensor, class_index: int | None) -> Tensor:
    """Latents [batch, num_ws, w_dim] of z [batch, z_dim], without truncation, on the network's device."""
    device = next(mapping.parameters()).device
    c = None
    if mapping.c_dim > 0:
        index = 0 if class_index is None else class_index
        if not 0 <= index < mapping.c_dim:
            raise ValueError(f'this model has the classes 0 to {mapping.c_dim - 1}, so there is no class {index}')
        c = torch.zeros(z.shape[0], mapping.c_dim, device=device)
        c[:, index] = 1
    return mapping(z.to(device), c)


def synthesize_with(
    generator: nn.Module, overrides: Mapping[str, Tensor] | None, latents: Tensor, options: Mapping[str, Any]
) -> Tensor:
    """`generator.synthesis(latents, **options)` with buffers replaced for this call only, whatever happens inside.

    `overrides`: buffer name, as seen from the generator -> tensor. Raises `ValueError` for a name that is no buffer.
    """
    synthesis = generator.get_submodule('synthesis')
    prefix = 'synthesis.'
    buffers = dict(synthesis.named_buffers())
    replaced = {}
    for name, tensor in (overrides or {}).items():
        if not name.startswith(prefix) or name.removeprefix(prefix) not in buffers:
            raise ValueError(f'this generator has no buffer {name!r} to replace')
        own = buffers[name.removeprefix(prefix)]
        replaced[name.removeprefix(prefix)] = tensor.to(own.device, own.dtype)
    latents = latents.to(next(synthesis.parameters()).device)
    return functional_call(synthesis, replaced, (latents,), dict(options))


def inverse_transform(matrix: Tensor, like: Tensor) -> Tensor:
    """The inverse of `matrix` [3, 3], on the device and in the type of `like`: the networks ask where each point comes from.

    Raises `ValueError` when there is none.
    """
    if tuple(matrix.shape) != (3, 3):
        raise ValueError(f'a transform must be a [3, 3] matrix, got {tuple(matrix.shape)}')
    inverse, failed = torch.linalg.inv_ex(matrix.to('cpu', torch.float64))
    if failed or not inverse.isfinite().all():
        raise ValueError('the transform squeezes the picture to nothing and cannot be inverted; use a larger scale')
    return inverse.to(like.device, like.dtype)


def seeded_noise(seed: int) -> NoiseDraw:
    """Unit normal noise that depends on the seed and on the position of the layer only: the same on every device,
    for every batch size, and without touching the global generators."""
    generator = torch.Generator()
    layer = 0

    def draw(shape: tuple[int, int, int, int]) -> Tensor:
        nonlocal layer
        generator.manual_seed((seed * NOISE_STRIDE + layer) % 2**63)
        layer += 1
        return torch.randn(shape, generator=generator)

    return draw


def official_keywords(generator: Any) -> tuple[tuple[str, object], ...]:
    """The configuration of a generator under official keywords, in reading order; nested ones as 'mapping_kwargs.NAME'."""
    names = ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels')
    own = [(name, getattr(generator, name)) for name in names]
    mapping = [(f'mapping_kwargs.{name}', value) for name, value in asdict(generator.mapping.config).items()]
    return *own, *asdict(generator.synthesis.config).items(), *mapping


def has_average(generator: Any) -> bool:
    """Whether the mapping network keeps an average latent."""
    return 'w_avg' in dict(generator.mapping.named_buffers())


def parameter_count(module: nn.Module) -> int:
    """Numbers that training adjusts; buffers do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


NO_CLASSES = 'This model was trained without classes.'
NO_AVERAGE = 'This model keeps no average latent to truncate towards.'

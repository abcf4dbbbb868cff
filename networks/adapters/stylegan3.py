"""StyleGAN3 generators, and the rungs E to H of the paper's ladder, as the renderer sees them."""

from collections.abc import Mapping
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
    synthesize_with,
)
from networks.config import AliasFreeConfig
from networks.info import Capability, FilterInfo, GeneratorInfo, LayerInfo
from networks.parts import part_modules, shapes_of, spared
from networks.schedule import LayerRecord
from networks.stylegan3 import Generator

_TRANSFORM = 'synthesis.input.transform'
_MISSING: tuple[tuple[Capability, str], ...] = (
    ('noise', 'StyleGAN3 has no noise inputs: noise that sticks to the pixels would keep texture from moving.'),
    ('classes', NO_CLASSES),
    ('truncation', NO_AVERAGE),
)


@final
class StyleGAN3Adapter(Inspectable):
    """Answers for a `networks.stylegan3.Generator`, which it puts into evaluation mode with gradients off."""

    def __init__(self, module: Generator, *, title: str | None = None, notes: tuple[str, ...] = ()) -> None:
        """Give it the averaged weights of a training run or a copy, not the network that is being trained."""
        self.module = module.eval().requires_grad_(False)
        self.info = _describe(module, title, notes)

    @property
    def generator(self) -> Generator:
        """The network."""
        return cast(Generator, self.module)

    def latents(self, z: Tensor, class_index: int | None = None) -> Tensor:
        """See `Inspectable.latents`."""
        return mapped_latents(self.generator.mapping, z, class_index)

    def synthesize(
        self,
        latents: Tensor,
        overrides: Mapping[str, Tensor] | None = None,
        *,
        noise: NoiseMode = 'constant',
        noise_seed: int = 0,
        float32: bool = False,
    ) -> Tensor:
        """See `Inspectable.synthesize`; there is no noise to choose. Replaced filters may have any number of taps."""
        return synthesize_with(self.generator, overrides, latents, {'float32': float32})

    def why_no_parts(self) -> str | None:
        """See `Inspectable.why_no_parts`."""
        shapes = shapes_of(self.module)
        return shapes if isinstance(shapes, str) else None

    def part(self, columns: tuple[int, int], rows: tuple[int, int]) -> tuple[Self, float]:
        """See `Inspectable.part`."""
        modules = part_modules(self.generator, columns, rows)
        twin = self.with_submodules(modules, self.info, changes=self.changes)
        return twin, spared(self.generator, twin.generator)

    def average(self) -> Tensor | None:
        """The average latent [w_dim], or None."""
        return cast(Tensor, self.generator.mapping.w_avg) if has_average(self.generator) else None

    def filters(self) -> Mapping[str, Tensor]:
        """Buffer name -> taps, [taps] or radial [taps, taps]."""
        buffers = dict(self.module.named_buffers())
        listed = [info.buffer for layer in self.info.layers for info in layer.filters]
        return {name: buffers[name] for name in listed if name in buffers}  # a module changed by hand may lack some

    def transform(self, matrix: Tensor) -> Mapping[str, Tensor]:
        """Overrides that move the picture by `matrix`; the network asks where each point comes from, so it gets the inverse."""
        return {_TRANSFORM: inverse_transform(matrix, self.generator.synthesis.input.weight)}


def _describe(module: Generator, title: str | None, notes: tuple[str, ...]) -> GeneratorInfo:
    capabilities: set[Capability] = {'transform', 'filters', 'style_mixing'}
    if has_average(module):
        capabilities.add('truncation')
    if module.c_dim > 0:
        capabilities.add('classes')
    return GeneratorInfo(
        family='stylegan3',
        title=title or f'{_name(module.synthesis.config)} {module.img_resolution} px',
        resolution=module.img_resolution,
        image_channels=module.img_channels,
        z_dim=module.z_dim,
        w_dim=module.w_dim,
        num_ws=module.num_ws,
        class_count=module.c_dim,
        parameters=parameter_count(module),
        config=official_keywords(module),
        layers=_layers(module),
        capabilities=frozenset(capabilities),
        missing=tuple((name, reason) for name, reason in _MISSING if name not in capabilities),
        notes=notes,
    )


def _name(config: AliasFreeConfig) -> str:
    """The paper's name for a configuration, as far as it has one."""
    if config.rung is not None:
        return f'StyleGAN3 ladder, rung {config.rung},'
    if config.conv_kernel == 1 and config.use_radial_filters:
        return 'StyleGAN3-R'
    return 'StyleGAN3-T' if config.conv_kernel == 3 and not config.use_radial_filters else 'StyleGAN3'


def _layers(module: Generator) -> tuple[LayerInfo, ...]:
    schedule = module.synthesis.schedule
    features = schedule.input
    cuda = next(module.parameters()).device.type == 'cuda'
    first = LayerInfo(
        name='synthesis.input',
        label='input',
        channels=features.channels,
        height=features.size,
        width=features.size,
        rate=features.rate,
        cutoff=features.bandwidth,
        margin=(features.size - int(features.rate)) // 2,
        styles=(0,) if features.affine else (),
    )
    row = int(features.affine)
    return first, *(_layer(record, row + record.index, cuda=cuda) for record in schedule.layers)


def _layer(record: LayerRecord, row: int, *, cuda: bool) -> LayerInfo:
    return LayerInfo(
        name=f'synthesis.{record.name}',
        label=record.name,
        channels=record.channels,
        height=record.size,
        width=record.size,
        dtype='float16' if record.half_precision and cuda else 'float32',
        rate=record.rate,
        cutoff=record.cutoff,
        stopband=record.stopband,
        half_width=record.half_width,
        up_factor=record.up_factor,
        down_factor=record.down_factor,
        margin=record.margin,
        styles=(row,),
        filters=filter_infos(record, f'synthesis.{record.name}'),
    )


def filter_infos(record: LayerRecord, name: str) -> tuple[FilterInfo, ...]:
    """The filters of a layer that follows `record`; `name`: its module path."""
    found = []
    if record.up_taps > 1:
        found.append(
            FilterInfo(
                buffer=f'{name}.up_filter',
                direction='up',
                factor=record.up_factor,
                taps=record.up_taps,
                rate=record.rate_inside,
                cutoff=record.cutoff_in,
                half_width=record.half_width_in,
            )
        )
    if record.down_taps > 1:
        found.append(
            FilterInfo(
                buffer=f'{name}.down_filter',
                direction='down',
                factor=record.down_factor,
                taps=record.down_taps,
                rate=record.rate_inside,
                cutoff=record.cutoff,
                half_width=record.half_width,
                radial=record.radial,
            )
        )
    return tuple(found)

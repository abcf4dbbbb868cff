"""Tried combinations of options, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from networks.config import AliasFreeConfig, DiscriminatorConfig, MappingConfig, StyleGAN2Config
from training.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Preset:
    """A tried combination of options."""

    summary: str
    config: TrainConfig = field(default_factory=TrainConfig)


_TWIN = TrainConfig(
    kimg=40.0,
    batch=8,
    generator=AliasFreeConfig(
        channel_base=1280,
        channel_max=80,
        num_layers=7,
        first_cutoff=8.0,  # ground has no large shapes, and from waves this fine its grain is learned sooner
        first_stopband=11.0,
        margin_size=8,
    ),
    stylegan2=StyleGAN2Config(channel_base=2048, channel_max=44, fourier_bandwidth=2.0),
    mapping=MappingConfig(num_layers=2),
    judge='projected',
    z_dim=64,
    w_dim=128,
    generator_rate=0.002,
    discriminator_rate=0.008,
    r1_gamma=0.02,
    ema_kimg=4.0,
    magnitude_ema_kimg=0.5,
    range_weight=5.0,
    reuse_fakes=True,
    quarter_turns=True,
    class_balance=0.5,
    snapshot_kimg=2.0,
    tick_kimg=0.4,
)
"""What the two twins have in common: all but the architecture."""

_PAPER = TrainConfig(
    preset='stylegan3-t',
    kimg=25_000.0,
    batch=32,
    generator=AliasFreeConfig(channel_base=32768, channel_max=512),
    mapping=MappingConfig(num_layers=2),
    discriminator=DiscriminatorConfig(channel_base=32768, channel_max=512, mbstd_group_size=4),
    generator_rate=0.0025,
    discriminator_rate=0.002,
    ema_kimg=10.0,
    magnitude_ema_kimg=20.0,
    snapshot_kimg=200.0,
)
"""T as in Fig. 16, "Datasets B, T, R" (from 512 pixels on; at 256 use a batch of 64 and half of the channel_base)."""

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        'stylegan3-t': Preset(
            "StyleGAN3-T with the paper's numbers (Fig. 16): translation equivariance; for GPUs",
            _PAPER,
        ),
        'stylegan3-r': Preset(
            "StyleGAN3-R with the paper's numbers: rotation equivariance too, at twice the cost; for GPUs",
            replace(
                _PAPER,
                preset='stylegan3-r',
                generator=AliasFreeConfig(channel_base=65536, channel_max=1024, conv_kernel=1, use_radial_filters=True),
                blur_sigma=10.0,  # without it, R is prone to collapse early
            ),
        ),
        'stylegan2': Preset(
            "StyleGAN2 with the paper's numbers: the baseline whose texture sticks; for GPUs",
            replace(
                _PAPER,
                preset='stylegan2',
                architecture='stylegan2',
                mapping=MappingConfig(num_layers=8),
                generator_rate=0.002,
                style_mixing=0.9,
                path_length_weight=2.0,
            ),
        ),
        'demo': Preset(
            'the bundled demo: StyleGAN3-T for 64 px ground textures, small enough to learn on a CPU',
            TrainConfig(
                preset='demo',
                kimg=9.576,
                batch=8,
                generator=AliasFreeConfig(
                    channel_base=1024,
                    channel_max=32,
                    num_layers=6,
                    first_cutoff=8.0,  # ground has no large shapes: waves this fine give it grain without stripes
                    first_stopband=11.0,
                    margin_size=8,
                ),
                mapping=MappingConfig(num_layers=2),
                discriminator=DiscriminatorConfig(channel_base=1280, channel_max=64),
                discriminator_mapping_layers=2,
                z_dim=64,
                w_dim=128,
                generator_rate=0.0025,
                discriminator_rate=0.0025,
                r1_gamma=0.2,
                ema_kimg=3.0,
                magnitude_ema_kimg=2.0,
                reuse_fakes=True,
                quarter_turns=True,
                class_balance=0.5,
                snapshot_kimg=4.0,
                tick_kimg=0.5,
            ),
        ),
        'twin-aliased': Preset(
            'the aliased twin: Fourier features, then all as in StyleGAN2: texture sticks (64 px, for a CPU)',
            replace(_TWIN, preset='twin-aliased', architecture='stylegan2'),
        ),
        'twin-alias-free': Preset(
            'the alias-free twin: StyleGAN3-T on the same images with the same seed (64 px, for a CPU)',
            replace(_TWIN, preset='twin-alias-free'),
        ),
    }
)

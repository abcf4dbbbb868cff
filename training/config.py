"""Everything that decides a training run, as one frozen value, and the presets."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from networks.config import AliasFreeConfig, DiscriminatorConfig, MappingConfig, StyleGAN2Config

_NOT_OF_THE_RUN = (
    *('data', 'out', 'kimg', 'device', 'threads', 'snapshot_kimg', 'tick_kimg', 'verbose'),
    *('workers', 'tensorboard', 'snapshot_samples'),
)
"""Fields that may change between two starts of the same run: how long, where and how often, but not what is learned."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Options of a training run."""

    data: Path = Path()
    """ZIP of square images of one size; labels in its dataset.json, if any."""
    out: Path = Path('runs')
    """Folder of runs. The run gets a folder of its own in there; the same command again continues it."""
    kimg: float = 1000.0
    """How long to train, in thousands of real images shown to the discriminator."""
    batch: int = 32
    """Images per step."""
    seed: int = 0
    """Decides the first weights, the order of the images and every random draw."""
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'
    """Where to train; auto = the GPU if there is one."""
    threads: int = 0
    """CPU threads of torch; 0 = torch's own choice."""
    preset: str = 'custom'
    """Name of the preset, part of the run's folder name."""

    architecture: Literal['stylegan3', 'stylegan2'] = 'stylegan3'
    """Which synthesis network learns: the one that --generator describes, or the one of --stylegan2."""
    generator: AliasFreeConfig = field(default_factory=AliasFreeConfig)
    """Synthesis network of StyleGAN3."""
    stylegan2: StyleGAN2Config = field(default_factory=StyleGAN2Config)
    """Synthesis network of StyleGAN2."""
    mapping: MappingConfig = field(default_factory=lambda: MappingConfig(num_layers=2))
    """Mapping network of the generator."""
    judge: Literal['stylegan2', 'projected'] = 'stylegan2'
    """Which discriminator: the papers', or small heads on fixed features of photographs (Sauer et al. 2021), which need a
    thousandth of the images and are no part of the papers."""
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    """Discriminator of the papers."""
    projected_width: int = 64
    """Channels of the projected discriminator's heads."""
    discriminator_mapping_layers: int = 8
    """Layers that map the class inside the discriminator."""
    z_dim: int = 512
    """Numbers in a latent z."""
    w_dim: int = 512
    """Numbers in a latent w."""
    conditional: bool = True
    """Learn the classes, if the data has labels."""

    generator_rate: float = 0.0025
    """Learning rate of the generator."""
    discriminator_rate: float = 0.002
    """Learning rate of the discriminator."""
    r1_gamma: float = 1.0
    """Weight of the R1 penalty; the paper's rule is 0.0002 to 0.005 times pixels / batch."""
    r1_interval: int = 16
    """Steps from one R1 penalty to the next (lazy regularization)."""
    ema_kimg: float = 10.0
    """Half-life of the averaged generator's weights, in thousands of images."""
    ema_rampup: float = 0.05
    """The half-life is at most this part of the images seen so far."""
    magnitude_ema_kimg: float = 20.0
    """Half-life of the tracked signal magnitudes, in thousands of images."""
    range_weight: float = 0.0
    """Weight of a penalty on pixels outside [-1, 1]; the projected discriminator needs one, as its features saturate there."""
    reuse_fakes: bool = False
    """Train both networks on the same generated images: saves one of two generator passes, and is not the paper's way."""
    x_flips: bool = True
    """Show images mirrored half of the time."""
    quarter_turns: bool = False
    """Show images turned by 0, 90, 180 or 270 degrees: right for pictures without an up and down only."""
    class_balance: float = 0.0
    """0 = images as often as they are; 1 = all classes equally often; between: class size to the power of 1 - this."""

    snapshot_kimg: float = 50.0
    """Thousands of images from one snapshot to the next."""
    tick_kimg: float = 4.0
    """Thousands of images from one line of statistics to the next."""
    snapshot_samples: int = 32
    """Latents over which each snapshot's EQ-T, EQ-R and average spectrum are measured, without any downloaded network; 0 = none,
    and no latent walk either."""
    tensorboard: bool = True
    """Write TensorBoard's files too, if the package tensorboard is installed."""
    workers: int | None = None
    """Processes that read images ahead; 0 = the training process itself. Without it: 2 with a GPU, else 0."""
    verbose: bool = False
    """Show the traceback of an error."""

    def as_json(self) -> str:
        """All options, as they are written to the run's config.json."""
        return json.dumps(asdict(self), indent=2, default=str) + '\n'

    def identity(self) -> dict[str, Any]:
        """The options that must be equal for a run to be continued, in JSON types; the data by its name."""
        values = json.loads(self.as_json())
        kept = {name: value for name, value in values.items() if name not in _NOT_OF_THE_RUN}
        return {**kept, 'data': self.data.name}


@dataclass(frozen=True, slots=True)
class Preset:
    """A tried combination of options."""

    summary: str
    config: TrainConfig = field(default_factory=TrainConfig)


_TWIN = TrainConfig(
    kimg=60.0,
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
    generator_rate=0.004,
    discriminator_rate=0.004,
    r1_gamma=0.02,
    ema_kimg=2.0,
    magnitude_ema_kimg=0.5,
    range_weight=5.0,
    reuse_fakes=True,
    quarter_turns=True,
    class_balance=0.5,
    snapshot_kimg=2.0,
    tick_kimg=0.4,
)
"""What the two twins have in common: all but the architecture."""

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
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

"""Everything that decides a training run, as one frozen value, and the presets."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from networks.config import AliasFreeConfig, DiscriminatorConfig, MappingConfig, StyleGAN2Config

_NOT_OF_THE_RUN = (
    *('data', 'out', 'kimg', 'device', 'threads', 'snapshot_kimg', 'tick_kimg', 'verbose'),
    *('workers', 'tensorboard', 'snapshot_samples', 'dry_run', 'state_minutes'),
)
"""Fields that may change between two starts of the same run: how long, where and how often, but not what is learned."""


GAMMA_RULE = 0.0002
"""gamma = this times pixels / batch (Karras et al. 2020 b, Appendix C; its factor in the preset 'auto')."""


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
    """Which discriminator: the papers', or small heads on fixed features of photographs (Sauer et al. 2021), which need far
    fewer images and are no part of the papers."""
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
    fp16: Literal['auto', 'on', 'off'] = 'auto'
    """Half precision in the highest resolutions of both networks (num_fp16_res of each): auto = on a GPU; never on a CPU."""
    resume_from: Path | None = None
    """Begin with the weights of a model: an official snapshot (.pkl), one of ours, or the folder of another run. What fits is
    taken and listed; the optimizers begin anew. (A run is continued by its own command, not by this.)"""
    conditional: bool = True
    """Learn the classes, if the data has labels."""

    generator_rate: float = 0.0025
    """Learning rate of the generator."""
    discriminator_rate: float = 0.002
    """Learning rate of the discriminator."""
    r1_gamma: float | None = None
    """Weight of the R1 penalty. Without it: 0.0002 times pixels / batch (the paper's rule, with factors up to 0.005): try
    2, 4 and 1/2 times that first when pictures are poor."""
    r1_interval: int = 16
    """Steps from one R1 penalty to the next (lazy regularization)."""
    style_mixing: float = 0.0
    """Probability that a minibatch takes its later layers' latents from other z (StyleGAN2: 0.9)."""
    path_length_weight: float = 0.0
    """Weight of path length regularization (StyleGAN2: 2); 0 = none."""
    path_length_interval: int = 4
    """Steps from one path length penalty to the next."""
    blur_sigma: float = 0.0
    """Everything the discriminator sees is blurred by this many pixels at first (StyleGAN3-R: 10); not after --resume-from."""
    blur_fade_kimg: float = 200.0
    """Thousands of images over which the blur goes down to 0."""
    augment: Literal['none', 'ada', 'fixed'] = 'none'
    """Random changes of all the discriminator sees, for sets of less than about 100,000 images: none; as many as keep it from
    learning the set by heart (ADA); or a fixed share of --augment-p."""
    augment_groups: Literal['b', 'bg', 'bgc', 'bgcf', 'bgcfn', 'bgcfnc'] = 'bgc'
    """Which: blitting, geometry, colour, filters, noise, cutout."""
    augment_p: float = 0.2
    """How often each change happens with --augment fixed."""
    ada_target: float = 0.6
    """What the mean sign of the scores of real images should be with --augment ada."""
    ada_interval: int = 4
    """Steps from one adjustment of ADA to the next."""
    ada_kimg: float = 500.0
    """Thousands of images in which ADA can go from 0 to 1."""
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
    state_minutes: float = 15.0
    """Minutes from one saved state to the next, beside those of snapshots: what a crash can cost at most."""
    tick_kimg: float = 4.0
    """Thousands of images from one line of statistics to the next."""
    snapshot_samples: int = 32
    """Latents over which each snapshot's EQ-T, EQ-R and average spectrum are measured, without any downloaded network; 0 = none,
    and no latent walk either."""
    tensorboard: bool = True
    """Write TensorBoard's files too, if the package tensorboard is installed."""
    workers: int | None = None
    """Processes that read images ahead; 0 = the training process itself. Without it: 2 with a GPU, else 0."""
    dry_run: bool = False
    """Print the plan (networks, memory, time, disk) and train nothing."""
    verbose: bool = False
    """Show the traceback of an error."""

    def total_images(self) -> int:
        """How many images the whole training shows."""
        return int(self.kimg * 1000)

    def gamma(self, side: int) -> float:
        """Weight of the R1 penalty for images of `side` pixels."""
        return GAMMA_RULE * side * side / self.batch if self.r1_gamma is None else self.r1_gamma

    def as_json(self) -> str:
        """All options, as they are written to the run's config.json."""
        return json.dumps(asdict(self), indent=2, default=str) + '\n'

    def identity(self) -> dict[str, Any]:
        """The options that must be equal for a run to be continued, in JSON types; the data by its name."""
        values = json.loads(self.as_json())
        kept = {name: value for name, value in values.items() if name not in _NOT_OF_THE_RUN}
        return {**kept, 'data': self.data.name}

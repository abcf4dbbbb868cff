"""The state of a training: two networks, the averaged generator, two optimizers and how far it has come."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from networks.discriminator import Discriminator
from networks.projected_discriminator import ProjectedDiscriminator
from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator as StyleGAN3
from training.augment import AugmentPipe
from training.augment_options import published_options
from training.config import TrainConfig
from training.draws import Stream, draw_seed
from training.ema import half_life_decay
from training.errors import TrainingError
from training.gan_loss import GanLoss, LossConfig
from training.ranks import ALONE, Ranks
from training.tally import Tally

_ADAM_EPSILON = 1e-8
_ADAM_BETA2 = 0.99
_PATH_LENGTH_MEAN, _STRENGTH, _MEAN_SIGN = 'loss/path_length_mean', 'augment/p', 'augment/mean_sign'

Generator = StyleGAN2 | StyleGAN3


@dataclass(slots=True)
class TrainState:
    """All that changes while training; together with the config it decides every later step."""

    generator: Generator
    discriminator: Discriminator | ProjectedDiscriminator
    average: Generator
    """Moving average of the generator."""
    generator_optimizer: Adam
    discriminator_optimizer: Adam
    loss: GanLoss
    """Of these two networks; holds the mean path length."""
    augment: AugmentPipe | None = None
    """What the loss changes images with; holds its strength."""
    mean_sign: Tensor = field(default_factory=lambda: torch.zeros([], dtype=torch.float64))
    """Sum over the steps since the last adjustment of ADA of the mean sign of D(real)."""
    step: int = 0
    images: int = 0
    """Real images shown so far; also the position in the data."""
    tally: Tally = field(default_factory=Tally)
    """Statistics of the steps since the last report."""
    seconds: float = 0.0
    """Time spent in training, over all starts."""

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state, under names that `load_tensors` knows."""
        found: dict[str, Tensor] = {}
        for name, module in self._modules():
            found |= {f'{name}/{key}': tensor for key, tensor in module.state_dict().items()}
        for name, module, optimizer in self._optimizers():
            for key, parameter in module.named_parameters():
                moments = optimizer.state.get(parameter, {})
                found |= {f'{name}/{moment}/{key}': tensor for moment, tensor in moments.items()}
        return found | self._strengths()

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` of an equal configuration returned. Raises `TrainingError` when it does not fit."""
        try:
            for name, module in self._modules():
                module.load_state_dict(_below(tensors, name))
        except RuntimeError as error:
            raise TrainingError(f'The saved training state does not fit this configuration: {error}') from error
        for name, tensor in self._strengths().items():
            if name in tensors:  # states of earlier versions have none
                tensor.copy_(tensors[name])
        for name, module, optimizer in self._optimizers():
            saved = _below(tensors, name)
            for key, parameter in module.named_parameters():
                moments = {moment: saved.get(f'{moment}/{key}') for moment in ('step', 'exp_avg', 'exp_avg_sq')}
                if all(tensor is not None for tensor in moments.values()):
                    device = parameter.device
                    optimizer.state[parameter] = {
                        moment: tensor.clone().to('cpu' if moment == 'step' else device)
                        for moment, tensor in moments.items()
                        if tensor is not None
                    }

    def _strengths(self) -> dict[str, Tensor]:
        """Single numbers that belong to no network; to be changed in place."""
        found = {_PATH_LENGTH_MEAN: self.loss.path_length_mean}
        if self.augment is not None:
            found |= {_STRENGTH: self.augment.get_buffer('p'), _MEAN_SIGN: self.mean_sign}
        return found

    def _modules(self) -> Iterator[tuple[str, nn.Module]]:
        yield 'G', self.generator
        yield 'D', self.discriminator
        yield 'G_ema', self.average

    def _optimizers(self) -> Iterator[tuple[str, nn.Module, Adam]]:
        yield 'G_adam', self.generator, self.generator_optimizer
        yield 'D_adam', self.discriminator, self.discriminator_optimizer


def generator_keywords(config: TrainConfig, *, side: int, class_count: int) -> dict[str, Any]:
    """The generator's constructor keywords under official names, in JSON types: what a snapshot says about itself."""
    beta = half_life_decay(config.batch, config.magnitude_ema_kimg * 1000)
    half = {} if config.fp16 != 'off' else {'num_fp16_res': 0}
    synthesis = asdict(replace(config.stylegan2, **half))
    if config.architecture == 'stylegan3':
        synthesis = asdict(replace(config.generator, magnitude_ema_beta=beta, **half))
    return {
        'z_dim': config.z_dim,
        'c_dim': class_count,
        'w_dim': config.w_dim,
        'img_resolution': side,
        'img_channels': 3,
        'mapping_kwargs': asdict(config.mapping),
        **synthesis,
    }


def new_state(
    config: TrainConfig, *, side: int, class_count: int, device: torch.device, ranks: Ranks = ALONE
) -> TrainState:
    """The state before the first step; the global random state is left as it was.  `ranks`: who trains together."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw_seed(config.seed, Stream.WEIGHTS, 0))
        try:
            keywords = generator_keywords(config, side=side, class_count=class_count)
            generator = StyleGAN3(**keywords) if config.architecture == 'stylegan3' else StyleGAN2(**keywords)
            discriminator = _discriminator(config, side, class_count)
        except (ValueError, ArithmeticError) as error:
            raise TrainingError(f'The networks cannot be built: {error}') from error
    average = copy.deepcopy(generator).eval().requires_grad_(False).to(device)
    generator, discriminator = generator.to(device), discriminator.to(device)
    augment = _augmentation(config, device)
    loss = GanLoss(generator, discriminator, _loss_config(config, side), augment=augment, ranks=ranks)
    return TrainState(
        generator,
        discriminator,
        average,
        generator_optimizer=_adam(generator, config.generator_rate, _generator_share(config)),
        discriminator_optimizer=_adam(discriminator, config.discriminator_rate, _lazy_share(config.r1_interval)),
        loss=loss,
        augment=augment,
    )


def _loss_config(config: TrainConfig, side: int) -> LossConfig:
    blurred = config.resume_from is None
    return LossConfig(
        r1_gamma=config.gamma(side),
        style_mixing=config.style_mixing,
        path_length_weight=config.path_length_weight,
        blur_initial_sigma=config.blur_sigma if blurred else 0.0,
        blur_fade_kimg=config.blur_fade_kimg if blurred else 0.0,
        range_weight=config.range_weight,
    )


def _augmentation(config: TrainConfig, device: torch.device) -> AugmentPipe | None:
    if config.augment == 'none':
        return None
    pipe = AugmentPipe(**asdict(published_options(config.augment_groups))).to(device)
    pipe.get_buffer('p').fill_(config.augment_p if config.augment == 'fixed' else 0.0)
    return pipe


def _discriminator(config: TrainConfig, side: int, class_count: int) -> Discriminator | ProjectedDiscriminator:
    if config.judge == 'projected':
        return ProjectedDiscriminator(class_count, side, width=config.projected_width)
    mapping = replace(config.mapping, num_layers=config.discriminator_mapping_layers, w_avg_beta=None)
    half = {} if config.fp16 != 'off' else {'num_fp16_res': 0}
    options = {**asdict(config.discriminator), **half, 'mapping_kwargs': asdict(mapping)}
    return Discriminator(class_count, side, 3, **options)


def _generator_share(config: TrainConfig) -> float:
    return _lazy_share(config.path_length_interval) if config.path_length_weight != 0 else 1.0


def _lazy_share(interval: int) -> float:
    """Part of an optimizer's steps that are not lazy regularization (Karras et al. 2020, Appendix B)."""
    return interval / (interval + 1)


def _adam(module: nn.Module, rate: float, share: float) -> Adam:
    return Adam(module.parameters(), lr=rate * share, betas=(0.0, _ADAM_BETA2**share), eps=_ADAM_EPSILON)


def _below(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors whose names start with `name`/, without it."""
    return {key.removeprefix(f'{name}/'): tensor for key, tensor in tensors.items() if key.startswith(f'{name}/')}

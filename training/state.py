"""The state of a training: two networks, the averaged generator, two optimizers and how far it has come."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from networks.discriminator import Discriminator
from networks.projected_discriminator import ProjectedDiscriminator
from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator as StyleGAN3
from training.config import TrainConfig
from training.draws import Stream, draw_seed
from training.ema import half_life_decay
from training.errors import TrainingError

_ADAM_EPSILON = 1e-8
_ADAM_BETA2 = 0.99


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
    step: int = 0
    images: int = 0
    """Real images shown so far; also the position in the data."""
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
        return found

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` of an equal configuration returned. Raises `TrainingError` when it does not fit."""
        try:
            for name, module in self._modules():
                module.load_state_dict(_below(tensors, name))
        except RuntimeError as error:
            raise TrainingError(f'The saved training state does not fit this configuration: {error}') from error
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
    synthesis = asdict(config.stylegan2)
    if config.architecture == 'stylegan3':
        synthesis = asdict(replace(config.generator, magnitude_ema_beta=beta))
    return {
        'z_dim': config.z_dim,
        'c_dim': class_count,
        'w_dim': config.w_dim,
        'img_resolution': side,
        'img_channels': 3,
        'mapping_kwargs': asdict(config.mapping),
        **synthesis,
    }


def new_state(config: TrainConfig, *, side: int, class_count: int, device: torch.device) -> TrainState:
    """The state before the first step. The global random state is left as it was."""
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
    return TrainState(
        generator,
        discriminator,
        average,
        generator_optimizer=_adam(generator, config.generator_rate, 1.0),
        discriminator_optimizer=_adam(discriminator, config.discriminator_rate, _lazy_share(config.r1_interval)),
    )


def _discriminator(config: TrainConfig, side: int, class_count: int) -> Discriminator | ProjectedDiscriminator:
    if config.judge == 'projected':
        return ProjectedDiscriminator(class_count, side, width=config.projected_width)
    mapping = replace(config.mapping, num_layers=config.discriminator_mapping_layers, w_avg_beta=None)
    options = {**asdict(config.discriminator), 'mapping_kwargs': asdict(mapping)}
    return Discriminator(class_count, side, 3, **options)


def _lazy_share(interval: int) -> float:
    """Part of an optimizer's steps that are not lazy regularization (Karras et al. 2020, Appendix B)."""
    return interval / (interval + 1)


def _adam(module: nn.Module, rate: float, share: float) -> Adam:
    return Adam(module.parameters(), lr=rate * share, betas=(0.0, _ADAM_BETA2**share), eps=_ADAM_EPSILON)


def _below(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors whose names start with `name`/, without it."""
    return {key.removeprefix(f'{name}/'): tensor for key, tensor in tensors.items() if key.startswith(f'{name}/')}

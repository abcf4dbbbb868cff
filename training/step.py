"""One training step: the discriminator learns from reals and fakes, the generator from the discriminator."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from networks.stylegan2 import Generator as StyleGAN2
from training.config import TrainConfig
from training.data import Batch
from training.draws import Stream, torch_generator
from training.ema import half_life_decay, ramped_half_life, update_average
from training.errors import TrainingError
from training.losses import discriminator_loss, generator_loss, r1_penalty, range_penalty
from training.random_source import RandomSource, TorchRandom
from training.ranks import Ranks
from training.shares import Share
from training.state import TrainState


@dataclass(frozen=True, slots=True)
class Latents:
    """Inputs of the generator."""

    z: Tensor
    """[batch, z_dim]."""
    classes: Tensor
    """[batch, class count], one-hot."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What one step reports."""

    generator_loss: float
    discriminator_loss: float
    real_share: float
    """Part of the real images that the discriminator takes for real."""
    fake_share: float
    """Part of the fakes that it takes for real."""
    r1: float | None
    """The penalty, in steps that have one."""


def training_step(
    state: TrainState,
    batch: Batch,
    for_discriminator: Latents,
    for_generator: Latents,
    config: TrainConfig,
    share: Share,
) -> Stats:
    """Move `state` one step on and return what happened. Raises `TrainingError` when a loss is not finite.

    With `config.reuse_fakes` the generator is trained on the fakes of `for_discriminator`.  `batch` and latents are the
    rows of `share`; the step is that of the whole minibatch.
    """
    ranks = share.ranks
    reals = batch.images
    # With gradients even where they are not used: without, the CPU's compiled kernels take over as soon as their background
    # compilation is done, so that two equal runs would round differently.
    noise = share.random(TorchRandom(torch_generator(config.seed, Stream.NOISE, state.step)))
    fakes = _fakes(state, for_discriminator, noise, update_emas=True)
    real_scores = state.discriminator(reals, batch.classes)
    fake_scores = state.discriminator(fakes.detach(), for_discriminator.classes)
    loss_d = discriminator_loss(real_scores, fake_scores)
    _learn(state.discriminator_optimizer, loss_d, ranks)
    penalty = _regularize(state, batch, config, ranks) if state.step % config.r1_interval == 0 else None
    if not config.reuse_fakes:
        fakes = _fakes(state, for_generator, noise)
    classes = for_discriminator.classes if config.reuse_fakes else for_generator.classes
    with _frozen(state.discriminator):
        loss_g = generator_loss(state.discriminator(fakes, classes))
        outside = range_penalty(fakes) * config.range_weight if config.range_weight else 0
        _learn(state.generator_optimizer, loss_g + outside, ranks)
    state.step += 1
    state.images += share.batch
    _average(state, config)
    losses = torch.stack([loss_g.detach(), loss_d.detach(), _positive(real_scores), _positive(fake_scores)])
    stats = Stats(*ranks.mean(losses).tolist(), penalty)
    _check_finite(stats, state.step)
    return stats


def _fakes(state: TrainState, latents: Latents, noise: RandomSource, *, update_emas: bool = False) -> Tensor:
    """Pictures of `latents`; StyleGAN2's noise inputs are drawn from `noise`."""
    if isinstance(state.generator, StyleGAN2):
        return state.generator(latents.z, latents.classes, update_emas=update_emas, noise_draw=noise.normal)
    return state.generator(latents.z, latents.classes, update_emas=update_emas)


def _learn(optimizer: torch.optim.Optimizer, loss: Tensor, ranks: Ranks) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    ranks.average_gradients(parameter for group in optimizer.param_groups for parameter in group['params'])
    optimizer.step()


def _regularize(state: TrainState, batch: Batch, config: TrainConfig, ranks: Ranks) -> float:
    """The lazy R1 step, weighted by its interval; returns the penalty."""
    reals = batch.images.detach().requires_grad_(True)
    penalty = r1_penalty(state.discriminator(reals, batch.classes), reals)
    _learn(state.discriminator_optimizer, penalty * (config.r1_gamma / 2 * config.r1_interval), ranks)
    return float(ranks.mean(penalty.detach()))


class _frozen:
    """Inside the block, the module's parameters get no gradients; what passes through it still does."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __enter__(self) -> None:
        self._module.requires_grad_(False)

    def __exit__(self, *exception: object) -> None:
        self._module.requires_grad_(True)


def _average(state: TrainState, config: TrainConfig) -> None:
    half_life = ramped_half_life(state.images, half_life_images=config.ema_kimg * 1000, rampup=config.ema_rampup)
    update_average(state.average, state.generator, half_life_decay(config.batch, half_life))


def _positive(scores: Tensor) -> Tensor:
    """Part of the scores above 0."""
    return (scores > 0).to(scores.dtype).mean()


def _check_finite(stats: Stats, step: int) -> None:
    values = {'generator loss': stats.generator_loss, 'discriminator loss': stats.discriminator_loss, 'R1': stats.r1}
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise TrainingError(
                f'The {name} became {value} in step {step}; the last snapshot is intact: '
                'continue from it with a lower learning rate or a higher --r1-gamma.'
            )

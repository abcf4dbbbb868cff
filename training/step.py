"""One training step: the discriminator learns from reals and fakes, the generator from the discriminator."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from training.augment import adapted_strength
from training.config import TrainConfig
from training.data import Batch
from training.draws import Stream, torch_generator
from training.ema import half_life_decay, ramped_half_life, update_average
from training.errors import TrainingError
from training.gan_loss import GanBatch, Phase
from training.gradients import Report, zero_lost_gradients
from training.random_source import TorchRandom
from training.ranks import Ranks
from training.shares import Share
from training.state import TrainState
from training.tally import Stats


@dataclass(frozen=True, slots=True)
class Latents:
    """Inputs of the generator."""

    z: Tensor
    """[batch, z_dim]."""
    classes: Tensor
    """[batch, class count], one-hot."""


@dataclass(frozen=True, slots=True)
class StepLatents:
    """Inputs of the generator in each phase of a step."""

    discriminator: Latents
    generator: Latents
    paths: Latents | None = None
    """For path length regularization, in steps that have it."""


def needs_path_length(state: TrainState, config: TrainConfig) -> bool:
    """Whether the step that follows `state` regularizes path length."""
    return config.path_length_weight != 0 and state.step % config.path_length_interval == 0


def training_step(state: TrainState, batch: Batch, latents: StepLatents, config: TrainConfig, share: Share) -> Stats:
    """Move `state` one step on and return what happened. Raises `TrainingError` when a loss is not finite.

    With `config.reuse_fakes` the generator learns from the fakes that the discriminator saw.  `batch` and latents are the
    rows of `share`; the step is that of the whole minibatch.
    """
    step = _Step(state, batch, config, share)
    first = step.gan_batch(latents.discriminator)
    fakes = state.loss.fakes(first, step.source, for_both=True) if config.reuse_fakes else None
    step.learn('Dmain', first, fakes=fakes)
    if config.gamma(batch.images.shape[-1]) != 0 and state.step % config.r1_interval == 0:
        step.learn('Dreg', first, gain=config.r1_interval)
    step.learn('Gmain', first if config.reuse_fakes else step.gan_batch(latents.generator), fakes=fakes)
    if latents.paths is not None:
        step.learn('Greg', step.gan_batch(latents.paths), gain=config.path_length_interval)
    state.step += 1
    state.images += share.batch
    half_life = ramped_half_life(state.images, half_life_images=config.ema_kimg * 1000, rampup=config.ema_rampup)
    update_average(state.average, state.generator, half_life_decay(config.batch, half_life))
    _adapt_augmentation(state, step.reports, config, share.ranks)
    stats = _stats(state, step.reports, step.lost, share.ranks)
    _check_finite(stats, state.step)
    return stats


class _Step:
    """What the phases of one step share."""

    def __init__(self, state: TrainState, batch: Batch, config: TrainConfig, share: Share) -> None:
        self._state, self._batch = state, batch
        self._seen = state.images
        self.source = share.random(TorchRandom(torch_generator(config.seed, Stream.NOISE, state.step)))
        """Of all random numbers but latents."""
        self.reports: dict[str, Tensor] = {}
        self.lost = 0

    def gan_batch(self, latents: Latents) -> GanBatch:
        return GanBatch(self._batch.images, self._batch.classes, latents.z, latents.classes)

    def learn(self, phase: Phase, batch: GanBatch, *, gain: float = 1.0, fakes: Tensor | None = None) -> None:
        """One phase: gradients, equal in all processes, and a step of the optimizer."""
        state = self._state
        optimizer = state.generator_optimizer if phase[0] == 'G' else state.discriminator_optimizer
        optimizer.zero_grad(set_to_none=True)
        report = state.loss.accumulate(phase, batch, gain=gain, images_seen=self._seen, source=self.source, fakes=fakes)
        parameters = [parameter for group in optimizer.param_groups for parameter in group['params']]
        self.lost += zero_lost_gradients(parameters)
        optimizer.step()
        if phase in ('Dreg', 'Greg'):  # scores were reported by the main phase
            report = {name: values for name, values in report.items() if not name.startswith('Loss/s')}
        self.reports |= {f'{phase[0]}/{name}' if name.endswith('/fake') else name: report[name] for name in report}


def _adapt_augmentation(state: TrainState, reports: Report, config: TrainConfig, ranks: Ranks) -> None:
    """ADA: more augmentation when the discriminator is too sure of the reals, less when it is not."""
    if state.augment is None or config.augment != 'ada':
        return
    state.mean_sign += ranks.mean(reports['Loss/signs/real'].mean()).to(state.mean_sign)
    if state.step % config.ada_interval == 0:
        strength = adapted_strength(
            float(state.augment.get_buffer('p')),
            float(state.mean_sign) / config.ada_interval,
            images=config.batch * config.ada_interval,
            target=config.ada_target,
            images_to_full=config.ada_kimg * 1000,
        )
        state.augment.get_buffer('p').fill_(strength)
        state.mean_sign.zero_()


def _stats(state: TrainState, reports: Mapping[str, Tensor], lost: int, ranks: Ranks) -> Stats:
    real, fake = reports['Loss/scores/real'], reports['D/Loss/scores/fake']
    values = [reports['Loss/G/loss'].mean(), reports['Loss/D/loss'].mean(), _positive(real), _positive(fake)]
    optional = [reports.get(name) for name in ('Loss/r1_penalty', 'Loss/pl_penalty')]
    values += [torch.zeros_like(values[0]) if penalty is None else penalty.mean() for penalty in optional]
    *losses, r1, paths = ranks.mean(torch.stack(values)).tolist()
    return Stats(
        *losses,
        r1=None if optional[0] is None else r1,
        path_penalty=None if optional[1] is None else paths,
        augment_p=None if state.augment is None else float(state.augment.get_buffer('p')),
        lost_gradients=lost,
    )


def _positive(scores: Tensor) -> Tensor:
    """Part of the scores above 0."""
    return (scores > 0).to(scores.dtype).mean()


def _check_finite(stats: Stats, step: int) -> None:
    values = {
        'generator loss': stats.generator_loss,
        'discriminator loss': stats.discriminator_loss,
        'R1 penalty': stats.r1,
        'path length penalty': stats.path_penalty,
    }
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise TrainingError(
                f'The {name} became {value} in step {step}; the last saved state is intact: '
                'continue from it with a lower learning rate or a higher --r1-gamma.'
            )

"""Trying some steps to tell how long a training will take and how much memory, without ever taking all there is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from training.checks import group_of
from training.config import TrainConfig
from training.data import ImageZip
from training.draws import Stream, torch_generator
from training.errors import TrainingError
from training.gan_loss import GanBatch
from training.inputs import StepSource, batches_of
from training.memory import available_bytes, is_out_of_memory, limited_to, peak_bytes
from training.random_source import TorchRandom
from training.ranks import ALONE
from training.room import shown_bytes
from training.shares import share_for
from training.state import TrainState
from training.step import training_step

_HOUR = 3600
_SMALL_BATCH = 2
_WORTH_TRYING_SECONDS = 60.0
"""The whole batch is tried only if its steps take about so long together; else the small one is multiplied."""
_STEP_OVER_GENERATOR = 4.0
"""A step (two networks, reals and fakes) over what the generator learns of the same images, in time."""
_SAFE_SHARE = 0.9
"""Of the free memory, that a trial may take."""
_FLOAT_BYTES = 4
_PER_WEIGHT = 3
"""Gradient and two moments."""


@dataclass(frozen=True, slots=True)
class _Timing:
    """Of steps with `batch` images."""

    batch: int
    lazy: float
    """Seconds of one with all regularization."""
    plain: float
    """Of one without."""
    is_guess: bool = False
    """Whether only a part of a step was tried."""

    def seconds(self, config: TrainConfig) -> float:
        """Of an average step with the whole batch."""
        step = self.plain + max(self.lazy - self.plain, 0) / config.r1_interval
        return step * config.batch / self.batch


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is tried."""

    config: TrainConfig
    images: ImageZip
    state: TrainState
    class_count: int
    device: torch.device
    allowed: int | None
    """Bytes that may be taken; None = unknown."""


def trial(
    config: TrainConfig, images: ImageZip, state: TrainState, class_count: int, device: torch.device
) -> Iterator[str]:
    """Lines for a person. Changes `state`. Raises `TrainingError` when not even one image has room."""
    free, before = available_bytes(device), peak_bytes(device)
    allowed = None if free is None else int(free * _SAFE_SHARE)
    subject = _Subject(config, images, state, class_count, device, allowed)
    yield 'Trying one image …'
    timing, small = _guessed(subject), min(_SMALL_BATCH, config.batch)
    if 2 * timing.lazy * small <= _WORTH_TRYING_SECONDS:
        yield f'Trying steps of {small} images …'
        timing = _tried(subject, small)
    needed = _needed(config, state, timing.batch, before, peak_bytes(device))
    fits = needed is None or allowed is None or needed <= allowed
    if small < config.batch and fits and 3 * timing.lazy * config.batch / timing.batch <= _WORTH_TRYING_SECONDS:
        yield f'Trying steps of {config.batch} images …'
        timing = _tried(subject, config.batch)
        needed = peak_bytes(device)
    yield _time_line(config, timing, device)
    if needed is not None:
        about = '' if timing.batch == config.batch else 'about ' if timing.is_guess else 'up to about '
        yield f'Memory        {about}{shown_bytes(needed)} for a batch of {config.batch}' + (
            '' if free is None else f'; {shown_bytes(free)} are free'
        )
    if not fits:
        yield 'warning: that is more than is free; use a smaller --batch, narrower networks, or a GPU with more memory.'


def _guessed(subject: _Subject) -> _Timing:
    """From what the generator learns of one image: about a quarter of a step."""
    with _source(subject, 1) as source:
        batch, latents = source.inputs(subject.state)
        fakes = latents.generator
        gan_batch = GanBatch(batch.images, batch.classes, fakes.z, fakes.classes)
        random = TorchRandom(torch_generator(subject.config.seed, Stream.NOISE, 0))
        started = time.perf_counter()
        subject.state.loss.accumulate('Gmain', gan_batch, source=random)
        seconds = (time.perf_counter() - started) * _STEP_OVER_GENERATOR
    return _Timing(1, seconds, seconds, is_guess=True)


def _tried(subject: _Subject, batch: int) -> _Timing:
    """Times of a step with all regularization and of one without."""
    seconds: list[float] = []
    with _source(subject, batch) as source:
        for number in range(3):  # the first one warms up and is not counted
            subject.state.step = 0 if number < 2 else 1
            started = time.perf_counter()
            training_step(subject.state, *source.inputs(subject.state), source.config, source.share)
            if subject.device.type == 'cuda':
                torch.cuda.synchronize(subject.device)
            seconds.append(time.perf_counter() - started)
    _, lazy, plain = seconds
    return _Timing(batch, lazy, plain)


@contextmanager
def _source(subject: _Subject, batch: int) -> Iterator[StepSource]:
    """Inputs of steps with `batch` images. Raises `TrainingError` when the memory does not suffice inside the block."""
    config = replace(subject.config, batch=batch)
    share = share_for(ALONE, batch=batch, group=group_of(config))
    device, allowed = subject.device, subject.allowed
    batches = batches_of(replace(config, workers=0), subject.images, share, subject.class_count, device)
    try:
        with limited_to(allowed if device.type == 'cpu' else None):
            yield StepSource(config, subject.images, batches, subject.class_count, device, share)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f'A step with {batch} images needs more memory than is free'
            + ('' if allowed is None else f' ({shown_bytes(allowed)})')
            + '; use a smaller --batch, a smaller resolution, narrower networks, or a GPU.'
        ) from error
    finally:
        batches.close()


def _needed(config: TrainConfig, state: TrainState, small: int, before: int | None, after: int | None) -> int | None:
    """Peak of a step with the whole batch, from that of a small one: all but weights and their moments grows with it."""
    if before is None or after is None:
        return None
    modules = (state.generator, state.discriminator)
    weights = sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad)
    fixed = before + weights * _FLOAT_BYTES * _PER_WEIGHT
    return fixed + int(max(after - fixed, 0) * config.batch / small)


def _time_line(config: TrainConfig, timing: _Timing, device: torch.device) -> str:
    step = timing.seconds(config)
    hours = -(-config.total_images() // config.batch) * step / _HOUR
    threads = f', {torch.get_num_threads()} threads' if device.type == 'cpu' else ''
    how = 'measured just now' if timing.batch == config.batch else f'from steps of {timing.batch} images just now'
    how = 'a guess from one image' if timing.is_guess else how
    return f'Time          {_hours(hours)} at {config.batch / step:.3g} images/s ({how} on {device}{threads})'


def _hours(hours: float) -> str:
    if hours >= 2 * 365 * 24:
        return f'{hours / 24 / 365:.1f} years'
    if hours >= 48:
        return f'{hours / 24:.1f} days'
    return f'{hours:.1f} hours' if hours >= 1 else f'{hours * 60:.0f} minutes'

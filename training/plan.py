"""What a training would be, without training: networks, steps, memory, time, disk (`train.py … --dry-run`)."""

import sys
import time
from collections.abc import Iterator

import torch
from torch import nn

from training.checks import check_options, device_of, group_of
from training.config import TrainConfig
from training.data import ImageZip, check_count
from training.inputs import StepSource, batches_of
from training.ranks import ALONE
from training.room import STATES, check_room, room_for, shown_bytes
from training.shares import share_for
from training.state import TrainState, new_state
from training.step import training_step

_HOUR = 3600


def plan(config: TrainConfig) -> Iterator[str]:
    """Lines for a person, as they become known; the last ones after two steps were tried.

    Raises `TrainingError` for what a training would refuse as well. Writes nothing.
    """
    check_options(config)
    device = device_of(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    with ImageZip(config.data) as images:
        check_count(images, config.batch)
        class_count = images.class_count if config.conditional else 0
        state = new_state(config, side=images.side, class_count=class_count, device=device)
        yield f'Data          {len(images):,} images of {images.side} x {images.side} pixels, {_classes(class_count)}'
        yield from _networks(config, state)
        yield from _steps(config, images.side)
        yield from _disk(config, state)
        yield 'Trying two steps …'
        yield from _trial(config, images, state, class_count, device)


def _classes(count: int) -> str:
    return f'{count} classes' if count else 'without classes'


def _networks(config: TrainConfig, state: TrainState) -> Iterator[str]:
    name = 'StyleGAN3' if config.architecture == 'stylegan3' else 'StyleGAN2'
    latents = f'{state.generator.num_ws} latents of {config.w_dim}'
    yield f'Generator     {name}, {_parameters(state.generator):,} parameters, {latents}'
    judge = 'StyleGAN2' if config.judge == 'stylegan2' else 'heads on fixed features'
    yield f'Discriminator {judge}, {_parameters(state.discriminator):,} parameters'
    yield f'Precision     {_precision(config, state)}'


def _precision(config: TrainConfig, state: TrainState) -> str:
    device = next(state.generator.parameters()).device
    if device.type == 'cpu':
        return 'float32 on the CPU'
    return 'float32' if config.fp16 == 'off' else 'float16 in the highest resolutions, else float32'


def _steps(config: TrainConfig, side: int) -> Iterator[str]:
    total = config.total_images()
    yield f'Steps         {-(-total // config.batch):,} of {config.batch} images: {total:,} images'
    rule = ' (0.0002 x pixels / batch)' if config.r1_gamma is None else ''
    terms = [f'R1 gamma {config.gamma(side):.3g}{rule} every {config.r1_interval} steps']
    if config.path_length_weight:
        terms.append(f'path length {config.path_length_weight:g} every {config.path_length_interval} steps')
    if config.style_mixing:
        terms.append(f'style mixing {config.style_mixing:g}')
    if config.blur_sigma and config.resume_from is None:
        terms.append(f'blur from {config.blur_sigma:g} px to 0 over {config.blur_fade_kimg:g} kimg')
    if config.augment != 'none':
        terms.append(f'augmentation {config.augment} ({config.augment_groups})')
    yield 'Loss          ' + ', '.join(terms)


def _disk(config: TrainConfig, state: TrainState) -> Iterator[str]:
    room = room_for(config, state)
    yield (
        f'Disk          {shown_bytes(room.needed)}: {room.snapshots} snapshots of {shown_bytes(room.snapshot)}, {STATES} '
        f'states of {shown_bytes(room.state)}; {shown_bytes(room.free)} are free in {room.folder}'
    )
    check_room(room)
    if room.needed > room.free:
        yield 'warning: that is more than is free; choose another --out or a larger --snapshot-kimg.'


def _trial(
    config: TrainConfig, images: ImageZip, state: TrainState, class_count: int, device: torch.device
) -> Iterator[str]:
    """The first step has all regularization, the second none."""
    share = share_for(ALONE, batch=config.batch, group=group_of(config))
    source = StepSource(
        config, images, batches_of(config, images, share, class_count, device), class_count, device, share
    )
    seconds = []
    for _ in range(3):  # the first one warms up and is not counted
        state.step = 0 if len(seconds) < 2 else 1
        started = time.perf_counter()
        training_step(state, *source.inputs(state), config, share)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    _, lazy, plain = seconds
    step = plain + max(lazy - plain, 0) / config.r1_interval
    hours = -(-config.total_images() // config.batch) * step / _HOUR
    threads = f', {torch.get_num_threads()} threads' if device.type == 'cpu' else ''
    yield f'Time          {_hours(hours)} at {config.batch / step:.3g} images/s (measured just now on {device}{threads})'
    yield (
        f'Memory        {shown_bytes(_peak(device))} at most so far'
        if sys.platform != 'win32' or device.type == 'cuda'
        else ''
    )


def _peak(device: torch.device) -> int:
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows, where the line below is missing

    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _hours(hours: float) -> str:
    if hours >= 48:
        return f'{hours / 24:.1f} days'
    return f'{hours:.1f} hours' if hours >= 1 else f'{hours * 60:.0f} minutes'

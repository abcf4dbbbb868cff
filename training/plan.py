"""What a training would be, without training: networks, steps, memory, time, disk (`train.py … --dry-run`)."""

from collections.abc import Iterator

import torch
from torch import nn

from training.checks import check_options, device_of
from training.config import TrainConfig
from training.data import ImageZip, check_count
from training.room import STATES, check_room, room_for, shown_bytes
from training.state import TrainState, new_state
from training.trial import trial


def plan(config: TrainConfig) -> Iterator[str]:
    """Lines for a person, as they become known; the last ones after some steps were tried.

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
        yield from trial(config, images, state, class_count, device)


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


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())

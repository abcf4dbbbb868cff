"""Options that cannot work, refused before anything is made."""

import torch

from training.config import TrainConfig
from training.errors import TrainingError
from training.ranks import local_rank

_AT_LEAST = (
    ('batch', 1),
    ('r1_interval', 1),
    ('path_length_interval', 1),
    ('ada_interval', 1),
    ('z_dim', 1),
    ('w_dim', 1),
    ('threads', 0),
    ('workers', 0),
    ('snapshot_samples', 0),
)
_ABOVE_0 = ('kimg', 'snapshot_kimg', 'tick_kimg', 'state_minutes', 'generator_rate', 'discriminator_rate', 'ada_kimg')
_NOT_NEGATIVE = (
    *('r1_gamma', 'path_length_weight', 'blur_sigma', 'blur_fade_kimg', 'ema_kimg', 'ema_rampup'),
    *('magnitude_ema_kimg', 'range_weight'),
)
_SHARES = ('class_balance', 'style_mixing', 'augment_p')


def check_options(config: TrainConfig) -> None:
    """Raises `TrainingError` naming the first option that cannot work, with its value."""
    for name, least in _AT_LEAST:
        value = getattr(config, name)
        if value is not None and value < least:
            raise _refused(name, value, f'it must be {least} or more')
    for name in _ABOVE_0:
        if not getattr(config, name) > 0:
            raise _refused(name, getattr(config, name), 'it must be above 0')
    for name in _NOT_NEGATIVE:
        value = getattr(config, name)
        if value is not None and not value >= 0:
            raise _refused(name, value, 'it must be 0 or more')
    for name in _SHARES:
        if not 0 <= getattr(config, name) <= 1:
            raise _refused(name, getattr(config, name), 'it must lie between 0 and 1')
    if not -1 <= config.ada_target <= 1:
        raise _refused('ada_target', config.ada_target, 'a mean sign lies between -1 and 1')
    _check_combinations(config)


def _check_combinations(config: TrainConfig) -> None:
    group = group_of(config)
    if group is not None and config.batch % min(group, config.batch):
        raise TrainingError(
            f'--batch {config.batch} cannot be divided into groups of {group}; use a multiple of {group}.'
        )
    if config.resume_from is not None and not config.resume_from.expanduser().exists():
        raise TrainingError(f'--resume-from {config.resume_from} does not exist; give a model file or a run folder.')
    if config.fp16 == 'on' and device_of(config).type == 'cpu':
        raise TrainingError('--fp16 on needs an NVIDIA GPU, as a CPU gains nothing by it; use --fp16 auto or off.')


def _refused(name: str, value: object, why: str) -> TrainingError:
    shown = f'{value:g}' if isinstance(value, float) else str(value)
    return TrainingError(f'--{name.replace("_", "-")} is {shown}; {why}.')


def device_of(config: TrainConfig) -> torch.device:
    """Where to train. Raises `TrainingError` when there is no such device."""
    if config.device == 'cuda' and not torch.cuda.is_available():
        raise TrainingError('--device cuda needs an NVIDIA GPU that torch can see; there is none: use --device cpu.')
    automatic = 'cuda' if torch.cuda.is_available() else 'cpu'
    chosen = automatic if config.device == 'auto' else config.device
    return torch.device(chosen, local_rank()) if chosen == 'cuda' else torch.device(chosen)


def group_of(config: TrainConfig) -> int | None:
    """Samples that the discriminator compares with each other; None: it looks at each alone."""
    compares = config.judge == 'stylegan2' and config.discriminator.mbstd_num_channels > 0
    return (config.discriminator.mbstd_group_size or config.batch) if compares else None

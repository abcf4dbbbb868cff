"""The state of a training in several processes: the first one reads it from the disk and hands it to the others."""

import torch
from torch.optim import Adam

from training.ranks import Ranks
from training.state import TrainState


def hand_out(state: TrainState, ranks: Ranks) -> None:
    """Bring `state` to that of the first process: networks, optimizers, progress."""
    if ranks.count == 1:
        return
    progress = torch.tensor([state.step, state.images, state.seconds, _has_moments(state)], dtype=torch.float64)
    ranks.copy_from_first([progress])
    state.step, state.images, state.seconds = int(progress[0]), int(progress[1]), float(progress[2])
    if progress[3] and not _has_moments(state):
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            _make_moments(optimizer)
    tensors = state.tensors()
    ranks.copy_from_first(tensors[name] for name in sorted(tensors))


def _has_moments(state: TrainState) -> bool:
    return bool(state.generator_optimizer.state) or bool(state.discriminator_optimizer.state)


def _make_moments(optimizer: Adam) -> None:
    """Empty moments of every parameter, to be filled."""
    for group in optimizer.param_groups:
        for parameter in group['params']:
            optimizer.state[parameter] = {
                'step': torch.zeros([]),
                'exp_avg': torch.zeros_like(parameter),
                'exp_avg_sq': torch.zeros_like(parameter),
            }

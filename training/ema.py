"""The averaged generator, which makes the pictures that people see."""

import torch
from torch import nn


def half_life_decay(batch: int, half_life_images: float) -> float:
    """Decay per step of `batch` images, such that half is left after `half_life_images`; 0 = nothing is kept."""
    return 0.5 ** (batch / half_life_images) if half_life_images > 0 else 0.0


def ramped_half_life(images_seen: int, *, half_life_images: float, rampup: float) -> float:
    """The half-life after `images_seen`: at first only the part `rampup` of what was seen, so that noise is forgotten."""
    return min(half_life_images, images_seen * rampup)


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Let the parameters of `average` follow those of `current`; buffers are copied."""
    for kept, now in zip(average.parameters(), current.parameters(), strict=True):
        kept.copy_(now.lerp(kept, decay))
    for kept, now in zip(average.buffers(), current.buffers(), strict=True):
        kept.copy_(now)

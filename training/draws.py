"""Random numbers as a pure function of what they are for, so that no random state has to be saved."""

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """What a draw is for; a new purpose gets a new number, so that the others stay as they are."""

    WEIGHTS = 0
    ORDER = 1
    SYMMETRY = 2
    LATENTS_FOR_D = 3
    LATENTS_FOR_G = 4
    PREVIEW = 5
    NOISE = 6
    LATENTS_FOR_PATHS = 7
    METRICS = 20
    METRICS_PATHS = 21
    METRICS_PAIRS = 22


def draw_seed(seed: int, stream: Stream, position: int) -> int:
    """A seed for draw number `position` of `stream`, 63 bits."""
    return int(np.random.SeedSequence([seed, int(stream), position]).generate_state(1, np.uint64)[0] >> 1)


def numpy_generator(seed: int, stream: Stream, position: int) -> np.random.Generator:
    """NumPy's generator of draw number `position` of `stream`."""
    return np.random.default_rng([seed, int(stream), position])


def torch_generator(seed: int, stream: Stream, position: int) -> torch.Generator:
    """Torch's generator, on the CPU, of draw number `position` of `stream`."""
    return torch.Generator().manual_seed(draw_seed(seed, stream, position))

"""Seeds to latents, gestures to input transforms, network output to pixels: the conventions that make pictures repeatable."""

from collections.abc import Sequence
from math import cos, radians, sin

import numpy as np
import torch
from torch import Tensor


def seed_to_z(seed: int, z_dim: int) -> Tensor:
    """Latent of a seed, [1, z_dim], float64, unit normal.

    The draw of NumPy's legacy generator that published seeds refer to; `seed` from 0 to 2^32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f'a seed must be from 0 to {2**32 - 1}, got {seed}')
    return torch.from_numpy(np.random.RandomState(seed).randn(1, z_dim))


def make_transform(translate: Sequence[float], degrees: float) -> Tensor:
    """Matrix that rotates the picture by `degrees`, then moves it by `translate` = (x, y) image widths; [3, 3], float64.

    The synthesis input holds its inverse: where each point of the picture comes from.
    """
    sine, cosine = sin(radians(degrees)), cos(radians(degrees))
    x, y = translate
    return torch.tensor([[cosine, sine, x], [-sine, cosine, y], [0, 0, 1]], dtype=torch.float64)


def image_to_uint8(image: Tensor) -> Tensor:
    """Pixels of images in [-1, 1]: [batch, channels, height, width] -> [batch, height, width, channels], uint8.

    x * 127.5 + 128, limited to 0..255 and cut off, not rounded, as all published pictures were made.
    """
    return (image.permute(0, 2, 3, 1) * 127.5 + 128).clamp(0, 255).to(torch.uint8)

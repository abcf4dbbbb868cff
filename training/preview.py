"""A grid of pictures of the averaged generator: a row for each class, a column for each latent."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from networks.stylegan2 import Generator as StyleGAN2
from training.data import one_hot
from training.draws import Stream, torch_generator
from training.state import Generator

_COLUMNS = 12
_ROWS_WITHOUT_CLASSES = 8


@torch.no_grad()
def picture_grid(generator: Generator, *, seed: int, truncation: float = 1.0, columns: int = _COLUMNS) -> np.ndarray:
    """Pictures of fixed latents, [rows * side, columns * side, 3] uint8; with classes, row k shows class k."""
    device = next(generator.parameters()).device
    rows = []
    for row in range(generator.c_dim or _ROWS_WITHOUT_CLASSES):
        random = torch_generator(seed, Stream.PREVIEW, row)
        z = torch.randn(columns, generator.z_dim, generator=random)
        classes = one_hot(torch.full((columns,), row if generator.c_dim else 0), generator.c_dim)
        fixed: dict[str, Any] = {'noise_mode': 'constant'} if isinstance(generator, StyleGAN2) else {}
        images = generator(z.to(device), classes.to(device), truncation_psi=truncation, **fixed).clamp(-1, 1)
        rows.append(torch.cat(list(images), 2))
    grid = ((torch.cat(rows, 1) + 1) * 127.5).round().to(torch.uint8)  # [3, height, width]
    return grid.permute(1, 2, 0).cpu().numpy()


def save_grid(path: Path, grid: np.ndarray) -> None:
    """Write a picture [height, width, 3] uint8 as PNG."""
    Image.fromarray(grid).save(path)

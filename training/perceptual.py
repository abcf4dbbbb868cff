"""What LPIPS says of a generator: perceptual path length, and how different its pictures are from each other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.path_length import PathOptions, path_steps, perceptual_path_length
from networks.adapters.base import Inspectable
from training.data import ImageZip, labels_like_data
from training.draws import Stream, numpy_generator, torch_generator
from training.features import OnProgress
from training.lpips import Lpips

_BATCH = 8
"""Pairs of pictures at once."""


@dataclass(frozen=True, slots=True)
class Perceptual:
    """Results with one LPIPS network; those of the other one cannot be compared."""

    network: str
    path_length: float
    """Perceptual path length: in w, at the ends of paths, whole pictures ("PPL w-end" without crop). Lower = smoother."""
    diversity: float
    """Mean LPIPS of two generated pictures, of one class if there are classes. 0 = all are alike."""
    real_diversity: float
    """The same of two real images: what it should be."""


@torch.no_grad()
def perceptual(
    generator: Inspectable,
    images: ImageZip,
    lpips: Lpips,
    *,
    samples: int,
    seed: int = 0,
    on_progress: OnProgress = lambda done, total: None,
) -> Perceptual:
    """Measure `samples` steps, and `samples` pairs of both kinds of pictures. `on_progress` receives pairs done and in all."""
    total, done = 3 * samples, 0
    gathered: list[Tensor] = []
    for kind in (_steps, _generated_pairs, _real_pairs):
        found = []
        for distances in kind(generator, images, lpips, samples, seed):
            found.append(distances)
            done += len(distances)
            on_progress(done, total)
        gathered.append(torch.cat(found).cpu())
    steps, generated, real = gathered
    return Perceptual(
        lpips.name, perceptual_path_length(steps), float(generated.double().mean()), float(real.double().mean())
    )


def _steps(generator: Inspectable, images: ImageZip, lpips: Lpips, count: int, seed: int) -> Iterator[Tensor]:
    """Distances over squared steps. Noise, if the generator has any, is its constant one."""
    device = next(generator.module.parameters()).device

    def synthesize(latents: Tensor) -> Tensor:
        return generator.synthesize(latents, noise='constant', float32=True)[:, :3]

    for batch, size in enumerate(_sizes(count)):
        random = torch_generator(seed, Stream.METRICS_PATHS, batch)
        z = torch.randn(2, size, generator.info.z_dim, generator=random).to(device)
        labels = labels_like_data(images, seed, Stream.METRICS_PATHS, batch, size, 0.0).repeat(2)
        first, last = _latents(generator, z.flatten(0, 1), labels).chunk(2)
        position = torch.zeros(size, device=device)
        # The latents are already in w, where paths are straight.
        yield path_steps(lambda ends: ends, synthesize, lpips, (first, last), position, PathOptions()).distances


def _generated_pairs(generator: Inspectable, images: ImageZip, lpips: Lpips, count: int, seed: int) -> Iterator[Tensor]:
    device = next(generator.module.parameters()).device
    for batch, size in enumerate(_sizes(count)):
        random = torch_generator(seed, Stream.METRICS_PAIRS, batch)
        z = torch.randn(2 * size, generator.info.z_dim, generator=random).to(device)
        labels = labels_like_data(images, seed, Stream.METRICS_PAIRS, batch, size, 0.0).repeat(2)
        pictures = generator.synthesize(_latents(generator, z, labels), noise='random', noise_seed=batch)[:, :3]
        pictures = (pictures * 127.5 + 128).clamp(0, 255).floor()
        yield lpips.distance(*_coloured(pictures).chunk(2))


def _real_pairs(generator: Inspectable, images: ImageZip, lpips: Lpips, count: int, seed: int) -> Iterator[Tensor]:
    """Two different images each; of one class if the generator has classes and that class has two."""
    classes = images.labels if generator.info.class_count else None
    for batch, size in enumerate(_sizes(count)):
        random = numpy_generator(seed, Stream.METRICS_PAIRS, batch)
        pairs = []
        for first in random.integers(len(images), size=size):
            same = np.arange(len(images)) if classes is None else np.flatnonzero(classes == classes[first])
            others = same[same != first]
            if not len(others):
                others = np.delete(np.arange(len(images)), first)
            pairs.append((int(first), int(random.choice(others))))
        both = [torch.stack([_image(images, pair[side]) for pair in pairs]) for side in (0, 1)]
        yield lpips.distance(*both)


def _image(images: ImageZip, index: int) -> Tensor:
    """[3, side, side], 0 to 255."""
    return torch.from_numpy(images.image_or_next(index)[1].copy()).permute(2, 0, 1).float()


def _latents(generator: Inspectable, z: Tensor, labels: Tensor) -> Tensor:
    """[batch, num_ws, w_dim]."""
    count = generator.info.class_count
    if not count:
        return generator.latents(z)
    rows = [generator.latents(z[place : place + 1], min(int(label), count - 1)) for place, label in enumerate(labels)]
    return torch.cat(rows)


def _coloured(pictures: Tensor) -> Tensor:
    return pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures


def _sizes(count: int) -> Iterator[int]:
    """Of batches that make `count` together."""
    for first in range(0, count, _BATCH):
        yield min(_BATCH, count - first)

"""Perceptual path length: how far the picture moves, to a feature network, when the latent takes a small step.

Karras et al. 2019 ("A Style-Based Generator Architecture…"), Sec. 4.1; 2020, Appendix C for the variant without crop.
Keep everything in float32: the step is 1e-4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

MapLatents = Callable[[Tensor], Tensor]
"""z [batch, z_dim] -> w [batch, num_ws, w_dim] (or any shape that `Synthesize` reads)."""
Synthesize = Callable[[Tensor], Tensor]
"""w -> pictures in [-1, 1]; must give equal noise to the two halves of a batch, or the distance means nothing."""
Features = Callable[[Tensor], Tensor]
"""Pictures [batch, 3, height, width] in 0 to 255 -> [batch, features] whose squared distance is the perceptual one."""

_LARGEST_SIDE = 256


@dataclass(frozen=True, slots=True)
class PathOptions:
    """Which path through which latent space."""

    space: Literal['w', 'z'] = 'w'
    """Straight lines in w, or great circles in z."""
    sampling: Literal['full', 'end'] = 'end'
    """Steps anywhere on the path, or at its beginning only."""
    crop: bool = False
    """Look at the middle of a face only."""
    epsilon: float = 1e-4
    """Length of the step, in path lengths."""


@dataclass(frozen=True, slots=True)
class PathSteps:
    """What one batch of steps came to."""

    pictures: Tensor
    """[2 * batch, 3, height, width] as the features saw them: all beginnings, then all ends."""
    distances: Tensor
    """[batch]: squared feature distance over epsilon²."""


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The point at `t` on the great circle from `a` / |a| (t = 0) to `b` / |b| (1); unit length.

    `a`, `b`: [batch, features].  `t`: broadcastable to [batch, 1].
    """
    a, b = _unit(a), _unit(b)
    cosine = (a * b).sum(-1, keepdim=True)
    angle = t * cosine.clamp(-1, 1).acos()
    across = _unit(b - cosine * a)
    return _unit(a * angle.cos() + across * angle.sin())


def path_steps(
    map_latents: MapLatents,
    synthesize: Synthesize,
    features: Features,
    ends: tuple[Tensor, Tensor],
    position: Tensor,
    options: PathOptions,
) -> PathSteps:
    """Steps on the paths between z `ends` [batch, z_dim] each, at `position` [batch] in [0, 1) (unused for 'end')."""
    t = torch.zeros_like(position) if options.sampling == 'end' else position
    if options.space == 'w':
        first, last = map_latents(torch.cat(ends)).chunk(2)
        t = t.reshape(-1, *[1] * (first.ndim - 1))
        latents = torch.cat([first.lerp(last, t), first.lerp(last, t + options.epsilon)])
    else:
        t = t[:, None]
        latents = map_latents(torch.cat([slerp(*ends, t), slerp(*ends, t + options.epsilon)]))
    pictures = _prepared(synthesize(latents), crop=options.crop)
    before, after = features(pictures).chunk(2)
    return PathSteps(pictures, (before - after).square().sum(1) / options.epsilon**2)


def perceptual_path_length(distances: Tensor) -> float:
    """Mean of the distances [count] between their 1st and 99th percentile, both included; outliers would rule it otherwise."""
    if distances.numel() == 0:
        raise ValueError('the perceptual path length needs at least one distance, got none')
    distances = distances.double()
    low = torch.quantile(distances, 0.01, interpolation='lower')
    high = torch.quantile(distances, 0.99, interpolation='higher')
    return float(distances[(distances >= low) & (distances <= high)].mean())


def _prepared(pictures: Tensor, *, crop: bool) -> Tensor:
    """Cropped, averaged to at most 256 rows, in 0 to 255, in colour."""
    if crop:
        eighth = pictures.shape[2] // 8
        pictures = pictures[:, :, 3 * eighth : 7 * eighth, 2 * eighth : 6 * eighth]
    factor = pictures.shape[2] // _LARGEST_SIDE
    if factor > 1:
        pictures = torch.nn.functional.avg_pool2d(pictures, factor)
    pictures = (pictures + 1) * (255 / 2)
    return pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1)  # zero stays zero: equal ends need no direction

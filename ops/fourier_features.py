"""Waves that a latent and the user can move, mixed by a matrix: the input of alias-free generators (Karras et al. 2021, Sec. 3.1)."""

from dataclasses import dataclass
from math import pi, sqrt

import torch
from torch import Tensor

from ops.backend import implements, needs_gradient, pick
from ops.parallel import one_thread_if_small
from ops.styles import LatentStyles


@dataclass(frozen=True, slots=True)
class WaveSpec:
    """Everything about one call except its tensors; usable as a key."""

    width: int
    height: int
    rate: float
    """Samples per image width."""
    bandwidth: float
    """Radius of the disc of frequencies that stay as they are, cycles per image width; they fade out up to half the rate."""
    needs_gradient: bool

    @property
    def room(self) -> float:
        """For fading out; none at rate = 2 * bandwidth, where the fade becomes a step."""
        return max(self.rate / 2 - self.bandwidth, 1e-6)


def fourier_features(
    motion: Tensor | LatentStyles | None,
    transform: Tensor,
    freqs: Tensor,
    phases: Tensor,
    weight: Tensor,
    *,
    width: int,
    height: int,
    rate: float,
    bandwidth: float,
) -> Tensor:
    """Sines of all channels, sampled around the centre of the picture, times `weight` / sqrt(channels).

    `motion`: (r_c, r_s, t_x, t_y), a rotation then a translation, [batch, 4], or None: neither (Appendix F.1).  `transform` [3, 3]: where
    each point of the picture comes from after these.  `freqs` [channels, 2]: cycles per image width along x and y.
    `phases` [channels]: turns.  `weight`: [channels, channels].  Returns [batch or 1, channels, height, width].
    """
    if isinstance(motion, LatentStyles) and motion.need_gradient():
        motion = motion.compute()
    moved = None if isinstance(motion, LatentStyles) else motion
    spec = WaveSpec(width, height, rate, bandwidth, needs_gradient(moved, transform, freqs, phases, weight))
    return pick('fourier_features', freqs, spec)(motion, transform, freqs, phases, weight, spec)


@implements('fourier_features', 'reference')
def fourier_features_reference(
    motion: Tensor | LatentStyles | None,
    transform: Tensor,
    freqs: Tensor,
    phases: Tensor,
    weight: Tensor,
    spec: WaveSpec,
) -> Tensor:
    """The truth in plain torch: any device, any float type, any order of derivative."""
    motion = motion.compute() if isinstance(motion, LatentStyles) else motion
    numbers = (1 if motion is None else motion.shape[0]) * weight.shape[0] * spec.width * spec.height
    with one_thread_if_small(numbers):
        return _mixed_waves(motion, transform, freqs, phases, weight, spec)


def _mixed_waves(
    motion: Tensor | None, transform: Tensor, freqs: Tensor, phases: Tensor, weight: Tensor, spec: WaveSpec
) -> Tensor:
    matrix = transform[None] if motion is None else _rotate_and_shift(motion) @ transform
    phases = phases + (freqs @ matrix[:, :2, 2:]).squeeze(2)  # [batch, channels], in turns
    freqs = freqs @ matrix[:, :2, :2]  # [batch, channels, 2], cycles per image width
    amplitudes = (1 - (freqs.norm(dim=2) - spec.bandwidth) / spec.room).clamp(0, 1)
    x, y = (_steps(size, spec.rate, weight)[:, None] for size in (spec.width, spec.height))
    across = 2 * pi * x * freqs[:, None, :, 0]  # [batch, x, channels]
    down = 2 * pi * (y * freqs[:, None, :, 1] + phases[:, None])  # [batch, y, channels]
    sine, cosine = down.sin() * amplitudes[:, None], down.cos() * amplitudes[:, None]
    # The sine of a sum: far fewer sines than one for each sample.
    waves = sine[:, :, None] * across.cos()[:, None] + cosine[:, :, None] * across.sin()[:, None]
    return (waves @ (weight.t() / sqrt(weight.shape[0]))).permute(0, 3, 1, 2)


def _rotate_and_shift(motion: Tensor) -> Tensor:
    """Rotation times translation, [batch, 3, 3]."""
    cosine, sine, x, y = (motion / motion[:, :2].norm(dim=1, keepdim=True)).unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rotation = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], 1).reshape(-1, 3, 3)
    translation = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], 1).reshape(-1, 3, 3)
    return rotation @ translation


def _steps(size: int, rate: float, like: Tensor) -> Tensor:
    """Centres of `size` samples along an axis, in image widths from the centre of the canvas."""
    return (torch.arange(size, device=like.device, dtype=like.dtype) + 0.5 - size / 2) / rate

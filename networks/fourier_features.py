"""The input of the alias-free generators and of configuration B: waves that can be moved (Karras et al. 2021, Sec. 3.1)."""

from math import pi, sqrt
from typing import cast

import torch
from torch import Tensor, nn

from networks.layers import FullyConnected
from networks.schedule import InputRecord


class SynthesisInput(nn.Module):
    """Fourier features, moved by the latent and by the user (Sec. 3.1, Appendix F.1).

    Buffer `transform` [3, 3] says where each point of the picture comes from: the inverse of how the picture moves.
    """

    def __init__(self, w_dim: int, record: InputRecord) -> None:
        super().__init__()
        self.record = record
        direction = torch.randn(record.channels, 2)
        squared = direction.square().sum(1, keepdim=True)
        # The length of a 2-D Gaussian is Rayleigh distributed, so exp(-length² / 4) is the radius of a uniform disc.
        frequencies = direction * squared.rsqrt() * (-squared / 4).exp() * record.bandwidth
        self.weight = nn.Parameter(torch.randn(record.channels, record.channels))
        self.affine = FullyConnected(w_dim, 4, weight_init=0, bias_init=[1, 0, 0, 0]) if record.affine else None
        self.register_buffer('transform', torch.eye(3))
        self.register_buffer('freqs', frequencies)
        self.register_buffer('phases', torch.rand(record.channels) - 0.5)

    def forward(self, w: Tensor) -> Tensor:
        """w [batch, w_dim] -> [batch, channels, size, size]. Without an affine map, w only says how many."""
        record = self.record
        motion = cast(Tensor, self.transform)[None] if self.affine is None else self._motion(self.affine(w))
        freqs = cast(Tensor, self.freqs)
        phases = cast(Tensor, self.phases) + (freqs @ motion[:, :2, 2:]).squeeze(2)  # [batch, channels], in turns
        freqs = freqs @ motion[:, :2, :2]  # [batch, channels, 2], cycles per image width
        room = max(record.rate / 2 - record.bandwidth, 1e-6)  # none at s = 4, where the fade becomes a step
        amplitudes = (1 - (freqs.norm(dim=2) - record.bandwidth) / room).clamp(0, 1)
        x, y = (self._steps(size)[:, None] for size in (record.size, record.height or record.size))
        across = 2 * pi * x * freqs[:, None, :, 0]  # [batch, x, channels]
        down = 2 * pi * (y * freqs[:, None, :, 1] + phases[:, None])  # [batch, y, channels]
        sine, cosine = down.sin() * amplitudes[:, None], down.cos() * amplitudes[:, None]
        # The sine of a sum: far fewer sines than one for each sample.
        x = sine[:, :, None] * across.cos()[:, None] + cosine[:, :, None] * across.sin()[:, None]
        x = x @ (self.weight.t() / sqrt(record.channels))
        return x.permute(0, 3, 1, 2).expand(w.shape[0], -1, -1, -1)

    def _motion(self, affine: Tensor) -> Tensor:
        """Rotation times translation times the user's transform, [batch, 3, 3], of the affine map's (r_c, r_s, t_x, t_y)."""
        cosine, sine, x, y = (affine / affine[:, :2].norm(dim=1, keepdim=True)).unbind(1)
        zero, one = torch.zeros_like(x), torch.ones_like(x)
        rotation = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], 1).reshape(-1, 3, 3)
        translation = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], 1).reshape(-1, 3, 3)
        return rotation @ translation @ cast(Tensor, self.transform)

    def _steps(self, size: int) -> Tensor:
        """Centres of `size` samples along an axis, in image widths from the centre of the canvas."""
        steps = torch.arange(size, device=self.weight.device, dtype=self.weight.dtype)
        return (steps + 0.5 - size / 2) / self.record.rate

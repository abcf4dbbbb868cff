"""The input of the alias-free generators and of configuration B: waves that can be moved (Karras et al. 2021, Sec. 3.1)."""

from typing import cast

import torch
from torch import Tensor, nn

from networks.layers import FullyConnected
from networks.schedule import InputRecord
from ops.fourier_features import fourier_features


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
        record, buffers = self.record, self._buffers
        x = fourier_features(
            None if self.affine is None else self.affine.styles(w),
            cast(Tensor, buffers['transform']),
            cast(Tensor, buffers['freqs']),
            cast(Tensor, buffers['phases']),
            self.weight,
            width=record.size,
            height=record.height or record.size,
            rate=record.rate,
            bandwidth=record.bandwidth,
        )
        return x.expand(w.shape[0], -1, -1, -1)

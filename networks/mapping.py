"""The mapping network, of both families: a latent z and a class become the latents w that the layers read."""

from typing import cast

import torch
from torch import Tensor, nn

from networks.batch_mean import batch_mean
from networks.config import MappingConfig
from networks.layers import FullyConnected, unit_rms


class MappingNetwork(nn.Module):
    """z [batch, z_dim], c [batch, c_dim] -> w [batch, num_ws, w_dim] (Karras et al. 2019, Sec. 2)."""

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_ws: int | None, config: MappingConfig) -> None:
        """`num_ws` None: return [batch, w_dim] and keep no average (discriminators). `z_dim` 0: the class alone is mapped."""
        super().__init__()
        if z_dim == 0 and c_dim == 0:
            raise ValueError('a mapping network needs z_dim or c_dim above 0, got 0 and 0')
        if config.num_layers < 1:
            raise ValueError(f'a mapping network needs at least one layer, got {config.num_layers}')
        self.z_dim, self.c_dim, self.w_dim, self.num_ws = z_dim, c_dim, w_dim, num_ws
        self.config = config
        self.num_layers = config.num_layers
        self.w_avg_beta = config.w_avg_beta
        embedded = (config.embed_features or w_dim) if c_dim > 0 else 0
        between = config.layer_features or w_dim
        if c_dim > 0:
            self.embed = FullyConnected(c_dim, embedded)
        features = [z_dim + embedded, *[between] * (config.num_layers - 1), w_dim]
        for index in range(config.num_layers):
            layer = FullyConnected(
                features[index],
                features[index + 1],
                activation=config.activation,
                lr_multiplier=config.lr_multiplier,
            )
            self.add_module(f'fc{index}', layer)
        if num_ws is not None and config.w_avg_beta is not None:
            self.register_buffer('w_avg', torch.zeros(w_dim))

    def forward(
        self,
        z: Tensor | None,
        c: Tensor | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        update_emas: bool = False,
    ) -> Tensor:
        """Latents w. `truncation_cutoff`: how many of the first rows are truncated; None = all, 0 = none.

        `update_emas`: let the average move towards this batch first.
        """
        x = self._joined(z, c)
        for index in range(self.num_layers):
            x = self.get_submodule(f'fc{index}')(x)
        average = cast(Tensor | None, getattr(self, 'w_avg', None))
        if update_emas and average is not None and self.w_avg_beta is not None:
            average.copy_(batch_mean(x.detach().mean(0)).lerp(average, self.w_avg_beta))
        if self.num_ws is None:
            return x
        x = x[:, None].expand(-1, self.num_ws, -1)
        if truncation_psi == 1:
            return x
        if average is None:
            raise ValueError(f'truncation to {truncation_psi} needs an average latent, and this network keeps none')
        count = self.num_ws if truncation_cutoff is None else truncation_cutoff
        return torch.cat([average.lerp(x[:, :count], truncation_psi), x[:, count:]], 1)

    def _joined(self, z: Tensor | None, c: Tensor | None) -> Tensor:
        """Normalised z and embedded class, one after the other: [batch, features of the first layer]."""
        dtype = next(self.parameters()).dtype
        parts = []
        if self.z_dim > 0:
            if z is None or z.ndim != 2 or z.shape[1] != self.z_dim:
                raise ValueError(f'this network needs z of shape [batch, {self.z_dim}], got {_shape(z)}')
            parts.append(unit_rms(z.to(dtype)))
        if self.c_dim > 0:
            if c is None or c.ndim != 2 or c.shape[1] != self.c_dim:
                raise ValueError(f'this network needs classes c of shape [batch, {self.c_dim}], got {_shape(c)}')
            parts.append(unit_rms(self.embed(c.to(dtype))))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


def _shape(x: Tensor | None) -> object:
    return None if x is None else tuple(x.shape)

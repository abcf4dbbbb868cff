"""Styles that a layer computes itself: its kernels do that on the way."""

from typing import NamedTuple

import torch
from torch import Tensor

from ops.backend import needs_gradient


class LatentStyles(NamedTuple):
    """An affine map of a latent: bias_gain * bias + weight_gain * weight latent."""

    latent: Tensor
    """[batch, features]."""
    weight: Tensor
    """[channels, features]."""
    bias: Tensor
    """[channels]."""
    weight_gain: float
    bias_gain: float

    def need_gradient(self) -> bool:
        """Whether autograd records what they are computed by."""
        return needs_gradient(self.latent, self.weight, self.bias)

    def times(self, gain: float) -> 'LatentStyles':
        """The same, scaled."""
        return self._replace(weight_gain=self.weight_gain * gain, bias_gain=self.bias_gain * gain)

    def compute(self) -> Tensor:
        """The styles, [batch, channels], in the latent's precision."""
        return affine_map(self.latent, self.weight, self.bias, self.weight_gain, self.bias_gain)


def affine_map(x: Tensor, weight: Tensor, bias: Tensor, weight_gain: float, bias_gain: float) -> Tensor:
    """`x` [batch, features] times `weight` [channels, features], plus `bias`, each with its gain."""
    # Scaling the product is cheaper than scaling the weights.
    return torch.addmm(bias.to(x.dtype), x, weight.to(x.dtype).t(), beta=bias_gain, alpha=weight_gain)

"""What the two networks minimise: non-saturating logistic loss and R1 (Karras et al. 2018, 2020; Mescheder et al. 2018)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def generator_loss(scores_of_fakes: Tensor) -> Tensor:
    """-log sigmoid(D(fake)), averaged: low when the fakes look real.  `scores_of_fakes`: [batch, 1], logits."""
    return F.softplus(-scores_of_fakes).mean()


def discriminator_loss(scores_of_reals: Tensor, scores_of_fakes: Tensor) -> Tensor:
    """-log sigmoid(D(real)) - log(1 - sigmoid(D(fake))), averaged: low when the two are told apart."""
    return F.softplus(-scores_of_reals).mean() + F.softplus(scores_of_fakes).mean()


def range_penalty(images: Tensor) -> Tensor:
    """Mean square of how far pixels lie outside [-1, 1]; 0 inside."""
    return (images.abs() - 1).clamp(min=0).square().mean()


def r1_penalty(scores_of_reals: Tensor, reals: Tensor) -> Tensor:
    """Squared length of the gradient of the scores with respect to the real images, averaged over the batch.

    `reals` must require a gradient. Times gamma / 2 it is the R1 term (Mescheder et al. 2018, Eq. 9).
    """
    (gradient,) = torch.autograd.grad(scores_of_reals.mean(1).sum(), reals, create_graph=True)
    return gradient.square().sum([1, 2, 3]).mean()

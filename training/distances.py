"""How far two sets of pictures are apart, from their features [count, features] or their spectra. Arrays in, numbers out."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from training.errors import TrainingError

_KID_SUBSETS = 50
_KID_SIZE = 1000
_NEIGHBOURS = 3
LIBRARY_MISSING = 'Fréchet distance and KID need the library torchmetrics; pip install -r requirements-train.txt.'


@dataclass(frozen=True, slots=True)
class Distances:
    """What features say about generated pictures."""

    frechet: float
    """FID with Inception's features: 0 for equal sets. Depends on the number of pictures: compare equal numbers only."""
    kid: float
    """Squared kernel distance, unbiased: may be below 0 for equal sets."""
    precision: float
    """Part of the generated pictures that look real."""
    recall: float
    """Part of the real pictures that could have been generated."""


class _AsTheyAre(nn.Module):
    """Features are what the library is given, not images."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """The same."""
        return features


def distances(real: np.ndarray, fake: np.ndarray, *, seed: int = 0) -> Distances:
    """All of them. Raises `TrainingError` for less than 2 pictures or without torchmetrics."""
    if min(len(real), len(fake)) < 2:
        raise TrainingError(
            f'Distances need 2 pictures of each kind, got {len(real)} and {len(fake)}; raise --samples.'
        )
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.kid import KernelInceptionDistance
    except ImportError:
        raise TrainingError(LIBRARY_MISSING) from None
    reals, fakes = torch.from_numpy(real), torch.from_numpy(fake)
    identity = _AsTheyAre(reals.shape[1])
    frechet = FrechetInceptionDistance(feature=identity)
    size = min(_KID_SIZE, len(reals), len(fakes))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # that features are kept in memory is known here
        subsets = 1 if size == max(len(reals), len(fakes)) else _KID_SUBSETS  # of all pictures there is only one subset
        kid = KernelInceptionDistance(feature=identity, subsets=subsets, subset_size=size)
    for metric in (frechet, kid):
        metric.update(reals, real=True)
        metric.update(fakes, real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kid_mean = float(kid.compute()[0])
    return Distances(
        float(frechet.compute()), kid_mean, covered(reals, fakes, _NEIGHBOURS), covered(fakes, reals, _NEIGHBOURS)
    )


def covered(base: Tensor, queries: Tensor, neighbours: int = 3) -> float:
    """Part of `queries` that lie in a ball around a point of `base` that reaches to its `neighbours`-th neighbour.

    Precision with reals as base and fakes as queries, recall the other way round (Kynkäänniemi et al. 2019, Eq. 1 and 2).
    """
    neighbours = min(neighbours, len(base) - 1)
    base, queries = base.double(), queries.double()
    radii = torch.cdist(base, base).kthvalue(neighbours + 1, dim=1).values  # the first neighbour is the point itself
    inside = (torch.cdist(queries, base) <= radii).any(1)
    return float(inside.double().mean())


def spectrum_difference_db(real: Tensor, fake: Tensor) -> float:
    """Root mean square difference of two radial power profiles [bins], in dB, 0 Hz left out: no network needed."""
    levels = [10 * torch.log10(profile[1:].clamp(min=1e-12)) for profile in (real, fake)]
    return math.sqrt(float((levels[0] - levels[1]).square().mean()))

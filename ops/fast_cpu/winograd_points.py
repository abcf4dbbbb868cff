"""Where Winograd's minimal filtering F(4x4, 3x3) evaluates its polynomials, and what that makes of a filter.

(Lavin and Gray 2016; Toom 1963, Cook 1966.) The points 0, ±5/8, ±3/2 and infinity round less than the usual 0, ±1, ±2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the compiler reads the points before torch is there
    from torch import Tensor

NEAR, FAR = 0.625, 1.5


def transform_weights(weight: Tensor) -> Tensor:
    """G w G^T of each 3x3 filter, [36, in channels, out channels], float64, of [out channels, in channels, 3, 3]."""
    import torch

    points = torch.tensor([0.0, NEAR, -NEAR, FAR, -FAR], dtype=torch.float64)
    rows = []
    for index, point in enumerate(points):
        others = torch.cat([points[:index], points[index + 1 :]])
        rows.append(point ** torch.arange(3) / (point - others).prod())
    rows.append(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))  # the point at infinity
    matrix = torch.stack(rows)  # G, [6, 3]
    return torch.einsum('ia,ocab,jb->ijco', matrix, weight.double(), matrix).flatten(0, 1)


@lru_cache(maxsize=1)
def transform_matrix() -> Tensor:
    """The same for filters of nine numbers each, as a matrix [36, 9], float64."""
    import torch

    return transform_weights(torch.eye(9).view(9, 1, 3, 3)).squeeze(1)

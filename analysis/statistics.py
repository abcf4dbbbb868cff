"""Numbers that describe a tensor, and how many of its values are none."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the values that are numbers; all NaN if there are none."""

    minimum: float
    maximum: float
    mean: float
    std: float
    """Of the population: divided by the count."""
    nan_count: int = 0


def summarize(x: Tensor) -> Summary:
    """Least, greatest and mean value and standard deviation of `x` (any shape), leaving NaN out and counting them."""
    flat = x.detach().reshape(-1).to(torch.float32)
    if flat.numel() == 0:
        return _nothing()
    total = float(flat.sum())
    nan_count = int(flat.isnan().sum()) if total != total else 0  # infinities of both signs add to NaN as well
    if nan_count:
        flat = flat[~flat.isnan()]
        if flat.numel() == 0:
            return _nothing(nan_count)
        total = float(flat.sum())
    low, high = torch.aminmax(flat)
    mean = total / flat.numel()
    centred = flat - mean
    std = (float(torch.dot(centred, centred)) / flat.numel()) ** 0.5  # several times faster than var()
    return Summary(float(low), float(high), mean, std, nan_count)


def _nothing(nan_count: int = 0) -> Summary:
    nan = float('nan')
    return Summary(nan, nan, nan, nan, nan_count)

"""Gradients that are not finite: counted, reported, and taken as 0 for one step."""

from collections.abc import Iterable

import torch
from torch import nn


@torch.no_grad()
def zero_lost_gradients(parameters: Iterable[nn.Parameter]) -> int:
    """Set elements that are infinite or not a number to 0; how many there were.

    Half precision loses one now and then; many, step after step, mean that the training diverges.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients or bool(torch.stack([gradient.sum() for gradient in gradients]).sum().isfinite()):
        return 0  # a finite sum has finite terms, and is cheap
    lost = 0
    for gradient in gradients:
        bad = ~gradient.isfinite()
        lost += int(bad.sum())
        gradient.masked_fill_(bad, 0)
    return lost

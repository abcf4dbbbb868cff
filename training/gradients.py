"""Gradients: added up for one network, averaged over the processes that train together, and freed of what is not finite."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.ranks import Ranks

Report = Mapping[str, Tensor]
"""Statistics by their published names ('Loss/G/loss'), one value per image, detached."""
Term = Callable[[], tuple[Tensor, Report]]
"""Computes a part of the loss, [], and what is to be reported of it."""


class GradientSum:
    """Adds up the gradients of one network over the terms of its loss.

    Several processes do it through PyTorch's DistributedDataParallel. That averages the gradients of what its module's call
    returned; so its module is one whose call computes a term of the loss, with all the passes through the networks and all
    inner derivatives (R1, path length) that the term needs.
    """

    def __init__(self, network: nn.Module, ranks: Ranks) -> None:
        """`network`: on its device, with the parameters that will learn set to do so."""
        self._shared = None
        if ranks.count > 1:
            # Buffers are kept equal by what they are computed from (`networks.batch_mean`), and some terms leave out some
            # parameters: R1 does not depend on the last bias.
            self._shared = DistributedDataParallel(
                _Term(network), forward_sync_buffers=False, find_unused_parameters=True
            )

    def add(self, term: Term, *, more_follow: bool = False) -> Report:
        """Add the gradients of `term`, which is called once; returns its report.

        `more_follow`: other terms come before the optimizer's step, so that averaging over the processes can wait for them.
        """
        if self._shared is None:
            loss, report = term()
            loss.backward()
            return report
        with self._shared.no_sync() if more_follow else nullcontext():
            loss, report = self._shared(term)
            loss.backward()
        return report


class _Term(nn.Module):
    """A module that is called to compute a term of the loss of `network`, whose parameters are its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, term: Term) -> tuple[Tensor, Report]:
        """What `term` returns."""
        return term()


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

"""Where a training step's random numbers come from: a seeded generator, or whatever a test puts in its place."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class RandomSource(Protocol):
    """Draws float32 tensors of a shape."""

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers in [0, 1)."""
        ...

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Numbers of mean 0 and deviation 1."""
        ...


class TorchRandom:
    """Draws from `generator`, on the CPU so that every device sees the same numbers; None = torch's global generator."""

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self._generator = generator

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers in [0, 1), on the CPU."""
        return torch.rand(*shape, generator=self._generator)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Numbers of mean 0 and deviation 1, on the CPU."""
        return torch.randn(*shape, generator=self._generator)

"""Dividing a minibatch among processes (or rounds of gradient accumulation) so that the mathematics stays that of one process.

Every draw is made for the whole minibatch by everyone, and each keeps its own rows: what sample i sees does not depend on who
computes it. Groups of the minibatch deviation are never torn apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.errors import TrainingError
from training.random_source import RandomSource
from training.ranks import Ranks


def share_of(batch: int, *, part: int, parts: int, group: int | None = None) -> tuple[int, ...]:
    """Which samples of a minibatch of `batch` belong to `part` of `parts`, in the order in which that part holds them.

    The whole minibatch has batch / group groups, and sample i belongs to group i modulo their number
    (`networks.discriminator.MinibatchStd`). A part takes a run of these groups, laid out so that inside the part
    the same rule finds the same groups.  `group` None: samples have nothing to do with each other.
    Raises `TrainingError` when it does not come out even.
    """
    size = 1 if group is None else min(group, batch)
    groups = batch // size
    if batch % size or groups % parts:
        unit = f'{parts} x {size}' if size > 1 else str(parts)
        raise TrainingError(
            f'A batch of {batch} cannot be divided among {parts} processes'
            + (f' without tearing groups of {size} apart' if size > 1 else '')
            + f'; use a multiple of {unit}.'
        )
    own = groups // parts
    return tuple(place * groups + part * own + index for place in range(size) for index in range(own))


class SharedRandom:
    """Draws for the whole minibatch and returns the rows of one share.

    A shape that begins with the share's size, or with a whole part of it, as path length takes, is a row per sample. The
    shape (1,) is one number for the whole minibatch, as style mixing draws.
    """

    def __init__(self, source: RandomSource, rows: Sequence[int], batch: int) -> None:
        """`source`: equal in every process.  `rows`: from `share_of`.  `batch`: of the whole minibatch."""
        self._source = source
        self._rows = torch.tensor(rows)
        self._parts = batch // len(rows)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers in [0, 1), on the CPU."""
        return self._own(self._source.uniform(self._whole(shape)), shape)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Numbers of mean 0 and deviation 1, on the CPU."""
        return self._own(self._source.normal(self._whole(shape)), shape)

    def _whole(self, shape: Sequence[int]) -> Sequence[int]:
        return shape if tuple(shape) == (1,) and len(self._rows) > 1 else (shape[0] * self._parts, *shape[1:])

    def _own(self, drawn: Tensor, shape: Sequence[int]) -> Tensor:
        if len(drawn) == shape[0]:
            return drawn
        rows = self._rows[: shape[0]]
        if int(rows.max()) >= len(drawn):
            raise ValueError(f'{shape[0]} rows are no part of a minibatch that {len(self._rows)} x {self._parts} make')
        return drawn[rows]


@dataclass(frozen=True, slots=True)
class Share:
    """This process's part of every minibatch, and who holds the others."""

    ranks: Ranks
    rows: tuple[int, ...]
    """Which samples of the whole minibatch are here."""
    batch: int
    """Samples of the whole minibatch."""

    def own(self, values: Tensor) -> Tensor:
        """The rows of this share, of [batch, …]."""
        return values if self.ranks.count == 1 else values[list(self.rows)]

    def random(self, source: RandomSource) -> RandomSource:
        """Draws this share's rows from what `source`, equal in every process, draws for the whole minibatch."""
        return source if self.ranks.count == 1 else SharedRandom(source, self.rows, self.batch)


def share_for(ranks: Ranks, *, batch: int, group: int | None) -> Share:
    """The share of this process. `group`: size of the groups of the minibatch deviation. Raises `TrainingError`."""
    if ranks.count == 1:
        return Share(ranks, tuple(range(batch)), batch)
    return Share(ranks, share_of(batch, part=ranks.rank, parts=ranks.count, group=group), batch)

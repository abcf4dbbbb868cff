"""The error of a turned picture by its kernel."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.fast_cpu import library
from ops.fast_cpu.shapes import TurnShape
from ops.fast_cpu.threads import run

_MOST_CHANNELS = 4


@dataclass(frozen=True, slots=True)
class LookUps:
    """Where in the enlarged reference the pixels of a picture come from. Lines are float64."""

    across_x: Tensor
    """[width]: fine column of a pixel, its part that depends on the column of the picture."""
    across_y: Tensor
    """[width]: fine row, likewise."""
    down_x: Tensor
    """[height]: fine column, the part that depends on the row."""
    down_y: Tensor
    """[height]: fine row, likewise."""
    least: float
    """Fine columns and rows from which on all that the taps meet is known."""
    below: tuple[float, float]
    """Fine columns, and rows, that are the first of which this is no longer so."""
    first: int
    """Where fine sample 0 lies, from the first one that is known."""


@dataclass(frozen=True, slots=True)
class TurnError:
    """What the kernel finds."""

    rms: Tensor
    """[height, width] float32: root of the mean square over the channels, NaN where the reference or the picture is not known."""
    squared: float
    """Sum of the squared differences."""
    pixels: int
    """That are known."""


def turn_error(reference: Tensor, picture: Tensor, phases: Tensor, plain: Tensor, places: LookUps) -> TurnError | None:
    """The error of `picture`, summed with the taps `plain`, against the reference; both [channels, height, width].

    `phases` [up, up, taps, taps]: of each fine sample, the taps over the samples of the reference.  `plain`: [odd, odd].
    None where no kernel computes it now, and for pictures that hold values that are no numbers.
    """
    shape = _shape(reference, picture, phases, plain)
    kernel = None if shape is None else library.get(shape)
    if shape is None or kernel is None:
        return None
    height, width = picture.shape[-2:]
    jobs = height - shape.plain + 1
    rms, sums = torch.full((height, width), torch.nan), torch.empty(jobs, 2, dtype=torch.float64)
    limits = torch.tensor([places.least, *places.below, places.first], dtype=torch.float64)
    lines = [line.contiguous() for line in (places.across_x, places.across_y, places.down_x, places.down_y)]
    room = (0, shape.room - shape.plain)
    tensors = (
        *(_with_room(one, width + shape.room) for one in (reference, picture)),
        *(rms, sums, _between_phases(phases, shape), F.pad(plain, room).contiguous(), *lines, limits),
    )
    run(kernel, jobs, 0, [*(one.data_ptr() for one in tensors), width, height * width])
    squared, pixels = sums.sum(0).tolist()
    return TurnError(rms, squared, int(pixels)) if squared - squared == 0 else None


def _shape(reference: Tensor, picture: Tensor, phases: Tensor, plain: Tensor) -> TurnShape | None:
    (channels, height, width), taps = picture.shape, phases.shape[-1]
    numbers = all(one.dtype == torch.float32 and one.is_cpu for one in (reference, picture, phases, plain))
    if not numbers or channels > _MOST_CHANNELS or min(height, width) < max(taps + 1, len(plain)):
        return None
    return TurnShape(16 if library.has_wide_vectors() else 8, channels, len(phases), taps + 1, len(plain))


def _with_room(picture: Tensor, room: int) -> Tensor:
    """The picture, one channel after the other, and memory behind it into which taps reach that are zero."""
    memory = picture.new_zeros(picture.numel() + room)
    memory[: picture.numel()].view(picture.shape).copy_(picture)
    return memory


def _between_phases(phases: Tensor, shape: TurnShape) -> Tensor:
    """[up + 1, up + 1, rows, room]: the taps of each fine sample over the patch that its neighbours share.

    The last phase is the first one, a sample farther.
    """
    up, taps = shape.up, shape.rows - 1
    found = phases.new_zeros(up + 1, up + 1, shape.rows, shape.room)
    found[:up, :up, :taps, :taps] = phases
    found[up, :up, 1:, :taps] = phases[0]
    found[:up, up, :taps, 1 : taps + 1] = phases[:, 0]
    found[up, up, 1:, 1 : taps + 1] = phases[0, 0]
    return found

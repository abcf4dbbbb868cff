"""How far one moved picture is from its reference, moved as far: what EQ-T and EQ-R pool, one picture at a time.

The numbers are those of `analysis.equivariance` (Karras et al. 2021, Eq. 3, Appendix E); here they are made often and quickly,
and with a map of where the error lies.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from analysis.equivariance import PooledError
from analysis.moving import Moved, apply_affine, phases_of, pseudo_rotate, source_lines, translate, turn_margin
from analysis.turn_kernels import turn_lowpass
from ops.fast_cpu.turn_call import LookUps, turn_error
from ops.parallel import one_thread_if_small

Rows = tuple[float, float, float, float, float, float]
"""Rows of a 2x3 affine map about the centre, x right, y down, translations in image widths."""
Metric = Literal['eq-t', 'eq-t-frac', 'eq-r']
UP = 4
"""Times by which a picture is enlarged to be turned."""
WHOLE_PIXELS = 1e-6
"""A shift so close to whole pixels is one."""


class CannotCompare(Exception):
    """Why there is no error to measure, as a sentence."""


@dataclass(frozen=True, slots=True)
class PictureError:
    """The error of one picture."""

    metric: Metric
    """Which of the paper's metrics this is a sample of."""
    pooled: PooledError
    rms: Tensor
    """[height, width] float32: root of the mean square over the channels; NaN outside the valid region."""


def metric_of(rows: Rows, width: int, height: int) -> Metric:
    """What a picture of this size, moved by `rows`, is a sample of: whole pixels, parts of pixels, or turns.

    Raises `CannotCompare` for no motion at all, and for what is neither a shift nor a turn.
    """
    a, b, x, c, d, y = rows
    if rows == (1, 0, 0, 0, 1, 0):
        raise CannotCompare('Drag the picture: as long as it is not moved, there is nothing to measure.')
    if not all(math.isfinite(value) for value in rows):
        raise CannotCompare('The transform holds values that are no numbers; reset it.')
    if max(abs(a - d), abs(b + c), abs(math.hypot(a, b) - 1)) > 1e-9:
        raise CannotCompare('The paper measures shifts and turns, not changes of size; set the scale back to 1.')
    if (a, b) != (1, 0):
        return 'eq-r'
    rests = (abs(x * width - round(x * width)), abs(y * height - round(y * height)))
    return 'eq-t' if max(rests) < WHOLE_PIXELS else 'eq-t-frac'


def picture_error(reference: Tensor, picture: Tensor, rows: Rows) -> PictureError:
    """The error of `picture`, which the network made of an input moved by `rows`, against `reference`, which it made of
    the same input not moved. Both [channels, height, width].

    Shifts: the moved reference (whole pixels exactly, E.1; parts by Lanczos, E.2) against the picture. Turns, also with a
    shift: the turned reference against the picture without the frequencies that a turn loses (E.3). Raises `CannotCompare`.
    """
    if reference.shape != picture.shape:
        raise CannotCompare('The picture and its reference differ in size, so they cannot be compared.')
    height, width = picture.shape[-2:]
    metric = metric_of(rows, width, height)
    with one_thread_if_small(picture.numel() * (UP * UP if metric == 'eq-r' else 1)):
        if metric == 'eq-t':
            return _whole(reference, picture, round(rows[2] * width), round(rows[5] * height))
        if metric == 'eq-t-frac':
            moved = translate(reference[None], rows[2], rows[5])
            return _masked(metric, moved, picture)
        return _turned(reference, picture, rows)


def _whole(reference: Tensor, picture: Tensor, dx: int, dy: int) -> PictureError:
    """Of a shift by whole pixels: only what overlaps is touched."""
    height, width = picture.shape[-2:]
    rows, columns = height - abs(dy), width - abs(dx)
    if rows <= 0 or columns <= 0:
        raise CannotCompare(_NOTHING_LEFT)
    top, left = max(dy, 0), max(dx, 0)
    moved = reference[:, top - dy : top - dy + rows, left - dx : left - dx + columns]
    squares = (moved.double() - picture[:, top : top + rows, left : left + columns].double()).square_().sum(dim=0)
    rms = torch.full([height, width], math.nan, device=picture.device)
    rms[top : top + rows, left : left + columns] = (squares / len(picture)).sqrt_()
    return PictureError('eq-t', _pooled(squares, len(picture) * rows * columns), rms)


def _turned(reference: Tensor, picture: Tensor, rows: Rows) -> PictureError:
    """Of a turn, also with a shift."""
    matrix = torch.tensor([rows[:3], rows[3:], (0, 0, 1)], dtype=torch.float64)
    radians = math.atan2(rows[1], rows[0])
    of_reference, of_picture = turn_lowpass(radians, up=UP), turn_lowpass(-radians, up=1)
    by_kernel = _turned_by_kernel(reference, picture, matrix, of_reference, of_picture)
    if by_kernel is not None:
        return by_kernel
    moved = apply_affine(reference[None], matrix, up=UP, kernel=of_reference, beyond=False)
    test = pseudo_rotate(picture[None], radians, kernel=of_picture)
    return _masked('eq-r', Moved(moved.image, moved.mask * test.mask), test.image[0])


def _turned_by_kernel(
    reference: Tensor, picture: Tensor, matrix: Tensor, of_reference: Tensor, of_picture: Tensor
) -> PictureError | None:
    """The same in a tenth of the time, where there is a kernel for it."""
    if not (reference.is_cpu and reference.dtype == picture.dtype == torch.float32):
        return None
    (height, width), border = picture.shape[-2:], len(of_reference) // 2
    phases, margin = phases_of(of_reference, UP).to(torch.float32), turn_margin(border, UP)
    below = (width * UP - border - 1 - (UP + 1) / 2, height * UP - border - 1 - (UP + 1) / 2)
    first = border - (phases.shape[-1] - 1) * UP
    places = LookUps(*source_lines(height, width, matrix, UP), margin, below, first)
    found = turn_error(reference, picture, phases, of_picture.flip(0, 1).to(torch.float32), places)
    if found is None:
        return None
    if found.pixels == 0:
        raise CannotCompare(_NOTHING_LEFT)
    return PictureError('eq-r', PooledError(found.squared, float(found.pixels * len(picture))), found.rms)


def _masked(metric: Metric, moved: Moved, picture: Tensor) -> PictureError:
    """Of a moved reference [1, channels, height, width] with a mask."""
    valid = moved.mask > 0
    count = int(valid.sum()) * len(picture)
    if count == 0:
        raise CannotCompare(_NOTHING_LEFT)
    squares = (moved.image[0].double() - picture.double()).square_().sum(dim=0).masked_fill_(~valid, 0.0)
    rms = (squares / len(picture)).sqrt_().to(torch.float32).masked_fill_(~valid, math.nan)
    return PictureError(metric, _pooled(squares, count), rms)


def _pooled(squares: Tensor, count: int) -> PooledError:
    total = float(squares.sum())
    if not math.isfinite(total):
        raise CannotCompare('The picture holds values that are no numbers, so its error cannot be measured.')
    return PooledError(total, float(count))


_NOTHING_LEFT = 'Nothing is left that is known in both pictures; move the picture less far.'

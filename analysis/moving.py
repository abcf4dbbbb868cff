"""Moving pictures by any amount as well as sampling theory allows, with the mask of what is then valid.

These are the reference transforms of the equivariance metrics (Karras et al. 2021, Appendix E): whole-pixel and
Lanczos translation, rotation, and the pseudo-rotation that loses the same frequencies as a rotation but stays put.
"""

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

LANCZOS_LOBES = 3
"""a, of every Lanczos window here."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A moved picture and where it is valid."""

    image: Tensor
    """[batch, channels, height, width]."""
    mask: Tensor
    """[height, width], 1 where the picture depends on inside samples only, else 0."""


def rotation_matrix(radians: float) -> Tensor:
    """The map [3, 3] that turns a picture counter-clockwise as seen on screen (y points down)."""
    cos, sin = math.cos(radians), math.sin(radians)
    return torch.tensor([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], dtype=torch.float64)


def translation_matrix(x: float, y: float) -> Tensor:
    """The map [3, 3] that moves a picture by (x, y) image widths, right and down."""
    return torch.tensor([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=torch.float64)


def translate_whole(image: Tensor, x: float, y: float) -> Moved:
    """The picture moved by (x, y) image sizes, rounded to whole pixels; zero where nothing is known (E.1)."""
    height, width = image.shape[-2:]
    dx, dy = round(x * width), round(y * height)
    columns, known_x = _shifted(width, dx, image.device)
    rows, known_y = _shifted(height, dy, image.device)
    mask = (known_y[:, None] & known_x[None, :]).to(image.dtype)
    return Moved(image[..., rows, :][..., columns] * mask, mask)


def translate(image: Tensor, x: float, y: float, *, lobes: int = LANCZOS_LOBES) -> Moved:
    """The picture moved by (x, y) image sizes, by Lanczos interpolation with taps of unit sum (E.2).

    The valid region shrinks by the taps: `lobes` samples on one side, `lobes - 1` on the other.
    """
    height, width = image.shape[-2:]
    moved, known_x = _translate_axis(image, x * width, -1, lobes)
    moved, known_y = _translate_axis(moved, y * height, -2, lobes)
    return Moved(moved, (known_y[:, None] & known_x[None, :]).to(image.dtype))


def _shifted(size: int, offset: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each sample comes from after a shift by `offset` (clamped), and whether it exists."""
    source = torch.arange(size, device=device) - offset
    return source.clamp(0, size - 1), (source >= 0) & (source < size)


def _translate_axis(image: Tensor, offset: float, axis: int, lobes: int) -> tuple[Tensor, Tensor]:
    whole = math.floor(offset)
    steps = torch.arange(1 - lobes, lobes + 1, dtype=torch.float64)
    distance = steps - (offset - whole)
    taps = lanczos(distance, lobes)
    return _convolve_axis(image, whole, steps.long().tolist(), (taps / taps.sum()).tolist(), axis)


def lanczos(x: Tensor, lobes: int = LANCZOS_LOBES) -> Tensor:
    """sinc(x) sinc(x / lobes) within +-lobes, else 0."""
    return torch.sinc(x) * _lanczos_window(x, lobes)


def _lanczos_window(x: Tensor, lobes: int) -> Tensor:
    return torch.sinc(x / lobes) * (x.abs() < lobes)


def affine_lowpass(
    matrix: Tensor,
    *,
    lobes: int = LANCZOS_LOBES,
    reach: int = 2 * LANCZOS_LOBES,
    grid: int = 64,
    up: int = 4,
    cutoff_in: float = 1.0,
    cutoff_out: float = 1.0,
) -> Tensor:
    """Kernel that keeps what is band-limited both before and after `matrix` is applied (E.3), float64.

    The ideal low-pass of the input lattice convolved with that of the output lattice, seen from the input, windowed
    by the same convolution of Lanczos windows. Sampled `up` times an input sample, each of the up x up phases
    normalised to the same sum, all to 1. `reach`: samples kept on each side; `grid`: on how many the convolution is
    computed. Returns [2 * reach * up - 1] squared.
    """
    if not lobes <= reach < grid:
        raise ValueError(f'affine_lowpass needs lobes <= reach < grid, got {lobes}, {reach}, {grid}')
    m = matrix.to(device='cpu', dtype=torch.float64)
    # The window of the input lattice ends after `lobes`: what lies farther away than `width` meets none of the kernel.
    width = min(reach + lobes, grid)
    kernel = _convolved_sinc(m * cutoff_out, _positions(grid, up), _sinc_taps(grid, reach, up, cutoff_in))
    taps = _window_taps(width, reach, up, lobes)
    kernel *= taps @ _window_response(m, _positions(width, up), lobes) @ taps.T
    phases = F.pad(kernel, (0, 1, 0, 1)).reshape(2 * reach, up, 2 * reach, up)
    phases = phases / phases.sum(dim=(0, 2), keepdim=True) / up**2
    return phases.reshape(2 * reach * up, 2 * reach * up)[:-1, :-1]


def _positions(grid: int, up: int) -> Tensor:
    """Where the samples of a kernel lie that reaches `grid` input samples to each side, without the ends."""
    return torch.arange(1 - grid * up, grid * up, dtype=torch.float64) / up


def _convolved_sinc(matrix: Tensor, positions: Tensor, taps: Tensor) -> Tensor:
    """sinc(u) sinc(v) with (u, v) = matrix (x, y) at all `positions` x and y, convolved along both axes by `taps`.

    The response looks the same turned by 180 degrees, and that of a turn turned by 90: a half or a quarter is enough.
    """
    middle = len(positions) // 2
    upper, right = positions[: middle + 1], positions[middle:]
    (a, b), (c, d) = matrix[0, :2].tolist(), matrix[1, :2].tolist()
    if (a, b) == (d, -c):
        quarter = _sinc_of_sum(a * right, b * upper).mul_(_sinc_of_sum(c * right, d * upper))
        # At (x, y), x < 0, it is what it is at (-y, x).
        # Products of transposed matrices take several times as long.
        half = (quarter[:-1].T.contiguous() @ taps[:, :middle].T.contiguous()).flip(0)
        half += quarter @ taps[:, middle:].T
    else:
        half = _sinc_of_sum(a * positions, b * upper).mul_(_sinc_of_sum(c * positions, d * upper)) @ taps.T
    top = taps[: len(taps) // 2 + 1] @ torch.cat([half, half[:-1].flip(0, 1)])
    return torch.cat([top, top[:-1].flip(0, 1)])


def _sinc_of_sum(x: Tensor, y: Tensor) -> Tensor:
    """sinc(x + y), [y, x]. The sine of a sum is a sum of two products: no sine of every sample."""
    x, y = x * math.pi, y * math.pi
    total = y[:, None] + x
    sines = torch.stack([y.sin(), y.cos()], dim=1) @ torch.stack([x.cos(), x.sin()])
    # Near zero the quotient is of rounding errors.
    return torch.where(total.abs() < 1e-6, 1.0, sines.div_(total))


def _window_response(matrix: Tensor, positions: Tensor, lobes: int) -> Tensor:
    """The Lanczos window of u times that of v, [y, x]."""
    columns = positions[:, None]
    (a, b), (c, d) = matrix[0, :2].tolist(), matrix[1, :2].tolist()
    u, v = a * positions + b * columns, c * positions + d * columns
    return _lanczos_window(u, lobes) * _lanczos_window(v, lobes)


@functools.lru_cache(maxsize=8)
def _sinc_taps(grid: int, reach: int, up: int, cutoff: float) -> Tensor:
    """[2 * reach * up - 1, 2 * grid * up - 1]: what each sample of a response adds to each of the kernel, by a sinc.

    The convolution is circular, as one by Fourier transforms is.
    """
    period = 2 * grid * up - 1
    offset = torch.arange(1 - reach * up, reach * up)[:, None] - torch.arange(1 - grid * up, grid * up)
    wrapped = (offset + period // 2) % period - period // 2
    return torch.sinc(wrapped.to(torch.float64) / up * cutoff)


@functools.lru_cache(maxsize=8)
def _window_taps(width: int, reach: int, up: int, lobes: int) -> Tensor:
    """The same by a Lanczos window, for a response that reaches `width` samples to each side."""
    return _lanczos_window(_positions(reach, up)[:, None] - _positions(width, up), lobes)


def apply_affine(
    image: Tensor,
    matrix: Tensor,
    *,
    lobes: int = LANCZOS_LOBES,
    reach: int | None = None,
    up: int = 4,
    kernel: Tensor | None = None,
    beyond: bool = True,
) -> Moved:
    """The picture mapped by `matrix` [3, 3] (image sizes, origin at the centre): upsampled, then bilinear look-ups (E.3).

    Good to about 40 dB. `reach` defaults to 2 * lobes. `kernel`: `affine_lowpass` of these, if it is at hand.
    `beyond`: whether the surroundings, taken for zero, count outside the mask; without, anything is there, in half the time.
    """
    if kernel is None:
        kernel = affine_lowpass(matrix, lobes=lobes, reach=2 * lobes if reach is None else reach, up=up)
    phases, first = _upsample(image, kernel.to(image), up, beyond=beyond)
    column, row = _source_positions(image, matrix, up)
    looked_up = _between(phases, up, column + first, row + first)
    if beyond:  # where not even the kernel's ends reach there is nothing at all
        (rows, columns), (x, y) = phases.shape[-2:], (column.flatten() + first, row.flatten() + first)
        looked_up *= (x >= 0) & (x < columns * up - 1) & (y >= 0) & (y < rows * up - 1)
    # From the picture's edge in fine samples; inside, the kernel meets known samples only.
    border = len(kernel) // 2
    (height, width), margin = image.shape[-2:], turn_margin(border, up)
    mask = (column >= margin) & (column < width * up - border - 1 - (up + 1) / 2)
    mask &= (row >= margin) & (row < height * up - border - 1 - (up + 1) / 2)
    return Moved(looked_up.reshape(image.shape), mask.to(image))


def _upsample(image: Tensor, kernel: Tensor, up: int, *, beyond: bool) -> tuple[Tensor, int]:
    """The picture at `up` times the rate, and where in it sample 0 is. `beyond`: else only where all samples are known.

    Polyphase: each of the up x up phases is an ordinary convolution of the picture. They stay side by side, because
    interleaving them takes as long again: [batch * channels, up * up, rows, columns], where phase (p, q) holds the fine
    samples (p, q), (p, q + up), …
    """
    batch, channels, height, width = image.shape
    weights = phases_of(kernel, up)
    per_phase = weights.shape[-1]
    padding = per_phase - 1 if beyond or min(height, width) < per_phase else 0
    phases = F.conv2d(
        image.reshape(batch * channels, 1, height, width),
        weights.reshape(up * up, 1, per_phase, per_phase),
        padding=padding,
    )
    return phases, len(kernel) // 2 - (per_phase - 1 - padding) * up


def phases_of(kernel: Tensor, up: int) -> Tensor:
    """[up, up, taps, taps]: the kernel of each phase of a picture at `up` times the rate, as a convolution takes it."""
    per_phase = -(-len(kernel) // up)
    padded = F.pad(kernel, (0, per_phase * up - len(kernel)) * 2)
    return padded.reshape(per_phase, up, per_phase, up).permute(1, 3, 0, 2).flip(2, 3) * up**2


def _between(phases: Tensor, up: int, column: Tensor, row: Tensor) -> Tensor:
    """Bilinear look-ups at fine positions [height, width] in phases as of `_upsample`; beyond the edges what is there.

    Returns [batch * channels, height * width].
    """
    rows, columns = phases.shape[-2:]
    flat = phases.flatten(1)
    column = column.flatten().clamp_(0, columns * up - 1.001)
    row = row.flatten().clamp_(0, rows * up - 1.001)
    left, top = column.floor(), row.floor()
    across, down = column.sub_(left).to(flat), row.sub_(top).to(flat)
    from_x, from_y = _places(rows, columns, up, flat.device)
    x, y = left.int(), top.int()
    at_x, at_y = (from_x[x], from_x[x + 1]), (from_y[y], from_y[y + 1])
    upper, lower = (
        torch.lerp(flat.index_select(1, at_x[0] + line), flat.index_select(1, at_x[1] + line), across) for line in at_y
    )
    return torch.lerp(upper, lower, down)


@functools.lru_cache(maxsize=8)
def _places(rows: int, columns: int, up: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the samples of each fine column, and of each fine row, begin among phases of [rows, columns] samples."""
    x, y = torch.arange(columns * up, device=device), torch.arange(rows * up, device=device)
    from_x = x % up * (rows * columns) + x // up
    from_y = y % up * (up * rows * columns) + y // up * columns
    return from_x.int(), from_y.int()


def _source_positions(image: Tensor, matrix: Tensor, up: int) -> tuple[Tensor, Tensor]:
    """Where each output pixel lies in the upsampled input: (column, row) in fine samples, float64 [height, width]."""
    across_x, across_y, down_x, down_y = source_lines(image.shape[-2], image.shape[-1], matrix, up, device=image.device)
    return across_x + down_x[:, None], across_y + down_y[:, None]


def source_lines(
    height: int, width: int, matrix: Tensor, up: int, *, device: torch.device | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Parts of where each output pixel lies in the upsampled input, in fine samples, float64: of the column, then of the
    row, what depends on the pixel's column [width]; then likewise what depends on its row [height]."""
    (a, b, x), (c, d, y), _ = torch.linalg.inv(matrix.to(device='cpu', dtype=torch.float64)).tolist()
    across, down = _centres(width, device), _centres(height, device)
    down_x = (down * b).add_(x + 0.5).mul_(width * up).sub_(0.5 * up)
    down_y = (down * d).add_(y + 0.5).mul_(height * up).sub_(0.5 * up)
    return across * (a * width * up), across * (c * height * up), down_x, down_y


@functools.lru_cache(maxsize=8)
def _centres(size: int, device: torch.device | None) -> Tensor:
    """Middles of the pixels of a line, in its lengths from its middle; float64."""
    return (torch.arange(size, dtype=torch.float64, device=device) + 0.5) / size - 0.5


def turn_margin(border: int, up: int) -> float:
    """Fine samples from the picture's edge to where a kernel of `border` samples to each side meets known ones only."""
    return border + 1 - (up + 1) / 2


def rotate(image: Tensor, radians: float, *, lobes: int = LANCZOS_LOBES) -> Moved:
    """The picture turned counter-clockwise as seen on screen about its centre (E.3)."""
    return apply_affine(image, rotation_matrix(radians), lobes=lobes)


def pseudo_rotate(image: Tensor, radians: float, *, lobes: int = LANCZOS_LOBES, kernel: Tensor | None = None) -> Moved:
    """The picture with the frequencies removed that a rotation into it would lose, not turned (R* in E.3).

    `kernel`: `affine_lowpass` of the turn back, with `up` 1, if it is at hand.
    """
    if kernel is None:
        kernel = affine_lowpass(rotation_matrix(-radians), lobes=lobes, reach=2 * lobes, up=1)
    kernel = kernel.to(image)
    border = len(kernel) // 2
    channels, height, width = image.shape[1:]
    # One channel after the other is several times slower on a CPU than as groups of one convolution.
    weights = kernel.flip(0, 1).repeat(channels, 1, 1, 1)
    flat = F.conv2d(image, weights, padding=border, groups=channels)
    mask = torch.zeros(height, width, dtype=image.dtype, device=image.device)
    mask[border : height - border, border : width - border] = 1
    return Moved(flat, mask)


def translate_samples(features: Tensor, x: float, y: float, *, reach: int = 10) -> Moved:
    """Features moved by (x, y) of their own samples, right and down; whole samples exactly, others by a long sinc.

    Kaiser-windowed sinc; with the default 20 taps 100 dB for signals up to 0.6 of half the sampling rate, falling above,
    so use it where the paper's layers are oversampled. Valid where all taps met known samples.
    """
    moved, known_x = _delay(features, x, -1, reach)
    moved, known_y = _delay(moved, y, -2, reach)
    return Moved(moved, (known_y[:, None] & known_x[None, :]).to(features.dtype))


def _delay(features: Tensor, offset: float, axis: int, reach: int) -> tuple[Tensor, Tensor]:
    whole = math.floor(offset + 1e-9)
    fraction = offset - whole
    if abs(fraction) < 1e-6:
        source, known = _shifted(features.shape[axis], whole, features.device)
        shape = [-1, 1] if axis == -2 else [-1]
        return features.index_select(axis, source) * known.to(features.dtype).reshape(shape), known
    steps = torch.arange(1 - reach, reach + 1, dtype=torch.float64)
    distance = steps - fraction
    # Kaiser window as a continuous function of the distance from the centre of the delayed pulse.
    beta = reach + 1.0
    taper = torch.i0(beta * (1 - (distance / reach).square()).clamp(min=0).sqrt()) / torch.i0(torch.tensor(beta))
    taps = torch.sinc(distance) * taper
    return _convolve_axis(features, whole, steps.long().tolist(), (taps / taps.sum()).tolist(), axis)


def _convolve_axis(image: Tensor, whole: int, steps: list[int], taps: list[float], axis: int) -> tuple[Tensor, Tensor]:
    """The sum of copies shifted by `whole` + each step, times its tap, zero beyond the edges; where all were inside."""
    size = image.shape[axis]
    total, position = torch.zeros_like(image), torch.arange(size, device=image.device)
    for step, tap in zip(steps, taps, strict=True):
        offset = whole + step
        count = size - abs(offset)
        if count > 0:
            source = image.narrow(axis, max(-offset, 0), count)
            total.narrow(axis, max(offset, 0), count).add_(source, alpha=tap)
    known = (position - whole - max(steps) >= 0) & (position - whole - min(steps) < size)
    return total, known

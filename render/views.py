"""Turns a captured tensor into pixels, plots and numbers. Pure functions of the tensor and the view."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from analysis.colormap import colormap
from analysis.resample import apply_inverse_affine
from analysis.spectrum import (
    axis_slice,
    decibel,
    diagonal_slice,
    power_spectrum,
    radial_profile,
    with_both_edges,
)
from analysis.statistics import summarize
from ops.parallel import one_thread_if_small
from render import interop
from render.request import IDENTITY, Affine, SpectrumSpec, ViewSpec
from render.result import Spectrum, Statistics
from render.sheet import sheet_layout

NAN_COLOUR = (255, 0, 255)
LINE_COLOUR = (38, 40, 48)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn, and the numbers under it."""

    image: np.ndarray
    """[height, width, rgba] uint8."""
    values: np.ndarray
    """[shown channels, height, width] float32, read-only; NaN on the lines of a contact sheet."""
    notes: tuple[str, ...] = ()


def picture(x: Tensor, view: ViewSpec, *, transform: Affine = IDENTITY, rate: float | None = None) -> Picture:
    """The pixels of `x` [channels, height, width].  `transform`: what `undo_transform` undoes; `rate`: of the layer."""
    if view.mode == 'sheet':
        return _sheet(x, view, transform, rate)
    values, notes = _shown_channels(x, view)
    mask = None
    if view.undo_transform and transform != IDENTITY:
        values, mask = apply_inverse_affine(values, transform, rate=rate)
    scaled = _scaled(values, view)
    if view.mode == 'channel':
        image = colour_map_rgba(scaled[0], view.colormap)
    else:
        image = to_rgba8(scaled if scaled.shape[0] == 3 else _three(scaled))
    if mask is not None:
        image[..., 3] = mask.to(torch.uint8) * 255
    return Picture(pixels_of(image), read_only(values), notes)


def to_rgba8(x: Tensor, out: Tensor | None = None) -> Tensor:
    """[height, width, 4] uint8, opaque, of `x` [3, height, width] in [-1, 1]: x * 127.5 + 128, cut off, clamped.

    NaN becomes `NAN_COLOUR`. `out`: a tensor to write into instead of a new one.
    """
    if x.shape[0] != 3:
        raise ValueError(f'a colour picture needs 3 channels, got {x.shape[0]}')
    if out is None:
        out = torch.empty([*x.shape[1:], 4], dtype=torch.uint8, device=x.device)
    # Planes first, pixels last: converting while interleaving takes half as long again.
    with one_thread_if_small(out.numel()):
        planes = (x.to(torch.float32) * 127.5).add_(128).clamp_(0, 255).to(torch.uint8)
        for channel in range(3):
            out[..., channel] = planes[channel]
        out[..., 3] = 255
        return _mark_nan(out, x)


def to_rgb8(x: Tensor) -> np.ndarray:
    """[height, width, 3] uint8 of `x` [channels, height, width] in [-1, 1]: the first three channels, or the first as grey."""
    three = x[:3] if x.shape[0] >= 3 else x[:1].expand(3, -1, -1)
    return to_rgba8(three)[..., :3].contiguous().cpu().numpy()


def colour_map_rgba(x: Tensor, name: str) -> Tensor:
    """[height, width, 4] uint8 of `x` [height, width] in [-1, 1] through a colour map; NaN as `NAN_COLOUR`."""
    table = torch.full([256, 4], 255, dtype=torch.uint8)
    table[:, :3] = colormap(name)
    whole_pixels = table.view(torch.int32).flatten().to(x.device)
    brightness = (x.to(torch.float32) * 127.5).add_(128).clamp_(0, 255).to(torch.uint8)
    # By way of uint8, and four bytes at once: several times faster than looking up rows of the table.
    pixels = whole_pixels.index_select(0, brightness.flatten().to(torch.int32))
    return _mark_nan(pixels.view(torch.uint8).view(*x.shape, 4), x[None])


def spectrum_of_power(power: Tensor, rate: float, *, samples: int = 1) -> Spectrum:
    """The plots of a power spectrum [height, width] of an array with `rate` samples per image width."""
    reference = float(power.mean())
    short = min(power.shape)
    frequencies = np.arange(short // 2 + 1, dtype=np.float32) * np.float32(rate / short)

    def plot(profile: Tensor) -> np.ndarray:
        return decibel(profile, reference).cpu().numpy()

    return Spectrum(
        power_db=plot(with_both_edges(power)),
        extent=rate / 2,
        frequencies=frequencies,
        radial_db=plot(radial_profile(power)),
        axis_db=plot(axis_slice(power)),
        diagonal_db=plot(diagonal_slice(power)),
        samples=samples,
    )


def power_of(x: Tensor, spec: SpectrumSpec) -> Tensor:
    """Mean power spectrum [height, width] of one or all channels of `x` [channels, height, width]."""
    if spec.channel is not None:
        channel = min(max(spec.channel, 0), x.shape[0] - 1)
        x = x[channel : channel + 1]
    return power_spectrum(x, spec.kaiser_beta)


def statistics_of(x: Tensor) -> Statistics:
    """Numbers about all of `x`."""
    found = summarize(x)
    return Statistics(
        shape=tuple(x.shape),
        dtype=str(x.dtype).removeprefix('torch.'),
        minimum=found.minimum,
        maximum=found.maximum,
        mean=found.mean,
        std=found.std,
        nan_count=found.nan_count,
    )


def _shown_channels(x: Tensor, view: ViewSpec) -> tuple[Tensor, tuple[str, ...]]:
    """The channels that the view names, float32; those beyond the last are left out and said."""
    wanted = view.channels[: 3 if view.mode == 'rgb' else 1] or (0,)
    count = x.shape[0]
    if view.mode == 'rgb' and count < 3 and wanted == (0, 1, 2):
        wanted = (0,)  # a grey image
    present = [channel for channel in wanted if 0 <= channel < count]
    notes = () if len(present) == len(wanted) else (f'only {count} channels: others are not shown',)
    if not present:
        present = [count - 1]
    if present == list(range(present[0], present[0] + len(present))):
        return x[present[0] : present[0] + len(present)].to(torch.float32), notes  # no copy
    return x[present].to(torch.float32), notes


def _three(x: Tensor) -> Tensor:
    """One channel as grey; two as red and green."""
    return x.expand(3, -1, -1) if x.shape[0] == 1 else torch.cat([x, torch.full_like(x[:1], -1)])


def _scaled(x: Tensor, view: ViewSpec) -> Tensor:
    """`x` as brightness: each channel over its own largest magnitude if asked, then the gain."""
    if view.normalize:
        largest = x.nan_to_num(nan=0.0).abs().amax(dim=(-2, -1), keepdim=True)
        x = x / largest.clamp(min=1e-8)
    return x if view.gain_db == 0 else x * 10 ** (view.gain_db / 20)


def _sheet(x: Tensor, view: ViewSpec, transform: Affine, rate: float | None) -> Picture:
    """Many channels side by side, each through the colour map."""
    layout = sheet_layout(view, *x.shape)
    cells = x[layout.channels() if layout.order else slice(layout.first, layout.first + layout.count)].to(torch.float32)
    mask = None
    if view.undo_transform and transform != IDENTITY:
        cells, mask = apply_inverse_affine(cells, transform, rate=rate)
    notes = ()
    if layout.reduction > 1:
        notes = (f'contact sheet reduced {layout.reduction} times',)
        cells = avg_pool2d(cells, layout.reduction)
        mask = None if mask is None else mask[:: layout.reduction, :: layout.reduction]
    scaled = _scaled(cells, view)
    height, width = layout.cell_height, layout.cell_width
    image = torch.empty([layout.height, layout.width, 4], dtype=torch.uint8, device=x.device)
    image[:] = torch.tensor([*LINE_COLOUR, 255], dtype=torch.uint8, device=x.device)
    coloured = colour_map_rgba(scaled.flatten(0, 1), view.colormap).view(layout.count, *scaled.shape[1:], 4)
    values = torch.full([1, layout.height, layout.width], float('nan'), device=x.device)
    for index in range(layout.count):
        top, left = layout.corner(index)
        cell = image[top : top + height, left : left + width]
        cell[:] = coloured[index]
        if mask is not None:
            cell[..., 3] = mask[:height, :width].to(torch.uint8) * 255
        values[0, top : top + height, left : left + width] = cells[index]
    return Picture(pixels_of(image), read_only(values), notes)


def _mark_nan(image: Tensor, x: Tensor) -> Tensor:
    """`image` with `NAN_COLOUR` where any channel of `x` is NaN. A sum tells cheaply that there is none."""
    if bool(x.sum(dtype=torch.float32).isnan()):
        bad = x.isnan().any(dim=0)
        image[bad] = torch.tensor([*NAN_COLOUR, 255], dtype=torch.uint8, device=image.device)
    return image


def pixels_of(image: Tensor) -> np.ndarray:
    """[height, width, 4] uint8 of a tensor; a GPU's copy is kept at hand for OpenGL where that is wanted."""
    host = on_host(image).numpy()
    if image.device.type == 'cuda':
        interop.remember(host, image.contiguous())
    return host


def on_host(x: Tensor) -> Tensor:
    """`x` in the CPU's memory. From a GPU by way of page-locked memory, which the device can write without a detour."""
    if x.device.type != 'cuda':
        return x.cpu()
    host = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
    host.copy_(x, non_blocking=True)
    torch.cuda.current_stream(x.device).synchronize()
    return host


def read_only(values: Tensor) -> np.ndarray:
    """The values as an array that nobody writes into."""
    array = on_host(values).numpy()
    array.flags.writeable = False  # it may be the renderer's own memory of the activation
    return array

"""What the meter says about one picture, and its error as a picture. No state; the renderer keeps the references."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from analysis.colormap import colormap
from analysis.equivariance import DYNAMIC_RANGE
from analysis.picture_error import CannotCompare, Metric, PictureError, metric_of
from networks.info import GeneratorInfo
from ops.parallel import one_thread_if_small
from render.request import RenderRequest, ViewSpec
from render.result import Equivariance, ErrorScale
from render.views import NAN_COLOUR, Picture, read_only

BRIGHT_DB, DARK_DB = 10.0, 70.0
"""Of a pixel without gain: from here on as bright, and as dark, as it gets."""
COLOURS = 'magma'
DIMMED = 0.3
"""Brightness of the picture where nothing is known about its error."""
SHOW_IMAGE = 'The paper measures the image: choose Image in the panel Layers.'
WORDS: dict[Metric, str] = {
    'eq-t': 'Whole pixels: feeds EQ-T.',
    'eq-t-frac': 'Parts of a pixel: feeds EQ-T frac.',
    'eq-r': 'Turned: feeds EQ-R.',
}
SAME_NOISE = ' Both pictures have the same noise; it stays on the screen and counts as error.'


def wants_error(view: ViewSpec) -> bool:
    """Whether a view needs the reference picture."""
    return view.meter or view.error_map


def check_measurable(info: GeneratorInfo, request: RenderRequest) -> None:
    """Raises `CannotCompare` if the error of this picture cannot be measured, before anything is computed."""
    if (reason := info.why_not('transform')) is not None:
        raise CannotCompare(f'Nothing to measure: {reason}')
    if request.synthesis.layer is not None:
        raise CannotCompare(SHOW_IMAGE)
    metric_of(request.synthesis.transform, info.resolution, info.resolution)


def reading_of(
    error: PictureError | CannotCompare | None, info: GeneratorInfo, request: RenderRequest
) -> Equivariance | None:
    """The numbers of one picture for the meter, or why there are none; None where nobody asked."""
    if error is None:
        return None
    if isinstance(error, CannotCompare):
        return Equivariance(sentence=str(error))
    words = WORDS[error.metric]
    if request.synthesis.noise != 'none' and info.why_not('noise') is None:
        words += SAME_NOISE
    pooled = error.pooled
    scale = _scale(request.view) if request.view.error_map else None
    return Equivariance(error.metric, pooled.squared, pooled.count, pooled.psnr(), words, scale)


def error_picture(error: PictureError, x: Tensor, view: ViewSpec) -> Picture:
    """The error of each pixel through a colour map, bright where it is large; beyond the valid region the picture `x`
    [channels, height, width], dimmed. Its values are the errors [1, height, width], NaN where not valid."""
    bright, dark = BRIGHT_DB + view.error_gain_db, DARK_DB + view.error_gain_db
    with one_thread_if_small(x.numel()):
        decibels = (error.rms / DYNAMIC_RANGE).log10_().mul_(-20)
        share = decibels.sub_(dark).mul_(255 / (bright - dark)).clamp_(0, 255).round_()
        brightness = x.mean(dim=0, dtype=torch.float32).mul_(127.5).add_(128).clamp_(0, 255).add_(256)
        # Not a number are: the error beyond the valid region, and what the network made wrong.
        entry = torch.where(share.isnan(), brightness, share).nan_to_num_(nan=512.0)
        pixels = _palette().to(x.device).index_select(0, entry.flatten().to(torch.int32))
        image = pixels.view(torch.uint8).view(*entry.shape, 4)
        return Picture(image.cpu().numpy(), read_only(error.rms[None]))


@functools.lru_cache(maxsize=1)
def _palette() -> Tensor:
    """[513] pixels as int32: 256 of the map, 256 dimmed greys, the colour of what is no number."""
    table = torch.full([513, 4], 255, dtype=torch.uint8)
    table[:256, :3] = colormap(COLOURS)
    table[256:512, :3] = (torch.arange(256) * DIMMED)[:, None].to(torch.uint8)
    table[512, :3] = torch.tensor(NAN_COLOUR, dtype=torch.uint8)
    return table.view(torch.int32).flatten()


def _scale(view: ViewSpec) -> ErrorScale:
    return ErrorScale(BRIGHT_DB + view.error_gain_db, DARK_DB + view.error_gain_db, _strip())


@functools.lru_cache(maxsize=1)
def _strip() -> np.ndarray:
    """The colours of the map, the same array for every picture."""
    colours = torch.full([1, 256, 4], 255, dtype=torch.uint8)
    colours[0, :, :3] = colormap(COLOURS).flip(0)
    return read_only(colours)

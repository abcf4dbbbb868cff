"""What the meter says about one picture, and its error as a picture. No state; the renderer keeps the references."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from analysis.colormap import colormap
from analysis.equivariance import DYNAMIC_RANGE
from analysis.picture_error import CannotCompare, Metric, PictureError, metric_of
from networks.info import GeneratorInfo
from render.request import RenderRequest, ViewSpec
from render.result import Equivariance, ErrorScale
from render.views import NAN_COLOUR, Picture, read_only, to_rgba8

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
    rms = error.rms
    valid = ~rms.isnan()
    bright, dark = BRIGHT_DB + view.error_gain_db, DARK_DB + view.error_gain_db
    decibels = (rms / DYNAMIC_RANGE).log10_().mul_(-20)
    share = decibels.sub_(dark).div_(bright - dark).clamp_(0, 1).nan_to_num_(nan=0.0)
    table = colormap(COLOURS).to(x.device)
    image = torch.empty([*rms.shape, 4], dtype=torch.uint8, device=x.device)
    image[..., :3] = table[(share * 255).round_().int()]
    image[..., 3] = 255
    grey = to_rgba8(x.to(torch.float32).mean(dim=0, keepdim=True).expand(3, -1, -1))[..., :3]
    dimmed = torch.where(
        x.isnan().any(dim=0)[..., None], torch.tensor(NAN_COLOUR, device=x.device).byte(), grey * DIMMED
    )
    image[..., :3] = torch.where(valid[..., None], image[..., :3], dimmed.to(torch.uint8))
    return Picture(image.cpu().numpy(), read_only(rms[None]))


def decibels_of(rms: float) -> float:
    """The error of one pixel on the scale of the meter, in dB."""
    return math.inf if rms == 0 else -20 * math.log10(rms / DYNAMIC_RANGE)


def _scale(view: ViewSpec) -> ErrorScale:
    colours = torch.full([256, 1, 4], 255, dtype=torch.uint8)
    colours[:, 0, :3] = colormap(COLOURS).flip(0)
    return ErrorScale(BRIGHT_DB + view.error_gain_db, DARK_DB + view.error_gain_db, colours.numpy())

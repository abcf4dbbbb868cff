"""Modules of unknown kind, tested from outside: is it pointwise and does it fold, does it upsample and leave images?"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from analysis.diagnosis_signal import SAMPLES, band_picture, folding_of, images_beyond
from analysis.spectrum import kaiser_window

BAND = 0.5
"""Of the incoming Nyquist frequency: a signal with an octave of room."""
_PROBE = 16
_TOLERANCE = 1e-4


def measured_folding_db(module: nn.Module, channels: int) -> float:
    """Energy that a pointwise module folds at its own rate, relative to its signal; NaN for any other module."""
    like = next((parameter for parameter in module.parameters()), torch.zeros(()))
    if not _is_pointwise(module, channels, like):
        return math.nan

    def function(x: Tensor) -> Tensor:
        wide = x[:, :1].to(like).expand(-1, channels, -1, -1).contiguous()
        return module(wide)[:, :1].double().cpu()

    try:
        return folding_of(function, BAND)
    except RuntimeError:
        return math.nan  # a map of one size that is added: it takes no larger picture


def measured_images_db(module: nn.Module, channels: int) -> float:
    """Images that a linear upsampling module leaves of a smooth signal, relative to it; NaN for any other module."""
    like = next((parameter for parameter in module.parameters()), torch.zeros(()))
    x = torch.randn(1, channels, SAMPLES, SAMPLES, generator=torch.Generator().manual_seed(0)).to(like)
    zero, one, two = (_run(module, scale * x) for scale in (0.0, 1.0, 2.0))
    if zero is None or one is None or two is None or one.shape[-1] < 2 * SAMPLES or one.shape[-1] % SAMPLES:
        return math.nan
    if float((two - zero - 2 * (one - zero)).abs().max()) > _TOLERANCE * float((one - zero).abs().max()):
        return math.nan
    factor = one.shape[-1] // SAMPLES
    signal = band_picture(BAND)[:, None].expand(-1, channels, -1, -1).to(like)
    answer = _run(module, signal.contiguous())
    if answer is None:
        return math.nan
    answer = answer.double().cpu()
    answer = answer - answer.mean(dim=(-2, -1), keepdim=True)
    window = kaiser_window(answer.shape[-1], 8.0).double()
    return images_beyond(answer * window[:, None] * window[None, :], factor)


def _is_pointwise(module: nn.Module, channels: int, like: Tensor) -> bool:
    """Whether a change of one pixel changes that pixel only, and the size stays."""
    x = torch.randn(1, channels, _PROBE, _PROBE, generator=torch.Generator().manual_seed(0)).to(like)
    other = x.clone()
    other[..., 5, 7] += 1.0
    here, there = _run(module, x), _run(module, other)
    if here is None or there is None or here.shape[-2:] != x.shape[-2:]:
        return False
    changed = (here - there).abs().amax(dim=(0, 1)) > 0
    return int(changed.sum()) == int(changed[5, 7]) == 1


def _run(module: nn.Module, x: Tensor) -> Tensor | None:
    """The answer, or None where the module does not take pictures of this size: then it is not of the kind asked for."""
    try:
        with torch.inference_mode():
            output = module(x)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return None
    return output if isinstance(output, Tensor) and output.ndim == 4 else None

"""Does an alias-free layer do what its record and filters say? It is run a second time from those alone, and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from analysis.diagnosis_signal import Resampling
from networks.stylegan3 import SynthesisLayer
from networks.variants import plain_twin
from render.diagnose_cures import alias_free_layer

AGREES_DB = -40.0
"""float16 differs by less than that."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How far the layer is from its record, and what it is instead."""

    error_db: float
    """Difference relative to the output's variance."""
    instead: Resampling | None = None
    """Factors and filters that explain the output, where those of the record do not: a non-linearity without filters."""


def replay(
    module: nn.Module, features: Tensor, arguments: tuple[Any, ...], keywords: Mapping[str, Any], output: Tensor
) -> Replay | None:
    """Compare `output` with what the layer's record, filters and weights make of `features`; None for other layers."""
    layer = alias_free_layer(module)
    if layer is None:
        return None
    error = _difference_db(plain_twin(layer), features, arguments, keywords, output)
    if not error > AGREES_DB or layer.record.torgb:
        return Replay(error)
    bare = plain_twin(layer)
    bare.record = replace(layer.record, rate_inside=max(layer.record.rate_in, layer.record.rate))
    taps = bare.record.up_filter()
    bare._buffers |= {'up_filter': None if taps is None else taps.to(features.device), 'down_filter': None}
    if _difference_db(bare, features, arguments, keywords, output) > AGREES_DB:
        return Replay(error)
    return Replay(error, Resampling(bare.record.up_factor, 1, taps, None))


def _difference_db(
    layer: SynthesisLayer, features: Tensor, arguments: tuple[Any, ...], keywords: Mapping[str, Any], output: Tensor
) -> float:
    with torch.inference_mode():
        expected = layer.forward(features, *arguments, **keywords)
    if expected.shape != output.shape:
        return math.inf
    found = output.float()
    power = float((found - found.mean(dim=(-2, -1), keepdim=True)).square().mean())
    error = float((found - expected.float()).square().mean())
    if not power > 0:
        return math.nan
    return 10 * math.log10(error / power) if error > 0 else -math.inf

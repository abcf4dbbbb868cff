"""Averages over latents and moves, step by step: what of a layer is tied to the place, and what stays sharp when moved back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from analysis.layer_equivariance import Grid
from analysis.moving import apply_affine, rotation_matrix, translate_whole, translation_matrix
from analysis.sticking import CommonPattern, Decay, high_pass
from networks.adapters.base import Inspectable
from networks.info import LayerInfo
from render.layer_calls import IMAGE, LayerCall, image_layer, layer_rate, move_right, request_seeds, run_pass
from render.measures import FixedPattern, FixedPatterns, RegisteredAverage
from render.measuring.sticking import CONSTANT, picture_of
from render.renderer import Renderer
from render.request import IDENTITY, Affine, RenderRequest
from render.views import to_rgb8
from render.worker import Job, Progress

FAR = 8.0
"""The input is moved by up to so many image widths: far enough for its slowest waves to come out at random."""
NOT_MOVED = ' Only the latents were varied, so what all pictures have in common, a centred object say, counts as well.'


def far_move(generator: torch.Generator) -> Affine:
    """A move to anywhere, as an affine map of the picture."""
    x, y = ((torch.rand(2, generator=generator) * 2 - 1) * FAR).tolist()
    return move_right(x, y)


class PatternsRun:
    """Fixed patterns of every layer, sample by sample."""

    def __init__(self, adapter: Inspectable, request: RenderRequest):
        self._adapter, self._request = adapter, request
        self.why_still = adapter.info.why_not('transform')
        layers = [layer for layer in adapter.info.layers if '#' not in layer.name]
        self._layers = {layer.name: layer for layer in (*layers, image_layer(adapter))}
        self._patterns = {name: CommonPattern() for name in self._layers}

    def add(self, seed: int) -> None:
        """Take in the picture of `seed`, moved somewhere that the seed decides."""
        draw = torch.Generator().manual_seed(seed)

        def take(call: LayerCall) -> None:
            if call.name in self._patterns:
                self._patterns[call.name].add(self._on_canvas(self._layers[call.name], call.output[0]))

        transform = IDENTITY if self.why_still else far_move(draw)
        image = run_pass(self._adapter, self._request, seed, take, transform=transform)
        self._patterns[IMAGE].add(image[0])

    def result(self, samples: int) -> FixedPatterns:
        """What is known so far."""
        rows = tuple(self._row(layer, self._patterns[name]) for name, layer in self._layers.items())
        note = '' if self.why_still is None else f'{self.why_still}{NOT_MOVED}'
        return FixedPatterns(rows, samples, moved=self.why_still is None, note=note)

    def _on_canvas(self, layer: LayerInfo, features: Tensor) -> Tensor:
        side = round(layer_rate(layer))
        height, width = (min(side, size) for size in features.shape[-2:])
        top, left = (features.shape[-2] - height) // 2, (features.shape[-1] - width) // 2
        return features[..., top : top + height, left : left + width]

    def _row(self, layer: LayerInfo, pattern: CommonPattern) -> FixedPattern:
        share, shown, note = pattern.share(), pattern.map(), ''
        edge = math.nan
        if shown.numel():
            edge = pattern.share(Grid(float(shown.shape[-1]), *shown.shape).edge_mask())
        if shown.numel() <= 1:
            note = 'This layer has one sample only, so it cannot leak where it is.'
        elif pattern.count < 2:
            note = 'A pattern needs at least 2 samples.'
        elif math.isnan(share):
            finite = pattern.energy is not None and bool(pattern.energy.isfinite().all())
            note = (
                'The layer is flat in every picture, so there is no pattern.'
                if finite
                else 'The layer holds values that are not finite numbers.'
            )
        return FixedPattern(
            layer.name, layer.label, shown.cpu().numpy(), share, edge_share=edge, samples=pattern.count, note=note
        )


def patterns_job(renderer: Renderer, request: RenderRequest, samples: int, first_seed: int) -> Job:
    """See `render.jobs_measure.fixed_patterns`."""
    run, result = PatternsRun(renderer.adapter(request), request), None
    for index, seed in enumerate(request_seeds(request, samples, first_seed)):
        run.add(seed)
        result = run.result(index + 1)
        yield Progress((index + 1) / samples, f'sample {index + 1} of {samples}', result)
    return result


def registered_job(renderer: Renderer, request: RenderRequest, samples: int, rotate: bool, first_seed: int) -> Job:
    """See `render.jobs_measure.registered_average`."""
    adapter = renderer.adapter(request)
    why_still = adapter.info.why_not('transform')
    if why_still is not None:
        raise ValueError(f'Pictures cannot be moved and moved back: {why_still}')
    if samples < 2:
        raise ValueError(f'An average needs at least 2 pictures, got {samples}.')
    side = adapter.info.resolution
    decay, sums, result = Decay(), _Registered(side), None
    for index, seed in enumerate(request_seeds(request, samples, first_seed)):
        matrix = _random_move(torch.Generator().manual_seed(seed), side, rotate)
        rows: Affine = tuple(matrix[:2].flatten().tolist())  # type: ignore[assignment]
        moved = picture_of(
            adapter, replace(request, synthesis=replace(request.synthesis, transform=rows)), request.latent
        )
        back, mask = _moved_back(moved[None], matrix, rotate)
        decay.add(high_pass(back[..., sums.top : side - sums.top, sums.top : side - sums.top]))
        sums.add(back, mask)
        result = RegisteredAverage(
            sums.picture(), sums.loss(), decay.share(), index + 1, '' if decay.single else CONSTANT
        )
        yield Progress((index + 1) / samples, f'picture {index + 1} of {samples}', result)
    return result


class _Registered:
    """Pictures that were moved back, averaged where they are known."""

    def __init__(self, side: int):
        self.top = side // 4
        """Detail is compared in the middle half, which every move keeps inside."""
        self._sum = self._square = torch.zeros(1)
        self._weight = torch.zeros(1)

    def add(self, image: Tensor, mask: Tensor) -> None:
        image = image.double().cpu()
        mask = mask.double().cpu()
        self._sum = self._sum + image * mask
        self._square = self._square + image.square() * mask
        self._weight = self._weight + mask

    def picture(self) -> np.ndarray:
        return to_rgb8((self._sum / self._weight.clamp(min=1)).float())

    def loss(self) -> np.ndarray:
        count = self._weight.clamp(min=1)
        variance = (self._square / count - (self._sum / count).square()).clamp(min=0)
        return variance.mean(dim=0).sqrt().float().numpy()


def _random_move(generator: torch.Generator, side: int, rotate: bool) -> Tensor:
    """Up to an eighth of the width in whole pixels, which can be undone exactly; with `rotate` also any angle."""
    x, y = ((torch.rand(2, generator=generator) * 2 - 1) * side / 8).round().div(side).tolist()
    matrix = translation_matrix(x, y)
    if rotate:
        angle = float((torch.rand((), generator=generator) * 2 - 1) * math.pi)
        matrix = matrix @ rotation_matrix(angle)
    return matrix


def _moved_back(image: Tensor, matrix: Tensor, rotated: bool) -> tuple[Tensor, Tensor]:
    """[channels, height, width] and the mask of what is known."""
    if rotated:
        moved = apply_affine(image, torch.linalg.inv(matrix))
    else:
        moved = translate_whole(image, -float(matrix[0, 2]), -float(matrix[1, 2]))
    return moved.image[0], moved.mask

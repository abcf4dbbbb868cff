"""The whole picture before and after a cure: equivariance where the input moves, shared detail where it cannot."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from analysis.diagnosis_facts import Cure
from analysis.diagnosis_signal import common_detail_db
from analysis.equivariance import PooledError, rotation_error, translation_error, uniform_angle, uniform_shift
from networks.adapters.base import Inspectable
from render.diagnose_cures import cured
from render.renderer import make_latents
from render.request import RenderRequest

_SHARED_LATENTS = 8
Measuring = Generator[None, None, dict[str, float]]
"""Pauses after each picture; returns name -> dB."""


class Pictures:
    """Numbers of the picture with cures in place, for the same latents and moves each time."""

    def __init__(self, adapter: Inspectable, request: RenderRequest, samples: int, first_seed: int, *, rotate: bool):
        self._adapter, self._rotate = adapter, rotate
        self._float32 = request.synthesis.precision == 'float32'
        self._movable = 'transform' in adapter.info.capabilities
        count = samples if self._movable else max(samples, _SHARED_LATENTS)
        points = [replace(request.latent, seeds=((first_seed + index, 1.0),)) for index in range(count)]
        with torch.inference_mode():
            self._latents = [make_latents(adapter, point)[0] for point in points]
        draw = torch.Generator().manual_seed(first_seed)
        self._moves = [(uniform_shift(draw), uniform_shift(draw), uniform_angle(draw)) for _ in points]

    def measure(self, cures: Sequence[Cure]) -> Measuring:
        """EQ-T, and EQ-R where it is to be had; nothing where the cures cannot be applied."""
        if not self._movable:
            return (yield from self._shared(cures))
        adapter = cured(self._adapter, cures)
        if cures and adapter is self._adapter:
            return {}
        shifted, turned = PooledError(), PooledError()
        for latents, (first, second, angle) in zip(self._latents, self._moves, strict=True):

            def generate(matrix: Tensor, latents: Tensor = latents) -> Tensor:
                return self._picture(adapter, latents, matrix)

            base = generate(torch.eye(3, dtype=torch.float64))
            yield
            for x, y in (first, second):
                shifted += translation_error(generate, base, x, y)
                yield
            if self._rotate:
                turned += rotation_error(generate, base, angle)
                yield
        numbers = {'EQ-T of the picture': shifted.psnr()}
        return {**numbers, 'EQ-R of the picture': turned.psnr()} if self._rotate else numbers

    def _shared(self, cures: Sequence[Cure]) -> Measuring:
        """How much fine detail all pictures have in common."""
        adapter = cured(self._adapter, cures)
        quiet = any(cure.without_noise for cure in cures) and 'noise' in self._adapter.info.capabilities
        if cures and adapter is self._adapter and not quiet:
            return {}
        pictures = []
        for latents in self._latents:
            with torch.inference_mode():
                noise = 'none' if quiet else 'constant'
                pictures.append(adapter.synthesize(latents, noise=noise, float32=self._float32))
            yield
        return {'fine detail that all pictures share': common_detail_db(torch.cat(pictures).cpu())}

    def _picture(self, adapter: Inspectable, latents: Tensor, matrix: Tensor) -> Tensor:
        held = dict(adapter.module.named_buffers())
        overrides = {name: value for name, value in adapter.transform(matrix).items() if name in held}
        with torch.inference_mode():  # a constant holds no transform
            return adapter.synthesize(latents, overrides, float32=self._float32).double()

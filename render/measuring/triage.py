"""The channels of one layer in three orders."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from analysis.nonlinearity import AliasErrors, alias_errors, signal_to_alias_db
from analysis.sticking import CommonPattern
from analysis.triage import order, phase_likeness
from render.layer_calls import LayerCall, known_layer, request_seeds, run_pass, shown_transform
from render.measures import Channel, Triage
from render.measuring.activations import NoNonlinearity, activation_of
from render.measuring.patterns import far_move
from render.renderer import Renderer
from render.request import IDENTITY, RenderRequest
from render.worker import Job, Progress

CHUNK = 16
"""Channels whose ideal non-linearity is computed at once."""


class TriageRun:
    """What is known of a layer's channels so far."""

    def __init__(self, renderer: Renderer, request: RenderRequest, name: str):
        self._adapter = renderer.models.get(request.model)
        self._request, self._layer = request, known_layer(self._adapter, name)
        self._errors: list[AliasErrors] = []
        self._pattern = CommonPattern()
        self._phases: list[Tensor] = []
        self._note = ''

    def add(self, seed: int, *, aliasing: bool) -> None:
        """Take in one latent; `aliasing` is the costly part, for which few latents are enough."""
        name = self._layer.name

        def look(call: LayerCall) -> None:
            if call.name == name:
                self._phases.append(torch.tensor(phase_likeness(call.output[0])))
                if aliasing:
                    self._alias(call)

        def average(call: LayerCall) -> None:
            if call.name == name:
                self._pattern.add(call.output[0])

        run_pass(
            self._adapter,
            self._request,
            seed,
            look,
            transform=shown_transform(self._adapter, self._request),
            until=name,
        )
        still = self._adapter.info.why_not('transform')
        transform = IDENTITY if still else far_move(torch.Generator().manual_seed(seed))
        run_pass(self._adapter, self._request, seed, average, transform=transform, until=name)

    def result(self, samples: int) -> Triage:
        """The orders so far."""
        count = len(self._phases[0]) if self._phases else 0
        alias = [_alias_db(self._errors, index) for index in range(count)]
        stuck = self._pattern.channel_shares() or [math.nan] * count
        phase = torch.stack(self._phases).nanmean(dim=0).tolist() if self._phases else []
        channels = tuple(Channel(*values) for values in zip(range(count), alias, stuck, phase, strict=True))
        return Triage(
            self._layer.name,
            self._layer.label,
            channels,
            by_alias=order(alias, highest_first=False),
            by_stuck=order(stuck, highest_first=True),
            by_phase=order(phase, highest_first=True),
            samples=samples,
            note=self._note,
        )

    def _alias(self, call: LayerCall) -> None:
        try:
            found = activation_of(self._layer, call)
        except NoNonlinearity as error:
            self._note = str(error)
            return
        parts = range(0, found.signal.shape[1], CHUNK)
        for number, first in enumerate(parts):
            clean = None if found.clean is None else found.clean[:, first : first + CHUNK]
            errors = alias_errors(found.signal[:, first : first + CHUNK], found.layer, clean=clean, oversampling=2)
            if number < len(self._errors):
                self._errors[number] = self._errors[number] + errors
            else:
                self._errors.append(errors)


def _alias_db(errors: list[AliasErrors], index: int) -> float:
    chunk, place = divmod(index, CHUNK)
    if chunk >= len(errors):
        return math.nan
    return signal_to_alias_db(errors[chunk].power[place], errors[chunk].total[place])


def triage_job(renderer: Renderer, request: RenderRequest, name: str, samples: int, first_seed: int) -> Job:
    """See `render.jobs_measure.channel_triage`."""
    run, result = TriageRun(renderer, request, name), None
    for index, seed in enumerate(request_seeds(request, samples, first_seed)):
        run.add(seed, aliasing=index < 2)
        result = run.result(index + 1)
        yield Progress((index + 1) / samples, f'latent {index + 1} of {samples}', result)
    return result

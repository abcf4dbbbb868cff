"""The channels of one layer in three orders."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from analysis.nonlinearity import AliasErrors, alias_errors, signal_to_alias_db
from analysis.sticking import CommonPattern
from analysis.triage import order, phase_likeness
from render.layer_calls import LayerCall, known_layer, request_seeds, run_pass, shown_transform
from render.measures import Channel, Triage
from render.measuring.activations import Activation, NoNonlinearity, activation_of
from render.measuring.patterns import far_move
from render.renderer import Renderer
from render.request import IDENTITY, RenderRequest
from render.worker import Job, Progress

CHUNK = 4
"""Channels whose ideal non-linearity is computed in one step: a fraction of a second."""
FLAT = 'No channel of this layer varies across the picture, so there is nothing to compare.'
NOT_FINITE = 'The layer holds values that are not finite numbers.'


class TriageRun:
    """What is known of a layer's channels so far."""

    def __init__(self, renderer: Renderer, request: RenderRequest, name: str):
        self._adapter = renderer.adapter(request)
        self._request, self._layer = request, known_layer(self._adapter, name)
        self._errors: list[AliasErrors] = []
        self._pattern = CommonPattern()
        self._phases: list[Tensor] = []
        self._note, self._is_finite = '', True

    def look(self, seed: int) -> Activation | None:
        """Take in one latent; what enters the non-linearity then, None where that is not known."""
        name, entering = self._layer.name, None

        def look(call: LayerCall) -> None:
            nonlocal entering
            if call.name == name:
                self._is_finite = self._is_finite and bool(call.output.isfinite().all())
                self._phases.append(torch.tensor(phase_likeness(call.output[0])))
                try:
                    entering = activation_of(self._layer, call)
                except NoNonlinearity as error:
                    self._note = str(error)

        transform = shown_transform(self._adapter, self._request)
        run_pass(self._adapter, self._request, seed, look, transform=transform, until=name)
        if not self._phases:
            raise ValueError(f'The layer {name!r} did not run in this pass; choose another one.')
        return entering

    def alias(self, found: Activation) -> Iterator[float]:
        """Add the alias of one latent, a few channels a step; yields the share that is done."""
        count = found.signal.shape[1]
        for number, first in enumerate(range(0, count, CHUNK)):
            clean = None if found.clean is None else found.clean[:, first : first + CHUNK]
            with torch.inference_mode():
                errors = alias_errors(found.signal[:, first : first + CHUNK], found.layer, clean=clean, oversampling=2)
            if number < len(self._errors):
                self._errors[number] = self._errors[number] + errors
            else:
                self._errors.append(errors)
            yield min(first + CHUNK, count) / count

    def average(self, seed: int) -> None:
        """Take in one latent somewhere else, for what is tied to the place."""
        name = self._layer.name

        def add(call: LayerCall) -> None:
            if call.name == name:
                self._pattern.add(call.output[0])

        still = self._adapter.info.why_not('transform')
        transform = IDENTITY if still else far_move(torch.Generator().manual_seed(seed))
        run_pass(self._adapter, self._request, seed, add, transform=transform, until=name)

    def result(self, samples: int) -> Triage:
        """The orders so far."""
        count = len(self._phases[0]) if self._phases else 0
        alias = [_alias_db(self._errors, index) for index in range(count)]
        stuck = self._pattern.channel_shares() or [math.nan] * count
        phase = torch.stack(self._phases).nanmean(dim=0).tolist() if self._phases else []
        channels = tuple(Channel(*values) for values in zip(range(count), alias, stuck, phase, strict=True))
        is_flat = all(math.isnan(value) for value in phase)
        return Triage(
            self._layer.name,
            self._layer.label,
            channels,
            by_alias=order(alias, highest_first=False),
            by_stuck=order(stuck, highest_first=True),
            by_phase=order(phase, highest_first=True),
            samples=samples,
            note=FLAT if is_flat and self._is_finite else self._note if self._is_finite else NOT_FINITE,
        )


def _alias_db(errors: list[AliasErrors], index: int) -> float:
    chunk, place = divmod(index, CHUNK)
    if chunk >= len(errors):
        return math.nan
    return signal_to_alias_db(errors[chunk].power[place], errors[chunk].total[place])


def triage_job(
    renderer: Renderer, request: RenderRequest, name: str, samples: int, first_seed: int, alias_samples: int
) -> Job:
    """See `render.jobs_measure.channel_triage`."""
    run, result = TriageRun(renderer, request, name), None
    for index, seed in enumerate(request_seeds(request, samples, first_seed)):
        text = f'latent {index + 1} of {samples}'
        found = run.look(seed)
        yield Progress(index / samples, text, result)
        if found is not None and index < alias_samples:
            for share in run.alias(found):
                yield Progress((index + 0.9 * share) / samples, f'alias leak, {text}', result)
        run.average(seed)
        result = run.result(index + 1)
        yield Progress((index + 1) / samples, text, result)
    return result

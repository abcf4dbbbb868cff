"""Stages and alias budgets of the layers of a model, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from analysis.nonlinearity import (
    AliasErrors,
    StageSignal,
    alias_errors,
    beyond,
    density_profile,
    run_stages,
    signal_to_alias_db,
    stage_power,
)
from analysis.spectrum import decibel
from networks.adapters.base import Inspectable
from networks.info import LayerInfo
from render.layer_calls import LayerCall, known_layer, latents_from, request_seeds, run_pass, shown_transform
from render.measures import AliasBudget, AliasBudgets, LayerStages, Stage
from render.measuring.activations import Activation, activation_of
from render.renderer import Renderer
from render.request import Affine, RenderRequest
from render.worker import Job, Progress

LABELS = {
    'convolution': 'convolved, bias added',
    'upsampled': 'upsampled',
    'activated': 'after the non-linearity',
    'lowpassed': 'low-passed',
    'output': 'output',
}


STEP_VALUES = 1 << 22
"""Samples at the raised rate whose stages are computed in one step: a fraction of a second."""


@dataclass(slots=True)
class _Sum:
    """One layer's errors so far, or why there are none."""

    errors: AliasErrors | None = None
    note: str = ''
    channels: int = 0


@dataclass(slots=True)
class _StageSum:
    """Mean powers of one stage so far."""

    rate: float
    power: Tensor
    count: int = 1


@dataclass(slots=True)
class StagesRun:
    """The stages of one layer, pooled over latents."""

    layer: LayerInfo
    stages: dict[str, _StageSum] = field(default_factory=dict)
    total: _Sum = field(default_factory=_Sum)
    missing: tuple[str, ...] = ()
    channels: int = 0

    def add(self, found: Activation, channels: Sequence[int]) -> None:
        """Take in some channels of one run."""
        self.missing = found.missing
        with torch.inference_mode():
            stages = run_stages(found.signal[:, channels], found.layer)
            extent = _extent(stages[-1])
            for stage in stages:
                power = stage_power(stage, extent=extent).double() * len(channels)
                known = self.stages.setdefault(stage.key, _StageSum(stage.rate, torch.zeros_like(power), 0))
                known.power += power
                known.count += len(channels)

    def result(self, samples: int) -> LayerStages:
        """What is known so far. Raises `ValueError` when the layer holds nothing that could be measured."""
        output = self.stages['output']
        nyquist = output.rate / 2
        level = float(output.power.mean()) / output.count
        if not math.isfinite(level):
            raise ValueError(f'The layer {self.layer.label} holds values that are not finite numbers.')
        if output.power.numel() == 1:
            raise ValueError(f'The layer {self.layer.label} has one sample only, so it has no spectrum.')
        if not level > 0:
            raise ValueError(f'The layer {self.layer.label} does not vary across the picture, so it has no spectrum.')
        shares = {key: _share_db(one.power / one.count, one.rate, nyquist) for key, one in self.stages.items()}
        stages = []
        for key, one in self.stages.items():
            frequencies, profile = density_profile(one.power / one.count, one.rate)
            curve = decibel(profile, level)
            stages.append(
                Stage(key, LABELS[key], one.rate, frequencies.numpy(), curve.float().cpu().numpy(), shares[key])  # type: ignore[arg-type]
            )
        return LayerStages(
            self.layer.name,
            self.layer.label,
            tuple(stages),
            cutoff=math.nan if self.layer.cutoff is None else self.layer.cutoff,
            half_width=math.nan if self.layer.half_width is None else self.layer.half_width,
            nyquist=nyquist,
            beyond_db=shares.get('activated', math.nan),
            left_db=shares.get('lowpassed', math.nan),
            budget=_budget(self.layer, self.total, samples),
            missing=self.missing,
            samples=samples,
            channels=self.channels,
        )


def _extent(output: StageSignal) -> float:
    """Image widths around the centre that spectra look at: the canvas and half of the margin."""
    return (1 + output.signal.shape[-1] / output.rate) / 2


def _share_db(power: Tensor, rate: float, nyquist: float) -> float:
    """Power beyond `nyquist` relative to that within, in dB; NaN where the rate cannot hold any."""
    if rate <= 2 * nyquist:
        return math.nan
    within, outside = beyond(power, rate, nyquist)
    return 10 * math.log10(outside / within) if within > 0 and outside > 0 else math.nan


def _evenly(count: int, most: int | None) -> list[int]:
    """Up to `most` of `count` channels, evenly chosen; None: all."""
    if most is None or most >= count:
        return list(range(count))
    return sorted({round(index) for index in torch.linspace(0, count - 1, most).tolist()})


def _parts(found: Activation, channels: list[int]) -> list[list[int]]:
    """`channels` in parts whose stages are computed in a short step."""
    raised = found.signal.shape[-1] * found.signal.shape[-2] * found.layer.up**2
    step = max(STEP_VALUES // raised, 1)
    return [channels[first : first + step] for first in range(0, len(channels), step)]


def _measure(total: _Sum, found: Activation, most: int) -> Iterator[None]:
    """Add the alias errors of one run, of up to `most` evenly chosen channels; yields after each of them."""
    chosen, parts = _evenly(found.signal.shape[1], most), []
    for index in chosen:
        parts.append(_channel_errors(found, index))
        yield
    errors = _joined(parts)
    total.channels = len(chosen)
    total.errors = errors if total.errors is None else total.errors + errors


def _channel_errors(found: Activation, index: int) -> AliasErrors:
    clean = None if found.clean is None else found.clean[:, index : index + 1]
    with torch.inference_mode():
        return alias_errors(found.signal[:, index : index + 1], found.layer, clean=clean)


def _joined(parts: Sequence[AliasErrors]) -> AliasErrors:
    """The errors of several channels, side by side."""

    def join(tensors: list[Tensor | None]) -> Tensor | None:
        known = [one for one in tensors if one is not None]
        return torch.cat(known) if len(known) == len(tensors) else None

    power, whole = join([one.power for one in parts]), join([one.total for one in parts])
    assert power is not None and whole is not None
    return AliasErrors(
        power,
        whole,
        join([one.images for one in parts]),
        join([one.folding for one in parts]),
        join([one.leak for one in parts]),
        min(one.oversampling for one in parts),
    )


def _budget(layer: LayerInfo, total: _Sum, samples: int) -> AliasBudget:
    errors = total.errors
    if errors is None:
        return AliasBudget(layer.name, layer.label, math.nan, note=total.note, samples=samples)
    whole = signal_to_alias_db(errors.power, errors.total)
    note = total.note
    if math.isnan(whole):
        finite = bool(errors.power.isfinite().all())
        note = (
            'The layer does not vary across the picture, so nothing in it can alias.'
            if finite
            else 'The layer holds values that are not finite numbers.'
        )
    return AliasBudget(
        layer.name,
        layer.label,
        whole,
        images=signal_to_alias_db(errors.power, errors.images),
        folding=signal_to_alias_db(errors.power, errors.folding),
        leak=signal_to_alias_db(errors.power, errors.leak),
        oversampling=errors.oversampling,
        channels=total.channels,
        samples=samples,
        note=note,
    )


def entering(
    adapter: Inspectable, request: RenderRequest, seed: int | None, layer: LayerInfo, *, transform: Affine
) -> Activation:
    """What enters the non-linearity of `layer` for one latent (None: that of `request`); usable after the pass too.

    Raises `NoNonlinearity`, or `ValueError` for a layer that does not run.
    """
    found: list[Activation] = []

    def take(call: LayerCall) -> None:
        if call.name == layer.name:
            found.append(activation_of(layer, call))

    run_pass(adapter, request, seed, take, transform=transform, until=layer.name)
    if not found:
        raise ValueError(f'The layer {layer.name!r} did not run in this pass; choose another one.')
    return found[0]


def stages_job(
    renderer: Renderer,
    request: RenderRequest,
    name: str,
    samples: int,
    first_seed: int | None,
    channels: int | None,
    budget_channels: int,
) -> Job:
    """See `render.jobs_measure.layer_stages`."""
    adapter = renderer.adapter(request)
    layer, result = known_layer(adapter, name), None
    run, transform = StagesRun(layer), shown_transform(adapter, request)
    for index, seed in enumerate(latents_from(request, samples, first_seed)):
        found = entering(adapter, request, seed, layer, transform=transform)
        chosen = _evenly(found.signal.shape[1], channels)
        run.channels = len(chosen)
        parts = _parts(found, chosen)
        for number, part in enumerate(parts):
            run.add(found, part)
            share = 0.5 * (number + 1) / len(parts)
            yield Progress((index + share) / samples, f'spectra, latent {index + 1} of {samples}', result)
        result = run.result(index + 1)
        count = min(budget_channels, found.signal.shape[1])
        for number, _ in enumerate(_measure(run.total, found, budget_channels)):
            share = 0.5 + 0.5 * (number + 1) / count
            yield Progress((index + share) / samples, f'alias budget, latent {index + 1} of {samples}', result)
        result = run.result(index + 1)
        yield Progress((index + 1) / samples, f'latent {index + 1} of {samples}', result)
    return result


def budgets_job(renderer: Renderer, request: RenderRequest, samples: int, first_seed: int, channels: int) -> Job:
    """See `render.jobs_measure.alias_budgets`. For each layer the network runs again, only up to that layer."""
    if channels < 1:
        raise ValueError(f'An alias budget needs at least one channel, got {channels}.')
    adapter = renderer.adapter(request)
    layers = [layer for layer in adapter.info.layers if '#' not in layer.name]
    sums, result = {layer.name: _Sum() for layer in layers}, None
    transform = shown_transform(adapter, request)
    for index, seed in enumerate(request_seeds(request, samples, first_seed)):
        for number, layer in enumerate(layers):
            done, text = index * len(layers) + number, f'{layer.label}, latent {index + 1} of {samples}'
            total = samples * len(layers)
            try:
                found = entering(adapter, request, seed, layer, transform=transform)
            except ValueError as error:
                sums[layer.name].note = str(error)
            else:
                count = min(channels, found.signal.shape[1])
                for place, _ in enumerate(_measure(sums[layer.name], found, channels)):
                    yield Progress((done + (place + 1) / count) / total, text, result)
            result = AliasBudgets(tuple(_budget(one, sums[one.name], index + 1) for one in layers), index + 1)
            yield Progress((done + 1) / total, text, result)
    return result

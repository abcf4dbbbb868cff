"""How far the layers of a model move with its input: the alias ladder and the Lie derivatives, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from analysis.layer_equivariance import (
    FeatureError,
    Grid,
    IdealShift,
    created_error,
    dyadic_shifts,
    feature_error,
    feature_errors,
    moved_features,
    shift_limit,
)
from analysis.lie import REACHES, Motion, generator, lie_difference, lie_ratio
from analysis.moving import Moved
from networks.adapters.base import Inspectable
from networks.info import LayerInfo
from render.layer_calls import (
    IMAGE,
    LayerCall,
    image_layer,
    layer_rate,
    move_right,
    request_seeds,
    run_pass,
)
from render.measures import Ladder, LadderRow, LieLadder, LieRow
from render.measuring.grids import grid_of, input_grid, support_of, why_not_again
from render.renderer import Renderer
from render.request import IDENTITY, Affine, RenderRequest
from render.worker import Job, Progress

ONE_SAMPLE = 'This layer has one sample only, so nothing can move in it.'
NO_TRANSFORM = ' Measured is only what each layer makes of an ideally moved input (created).'


@dataclass(slots=True)
class _Cell:
    """Errors of one layer at one shift, pooled over latents."""

    total: FeatureError = field(default_factory=FeatureError)
    inherited: FeatureError = field(default_factory=FeatureError)
    created: FeatureError = field(default_factory=FeatureError)
    edge: FeatureError = field(default_factory=FeatureError)
    centre: FeatureError = field(default_factory=FeatureError)
    limit: float = math.nan


@dataclass(frozen=True, slots=True)
class _Base:
    """A layer in the pass that was not moved."""

    output: Tensor
    input: Tensor | None


class LadderRun:
    """The alias ladder of one model, filled shift by shift."""

    def __init__(self, adapter: Inspectable, request: RenderRequest, shifts: tuple[float, ...]):
        self._adapter, self._request, self._shifts = adapter, request, shifts
        self._why_still = adapter.info.why_not('transform')
        layers = [layer for layer in adapter.info.layers if '#' not in layer.name]
        self._layers = [*layers, *([] if self._why_still else [image_layer(adapter)])]
        self._cells = {(layer.name, shift): _Cell() for layer in self._layers for shift in shifts}
        self._notes: dict[str, str] = {}
        self._base: dict[str, _Base] = {}

    def start(self, seed: int) -> None:
        """Run the picture of `seed` that is not moved."""
        self._base = {}

        def keep(call: LayerCall) -> None:
            self._base[call.name] = _Base(call.output.float(), call.input)

        self._base[IMAGE] = _Base(run_pass(self._adapter, self._request, seed, keep), None)

    def measure(self, seed: int, shift: float) -> None:
        """Run the picture moved by `shift` image widths and compare every layer."""
        by_name = {layer.name: layer for layer in self._layers}

        def compare(call: LayerCall) -> None:
            layer = by_name.get(call.name)
            if layer is not None and call.name in self._base:
                self._compare(layer, call, shift)

        moved = IDENTITY if self._why_still else move_right(shift)
        image = run_pass(self._adapter, self._request, seed, compare, transform=moved)
        if not self._why_still:
            layer = by_name[IMAGE]
            self._total(layer, grid_of(layer, image), image, shift)

    def result(self, samples: int) -> Ladder:
        """What is known so far."""
        note = '' if self._why_still is None else f'{self._why_still}{NO_TRANSFORM}'
        return Ladder(self._shifts, tuple(self._row(layer) for layer in self._layers), samples, note)

    def _compare(self, layer: LayerInfo, call: LayerCall, shift: float) -> None:
        base, output = self._base[layer.name], call.output.float()
        outer = grid_of(layer, output)
        if not self._why_still:
            self._total(layer, outer, output, shift)
        inner = input_grid(layer, call)
        reason = why_not_again(layer, call)
        if reason:
            self._notes.setdefault(layer.name, reason)
        if inner is None or base.input is None or reason:
            return
        cell = self._cells[layer.name, shift]
        shifted = IdealShift(inner, outer, shift, 0.0, support_of(layer, call, inner)).fitting()
        moved = moved_features(base.input.float(), inner, shift, 0.0, reach=shifted.reach)
        ideal = call.again(moved.image).float()
        cell.created += created_error(base.output, ideal, shifted)
        if math.isnan(
            cell.limit
        ):  # of the first latent: it depends on the band of the layer more than on what it holds
            cell.limit = shift_limit(base.output, shifted)
        if not self._why_still:
            reference = Moved(ideal, shifted.known().to(output))
            cell.inherited += feature_error(reference, output, reference.mask)

    def _total(self, layer: LayerInfo, grid: Grid, output: Tensor, shift: float) -> None:
        cell, base = self._cells[layer.name, shift], self._base[layer.name].output
        reference = moved_features(base, grid, shift, 0.0)
        canvas, edge = (mask.to(output.device) for mask in (grid.canvas_mask(), grid.edge_mask()))
        total, outer, inner = feature_errors(reference, output, (canvas, edge, canvas - edge))
        cell.total += total
        cell.edge += outer
        cell.centre += inner

    def _row(self, layer: LayerInfo) -> LadderRow:
        cells = [self._cells[layer.name, shift] for shift in self._shifts]
        whole = [cell.total if cell.total.count or not self._why_still else cell.created for cell in cells]
        note = self._notes.get(layer.name, '')
        if layer.height * layer.width == 1:
            note = ONE_SAMPLE
        elif not note and all(math.isnan(error.psnr()) for error in whole):
            note = whole[0].why_not()
        return LadderRow(
            layer.name,
            layer.label,
            layer_rate(layer),
            decibels=tuple(cell.total.psnr() for cell in cells),
            inherited=tuple(cell.inherited.psnr() for cell in cells),
            created=tuple(cell.created.psnr() for cell in cells),
            limit=tuple(cell.limit for cell in cells),
            edge=tuple(cell.edge.psnr() for cell in cells),
            centre=tuple(cell.centre.psnr() for cell in cells),
            note=note,
        )


def ladder_job(renderer: Renderer, request: RenderRequest, samples: int, first_seed: int) -> Job:
    """See `render.jobs_equivariance.layer_ladder`."""
    adapter = renderer.adapter(request)
    shifts = dyadic_shifts(adapter.info.resolution)
    run, ladder = LadderRun(adapter, request, shifts), None
    steps = samples * len(shifts)
    for index, seed in enumerate(request_seeds(request, samples, first_seed)):
        with torch.inference_mode():
            run.start(seed)
        for number, shift in enumerate(shifts):
            with torch.inference_mode():
                run.measure(seed, shift)
            ladder = run.result(index + 1)
            text = f'shift {number + 1} of {len(shifts)}, latent {index + 1} of {samples}'
            yield Progress((index * len(shifts) + number + 1) / steps, text, ladder)
    return ladder


def _moves(resolution: int) -> Iterator[tuple[Motion, float]]:
    """The small motions: a 64th of a pixel, and an angle that moves the border as far."""
    step = 1 / (64 * resolution)
    yield 'x', step
    yield 'rotation', 2 * step


def _small(motion: Motion, step: float) -> Affine:
    cos, sin = math.cos(step), math.sin(step)
    return move_right(step) if motion == 'x' else (cos, sin, 0.0, -sin, cos, 0.0)


class LieRun:
    """Lie derivatives of every layer, pooled over latents."""

    def __init__(self, adapter: Inspectable, request: RenderRequest):
        self._adapter = adapter
        self._request = replace(request, synthesis=replace(request.synthesis, precision='float32'))
        self._why_still = adapter.info.why_not('transform')
        self._layers = [layer for layer in adapter.info.layers if '#' not in layer.name]
        self._errors: dict[tuple[str, Motion, str], FeatureError] = {}
        self._notes: dict[str, str] = {}

    def measure(self, seed: int, motion: Motion, step: float) -> None:
        """Run the picture of `seed` as it is and, where that is possible, moved by + and - `step`."""
        base: dict[str, Tensor] = {}
        forth: dict[str, Tensor] = {}
        by_name = {layer.name: layer for layer in self._layers}

        def keep(call: LayerCall) -> None:
            if call.name in by_name:
                base[call.name] = call.output.float()
                self._created(by_name[call.name], call, motion, step)

        run_pass(self._adapter, self._request, seed, keep)
        if self._why_still:
            return

        def keep_forth(call: LayerCall) -> None:
            forth[call.name] = call.output.float()

        def compare(call: LayerCall) -> None:
            if call.name in by_name and call.name in base and call.name in forth:
                grid = grid_of(by_name[call.name], call.output)
                reach, mask = _slope_mask(grid, grid, 0.0)
                tensors = (base.pop(call.name), forth.pop(call.name), call.output.float())
                mask = mask.to(call.output.device)
                error = lie_difference(*tensors, grid, motion, step, mask=mask, reach=reach)
                self._add(call.name, motion, 'total', error)

        run_pass(self._adapter, self._request, seed, keep_forth, transform=_small(motion, step))
        run_pass(self._adapter, self._request, seed, compare, transform=_small(motion, -step))

    def result(self, samples: int) -> LieLadder:
        """What is known so far."""
        note = '' if self._why_still is None else f'{self._why_still}{NO_TRANSFORM}'
        return LieLadder(tuple(self._row(layer) for layer in self._layers), samples, note)

    def _created(self, layer: LayerInfo, call: LayerCall, motion: Motion, step: float) -> None:
        inner, reason = input_grid(layer, call), why_not_again(layer, call)
        if reason:
            self._notes.setdefault(layer.name, reason)
        if inner is None or call.input is None or reason:
            return
        features, outer = call.input.float(), grid_of(layer, call.output)
        reach, mask = _slope_mask(inner, outer, support_of(layer, call, inner))
        along = generator(features, inner, motion, reach) * step
        forth, back = call.again(features + along).float(), call.again(features - along).float()
        base = call.output.float()
        error = lie_difference(base, forth, back, outer, motion, step, mask=mask.to(base.device), reach=reach)
        self._add(layer.name, motion, 'created', error)

    def _add(self, name: str, motion: Motion, part: str, error: FeatureError) -> None:
        key = (name, motion, part)
        self._errors[key] = self._errors.get(key, FeatureError()) + error

    def _row(self, layer: LayerInfo) -> LieRow:
        def ratio(motion: Motion, part: str) -> float:
            return lie_ratio(self._errors.get((layer.name, motion, part), FeatureError()))

        note = self._notes.get(layer.name, '')
        found = self._errors.get((layer.name, 'x', 'created' if self._why_still else 'total'))
        if layer.height * layer.width == 1:
            note = ONE_SAMPLE
        elif not note and found is not None:
            note = found.why_not()
        return LieRow(
            layer.name,
            layer.label,
            translation=ratio('x', 'total'),
            rotation=ratio('rotation', 'total'),
            created_translation=ratio('x', 'created'),
            created_rotation=ratio('rotation', 'created'),
            note=note,
        )


def _slope_mask(inner: Grid, outer: Grid, support: float) -> tuple[int, Tensor]:
    """The longest differentiating filter that leaves a quarter of the canvas, and the mask of what it leaves; else nothing."""
    canvas = float(outer.canvas_mask().sum())
    for reach in REACHES:
        lost = ((inner, support + reach / inner.rate), (outer, reach / outer.rate))
        across = min(grid.width / grid.rate / 2 - border for grid, border in lost)
        down = min(grid.height / grid.rate / 2 - border for grid, border in lost)
        mask = outer.inside_mask((-across, across), (-down, down))
        if float(mask.sum()) >= canvas / 4:
            return reach, mask
    return REACHES[-1], torch.zeros(outer.height, outer.width)


def lie_job(renderer: Renderer, request: RenderRequest, samples: int, first_seed: int) -> Job:
    """See `render.jobs_equivariance.lie_ladder`."""
    adapter = renderer.adapter(request)
    run, ladder = LieRun(adapter, request), None
    moves = tuple(_moves(adapter.info.resolution))
    for index, seed in enumerate(request_seeds(request, samples, first_seed)):
        for number, (motion, step) in enumerate(moves):
            with torch.inference_mode():
                run.measure(seed, motion, step)
            ladder = run.result(index + 1)
            done = (index * len(moves) + number + 1) / (samples * len(moves))
            yield Progress(done, f'latent {index + 1} of {samples}', ladder)
    return ladder

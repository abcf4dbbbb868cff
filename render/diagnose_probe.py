"""Measures a running network for `diagnose`: one pass to see what every layer meets, then each layer by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from analysis.diagnosis_facts import Band, InputFacts, LayerFacts
from analysis.diagnosis_filters import ORDINARY_SHARE
from analysis.diagnosis_flat import FLOOR_DB, FlatResponse, flat_response
from analysis.diagnosis_signal import EQ_SCALE_DB, Resampling
from networks import stylegan2
from networks.adapters.base import Inspectable
from networks.info import LayerInfo
from networks.openvino import Layered
from render.diagnose_cures import alias_free_layer
from render.diagnose_plain import measured_folding_db, measured_images_db
from render.diagnose_replay import AGREES_DB, Replay, replay
from render.layer_calls import LayerCall, layer_rate, move_right, run_pass
from render.request import RenderRequest

_WHOLE_SAMPLES = 2
"""By which the input is moved: whole samples need no interpolation."""
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Met:
    """What a layer met in one pass, without its tensors."""

    info: LayerInfo
    module: nn.Module
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    flat: Tensor | None
    """[1, channels, 1, 1]: mean plus deviation of its input; None where it receives no features."""
    size_in: tuple[int, int]
    deviation: float
    """Root mean square over channels of the output's deviation from each channel's mean."""
    replay: Replay | None
    """Of alias-free layers: whether they do what their records say."""


def meet(adapter: Inspectable, request: RenderRequest, seed: int) -> tuple[list[Met], Tensor]:
    """Every layer that ran in the pass of `seed`, in order, and the picture.

    Raises `ValueError` naming the first layer that yields a value that is not a number.
    """
    infos = {layer.name: layer for layer in adapter.info.layers}
    found: list[Met] = []

    def on_call(call: LayerCall) -> None:
        if not bool(call.output.isfinite().all()):
            label = infos[call.name].label
            raise ValueError(
                f'The layer {label} yields values that are not finite numbers (seed {seed}), so nothing can be measured '
                'behind it; look at that layer, or open an earlier snapshot.'
            )
        deviation = float((call.output.float() - call.output.float().mean(dim=(-2, -1), keepdim=True)).square().mean())
        features = call.input
        flat, size, again = None, (0, 0), None
        arguments, keywords = call.arguments[1:], dict(call.keywords)
        if features is not None:
            x = features.float()
            flat = x.mean(dim=(-2, -1), keepdim=True) + x.std(dim=(-2, -1), keepdim=True)
            size = (features.shape[-2], features.shape[-1])
            again = replay(call.module, features, arguments, keywords, call.output)
        found.append(Met(infos[call.name], call.module, arguments, keywords, flat, size, math.sqrt(deviation), again))

    picture = run_pass(adapter, request, seed, on_call)
    if not bool(picture.isfinite().all()):
        raise ValueError(
            f'The picture of seed {seed} holds values that are not finite numbers; nothing can be measured.'
        )
    return found, picture


def silent(met: Sequence[Met]) -> list[str]:
    """Labels of the layers that do not vary at all: nothing relative to their signal can be measured."""
    return [one.info.label for one in met if one.deviation < _SMALLEST]


def unlike_record(met: Sequence[Met]) -> list[str]:
    """Labels of alias-free layers that compute something else than their records and filters say, unexplained."""
    return [
        one.info.label
        for one in met
        if one.replay is not None and one.replay.error_db > AGREES_DB and one.replay.instead is None
    ]


def input_facts(adapter: Inspectable, request: RenderRequest, seed: int) -> InputFacts:
    """How the first layer's features follow a move of the input by whole samples of theirs."""
    info = adapter.info.layers[0]
    rate = layer_rate(info)
    outputs = []
    for shift in (0.0, _WHOLE_SAMPLES / rate):
        seen: list[Tensor] = []

        def on_call(call: LayerCall, seen: list[Tensor] = seen) -> None:
            if call.name == info.name:
                seen.append(call.output.double())

        try:
            run_pass(adapter, request, seed, on_call, transform=move_right(shift))
        except ValueError:
            if shift == 0:
                raise
            return InputFacts(info.label, FLOOR_DB, 0.0)  # the network holds no transform that could be set
        outputs.append(seen[0])
    base, moved = outputs
    expected, found = base[..., :-_WHOLE_SAMPLES], moved[..., _WHOLE_SAMPLES:]
    power = float((base - base.mean(dim=(-2, -1), keepdim=True)).square().mean())
    changed = float((moved - base).square().mean())
    error = float((found - expected).square().mean())
    return InputFacts(info.label, _db(changed, power), EQ_SCALE_DB - _db(error, power))


def layer_facts(adapter: Inspectable, met: Sequence[Met]) -> Iterator[LayerFacts]:
    """What each layer does, one after the other; the input layer and layers that do not vary are left out.

    Behind a layer that does not vary there are no usual features to compare with: no answers to a featureless input.
    """
    shaping = [one.info.name for one in met if _shapes(one)]
    alive = True
    for one in met:
        alive = alive and one.deviation >= _SMALLEST
        if one.flat is None or one.deviation < _SMALLEST:
            continue
        facts = _facts(one, last=one.info.name in shaping[-2:])
        if facts is not None:
            yield facts if alive else replace(facts, flat=None)


def _facts(one: Met, *, last: bool) -> LayerFacts | None:
    """None for modules that only contain others, which are listed by themselves."""
    layer = alias_free_layer(one.module)
    if layer is not None:
        return _alias_free(one, layer, last=last)
    if any(isinstance(part, stylegan2.SynthesisLayer) for part in one.module.modules()):
        return _stylegan2(one)
    return None if any(True for _ in one.module.children()) else _plain(one)


def constants(adapter: Inspectable) -> Iterator[LayerFacts]:
    """Learned constants of StyleGAN2's kind."""
    for name, module in adapter.module.named_modules():
        if isinstance(module, Layered):
            for label in [label for label, kind in module.kinds.items() if kind == 'constant']:
                rate = float(module.shapes[label][-1])
                yield LayerFacts(label, rate, rate, constant=True)
        if isinstance(module, stylegan2.SynthesisBlock) and module.has_const:
            label = f'{name.rpartition(".")[2]}.const'
            yield LayerFacts(label, float(module.side), float(module.side), constant=True)


def _shapes(one: Met) -> bool:
    """Whether an alias-free layer that is not ToRGB."""
    layer = alias_free_layer(one.module)
    return layer is not None and not layer.record.torgb


def _alias_free(one: Met, layer: Any, *, last: bool) -> LayerFacts:
    record = layer.record
    up, down = record.up_factor, record.down_factor
    filters = Resampling(up, down, _at_hand(layer.up_filter), _at_hand(layer.down_filter))
    if one.replay is not None and one.replay.instead is not None:
        filters = one.replay.instead
    pattern = max(round(record.rate / record.rate_in), 1)
    return LayerFacts(
        one.info.label,
        record.rate_in,
        record.rate,
        flat=_flat(one, float(record.rate), period=pattern),
        resampling=filters,
        band_in=Band(record.cutoff_in, record.half_width_in),
        band=Band(record.cutoff, record.half_width),
        pointwise=layer.weight.shape[-1] == 1,
        nonlinear=not record.torgb,
        last=last,
    )


def _at_hand(taps: Tensor | None) -> Tensor | None:
    """Where filters are judged, on the CPU: the test signal is there."""
    return None if taps is None else taps.cpu()


def _stylegan2(one: Met) -> LayerFacts:
    """The filter runs after the transposed convolution; there is none around the leaky ReLU."""
    layer = next(part for part in one.module.modules() if isinstance(part, stylegan2.SynthesisLayer))
    rate, rate_in = float(layer.side), float(layer.side / layer.up)
    with_noise, without = _answer(one), _answer(one, quiet=True)
    flat = None
    if with_noise is not None and without is not None:
        flat = flat_response(without, one.deviation, rate, period=layer.up)
        noise = float((with_noise - without).square().mean())
        flat = replace(flat, noise_db=_db(noise, one.deviation**2))
    taps = cast(Tensor, layer.resample_filter) if layer.up > 1 else None
    ordinary = [Band(ORDINARY_SHARE * r / 2, (1 - ORDINARY_SHARE) * r / 2) for r in (rate_in, rate)]
    filters = Resampling(layer.up, 1, _at_hand(taps), None)
    return LayerFacts(one.info.label, rate_in, rate, flat, filters, band_in=ordinary[0], band=ordinary[1])


def _plain(one: Met) -> LayerFacts:
    """Any other module, from outside."""
    assert one.flat is not None
    channels, rate = one.flat.shape[1], layer_rate(one.info)
    return LayerFacts(
        one.info.label,
        rate,
        rate,
        flat=_plain_flat(one),
        folding_db=measured_folding_db(one.module, channels),
        images_db=measured_images_db(one.module, channels),
    )


def _plain_flat(one: Met) -> FlatResponse | None:
    """Noise is told from border effects only where there is a middle that no border reaches."""
    period = max(one.info.width // max(one.size_in[1], 1), 1)
    found = _flat(one, float(one.info.width), period=period)
    if found is None or one.info.width < 32:
        return None if found is None else replace(found, noise_db=math.nan)
    return found


def _flat(one: Met, rate: float, *, period: int) -> FlatResponse | None:
    answer = _answer(one)
    return None if answer is None else flat_response(answer, one.deviation, rate, period=period)


def _answer(one: Met, *, quiet: bool = False) -> Tensor | None:
    """What the layer makes of a featureless input, [channels, height, width]. `quiet`: with its noise inputs off."""
    assert one.flat is not None
    arguments = [
        stylegan2.NoisePlan('none') if quiet and isinstance(value, stylegan2.NoisePlan) else value
        for value in one.arguments
    ]
    x = one.flat.expand(-1, -1, *one.size_in).contiguous()
    with torch.inference_mode():
        output = one.module(x, *arguments, **one.keywords)
    return output[0].float() if isinstance(output, Tensor) and output.ndim == 4 else None


def flat_again(one: Met, variant: nn.Module) -> FlatResponse | None:
    """How a variant of an alias-free layer answers to the featureless input that its original was tested with."""
    layer = alias_free_layer(variant)
    if layer is None or one.flat is None:
        return None
    record = layer.record
    x = one.flat.expand(-1, -1, record.size_in, record.size_in).contiguous()
    with torch.inference_mode():
        output = layer.forward(x, *one.arguments, **one.keywords)
    pattern = max(round(record.rate / record.rate_in), 1)
    return flat_response(output[0].float(), one.deviation, float(record.rate), period=pattern)


def _db(part: float, whole: float) -> float:
    if not whole > 0:
        return math.nan
    return max(10 * math.log10(part / whole), FLOOR_DB) if part > 0 else FLOOR_DB

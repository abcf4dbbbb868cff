"""An exact part of a picture: each layer of an alias-free network computes just the samples that a rectangle of the picture needs.

Unlike a smaller picture this is no approximation: inside the rectangle every sample is the whole network's, up to rounding.
What a layer must receive follows from what it must give, by interval arithmetic from the picture back to the input:
down filter, up filter, convolution. The first layers, whose filters span most of the canvas, stay nearly whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import cast

from torch import nn

from networks.fourier_features import SynthesisInput
from networks.schedule import Cut, LayerRecord
from networks.stylegan3 import Generator, SynthesisLayer, SynthesisNetwork
from networks.variants import twin_of

Interval = tuple[int, int]
"""First sample, and the one behind the last."""
Taps = tuple[int, int]
"""Of the up filter and of the down filter, along one axis."""
WINOGRAD = 4
"""Products that 3x3 convolutions save by Winograd's algorithm for tiles of 4x4 results."""
READ_BY_WINOGRAD = 36
"""Numbers that it reads for each pair of channels: a weight, transformed."""
FLOAT = 128
"""Products that take as long as a number read from memory or written to it; fitted to measured gains (docs/dragging.md)."""


@dataclass(frozen=True, slots=True)
class LayerShape:
    """A layer and the filters in it, which need not be those of its record."""

    record: LayerRecord
    taps_x: Taps
    taps_y: Taps
    radial: bool
    """The down filter is not separable."""

    @classmethod
    def of(cls, layer: SynthesisLayer) -> LayerShape:
        """As the layer runs."""
        shapes = [None if f is None else f.shape for f in (layer._buffers['up_filter'], layer._buffers['down_filter'])]
        columns, rows = ([1 if shape is None else shape[axis] for shape in shapes] for axis in (-1, 0))
        down = shapes[1]
        return cls(layer.record, (columns[0], columns[1]), (rows[0], rows[1]), down is not None and len(down) == 2)


def needed(record: LayerRecord, taps: Taps, given: Interval, *, vertical: bool = False) -> Interval:
    """Samples of the layer's input that the samples `given` of its result depend on."""
    up, (size_in, _) = record.up_factor, record.sizes(vertical=vertical)
    before, _ = replace(record, cut_x=None, cut_y=None).padding(*taps, vertical=vertical)
    first, last = given[0] * record.down_factor - before, (given[1] - 1) * record.down_factor + sum(taps) - 2 - before
    # Of the zero-stuffed signal. Sample c of the convolution lies at c * up; it sees the inputs c - (kernel - 1) … c.
    start, end = -(-first // up) - (record.kernel - 1), last // up + 1
    start = min(max(start, 0), size_in - 1)
    return start, min(max(end, start + 1), size_in)


def aligned(record: LayerRecord, given: Interval) -> Interval:
    """`given`, begun a little earlier if necessary: at a sample where the phases of the up filter follow one another as at the
    canvas's edge. Kernels for the whole picture then serve for its parts too."""
    step = record.up_factor // gcd(record.up_factor, record.down_factor)
    return given[0] - given[0] % step, given[1]


def cut_records(shapes: Sequence[LayerShape], columns: Interval, rows: Interval) -> tuple[LayerRecord, ...]:
    """The records of all layers, in order, such that the last gives these columns and rows of the picture.

    Each receives what the one before gives, the first its whole input. Raises `ValueError` for a rectangle that does not
    lie in the picture.
    """
    width, height = (shapes[-1].record.sizes(vertical=vertical)[1] for vertical in (False, True))
    if not (0 <= columns[0] < columns[1] <= width and 0 <= rows[0] < rows[1] <= height):
        raise ValueError(f'columns {columns} and rows {rows} are not a part of a picture of {width}x{height} pixels')
    along_x = _cuts(shapes, columns, vertical=False)
    along_y = _cuts(shapes, rows, vertical=True)
    return tuple(replace(shape.record, cut_x=x, cut_y=y) for shape, x, y in zip(shapes, along_x, along_y, strict=True))


def _cuts(shapes: Sequence[LayerShape], wanted: Interval, *, vertical: bool) -> list[Cut]:
    cuts: list[Cut] = []
    for index in reversed(range(len(shapes))):
        record = shapes[index].record
        taps = shapes[index].taps_y if vertical else shapes[index].taps_x
        received = needed(record, taps, wanted, vertical=vertical)
        if index:
            received = aligned(shapes[index - 1].record, received)
        else:
            received = 0, record.sizes(vertical=vertical)[0]
        cuts.append(Cut(received[0], received[1] - received[0], wanted[0], wanted[1] - wanted[0]))
        wanted = received
    return cuts[::-1]


def work(*, products: float, weights: float, samples: float) -> float:
    """Of a layer, in products: it multiplies while its weights are read, then its samples pass through memory."""
    return max(products, FLOAT * weights) + FLOAT * samples


def work_of(shapes: Sequence[LayerShape], records: Sequence[LayerRecord]) -> float:
    """Of the layers, whole or cut as `records` say; convolutions and filters as the kernels compute them."""
    return sum(_work(replace(shape, record=record)) for shape, record in zip(shapes, records, strict=True))


def spared(whole: Generator, part: Generator) -> float:
    """How many times as much work the first has as the second, which computes a part of its pictures."""
    shapes = [
        [LayerShape.of(cast(SynthesisLayer, one.synthesis.get_submodule(name))) for name in one.synthesis.layer_names]
        for one in (whole, part)
    ]
    whole_work, part_work = (work_of(some, [shape.record for shape in some]) for some in shapes)
    return whole_work / part_work


def _work(shape: LayerShape) -> float:
    record, kernel = shape.record, shape.record.kernel
    whole = [record.sizes(vertical=vertical) for vertical in (False, True)]
    cuts = (record.cut_x, record.cut_y)
    (wide_in, wide), (high_in, high) = (
        one if cut is None else (cut.size_in, cut.size) for one, cut in zip(whole, cuts, strict=True)
    )
    pairs, between = record.channels_in * record.channels, (wide_in + kernel - 1) * (high_in + kernel - 1)
    products = between * pairs * (kernel**2 / WINOGRAD if kernel > 1 else 1)
    weights = pairs * (READ_BY_WINOGRAD if kernel > 1 else 1)
    samples = wide_in * high_in * record.channels_in + (2 * between + wide * high) * record.channels
    if shape.taps_x == shape.taps_y == (1, 1):
        return work(products=products, weights=weights, samples=samples)
    inside_x, inside_y = wide * record.down_factor, high * record.down_factor
    per_sample = shape.taps_x[0] / record.up_factor
    up = (inside_x * high_in + inside_x * inside_y) * per_sample
    down = (wide * inside_y + wide * high) * shape.taps_x[1] * (2.5 if shape.radial else 1)
    return work(products=products + record.channels * (up + down), weights=weights, samples=samples)


def shapes_of(generator: nn.Module) -> tuple[LayerShape, ...] | str:
    """The layers of a generator whose pictures can be computed in part; else why not, as a sentence."""
    synthesis = getattr(generator, 'synthesis', None)
    if type(generator) is not Generator or type(synthesis) is not SynthesisNetwork:
        return 'This is no network of alias-free layers (StyleGAN3), so its pictures cannot be computed in part.'
    layers = [synthesis.get_submodule(name) for name in synthesis.layer_names]
    if type(synthesis.input) is not SynthesisInput or any(type(layer) is not SynthesisLayer for layer in layers):
        return 'A layer of this network was replaced, so its pictures cannot be computed in part.'
    if any(is_watched(module) for module in (generator, synthesis, *layers)):
        return 'Hooks change layers of this network, so its pictures cannot be computed in part.'
    known = [layer for layer in layers if isinstance(layer, SynthesisLayer)]
    if not all(layer.record.filtered for layer in known):
        return 'Layers without filters inside (rung E) cannot be computed in part.'
    return tuple(LayerShape.of(layer) for layer in known)


def is_watched(module: nn.Module) -> bool:
    """Whether hooks see, and may change, what the module does."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def part_modules(generator: Generator, columns: Interval, rows: Interval) -> Mapping[str, nn.Module]:
    """Twins of the layers, by their paths, that compute these columns and rows of the picture; tensors are shared.

    Raises `ValueError` where that is not possible, see `shapes_of`.
    """
    shapes = shapes_of(generator)
    if isinstance(shapes, str):
        raise ValueError(shapes)
    modules: dict[str, nn.Module] = {}
    for name, record in zip(generator.synthesis.layer_names, cut_records(shapes, columns, rows), strict=True):
        modules[f'synthesis.{name}'] = twin = twin_of(generator.synthesis.get_submodule(name))
        twin.record = record
    return modules

"""An exact part of a StyleGAN2 picture: each layer runs on the rectangle that a rectangle of the picture needs, and a little more.

Its layers pad with zeros wherever their input ends. A layer of a part therefore receives all samples that those it gives depend
on; the others, near its border, have seen those zeros and are cut off. At the border of the canvas the zeros are right. Noise is
drawn for the whole canvas and cut at the same place. (For alias-free networks see `networks.parts`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from networks.layers import runs_in_half
from networks.parts import READ_BY_WINOGRAD, WINOGRAD, Interval, is_watched, work
from networks.stylegan2 import Generator, NoisePlan, SynthesisBlock, SynthesisLayer, SynthesisNetwork, ToRGBLayer
from networks.variants import twin_of
from ops.classic_picture import add_upsampled
from ops.parallel import one_thread_if_small


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Samples of a canvas."""

    columns: Interval
    rows: Interval

    @property
    def size(self) -> int:
        """How many."""
        return (self.columns[1] - self.columns[0]) * (self.rows[1] - self.rows[0])

    def doubled(self) -> Rectangle:
        """The same place at twice the rate."""
        return Rectangle(*((2 * first, 2 * end) for first, end in (self.columns, self.rows)))

    def halved(self, reach: int, side: int) -> Rectangle:
        """At half the rate, on a canvas of that side: all that lies within `reach` samples of this one."""
        return Rectangle(
            *(_clipped(-((reach - a) // 2), (b - 1 + reach) // 2 + 1, side) for a, b in (self.columns, self.rows))
        )

    def widened(self, reach: int, side: int) -> Rectangle:
        """All within `reach` samples, on a canvas of that side."""
        return Rectangle(*(_clipped(first - reach, end + reach, side) for first, end in (self.columns, self.rows)))

    def joined(self, other: Rectangle) -> Rectangle:
        """The smallest rectangle around both."""
        ours, theirs = (self.columns, self.rows), (other.columns, other.rows)
        return Rectangle(*((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(ours, theirs, strict=True)))

    def of(self, x: Tensor, held: Rectangle) -> Tensor:
        """This rectangle of `x` [..., rows, columns], which holds that one."""
        top, left = self.rows[0] - held.rows[0], self.columns[0] - held.columns[0]
        height, width = self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]
        return x[..., top : top + height, left : left + width]


def _clipped(first: int, end: int, side: int) -> Interval:
    return max(first, 0), min(end, side)


@dataclass(frozen=True, slots=True)
class BlockPart:
    """What a block of a part receives and gives."""

    received: Rectangle
    """Of the features of the block before (of the first: its own canvas)."""
    between: Rectangle
    """Of what conv0 gives to conv1 (of the first block: as `received`)."""
    features: Rectangle
    """That it gives."""
    own: Rectangle
    """That ToRGB makes a picture of: the picture of the block before, doubled."""
    picture: Rectangle
    """That it gives."""


class PartLayer(SynthesisLayer):
    """A layer that receives one rectangle and gives another."""

    received: Rectangle
    given: Rectangle

    def forward(self, x: Tensor, w: Tensor, plan: NoisePlan, gain: float = 1.0) -> Tensor:
        """As `SynthesisLayer.forward`, of the rectangle `received`; gives the rectangle `given`."""
        held = self.received.doubled() if self.up == 2 else self.received
        noise = plan.noise(cast(Tensor, self.noise_const), x.shape[0]) if self.use_noise else None
        if noise is not None:
            side = noise.shape[-1]
            noise = held.of(noise, Rectangle((0, side), (0, side)))
            with one_thread_if_small(noise.numel()):
                noise = noise * self.noise_strength
        return self.given.of(self.run(x, self.affine(w), noise, gain), held)


class PartBlock(SynthesisBlock):
    """A block whose layers are `PartLayer`s."""

    part: BlockPart

    def forward(
        self, x: Tensor | None, image: Tensor | None, ws: Tensor, plan: NoisePlan, *, float32: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """As `SynthesisBlock.forward`, of the rectangles in `part`."""
        features = self._start(ws) if x is None else x
        if runs_in_half(self.half_precision, features, float32):
            features = features.half()
        if not self.first:
            features = self.conv0(features, ws[:, 0], plan)
        features = self.conv1(features, ws[:, self.num_conv - 1], plan)
        if self.has_torgb:
            seen = self.part.own.of(features, self.part.features)
            with one_thread_if_small(seen.numel()):
                seen = seen.contiguous(memory_format=torch.channels_last)
            own = self.torgb(seen, ws[:, self.num_conv]).to(ws.dtype)
            whole = own if image is None else add_upsampled(image, own, cast(Tensor, self.resample_filter))
            image = self.part.picture.of(whole, self.part.own)
        return features, image


def why_not(generator: nn.Module) -> str | None:
    """Why pictures of this generator cannot be computed in part; None if they can."""
    synthesis = getattr(generator, 'synthesis', None)
    if type(generator) is not Generator or type(synthesis) is not SynthesisNetwork:
        return 'This is no StyleGAN2 network, so its pictures cannot be computed in part.'
    if synthesis.config.architecture == 'resnet':
        return 'Pictures of StyleGAN2 networks with residual blocks cannot be computed in part.'
    modules: list[nn.Module] = [generator, synthesis]
    for block in _blocks(generator):
        layers = [layer for layer in (getattr(block, 'conv0', None), block.conv1) if layer is not None]
        if type(block) is not SynthesisBlock or any(type(layer) is not SynthesisLayer for layer in layers):
            return 'A layer of this network was replaced, so its pictures cannot be computed in part.'
        if block.has_torgb and type(block.torgb) is not ToRGBLayer:
            return 'A layer of this network was replaced, so its pictures cannot be computed in part.'
        modules += [block, *layers]
    if any(is_watched(module) for module in modules):
        return 'Hooks change layers of this network, so its pictures cannot be computed in part.'
    return None


def block_parts(generator: Generator, columns: Interval, rows: Interval) -> list[BlockPart]:
    """What each block computes, in order. Raises `ValueError` for a rectangle that does not lie in the picture."""
    side, adds_up = generator.img_resolution, generator.synthesis.config.architecture == 'skip'
    if not (0 <= columns[0] < columns[1] <= side and 0 <= rows[0] < rows[1] <= side):
        raise ValueError(f'columns {columns} and rows {rows} are not a part of a picture of {side}x{side} pixels')
    picture: Rectangle | None = Rectangle(columns, rows)
    following: Rectangle | None = None
    parts: list[BlockPart] = []
    for block in reversed(_blocks(generator)):
        own, before = picture, None
        if picture is not None and adds_up and not block.first:
            before = picture.halved(_reach(block), block.side // 2)
            own = before.doubled()
        wanted = [one for one in (own, following) if one is not None]
        features = wanted[0] if len(wanted) == 1 else wanted[0].joined(wanted[1])
        reach = block.conv1.weight.shape[-1] // 2
        between = features.widened(reach, block.side)
        if block.first:
            received = between = Rectangle((0, block.side), (0, block.side))
        else:
            received = between.halved(_reach(block.conv0) + reach, block.side // 2)
        parts.append(BlockPart(received, between, features, own or features, picture or features))
        picture, following = before, received
    parts = parts[::-1]
    return [parts[0], *(replace(part, received=before.features) for before, part in pairwise(parts))]


def _reach(module: nn.Module) -> int:
    """How far the filter at a change of rate looks, at the higher one."""
    return -(-max(cast(Tensor, module.resample_filter).shape, default=1) // 2)


def part_modules(generator: Generator, columns: Interval, rows: Interval) -> tuple[Mapping[str, nn.Module], float]:
    """Twins of blocks and layers, by their paths, that compute these columns and rows of the picture; and how many times as
    much work the whole is. Tensors are shared. Raises `ValueError` where that is not possible, see `why_not`."""
    reason = why_not(generator)
    if reason is not None:
        raise ValueError(reason)
    modules: dict[str, nn.Module] = {}
    for block, part in zip(_blocks(generator), block_parts(generator, columns, rows), strict=True):
        twin = twin_of(block)
        twin.__class__, twin.__dict__['part'] = PartBlock, part
        if not block.first:
            twin._modules['conv0'] = _layer(block.conv0, part.received, part.between)
        twin._modules['conv1'] = _layer(block.conv1, part.between, part.features)
        modules[f'synthesis.b{block.side}'] = twin
    whole = (0, generator.img_resolution)
    whole_work, part_work = (
        _work(generator, block_parts(generator, *one)) for one in ((whole, whole), (columns, rows))
    )
    return modules, whole_work / part_work


def _layer(layer: SynthesisLayer, received: Rectangle, given: Rectangle) -> SynthesisLayer:
    twin = twin_of(layer)
    twin.__class__ = PartLayer
    twin.__dict__['received'], twin.__dict__['given'] = received, given
    return twin


def _work(generator: Generator, parts: list[BlockPart]) -> float:
    """Of all convolutions of 3x3; what else there is grows with them."""
    total = 0.0
    for block, part in zip(_blocks(generator), parts, strict=True):
        channels, channels_in, *sides = block.conv1.weight.shape
        total += work(
            products=part.between.size * block.conv1.weight.numel() / WINOGRAD,
            weights=channels * channels_in * (READ_BY_WINOGRAD if max(sides) > 1 else 1),
            samples=part.between.size * (channels_in + channels),
        )
        if not block.first:
            weights, given = block.conv0.weight.numel(), part.received.doubled().size
            samples = part.received.size * block.conv0.weight.shape[1] + 2 * given * channels_in
            total += work(products=part.received.size * weights, weights=weights, samples=samples)
    return total


def _blocks(generator: Generator) -> list[SynthesisBlock]:
    synthesis = generator.synthesis
    return [cast(SynthesisBlock, synthesis.get_submodule(f'b{side}')) for side in synthesis.block_resolutions]

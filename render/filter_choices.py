"""What can be changed about a network's sampling, and within which limits; plain values for window and renderer. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from networks.info import FilterInfo, GeneratorInfo, LayerInfo
from render.request import FilterEdit, FilterKind, FilterSpec

FACTORS = (1, 2, 4, 8)
"""Of the oversampling m: powers of two, so that every filter keeps an even number of taps and the picture its place."""
MAX_MARGIN = 32
MAX_LENGTH = 16
"""n, taps per sample of the lower rate."""
MAX_TAPS, MAX_RADIAL_TAPS = 128, 48
"""Of a whole filter; a radial one has their square."""
LEAST_SHARE = 0.02
"""Of s/2: the smallest cutoff and half-width."""
CLASSIC: tuple[FilterKind, ...] = ('bilinear', 'lanczos', 'nearest', 'gaussian')
"""Kernels of image processing: they follow the sampling factor and know no cutoff."""
BAND_LIMITED: tuple[FilterKind, ...] = ('network', 'sinc', 'jinc')


@dataclass(frozen=True, slots=True)
class Place:
    """One filter of one layer."""

    layer: LayerInfo
    filter: FilterInfo

    @property
    def half_rate(self) -> float:
        """s/2: half of the lower of the filter's two rates, cycles per image width."""
        return half_rate(self.filter)

    @property
    def own_length(self) -> int:
        """n of the network's own filter."""
        return max(round(self.filter.taps / self.filter.factor), 1)


def half_rate(info: FilterInfo) -> float:
    """s/2 of a filter: half of the lower of its two rates, cycles per image width."""
    return info.rate / info.factor / 2


def is_designed(info: FilterInfo) -> bool:
    """Whether the network's own filter follows from a band; StyleGAN2's is a list of numbers."""
    return info.half_width > 0


def places(info: GeneratorInfo | None) -> Iterator[Place]:
    """All filters in the order in which they run."""
    for layer in info.layers if info else ():
        for one in layer.filters:
            yield Place(layer, one)


def choice_for(spec: FilterSpec, layer: str, info: FilterInfo) -> FilterEdit | None:
    """What `spec` wants of one filter: the edit of this place, else what holds for all; None = the network's own."""
    found = next((one for one in spec.edits if (one.layer, one.direction) == (layer, info.direction)), None)
    if found is None:
        is_meant = spec.direction in ('both', info.direction) and (spec.layers is None or layer in spec.layers)
        found = FilterEdit(layer, info.direction, spec.kind, spec.taps) if is_meant else None
    if found is None or is_own(found) or (found.kind == 'network' and not is_designed(info)):
        return None
    return found


def is_own(edit: FilterEdit) -> bool:
    """Whether the edit asks for nothing but the network's own filter."""
    return edit.kind == 'network' and edit.taps is None and edit.cutoff is None and edit.half_width is None


def oversampling_for(spec: FilterSpec, layer: str) -> int | None:
    """m that `spec` wants of a layer; None = the network's own."""
    found = next((one.factor for one in spec.layer_oversampling if one.layer == layer), spec.oversampling)
    return found if found in FACTORS else None


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a filter is designed from."""

    taps: int
    """In all."""
    cutoff: float
    half_width: float


def numbers_for(info: FilterInfo, edit: FilterEdit) -> tuple[Numbers, tuple[str, ...]]:
    """Taps, cutoff and half-width within their limits, and a sentence for each that had to be moved.

    The number of taps stays even or odd as the network's own is: otherwise the picture would move by half a sample.
    """
    notes: list[str] = []
    name = f'{edit.layer.rpartition(".")[2]}, {info.direction}'
    length = max(info.taps // info.factor, 1) if edit.taps is None else edit.taps
    most = max((MAX_RADIAL_TAPS if edit.kind == 'jinc' or info.radial else MAX_TAPS) // info.factor, 1)
    allowed = min(max(length, 1), MAX_LENGTH, most)
    if allowed != length and edit.taps is not None:
        notes.append(f'{name}: n = {length} is not possible here; {allowed} is used.')
    taps = info.taps if edit.taps is None and allowed == length else allowed * info.factor
    taps = max(taps - (taps - info.taps) % 2, 2 - info.taps % 2)
    cutoff = _within(edit.cutoff, info.cutoff, half_rate(info), f'{name}: the cutoff', notes)
    own_width = info.half_width or (math.sqrt(2) - 1) * info.cutoff
    half_width = _within(edit.half_width, own_width, info.rate / 2, f'{name}: the half-width', notes)
    return Numbers(taps, cutoff, half_width), tuple(notes)


def _within(wanted: float | None, own: float, largest: float, name: str, notes: list[str]) -> float:
    """`wanted`, or the nearest number that a filter can be made of; the network's own is taken as it is."""
    if wanted is None:
        return own
    smallest = LEAST_SHARE * largest
    if not math.isfinite(wanted):
        notes.append(f"{name} is not a number; the network's own {own:.4g} is used.")
        return own
    allowed = min(max(wanted, smallest), largest)
    if not math.isclose(allowed, wanted):
        end = f'above the largest, {largest:.4g}' if wanted > largest else f'below the smallest, {smallest:.4g}'
        notes.append(f'{name} {wanted:.4g} is {end} cycles per image width, which is used.')
    return allowed


def why_no_oversampling(info: GeneratorInfo) -> str | None:
    """Why m cannot be changed; None if it can."""
    if info.family != 'stylegan3':
        return f'A {info.title} runs its non-linearities at the rate of the layer: it has no m.'
    if dict(info.config).get('rung') == 'E':
        return 'Rung E applies a bare leaky ReLU after upsampling: it has no m.'
    return None


def why_no_margin(info: GeneratorInfo) -> str | None:
    """Why the margin cannot be changed; None if it can."""
    if info.family != 'stylegan3':
        return f'A {info.title} fills its canvas exactly: its layers have no margin.'
    return None


def why_no_clamp(info: GeneratorInfo) -> str | None:
    """Why the clamp cannot be switched off; None if it can."""
    if dict(info.config).get('conv_clamp') is None:
        return 'This network does not limit its activations.'
    return None


def own_setting(info: GeneratorInfo | None, keyword: str, default: int) -> int:
    """A whole number of the network's configuration, e.g. 'margin_size', 'lrelu_upsampling', 'filter_size'."""
    value = dict(info.config).get(keyword, default) if info else default
    return value if isinstance(value, int) else default


def limits_of(spec: FilterSpec, info: GeneratorInfo) -> tuple[str, ...]:
    """A sentence for everything that `spec` asks for and this generator cannot do."""
    notes = []
    wanted = [spec.oversampling, *(one.factor for one in spec.layer_oversampling)]
    if any(one is not None for one in wanted) and (reason := why_no_oversampling(info)):
        notes.append(f'm is not changed: {reason}')
    else:
        notes += [f'm = {one} is not offered: choose 1, 2, 4 or 8.' for one in wanted if one not in (None, *FACTORS)]
    if spec.margin is not None and (reason := why_no_margin(info)):
        notes.append(f'The margin is not changed: {reason}')
    elif spec.margin is not None and not 0 <= spec.margin <= MAX_MARGIN:
        notes.append(f'A margin of {spec.margin} is not possible; {min(max(spec.margin, 0), MAX_MARGIN)} is used.')
    if not spec.clamp and (reason := why_no_clamp(info)):
        notes.append(f'The clamp is not changed: {reason}')
    named = (*(spec.layers or ()), *(one.layer for one in (*spec.edits, *spec.layer_oversampling)))
    notes += [f'There is no layer {name!r} to change the filter of.' for name in _unknown(named, info)[:1]]
    if spec.kind == 'network' and spec.taps is not None and not any(is_designed(one.filter) for one in places(info)):
        notes.append('n is not changed: the own filters of this network are fixed numbers; choose another kind first.')
    return tuple(notes)


def _unknown(names: Sequence[str], info: GeneratorInfo) -> list[str]:
    return [name for name in names if info.layer(name) is None]

"""Requests for a part of the picture: the same pixels, what is said about them, and what is whole nevertheless."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from networks.adapters.base import Inspectable
from networks.adapters.wrap import wrap
from render import parts
from render.graphs import can_record
from render.models import ModelStore
from render.renderer import Renderer
from render.request import (
    FilterSpec,
    LayerEdit,
    ModelKey,
    Part,
    RenderRequest,
    SynthesisSpec,
    ViewSpec,
    makes_worthless,
)
from tests.networks.small import small_ladder, small_stylegan2

KEY = ModelKey('x', 'x')
PART = Part(4, 12, 16, 8)
CUT = np.s_[12:20, 4:20]
BASE = RenderRequest(KEY, synthesis=SynthesisSpec(transform=(1.0, 0.0, 0.125, 0.0, 1.0, -0.0625)))


def renderer_of(adapter: Inspectable) -> Renderer:
    store = ModelStore('cpu')
    store.put(KEY, adapter)
    return Renderer(store)


def in_part(request: RenderRequest, part: Part = PART) -> RenderRequest:
    return replace(request, synthesis=replace(request.synthesis, part=part))


@pytest.fixture(scope='module')
def renderer() -> Renderer:
    return renderer_of(wrap(small_ladder('T')))


@pytest.mark.parametrize(
    'change',
    [
        SynthesisSpec(),
        BASE.synthesis,
        SynthesisSpec(filters=FilterSpec('bilinear')),
        SynthesisSpec(filters=FilterSpec(oversampling=4, margin=4, clamp=False)),
        SynthesisSpec(edits=(LayerEdit('synthesis.L3_36_8', channel=1),)),
    ],
    ids=['plain', 'moved', 'other filters', 'another margin and rate', 'a channel ablated'],
)
def test_a_part_shows_the_pixels_of_the_whole_picture(renderer: Renderer, change: SynthesisSpec) -> None:
    request = replace(BASE, synthesis=change)
    whole, part = renderer.render(request), renderer.render(in_part(request))
    assert part.part == PART and whole.part is None
    assert part.image.shape == (8, 16, 4)
    assert np.abs(part.values - whole.values[:, *CUT]).max() < 1e-5 * np.abs(whole.values).max()
    assert np.abs(part.image.astype(int) - whole.image[CUT]).max() <= 1


def test_a_whole_picture_says_which_parts_it_could_be_asked_for(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert renderer.render(BASE).part_sizes == (), 'all parts of a small picture would be too small'
    monkeypatch.setattr(parts, 'SMALLEST', 8)
    result = renderer_of(wrap(small_ladder('T'))).render(BASE)
    assert [size.side for size in result.part_sizes] == [16, 8] and result.why_no_parts == ''
    assert 1 < result.part_sizes[0].gain < result.part_sizes[1].gain


def test_where_there_are_no_parts_the_whole_comes_and_says_why() -> None:
    renderer = renderer_of(wrap(small_stylegan2('resnet')))
    result = renderer.render(in_part(BASE))
    assert result.part is None and result.image.shape == (32, 32, 4) and result.request == BASE
    assert 'residual' in result.why_no_parts and result.part_sizes == ()


def test_a_layer_is_shown_whole(renderer: Renderer) -> None:
    layer = replace(BASE, synthesis=SynthesisSpec(layer='synthesis.L3_36_8'))
    result = renderer.render(in_part(layer))
    assert result.request == layer and result.image.shape == (36, 36, 4)


def test_a_part_does_not_become_the_reference_that_pictures_are_measured_by() -> None:
    renderer = renderer_of(wrap(small_ladder('T')))
    still = RenderRequest(KEY, view=ViewSpec(meter=True))
    renderer.render(in_part(still))
    moved = replace(BASE, view=ViewSpec(meter=True))
    alone = renderer_of(wrap(small_ladder('T'))).render(moved)
    assert renderer.render(moved).equivariance == alone.equivariance


def test_networks_that_compute_parts_go_with_the_network() -> None:
    adapter = wrap(small_ladder('T'))
    known = parts.Parts()
    for left in range(20):
        known.choose(adapter, in_part(BASE, Part(left, 0, 8, 8)))
    twin = weakref.ref(known.choose(adapter, in_part(BASE))[0])
    assert known.choose(adapter, in_part(BASE))[0] is twin(), 'not made again'
    assert len(known._known[adapter].twins) == 8
    del adapter
    gc.collect()
    assert twin() is None


def test_parts_come_before_whole_pictures_of_where_the_hand_was() -> None:
    assert makes_worthless(in_part(BASE), BASE)
    assert not makes_worthless(BASE, in_part(BASE)) and not makes_worthless(in_part(BASE), in_part(BASE))


def test_parts_are_not_recorded_as_graphs() -> None:
    assert can_record(BASE.synthesis) and not can_record(in_part(BASE).synthesis)

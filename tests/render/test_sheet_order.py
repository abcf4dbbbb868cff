"""A contact sheet in an order of its own: the same tiles elsewhere, from the same run of the network."""

from dataclasses import replace

import numpy as np
import torch

from render.renderer import Renderer
from render.request import RenderRequest, SynthesisSpec, ViewSpec
from render.sheet import sheet_layout
from render.views import picture
from tests.render.fakes import CHANNELS, KEY, FakeGenerator, fake_store

ORDER = (4, 1, 5, 0, 3, 2)


def cells(image: np.ndarray, view: ViewSpec, height: int, width: int) -> list[np.ndarray]:
    layout = sheet_layout(view, CHANNELS, height, width)
    corners = [layout.corner(index) for index in range(layout.count)]
    return [image[top : top + height, left : left + width] for top, left in corners]


def test_tiles_stand_in_the_order_that_is_asked_for():
    x = torch.randn(CHANNELS, 6, 8, generator=torch.Generator().manual_seed(0))
    view = ViewSpec(mode='sheet', normalize=True)
    plain = cells(picture(x, view).image, view, 6, 8)
    other = replace(view, sheet_order=ORDER)
    ordered = cells(picture(x, other).image, other, 6, 8)
    for place, channel in enumerate(ORDER):
        np.testing.assert_array_equal(ordered[place], plain[channel])


def test_the_sheet_begins_at_a_place_of_the_order_and_names_its_channels():
    layout = sheet_layout(ViewSpec(mode='sheet', sheet_first=2, sheet_order=ORDER), CHANNELS, 6, 8)
    assert layout.channels() == [5, 0, 3, 2]
    top, left = layout.corner(1)
    assert layout.locate(left + 3, top + 2) == (0, 3, 2)


def test_channels_that_the_layer_does_not_have_are_left_out():
    layout = sheet_layout(ViewSpec(mode='sheet', sheet_order=(9, 1, -1, 0)), 3, 6, 8)
    assert layout.channels() == [1, 0]


def test_another_order_runs_no_synthesis():
    generator = FakeGenerator()
    renderer = Renderer(fake_store(generator))
    synthesis = SynthesisSpec(layer='synthesis.L1')
    base = RenderRequest(KEY, synthesis=synthesis, view=ViewSpec(mode='sheet', normalize=True))
    first = renderer.render(base)
    second = renderer.render(replace(base, view=replace(base.view, sheet_order=ORDER)))
    renderer.render(replace(base, view=replace(base.view, sheet_order=ORDER[::-1], sheet_first=2)))
    assert generator.synthesized == 1
    assert not np.array_equal(first.image, second.image)

"""Colour maps."""

import pytest
import torch

from analysis.colormap import colormap, colormap_names


@pytest.mark.parametrize('name', colormap_names())
def test_a_map_has_256_colours(name: str):
    found = colormap(name)
    assert found.shape == (256, 3) and found.dtype == torch.uint8


def test_gray_is_the_identity():
    assert torch.equal(colormap('gray')[:, 1], torch.arange(256).to(torch.uint8))


@pytest.mark.parametrize('name', ['gray', 'viridis', 'magma'])
def test_sequential_maps_grow_lighter(name: str):
    lightness = colormap(name).double() @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)
    assert bool((lightness.diff() > -1.0).all()) and float(lightness[-1] - lightness[0]) > 150


def test_the_middle_of_the_diverging_map_is_its_lightest():
    lightness = colormap('diverging').double().mean(1)
    assert 120 <= int(lightness.argmax()) <= 135


def test_an_unknown_map_is_named():
    with pytest.raises(ValueError, match="'jet'"):
        colormap('jet')

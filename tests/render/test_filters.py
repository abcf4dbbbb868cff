"""Replacement filters fit where they go, in the real networks."""

from typing import get_args

import numpy as np
import pytest
import torch

from networks.adapters.wrap import wrap
from networks.info import FilterInfo
from ops.filters import lowpass
from render.filters import filter_curves, filter_overrides, replacement
from render.models import ModelStore
from render.renderer import Renderer
from render.request import FilterKind, FilterSpec, LatentSpec, ModelKey, RenderRequest, SynthesisSpec
from tests.networks.small import small_ladder, small_stylegan2

KINDS = [kind for kind in get_args(FilterKind) if kind != 'network']
ADAPTERS = {
    'T': lambda: wrap(small_ladder('T')),
    'R': lambda: wrap(small_ladder('R')),
    '2': lambda: wrap(small_stylegan2()),
}


@pytest.fixture(scope='module', params=list(ADAPTERS))
def adapter(request):
    return ADAPTERS[request.param]()


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_fits_every_place(adapter, kind):
    """Same taps per axis and the same gain for a constant, so a swap changes neither place nor brightness."""
    overrides, notes = filter_overrides(adapter, FilterSpec(kind))
    originals = adapter.filters()
    assert overrides.keys() == originals.keys() and not notes
    for name, taps in overrides.items():
        own = originals[name]
        assert taps.shape[-1] == own.shape[-1] and taps.dtype == own.dtype
        assert taps.ndim == max(own.ndim, 2 if kind == 'jinc' else 1)
        gains = [float(one.sum()) ** (2 if one.ndim == 1 else 1) for one in (taps, own)]
        assert gains[0] == pytest.approx(gains[1], rel=1e-4)
        assert torch.allclose(taps, taps.flip(list(range(taps.ndim))), atol=1e-6)


OWN = {'T': {'sinc'}, 'R': set(), '2': {'sinc', 'bilinear'}}
"""What the networks have themselves: [1, 3, 3, 1] is both a triangle and the four middle taps of a half-band sinc."""


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', list(ADAPTERS))
def test_every_kind_runs(name, kind):
    adapter = ADAPTERS[name]()
    store = ModelStore('cpu')
    key = ModelKey('x', 'x')
    store.put(key, adapter)
    renderer = Renderer(store)
    own = renderer.tensor(RenderRequest(key, LatentSpec()))
    other = renderer.tensor(RenderRequest(key, LatentSpec(), SynthesisSpec(filters=FilterSpec(kind))))
    assert other.shape == own.shape and bool(other.isfinite().all())
    assert torch.equal(other, own) == (kind in OWN[name])


def test_a_kind_is_changed_only_where_it_was_asked_for(adapter):
    layer = next(one for one in adapter.info.layers if one.filters)
    overrides, _ = filter_overrides(adapter, FilterSpec('nearest', layers=(layer.name,)))
    assert set(overrides) == {one.buffer for one in layer.filters}
    ups, _ = filter_overrides(adapter, FilterSpec('nearest', direction='up'))
    assert set(ups) == {x.buffer for one in adapter.info.layers for x in one.filters if x.direction == 'up'}


def test_a_layer_that_is_not_there_is_said(adapter):
    overrides, notes = filter_overrides(adapter, FilterSpec('nearest', layers=('synthesis.L99',)))
    assert not overrides and 'synthesis.L99' in notes[0]


def test_the_networks_own_sinc_is_found_again():
    """Designing 'sinc' for a place whose filter is that sinc gives the same taps."""
    info = FilterInfo('x', 'up', 2, 12, rate=64.0, cutoff=10.0, half_width=6.0)
    own = lowpass(12, 10.0, 12.0, 64.0)
    assert own is not None and torch.allclose(replacement(info, FilterSpec('sinc'), own), own, atol=1e-7)


def test_a_square_filter_gets_a_square_replacement_of_its_gain():
    info = FilterInfo('x', 'up', 2, 4, rate=64.0, cutoff=16.0, half_width=0.0)
    own = torch.full([4, 4], 0.25)  # gain 4
    found = replacement(info, FilterSpec('bilinear'), own)
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.allclose(found, torch.outer(line, line), atol=1e-6)


def test_curves_show_the_filter_in_use(adapter):
    layer = next(one for one in adapter.info.layers if one.filters)
    for kind in ('network', 'nearest'):
        for curve in filter_curves(adapter, layer, FilterSpec(kind)):
            assert curve.frequencies[0] == 0 and curve.frequencies[-1] == curve.rate / 2
            assert np.array_equal(curve.network_db, curve.current_db) == (kind == 'network')
            assert abs(curve.current_db[0] - curve.network_db[0]) < 1e-2 and len(curve.taps) > 1

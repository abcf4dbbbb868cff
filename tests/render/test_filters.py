"""The filter laboratory on real networks: what fits where, what a change amounts to, and that nothing moves."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from networks.adapters.wrap import wrap
from networks.info import FilterInfo
from networks.stylegan3 import SynthesisLayer, layer_options
from ops.backend import backends, use_backend
from ops.fast_cpu import compiled
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass
from render.filter_choices import numbers_for, places
from render.filters import designed, edited, filter_curves
from render.models import ModelStore
from render.renderer import Renderer
from render.request import (
    FilterEdit,
    FilterKind,
    FilterSpec,
    LatentSpec,
    LayerOversampling,
    ModelKey,
    RenderRequest,
    SynthesisSpec,
    ViewSpec,
)
from tests.networks.small import same_buffers, small_ladder, small_stylegan2

KINDS = [kind for kind in get_args(FilterKind) if kind != 'network']
ADAPTERS = {
    'T': lambda: wrap(small_ladder('T')),
    'R': lambda: wrap(small_ladder('R')),
    '2': lambda: wrap(small_stylegan2()),
}
KEY = ModelKey('x', 'x')


@pytest.fixture(scope='module', params=list(ADAPTERS))
def adapter(request):
    return ADAPTERS[request.param]()


def changed_filters(adapter, spec):
    """Buffers of the twin that are not the network's own."""
    own, now = adapter.filters(), edited(adapter, spec)[0].filters()
    return {name: taps for name, taps in now.items() if taps is not own[name]}


def renderer_of(adapter) -> Renderer:
    store = ModelStore('cpu')
    store.put(KEY, adapter)
    return Renderer(store)


def request_for(spec: FilterSpec, **view: Any) -> RenderRequest:
    return RenderRequest(KEY, LatentSpec(), SynthesisSpec(filters=spec), ViewSpec(**view))


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_fits_every_place(adapter, kind):
    """Same taps per axis and the same gain for a constant, so a swap changes neither place nor brightness."""
    found, notes = changed_filters(adapter, FilterSpec(kind)), edited(adapter, FilterSpec(kind))[1]
    originals = adapter.filters()
    assert found.keys() == originals.keys() and not notes
    for name, taps in found.items():
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
    renderer = renderer_of(ADAPTERS[name]())
    own = renderer.tensor(request_for(FilterSpec()))
    other = renderer.tensor(request_for(FilterSpec(kind)))
    assert other.shape == own.shape and bool(other.isfinite().all())
    assert torch.equal(other, own) == (kind in OWN[name])


def test_a_kind_is_changed_only_where_it_was_asked_for(adapter):
    layer = next(one for one in adapter.info.layers if one.filters)
    found = changed_filters(adapter, FilterSpec('nearest', layers=(layer.name,)))
    assert set(found) == {one.buffer for one in layer.filters}
    ups = changed_filters(adapter, FilterSpec('nearest', direction='up'))
    assert set(ups) == {x.buffer for one in adapter.info.layers for x in one.filters if x.direction == 'up'}


def test_a_layer_that_is_not_there_is_said(adapter):
    twin, notes = edited(adapter, FilterSpec('nearest', layers=('synthesis.L99',)))
    assert twin is adapter and 'synthesis.L99' in notes[0]


def test_the_networks_own_sinc_is_found_again():
    """Designing 'sinc' for a place whose filter is that sinc gives the same taps."""
    info = FilterInfo('x', 'up', 2, 12, rate=64.0, cutoff=10.0, half_width=6.0)
    own = lowpass(12, 10.0, 12.0, 64.0)
    assert own is not None and torch.allclose(designed(info, FilterEdit('x', 'up', 'sinc'), own)[0], own, atol=1e-7)


def test_a_square_filter_gets_a_square_replacement_of_its_gain():
    info = FilterInfo('x', 'up', 2, 4, rate=64.0, cutoff=16.0, half_width=0.0)
    own = torch.full([4, 4], 0.25)  # gain 4
    found, _, _ = designed(info, FilterEdit('x', 'up', 'bilinear'), own)
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.allclose(found, torch.outer(line, line), atol=1e-6)


def test_curves_show_the_filter_in_use(adapter):
    name = next(one.name for one in adapter.info.layers if one.filters)
    for kind in ('network', 'nearest'):
        for curve in filter_curves(adapter, edited(adapter, FilterSpec(kind))[0], name):
            assert curve.frequencies[0] == 0 and curve.frequencies[-1] == curve.rate / 2
            assert np.array_equal(curve.network_db, curve.current_db) == (kind == 'network')
            assert abs(curve.current_db[0] - curve.network_db[0]) < 1e-2 and len(curve.taps) > 1


AS_BUILT: dict[str, tuple[FilterSpec, dict[str, Any]]] = {
    'm = 1': (FilterSpec(oversampling=1), {'lrelu_upsampling': 1}),
    'm = 4': (FilterSpec(oversampling=4), {'lrelu_upsampling': 4}),
    'n = 4': (FilterSpec(taps=4), {'filter_size': 4}),
    'margin 3': (FilterSpec(margin=3), {'margin_size': 3}),
    'no clamp': (FilterSpec(clamp=False), {'conv_clamp': None}),
}


@pytest.mark.parametrize('rung', ['T', 'R', 'G'])
@pytest.mark.parametrize('name', list(AS_BUILT))
def test_a_change_gives_the_picture_of_a_network_built_so_with_these_weights(name, rung):
    spec, keywords = AS_BUILT[name]
    own = small_ladder(rung, conv_clamp=0.5)
    other = small_ladder(rung, **{'conv_clamp': 0.5, **keywords})
    numbers = {
        key.split('.')[1].split('_')[0]: key for key in (f'synthesis.{one}' for one in other.synthesis.layer_names)
    }
    weights = {}
    for key, tensor in own.state_dict().items():
        parts = key.split('.')
        if parts[0] == 'synthesis' and parts[1] != 'input':
            parts[:2] = numbers[parts[1].split('_')[0]].split('.')
        if 'filter' not in parts[-1]:
            weights['.'.join(parts)] = tensor
    assert not other.load_state_dict(weights, strict=False).unexpected_keys
    adapter, before = wrap(own), {key: tensor.clone() for key, tensor in own.state_dict().items()}
    ws = adapter.latents(torch.randn(1, 16, generator=torch.Generator().manual_seed(1)))
    twin, notes = edited(adapter, spec)
    picture = twin.synthesize(ws)
    assert torch.allclose(picture, wrap(other).synthesize(ws), atol=1e-5) and not notes
    assert not torch.equal(picture, adapter.synthesize(ws)), 'the change has an effect'
    assert same_buffers(own, before), 'the network is as it was'


SWAPS = {
    **{kind: FilterSpec(kind) for kind in KINDS},
    **{f'{kind}, n = 3': FilterSpec(kind, taps=3) for kind in KINDS},
    'n = 5': FilterSpec(taps=5),
    'm = 1': FilterSpec(oversampling=1),
    'm = 4': FilterSpec(oversampling=4),
    'bilinear, m = 1': FilterSpec('bilinear', taps=2, oversampling=1),
    'margin 4': FilterSpec(margin=4),
}


@pytest.mark.parametrize('swap', list(SWAPS))
@pytest.mark.parametrize('name', ['T', 'R'])
def test_no_swap_shifts_the_picture(name, swap):
    """A smooth bump goes through the resampling of every layer; its centroid stays within a hundredth of a sample."""
    twin, _ = edited(ADAPTERS[name](), SWAPS[swap])
    for layer in layers_of(twin):
        assert abs(centroid_shift(layer)) < 0.01, layer.record


def test_a_filter_of_the_other_parity_would_shift_it():
    """What the numbers of taps are kept for, and that the test above can see it: half a sample of the inner rate."""
    layer = layers_of(ADAPTERS['T']())[3]
    record, filters = layer.record, dict(layer._buffers)
    layer._buffers['down_filter'] = torch.ones(record.down_taps + 1) / (record.down_taps + 1)
    assert abs(centroid_shift(layer)) == pytest.approx(0.5 * record.rate / record.rate_inside, rel=0.05)
    layer._buffers.update(filters)


def layers_of(adapter) -> list[SynthesisLayer]:
    synthesis = adapter.module.synthesis
    return [synthesis.get_submodule(name) for name in synthesis.layer_names]


def centroid_shift(layer: SynthesisLayer) -> float:
    """How far the centroid of a Gaussian bump moves in a layer's resampling, along x, in samples of its rate."""
    record, place = layer.record, -0.07
    steps = (torch.arange(record.size_in) + 0.5 - record.size_in / 2) / record.rate_in  # image widths from the centre
    bump = torch.exp(-((steps - place)[None] ** 2 + steps[:, None] ** 2) / 0.02)[None, None]
    around = record.kernel - 1  # the convolution widens its input and leaves the middle where it is
    filters = layer._buffers['up_filter'], layer._buffers['down_filter']
    shapes = (None if f is None else tuple(f.shape) for f in filters)
    made = filtered_lrelu(
        torch.nn.functional.pad(bump, [around - record.kernel // 2] * 4) if around else bump,
        *filters,
        up=record.up_factor,
        down=record.down_factor,
        padding=layer_options(record, None, *shapes).padding,
        gain=1.0,
        slope=1.0,
    )[0, 0].double()
    assert made.shape == (record.size, record.size)
    at = (torch.arange(record.size) + 0.5 - record.size / 2).double()
    return float((made.sum(0) * at).sum() / made.sum()) - place * record.rate


def test_every_edit_leaves_a_filter_that_lets_something_through(adapter):
    """Whatever numbers a file holds: finite taps, as many of them as fit, the gain for a constant kept."""
    held = adapter.filters()
    ends = ((1, None, None), (64, None, None), (3, 1e9, None), (None, -1.0, 0.0))  # n, cutoff, half-width
    for place in [*places(adapter.info)][::5]:
        for kind in get_args(FilterKind):
            for numbers in ends:
                edit = FilterEdit(place.layer.name, place.filter.direction, kind, *numbers)
                taps, info, _ = designed(place.filter, edit, held[place.filter.buffer])
                assert bool(taps.isfinite().all()) and taps.shape[-1] == info.taps
                assert info.taps % 2 == place.filter.taps % 2
                gains = [float(one.sum()) ** (2 if one.ndim == 1 else 1) for one in (taps, held[place.filter.buffer])]
                assert gains[0] == pytest.approx(gains[1], rel=1e-3)


def test_numbers_that_no_filter_can_have_are_moved_and_said(adapter):
    place = next(places(adapter.info))
    name, way = place.layer.name, place.filter.direction
    found, notes = numbers_for(place.filter, FilterEdit(name, way, 'sinc', 99, 2 * place.half_rate, 0.0))
    assert found.cutoff == place.half_rate and found.half_width > 0 and found.taps <= 128
    assert len(notes) == 3 and 'n = 99' in notes[0] and 'above the largest' in notes[1] and 'below' in notes[2]
    assert numbers_for(place.filter, FilterEdit(name, way, 'sinc'))[1] == ()


def test_one_layer_has_its_own_oversampling():
    adapter = ADAPTERS['T']()
    name = adapter.info.layers[4].name
    twin, _ = edited(adapter, FilterSpec(oversampling=4, layer_oversampling=(LayerOversampling(name, 1),)))
    factors = {layer.name: layer.down_factor for layer in twin.info.layers[1:-1]}
    assert factors.pop(name) == 1 and set(factors.values()) == {4}
    assert all(one.direction == 'up' for one in twin.info.layers[4].filters)


def test_an_edit_of_one_place_wins_over_what_holds_for_all(adapter):
    place = next(places(adapter.info))
    edit = FilterEdit(place.layer.name, place.filter.direction)
    found = changed_filters(adapter, FilterSpec('nearest', edits=(edit,)))
    assert place.filter.buffer not in found and len(found) == len(adapter.filters()) - 1


def test_a_twin_is_described_as_it_runs():
    adapter = ADAPTERS['T']()
    twin, _ = edited(adapter, FilterSpec(margin=2, oversampling=1))
    shapes: dict[str, torch.Size] = {}
    for name in (layer.name for layer in adapter.info.layers):
        module = twin.module.get_submodule(name)

        def note(module: torch.nn.Module, arguments: object, output: torch.Tensor, name: str = name) -> None:
            shapes[name] = output.shape

        module.register_forward_hook(note)
    twin.synthesize(adapter.latents(torch.zeros(1, 16)))
    for layer in twin.info.layers:
        assert shapes[layer.name][-2:] == (layer.height, layer.width)
    assert twin.info.layers[0].margin == 2 and adapter.info.layers[0].margin == 10


def test_what_stylegan2_cannot_do_is_said():
    adapter = ADAPTERS['2']()
    twin, notes = edited(adapter, FilterSpec(taps=4, oversampling=4, margin=2))
    assert twin is adapter and len(notes) == 3
    for note, word in zip(notes, ('m is not', 'margin is not', 'n is not'), strict=True):
        assert word in note


def test_stylegan2_runs_without_its_clamp():
    adapter = ADAPTERS['2']()
    for module in adapter.module.modules():
        if getattr(module, 'clamp', None) is not None:
            module.__dict__['clamp'] = 0.1
    twin, _ = edited(adapter, FilterSpec('nearest', clamp=False))
    clamps = [module.clamp for module in twin.module.modules() if hasattr(module, 'clamp')]
    assert clamps and set(clamps) == {None}
    assert len(changed_filters(adapter, FilterSpec('nearest', clamp=False))) == len(adapter.filters())


def test_the_renderer_says_what_it_could_not_do_and_describes_the_changed_layer():
    renderer = renderer_of(ADAPTERS['T']())
    spec = FilterSpec(margin=2, edits=(FilterEdit('synthesis.L99', 'up', 'nearest'),))
    result = renderer.render(replace(request_for(spec), synthesis=SynthesisSpec(filters=spec, layer='synthesis.input')))
    assert result.layer is not None and result.values is not None and result.model is not None
    assert result.layer.width == result.values.shape[-1] == result.model.layers[0].width - 16
    assert any('synthesis.L99' in note for note in result.notes)


def test_curves_of_a_layer_without_a_filter_are_flat():
    adapter = ADAPTERS['T']()
    renderer = renderer_of(adapter)
    name = adapter.info.layers[4].name
    (curve,) = [
        one
        for one in renderer.render(request_for(FilterSpec(oversampling=1), response_layer=name)).curves
        if one.direction == 'down'
    ]
    assert not curve.taps and not curve.current_db.any() and curve.network_db.min() < -30
    (more,) = [
        one
        for one in renderer.render(request_for(FilterSpec(oversampling=4), response_layer=name)).curves
        if one.direction == 'down'
    ]
    assert more.rate == 2 * curve.rate and more.factor == 4
    assert np.isnan(more.network_db[-1]) and np.isfinite(more.current_db).all()


@pytest.mark.parametrize('rung', ['T', 'R'])
def test_kernels_run_a_changed_network_as_the_reference_does(rung):
    """Or decline: the same numbers either way, and an unfiltered non-linearity still convolves by kernels."""
    adapter = wrap(small_ladder(rung))
    ws = adapter.latents(torch.ones(1, 16))
    for spec in (
        FilterSpec(oversampling=1),
        FilterSpec(oversampling=4),
        FilterSpec('jinc', taps=4),
        FilterSpec(margin=3),
    ):
        twin, _ = edited(adapter, spec)
        with torch.inference_mode(), use_backend('cpu'):
            fast = twin.synthesize(ws)
        with torch.inference_mode(), use_backend('reference'):
            slow = twin.synthesize(ws)
        assert float((fast - slow).abs().max()) < 1e-4 * float(slow.abs().max()), spec


def test_an_unfiltered_non_linearity_is_convolved_by_kernels(monkeypatch):
    if backends()['cpu'] != 'ready':
        pytest.skip('this machine has no kernels')
    used = []
    monkeypatch.setattr(compiled, 'synthesis_layer_reference', lambda *arguments: used.append(arguments))
    twin, _ = edited(wrap(small_ladder('T')), FilterSpec(oversampling=1))
    with torch.inference_mode():
        twin.synthesize(twin.latents(torch.ones(1, 16)))
    assert not used, 'no layer went the slow way'

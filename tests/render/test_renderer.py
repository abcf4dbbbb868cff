"""Requests in, results out: purity, memory of stages, and every choice that a request holds."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from networks.bad_file import BadFile
from ops.fast_cpu import library
from ops.fourier_features import fourier_features
from render.memo import Memo
from render.renderer import Renderer
from render.request import (
    FilterSpec,
    LatentSpec,
    LayerEdit,
    ModelKey,
    RenderRequest,
    SpectrumSpec,
    SynthesisSpec,
    ViewSpec,
)
from render.worker import Abandoned
from tests.render.fakes import CHANNELS, KEY, MARGIN, OTHER_KEY, SIZE, FakeGenerator, fake_store

BASE = RenderRequest(KEY, view=ViewSpec(spectrum=SpectrumSpec(), response_layer='synthesis.L1'))
MOVED = (1.0, 0.0, 0.125, 0.0, 1.0, -0.0625)


def requests() -> list[RenderRequest]:
    """One that differs from BASE in each respect."""
    return [
        replace(BASE, latent=LatentSpec(seeds=((3, 0.25), (4, 0.75)))),
        replace(BASE, latent=LatentSpec(mix_seed=5, mix_layers=(1,))),
        replace(BASE, latent=LatentSpec(truncation=0.5)),
        replace(BASE, latent=LatentSpec(truncation=0.5, truncation_layers=1)),
        replace(BASE, synthesis=SynthesisSpec(transform=MOVED)),
        replace(BASE, synthesis=SynthesisSpec(filters=FilterSpec('nearest'))),
        replace(BASE, synthesis=SynthesisSpec(filters=FilterSpec('bilinear', layers=('synthesis.L1',)))),
        replace(BASE, synthesis=SynthesisSpec(filters=FilterSpec('jinc'))),
        replace(BASE, synthesis=SynthesisSpec(noise='none')),
        replace(BASE, synthesis=SynthesisSpec(noise='random', noise_seed=1)),
        replace(BASE, synthesis=SynthesisSpec(noise='random', noise_seed=2)),
        replace(BASE, synthesis=SynthesisSpec(edits=(LayerEdit('synthesis.L0', channel=2),))),
        replace(BASE, synthesis=SynthesisSpec(layer='synthesis.L0')),
        replace(BASE, synthesis=SynthesisSpec(layer='synthesis.input')),
        replace(BASE, view=replace(BASE.view, gain_db=-6.0)),
        replace(BASE, view=replace(BASE.view, normalize=True)),
        replace(BASE, view=replace(BASE.view, mode='channel', channels=(1,), colormap='magma')),
        replace(BASE, model=OTHER_KEY),
    ]


@pytest.fixture
def generators():
    return FakeGenerator(0), FakeGenerator(1)


@pytest.fixture
def renderer(generators):
    return Renderer(fake_store(*generators))


def same(a, b) -> bool:
    return (
        np.array_equal(a.image, b.image)
        and np.array_equal(a.values, b.values)
        and np.array_equal(a.spectrum.power_db, b.spectrum.power_db)
        and a.statistics == b.statistics
        and a.layer == b.layer
    )


def test_equal_requests_give_bit_identical_results_whatever_came_between(renderer, generators):
    first = {request: renderer.render(request) for request in [BASE, *requests()]}
    for request in reversed(list(first)):
        assert same(renderer.render(request), first[request]), request
    fresh = Renderer(fake_store(*generators))
    assert all(same(fresh.render(request), result) for request, result in first.items())


def test_every_choice_changes_the_pixels(renderer):
    images = [renderer.render(request).image for request in [BASE, *requests()]]
    alike = [(i, j) for i, a in enumerate(images) for j, b in enumerate(images) if i < j and np.array_equal(a, b)]
    assert not alike


def test_a_view_change_runs_no_network(renderer, generators):
    renderer.render(BASE)
    for gain in (-3.0, 3.0, 6.0):
        renderer.render(replace(BASE, view=replace(BASE.view, gain_db=gain, mode='channel', channels=(2,))))
    assert (generators[0].mapped, generators[0].synthesized) == (1, 1)
    assert renderer.activations.misses == 1


def test_a_synthesis_change_maps_no_latent_again(renderer, generators):
    for x in (0.0, 0.1, 0.2):
        renderer.render(replace(BASE, synthesis=SynthesisSpec(transform=(1.0, 0.0, x, 0.0, 1.0, 0.0))))
    assert (generators[0].mapped, generators[0].synthesized) == (1, 3)


def test_two_sides_do_not_push_each_other_out(renderer, generators):
    other = replace(BASE, model=OTHER_KEY)
    for gain in range(5):
        for request in (BASE, other):
            renderer.render(replace(request, view=replace(BASE.view, gain_db=float(gain))))
    assert [one.synthesized for one in generators] == [1, 1]


def test_layers_after_the_shown_one_do_not_run(renderer, generators):
    renderer.render(replace(BASE, synthesis=SynthesisSpec(layer='synthesis.L0')))
    assert (generators[0].module.synthesis.L0.runs, generators[0].module.synthesis.L1.runs) == (1, 0)


def test_the_network_is_never_changed(renderer, generators):
    before = {name: tensor.clone() for name, tensor in generators[0].module.state_dict().items()}
    for request in requests():
        renderer.render(request)
    assert all(torch.equal(tensor, before[name]) for name, tensor in generators[0].module.state_dict().items())
    assert not any(one._forward_hooks for one in generators[0].module.modules())


def test_a_failed_render_leaves_no_hook_and_no_memory(renderer, generators):
    bad = replace(BASE, synthesis=SynthesisSpec(edits=(LayerEdit('synthesis.L1', channel=99),)))
    for _ in range(2):
        with pytest.raises(ValueError, match='no 99'):
            renderer.render(bad)
    assert not any(one._forward_hooks for one in generators[0].module.modules())
    assert renderer.activations.misses == 2
    assert same(renderer.render(BASE), Renderer(fake_store(*generators)).render(BASE))


def test_a_stale_render_is_abandoned(renderer):
    with pytest.raises(Abandoned):
        renderer.render(BASE, lambda: True)
    assert renderer.render(BASE).image is not None


def test_a_picture_that_takes_long_is_abandoned_at_a_layer_and_a_quick_one_is_finished(renderer, monkeypatch):
    asked = []

    def is_stale() -> bool:
        asked.append(True)
        return False

    requests = [replace(BASE, synthesis=SynthesisSpec(transform=(1, 0, x, 0, 1, 0))) for x in (0.1, 0.2, 0.3)]
    counts = []
    for longest, request in zip((0.0, 60.0, 60.0), requests, strict=True):
        monkeypatch.setattr('render.renderer._QUICK', longest)
        asked.clear()
        renderer.render(request, is_stale)
        counts.append(len(asked))
    assert counts[0] > counts[1] == counts[2] > 0


def test_blended_latents_are_the_weighted_sum(renderer, generators):
    rows = generators[0].latents(torch.cat([_z(7), _z(8)]))
    expected = generators[0].synthesize(0.25 * rows[:1] + 0.75 * rows[1:])
    x = renderer.tensor(replace(BASE, latent=LatentSpec(seeds=((7, 0.25), (8, 0.75)))))
    assert torch.allclose(x, expected[0], atol=1e-6)


def test_mixing_comes_before_truncation(renderer, generators):
    ws = generators[0].latents(_z(0))
    ws[:, 1] = generators[0].latents(_z(9))[:, 1]
    ws[:, :2] = 0.25 + 0.5 * (ws[:, :2] - 0.25)
    latent = LatentSpec(mix_seed=9, mix_layers=(1,), truncation=0.5, truncation_layers=2)
    assert torch.allclose(renderer.tensor(replace(BASE, latent=latent)), generators[0].synthesize(ws)[0], atol=1e-6)


def _z(seed: int) -> torch.Tensor:
    """The draw that published seeds refer to."""
    return torch.from_numpy(np.random.RandomState(seed).randn(1, 4)).float()


def test_a_moved_picture_is_the_picture_moved(renderer):
    """The input is exact Fourier features, so 4 pixels to the right are 4 pixels to the right."""
    layer = SynthesisSpec(layer='synthesis.input')
    still = renderer.tensor(replace(BASE, synthesis=layer))
    moved = renderer.tensor(replace(BASE, synthesis=replace(layer, transform=(1.0, 0.0, 4 / SIZE, 0.0, 1.0, 0.0))))
    assert torch.allclose(moved[:, :, 4:], still[:, :, :-4], atol=1e-4)


def test_undoing_the_transform_gives_the_still_picture_with_a_mask(renderer):
    layer = replace(BASE, synthesis=SynthesisSpec(layer='synthesis.input'))
    still = renderer.render(layer)
    transform = (0.0, 1.0, 0.1, -1.0, 0.0, 0.0)
    request = replace(
        layer, synthesis=replace(layer.synthesis, transform=transform), view=replace(BASE.view, undo_transform=True)
    )
    back = renderer.render(request)
    known = back.image[..., 3] == 255
    error = (back.values - still.values)[:, known]
    assert 0.5 < known.mean() < 1 and float(np.abs(error).max()) < 0.1
    assert not back.image[~known][:, 3].any()


def test_the_spectrum_of_a_layer_with_margins_has_the_layers_frequencies(renderer, generators):
    """Wave number k of the input is freqs[k] cycles per image width, although the layer is wider than the image."""
    freqs = generators[0].module.synthesis.input.freqs
    channel = int(freqs.norm(dim=1).argmax())
    spectrum = renderer.render(
        replace(
            BASE,
            synthesis=SynthesisSpec(layer='synthesis.input'),
            view=ViewSpec(spectrum=SpectrumSpec(kaiser_beta=4.0, channel=channel)),
        )
    ).spectrum
    assert spectrum.extent == SIZE / 2 and spectrum.frequencies[-1] == SIZE / 2
    found = spectrum.frequencies[int(spectrum.radial_db.argmax())]
    assert found == pytest.approx(float(freqs[channel].norm()), abs=SIZE / (SIZE + 2 * MARGIN))


def test_curves_belong_to_the_layer_that_was_asked_for(renderer):
    request = replace(BASE, synthesis=SynthesisSpec(filters=FilterSpec('nearest', layers=('synthesis.L1',))))
    (curve,) = renderer.render(request).curves
    assert curve.buffer == 'synthesis.L1.down_filter' and curve.frequencies[-1] == SIZE / 2
    assert abs(curve.network_db[0]) < 1e-3 and not np.array_equal(curve.network_db, curve.current_db)
    (own,) = renderer.render(replace(request, view=replace(BASE.view, response_layer='synthesis.L0'))).curves
    assert np.array_equal(own.network_db, own.current_db)


def test_what_the_model_cannot_do_is_left_out_and_said():
    poor = FakeGenerator(0, capabilities=frozenset())
    renderer = Renderer(fake_store(poor))
    request = replace(
        BASE,
        latent=LatentSpec(truncation=0.5, mix_seed=3, mix_layers=(0,), class_index=2),
        synthesis=SynthesisSpec(transform=MOVED, filters=FilterSpec('sinc')),
    )
    result = renderer.render(request)
    assert np.array_equal(result.image, renderer.render(BASE).image)
    for words in ('truncated', 'mixed', 'class', 'moved', 'Filters'):
        assert any(words in note for note in result.notes), words


def test_a_picture_names_the_operators_that_made_it_and_no_others(renderer):
    own, other = Renderer(fake_store(ByWaves(0))).render(BASE).notes, renderer.render(BASE).notes
    assert any(note.startswith('fourier_features: ') for note in own)
    assert not any(note.startswith('fourier_features: ') for note in other)


class ByWaves(FakeGenerator):
    """One that uses an operator."""

    def synthesize(self, latents, overrides=None, **options) -> torch.Tensor:
        number = torch.ones(1, 1)
        sizes = {'width': 2, 'height': 2, 'rate': 2.0, 'bandwidth': 1.0}
        fourier_features(None, torch.eye(3), torch.ones(1, 2), number[0], number, **sizes)
        return super().synthesize(latents, overrides, **options)


def test_a_class_that_does_not_exist_is_named():
    renderer = Renderer(fake_store(FakeGenerator(0, class_count=3)))
    one, two = (renderer.render(replace(BASE, latent=LatentSpec(class_index=index))).image for index in (1, 2))
    assert not np.array_equal(one, two)
    with pytest.raises(ValueError, match='0 to 2'):
        renderer.render(replace(BASE, latent=LatentSpec(class_index=3)))


def test_mixing_rows_that_do_not_exist_is_said(renderer):
    result = renderer.render(replace(BASE, latent=LatentSpec(mix_seed=3, mix_layers=(0, 99))))
    assert any('1 of 2' in note for note in result.notes)


def test_a_layer_that_does_not_exist_is_named(renderer):
    with pytest.raises(ValueError, match='no layer'):
        renderer.render(replace(BASE, synthesis=SynthesisSpec(layer='synthesis.L9')))


def test_a_model_that_is_not_open_and_cannot_be_read_is_an_error(renderer):
    with pytest.raises(BadFile):
        renderer.render(replace(BASE, model=ModelKey('nowhere.pkl', 'c' * 64)))


def test_a_result_tells_what_it_is(renderer):
    result = renderer.render(replace(BASE, synthesis=SynthesisSpec(layer='synthesis.L0')))
    assert result.layer is not None and result.layer.label == 'L0' and result.device == 'CPU' and result.seconds > 0
    assert result.image.flags.c_contiguous and result.image.dtype == np.uint8
    assert result.statistics.shape == (CHANNELS, SIZE + 2 * MARGIN, SIZE + 2 * MARGIN)
    with pytest.raises(ValueError):
        result.values[0] = 0  # it may be the renderer's own memory


def test_a_memo_is_bounded_and_keeps_the_last_used():
    memo: Memo[int, int] = Memo(2)
    for key in (1, 2, 1, 3, 1):
        assert memo.get(key, lambda key=key: 10 * key) == 10 * key
    assert memo.misses == 3
    memo.get(2, lambda: 20)
    assert memo.misses == 4


def test_renders_log_nothing(renderer, caplog):
    with caplog.at_level(logging.WARNING):
        renderer.render(BASE)
    assert not caplog.records


class Compiler:
    """Stands in for the library of kernels: nothing is there before `ready`."""

    def __init__(self, monkeypatch):
        self.ready = False
        monkeypatch.setattr('render.renderer.library.wait', lambda seconds=None: self.ready)


def test_a_picture_made_before_the_kernels_were_there_is_made_again(generators, monkeypatch):
    compiler = Compiler(monkeypatch)
    renderer = Renderer(fake_store(*generators), wait_for_kernels=False)
    assert renderer.render(BASE).provisional and renderer.render(BASE).provisional
    assert generators[0].synthesized == 1
    compiler.ready = True
    before = renderer.render(BASE)
    assert not before.provisional and generators[0].synthesized == 2
    assert not renderer.render(BASE).provisional and generators[0].synthesized == 2


def test_a_picture_whose_kernels_came_while_it_was_made_is_provisional_too(generators, monkeypatch):
    synthesize = generators[0].synthesize

    def asks(*args, **options):
        monkeypatch.setitem(library._library.ready, 'one that was read from the disk meanwhile', 1)
        return synthesize(*args, **options)

    monkeypatch.setattr(generators[0], 'synthesize', asks)
    renderer = Renderer(fake_store(*generators), wait_for_kernels=False)
    with library.use_policy('background'):
        assert renderer.render(BASE).provisional
        assert not renderer.render(BASE).provisional and generators[0].synthesized == 2


def test_what_was_measured_on_a_provisional_picture_is_measured_again(generators, monkeypatch):
    compiler = Compiler(monkeypatch)
    renderer = Renderer(fake_store(*generators), wait_for_kernels=False)
    first = renderer.render(BASE)
    for layer in (generators[0].module.synthesis.L2,):
        layer.weight *= 2  # as if other kernels gave other numbers
    compiler.ready = True
    second = renderer.render(BASE)
    assert second.statistics.std == pytest.approx(2 * first.statistics.std, rel=1e-5)


def test_a_renderer_that_waits_is_never_provisional(generators, monkeypatch):
    Compiler(monkeypatch)
    assert not Renderer(fake_store(*generators)).render(BASE).provisional


def test_a_renderer_that_waits_leaves_kernels_off_where_they_are_switched_off(generators, monkeypatch):
    rules = []
    monkeypatch.setattr(FakeGenerator, 'synthesize', _noting(FakeGenerator.synthesize, rules))
    for rule in ('off', 'background'):
        with library.use_policy(rule):
            Renderer(fake_store(*generators)).render(BASE)
    assert rules == ['off', 'wait']


def _noting(synthesize, rules: list[str]):
    def noted(*call, **options):
        rules.append(library.policy())
        return synthesize(*call, **options)

    return noted

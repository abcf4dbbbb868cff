"""Choices that survive another generator."""

from dataclasses import replace

from render.filter_choices import choice_for, places
from render.request import FilterEdit, LayerOversampling
from render.session import (
    FilterState,
    LatentState,
    LayerState,
    MixingState,
    NoiseState,
    Side,
    TransformState,
    TruncationState,
    filter_spec,
)
from tests.viz.fake_renderer import make_info, make_layers, without
from viz.fitting import fit_side

FULL = Side(
    latent=LatentState(x=3, class_index=4),
    truncation=TruncationState(0.7, 5),
    mixing=MixingState(True, 7, (1, 12)),
    noise=NoiseState('random', 5),
    transform=TransformState(x=0.2),
    filters=FilterState(
        'bilinear',
        'up',
        response_layer='synthesis.L3_52_32',
        edits=(FilterEdit('synthesis.L3_52_32', 'down', 'sinc', cutoff=9.0), FilterEdit('synthesis.L9_148_8', 'up')),
        layer_oversampling=(LayerOversampling('synthesis.L9_148_8', 4),),
    ),
    layer=LayerState('synthesis.L5_52_32', 'channel', 20),
)


def test_what_the_generator_has_is_kept() -> None:
    assert fit_side(FULL, make_info()) is FULL


def test_what_the_generator_lacks_is_forgotten() -> None:
    model = without(make_info(class_count=0), 'transform', 'filters', 'noise', 'truncation', 'style_mixing', 'classes')
    fitted = fit_side(FULL, model)
    assert fitted.latent == LatentState(x=3)
    assert fitted.transform == TransformState() and fitted.filters == FilterState()
    assert fitted.noise == NoiseState() and fitted.truncation == TruncationState() and fitted.mixing == MixingState()


def test_layers_that_are_gone_are_forgotten() -> None:
    smaller = make_info(layers=make_layers(3), num_ws=5)
    fitted = fit_side(FULL, smaller)
    assert fitted.layer.layer is None and fitted.layer.channel == 0
    assert fitted.filters.kind == 'bilinear' and not fitted.filters.edits and not fitted.filters.layer_oversampling
    assert fitted.mixing.layers == (1,)
    assert fitted.truncation == TruncationState(0.7, None)


def test_a_channel_beyond_the_last_becomes_the_first() -> None:
    side = replace(FULL, layer=LayerState('synthesis.L13_276_8', 'channel', 20))
    assert fit_side(side, make_info()).layer.channel == 0


def test_a_conditional_generator_gets_a_class() -> None:
    assert fit_side(Side(), make_info()).latent.class_index == 0
    assert fit_side(FULL, make_info(class_count=3)).latent.class_index == 2


def test_the_filter_plot_begins_in_the_middle_of_the_network() -> None:
    assert fit_side(Side(), make_info()).filters.response_layer == 'synthesis.L7_84_16'


def test_layers_chosen_in_an_older_session_become_edits_that_give_the_same_filters() -> None:
    old = FilterState('bilinear', 'up', ('synthesis.L3_52_32', 'synthesis.L99'))
    model = make_info()
    new = fit_side(Side(filters=old), model).filters
    assert new.layers is None and new.kind == 'network' and len(new.edits) == 1
    for place in places(model):
        now, then = (choice_for(filter_spec(state), place.layer.name, place.filter) for state in (new, old))
        assert (now and now.kind) == (then and then.kind)


def test_sampling_that_another_family_does_not_have_is_forgotten() -> None:
    filters = FilterState('bilinear', oversampling=4, margin=2, clamp=False)
    other = make_info(family='stylegan2', config=())
    assert fit_side(Side(filters=filters), other).filters == FilterState(
        'bilinear', response_layer='synthesis.L7_84_16'
    )

"""Edits of one side, links between two, short sentences."""

from dataclasses import replace

import pytest

from networks.adapters.wrap import wrap
from ops.fast_cpu import library
from render.models import ModelStore
from render.renderer import Renderer
from render.session import FilterState, LatentState, LayerState, Session, Side, TransformState, to_request
from tests.networks.small import small_ladder
from tests.viz.conftest import sample_request
from tests.viz.fake_renderer import KEY, make_info, make_layers, without
from viz import editing, hints


def test_nothing_changed_is_the_same_object() -> None:
    state = LatentState(x=1)
    assert editing.updated(state, x=1.0) is state
    assert editing.updated(state, x=2.0) == LatentState(x=2)


def test_linked_parts_follow_and_others_do_not() -> None:
    session = editing.with_comparison(Session(a=Side(model=KEY)), on=True)
    assert session.b == session.a and session.active == 'b'
    session = replace(session, link_transform=False)
    side = Side(
        KEY, LatentState(x=5), transform=TransformState(x=0.3), layer=LayerState('x'), filters=FilterState('sinc')
    )
    after = editing.with_side(session, side)
    assert after.b is side
    assert after.a.latent.x == 5 and after.a.layer.layer == 'x'
    assert after.a.transform.x == 0 and after.a.filters.kind == 'network'


def test_ending_a_comparison_keeps_the_active_side() -> None:
    session = editing.with_comparison(Session(a=Side(model=KEY)), on=True)
    session = editing.with_side(session, replace(session.current, transform=TransformState(x=0.25)))
    assert editing.with_comparison(session, on=False).a.transform.x == 0.25


def test_recent_paths_are_unique_and_few() -> None:
    session = Session()
    for index in [*range(20), 15]:
        session = editing.with_recent(session, f'{index}.pkl')
    assert session.recent[:3] == ('15.pkl', '19.pkl', '18.pkl')
    assert len(session.recent) == 10 == len(set(session.recent))


def test_a_seed_is_written_as_it_is_typed() -> None:
    assert hints.latent_label(LatentState(x=47.0, y=21474836.0)) == 'seed 2147483647'
    assert hints.latent_label(LatentState(x=2, y=1)) == 'seed 102'
    assert hints.latent_label(LatentState(x=2.4, y=1)) == 'near seed 102'


def test_the_seed_of_a_label_is_the_seed_that_is_rendered() -> None:
    for x, y in ((0, 0), (37, 5), (-3, 2), (250, 0)):
        request = to_request(Session(a=Side(KEY, LatentState(x=x, y=y))))
        assert request is not None
        assert request.latent.seeds == ((hints.nearest_seed(LatentState(x=x, y=y)), 1.0),)


def test_another_seed_visits_every_seed_once() -> None:
    seed, seen = 0, set()
    for _ in range(100_000):
        seed = hints.another_seed(seed)
        seen.add(seed)
    assert len(seen) == 100_000


@pytest.mark.parametrize(
    ('model', 'filters', 'expected'),
    [
        (make_info(), FilterState(), 'texture should follow shifts'),
        (make_info(layers=make_layers(radial=True)), FilterState(), 'texture should follow shifts and turns'),
        (make_info(), FilterState('bilinear'), 'bilinear filters: aliasing'),
        (without(make_info(), 'transform'), FilterState(), 'texture tied to pixels'),
    ],
)
def test_the_status_line_says_how_the_texture_should_move(model: object, filters: FilterState, expected: str) -> None:
    assert hints.motion_hint(model, Side(filters=filters))[0] == expected


def test_the_shift_is_given_in_pixels() -> None:
    side = Side(transform=TransformState(x=0.1, y=-0.05, degrees=12.5))
    assert hints.shift_label(side, make_info()) == '+25.6, -12.8 px  +12.5°'
    assert hints.shift_label(Side(), make_info()) == ''


def test_long_paths_keep_what_tells_them_apart() -> None:
    assert hints.short_path('/a/b/c.pkl') == '/a/b/c.pkl'
    long = '/home/someone/models/stylegan3/runs/00012-faces/network-snapshot-025000.pkl'
    short = hints.short_path(long)
    assert len(short) <= 42 and short.endswith('network-snapshot-025000.pkl')


def test_the_status_line_says_whether_all_operators_are_fast() -> None:
    fast, plain = 'filtered_lrelu: cpu', 'upfirdn2d: reference: cpu declined (its kernel is being compiled)'
    others = ('cpu: 0 kernels compiled', 'cuda: torch sees no NVIDIA GPU', 'only 2 channels')
    assert hints.backend_label((fast, *others)) == 'fast kernels'
    assert hints.backend_label((fast, plain, *others)) == 'partly plain torch'
    assert hints.backend_label((plain, *others)) == 'plain torch'
    assert hints.backend_label(others) == ''
    alone = 'filtered_lrelu: cpu in plain torch: cpu declined (its kernel has at most 6 terms)'
    assert hints.backend_label((alone, plain, *others)) == 'plain torch'
    assert hints.backend_label((fast, alone, *others)) == 'partly plain torch'
    assert hints.backend_label((fast, 'cpu: no kernels can be compiled here (no llvmlite)')) == 'plain torch'


def test_without_kernels_everything_is_plain_torch() -> None:
    store = ModelStore('cpu')
    store.put(KEY, wrap(small_ladder('T', resolution=16, num_layers=4)))
    with library.use_policy('off'):
        notes = Renderer(store).render(sample_request()).notes
    assert any(note.startswith('filtered_lrelu: cpu in plain torch: cpu declined') for note in notes), notes
    assert hints.backend_label(notes) == 'plain torch'


def test_a_bias_left_to_plain_torch_does_not_count() -> None:
    notes = ('bias_act: reference: there is no faster version for cpu tensors', 'synthesis_layer: cpu')
    assert hints.backend_label(notes) == 'fast kernels'


@pytest.mark.parametrize(
    'notes, complaint',
    [
        (('synthesis_layer: cpu', 'cpu: 3 kernels compiled, 1 read from the disk; 2 being compiled'), ''),
        (
            ('synthesis_layer: cpu', "cpu: 3 kernels compiled, 1 read from the disk; ALIASSCOPE_KERNELS is 'x'"),
            "ALIASSCOPE_KERNELS is 'x'.",
        ),
        (
            ('synthesis_layer: reference: cpu declined (switched off)', 'cpu: compiled kernels are switched off by X'),
            'Plain torch: compiled kernels are switched off by X.',
        ),
        (
            (
                'synthesis_layer: cpu',
                'filtered_lrelu: cpu in plain torch: cpu declined (too long)',
                'cpu: 3 kernels compiled',
            ),
            'Partly plain torch: filtered_lrelu: too long.',
        ),
    ],
)
def test_what_keeps_operators_from_being_fast_is_one_sentence(notes: tuple[str, ...], complaint: str) -> None:
    assert hints.kernel_complaint(notes) == complaint

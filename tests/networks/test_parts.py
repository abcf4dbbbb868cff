"""A part of a picture is the same cut of the whole picture, on every backend, whatever lies around it."""

import pytest
import torch
from torch import nn

from networks.parts import LayerShape, aligned, cut_records, needed, part_modules, shapes_of, work_of
from networks.schedule import Schedule, make_schedule
from networks.stylegan3 import Generator
from networks.variants import twin_of, with_buffers, with_submodules
from ops.backend import use_backend
from ops.fast_cpu import library
from tests.networks.small import small_ladder, small_stylegan2

SIDE = 32
RECTANGLES = {
    'middle': ((8, 24), (8, 24)),
    'upper left': ((0, 8), (0, 8)),
    'upper right': ((24, 32), (0, 8)),
    'lower left': ((0, 8), (24, 32)),
    'lower right': ((24, 32), (24, 32)),
    'left edge': ((0, 16), (8, 24)),
    'odd': ((5, 14), (11, 30)),
    'a pixel': ((31, 32), (17, 18)),
    'all': ((0, 32), (0, 32)),
}


def latent(generator: Generator) -> torch.Tensor:
    return torch.randn(1, generator.num_ws, generator.w_dim, generator=torch.Generator().manual_seed(3))


def part_of(generator: Generator, columns: tuple[int, int], rows: tuple[int, int]) -> nn.Module:
    return with_submodules(generator, part_modules(generator, columns, rows)).get_submodule('synthesis')


def largest_error(generator: Generator, columns: tuple[int, int], rows: tuple[int, int]) -> float:
    """Of a part against the cut of the whole, relative to the largest value of the whole."""
    ws = latent(generator)
    with torch.inference_mode(), library.use_policy('wait'):
        whole = generator.synthesis(ws)
        part = part_of(generator, columns, rows)(ws)
    cut = whole[:, :, rows[0] : rows[1], columns[0] : columns[1]]
    assert part.shape == cut.shape
    return float((part - cut).abs().max() / whole.abs().max())


@pytest.mark.parametrize('backend', ['reference', 'torch', 'cpu'])
@pytest.mark.parametrize('rung', ['T', 'R'])
def test_a_part_is_that_cut_of_the_whole_picture_wherever_it_lies(rung: str, backend: str) -> None:
    generator = small_ladder(rung)
    with use_backend(backend):
        errors = {name: largest_error(generator, *where) for name, where in RECTANGLES.items()}
    assert max(errors.values()) < 1e-5, errors


@pytest.mark.parametrize('rung', ['F', 'G', 'H'])
def test_rungs_of_the_ladder_with_filters_inside_have_parts_too(rung: str) -> None:
    generator = small_ladder(rung)
    assert max(largest_error(generator, *RECTANGLES[name]) for name in ('odd', 'lower right')) < 1e-5


@pytest.mark.parametrize('taps', [3, 5, 26])
def test_a_part_is_exact_with_filters_of_other_lengths(taps: int) -> None:
    generator = small_ladder('T')
    filters = {
        f'{name}.{way}_filter': torch.rand(taps, generator=torch.Generator().manual_seed(taps)).softmax(0)
        for name in generator.synthesis.layer_names
        for way in ('up', 'down')
        if generator.synthesis.get_submodule(name)._buffers[f'{way}_filter'] is not None
    }
    edited = twin_of(generator)
    edited._modules['synthesis'] = with_submodules(generator.synthesis, with_buffers(generator.synthesis, filters))
    assert largest_error(edited, *RECTANGLES['odd']) < 1e-5


def test_a_moved_and_turned_picture_has_exact_parts() -> None:
    generator = small_ladder('T')
    generator.synthesis.input.transform.copy_(torch.tensor([[0.8, 0.6, 0.1], [-0.6, 0.8, -0.2], [0, 0, 1]]))
    assert largest_error(generator, *RECTANGLES['odd']) < 1e-5


def test_a_part_that_is_drawn_again_and_again_follows_the_whole_picture() -> None:
    """Also once its layers were joined to one program."""
    generator = small_ladder('T', width=16)
    columns, rows = RECTANGLES['odd']
    part = part_of(generator, columns, rows)
    with torch.inference_mode(), library.use_policy('wait'):
        for seed in range(5):
            ws = torch.randn(1, generator.num_ws, 16, generator=torch.Generator().manual_seed(seed))
            whole = generator.synthesis(ws)
            error = (part(ws) - whole[:, :, rows[0] : rows[1], columns[0] : columns[1]]).abs().max()
            assert error < 1e-5 * whole.abs().max(), seed


def test_what_a_sample_needs_is_what_changes_it() -> None:
    """Perturbing an input sample changes the result inside the interval exactly if the interval needs it."""
    generator = small_ladder('T', seed=2)
    layer = generator.synthesis.get_submodule(generator.synthesis.layer_names[3])
    shape = LayerShape.of(layer)
    given = (9, 13)
    start, end = needed(shape.record, shape.taps_x, given)
    size = shape.record.size_in
    x = torch.randn(1, shape.record.channels_in, size, size, dtype=torch.float64)
    double = twin_of(layer).double()
    w = torch.randn(1, 16, dtype=torch.float64)
    with use_backend('reference'):
        before = double(x, w)[..., given[0] : given[1]]
        for column, matters in ((start - 1, False), (start, True), (end - 1, True), (end, False)):
            moved = x.clone()
            moved[..., column] += 1
            assert bool((double(moved, w)[..., given[0] : given[1]] != before).any()) == matters, column


def test_parts_use_the_kernels_of_the_whole_picture() -> None:
    """A drag does not wait for a compiler: the grids of a part begin at the same phase as the whole one's."""
    generator = small_ladder('T', width=16)
    with torch.inference_mode(), use_backend('cpu'), library.use_policy('wait'):
        generator.synthesis(latent(generator))
        before = library.asked()
        for columns, rows in RECTANGLES.values():
            part_of(generator, columns, rows)(latent(generator))
        assert library.asked() == before


def test_the_beginning_of_a_part_moves_to_the_phase_of_the_canvas() -> None:
    record = next(one for one in schedule_of(64).layers if one.up_factor == 4)
    assert record.down_factor == 2 and aligned(record, (7, 20)) == (6, 20)


def schedule_of(resolution: int) -> Schedule:
    return make_schedule(resolution, 3, small_ladder('T').synthesis.config)


def test_a_small_part_of_a_large_picture_is_several_times_less_work() -> None:
    schedule = make_schedule(1024, 3, small_ladder('T').synthesis.config)
    shapes = [
        LayerShape(record, (record.up_taps, record.down_taps), (record.up_taps, record.down_taps), False)
        for record in schedule.layers
    ]
    whole = work_of(shapes, schedule.layers)
    quarter = work_of(shapes, cut_records(shapes, (384, 640), (384, 640)))
    assert 4 < whole / quarter < 16
    assert work_of(shapes, cut_records(shapes, (0, 1024), (0, 1024))) == whole


def test_rectangles_outside_of_the_picture_are_refused() -> None:
    with pytest.raises(ValueError, match='not a part of a picture of 32x32'):
        part_modules(small_ladder('T'), (20, 33), (0, 8))


def test_networks_without_parts_say_why() -> None:
    assert 'no network of alias-free layers' in str(shapes_of(small_stylegan2()))
    assert 'rung E' in str(shapes_of(small_ladder('E')))
    watched = small_ladder('T')
    watched.synthesis.get_submodule(watched.synthesis.layer_names[2]).register_forward_hook(lambda *_: None)
    assert 'Hooks' in str(shapes_of(watched))
    with pytest.raises(ValueError, match='Hooks'):
        part_modules(watched, (0, 8), (0, 8))


def test_the_network_itself_stays_as_it_is() -> None:
    generator = small_ladder('T')
    before = generator.synthesis(latent(generator))
    records = [generator.synthesis.get_submodule(name).record for name in generator.synthesis.layer_names]
    part_of(generator, (0, 8), (0, 8))(latent(generator))
    assert records == [generator.synthesis.get_submodule(name).record for name in generator.synthesis.layer_names]
    assert torch.equal(generator.synthesis(latent(generator)), before)

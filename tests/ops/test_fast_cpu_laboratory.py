"""Every filter that the filter laboratory can choose runs by a kernel, and right: all kinds, from the shortest to the longest."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from networks.adapters.stylegan3 import filter_infos
from networks.config import AliasFreeConfig
from networks.schedule import LayerRecord, make_schedule
from networks.variants import with_oversampling
from ops.backend import note_usage, use_backend
from ops.fast_cpu import library
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import FilterKind
from render.filter_choices import FACTORS, MAX_LENGTH
from render.filters import designed
from render.request import FilterEdit

CHANNELS = 4


@pytest.fixture(autouse=True, scope='module')
def kernels_at_once(tmp_path_factory):
    """Compile what a test needs before it goes on, and keep it for the other tests of this file."""
    with pytest.MonkeyPatch.context() as patch, library.use_policy('wait'), torch.no_grad():
        patch.setenv('ALIASSCOPE_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


def layer(*, radial: bool, doubles: bool, factor: int) -> LayerRecord:
    """A small layer whose down filter is radial or separable, with `factor` times oversampling."""
    config = AliasFreeConfig(margin_size=2, conv_kernel=1, use_radial_filters=radial)
    found = next(
        one
        for one in make_schedule(32, 3, config).layers
        if not one.critical and not one.torgb and (one.rate > one.rate_in) == doubles
    )
    return with_oversampling(found, factor)


def filters_of(
    record: LayerRecord, kind: FilterKind, length: int, direction: str
) -> tuple[Tensor | None, Tensor | None]:
    """The layer's up and down filter, exchanged as the laboratory does it."""
    filters = {'up': record.up_filter(), 'down': record.down_filter()}
    for info in filter_infos(record, 'layer'):
        own = filters[info.direction]
        if own is not None and direction in ('both', info.direction):
            edit = FilterEdit('layer', info.direction, kind, length)
            filters[info.direction] = designed(info, edit, own)[0]
    return filters['up'], filters['down']


def check(record: LayerRecord, kind: FilterKind, length: int, direction: str = 'both') -> None:
    """The kernel of the layer's filters runs, and gives what the reference gives in float64."""
    up_filter, down_filter = filters_of(record, kind, length, direction)
    if up_filter is None and down_filter is None:
        return
    left, right = record.padding(*(1 if f is None else f.shape[0] for f in (up_filter, down_filter)))

    def call(x: Tensor, bias: Tensor) -> Tensor:
        up, down = (None if f is None else f.to(x.dtype) for f in (up_filter, down_filter))
        padding = left, right, left, right
        return filtered_lrelu(
            x, up, down, bias, up=record.up_factor, down=record.down_factor, padding=padding, clamp=2.0
        )

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, CHANNELS, record.size_in, record.size_in, generator=generator)
    bias = torch.randn(CHANNELS, generator=generator)
    with use_backend('reference'):
        exact = call(x.double(), bias.double())
    x = x.contiguous(memory_format=torch.channels_last)
    with use_backend('cpu', strict=True):
        actual = call(x, bias)
        with note_usage() as usage:  # what declined the first time is now noted
            call(x, bias)
    assert usage.reasons == {('filtered_lrelu', 'cpu'): ''}
    assert actual.shape[2:] == (record.size, record.size)
    assert (actual - exact).abs().max() <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize('length', [1, MAX_LENGTH])
@pytest.mark.parametrize('kind', get_args(FilterKind))
@pytest.mark.parametrize('radial', [False, True])
def test_the_shortest_and_longest_filters_of_every_kind_run_by_kernels(radial, kind, length):
    check(layer(radial=radial, doubles=True, factor=2), kind, length)


@pytest.mark.parametrize('kind, length, factor', [('network', 12, 4), ('jinc', 1, 8)])
def test_long_filters_run_by_kernels_at_higher_oversampling(kind, length, factor):
    check(layer(radial=True, doubles=False, factor=factor), kind, length)


@pytest.mark.slow
@pytest.mark.parametrize('factor', FACTORS)
@pytest.mark.parametrize('length', [1, MAX_LENGTH])
@pytest.mark.parametrize('kind', get_args(FilterKind))
@pytest.mark.parametrize('doubles', [False, True])
@pytest.mark.parametrize('radial', [False, True])
def test_all_filters_of_the_laboratory_run_by_kernels(radial, doubles, kind, length, factor):
    for direction in ('both', 'up', 'down') if kind == 'jinc' else ('both',):
        check(layer(radial=radial, doubles=doubles, factor=factor), kind, length, direction)

"""The tables of layers, against tables computed elsewhere and numbers printed in the paper."""

import json
from math import pi
from pathlib import Path

import pytest
import torch

from networks.config import AliasFreeConfig, from_keywords, ladder_keywords
from networks.schedule import Schedule, make_schedule
from networks.stylegan3 import Generator
from tests.networks.small import parameter_count

TABLES = json.loads((Path(__file__).parent / 'data' / 'ladder_layer_tables.json').read_text(encoding='utf-8'))


def table(rung: str, resolution: int) -> Schedule:
    return make_schedule(resolution, 3, from_keywords(AliasFreeConfig, ladder_keywords(rung, resolution)))


@pytest.mark.parametrize('name', ['T_64', 'R_64', 'T_256', 'R_256', 'T_1024', 'R_1024'])
def test_flexible_tables_equal_those_of_the_reference(name: str):
    rung, resolution = name.split('_')
    records = table(rung, int(resolution)).layers
    assert len(records) == len(TABLES[name])
    for record, golden in zip(records, TABLES[name], strict=True):
        before, after = record.padding(record.up_taps, record.down_taps)
        found = {
            'name': record.name,
            's_in': record.rate_in,
            's': record.rate,
            'tmp': record.rate_inside,
            'cin': record.channels_in,
            'cout': record.channels,
            'in_size': record.size_in,
            'out_size': record.size,
            'up': record.up_factor,
            'down': record.down_factor,
            'up_taps': record.up_taps,
            'down_taps': record.down_taps,
            'pad': [before, after, before, after],
            'crit': record.critical,
        }
        assert found == {key: golden[key] for key in found}
        assert record.cutoff == pytest.approx(golden['fc'], rel=1e-12)
        assert record.half_width == pytest.approx(golden['fh'], rel=1e-12)


@pytest.mark.parametrize('name', ['E_64', 'F_64', 'G_64', 'E_256', 'F_256', 'G_256'])
def test_rigid_tables_equal_those_of_the_specification(name: str):
    rung, resolution = name.split('_')
    records = table(rung, int(resolution)).layers[:-1]
    assert len(records) == len(TABLES[name])
    for record, golden in zip(records, TABLES[name], strict=True):
        assert (record.rate, record.channels) == (golden['s'], golden['C'])
        assert record.cutoff == pytest.approx(golden['fc'], abs=1e-4)  # the table was printed to four places
        assert record.half_width == pytest.approx(golden['fh'], abs=1e-4)


def test_h_differs_from_g_only_in_the_input():
    g, h = table('G', 64), table('H', 64)
    assert g.layers == h.layers
    assert (g.input.affine, h.input.affine) == (False, True)
    assert h.num_ws == g.num_ws + 1


def test_rigid_layers_keep_the_margin_until_the_end():
    records = table('F', 64).layers
    assert [record.margin for record in records] == [10] * 10 + [0]
    assert [record.up_factor for record in records] == [2, 2, 4, 2, 4, 2, 4, 2, 4, 2, 1]


def test_config_g_filters_attenuate_as_the_paper_computes():
    record = table('G', 256).layers[4]
    # Kaiser's formula with n = 12 taps and transition band 2 f_h at rate s' (Appendix C): 40.66 dB for config G.
    band = 2 * record.half_width / (record.rate_inside / 2)
    assert 2.285 * (record.down_taps - 1) * pi * band + 7.95 == pytest.approx(40.66, abs=0.01)


def test_radial_filters_are_for_sampling_down_outside_critical_layers():
    records = table('R', 256).layers
    assert [record.radial for record in records] == [True] * 12 + [False] * 3
    assert records[3].up_filter().ndim == 1
    assert records[3].down_filter().ndim == 2


def test_channels_round_halves_to_even():
    config = AliasFreeConfig(channel_base=18, channel_max=512, first_cutoff=2.0)
    assert make_schedule(64, 3, config).layers[0].channels == 4  # 18 / 2 / 2 = 4.5


def test_margin_and_oversampling_are_options():
    schedule = make_schedule(64, 3, AliasFreeConfig(margin_size=6, lrelu_upsampling=4, num_layers=8))
    assert len(schedule.layers) == 9
    assert schedule.layers[0].size == 16 + 12
    assert {record.down_factor for record in schedule.layers[:-1]} == {4}


@pytest.mark.parametrize(
    ('rung', 'resolution', 'count'),
    [('T', 256, 23_320_443), ('R', 256, 15_779_565), ('T', 1024, 22_313_167), ('R', 1024, 15_093_151)],
)
def test_parameter_counts_are_the_published_ones(rung: str, resolution: int, count: int):
    with torch.device('meta'):
        generator = Generator(512, 0, 512, resolution, 3, **ladder_keywords(rung, resolution))
    assert parameter_count(generator) == count


@pytest.mark.parametrize(
    ('keywords', 'word'), [({'rung': 'Z'}, "'Z'"), ({'num_critical': 14}, '14'), ({'num_layers': 0}, '0')]
)
def test_options_that_cannot_be_built_are_named(keywords: dict, word: str):
    with pytest.raises(ValueError, match=word):
        make_schedule(64, 3, AliasFreeConfig(**keywords))


def test_a_side_that_is_no_power_of_two_is_refused():
    with pytest.raises(ValueError, match='96'):
        make_schedule(96, 3, AliasFreeConfig())


def test_an_unknown_keyword_is_named():
    with pytest.raises(ValueError, match='chanel_base'):
        Generator(8, 0, 8, 16, 3, chanel_base=64)

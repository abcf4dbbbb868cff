"""`visualizer.py analyze` on the families, through the command itself."""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import visualizer
from networks.adapters.base import Inspectable
from networks.adapters.wrap import wrap
from tests.networks.small import small_ladder, small_stylegan2
from tests.render.test_measuring import Decoder

HERE = 'tests.render.test_analyze_command'


def t() -> Inspectable:
    return wrap(small_ladder('T', resolution=16, num_layers=4))


def r() -> Inspectable:
    return wrap(small_ladder('R', resolution=16, num_layers=4))


def stylegan2() -> Inspectable:
    return wrap(small_stylegan2())


def plain() -> Inspectable:
    return wrap(Decoder())


def analyzed(capsys: pytest.CaptureFixture, *words: str, code: int = 0) -> dict[str, Any]:
    assert visualizer.main(['analyze', *words, '--json']) == code
    printed = capsys.readouterr()
    return json.loads(printed.out) if code == 0 else {'error': printed.err}


@pytest.mark.parametrize('maker', ['t', 'r', 'stylegan2', 'plain'])
@pytest.mark.parametrize('what', ['eq-t', 'eq-t-frac', 'eq-r', 'layers', 'spectrum', 'sticking'])
def test_every_measurement_answers_on_every_family(what: str, maker: str, capsys: pytest.CaptureFixture):
    found = analyzed(capsys, f'{HERE}:{maker}', '--what', what, '--samples', '1')
    assert (found['what'], found['samples'], found['seed']) == (what, 1, 0)
    keys = {
        'eq-t': {'decibels', 'good_db', 'verdict'},
        'eq-t-frac': {'decibels', 'good_db', 'verdict'},
        'eq-r': {'decibels', 'good_db', 'verdict'},
        'layers': {'ladder', 'lie', 'budgets'},
        'spectrum': {'frequencies', 'radial_db', 'layers'},
        'sticking': {'walk', 'neighbourhood', 'patterns', 'registered'},
    }[what]
    assert keys <= set(found)


def test_what_cannot_be_measured_is_null_and_for_people_one_sentence_that_fails(capsys: pytest.CaptureFixture):
    found = analyzed(capsys, f'{HERE}:stylegan2', '--what', 'eq-t', '--samples', '1')
    assert found['decibels'] is None
    assert 'learned constant' in found['note']
    assert visualizer.main(['analyze', f'{HERE}:stylegan2', '--what', 'eq-r']) == 1
    printed = capsys.readouterr()
    line = printed.err.strip().splitlines()[-1]
    assert line.startswith('EQ-R cannot be measured: StyleGAN2 starts') and line.endswith('diagnose.')
    assert printed.out == '', 'there is only the sentence'


def test_layers_of_a_generator_that_cannot_be_moved_are_measured_on_what_they_make(capsys: pytest.CaptureFixture):
    layers = analyzed(capsys, f'{HERE}:plain', '--what', 'layers', '--samples', '1')
    assert layers['ladder']['note'].endswith('(created).')


def test_the_number_is_that_of_the_metric(capsys: pytest.CaptureFixture):
    found = analyzed(capsys, f'{HERE}:t', '--what', 'eq-t', '--samples', '3', '--seed', '7')
    single = [
        analyzed(capsys, f'{HERE}:t', '--what', 'eq-t', '--samples', '1', '--seed', str(seed))['decibels']
        for seed in (7, 8, 9)
    ]
    assert found['lowest'] == pytest.approx(min(single), abs=1e-3)
    assert found['highest'] == pytest.approx(max(single), abs=1e-3)
    # Pooled over valid values: a mean of squared errors weighted by how many each shift leaves.
    mean = -10 * math.log10(sum(10 ** (-value / 10) for value in single) / 3)
    assert found['decibels'] == pytest.approx(mean, abs=1.5)


def test_plots_and_numbers_are_written(tmp_path: Path, capsys: pytest.CaptureFixture):
    expected = {
        'layers': {'layers.json', 'ladder.png'},
        'spectrum': {'spectrum.json', 'spectrum.png', 'waterfall.png'},
        'sticking': {
            'sticking.json', 'strip.png', 'average.png', 'decay.png', 'fixed_patterns.png', 'registered.png',
        },
    }  # fmt: skip
    for what, names in expected.items():
        printed = analyzed(capsys, f'{HERE}:t', '--what', what, '--samples', '2', '--out', str(tmp_path / what))
        assert {path.name for path in (tmp_path / what).iterdir()} == names
        assert json.loads((tmp_path / what / f'{what}.json').read_text(encoding='utf-8')) == printed
        for name in names:
            if name.endswith('.png'):
                with Image.open(tmp_path / what / name) as image:
                    assert image.size[0] > 1


def test_real_pictures_lie_over_the_generated_ones(tmp_path: Path, capsys: pytest.CaptureFixture):
    with zipfile.ZipFile(tmp_path / 'real.zip', 'w') as archive:
        for index in range(3):
            path = tmp_path / f'{index}.png'
            Image.fromarray(np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
            archive.write(path, f'folder/{index}.png')
    out = tmp_path / 'out'
    words = (f'{HERE}:t', '--what', 'spectrum', '--samples', '2', '--real', str(tmp_path / 'real.zip'))
    found = analyzed(capsys, *words, '--out', str(out))
    assert found['real']['count'] == 3
    assert (out / 'real.png').exists()


@pytest.mark.parametrize(
    ('words', 'code', 'sentence'),
    [
        (('--what', 'eq-t', '--samples', '0'), 2, '--samples 0'),
        (('--what', 'eq-t', '--seed', '-1'), 2, '--seed -1'),
        (('--what', 'sticking', '--layer', 'synthesis.L0_36_8'), 2, '--layer'),
        (('--what', 'eq-t', '--real', 'x.zip'), 2, '--real'),
        (('--what', 'spectrum', '--real', 'missing.zip'), 1, 'missing.zip'),
    ],
)
def test_wrong_options_are_one_sentence(
    words: tuple[str, ...], code: int, sentence: str, capsys: pytest.CaptureFixture
):
    error = analyzed(capsys, f'{HERE}:t', *words, code=code)['error']
    assert sentence in error
    assert error.strip().splitlines()[-1].endswith('.')

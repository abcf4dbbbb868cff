import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import MakeZip
from training import dataset
from training.check import CheckResult, check_set

LANCZOS, NEAREST, BICUBIC = Image.Resampling.LANCZOS, Image.Resampling.NEAREST, Image.Resampling.BICUBIC


def discs(seed: int, side: int = 512) -> Image.Image:
    """Overlapping discs of many sizes: hard edges and a 1 / f² spectrum, as photographs have ("dead leaves")."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((side, side, 3), np.uint8)
    y, x = np.mgrid[:side, :side]
    for _ in range(400):
        radius = min(3 / np.sqrt(random.random()), 200)
        centre_x, centre_y = random.random(2) * side
        left, right = (int(np.clip(centre_x + sign * (radius + 1), 0, side)) for sign in (-1, 1))
        top, bottom = (int(np.clip(centre_y + sign * (radius + 1), 0, side)) for sign in (-1, 1))
        part = slice(top, bottom), slice(left, right)
        inside = (x[part] - centre_x) ** 2 + (y[part] - centre_y) ** 2 < radius**2
        pixels[part][inside] = random.integers(0, 256, 3)
    return Image.fromarray(pixels)


@pytest.fixture(scope='module')
def originals() -> list[Image.Image]:
    return [discs(seed) for seed in range(6)]


def checked(make_zip: MakeZip, pictures: list[Image.Image]) -> CheckResult:
    files = []
    for picture in pictures:
        file = io.BytesIO()
        picture.save(file, 'PNG')
        files.append(file.getvalue())
    return check_set(make_zip(files))


def test_pictures_that_were_resized_well_give_no_warning(make_zip: MakeZip, originals: list[Image.Image]):
    assert checked(make_zip, [picture.resize((64, 64), LANCZOS) for picture in originals]).warnings() == ()


def test_edges_of_a_resize_without_a_filter_are_found(make_zip: MakeZip, originals: list[Image.Image]):
    (warning,) = checked(make_zip, [picture.resize((64, 64), NEAREST) for picture in originals]).warnings()
    assert warning.startswith('Edges are jagged')


def test_enlarged_pictures_are_found(make_zip: MakeZip, originals: list[Image.Image]):
    enlarged = [picture.resize((32, 32), LANCZOS).resize((64, 64), BICUBIC) for picture in originals]
    (warning,) = checked(make_zip, enlarged).warnings()
    assert 'no fine detail' in warning


def test_blocks_of_strong_jpeg_compression_are_found(make_zip: MakeZip, originals: list[Image.Image]):
    pictures = []
    for picture in originals:
        file = io.BytesIO()
        picture.resize((128, 128), LANCZOS).save(file, 'JPEG', quality=30)
        pictures.append(Image.open(file).crop((32, 32, 96, 96)))
    assert any('JPEG blocks' in warning for warning in checked(make_zip, pictures).warnings())


def test_bars_above_and_below_are_found(make_zip: MakeZip, originals: list[Image.Image]):
    pictures = []
    for picture in originals:
        framed = Image.new('RGB', (64, 64))
        framed.paste(picture.resize((64, 48), LANCZOS), (0, 8))
        pictures.append(framed)
    result = checked(make_zip, pictures)
    assert result.bars_share == 1
    assert any('bars of one colour' in warning for warning in result.warnings())


def test_doubles_are_found_even_when_they_are_mirrored(make_zip: MakeZip, originals: list[Image.Image]):
    small = [picture.resize((64, 64), LANCZOS) for picture in originals[:3]]
    result = checked(make_zip, [*small, small[0], small[1].transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    assert result.doubles == 2
    assert '2 of 5 images are equal' in result.warnings()[0]


def test_the_command_prints_numbers_as_json(
    make_zip: MakeZip, originals: list[Image.Image], capsys: pytest.CaptureFixture
):
    path: Path = checked(make_zip, [picture.resize((32, 32), LANCZOS) for picture in originals]).path
    assert dataset.main(['check', str(path), '--json']) == 0
    values = json.loads(capsys.readouterr().out)
    assert values['images'] == 6
    assert values['high_band_db'] < -5.5

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import png
from training import dataset
from training.data import ImageZip
from training.decoding import Unusable, to_square
from training.errors import TrainingError
from training.picture_files import classes_from_folders
from training.prepare import PrepareOptions, prepare, report_path


def encoded(picture: Image.Image, kind: str = 'PNG', **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def folder_of(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, 'w') as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_folder_of_class_folders_becomes_a_set_with_labels(tmp_path: Path):
    source = folder_of(
        tmp_path / 'all', {'set/dog/1.png': png(20), 'set/dog/2.png': png(20, 1), 'set/cat/x/3.png': png(16)}
    )
    report = prepare(source, tmp_path / 'out.zip', PrepareOptions(16))
    assert report.class_sizes == {'cat': 1, 'dog': 2}
    with ImageZip(tmp_path / 'out.zip') as images:
        assert (images.side, len(images)) == (16, 3)
        assert images.labels is not None
        assert images.labels.tolist() == [0, 1, 1]
        assert np.array_equal(images.image(0), np.asarray(Image.open(io.BytesIO(png(16)))))


def test_a_zip_gives_the_same_bytes_as_its_unpacked_folder_and_as_the_same_command_again(tmp_path: Path):
    files = {'a.png': png(20), 'b/c.png': png(24, 1)}
    sources = [folder_of(tmp_path / 'plain', files), zip_of(tmp_path / 'packed.zip', files), tmp_path / 'plain']
    made = []
    for number, source in enumerate(sources):
        prepare(source, tmp_path / f'{number}.zip', PrepareOptions(8))
        made.append((tmp_path / f'{number}.zip').read_bytes())
    assert made[0] == made[1] == made[2]


def test_images_are_stored_without_compression(tmp_path: Path):
    prepare(folder_of(tmp_path / 'in', {'a.png': png(32)}), tmp_path / 'out.zip', PrepareOptions(32))
    with zipfile.ZipFile(tmp_path / 'out.zip') as archive:
        entry = archive.getinfo('00000/img00000000.png')
        assert entry.compress_type == zipfile.ZIP_STORED
        assert 32 * 32 * 3 < entry.file_size < 32 * 32 * 3 * 1.1


def test_labels_of_a_dataset_json_are_kept_and_pictures_without_one_left_out(tmp_path: Path):
    labels = json.dumps({'labels': [['a.png', 7], ['c.png', 2]]}).encode()
    source = folder_of(
        tmp_path / 'in', {'a.png': png(8), 'b.png': png(8, 1), 'c.png': png(8, 2), 'dataset.json': labels}
    )
    report = prepare(source, tmp_path / 'out.zip', PrepareOptions(8))
    assert report.skipped['no label in dataset.json'].first == ['b.png']
    with zipfile.ZipFile(tmp_path / 'out.zip') as archive:
        rows = json.loads(archive.read('dataset.json'))['labels']
    assert [label for _, label in rows] == [7, 2]


def test_mirror_adds_the_mirrored_picture_with_the_same_label(tmp_path: Path):
    source = folder_of(tmp_path / 'in', {'x/a.png': png(8), 'y/b.png': png(8, 1)})
    prepare(source, tmp_path / 'out.zip', PrepareOptions(8, mirror=True))
    with ImageZip(tmp_path / 'out.zip') as images:
        assert images.labels is not None
        assert images.labels.tolist() == [0, 0, 1, 1]
        assert np.array_equal(images.image(1), images.image(0)[:, ::-1])


def test_numbered_folders_of_a_large_set_are_no_classes():
    assert classes_from_folders(('00000/a.png', '00001/b.png')) is None
    assert classes_from_folders(('in/2021/a.png', 'in/cats/b.png')) == {
        'in/2021/a.png': '2021',
        'in/cats/b.png': 'cats',
    }
    assert classes_from_folders(('a.png', 'cats/b.png')) is None


def test_a_fine_grid_becomes_grey_when_it_is_made_smaller():
    """Stripes of one pixel fold to stripes or to one colour without a filter; with one, what is left is their mean."""
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    small = to_square(encoded(Image.fromarray(stripes)), 32).pixels.astype(float)
    assert abs(small[:, 2:-2] - 127.5).max() < 4  # at the edges half of the filter is missing


def test_the_middle_is_kept_when_a_wide_picture_is_cropped():
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200
    assert (to_square(encoded(Image.fromarray(wide)), 8).pixels == 200).all()
    bars = to_square(encoded(Image.fromarray(wide)), 24, crop='pad', background='red').pixels
    assert (bars[:8] == (255, 0, 0)).all()
    assert (bars[8:16, 8:16] == 200).all()


def test_a_photo_taken_sideways_is_turned_upright():
    picture = Image.fromarray(np.zeros((16, 16, 3), np.uint8))
    picture.paste((255, 255, 255), (0, 0, 8, 16))  # the left half is white
    exif = picture.getexif()
    exif[0x0112] = 6  # "rotate a quarter clockwise to see it"
    decoded = to_square(encoded(picture, 'JPEG', exif=exif, quality=95), 16)
    assert decoded.pixels[:7].min() > 200
    assert decoded.pixels[9:].max() < 50
    assert decoded.changes == ('turned upright (EXIF)',)


@pytest.mark.parametrize(
    ('picture', 'kind', 'expected', 'change'),
    [
        (Image.new('L', (8, 8), 60), 'PNG', (60, 60, 60), 'grey made RGB'),
        (Image.fromarray(np.full((8, 8), 60 * 257, np.uint16)), 'PNG', (60, 60, 60), '16 bits reduced to 8'),
        (Image.new('RGBA', (8, 8), (0, 0, 0, 0)), 'PNG', (0, 0, 255), 'transparent, laid on blue'),
        (Image.new('LA', (8, 8), (0, 0)), 'PNG', (0, 0, 255), 'transparent, laid on blue'),
        (Image.new('CMYK', (8, 8), (0, 0, 0, 255)), 'TIFF', (0, 0, 0), 'CMYK made RGB without a colour profile'),
        (Image.new('1', (8, 8), 1), 'PNG', (255, 255, 255), 'grey made RGB'),
    ],
)
def test_every_kind_of_picture_becomes_rgb_and_is_said(picture: Image.Image, kind: str, expected: tuple, change: str):
    decoded = to_square(encoded(picture, kind), 8, background='blue')
    assert (decoded.pixels == expected).all()
    assert change in decoded.changes


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'no picture', 'no picture, or of an unknown format'),
        (png(64)[:2000], 'damaged'),
        (png(8), 'smaller than 16 pixels'),
        (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n', 'no picture, or of an unknown format'),
        (encoded(Image.fromarray(np.zeros((16, 16), np.float32)), 'TIFF'), 'unknown range'),
    ],
)
def test_what_cannot_be_used_has_a_reason(data: bytes, reason: str):
    with pytest.raises(Unusable, match=reason):
        to_square(data, 16)


def test_the_report_beside_the_set_counts_what_was_skipped(tmp_path: Path):
    files = {'good.png': png(16), 'bad.png': b'x', 'worse.png': b'y', 'small.png': png(4), 'notes.txt': b''}
    prepare(folder_of(tmp_path / 'in', files), tmp_path / 'out.zip', PrepareOptions(16))
    report = json.loads(report_path(tmp_path / 'out.zip').read_text())
    counts = {reason: entry['count'] for reason, entry in report['skipped'].items()}
    assert counts == {
        'no picture, or of an unknown format': 2,
        'smaller than 16 pixels': 1,
        'not a picture by its name': 1,
    }
    assert report['skipped']['no picture, or of an unknown format']['first'] == ['bad.png', 'worse.png']
    assert (report['files_found'], report['images_written']) == (5, 1)


def test_stopping_leaves_the_old_set_and_nothing_else(tmp_path: Path):
    source = folder_of(tmp_path / 'in', {f'{number}.png': png(8, number) for number in range(3)})
    out = tmp_path / 'sets' / 'out.zip'
    out.parent.mkdir()
    out.write_bytes(b'the old one')

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(source, out, PrepareOptions(8), on_progress=stop)
    assert [path.name for path in out.parent.iterdir()] == ['out.zip']
    assert out.read_bytes() == b'the old one'


@pytest.mark.parametrize(
    ('files', 'options', 'part'),
    [
        ({}, {}, 'holds no pictures'),
        ({'a.txt': b''}, {}, 'holds no pictures'),
        ({'a.png': png(8)}, {'resolution': 16}, 'add --enlarge'),
        ({'a.png': png(8)}, {'labels': 'json'}, 'has no dataset.json'),
        ({'a.png': png(8)}, {'labels': 'folders'}, 'do not lie in folders of classes'),
        ({'a.png': png(8)}, {'background': 'reddish'}, 'is no colour'),
        ({'a.png': png(8)}, {'resolution': 0}, '--resolution is 0'),
        ({'a.png': png(8), 'dataset.json': b'{"labels": [["a.png", 0.5]]}'}, {}, 'no whole-number label'),
    ],
)
def test_impossible_sources_are_refused_in_one_sentence(tmp_path: Path, files: dict, options: dict, part: str):
    (tmp_path / 'in').mkdir()
    with pytest.raises(TrainingError) as caught:
        prepare(folder_of(tmp_path / 'in', files), tmp_path / 'out.zip', PrepareOptions(**{'resolution': 8, **options}))
    assert part in str(caught.value)
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'out.zip').exists()


def test_a_zip_that_was_cut_short_is_one_line_and_exit_one(tmp_path: Path, capsys: pytest.CaptureFixture):
    whole = zip_of(tmp_path / 'whole.zip', {'a.png': png(16)}).read_bytes()
    (tmp_path / 'short.zip').write_bytes(whole[:-30])
    arguments = ['prepare', str(tmp_path / 'short.zip'), str(tmp_path / 'out.zip'), '--resolution', '8']
    assert dataset.main(arguments) == 1
    assert capsys.readouterr().err.count('\n') == 1


def test_the_command_prints_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture):
    source = folder_of(tmp_path / 'in', {'a.png': png(16), 'b.png': b''})
    assert dataset.main(['prepare', str(source), str(tmp_path / 'out.zip'), '--resolution', '8']) == 0
    said = capsys.readouterr().out
    assert said.startswith('1 images of 2 files')
    assert 'skipped 1' in said

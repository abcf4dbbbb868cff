import json
import os
from pathlib import Path

import numpy as np

from render.run_log import RunReader, run_folder_of


def row(images: int, **values: object) -> str:
    return json.dumps({'images': images, 'step': images // 8, **values}) + '\n'


def run_of(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / 'stats.jsonl').write_text(''.join(lines))
    return folder


def test_numbers_become_curves_over_thousands_of_images(tmp_path: Path):
    folder = run_of(tmp_path, row(8000, generator_loss=1.5), row(16000, generator_loss=1.25, r1=0.5))
    log = RunReader(folder).poll()
    assert log.curves['generator_loss'].kimg.tolist() == [8, 16]
    assert log.curves['generator_loss'].values.tolist() == [1.5, 1.25]
    assert log.curves['r1'].kimg.tolist() == [16]


def test_a_line_that_is_being_written_is_read_when_it_is_complete(tmp_path: Path):
    folder = run_of(tmp_path, row(8, a=1), '{"images": 16, "a":')
    reader = RunReader(folder)
    first = reader.poll()
    assert first.curves['a'].values.tolist() == [1]
    assert reader.poll() is first
    with (folder / 'stats.jsonl').open('a') as file:
        file.write(' 2}\n')
    assert reader.poll().curves['a'].values.tolist() == [1, 2]


def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path):
    bad = (
        '{"images": "many", "a": 3}\n',
        '[1, 2]\n',
        'null\n',
        '\x00\xff\n',
        '{"images": 9, "a": NaN}\n',
        '[' * 9999 + '\n',
    )
    log = RunReader(run_of(tmp_path, row(8, a=1), *bad, row(16, a=True, b='x', c=None), row(24, a=2))).poll()
    assert log.curves['a'].values.tolist() == [1, 2]
    assert set(log.curves) == {'a'}


def test_a_run_that_was_continued_from_an_earlier_state_is_read_anew(tmp_path: Path):
    folder = run_of(tmp_path, row(8, a=1), row(16, a=2), row(24, a=3))
    reader = RunReader(folder)
    reader.poll()
    run_of(folder, row(8, a=1))
    assert reader.poll().curves['a'].values.tolist() == [1]
    (folder / 'other').write_text(row(8, a=1) + row(16, a=7) + row(24, a=8) + row(32, a=9))
    os.replace(folder / 'other', folder / 'stats.jsonl')
    assert reader.poll().curves['a'].values.tolist() == [1, 7, 8, 9]


def test_spectra_and_the_images_of_each_snapshot_come_from_the_lines_of_measurements(tmp_path: Path):
    folder = run_of(
        tmp_path,
        row(2400, snapshot='snapshot-000002.safetensors', eq_t_db=61.5, eq_r_db=None, spectrum_db=[1, 2, 3]),
        row(4800, snapshot='snapshot-000004.safetensors', eq_t_db=62.5, spectrum_db=[2, 3, 4]),
    )
    for number in ('000004', '000002', '000006-064', '000006'):
        (folder / f'snapshot-{number}.safetensors').touch()
    (folder / 'snapshot-x.safetensors').touch()
    log = RunReader(folder).poll()
    assert [(snapshot.name.removesuffix('.safetensors'), snapshot.kimg) for snapshot in log.snapshots] == [
        ('snapshot-000002', 2.4),
        ('snapshot-000004', 4.8),
        ('snapshot-000006', 6.0),
        ('snapshot-000006-064', 6.064),
    ]
    assert log.curves['eq_t_db'].values.tolist() == [61.5, 62.5]
    assert 'eq_r_db' not in log.curves
    assert log.spectra is not None
    assert np.array_equal(log.spectra.power_db, [[1, 2, 3], [2, 3, 4]])
    assert log.index_of('snapshot-000004.safetensors') == 1


def test_a_new_snapshot_alone_is_news_and_a_folder_that_is_gone_is_not(tmp_path: Path):
    folder = run_of(tmp_path / 'run', row(8, a=1))
    reader = RunReader(folder)
    first = reader.poll()
    (folder / 'snapshot-000001.safetensors').touch()
    second = reader.poll()
    assert len(second.snapshots) == len(first.snapshots) + 1
    folder.rename(tmp_path / 'moved')
    assert reader.poll() is second


def test_reading_leaves_the_run_as_it_is(tmp_path: Path):
    folder = run_of(tmp_path, row(8, a=1))
    before = [(path.name, path.stat().st_mtime_ns) for path in folder.iterdir()]
    RunReader(folder).poll()
    assert [(path.name, path.stat().st_mtime_ns) for path in folder.iterdir()] == before


def test_a_snapshot_belongs_to_the_run_that_it_lies_in(tmp_path: Path):
    folder = run_of(tmp_path / 'run', row(8, a=1))
    assert run_folder_of(str(folder)) == folder
    assert run_folder_of(str(folder / 'snapshot-000010.safetensors')) == folder
    assert run_folder_of(str(folder / 'other.safetensors')) is None
    assert run_folder_of(str(tmp_path)) is None
    assert run_folder_of('demo:') is None
    assert run_folder_of('x\0y') is None

"""Hostile and malformed snapshots: refused in one sentence, without a side effect, within bounds.

All files are read in one child process under Python's audit hook. The control proves that the attacks are real.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.networks.hostile import attacks
from tests.networks.malformed import GROUPS

ROOT = Path(__file__).resolve().parents[2]
CPU_SECONDS = 4.0
"""Of one file; the slowest measured takes 0.7."""
MEGABYTES = 250.0
"""For all files together; measured 28."""
REAL_ATTACKS = (
    'call os.system',
    'call posix.system',
    'call os.popen',
    'call builtins.exec',
    'call builtins.eval',
    'call builtins.open',
    'call io.open',
    'call codecs.open',
    'call subprocess.Popen',
    'call subprocess.run',
    'call cProfile.run',
    'call bdb.Bdb.run',
    'call runpy._run_code',
    'call pathlib.Path.touch',
    'call shutil.copyfile',
    'call logging.FileHandler',
    'call sqlite3.connect',
    'call pickle.loads',
    'call in protocol 2',
    'call as the root',
    'call among attributes',
    'call in a hook table',
    'call in stage 3 of a tensor',
    'old names',
    'instance operation',
    'object operation',
    'name through the memo',
    'name in an odd order',
    'program text in the file',
)


@dataclass
class Report:
    """What the child process saw, by the name of the case."""

    files: dict[str, dict] = field(default_factory=dict)
    megabytes: float = 0.0
    canary: Path = Path()
    groups: dict[str, list[str]] = field(default_factory=dict)


def child(*arguments: object) -> dict:
    """The JSON that a child process prints."""
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {'OMP_NUM_THREADS': '1'}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


@pytest.fixture(scope='module')
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """All files of the corpus, read once."""
    folder = tmp_path_factory.mktemp('hostile')
    canary = folder / 'canary'
    (folder / 'files').mkdir()
    names = {}
    groups: dict[str, list[str]] = {}
    for group, make in {'attacks': lambda: attacks(str(canary)), **GROUPS}.items():
        for name, data in make():
            file = folder / 'files' / f'{len(names):04d}.pkl'
            file.write_bytes(data)
            names[file.name] = name
            groups.setdefault(group, []).append(name)
    seen = child('-m', 'tests.networks.hostile_child', 'read', folder / 'files')
    files = {names[file]: result for file, result in seen['files'].items()}
    return Report(files, seen['megabytes'], canary, groups)


def test_the_corpus_is_large_and_its_names_are_distinct(report: Report) -> None:
    assert len(report.files) == sum(map(len, report.groups.values())) >= 350


def test_no_file_raises_anything_but_bad_file(report: Report) -> None:
    foreign = {name: result['sentence'] for name, result in report.files.items() if result['code'] == 'foreign'}
    assert not foreign


def test_only_harmless_files_are_read(report: Report) -> None:
    fine = {name for name, result in report.files.items() if result['code'] == 'fine'}
    assert fine == set(report.groups['harmless'])


def test_every_refusal_is_one_short_sentence_with_the_name_of_the_file(report: Report) -> None:
    for name, result in report.files.items():
        sentence = result['sentence']
        assert len(sentence) <= 240 and '\n' not in sentence and sentence.isprintable(), (name, sentence)
        assert result['code'] == 'fine' or '.pkl' in sentence or sentence.startswith('The file'), (name, sentence)


def test_reading_hostile_files_does_nothing_but_read_them(report: Report) -> None:
    for name, result in report.files.items():
        assert result['events'] == ['read files'], name
    assert not report.canary.exists()


def test_hostile_files_are_bounded_in_time_and_memory(report: Report) -> None:
    slow = {name: result['seconds'] for name, result in report.files.items() if result['seconds'] > CPU_SECONDS}
    assert not slow
    assert report.megabytes < MEGABYTES


def test_attacks_with_known_names_are_called_by_their_name(report: Report) -> None:
    for name in ('os.system', 'builtins.exec', 'subprocess.Popen', 'runpy._run_code', 'pkgutil.resolve_name'):
        result = report.files[f'call {name}']
        assert result['code'] == 'attack'
        assert f'"{name}"' in result['sentence'] and 'Nothing was run' in result['sentence']


def test_attacks_hidden_in_tensor_data_are_found_at_every_stage(report: Report) -> None:
    for stage in range(5):
        assert report.files[f'call in stage {stage} of a tensor']['code'] == 'attack'


@pytest.mark.parametrize(
    ('group', 'codes'),
    [
        ('operations', {'bad-operation', 'damaged', 'truncated', 'malformed', 'empty'}),
        ('bombs', {'too-big', 'truncated', 'damaged', 'malformed', 'bad-operation', 'not-a-snapshot', 'attack'}),
        ('tensors', {'malformed', 'truncated', 'damaged', 'bad-operation', 'bad-type', 'bad-config', 'attack', 'unknown-name'}),
        ('structures', {'malformed', 'not-a-snapshot', 'no-network', 'unknown-family', 'unknown-part', 'version'}
         | {'tensorflow', 'unknown-name'}),
        ('options', {'bad-config', 'wrong-tensors', 'too-big'}),
        ('damage', {'truncated', 'trailing', 'damaged', 'not-a-model', 'image', 'web-page', 'lfs', 'gzip', 'video', 'zip'}
         | {'state-dict', 'json', 'text'}),
    ],
)  # fmt: skip
def test_each_kind_of_file_is_refused_for_its_own_reason(report: Report, group: str, codes: set[str]) -> None:
    assert {report.files[name]['code'] for name in report.groups[group]} <= codes


@pytest.mark.parametrize(
    ('name', 'part'),
    [
        ('web page', 'is a web page'),
        ('LFS pointer', 'git lfs pull'),
        ('gzip', 'gunzip'),
        ('PNG', 'is a PNG image, not a model'),
        ('ZIP', 'is a ZIP archive'),
        ('text', 'is a text file, not a model'),
        ('JSON', 'is a JSON text'),
        ('last byte missing', 'cut short or damaged'),
        ('a TensorFlow snapshot', 'TensorFlow-era snapshot'),
        ('an unknown global', '"foo.bar"'),
        ('option img_resolution = 65536', 'img_resolution = 65536; it must be a whole number from 4 to 4096'),
        ('other z_dim', 'mapping.fc0.weight is 4×4 instead of 4×7'),
        ('a layer of an unknown class', 'timm.models.ViT'),
        ('text of 10 GB in a file', '10000000000 more bytes'),
    ],
)
def test_the_sentence_says_what_is_wrong_with_which_value(report: Report, name: str, part: str) -> None:
    assert part in report.files[name]['sentence']


def write_attacks(folder: Path, canary: Path, names: tuple[str, ...] | None) -> None:
    folder.mkdir()
    for name, data in attacks(str(canary)):
        wanted = str(canary).encode() in data and 'pip' not in name if names is None else name in names
        if wanted:
            (folder / name).write_bytes(data)


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='the control forks')
def test_control_the_same_attacks_really_run_under_pickle_load(tmp_path: Path) -> None:
    canary = tmp_path / 'canary'
    write_attacks(tmp_path / 'files', canary, REAL_ATTACKS)
    ran = child('tests/networks/naive_child.py', tmp_path / 'files', canary)
    assert ran == dict.fromkeys(sorted(REAL_ATTACKS), True)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='the control forks')
def test_control_most_of_all_attacks_run_under_pickle_load(tmp_path: Path) -> None:
    canary = tmp_path / 'canary'
    write_attacks(tmp_path / 'files', canary, None)
    ran = child('tests/networks/naive_child.py', tmp_path / 'files', canary)
    assert sum(ran.values()) >= 55, sorted(name for name, did in ran.items() if not did)


def check_fuzz(seed: int, count: int) -> None:
    seen = child('-m', 'tests.networks.hostile_child', 'fuzz', seed, count)
    assert not seen['foreign']
    assert not seen['events']
    assert seen['slowest'] < CPU_SECONDS
    assert sum(seen['codes'].values()) == count
    assert len(seen['codes']) >= 6  # the mutations reach many places


def test_mutated_snapshots_raise_nothing_but_bad_file_and_do_nothing() -> None:
    check_fuzz(seed=20250711, count=3_000)


@pytest.mark.slow
def test_many_mutated_snapshots_raise_nothing_but_bad_file_and_do_nothing() -> None:
    for seed in range(4):
        check_fuzz(seed, count=25_000)

"""What may be written where a model is wanted, and the sentence for everything else."""

import os
import sys
from pathlib import Path

import pytest
import torch

from networks import sources
from networks.bad_file import BadFile
from networks.checkpoint import convert, load_checkpoint
from networks.sources import is_function, newest_snapshot, open_model, resolve
from tests.networks.hostile import tiny
from tests.networks.pickle_writer import write_snapshot

MODULE = """
import torch
from torch import nn
from networks.adapters.any_module import AnyModule

def generator():
    return nn.Sequential(nn.Linear(4, 48), nn.Unflatten(1, (3, 4, 4)))

def inspectable():
    return AnyModule(generator(), title='mine')

def number():
    return 7

def no_images():
    return nn.Linear(4, 4)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A converted model."""
    write_snapshot(tmp_path / 'a.pkl', {'G_ema': tiny()})
    convert(tmp_path / 'a.pkl', tmp_path / 'a.safetensors')
    return tmp_path / 'a.safetensors'


@pytest.fixture
def run_folder(tmp_path: Path, model: Path) -> Path:
    """A run directory with models of many names."""
    folder = tmp_path / 'run'
    folder.mkdir()
    names = ('snapshot-000200', 'snapshot-001000', 'snapshot-001000-064', 'snapshot-000999-900', 'snapshot-001000-7')
    names += ('latest', 'snapshot-x', 'training-state')
    for name in names:
        (folder / f'{name}.safetensors').write_bytes(model.read_bytes())
    (folder / 'network-snapshot-000400.pkl').write_bytes(b'')
    return folder


def test_files_run_folders_and_demos_open(model: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, 'DEMO_FOLDER', model.parent)
    monkeypatch.setattr(sources, 'DEFAULT_DEMO', 'a')
    for text in (str(model), str(run_folder), 'demo:a', 'demo:'):
        assert open_model(text).info.resolution == 16


def test_the_newest_snapshot_of_a_run_wins_and_latest_is_next(run_folder: Path) -> None:
    assert newest_snapshot(run_folder).name == 'snapshot-001000-064.safetensors'
    (run_folder / 'snapshot-001000-064.safetensors').unlink()
    assert newest_snapshot(run_folder).name == 'snapshot-001000.safetensors'
    for path in run_folder.glob('snapshot-0*'):
        path.unlink()
    assert resolve(str(run_folder)).name == 'latest.safetensors'
    (run_folder / 'latest.safetensors').unlink()
    assert newest_snapshot(run_folder).name == 'network-snapshot-000400.pkl'


def test_a_home_folder_is_expanded(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(model.parent))
    assert resolve('~/a.safetensors') == model


@pytest.mark.parametrize(
    ('make', 'sentence'),
    [
        (lambda folder: folder / 'none.pkl', r'^none\.pkl does not exist; check the path\.$'),
        (lambda folder: folder / 'a.safetensors' / 'x', r'^x does not exist; check the path\.$'),
        (lambda folder: folder, r'holds no snapshot .* open the folder of a training run'),
        (lambda folder: 'demo:none', r'no bundled model "demo:none"; there are: '),
        (lambda folder: 'demo:../../etc/passwd', r'no bundled model "demo:'),
        (lambda folder: 'a\0b', r'cannot be read'),
        (lambda folder: 'x' * 5000, r'cannot be read'),
        (lambda folder: '', r'holds no snapshot|does not exist'),
    ],
)
def test_what_is_not_there_is_said(make, sentence: str, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model.parent / 'empty'
    folder.mkdir()
    monkeypatch.chdir(folder)
    text = str(make(folder if make(folder) == folder else model.parent))
    with pytest.raises(BadFile, match=sentence) as error:
        open_model(text)
    assert len(str(error.value)) <= 240


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, 'mkfifo'):
        pytest.skip('this system has no named pipes')
    os.mkfifo(tmp_path / 'a.pkl')
    with pytest.raises(BadFile, match='is not a regular file'):
        open_model(str(tmp_path / 'a.pkl'))


@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() == 0, reason='root may read everything')
def test_a_file_without_permission_is_said(model: Path) -> None:
    model.chmod(0)
    with pytest.raises(BadFile, match='may not be read by this user'):
        open_model(str(model))


def test_a_file_beyond_the_limit_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / 'a.pkl'
    with path.open('wb') as file:
        file.truncate(9 << 30)  # sparse: takes no room
    with pytest.raises(BadFile, match=r'has 9663676416 bytes; the limit is 8589934592'):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('my_package.my_file:make', True),
        ('module:make', True),
        ('demo:ground', False),
        ('C:\\models\\a.pkl', False),
        ('C:a', False),
        ('a.pkl', False),
        ('folder/a:b', False),
        ('a:b:c', False),
        ('', False),
    ],
)
def test_functions_are_told_from_paths(text: str, expected: bool) -> None:
    assert is_function(text) == expected


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's."""
    (tmp_path / 'own_module_of_a_test.py').write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield 'own_module_of_a_test'
    sys.modules.pop('own_module_of_a_test', None)


def test_the_user_s_own_function_gives_a_module_or_an_inspectable(own_module: str) -> None:
    found = open_model(f'{own_module}:generator', allow_code=True)
    assert found.info.title == f'{own_module}:generator' and found.info.z_dim == 4
    assert found.synthesize(found.latents(torch.zeros(2, 4))).shape == (2, 3, 4, 4)
    assert open_model(f'{own_module}:inspectable', allow_code=True).info.title == 'mine'


def test_code_named_by_anything_but_the_user_is_not_imported(own_module: str) -> None:
    with pytest.raises(BadFile, match='only runs when you type it on the command line') as error:
        open_model(f'{own_module}:generator')
    assert error.value.code == 'code'
    assert own_module not in sys.modules


@pytest.mark.parametrize(
    ('function', 'sentence'),
    [
        ('missing', 'cannot be imported'),
        ('number', 'returned a int; it must return a torch module or an Inspectable'),
        ('no_images', 'must yield images'),
    ],
)
def test_a_function_that_makes_no_generator_is_said(own_module: str, function: str, sentence: str) -> None:
    with pytest.raises(BadFile, match=sentence):
        open_model(f'{own_module}:{function}', allow_code=True)


def test_a_module_that_does_not_exist_is_said() -> None:
    with pytest.raises(BadFile, match=r"cannot be imported .*No module named 'no_such_module_at_all'"):
        open_model('no_such_module_at_all:make', allow_code=True)

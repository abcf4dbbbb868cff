"""Kernels are compiled in the background, kept on the disk, and missed by nobody where they cannot be had."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ops.backend import report, use_backend
from ops.fast_cpu import compiled, library, object_cache
from ops.filtered_lrelu import filtered_lrelu
from ops.upfirdn2d import upfirdn2d

ROOT = Path(__file__).resolve().parents[2]
TAPS = torch.tensor([0.25, 0.5, 0.25])
PATIENCE_SECONDS = 60


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """A library without kernels and an empty cache."""
    monkeypatch.setenv('ALIASSCOPE_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(library, '_library', library._Library(policy='background'))
    monkeypatch.setattr(compiled, '_memory', compiled._Memory())
    with torch.no_grad():
        yield
        assert library.wait(PATIENCE_SECONDS)


def call() -> torch.Tensor:
    """A call that needs a kernel."""
    x = torch.randn(1, 8, 12, 12, generator=torch.Generator().manual_seed(0))
    return filtered_lrelu(x, TAPS, TAPS, up=2, down=2, padding=2)


def expected() -> torch.Tensor:
    with use_backend('reference'):
        return call()


def files() -> list[Path]:
    return sorted(object_cache.folder().iterdir())


def test_while_a_kernel_is_compiled_plain_torch_answers_and_then_the_kernel_takes_over(monkeypatch):
    go, build = threading.Event(), library._build

    def patient_build(shape):
        assert go.wait(PATIENCE_SECONDS)
        return build(shape)

    monkeypatch.setattr(library, '_build', patient_build)
    for _ in range(2):
        assert (call() - expected()).abs().max() < 1e-6
        assert not library._library.ready
    call()
    assert 'its kernel is being compiled' in report()['filtered_lrelu']
    assert '1 being compiled' in library.status()
    go.set()
    assert library.wait(PATIENCE_SECONDS)
    assert (call() - expected()).abs().max() < 1e-6
    call()
    assert report()['filtered_lrelu'] == 'cpu'
    assert library.status() == '1 kernels compiled, 0 read from the disk'


def test_only_the_background_thread_imports_the_compiler():
    program = '\n'.join(
        [
            'import sys, threading, torch',
            'from ops.fast_cpu import library',
            'from ops.backend import report; report()',
            'from ops.filtered_lrelu import filtered_lrelu',
            'assert "llvmlite" not in sys.modules',
            'seen = []',
            'import builtins; original = builtins.__import__',
            'def spy(name, *rest, **more):',
            '    if name.startswith("llvmlite"): seen.append(threading.current_thread().name)',
            '    return original(name, *rest, **more)',
            'builtins.__import__ = spy',
            'with torch.no_grad(): filtered_lrelu(torch.ones(1, 8, 9, 9), torch.ones(3), None, up=2)',
            'print(set(seen), library.status())',
        ]
    )
    output = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert output == "{'kernel compiler'} 1 kernels compiled, 0 read from the disk\n"


def test_what_was_waited_for_kernels_is_known(monkeypatch):
    monkeypatch.setattr(library, '_library', library._Library(policy='wait'))
    assert library.waited() == 0
    started = time.perf_counter()
    call()
    first = library.waited()
    assert 0 < first < time.perf_counter() - started
    call()
    assert library.waited() == first, 'it was there'


def test_a_second_start_reads_the_kernel_from_the_disk(monkeypatch):
    with library.use_policy('wait'):
        first = call()
        monkeypatch.setattr(library, '_library', library._Library(policy='wait'))
        assert torch.equal(call(), first)
        assert library.status() == '0 kernels compiled, 1 read from the disk'


@pytest.mark.parametrize('damage', [b'', b'x' * 10, b'y' * 5000])
def test_a_damaged_file_is_compiled_again_and_replaced(monkeypatch, damage):
    with library.use_policy('wait'):
        call()
        path = next(path for path in files() if path.name.startswith('filter'))
        whole = path.read_bytes()
        path.write_bytes(damage)
        monkeypatch.setattr(library, '_library', library._Library(policy='wait'))
        assert (call() - expected()).abs().max() < 1e-6
        assert library.status() == '1 kernels compiled, 0 read from the disk'
        assert path.read_bytes() == whole


def test_another_processor_compiler_or_version_of_our_sources_has_other_files(monkeypatch):
    first = object_cache.key_of('cpu A', 'kernel')
    assert object_cache.key_of('cpu A', 'kernel') == first
    assert object_cache.key_of('cpu B', 'kernel') != first
    assert object_cache.key_of('cpu A', 'other') != first
    monkeypatch.setattr(object_cache, '_sources', lambda: 'changed')
    assert object_cache.key_of('cpu A', 'kernel') != first


def test_a_folder_that_cannot_be_written_is_named_and_kernels_work_all_the_same(monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('not a folder')
    monkeypatch.setenv('ALIASSCOPE_CACHE', str(tmp_path / 'file'))
    with library.use_policy('wait'):
        assert (call() - expected()).abs().max() < 1e-6
    assert library.status().startswith('1 kernels compiled, 0 read from the disk; compiled kernels are not kept')


def test_what_a_full_disk_refused_stays_said_though_a_smaller_file_still_fits(monkeypatch):
    answers = iter([OSError(28, 'No space left on device'), None])

    def put(path, content):
        answer = next(answers, None)
        if answer is not None:
            raise answer

    monkeypatch.setattr(object_cache, '_put', put)
    with library.use_policy('wait'):
        call()
    assert library.status().endswith('([Errno 28] No space left on device)')


def test_a_file_that_cannot_be_finished_leaves_nothing_behind(monkeypatch):
    assert object_cache.write('kernel', b'code') is None
    monkeypatch.setattr(os, 'replace', lambda *paths: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
    assert 'No space left' in object_cache.write('another', b'code')
    assert [path.name for path in files()] == ['kernel']


def test_a_file_that_another_process_renames_meanwhile_is_no_problem(monkeypatch):
    assert object_cache.write('kernel', b'code') is None
    there, is_file = Path.stat, Path.is_file
    (object_cache.folder() / '.new-theirs').touch()

    def stat(path, **options):
        if path.name == '.new-theirs':
            raise FileNotFoundError(2, 'No such file or directory')
        return there(path, **options)

    monkeypatch.setattr(Path, 'is_file', lambda path: path.name == '.new-theirs' or is_file(path))
    monkeypatch.setattr(Path, 'stat', stat)
    assert object_cache.write('another', b'code') is None


@pytest.mark.skipif(os.name != 'posix', reason='modes are those of POSIX')
def test_code_from_a_folder_that_others_may_write_is_not_run(monkeypatch):
    with library.use_policy('wait'):
        call()
        object_cache.folder().chmod(0o777)
        monkeypatch.setattr(library, '_library', library._Library(policy='wait'))
        call()
        assert '0 read from the disk; compiled kernels are not kept, because others may write' in library.status()


def test_the_oldest_files_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(object_cache, '_KEPT', 3)
    for number in range(5):
        assert object_cache.write(f'kernel-{number}', b'code') is None
        path = object_cache.folder() / f'kernel-{number}'
        os.utime(path, (number, number))
    object_cache.write('kernel-9', b'code')
    assert [path.name for path in files()] == ['kernel-3', 'kernel-4', 'kernel-9']
    assert object_cache.read('kernel-9') == (b'code', None)
    assert object_cache.read('kernel-0') == (None, None)


def test_without_the_compiler_plain_torch_goes_on_and_the_report_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(('llvmlite', 'ops.fast_cpu.kernels'))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'llvmlite', None)
    with library.use_policy('wait'):
        for _ in range(2):
            assert (call() - expected()).abs().max() < 1e-6
        call()
    assert 'pip install --force-reinstall llvmlite' in report()['filtered_lrelu']
    assert 'no kernels can be compiled here' in library.status()
    assert library._library.thread is None


def test_a_compiler_that_lacks_what_is_needed_is_named_and_nobody_waits_for_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith('ops.fast_cpu.kernels')]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'llvmlite', SimpleNamespace(__version__='0.1', binding=SimpleNamespace()))
    monkeypatch.setitem(sys.modules, 'llvmlite.binding', SimpleNamespace())
    monkeypatch.setattr(library, '_LONGEST_WAIT', 5.0)
    with library.use_policy('wait'):
        assert (call() - expected()).abs().max() < 1e-6
    assert library.status().startswith('no kernels can be compiled here (AttributeError: ')
    assert not library._library.pending


def test_after_the_first_kernel_that_cannot_be_had_no_other_operator_passes_for_compiled(monkeypatch):
    monkeypatch.setattr(library, '_prepare', lambda: setattr(library._library, 'unavailable', 'no LLVM') or 'no LLVM')
    with library.use_policy('wait'):
        call()
        upfirdn2d(torch.ones(1, 8, 9, 9), TAPS, up=2)
    assert report()['upfirdn2d'] == 'cpu: cpu declined (no LLVM)'


def test_a_kernel_that_cannot_be_compiled_is_tried_once_and_named(monkeypatch):
    tries = []

    def fail(shape):
        tries.append(shape)
        return 'LLVM said no'

    monkeypatch.setattr(library, '_build', fail)
    with library.use_policy('wait'):
        for _ in range(3):
            assert (call() - expected()).abs().max() < 1e-6
        call()
    assert len(tries) == 1
    assert 'LLVM said no' in report()['filtered_lrelu']
    assert library.status().endswith(f'{tries[0].name}: LLVM said no')


def test_an_error_while_writing_a_kernel_becomes_its_reason(monkeypatch):
    def broken(shape):
        raise ValueError('no such lanes')

    with library.use_policy('wait'):
        call()  # imports the module
        monkeypatch.setattr(sys.modules['ops.fast_cpu.kernels.filter'], 'write', broken)
        monkeypatch.setattr(library, '_library', library._Library(policy='wait'))
        monkeypatch.setenv('ALIASSCOPE_CACHE', str(object_cache.folder() / 'elsewhere'))
        call()
    assert 'ValueError: no such lanes' in library.status()


def test_after_many_failures_nothing_is_compiled_any_more(monkeypatch):
    monkeypatch.setattr(library, '_MAX_FAILURES', 2)
    monkeypatch.setattr(library, '_build', lambda shape: 'no')
    with library.use_policy('wait'):
        for taps in range(1, 6):
            filtered_lrelu(torch.ones(1, 8, 20, 20), torch.ones(taps), torch.ones(taps), up=2, down=2)
    assert len(library._library.failed) == 3
    assert 'too many kernels' in library.status()


def test_switched_off_kernels_are_never_asked_for_and_can_be_switched_on_again():
    with library.use_policy('off'):
        call()
        call()
        assert 'switched off' in report()['filtered_lrelu']
        assert library.status() == 'compiled kernels are switched off by ALIASSCOPE_KERNELS'
        assert not library._library.pending
    with library.use_policy('wait'):
        call()
    assert library.status() == '1 kernels compiled, 0 read from the disk'


@pytest.mark.parametrize(
    'named, rule',
    [('wait', 'wait'), ('off', 'off'), ('background', 'background'), ('nonsense', 'wait'), (None, 'wait')],
)
def test_the_environment_decides_what_to_do_about_missing_kernels(monkeypatch, named, rule):
    monkeypatch.setattr(library, '_library', library._Library())
    if named is None:
        monkeypatch.delenv(library.POLICY_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(library.POLICY_VARIABLE, named)
    assert library.policy() == rule
    assert ('use wait, background or off' in library.status()) == (named == 'nonsense')


@pytest.mark.parametrize(
    'platform, variables, end',
    [
        ('linux', {'XDG_CACHE_HOME': '/somewhere'}, '/somewhere/aliasscope/kernels'),
        ('linux', {}, '/home/user/.cache/aliasscope/kernels'),
        ('darwin', {}, '/home/user/Library/Caches/aliasscope/kernels'),
        ('win32', {'LOCALAPPDATA': '/local'}, '/local/aliasscope/kernels'),
    ],
)
def test_the_cache_lies_where_the_system_keeps_caches(monkeypatch, platform, variables, end):
    for name in ('ALIASSCOPE_CACHE', 'XDG_CACHE_HOME', 'LOCALAPPDATA'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, 'platform', platform)
    monkeypatch.setattr(Path, 'home', lambda: Path('/home/user'))
    assert object_cache.folder() == Path(end)

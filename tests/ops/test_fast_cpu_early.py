"""Kernels that are compiled before anybody asks for them: the right ones, without torch, and never in the way."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from networks.sources import open_model
from ops.fast_cpu import early, filter_call, library, object_cache
from ops.fast_cpu.shapes import DenseShape, Shape, WavesShape

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> library._Library:
    """A library without kernels and an empty cache."""
    monkeypatch.setenv('ALIASSCOPE_CACHE', str(tmp_path))
    made = library._Library(policy='wait')
    monkeypatch.setattr(library, '_library', made)
    return made


def named(*shapes: Shape):
    """Instead of `early.shapes`."""
    return lambda *, wide: shapes


@pytest.mark.parametrize('wide', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_they_are_those_of_the_demos_picture(wide: bool, monkeypatch: pytest.MonkeyPatch, fresh: library._Library):
    if wide and not library.has_wide_vectors():
        pytest.skip('this processor has no vectors of 16 numbers')
    monkeypatch.setattr(library, 'has_wide_vectors', lambda: wide)
    demo, plans = open_model('demo:'), (filter_call._plan, filter_call.plan_steps)
    for plan in plans:
        plan.cache_clear()
    with torch.inference_mode():
        demo.synthesize(demo.latents(torch.randn(1, demo.info.z_dim)))
    for plan in plans:
        plan.cache_clear()
    assert set(fresh.ready) == set(early.shapes(wide=wide))


def test_they_need_no_torch(fresh: library._Library):
    program = '\n'.join(
        [
            'import sys',
            'from ops.fast_cpu import early, library',
            'from ops.fast_cpu.shapes import DenseShape',
            'early.shapes = lambda *, wide: (DenseShape(4),)',
            'library.compile_early()',
            f'assert library.wait({PATIENCE_SECONDS})',
            "print(library.status(), 'torch' in sys.modules)",
        ]
    )
    result = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split()[0] == '1'
    assert result.stdout.split()[-1] == 'False'


def test_the_processor_is_as_wide_for_the_compiler_as_for_torch(fresh: library._Library):
    assert library.get(DenseShape(4)) is not None
    assert fresh.compiler.has_wide_vectors == library.has_wide_vectors()


def test_what_is_asked_for_comes_first_and_waits_for_itself_alone(
    monkeypatch: pytest.MonkeyPatch, fresh: library._Library
):
    started, go, built, build = threading.Event(), threading.Event(), [], library._build

    def patient_build(shape: Shape) -> str | None:
        if not built:
            started.set()
            assert go.wait(PATIENCE_SECONDS)
        built.append(shape)
        return build(shape)

    monkeypatch.setattr(library, '_build', patient_build)
    monkeypatch.setattr(early, 'shapes', named(WavesShape(4), WavesShape(8)))
    library.compile_early()
    assert started.wait(PATIENCE_SECONDS)
    library._request(DenseShape(4))
    go.set()
    assert library.get(DenseShape(4)) is not None
    assert library.wait(PATIENCE_SECONDS)
    assert built == [WavesShape(4), DenseShape(4), WavesShape(8)]


def test_without_a_compiler_nobody_waits(monkeypatch: pytest.MonkeyPatch, fresh: library._Library):
    monkeypatch.setitem(sys.modules, 'ops.fast_cpu.kernels.compile', None)
    library.compile_early()
    assert library.wait(PATIENCE_SECONDS)
    assert library.get(DenseShape(4)) is None
    assert 'llvmlite' in library.status()


def test_nothing_begins_early_where_kernels_are_on_the_disk(fresh: library._Library, tmp_path: Path):
    (tmp_path / 'kernels').mkdir()
    (tmp_path / 'kernels' / 'dense_v4-1').touch()
    library.compile_early()
    assert fresh.thread is None


def test_a_folder_that_cannot_be_read_counts_as_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv('ALIASSCOPE_CACHE', str(tmp_path / 'file'))
    (tmp_path / 'file').touch()
    assert object_cache.is_empty()


def test_switched_off_kernels_are_not_compiled_early(fresh: library._Library):
    with library.use_policy('off'):
        library.compile_early()
    assert fresh.thread is None

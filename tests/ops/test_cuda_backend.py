"""What the CUDA backend compiles for, and what it says where it cannot run. Nothing here needs a GPU."""

import logging
import os
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ops import backend
from ops.backend import Unavailable
from ops.bias_act import ActSpec, bias_act_reference
from ops.cuda import bias_act, dispatch, filtered_lrelu, launcher, shapes
from ops.cuda.code import KernelCode
from ops.filtered_lrelu import LreluSpec
from tests.ops import nvrtc
from tests.ops.cuda_variants import shapes_only, variants

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
X = torch.randn(1, 3, 8, 8)
ACT = ActSpec(1, 'lrelu', 0.2, 1.4, None, has_bias=False, needs_gradient=False)
LRELU = LreluSpec(2, 2, (11, 11, 11, 11), 1.4, 0.2, 256.0, False, (12,), (12,), has_bias=True, needs_gradient=False)
with_nvrtc = pytest.mark.skipif(sys.platform == 'darwin', reason='there is no NVRTC for this system')


@with_nvrtc
@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_a_kernel_compiles_for_every_architecture(architecture: int):
    if architecture not in nvrtc.architectures():
        pytest.skip(f'this NVRTC knows {nvrtc.architectures()}')
    code = bias_act.code_of(ACT, 1, half=True)
    assert f'.target sm_{architecture}' in nvrtc.compile_to_ptx(code, architecture)


@with_nvrtc
@pytest.mark.parametrize('down_shape', [(12,), (12, 12)])
def test_the_kernels_of_a_picture_in_half_precision_compile(down_shape: tuple[int, ...]):
    spec = LreluSpec(4, 2, (20, 20, 20, 20), 1.4, 0.2, 256.0, False, (24,), down_shape, True, needs_gradient=False)
    one = shapes.forward_pass((148, 148), spec)
    assert one is not None
    assert '.entry filtered_lrelu' in nvrtc.compile_to_ptx(shapes.code_of(one, 0, half=True), 90)


@with_nvrtc
@pytest.mark.slow
@pytest.mark.parametrize('half', [False, True])
@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_every_variant_compiles_for_every_architecture(architecture: int, half: bool):
    if architecture not in nvrtc.architectures():
        pytest.skip(f'this NVRTC knows {nvrtc.architectures()}')
    codes = variants(half=half) if architecture == 90 else shapes_only(variants(half=half))
    assert len(codes) > 40
    for code in codes:
        assert f'.target sm_{architecture}' in nvrtc.compile_to_ptx(code, architecture)
        if architecture in (75, 90, 120) and code.name != 'bias_act':
            assert ' 0 bytes spill stores' in nvrtc.assembler_report(code, architecture)


@with_nvrtc
@pytest.mark.parametrize('mode', [0, *(pytest.param(mode, marks=pytest.mark.slow) for mode in (1, 2))])
@pytest.mark.parametrize('shape', [(12,), pytest.param((12, 12), marks=pytest.mark.slow)])
def test_machine_code_keeps_everything_in_registers_and_takes_the_shared_memory_that_was_planned(mode, shape):
    spec = LreluSpec(2, 2, (20, 20, 20, 20), 1.4, 0.2, 256.0, False, (12,), shape, True, needs_gradient=False)
    one = shapes.forward_pass((276, 276), spec)
    assert one is not None
    said = nvrtc.assembler_report(shapes.code_of(one, mode, half=True), 90)
    assert ' 0 bytes spill stores' in said
    planned = shapes._shared_bytes(one, shapes.tile_of(one))
    found = int(re.search(r'(\d+) bytes smem', said)[1])  # pyright: ignore[reportOptionalSubscript]
    assert planned <= found <= planned + 64  # arrays begin at multiples of 16


def test_transposing_twice_changes_nothing():
    spec = LreluSpec(3, 2, (5, -1, 7, 2), 1.4, 0.2, None, True, (5,), (4, 6), True, needs_gradient=True)
    one = shapes.forward_pass((21, 34), spec)
    assert one is not None and one.transposed().transposed() == one != one.transposed()


def test_every_tile_fits_the_shared_memory_of_every_architecture():
    for shape in ((12,), (12, 12), (24,), (24, 24)):
        spec = LreluSpec(2, 2, (20, 20, 20, 20), 1.4, 0.2, None, False, shape, shape, True, needs_gradient=False)
        one = shapes.forward_pass((276, 276), spec)
        assert one is not None and filtered_lrelu.supports(spec) is None
        for some in (one, one.transposed()):
            assert shapes._shared_bytes(some, shapes.tile_of(some)) <= 48 * 1024


def test_filters_without_room_are_declined_with_a_reason():
    spec = LreluSpec(2, 2, (9, 9, 9, 9), 1.4, 0.2, None, False, (120, 120), (12,), True, needs_gradient=False)
    why = dispatch.remembering(filtered_lrelu.supports)
    assert why(X, spec) == 'its kernel has no room for these filters'
    assert why(X, LRELU) is None
    assert why(X.double(), LRELU) == 'its kernels compute in float16 and float32, not float64'


# A failure falls back once, and visibly


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, '_launcher', launcher._Launcher())
    monkeypatch.setattr(dispatch, '_memory', dispatch._Memory())


def fake_cupy(**changes: Any) -> Any:
    """What the launcher uses of CuPy 14 for CUDA 13."""
    options = {'runtime': 13000, 'driver': 13020, 'module': lambda **keywords: None, **changes}

    class Device:
        def __init__(self, *arguments: Any) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *error: Any) -> None: ...

    runtime = SimpleNamespace(runtimeGetVersion=lambda: options['runtime'], driverGetVersion=lambda: options['driver'])
    cupy = ModuleType('cupy')
    cupy.cuda = SimpleNamespace(runtime=runtime, Device=Device)  # pyright: ignore[reportAttributeAccessIssue]
    cupy.RawModule = options['module']  # pyright: ignore[reportAttributeAccessIssue]
    return cupy


class CompileError(Exception):
    """As CuPy's, which has no base but Exception."""


def broken_module(**keywords: Any) -> Any:
    broken_module.calls += 1
    raise CompileError('kernel.cu(1): error: no such thing\nand pages of source')


def test_a_kernel_that_does_not_compile_is_tried_once_and_the_reference_runs(fresh: None, caplog):
    broken_module.calls = 0
    launcher._launcher.cupy = fake_cupy(module=broken_module)
    call = dispatch.or_reference(bias_act.bias_act, bias_act_reference)
    why = dispatch.remembering(bias_act.supports)
    assert why(X, ACT) is None
    with caplog.at_level(logging.WARNING, logger='ops.cuda.launcher'):
        for _ in range(3):
            assert torch.equal(call(X, None, ACT), bias_act_reference(X, None, ACT))
    assert broken_module.calls == 1 and len(caplog.records) == 1
    assert why(X, ACT) == 'its kernel failed: CompileError: kernel.cu(1): error: no such thing'
    assert 'CompileError' in launcher.status() and 'pages of source' not in launcher.status()


@pytest.fixture
def launched(fresh: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a kernel is launched with; `failure` is what CuPy says to that, `capturing` whether a graph is recorded."""
    seen = SimpleNamespace(calls=[], failure=None, capturing=False)

    def kernel(grid: tuple[int], block: tuple[int], values: tuple[np.ndarray, ...], *, stream: Any) -> None:
        seen.calls.append((grid, block, values, stream.ptr))
        if seen.failure is not None:
            raise seen.failure

    module = SimpleNamespace(get_function=lambda name: SimpleNamespace(kernel=kernel))
    launcher._launcher.cupy = fake_cupy(module=lambda **keywords: module)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda device: SimpleNamespace(cuda_stream=0x700 + device))
    monkeypatch.setattr(torch.cuda, 'is_current_stream_capturing', lambda: seen.capturing)
    return seen


def test_a_kernel_gets_its_parameters_as_one_value_on_the_stream_of_torch(launched: Any):
    bias_act.bias_act(X, None, ACT)
    ((grid, block, (values,), stream),) = launched.calls
    assert (grid, block, stream) == ((1,), (256,), 0x700)
    assert values.size == 1 and values.dtype.kind == 'V' and values.itemsize == 72
    assert values.tobytes()[:8] == X.data_ptr().to_bytes(8, 'little')


def test_tensors_of_several_devices_are_refused_before_a_kernel_takes_their_addresses(launched: Any):
    with pytest.raises(ValueError, match=r"bias_act needs all tensors on one device, got \['cpu', 'meta'\]"):
        launcher.launch(bias_act.code_of(ACT, 0, half=False), 1, bytes(72), [X, X.to('meta')])
    assert not launched.calls


def test_too_little_memory_is_no_fault_of_the_kernel(launched: Any):
    launched.failure = CompileError('CUDA_ERROR_OUT_OF_MEMORY: out of memory')
    with pytest.raises(torch.OutOfMemoryError):
        bias_act.bias_act(X, None, ACT)
    launched.failure = None
    bias_act.bias_act(X, None, ACT)
    assert len(launched.calls) == 2 and not launcher._launcher.failed


def test_a_launch_that_cannot_be_recorded_is_no_fault_of_the_kernel(launched: Any):
    launched.failure, launched.capturing = CompileError('CUDA_ERROR_STREAM_CAPTURE_INVALIDATED'), True
    with pytest.raises(RuntimeError, match='bias_act could not be recorded'):
        dispatch.or_reference(bias_act.bias_act, bias_act_reference)(X, None, ACT)
    assert dispatch.remembering(bias_act.supports)(X, ACT) is None


def test_a_kernel_of_the_backward_pass_that_does_not_compile_fails_before_it_is_needed(fresh: None):
    broken_module.calls = 0
    launcher._launcher.cupy = fake_cupy(module=broken_module)
    x = X.clone().requires_grad_()
    spec = LreluSpec(2, 2, (3, 3, 3, 3), 1.4, 0.2, None, False, (4,), (4,), has_bias=False, needs_gradient=True)
    taps = torch.ones(4)
    call = dispatch.or_reference(filtered_lrelu.filtered_lrelu, filtered_lrelu.filtered_lrelu_torch)
    call(x, taps, taps, None, spec).sum().backward()
    assert x.grad is not None


def test_after_many_failures_no_kernel_is_tried(fresh: None):
    launcher._launcher.cupy = fake_cupy(module=broken_module)
    broken_module.calls = 0
    for index in range(8):
        with pytest.raises(launcher.LaunchFailed):
            launcher.prepare(KernelCode('bias_act', (('ACT', index),)), 0)
    reason = dispatch.remembering(bias_act.supports)(X, ACT)
    assert reason is not None and reason.startswith('too many CUDA kernels failed, the last one because: CompileError')


@pytest.mark.parametrize(
    ('changes', 'torch_cuda', 'sentence'),
    [
        ({'runtime': 12080}, '13.0', 'CuPy is for CUDA 12, but torch is for CUDA 13; pip install cupy-cuda13x instead'),
        ({'driver': 12040}, '13.0', 'the NVIDIA driver knows CUDA 12, but CuPy needs CUDA 13; update the driver'),
    ],
)
def test_what_does_not_fit_together_is_said_in_a_sentence(fresh: None, monkeypatch, changes, torch_cuda, sentence):
    monkeypatch.setitem(sys.modules, 'cupy', fake_cupy(**changes))
    monkeypatch.setattr('importlib.util.find_spec', lambda name: SimpleNamespace())
    monkeypatch.setattr(torch.version, 'cuda', torch_cuda)
    with pytest.raises(Unavailable, match=sentence):
        launcher.start()


def test_a_missing_and_a_broken_cupy_are_told_apart(fresh: None, monkeypatch, tmp_path):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(Unavailable, match=r'CuPy is not installed; pip install -r requirements-cuda\.txt brings it'):
        launcher.start()
    monkeypatch.undo()
    (tmp_path / 'cupy.py').write_text("raise ImportError('libnvrtc.so.13: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'cupy', raising=False)
    with pytest.raises(Unavailable, match=r'CuPy cannot be used \(ImportError: libnvrtc\.so\.13: cannot open'):
        launcher.start()


def test_the_backend_says_why_without_the_kind_of_exception(monkeypatch):
    registry = backend._Registry()
    monkeypatch.setattr(backend, '_registry', registry)
    monkeypatch.setattr(backend, '_MODULES', (('cuda', 'ops.cuda.offer'),))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(launcher, 'start', lambda: (_ for _ in ()).throw(Unavailable('CuPy is not installed')))
    monkeypatch.delitem(sys.modules, 'ops.cuda.offer', raising=False)
    assert backend.backends()['cuda'] == 'CuPy is not installed'


@pytest.mark.parametrize(
    ('version', 'failure', 'reason'),
    [
        (None, None, 'torch sees no NVIDIA GPU: it was built without CUDA'),
        (
            '13.0',
            'The NVIDIA driver on your system is too old\n(found version 11040).',
            '.*GPU: The NVIDIA driver .* 11040',
        ),
        ('13.0', None, 'torch sees no NVIDIA GPU$'),
    ],
)
def test_why_torch_sees_no_gpu(monkeypatch, version, failure, reason):
    def init() -> None:
        if failure is not None:
            raise RuntimeError(failure)

    monkeypatch.setattr(torch.version, 'cuda', version)
    monkeypatch.setattr(torch.cuda, 'init', init)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    found = backend._import('cuda', 'ops.cuda.offer')
    assert found is not None and re.match(reason, found) and '\n' not in found


def test_kernels_are_kept_in_memory_where_the_folder_cannot_be_written(fresh: None, monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('CUPY_CACHE_DIR', str(tmp_path / 'file' / 'cache'))
    monkeypatch.setenv('CUPY_CACHE_IN_MEMORY', '0')
    problem = launcher._choose_cache()
    assert problem is not None and problem.startswith('compiled CUDA kernels are not kept, so every start compiles')
    assert os.environ['CUPY_CACHE_IN_MEMORY'] == '1'
    monkeypatch.setenv('CUPY_CACHE_IN_MEMORY', '0')
    monkeypatch.setenv('CUPY_CACHE_DIR', str(tmp_path / 'cache'))
    assert launcher._choose_cache() is None and os.environ['CUPY_CACHE_IN_MEMORY'] == '0'


def test_the_notes_say_what_is_compiled_or_why_nothing_can_be(monkeypatch):
    monkeypatch.setattr(
        backend, 'backends', lambda: {'reference': 'ready', 'cpu': 'ready', 'cuda': 'CuPy is not installed'}
    )
    notes = backend.kernel_notes()
    assert notes['cuda'] == 'CuPy is not installed' and 'read from the disk' in notes['cpu']
    monkeypatch.setattr(backend, 'backends', lambda: {'reference': 'ready', 'cpu': 'broken', 'cuda': 'ready'})
    monkeypatch.setattr(launcher, '_launcher', launcher._Launcher(cache_problem='kernels are not kept (read-only)'))
    assert backend.kernel_notes() == {
        'cpu': 'broken',
        'cuda': '0 CUDA kernels loaded; kernels are not kept (read-only)',
    }

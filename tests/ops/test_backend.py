"""The dispatch: who runs, who declines, and what the user is told."""

import logging
import subprocess
import sys
import threading
import timeit
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ops import backend
from ops.backend import backends, implements, needs_gradient, note_usage, pick, report, use_backend
from ops.bias_act import bias_act
from ops.filtered_lrelu import filtered_lrelu
from ops.modulated_conv2d import modulated_conv2d
from ops.upfirdn2d import upfirdn2d

X = torch.zeros(1, 1, 4, 4)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Spec:
    size: int = 1


def named(name: str):
    def implementation(*tensors_and_spec: object) -> torch.Tensor:
        return torch.tensor(len(name))

    implementation.__qualname__ = name
    return implementation


def register(op: str, kind: backend.BackendName, name: str, reason: str | None = None, priority: int = 0):
    implements(op, kind, lambda x, spec: reason, priority)(named(name))


def chosen(op: str = 'blur') -> str:
    return pick(op, X, Spec()).__qualname__


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch):
    """An empty registry that loads no module, with the reference of one operator."""
    fresh = backend._Registry(loaded=True)
    monkeypatch.setattr(backend, '_registry', fresh)
    register('blur', 'reference', 'reference')
    return fresh


def test_the_reference_runs_when_there_is_nothing_else(registry):
    assert chosen() == 'reference'
    assert report() == {'blur': 'reference: there is no faster version for cpu tensors'}


def test_the_backend_of_the_tensors_device_runs_before_the_reference(registry):
    register('blur', 'cuda', 'cuda kernel')
    register('blur', 'cpu', 'cpu kernel')
    assert chosen() == 'cpu kernel'
    assert report() == {'blur': 'cpu'}


def test_plain_torch_runs_on_any_device_after_those_of_the_device_and_before_the_reference(registry):
    register('blur', 'torch', 'plain torch')
    register('blur', 'cuda', 'cuda kernel')
    assert chosen() == 'plain torch'
    register('blur', 'cpu', 'cpu kernel')
    assert chosen() == 'cpu kernel'
    with use_backend('torch', strict=True):
        assert chosen() == 'plain torch'
    with use_backend('reference'):
        assert chosen() == 'reference'


def test_the_higher_priority_is_asked_first_and_the_next_when_it_declines(registry):
    register('blur', 'cpu', 'wide', priority=1)
    register('blur', 'cpu', 'narrow', reason='needs 8 channels', priority=2)
    assert chosen() == 'wide'
    assert report()['blur'] == 'cpu: cpu declined (needs 8 channels)'


def test_noted_usage_tells_every_backends_share_of_an_operators_calls(registry):
    register('sharpen', 'cpu', 'other kernel')
    ready = False
    implements('blur', 'cpu', lambda x, spec: None if ready else 'still compiling')(named('cpu kernel'))
    pick('sharpen', X, Spec())
    with note_usage() as used:
        chosen()
        ready = True
        chosen(), chosen()
    chosen('sharpen')
    assert used.notes() == (
        'blur: cpu (2 of 3 calls)',
        'blur: reference (1 of 3 calls): cpu declined (still compiling)',
    )


def test_a_refusal_is_reported_and_logged_only_once(registry, caplog: pytest.LogCaptureFixture):
    register('blur', 'cpu', 'cpu kernel', reason='needs gradients')
    with caplog.at_level(logging.INFO, logger='ops.backend'):
        assert [chosen() for _ in range(5)] == ['reference'] * 5
    assert [record.getMessage() for record in caplog.records] == ['blur: the cpu backend declined: needs gradients']
    assert report() == {'blur': 'reference: cpu declined (needs gradients)'}


def test_a_backend_that_becomes_able_is_used_from_then_on(registry):
    ready = False
    implements('blur', 'cpu', lambda x, spec: None if ready else 'still compiling')(named('cpu kernel'))
    assert chosen() == 'reference'
    ready = True
    assert chosen() == 'cpu kernel'
    assert report() == {'blur': 'cpu'}


def test_inventing_reasons_for_ever_does_not_fill_the_memory(registry):
    count = iter(range(10_000))
    implements('blur', 'cpu', lambda x, spec: f'reason {next(count)}')(named('cpu kernel'))
    for _ in range(2000):
        chosen()
    assert len(registry.reasons) <= 256


def test_a_backend_can_be_chosen_for_a_block_even_when_the_block_fails(registry):
    register('blur', 'cpu', 'cpu kernel')
    with pytest.raises(ZeroDivisionError), use_backend('reference'):
        assert chosen() == 'reference'
        assert report()['blur'] == "reference: use_backend('reference')"
        raise ZeroDivisionError
    assert chosen() == 'cpu kernel'


def test_blocks_nest(registry):
    register('blur', 'cpu', 'cpu kernel')
    with use_backend('reference'):
        with use_backend('cpu'):
            assert chosen() == 'cpu kernel'
        assert chosen() == 'reference'


def test_the_choice_of_a_block_stays_in_its_thread(registry):
    register('blur', 'cpu', 'cpu kernel')
    seen = []
    with use_backend('reference'):
        thread = threading.Thread(target=lambda: seen.append(chosen()))
        thread.start()
        thread.join()
    assert seen == ['cpu kernel']


def test_a_chosen_backend_that_declines_gives_way_unless_strict(registry):
    register('blur', 'cpu', 'cpu kernel', reason='odd number of taps')
    with use_backend('cpu'):
        assert chosen() == 'reference'
    with use_backend('cpu', strict=True), pytest.raises(RuntimeError, match=r'on cpu only.*odd number of taps'):
        chosen()
    with use_backend('cuda', strict=True), pytest.raises(RuntimeError, match='on cuda only'):
        chosen()


def test_an_unknown_backend_is_answered_with_the_known_ones():
    with (
        pytest.raises(ValueError, match=r"no backend 'gpu'.*'reference', 'torch', 'cpu' or 'cuda'"),
        use_backend('gpu'),  # pyright: ignore[reportArgumentType]
    ):
        pass


def test_registering_again_replaces(registry):
    register('blur', 'reference', 'better reference')
    register('blur', 'cpu', 'cpu kernel', reason='broken')
    register('blur', 'cpu', 'cpu kernel')
    assert chosen() == 'cpu kernel'
    with use_backend('reference'):
        assert chosen() == 'better reference'
    assert len(registry.implementations['blur']) == 2


def test_a_backend_that_fails_to_start_is_remembered_with_its_reason(registry, monkeypatch, tmp_path, caplog):
    (tmp_path / 'broken_backend.py').write_text("raise OSError('no vector unit')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backend, '_MODULES', (('cpu', 'broken_backend'),))
    registry.loaded = False
    with caplog.at_level(logging.INFO, logger='ops.backend'):
        assert chosen() == chosen() == 'reference'
    assert len(caplog.records) == 1
    assert report() == {'blur': 'reference: cpu is not available (OSError: no vector unit)'}
    assert backends() == {'reference': 'ready', 'torch': 'ready', 'cpu': 'OSError: no vector unit'}


def test_a_backend_is_imported_at_the_first_call_and_registers_itself(registry, monkeypatch, tmp_path):
    (tmp_path / 'late_backend.py').write_text(
        "from ops.backend import implements\n@implements('blur', 'cpu')\ndef late(x, spec):\n    return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backend, '_MODULES', (('cpu', 'late_backend'),))
    registry.loaded = False
    assert 'late_backend' not in sys.modules
    assert chosen() == 'late'
    assert backends()['cpu'] == 'ready'


def test_a_version_without_the_module_says_so(registry, monkeypatch):
    monkeypatch.setattr(backend, '_MODULES', (('cpu', 'ops.no_such_backend'),))
    registry.loaded = False
    assert report() == {'blur': 'not used yet; can run on reference'}
    assert backends()['cpu'] == 'this version has no ops.no_such_backend'


def test_an_operator_nobody_registered_is_an_error(registry):
    with pytest.raises(LookupError, match="'sharpen' has no reference"):
        pick('sharpen', X, Spec())


def test_the_report_lists_every_operator_before_any_was_called():
    program = 'from ops.backend import report; print(sorted(report()), set(report().values()))'
    output = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert (
        "['add_upsampled', 'bias_act', 'classic_layer', 'conv2d', 'filtered_lrelu', 'fourier_features', 'modulated_conv2d', 'synthesis_layer', 'upfirdn2d']"
        in output
    )
    assert output.count('not used yet; can run on') >= 1


@pytest.mark.parametrize(
    ('op', 'call'),
    [
        ('upfirdn2d', lambda: upfirdn2d(X, None)),
        ('bias_act', lambda: bias_act(X)),
        ('filtered_lrelu', lambda: filtered_lrelu(X, None, None)),
        ('modulated_conv2d', lambda: modulated_conv2d(X, torch.zeros(1, 1, 1, 1), torch.zeros(1, 1))),
    ],
)
def test_the_public_operators_go_through_the_dispatch(registry, op: str, call):
    register(op, 'cpu', 'four')
    assert call().item() == 4
    assert report()[op] == 'cpu'


def test_a_gradient_is_needed_only_while_autograd_records():
    weight = torch.zeros(1, requires_grad=True)
    assert needs_gradient(None, X, weight)
    assert not needs_gradient(None, X)
    with torch.no_grad():
        assert not needs_gradient(weight)


def test_choosing_takes_less_than_15_microseconds(registry):
    register('blur', 'cpu', 'cpu kernel', reason='needs gradients')
    assert min(timeit.repeat(chosen, number=1000, repeat=7)) / 1000 < 15e-6

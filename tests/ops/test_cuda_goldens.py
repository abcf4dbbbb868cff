"""The stored goldens of the operators, gradients included, by the CUDA kernels: as PTX on the CPU (slow), and on a GPU."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from torch import Tensor

from ops import backend
from tests.golden import runner
from tests.golden.runner import Case, Handler
from tests.gpu import require_gpu
from tests.ops.emulated import emulated as emulated
from tests.test_golden import DATA

KINDS = ('bias_act', 'filtered_lrelu', 'upfirdn2d')


def failures(kind: str) -> list[str]:
    outcomes = list(runner.run_folder(DATA, kind))
    assert outcomes
    return [outcome.line() for outcome in outcomes if not outcome.passed]


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_the_goldens_agree_with_the_ptx_of_the_kernels(kind: str, emulated: None):
    assert failures(kind) == []
    assert backend.report()[kind] == 'cpu'


@pytest.mark.gpu
@pytest.mark.parametrize('kind', KINDS)
def test_the_goldens_agree_with_the_kernels_on_a_gpu(kind: str, monkeypatch: pytest.MonkeyPatch):
    device = require_gpu(kernels=True)
    handlers, schedules, broken = runner.load_handlers()

    def there(handler: Handler) -> Handler:
        def run(case: Case) -> Mapping[str, Tensor | None]:
            moved = {name: value.to(device) for name, value in case.inputs.items()}
            outputs = handler(replace(case, inputs=moved))
            return {name: None if value is None else value.cpu() for name, value in outputs.items()}

        return run

    moved = {name: there(handler) for name, handler in handlers.items()}
    monkeypatch.setattr(runner, 'load_handlers', lambda: (moved, schedules, broken))
    assert failures(kind) == []
    assert backend.report()[kind] == 'cuda'

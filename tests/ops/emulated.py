"""A fixture: the CUDA kernels in the place of the CPU's, run as PTX."""

import pytest

from ops import backend
from ops.backend import implements
from ops.bias_act import bias_act_reference
from ops.cuda import bias_act, dispatch, filtered_lrelu, launcher, upfirdn2d
from ops.filtered_lrelu import filtered_lrelu_reference
from ops.upfirdn2d import upfirdn2d_reference
from tests.ops import nvrtc, ptx_launch

KERNELS = (
    ('bias_act', bias_act, bias_act_reference),
    ('filtered_lrelu', filtered_lrelu, filtered_lrelu_reference),
    ('upfirdn2d', upfirdn2d, upfirdn2d_reference),
)


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators on CPU tensors run by the CUDA kernels where these support the call, else by the reference."""
    if nvrtc.library() is None:
        pytest.skip('there is no NVRTC for this system')
    backend.backends()
    known = backend._registry.implementations.items()
    registry = backend._Registry(loaded=True)
    registry.implementations = {op: [one for one in ranked if one.backend == 'reference'] for op, ranked in known}
    monkeypatch.setattr(backend, '_registry', registry)
    monkeypatch.setattr(dispatch, '_memory', dispatch._Memory())
    monkeypatch.setattr(launcher, 'launch', ptx_launch.launch)
    monkeypatch.setattr(launcher, 'prepare', ptx_launch.prepare)
    for op, module, reference in KERNELS:
        call = dispatch.or_reference(getattr(module, op), reference)
        implements(op, 'cpu', dispatch.remembering(module.supports))(call)

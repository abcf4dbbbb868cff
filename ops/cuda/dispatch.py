"""Offers the CUDA kernels to `ops.backend`. A kernel that fails is not tried again: the reference runs, and the reason is shown."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from ops.backend import implements
from ops.bias_act import bias_act_reference
from ops.cuda import bias_act, filtered_lrelu, launcher, upfirdn2d
from ops.filtered_lrelu import filtered_lrelu_torch
from ops.upfirdn2d import upfirdn2d_torch

_MAX_REMEMBERED = 1024
Supports = Callable[[Any], str | None]


@dataclass(slots=True)
class _Memory:
    """The one owner of why calls like those seen before cannot use kernels; by spec and type."""

    reasons: dict[object, str | None] = field(default_factory=dict)


_memory = _Memory()


def register() -> None:
    """Make the kernels known. Raises `ops.backend.Unavailable` where CuPy cannot launch any."""
    launcher.start()
    for op, call, reference, supports in (
        ('bias_act', bias_act.bias_act, bias_act_reference, bias_act.supports),
        ('filtered_lrelu', filtered_lrelu.filtered_lrelu, filtered_lrelu_torch, filtered_lrelu.supports),
        ('upfirdn2d', upfirdn2d.upfirdn2d, upfirdn2d_torch, upfirdn2d.supports),
    ):
        implements(op, 'cuda', remembering(supports))(or_reference(call, reference))


def remembering(supports: Supports) -> Callable[[Tensor, Any], str | None]:
    """Why kernels do not run a call; asked of `supports` once per spec."""

    def why_not(x: Tensor, spec: Any) -> str | None:
        if forward_ad._current_level >= 0:
            return 'its kernels have no forward derivatives'
        if type(x) not in (Tensor, Parameter):
            return f'its kernels take plain tensors, not a {type(x).__name__}'
        if x.dtype not in (torch.float16, torch.float32):
            return f'its kernels compute in float16 and float32, not {str(x.dtype).removeprefix("torch.")}'
        key = (spec, x.dtype)
        if key not in _memory.reasons:
            _remember(key, supports(spec))
        return _memory.reasons.get(key) or launcher.why_not()

    return why_not


def or_reference(call: Callable[..., Tensor], reference: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`call`, and `reference` where a kernel cannot be had: this once, and for calls with the same spec from then on."""

    def run(x: Tensor, *rest: Any) -> Tensor:
        try:
            return call(x, *rest)
        except launcher.LaunchFailed as failure:
            _remember((rest[-1], x.dtype), f'its kernel failed: {failure}')
            return reference(x, *rest)

    run.__qualname__ = call.__qualname__
    run.__module__ = call.__module__
    return run


def _remember(key: object, reason: str | None) -> None:
    if len(_memory.reasons) >= _MAX_REMEMBERED:
        _memory.reasons.pop(next(iter(_memory.reasons)))
    _memory.reasons[key] = reason

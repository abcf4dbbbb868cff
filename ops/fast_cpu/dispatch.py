"""Which fast CPU implementation runs a call."""

from typing import Any

import torch
from torch import Tensor

from ops.backend import implements
from ops.fast_cpu import polyphase


def register() -> None:
    """Offer the fast CPU implementations to `ops.backend`."""
    implements('filtered_lrelu', 'cpu', supports)(polyphase.filtered_lrelu)
    implements('upfirdn2d', 'cpu', supports)(polyphase.upfirdn2d)


def supports(x: Tensor, spec: Any) -> str | None:
    """None, or why the fast CPU implementations do not run this call."""
    if x.dtype not in (torch.float32, torch.float64):
        return f'it computes in float32 and float64, not {str(x.dtype).removeprefix("torch.")}'
    return None

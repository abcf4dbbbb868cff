"""Tests that need an NVIDIA GPU: skipped with a reason without one; with REQUIRE_GPU=1 that is a failure."""

import os

import pytest
import torch

from ops.backend import backends
from render.models import use_full_float32


def require_gpu(*, kernels: bool = False) -> torch.device:
    """The GPU, computing in full float32. `kernels`: and our kernels for it."""
    reason = None if torch.cuda.is_available() else f'no GPU: {backends()["cuda"]}'
    if reason is None and kernels and backends()['cuda'] != 'ready':
        reason = f'no CUDA kernels: {backends()["cuda"]}'
    if reason is None:
        use_full_float32()  # torch's convolutions would otherwise round to 10 bits
        return torch.device('cuda')
    if os.environ.get('REQUIRE_GPU') == '1':
        pytest.fail(reason)
    pytest.skip(reason)

"""Tests that need an NVIDIA GPU: skipped with a reason without one; with REQUIRE_GPU=1 that is a failure."""

import os

import pytest
import torch

from ops.backend import backends


def require_gpu(*, kernels: bool = False) -> torch.device:
    """The GPU. `kernels`: and our kernels for it."""
    reason = None if torch.cuda.is_available() else f'no GPU: {backends()["cuda"]}'
    if reason is None and kernels and backends()['cuda'] != 'ready':
        reason = f'no CUDA kernels: {backends()["cuda"]}'
    if reason is None:
        return torch.device('cuda')
    if os.environ.get('REQUIRE_GPU') == '1':
        pytest.fail(reason)
    pytest.skip(reason)

"""Importing this module registers the CUDA kernels, or raises `ops.backend.Unavailable` with the reason why it cannot."""

from ops.cuda.dispatch import register

register()

"""Importing this module registers the CPU backend."""

from ops.fast_cpu.dispatch import register

register()

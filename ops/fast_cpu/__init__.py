"""Fast CPU implementations; importing the package registers them."""

from ops.fast_cpu.dispatch import register

register()

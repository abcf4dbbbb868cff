"""CUDA implementations through CuPy and NVRTC; importing the package registers them, or says why they cannot be used."""

from ops.cuda.dispatch import register

register()

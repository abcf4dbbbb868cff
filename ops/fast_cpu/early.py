"""Kernels that are worth compiling before anybody asks: while torch is imported, half of the processor has nothing to do.

They are those of the bundled demo's picture, whose filters and convolutions are those of every StyleGAN3-T.
"""

from functools import partial

from ops.fast_cpu.filter_shape import FilterShape
from ops.fast_cpu.shapes import DenseShape, ModulationShape, ProductShape, Shape, WavesShape, WinogradShape


def shapes(*, wide: bool) -> tuple[Shape, ...]:
    """The kernels, those that take longest first.  `wide`: for a processor whose vectors hold 16 numbers; else 8."""
    lanes = 16 if wide else 8
    resample = partial(
        FilterShape, reach=6, down=2, taps=12, rank=1, mirrored=True, up_mirrored=True, nested=True, planar=False
    )
    convolutions = (WinogradShape(16, 12, 2), WinogradShape(8, 8, 3), WinogradShape(16, 12, 1))
    filters = [resample(lanes, up=2, skipped=0), resample(lanes, up=4, skipped=1)]
    if wide:
        filters.append(resample(8, up=2, skipped=0))
    else:
        convolutions = (WinogradShape(8, 6, 2), WinogradShape(8, 4, 3))
    products = (ProductShape(lanes, 12 if wide else 6, 2, False), ProductShape(4, 24 if wide else 12, 1, True))
    return *convolutions, *filters, *products, WavesShape(lanes), DenseShape(lanes), DenseShape(4), ModulationShape(8)

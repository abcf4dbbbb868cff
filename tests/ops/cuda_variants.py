"""Which variants of the CUDA kernels the networks use, found by running tiny copies of them on tensors without numbers."""

from collections.abc import Iterator

import torch

from networks.schedule import LayerRecord
from networks.stylegan3 import Generator
from ops.bias_act import ACTIVATIONS, ActSpec
from ops.cuda import bias_act, shapes, upfirdn2d
from ops.cuda.code import KernelCode
from ops.filtered_lrelu import LreluSpec
from ops.upfirdn2d import FirSpec

CONFIGURATIONS = {
    'T': {'conv_kernel': 3, 'use_radial_filters': False},
    'R': {'conv_kernel': 1, 'use_radial_filters': True},
}
SIDES = (256, 1024)


def variants(*, half: bool) -> list[KernelCode]:
    """Every variant for pictures and for training: of StyleGAN3-T and -R at 256 and 1024, of StyleGAN2, of every activation."""
    return list(dict.fromkeys([*_filtered_lrelu(half), *_upfirdn2d(half), *_bias_act(half)]))


def shapes_only(codes: list[KernelCode]) -> list[KernelCode]:
    """One of those that differ in nothing but their tiles."""
    return list({_without_tiles(code): code for code in codes}.values())


def _without_tiles(code: KernelCode) -> KernelCode:
    constants = tuple(pair for pair in code.constants if not pair[0].startswith('TILE'))
    return KernelCode(code.name, constants)


def _filtered_lrelu(half: bool) -> Iterator[KernelCode]:
    for options in CONFIGURATIONS.values():
        for side in SIDES:
            with torch.device('meta'):
                generator = Generator(8, 0, 8, side, 3, channel_base=1024, channel_max=8, **options)
            for record in generator.synthesis.schedule.layers:
                if record.up_taps > 1 or record.down_taps > 1:
                    yield from _layer(record, half)


def _layer(record: LayerRecord, half: bool) -> Iterator[KernelCode]:
    up, down = (() if f is None else tuple(f.shape) for f in (record.up_filter(), record.down_filter()))
    taps = [(shape[-1] if shape else 1) for shape in (up, down)]
    sides = record.padding(*taps)
    spec = LreluSpec(
        record.up_factor, record.down_factor, (*sides, *sides), 1.4, 0.2, 256, False, up, down, True, True
    )  # fmt: skip
    size = record.size_in + record.kernel - 1
    one = shapes.forward_pass((size, size), spec)
    assert one is not None and one.size_out == (record.size, record.size)
    yield shapes.code_of(one, 0, half=half)
    yield shapes.code_of(one, 1, half=half)
    yield shapes.code_of(one, 2, half=half)
    yield shapes.code_of(one.transposed(), 2, half=half)


def _upfirdn2d(half: bool) -> Iterator[KernelCode]:
    for up, down, padding in ((2, 1, (2, 1, 2, 1)), (1, 2, (1, 1, 1, 1)), (1, 1, (2, 2, 2, 2)), (1, 1, (1, 1, 1, 1))):
        spec = FirSpec((up, up), (down, down), padding, False, 4.0, (4,), True)
        step = upfirdn2d.resampling((256, 256), spec)
        assert step is not None
        yield upfirdn2d.code_of(step, half=half)
        yield upfirdn2d.code_of(step.transposed(), half=half)


def _bias_act(half: bool) -> Iterator[KernelCode]:
    for act in ACTIVATIONS:
        for order in (0, 1, 2):
            yield bias_act.code_of(ActSpec(1, act, 0.2, 1.0, None, True, True), order, half=half)

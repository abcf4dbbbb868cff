"""An affine map of vectors as one kernel: the styles of a layer. A job is a block of channels of one sample."""

from ops.fast_cpu.kernels.emit import Kernel
from ops.fast_cpu.shapes import DenseShape


def write(shape: DenseShape) -> str:
    """The kernel's text."""
    kernel = Kernel(shape.name, shape.lanes, DenseShape.fields)
    features, channels, blocks = (kernel.field(name) for name in ('features', 'channels', 'blocks'))
    sample, block = kernel.job // blocks, kernel.job % blocks
    channel = (block * shape.lanes).minimum(channels - shape.lanes)
    source = kernel.array('input').at(sample * kernel.field('input_sample'))
    rows = [kernel.array('weights').at((channel + lane) * features) for lane in range(shape.lanes)]
    sums = [kernel.slot(kernel.constant(0.0)) for _ in rows]
    with kernel.loop(features, step=shape.lanes) as start:
        values = source.load(start)
        for row, total in zip(rows, sums, strict=True):
            total.set(values.fma(row.load(start), total.get()))
    totals = kernel.transpose([total.get() for total in sums])  # lane i of each is a part of channel i
    while len(totals) > 1:
        totals = [one + other for one, other in zip(totals[::2], totals[1::2], strict=True)]
    bias = kernel.array('bias').load(channel) * kernel.number('bias_gain')
    target = kernel.array('output').at(sample * channels)
    target.store(totals[0].fma(kernel.number('weight_gain'), bias), channel)
    return kernel.finish()

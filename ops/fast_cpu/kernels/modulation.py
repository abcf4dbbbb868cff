"""What modulating and demodulating weights amounts to, as one kernel: factors of the input and of the output channels.

With styles s, s² their mean square over the whole batch, and p the sums of the squares of each filter: the input is scaled
by s times the gain, the output by 1 / sqrt(sum p s² + e s²). A job is one sample.
"""

from ops.fast_cpu.kernels.emit import Kernel
from ops.fast_cpu.shapes import ModulationShape

_EPSILON = 1e-8


def write(shape: ModulationShape) -> str:
    """The kernel's text."""
    kernel = Kernel(shape.name, shape.lanes, ModulationShape.fields)
    channels_in, channels_out = kernel.field('channels_in'), kernel.field('channels_out')
    offset = kernel.job * channels_in
    styles, factors = kernel.array('styles'), kernel.array('factors').at(offset)
    gain = kernel.array('gain').at(kernel.job * kernel.field('gain_sample'))
    with kernel.loop(channels_in, step=shape.lanes) as block:
        channel = block.minimum(channels_in - shape.lanes)
        factors.store(styles.load(offset + channel) * gain.gather(kernel.field('gain_channel'), channel), channel)

    total = kernel.slot(kernel.constant(0.0))  # the same number in every lane
    with kernel.loop(kernel.field('numbers')) as index:
        style = styles.splat(index)
        total.set(style.fma(style, total.get()))
    floor = total.get() * kernel.number('one_over_numbers') * kernel.constant(_EPSILON)

    power, scale = kernel.array('power'), kernel.array('scale').at(kernel.job * channels_out)
    with kernel.loop(channels_out, step=shape.lanes) as block:
        channel = block.minimum(channels_out - shape.lanes)
        squares = kernel.slot(floor)
        with kernel.loop(channels_in) as index:
            style = styles.splat(offset + index)
            squares.set((style * style).fma(power.load(index * channels_out + channel), squares.get()))
        scale.store(squares.get().reciprocal_root(), channel)
    return kernel.finish()

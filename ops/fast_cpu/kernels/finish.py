"""What follows a convolution in StyleGAN2's layers, in one pass: demodulation, noise, bias, leaky ReLU, gain, clamp.

A job is a segment of the rows of one sample.
"""

from collections.abc import Callable

from ops.fast_cpu.kernels.emit import Array, Int, Kernel, Vec
from ops.fast_cpu.shapes import FinishShape


def write(shape: FinishShape) -> str:
    """The kernel's text."""
    kernel = Kernel(shape.name, shape.lanes, FinishShape.fields)
    names = [name for name in FinishShape.fields if name not in ('slope', 'gain', 'clamp')]
    number = {name: kernel.field(name) for name in names}
    activated = activation(kernel)
    sample, first = kernel.job // number['segments'], kernel.job % number['segments'] * number['segment']
    source, target, noise = (
        kernel.array(name).at(sample * number[f'{name}_sample']) for name in ('input', 'output', 'noise')
    )
    scale, bias = kernel.array('scale').at(sample * number['channels']), kernel.array('bias')
    with kernel.loop((first + number['segment']).minimum(number['height']), start=first) as row:
        here, there, level = (
            array.at(row * number[f'{name}_row'])
            for name, array in (('input', source), ('output', target), ('noise', noise))
        )
        with kernel.loop(number['width']) as column:
            _pixel(
                kernel,
                number['channels'],
                here.at(column * number['input_pixel']),
                there.at(column * number['output_pixel']),
                (scale, bias, level.splat(column * number['noise_pixel'])),
                activated,
            )
    return kernel.finish()


def activation(kernel: Kernel) -> Callable[[Vec], Vec]:
    """Leaky ReLU, gain and clamp by the kernel's fields of these names; the slope must be from 0 to 1."""
    slope, gain, clamp = kernel.number('slope'), kernel.number('gain'), kernel.number('clamp')
    floor = kernel.constant(0.0) - clamp

    def activated(value: Vec) -> Vec:
        value = value.maximum(value * slope) * gain
        return value.minimum(clamp).maximum(floor)

    return activated


def _pixel(
    kernel: Kernel,
    channels: Int,
    source: Array,
    target: Array,
    parts: tuple[Array, Array, Vec],
    activated: Callable[[Vec], Vec],
) -> None:
    """All channels of a pixel.  `parts`: scale and bias of the channels, noise of the pixel."""
    scale, bias, noise = parts
    with kernel.loop(channels, step=kernel.lanes) as block:
        channel = block.minimum(channels - kernel.lanes)
        value = source.load(channel).fma(scale.load(channel), noise) + bias.load(channel)
        target.store(activated(value), channel)

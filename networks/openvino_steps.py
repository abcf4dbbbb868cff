"""The operations of OpenVINO's graphs that image generators use, in torch: inputs and attributes in, outputs out.

Numbers that say shapes are integers on the CPU, as in the file; any batch size runs, though files are made for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from networks.bad_file import BadFile, shown
from networks.files.limits import damaged, too_big
from networks.files.openvino_ir import Node

MAX_ELEMENTS = 1 << 28
"""Of any tensor of one picture (real: 2^24)."""
Step = Callable[[Node, Sequence[Tensor]], Sequence[Tensor]]


def run_step(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """The outputs of `node`, in the order of its ports. Raises `BadFile` for an unknown operation or unfit inputs."""
    step = _STEPS.get(node.kind)
    if step is None:
        raise BadFile('foreign', f'The file needs the operation {shown(node.kind)}, which is not known here.')
    return step(node, inputs)


def shape_of(values: Tensor) -> tuple[int, ...]:
    """The whole numbers in `values` as a shape. Raises `BadFile` beyond `MAX_ELEMENTS`."""
    shape = tuple(int(side) for side in values.flatten().tolist())
    if prod(max(side, 1) for side in shape) > MAX_ELEMENTS:
        raise too_big(f'a tensor of {shown(shape)} values')
    return shape


def _elementwise(function: Callable[[Tensor, Tensor], Tensor]) -> Step:
    def step(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        first, second = inputs
        return (function(first, second),)

    return step


def _sqrt(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return (inputs[0].sqrt(),)


def _prelu(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    features, slope = inputs
    return (F.prelu(features, slope.flatten()),)


def _matmul(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    first, second = inputs
    first = first.transpose(-1, -2) if node.attributes.get('transpose_a') == 'true' else first
    second = second.transpose(-1, -2) if node.attributes.get('transpose_b') == 'true' else second
    return (first @ second,)


def _reduce(function: Callable[..., Tensor]) -> Step:
    def step(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        keep = node.attributes.get('keep_dims') == 'true'
        return (function(inputs[0], dim=inputs[1].flatten().tolist(), keepdim=keep),)

    return step


# Shapes


def _shape(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return (torch.tensor(list(inputs[0].shape), dtype=torch.int64),)


def _gather(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    values, index, axis = inputs
    place = int(axis) % max(values.ndim, 1)
    picked = values.index_select(place, index.flatten().to(values.device, torch.int64))
    return (picked.reshape((*values.shape[:place], *index.shape, *values.shape[place + 1 :])),)


def _concat(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    (axis,) = node.whole_numbers('axis')
    return (torch.cat([one.to(inputs[-1].dtype) for one in inputs], axis),)


def _reshape(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    features, shape = inputs[0], shape_of(inputs[1])
    if node.attributes.get('special_zero') == 'true':
        shape = tuple(features.shape[place] if side == 0 else side for place, side in enumerate(shape))
    return (features.reshape(shape),)


def _unsqueeze(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    features, places = inputs
    for place in sorted(places.flatten().tolist()):
        features = features.unsqueeze(place)
    return (features,)


def _squeeze(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    features, places = inputs
    for place in sorted((place % features.ndim for place in places.flatten().tolist()), reverse=True):
        features = features.squeeze(place)
    return (features,)


def _broadcast(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return (inputs[0].expand(torch.broadcast_shapes(inputs[0].shape, shape_of(inputs[1]))),)


def _tile(_node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    features, repeats = inputs
    shape_of(torch.tensor([features.numel(), *repeats.flatten().tolist()]))
    return (features.repeat(repeats.flatten().tolist()),)


def _split(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    features, axis, sizes = inputs
    parts = torch.split(features, sizes.flatten().tolist(), int(axis))
    if len(parts) != len(node.ports):
        raise damaged(f'{node.name} yields {len(parts)} parts and names {len(node.ports)}')
    return parts


# Convolutions


def _window(node: Node) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Strides, padding, dilations. Raises `BadFile` for padding that differs from side to side."""
    begin, end = node.whole_numbers('pads_begin'), node.whole_numbers('pads_end')
    numbers = (*begin, *node.whole_numbers('strides'), *node.whole_numbers('dilations'))
    if (
        begin != end
        or node.attributes.get('auto_pad', 'explicit') != 'explicit'
        or not all(0 <= n < 64 for n in numbers)
    ):
        raise BadFile('foreign', f'The file pads {shown(node.name)} in a way that is not known here.')
    return node.whole_numbers('strides'), begin, node.whole_numbers('dilations')


def _convolution(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    strides, padding, dilations = _window(node)
    return (F.conv2d(inputs[0], inputs[1], None, strides, padding, dilations),)


def _group_convolution(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """The weight has the groups in front: [groups, out, in, height, width]."""
    weight = inputs[1]
    strides, padding, dilations = _window(node)
    return (F.conv2d(inputs[0], weight.flatten(0, 1), None, strides, padding, dilations, groups=weight.shape[0]),)


def _transposed_group_convolution(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """The weight has the groups in front: [groups, in, out, height, width]."""
    weight = inputs[1]
    strides, padding, dilations = _window(node)
    extra = node.whole_numbers('output_padding') or (0, 0)
    return (
        F.conv_transpose2d(
            inputs[0], weight.flatten(0, 1), None, strides, padding, extra, groups=weight.shape[0], dilation=dilations
        ),
    )


_STEPS: Mapping[str, Step] = MappingProxyType(
    {
        'Add': _elementwise(torch.add),
        'Subtract': _elementwise(torch.sub),
        'Multiply': _elementwise(torch.mul),
        'Divide': _elementwise(torch.div),
        'Power': _elementwise(torch.pow),
        'Maximum': _elementwise(torch.maximum),
        'Sqrt': _sqrt,
        'PReLU': _prelu,
        'MatMul': _matmul,
        'ReduceMean': _reduce(torch.mean),
        'ReduceSum': _reduce(torch.sum),
        'ShapeOf': _shape,
        'Gather': _gather,
        'Concat': _concat,
        'Reshape': _reshape,
        'Unsqueeze': _unsqueeze,
        'Squeeze': _squeeze,
        'Broadcast': _broadcast,
        'Tile': _tile,
        'VariadicSplit': _split,
        'Convolution': _convolution,
        'GroupConvolution': _group_convolution,
        'GroupConvolutionBackpropData': _transposed_group_convolution,
    }
)

"""Plain convolution behind the one dispatch, for layers that learn."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ops.backend import implements, needs_gradient, pick


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """Everything about one call except its tensors; usable as a key."""

    stride: int
    padding: tuple[int, int]
    """Rows above and below, columns left and right."""
    groups: int
    needs_gradient: bool


def conv2d(x: Tensor, w: Tensor, *, stride: int = 1, padding: tuple[int, int] = (0, 0), groups: int = 1) -> Tensor:
    """`torch.conv2d`, on the CPU with the channels of a pixel together where that is faster."""
    spec = ConvSpec(stride, padding, groups, needs_gradient(x, w))
    return pick('conv2d', x, spec)(x, w, spec)


@implements('conv2d', 'reference')
def conv2d_reference(x: Tensor, w: Tensor, spec: ConvSpec) -> Tensor:
    """Torch's own."""
    return torch.conv2d(x, w, stride=spec.stride, padding=spec.padding, groups=spec.groups)

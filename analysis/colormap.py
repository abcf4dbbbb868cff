"""Colour maps: 256 colours through a few anchors each."""

import torch
from torch import Tensor

_ANCHORS: dict[str, tuple[str, ...]] = {
    'gray': ('000000', 'ffffff'),
    'viridis': (
        '440154', '482878', '3e4989', '31688e', '26828e', '1f9e89', '35b779', '6ece58', 'b5de2b', 'fde725',
    ),
    'magma': (
        '000004', '180f3d', '440f76', '721f81', '9e2f7f', 'cd4071', 'f1605d', 'fd9668', 'feca8d', 'fcfdbf',
    ),
    'diverging': ('0b2f6b', '2f6db5', '8bbce0', 'f2f2f2', 'f0a582', 'c8413f', '6b0f24'),
}  # fmt: skip
"""Evenly spaced. 'viridis' and 'magma': published colours of the CC0 maps; 'diverging': the middle is zero."""


def colormap_names() -> tuple[str, ...]:
    """The maps that `colormap` knows."""
    return tuple(_ANCHORS)


def colormap(name: str) -> Tensor:
    """256 colours, [256, rgb] uint8, from the least value to the greatest."""
    if name not in _ANCHORS:
        raise ValueError(f'there is no colour map {name!r}; choose {", ".join(_ANCHORS)}')
    anchors = torch.tensor([list(bytes.fromhex(one)) for one in _ANCHORS[name]], dtype=torch.float64)
    position = torch.linspace(0, anchors.shape[0] - 1, 256, dtype=torch.float64)
    left = position.floor().long().clamp(max=anchors.shape[0] - 2)
    weight = (position - left)[:, None]
    colours = anchors[left] * (1 - weight) + anchors[left + 1] * weight
    return colours.round().to(torch.uint8)

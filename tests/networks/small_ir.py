"""Writes a tiny network in OpenVINO's format, as a person would by hand, and the same network in plain torch."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TYPES = {'float32': 'f32', 'int64': 'i64', 'float64': 'f64'}
ONE = {'strides': '1, 1', 'dilations': '1, 1', 'auto_pad': 'explicit'}


class Writer:
    """Collects steps; `write` makes the two files."""

    def __init__(self) -> None:
        self.layers: list[str] = []
        self.edges: list[str] = []
        self.data = b''

    def constant(self, value: np.ndarray, **changed: object) -> str:
        """A constant; `changed` attributes tell lies about it."""
        said = {
            'element_type': TYPES[str(value.dtype)],
            'shape': ', '.join(map(str, value.shape)),
            'offset': len(self.data),
            'size': value.nbytes,
            **changed,
        }
        self.data += value.tobytes()
        return self.step('Const', [], **said)

    def whole(self, *numbers: int) -> str:
        """A constant of whole numbers: a vector."""
        return self.constant(np.array(numbers, np.int64))

    def step(self, kind: str, inputs: list[str], **attributes: object) -> str:
        """A step with one output; `inputs` are the identities of other steps."""
        identity = str(len(self.layers))
        ports = ''.join(f'<port id="{place}"/>' for place in range(len(inputs)))
        said = ' '.join(f'{name}={quoteattr(str(value))}' for name, value in attributes.items())
        self.layers.append(
            f'<layer id="{identity}" name="{kind} {identity}" type="{kind}"><data {said}/>'
            f'<input>{ports}</input><output><port id="{len(inputs)}"/></output></layer>'
        )
        self.edges += [self.edge(before, identity, place) for place, before in enumerate(inputs)]
        return identity

    def edge(self, before: str, after: str, place: int) -> str:
        """From the only output of `before` to an input of `after`."""
        port = self.layers[int(before)].rpartition('<port id="')[2].partition('"')[0]
        return f'<edge from-layer="{before}" from-port="{port}" to-layer="{after}" to-port="{place}"/>'

    def xml(self, head: str = '') -> str:
        return (
            f'<?xml version="1.0"?>{head}<net name="small" version="10"><layers>{"".join(self.layers)}</layers>'
            f'<edges>{"".join(self.edges)}</edges></net>'
        )

    def write(self, path: Path, head: str = '') -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.xml(head))
        path.with_suffix('.bin').write_bytes(self.data)
        return path


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


STYLE, CONSTANT, KERNEL, NOISE = (
    numbers(0, 3, 4),
    numbers(1, 1, 3, 4, 4),
    numbers(2, 3, 3, 3, 3),
    numbers(3, 1, 1, 4, 4),
)
BIAS, ENLARGE, TO_RGB = numbers(4, 1, 3, 1, 1), numbers(5, 3, 1, 1, 2, 2), numbers(6, 3, 3, 1, 1)
SLOPE = np.array([0.2], np.float32)


def write_synthesis(path: Path) -> Path:
    """[1, 4] -> style -> constant · style, 3×3 convolution, noise map, bias, leaky ReLU, · style, twice as large, RGB."""
    out = Writer()
    latent = out.step('Parameter', [], shape='1, 4', element_type='f32')
    style = out.step('MatMul', [latent, out.constant(STYLE)], transpose_a='false', transpose_b='true')
    batch = out.step('Gather', [out.step('ShapeOf', [latent]), out.whole(0), out.constant(np.array(0, np.int64))])
    shape = out.step('Concat', [batch, out.whole(3), out.whole(1), out.whole(1)], axis='0')
    style = out.step('Reshape', [style, shape], special_zero='true')
    x = out.step('Multiply', [out.constant(CONSTANT), style])
    x = out.step('Convolution', [x, out.constant(KERNEL)], **ONE, pads_begin='1, 1', pads_end='1, 1')
    x = out.step('Add', [x, out.constant(NOISE)])
    x = out.step('Add', [x, out.constant(BIAS)])
    activated = out.step('PReLU', [x, out.constant(SLOPE)])
    x = out.step('Multiply', [activated, style])
    sides = [_side(out, activated, place) for place in (2, 3)]
    x = out.step('Reshape', [x, out.step('Concat', [batch, out.whole(3), *sides], axis='0')], special_zero='true')
    window = {**ONE, 'strides': '2, 2', 'pads_begin': '0, 0', 'pads_end': '0, 0', 'output_padding': '0, 0'}
    x = out.step('GroupConvolutionBackpropData', [x, out.constant(ENLARGE)], **window)
    x = out.step('Convolution', [x, out.constant(TO_RGB)], **ONE, pads_begin='0, 0', pads_end='0, 0')
    out.step('Result', [x])
    return out.write(path)


def _side(out: Writer, tensor: str, place: int) -> str:
    """One side of a tensor's shape, asked for where another tensor than the one in hand has it."""
    return out.step('Gather', [out.step('ShapeOf', [tensor]), out.whole(place), out.constant(np.array(0, np.int64))])


def write_mapping(path: Path) -> Path:
    """w = z / 2."""
    out = Writer()
    z = out.step('Parameter', [], shape='1, 4', element_type='f32')
    out.step('Result', [out.step('Multiply', [z, out.constant(np.array([[0.5]], np.float32))])])
    return out.write(path)


def expected_picture(w: Tensor, noise: Tensor | None = None) -> Tensor:
    """What `write_synthesis` describes, written out."""
    style = (w @ torch.from_numpy(STYLE).T)[:, :, None, None]
    x = F.conv2d(torch.from_numpy(CONSTANT) * style, torch.from_numpy(KERNEL), padding=1)
    x = x + (torch.from_numpy(NOISE) if noise is None else noise)
    x = F.leaky_relu(x + torch.from_numpy(BIAS), 0.2) * style
    x = F.conv_transpose2d(x, torch.from_numpy(ENLARGE)[:, 0], stride=2, groups=3)
    return F.conv2d(x, torch.from_numpy(TO_RGB))


def install(folder: Path) -> None:
    """Into `folder`, what pip would leave of the package random-face; importing it is a mistake."""
    write_mapping(folder / 'random_face/data/MappingNetwork.xml')
    write_synthesis(folder / 'random_face/data/SynthesisNetwork.xml')
    (folder / 'random_face/__init__.py').write_text('raise RuntimeError("imported")')
    record = folder / 'random_face-1.2.dist-info'
    record.mkdir()
    (record / 'METADATA').write_text('Metadata-Version: 2.1\nName: random-face\nVersion: 1.2\n')

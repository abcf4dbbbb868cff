"""Where pictures lie: a folder with all below it, or a ZIP. Names, sizes and bytes; nothing is decoded here."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from training.errors import TrainingError

SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp', '.bmp', '.tif', '.tiff', '.gif')
"""Of what is taken for a picture. Formats that are programs (EPS, PDF) are not among them."""
MAX_BYTES = 256 << 20
"""Of one picture's file."""
LABELS_FILE = 'dataset.json'
_MAX_LABELS_BYTES = 256 << 20
READ_ERRORS = (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error)
"""What zipfile raises for damaged, encrypted or unknown entries."""


class PictureFiles:
    """The pictures below a folder, or in a ZIP; close it when done, or use it in a `with`. Safe for several threads."""

    def __init__(self, path: Path, *, suffixes: tuple[str, ...] = SUFFIXES) -> None:
        """Raises `TrainingError` when there is neither a folder nor a readable ZIP at `path`."""
        self.path = path
        self._zip = None if path.is_dir() else _opened(path)
        found = _names_in_folder(path) if self._zip is None else _names_in_zip(self._zip)
        self.names = tuple(sorted(name for name in found if name.lower().endswith(suffixes)))
        """Pictures, as paths with forward slashes, in alphabetical order."""
        self.others = tuple(sorted(name for name in found if not name.lower().endswith(suffixes)))
        """All other files."""

    def __enter__(self) -> 'PictureFiles':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._zip is not None:
            self._zip.close()

    def __getstate__(self) -> dict[str, Any]:
        """For a worker process, which opens the file again."""
        return {'path': self.path, 'names': self.names, 'others': self.others}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._zip = None if self.path.is_dir() else _opened(self.path)

    def open(self, name: str) -> IO[bytes]:
        """One file, to read as much of it as is wanted. Raises `OSError` with a readable reason, when reading too."""
        try:
            return (self.path / name).open('rb') if self._zip is None else self._zip.open(name)
        except READ_ERRORS as error:
            raise OSError(_reason(error)) from error

    def read(self, name: str) -> bytes:
        """The bytes of one file. Raises `OSError` with a readable reason."""
        return self._read(name, MAX_BYTES)

    def labels(self) -> dict[str, int] | None:
        """The whole-number label of each file that dataset.json names; None without one, or with none in it.

        Raises `TrainingError` when the file cannot be understood.
        """
        if LABELS_FILE not in self.others:
            return None
        try:
            rows = json.loads(self._read(LABELS_FILE, _MAX_LABELS_BYTES))['labels']
            return None if rows is None else {str(name): _whole(label) for name, label in rows}
        except (KeyError, TypeError, ValueError, OSError, RecursionError) as error:
            raise TrainingError(
                f'{LABELS_FILE} in {self.path.name} has no whole-number label for each image ({error!r}); '
                'correct it, or remove it to go without classes.'
            ) from error

    def _read(self, name: str, limit: int) -> bytes:
        try:
            with self.open(name) as file:
                data = file.read(limit + 1)
        except READ_ERRORS as error:
            raise OSError(_reason(error)) from error
        if len(data) > limit:
            raise OSError(f'it has more than {limit >> 20} MB')
        return data


def _reason(error: BaseException) -> str:
    return getattr(error, 'strerror', None) or str(error) or type(error).__name__


def _whole(label: Any) -> int:
    if isinstance(label, bool) or not isinstance(label, int):
        raise TypeError(f'label {label!r}')
    return label


def _names_in_folder(folder: Path) -> list[str]:
    """Files below `folder`, hidden ones left out; links to folders are not followed."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith('.')]
        below = Path(root).relative_to(folder)
        found += [(below / name).as_posix() for name in files if not name.startswith('.')]
    return found


def _names_in_zip(archive: zipfile.ZipFile) -> list[str]:
    """Files in the archive; what operating systems hide in there is left out."""
    return [
        entry.filename
        for entry in archive.infolist()
        if not entry.is_dir()
        and not any(part.startswith('.') or part == '__MACOSX' for part in PurePosixPath(entry.filename).parts)
    ]


def _opened(path: Path) -> zipfile.ZipFile:
    if not path.exists():
        raise TrainingError(f'There is no file {path}; give a ZIP or a folder of images.')
    try:
        return zipfile.ZipFile(path)
    except PermissionError as error:
        raise TrainingError(f'{path.name} may not be read ({error.strerror}); change its permissions.') from error
    except READ_ERRORS as error:
        raise TrainingError(
            f'{path.name} cannot be read as a ZIP ({error}); it may be cut short: copy or make it again.'
        ) from error


def classes_from_folders(names: tuple[str, ...]) -> Mapping[str, str] | None:
    """Class name of each picture, from the first folders that differ; None when folders do not tell classes.

    Folders whose names are all numbers of one length (00000, 00001, …) only divide a large set.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    depth = 0
    while folders and all(len(parts) > depth for parts in folders) and len({parts[depth] for parts in folders}) == 1:
        depth += 1
    if not folders or any(len(parts) <= depth for parts in folders):
        return None
    found = {name: parts[depth] for name, parts in zip(names, folders, strict=True)}
    kinds = set(found.values())
    only_numbers = all(kind.isdigit() for kind in kinds) and len({len(kind) for kind in kinds}) == 1
    is_division = only_numbers and len(next(iter(kinds))) > 3
    return None if is_division else found

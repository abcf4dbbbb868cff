"""Writing a file so that a crash at any instant leaves the old one or the new one, never a torn one."""

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_CHUNK_BYTES = 8 << 20
_RENAME_ATTEMPTS = 5
_RENAME_PAUSE_SECONDS = 0.05


def write_atomically(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write `pieces` one after another to `path`, replacing what is there only when all is on the disk.

    Temporary file in the same folder, fsync, rename, fsync of the folder. Raises OSError; then, as when `pieces`
    raises, the temporary file is gone and the old file untouched.
    """
    target = Path(os.path.realpath(path))  # through a link, not over it
    temporary = target.with_name(f'.{target.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.tmp')
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, 'O_BINARY', 0) | getattr(os, 'O_CLOEXEC', 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            for piece in pieces:
                _write_all(descriptor, memoryview(piece).cast('B'))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _rename(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def replaced_when_complete(path: Path) -> Iterator[Path]:
    """A temporary file's path to write to with whatever library; it replaces `path` when the block ends well.

    Same folder, fsync, rename, fsync of the folder. If the block raises, the temporary file is gone and the old one untouched.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f'.{target.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.tmp')
    try:
        yield temporary
        with temporary.open('rb+') as file:
            os.fsync(file.fileno())
        _rename(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        written = os.write(descriptor, data[:_CHUNK_BYTES])
        data = data[written:]


def _rename(source: Path, target: Path) -> None:
    """Rename; on Windows again if a virus scanner holds the file for a moment."""
    for attempt in range(_RENAME_ATTEMPTS):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if os.name != 'nt' or attempt == _RENAME_ATTEMPTS - 1:
                raise
            time.sleep(_RENAME_PAUSE_SECONDS * (attempt + 1))


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable. Windows has no such call."""
    if os.name == 'nt':
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, 'O_DIRECTORY', 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

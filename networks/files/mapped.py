"""A user's file as bytes in memory, without reading it all."""

import contextlib
import errno
import hashlib
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from networks.bad_file import BadFile
from networks.files.limits import LIMITS

Progress = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and what is being done; may raise to stop."""

_HASH_CHUNK_BYTES = 16 << 20


@contextlib.contextmanager
def mapped_file(path: Path) -> Iterator[memoryview]:
    """The contents of the regular file at `path`, read-only. Raises BadFile when it cannot be read.

    The view must not be kept after the block.
    """
    # Without blocking: a pipe of that name would otherwise wait for a writer for ever.
    flags = os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0) | getattr(os, 'O_CLOEXEC', 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise unreadable(error, path) from None
    try:
        view = _map(descriptor)
    except OSError as error:
        raise unreadable(error, path) from None
    finally:
        os.close(descriptor)
    try:
        yield view
    finally:
        # The traceback of an error may still hold a slice; then the map goes when that does.
        with contextlib.suppress(BufferError):
            view.release()


def _map(descriptor: int) -> memoryview:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise BadFile('folder', 'The file is a folder; open a model in it.')
    if not stat.S_ISREG(status.st_mode):
        raise BadFile('not-a-file', 'The file is not a regular file; open a snapshot (.pkl) or a .safetensors model.')
    if status.st_size == 0:
        raise BadFile('empty', 'The file is empty; download or copy it again.')
    if status.st_size > LIMITS.file_bytes:
        raise BadFile('too-big', f'The file has {status.st_size} bytes; the limit is {LIMITS.file_bytes}.')
    return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))


def unreadable(error: OSError | ValueError, path: Path) -> BadFile:
    """The BadFile for an error of the operating system while opening the file at `path`."""
    number = getattr(error, 'errno', None)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return BadFile('missing', 'The file does not exist; check the path.')
    if number == errno.EISDIR or (number == errno.EACCES and path.is_dir()):  # the latter on Windows
        return BadFile('folder', 'The file is a folder; open a model in it.')
    if number in (errno.EACCES, errno.EPERM):
        return BadFile('no-access', 'The file may not be read by this user; change its permissions.')
    reason = getattr(error, 'strerror', None) or str(error)
    return BadFile('unreadable', f'The file cannot be read ({reason}); check the path and the disk.')


def sha256_of(data: memoryview, on_progress: Callable[[float], None] | None = None) -> str:
    """SHA-256 of `data` in hexadecimal. `on_progress` gets the fraction done."""
    digest = hashlib.sha256()
    for start in range(0, len(data), _HASH_CHUNK_BYTES):
        if on_progress is not None:
            on_progress(start / len(data))
        with data[start : start + _HASH_CHUNK_BYTES] as chunk:
            digest.update(chunk)
    return digest.hexdigest()

"""One training at a time in a run's folder: a lock that the system releases when the process ends, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import TrainingError

LOCK_NAME = '.lock'


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` inside the block. Raises `TrainingError` when another process holds it."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise TrainingError(
            f'The run in {folder} cannot be written ({error.strerror or error}); '
            'get the right to write there, or choose another --out.'
        ) from error
    try:
        if not _try_to_lock(descriptor):
            raise TrainingError(
                f'Another process trains in {folder} at this moment; wait for it, end it, or choose another --out.'
            )
        yield
    finally:
        os.close(descriptor)  # and so releases the lock


def _try_to_lock(descriptor: int) -> bool:
    if os.name == 'nt':
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: nothing can be told, so nothing is refused
    return True

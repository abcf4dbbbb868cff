"""Machine code of kernels on the disk, so that it is compiled once per machine and version.

A file holds a SHA-256 of its content, then the content. It is machine code that will run, so the folder must belong to the user and be
writable by nobody else. Every problem is a sentence for the caller to show; the program then compiles again at every start.
"""

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

CACHE_VARIABLE = 'ALIASSCOPE_CACHE'
_KEPT = 256
"""Files; the oldest go first."""
_MAX_BYTES = 2**22
"""Of one file: a hundred times what a kernel takes."""


def folder() -> Path:
    """Where the files are: below $ALIASSCOPE_CACHE or the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named) / 'kernels'
    if sys.platform == 'win32':
        base = Path(os.environ.get('LOCALAPPDATA') or Path.home() / 'AppData' / 'Local')
    elif sys.platform == 'darwin':
        base = Path.home() / 'Library' / 'Caches'
    else:
        base = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return base / 'aliasscope' / 'kernels'


def is_empty() -> bool:
    """Whether no kernel was kept yet, or none can be."""
    try:
        return not any(folder().iterdir())
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return True


def key_of(machine: str, name: str) -> str:
    """Name of the file of kernel `name` for `machine`; another version of our sources has another name."""
    return f'{name}-{hashlib.sha256(f"{machine}|{_sources()}|{name}".encode()).hexdigest()[:24]}'


def read(key: str) -> tuple[bytes | None, str | None]:
    """The machine code, or None, and what is wrong with the cache, if something is."""
    try:
        path = folder() / key
        problem = _unsafe(path.parent)
        if problem is not None or not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return None, problem
        content = path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        return None, f'compiled kernels cannot be read from the disk ({error})'
    digest, code = content[:32], content[32:]
    return (code if hashlib.sha256(code).digest() == digest else None), None


def write(key: str, code: bytes) -> str | None:
    """Keep machine code; None, or why that did not work. A reader never sees half a file."""
    try:
        place = folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        problem = _unsafe(place)
        if problem is not None:
            return problem
        _put(place / key, hashlib.sha256(code).digest() + code)
        _prune(place)
    except (OSError, RuntimeError) as error:
        return f'compiled kernels are not kept, so every start compiles them again ({error})'
    return None


def _put(path: Path, content: bytes) -> None:
    """Write a file in one go; where that fails, nothing is left of it. Raises `OSError`."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix='.new-')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _unsafe(place: Path) -> str | None:
    """Why code from `place` must not run; None if it may or the folder is not there yet."""
    if not place.exists() or not hasattr(os, 'getuid'):
        return None
    about = place.stat()
    if about.st_uid == os.getuid() and not about.st_mode & 0o022:
        return None
    return f'compiled kernels are not kept, because others may write to {place}'


def _prune(place: Path) -> None:
    """Remove the files that were made first, once there are too many."""
    ages: dict[Path, float] = {}
    for path in filter(Path.is_file, place.iterdir()):
        with suppress(FileNotFoundError):  # another process has just given it its name, or removed it
            ages[path] = path.stat().st_mtime
    for path in sorted(ages, key=lambda path: ages[path])[:-_KEPT]:
        path.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _sources() -> str:
    """A digest of the sources that write kernels and fill in their arguments."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob('*.py')):
        digest.update(path.read_bytes())
    return digest.hexdigest()

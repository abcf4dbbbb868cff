"""PNG and MP4 files that carry the session which made them: drop one on the window to return to it."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from networks.bad_file import BadFile, shown
from networks.files.atomic import write_atomically
from render.session import CaptureState, Session, WindowState
from render.session_file import MAX_BYTES, session_from_bytes, session_text

KEYWORD = 'aliasscope session'
_PNG = b'\x89PNG\r\n\x1a\n'
_MAX_PARTS = 4096
"""Chunks of a PNG, or boxes of an MP4, that are looked at."""
_COMMENT = b'\xa9cmt'
_CONTAINERS = (b'moov', b'udta', b'meta', b'ilst', _COMMENT)


def shared_text(session: Session) -> str:
    """`session` as JSON for a file that goes to others: without folders, window and recent files."""
    capture = replace(session.capture, folder=CaptureState().folder)
    return session_text(replace(session, capture=capture, window=WindowState(), recent=(), follow=None))


def save_png(path: Path | str, image: np.ndarray, text: str = '') -> None:
    """Write `image` [height, width, 3 or 4] uint8 to `path` with the session `text` in it. Raises `BadFile`.

    The folder is made if it is missing. An alpha of 255 everywhere is left out.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    if image.shape[-1] == 4 and bool((image[..., 3] == 255).all()):
        image = image[..., :3]
    information = PngInfo()
    if text:
        information.add_itxt(KEYWORD, text)
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(data, 'PNG', pnginfo=information)
    write_file(Path(path), data.getvalue())


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically, making its folder. Raises `BadFile`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [data])
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise BadFile('cannot-write', f'{shown(path)} cannot be written ({reason}); choose another folder.') from None


def load_carried_session(path: Path | str) -> tuple[Session, tuple[str, ...]]:
    """The session inside a PNG or MP4, and remarks on what in it was not used. Raises `BadFile`.

    Only the place of the session is read; no pixel is decoded.
    """
    path = Path(path)
    try:
        with open(path, 'rb') as file:
            text = _carried_text(file)
        if text is None:
            raise BadFile('no-session', 'The file is a picture without a session, so there is nothing to open in it.')
        return session_from_bytes(text)
    except BadFile as error:
        raise error.named(path.name) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise BadFile('unreadable', f'{shown(path.name)} cannot be read ({shown(reason)}); check the path.') from None


def _carried_text(file: BinaryIO) -> bytes | None:
    head = file.read(12)
    file.seek(0)
    if head.startswith(_PNG):
        return _text_of_png(file)
    if head[4:8] == b'ftyp':
        return _text_of_mp4(file)
    raise BadFile('no-picture', 'The file is neither a PNG nor an MP4; open one that this program wrote.')


def _text_of_png(file: BinaryIO) -> bytes | None:
    """The text of our iTXt chunk (PNG, third edition, 11.3.3.4), which stands before the pixels."""
    file.seek(len(_PNG))
    for _ in range(_MAX_PARTS):
        header = file.read(8)
        if len(header) < 8:
            return None
        length, kind = struct.unpack('>I4s', header)
        if kind in (b'IDAT', b'IEND'):
            return None
        if kind != b'iTXt' or length > MAX_BYTES:
            file.seek(length + 4, os.SEEK_CUR)
            continue
        data, checksum = file.read(length), file.read(4)
        keyword, _, rest = data.partition(b'\0')
        if keyword != KEYWORD.encode('latin-1'):
            continue
        if struct.pack('>I', zlib.crc32(kind + data)) != checksum:
            raise BadFile('damaged', 'The file is damaged where its session stands; get it again.')
        if rest[:1] != b'\0':
            raise BadFile('compressed', 'The file was changed by another program, which packed its session.')
        return rest[2:].split(b'\0', 2)[-1]  # after the flags: language, translated keyword, text
    return None


def _text_of_mp4(file: BinaryIO) -> bytes | None:
    """The comment in moov/udta/meta/ilst (ISO 14496-12 boxes), which we filled with the session."""
    end = file.seek(0, os.SEEK_END)
    budget = iter(range(_MAX_PARTS))
    start = 0
    for wanted in _CONTAINERS:
        found = next((box for box in _boxes(file, start, end, budget) if box[0] == wanted), None)
        if found is None:
            return None
        _, start, end = found
        if wanted == b'meta':
            start += 4  # version and flags
    data = next((box for box in _boxes(file, start, end, budget) if box[0] == b'data'), None)
    if data is None or data[2] - data[1] > MAX_BYTES:
        return None
    file.seek(data[1] + 8)  # type and locale
    text = file.read(data[2] - data[1] - 8)
    return text if text.lstrip().startswith(b'{') else None


def _boxes(file: BinaryIO, start: int, end: int, budget: Iterator[int]) -> Iterator[tuple[bytes, int, int]]:
    """(kind, first byte of the content, end) of the boxes between two places, as long as `budget` lasts."""
    while start + 8 <= end and next(budget, None) is not None:
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        size, kind = struct.unpack('>I4s', header[:8])
        content = start + 8
        if size == 1 and len(header) == 16:
            size, content = struct.unpack('>Q', header[8:])[0], start + 16
        stop = end if size == 0 else start + size
        if stop > end or stop < content:
            return
        yield kind, content, stop
        start = stop

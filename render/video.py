"""MP4 clips: H.264 through the ffmpeg that imageio brings, written beside the target and moved there when complete."""

import contextlib
import os
import secrets
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from networks.bad_file import BadFile, shown

MAX_TEXT_BYTES = 100_000
"""Of what a clip carries: it travels on a command line."""
LEAST_PIXELS = 256
"""Of the shorter side of a clip: smaller pictures are repeated by a whole factor, so that players show their pixels."""
_CRF = 16
"""Constant quality of H.264: smaller is better, 16 is hard to tell from the original."""


class ClipWriter:
    """Takes pictures of one size and makes a clip of them. Use as a context manager; without `finish` nothing is left."""

    def __init__(self, path: Path, frames_per_second: int, text: str = ''):
        """`text`: goes into the comment of the file. Raises `BadFile` when nothing can be written there."""
        if len(text.encode('utf-8')) > MAX_TEXT_BYTES:
            raise ValueError(f'the session is larger than {MAX_TEXT_BYTES} bytes, too large for a clip.')
        self.path = path
        self.frames = 0
        self._rate = frames_per_second
        self._text = text
        self._temporary = path.with_name(f'.{path.stem[:80]}.{os.getpid()}-{secrets.token_hex(4)}.tmp.mp4')
        self._sink: Generator[None, Any, None] | None = None
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> 'ClipWriter':
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        with contextlib.suppress(OSError):
            self._temporary.unlink()

    def add(self, image: np.ndarray) -> None:
        """One more frame, [height, width, 3 or 4] uint8; alpha is blended with black, small pictures are enlarged."""
        frame = _even(_enlarged(_opaque(image)))
        size = (frame.shape[1], frame.shape[0])
        sink = self._sink or self._start(size)
        if size != self._size:
            raise ValueError(f'frame {self.frames} is {size}, but the clip is {self._size}.')
        try:
            sink.send(frame)
        except OSError as error:
            raise self._failed(error) from error
        self.frames += 1

    def finish(self) -> None:
        """Complete the file and move it to its place."""
        self._close()
        try:
            os.replace(self._temporary, self.path)
        except OSError as error:
            raise self._failed(error) from error

    def _start(self, size: tuple[int, int]) -> Generator[None, Any, None]:
        try:
            from imageio_ffmpeg import write_frames
        except ImportError as error:
            raise BadFile('no-ffmpeg', f'Clips need imageio[ffmpeg] ({error}); install requirements.txt.') from error
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._temporary, 'wb'):
                pass  # ffmpeg would only say that its pipe broke
        except OSError as error:
            raise self._failed(error) from error
        comment = ['-metadata', f'comment={self._text}'] if self._text else []
        sink = write_frames(
            str(self._temporary),
            size,
            fps=self._rate,
            codec='libx264',
            pix_fmt_in='rgb24',
            pix_fmt_out='yuv420p',
            macro_block_size=2,
            ffmpeg_log_level='error',
            output_params=['-crf', str(_CRF), '-movflags', '+faststart', *comment],
        )
        sink.send(None)
        self._sink, self._size = sink, size
        return sink

    def _close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _failed(self, error: OSError) -> BadFile:
        reason = error.strerror or str(error)
        return BadFile('cannot-write', f'{shown(self.path)} cannot be written ({reason}); choose another folder.')


def _opaque(image: np.ndarray) -> np.ndarray:
    """[height, width, rgb]; what is transparent becomes black."""
    if image.shape[-1] == 3:
        return image
    return np.where(image[..., 3:] > 0, image[..., :3], np.uint8(0))


def _enlarged(image: np.ndarray) -> np.ndarray:
    """The picture with every pixel repeated so often that its shorter side has `LEAST_PIXELS` or more."""
    factor = -(-LEAST_PIXELS // min(image.shape[:2]))
    return image if factor <= 1 else image.repeat(factor, axis=0).repeat(factor, axis=1)


def _even(image: np.ndarray) -> np.ndarray:
    """With the last row and column repeated where their count is odd: H.264 halves the resolution of colour."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
    return np.ascontiguousarray(padded)

"""One picture's bytes to square RGB pixels: upright, without transparency, resized without aliasing."""

import io
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

Crop = Literal['centre', 'pad', 'stretch']
FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP', 'TIFF', 'GIF')
"""What may be decoded; never a format that is a program, whatever the file's name says."""
_REDUCING_GAP = 3.0
"""Pillow may shrink by a whole factor first, down to three times the wanted size: no difference can be seen."""
_TRANSPARENT = ('RGBA', 'LA', 'PA', 'La', 'RGBa')
DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, MemoryError, OverflowError, Image.DecompressionBombError)


class Unusable(Exception):
    """A picture is left out. Its text is the reason, without the name: 'smaller than 64 pixels'."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture ready to be stored."""

    pixels: np.ndarray
    """[side, side, 3] uint8."""
    changes: tuple[str, ...]
    """What was done to it beside cropping and resizing: 'turned upright (EXIF)', …"""


def to_square(
    data: bytes, side: int, *, crop: Crop = 'centre', background: str = 'white', enlarge: bool = False
) -> Decoded:
    """The picture in `data`, `side` pixels wide and high. Raises `Unusable`.

    `crop`: 'centre' keeps the largest square in the middle, 'pad' keeps all and adds bars of `background`, 'stretch'
    keeps all and distorts.  `background` also lies behind transparent pictures.  `enlarge`: allow pictures smaller than `side`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', Image.DecompressionBombWarning)
            warnings.filterwarnings('ignore', category=UserWarning)  # odd metadata; the pixels decide
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                opened.load()
                picture, changes = _upright_rgb(opened, background)
    except UnidentifiedImageError:
        raise Unusable('no picture, or of an unknown format') from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unusable('more pixels than a picture should have') from None
    except DECODE_ERRORS as error:
        raise Unusable(f'damaged ({_short(error)})') from None
    if not enlarge and (min(picture.size) if crop == 'centre' else max(picture.size)) < side:
        raise Unusable(f'smaller than {side} pixels')
    return Decoded(np.asarray(_square(picture, side, crop, background)), changes)


def _upright_rgb(picture: Image.Image, background: str) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture in mode RGB, and what had to be done for it."""
    changes = []
    if getattr(picture, 'n_frames', 1) > 1:
        changes.append('first frame of an animation')
    if picture.getexif().get(0x0112, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
        changes.append('turned upright (EXIF)')
    if picture.mode in ('I', 'F') or picture.mode.startswith('I;16'):
        picture = _from_deep(picture)
        changes.append('16 bits reduced to 8')
    if picture.mode in _TRANSPARENT or 'transparency' in picture.info:
        return _on_background(picture.convert('RGBA'), background), (*changes, f'transparent, laid on {background}')
    if picture.mode in ('1', 'L'):
        changes.append('grey made RGB')
    elif picture.mode in ('CMYK', 'YCCK'):
        changes.append('CMYK made RGB without a colour profile')
    return picture.convert('RGB'), tuple(changes)


def _from_deep(picture: Image.Image) -> Image.Image:
    """A picture of 16-bit greys as 8-bit greys."""
    values = np.asarray(picture)
    if picture.mode == 'F' or values.min() < 0 or values.max() > 65535:
        raise Unusable('pixels of an unknown range (32 bits)')
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))


def _on_background(picture: Image.Image, background: str) -> Image.Image:
    ground = Image.new('RGBA', picture.size, background)
    return Image.alpha_composite(ground, picture).convert('RGB')


def _square(picture: Image.Image, side: int, crop: Crop, background: str) -> Image.Image:
    width, height = picture.size
    if crop == 'pad':
        longest = max(width, height)
        inner = (max(round(width * side / longest), 1), max(round(height * side / longest), 1))
        square = Image.new('RGB', (side, side), background)
        shrunk = _resized(picture, inner, (0, 0, width, height))
        square.paste(shrunk, ((side - inner[0]) // 2, (side - inner[1]) // 2))
        return square
    if crop == 'stretch':
        return _resized(picture, (side, side), (0, 0, width, height))
    cut = min(width, height)
    left, top = (width - cut) // 2, (height - cut) // 2
    return _resized(picture, (side, side), (left, top, left + cut, top + cut))


def _resized(picture: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """The part `box` of the picture at `size`; Lanczos over the area that a new pixel covers, so nothing folds over."""
    if size == (box[2] - box[0], box[3] - box[1]):
        return picture.crop(box)
    return picture.resize(size, Image.Resampling.LANCZOS, box, _REDUCING_GAP)


def _short(error: BaseException) -> str:
    words = str(error).strip().split('\n')[0]
    return words[:120] or type(error).__name__

"""Pictures on the graphics card, for imgui to draw.

Enlarged pixels stay sharp squares (`nearest`) or are blended (`linear`); reduced pictures are averaged through
mipmaps, because skipping pixels would add just the aliasing that this program is about.
"""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from imgui_bundle import imgui

from gui_utils.opengl import GL

Filter = Literal['nearest', 'linear']
Paint = Callable[[np.ndarray], np.ndarray]
Upload = Callable[[np.ndarray, int], bool]
"""Fills an OpenGL texture, whose storage fits, with these pixels in its own way; False: it has none, upload them."""


def _by_opengl(pixels: np.ndarray, texture: int) -> bool:
    return False


class Texture:
    """One picture on the graphics card. Needs the window's OpenGL context, for every method."""

    def __init__(self, *, filter: Filter = 'nearest', upload: Upload = _by_opengl) -> None:
        """`upload` is asked first, for pictures of the size that the texture already has."""
        self._name = int(GL.glGenTextures(1))
        self._upload = upload
        self._size = (0, 0)  # height, width
        self._filter: Filter | None = None
        self._reduced_is_current = False
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._name)
        for axis in (GL.GL_TEXTURE_WRAP_S, GL.GL_TEXTURE_WRAP_T):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, axis, GL.GL_CLAMP_TO_EDGE)
        GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR)
        self.set_filter(filter)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels; zeros before the first `update`."""
        return self._size

    def set_filter(self, filter: Filter) -> None:
        """Show enlarged pixels as squares ('nearest') or blended ('linear')."""
        if filter != self._filter:
            self._filter = filter
            GL.glBindTexture(GL.GL_TEXTURE_2D, self._require())
            value = GL.GL_NEAREST if filter == 'nearest' else GL.GL_LINEAR
            GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MAG_FILTER, value)

    def update(self, pixels: np.ndarray) -> None:
        """Replace the picture. `pixels`: [height, width, 4 or 3] uint8, C-contiguous; three channels upload slower.

        The array may be changed as soon as this returns. Raises ValueError for anything else than the above.
        """
        check_pixels(pixels)
        height, width, channels = pixels.shape
        layout = GL.GL_RGBA if channels == 4 else GL.GL_RGB
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._require())
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)  # rows of three channels need not fill whole words
        if (height, width) == self._size and channels == 4 and self._upload(pixels, self._name):
            pass
        elif (height, width) == self._size:
            GL.glTexSubImage2D(GL.GL_TEXTURE_2D, 0, 0, 0, width, height, layout, GL.GL_UNSIGNED_BYTE, pixels)
        else:
            GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA8, width, height, 0, layout, GL.GL_UNSIGNED_BYTE, pixels)
            self._size = (height, width)
        self._reduced_is_current = False
        GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR)

    @property
    def ref(self) -> imgui.ImTextureRef:
        """What imgui draws. Meant for a picture shown at its size or larger; else see `ref_at`."""
        return imgui.ImTextureRef(self._require())

    def ref_at(self, shown_width: float) -> imgui.ImTextureRef:
        """What imgui draws when the picture is to be `shown_width` screen pixels wide.

        The reduced copies of a picture are only computed if it is shown reduced, once per `update`.
        """
        if shown_width < self._size[1] and not self._reduced_is_current:
            GL.glBindTexture(GL.GL_TEXTURE_2D, self._require())
            GL.glGenerateMipmap(GL.GL_TEXTURE_2D)
            GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR_MIPMAP_LINEAR)
            self._reduced_is_current = True
        return imgui.ImTextureRef(self._require())

    def delete(self) -> None:
        """Give the memory on the graphics card back. A second call does nothing."""
        if self._name:
            GL.glDeleteTextures(1, [self._name])
            self._name = 0

    def _require(self) -> int:
        if not self._name:
            raise RuntimeError('This texture was deleted: make a new one.')
        return self._name


class Textures(abc.ABC):
    """Where panels get pictures drawn; tests of panels without a graphics card give them another one."""

    @abc.abstractmethod
    def show(
        self,
        key: str,
        source: np.ndarray,
        *,
        paint: Paint | None = None,
        variant: Hashable = None,
        shown_width: float | None = None,
        filter: Filter = 'nearest',
    ) -> imgui.ImTextureRef:
        """What imgui draws for `source`: [height, width, 4 or 3] uint8, or anything that `paint` turns into that.

        `key` names the place where it is shown. It is painted and uploaded again only if `source` is another array,
        or `variant` another value, than the last time for this key; do not change an array after showing it.
        `shown_width`: in screen pixels; None if not smaller than the picture.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    texture: Texture
    source: np.ndarray
    variant: Hashable


class TexturePool(Textures):
    """At most `capacity` textures, by name; the one not shown for the longest time goes first."""

    def __init__(self, capacity: int = 64, *, upload: Upload = _by_opengl) -> None:
        """`upload`: see `Texture`."""
        self._capacity, self._upload = capacity, upload
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def show(
        self,
        key: str,
        source: np.ndarray,
        *,
        paint: Paint | None = None,
        variant: Hashable = None,
        shown_width: float | None = None,
        filter: Filter = 'nearest',
    ) -> imgui.ImTextureRef:
        entry = self._entries.get(key)
        if entry is None or entry.source is not source or entry.variant != variant:
            texture = self._make_room_for_one() if entry is None else entry.texture
            entry = self._entries[key] = _Entry(texture, source, variant)
            texture.update(source if paint is None else paint(source))
        self._entries.move_to_end(key)
        entry.texture.set_filter(filter)
        return entry.texture.ref if shown_width is None else entry.texture.ref_at(shown_width)

    def _make_room_for_one(self) -> Texture:
        while len(self._entries) >= self._capacity:
            _, oldest = self._entries.popitem(last=False)
            oldest.texture.delete()
        return Texture(upload=self._upload)

    def close(self) -> None:
        for entry in self._entries.values():
            entry.texture.delete()
        self._entries.clear()


def count_textures(names: int = 4096) -> int:
    """How many textures OpenGL holds among its first `names` names, imgui's and ours: for finding leaks."""
    return sum(bool(GL.glIsTexture(name)) for name in range(1, names + 1))


def check_pixels(pixels: np.ndarray) -> None:
    """Raise ValueError unless `pixels` can be shown: [height, width, 3 or 4] uint8, C-contiguous."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or 0 in pixels.shape:
        raise ValueError(
            f'A texture takes [height, width, 3 or 4] uint8, got {tuple(pixels.shape)} {pixels.dtype}: convert it first.'
        )
    if not pixels.flags.c_contiguous:
        raise ValueError(
            f'A texture takes C-contiguous pixels, got strides {pixels.strides} for {tuple(pixels.shape)}: use np.ascontiguousarray.'
        )

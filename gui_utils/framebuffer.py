"""An off-screen picture that OpenGL draws into: what makes on-screen and headless frames the same bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from gui_utils.opengl import GL


class Framebuffer:
    """One RGBA8 picture. A null-platform window has no usable surface, and a shown front buffer cannot be read back."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = (0, 0)
        self._texture = int(GL.glGenTextures(1))
        self._frame = int(GL.glGenFramebuffers(1))
        self.resize(size)

    def resize(self, size: tuple[int, int]) -> None:
        """Allocate `size` pixels, if that is a change; raises RuntimeError where the driver cannot."""
        size = (max(size[0], 1), max(size[1], 1))
        if size == self.size:
            return
        limit = int(GL.glGetIntegerv(GL.GL_MAX_TEXTURE_SIZE))
        if max(size) > limit:
            raise RuntimeError(
                f'A window of {size[0]}x{size[1]} pixels is more than this graphics driver draws ({limit}): ask for less.'
            )
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._texture)
        GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_NEAREST)
        GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MAG_FILTER, GL.GL_NEAREST)
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA8, *size, 0, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, None)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, GL.GL_TEXTURE_2D, self._texture, 0)
        status: Any = GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER)
        if status != GL.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError(f'OpenGL cannot draw into {size[0]}x{size[1]} RGBA8 pixels (status {status:#x}).')
        self.size = size

    def begin(self, background: tuple[float, float, float]) -> None:
        """Make this the target of drawing, filled with one colour."""
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glViewport(0, 0, *self.size)
        GL.glDisable(GL.GL_SCISSOR_TEST)
        GL.glClearColor(*background, 1.0)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT)

    def show(self, screen_size: tuple[int, int]) -> None:
        """Copy to the screen's buffer, one pixel to one pixel, top left corners together."""
        width, height = min(self.size[0], screen_size[0]), min(self.size[1], screen_size[1])
        source, target = self.size[1], screen_size[1]
        GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self._frame)
        GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, 0)
        GL.glDisable(GL.GL_SCISSOR_TEST)
        GL.glBlitFramebuffer(
            0, source - height, width, source, 0, target - height, width, target, GL.GL_COLOR_BUFFER_BIT, GL.GL_NEAREST
        )

    def pixels(self) -> np.ndarray:
        """What was drawn: [height, width, 3] uint8, top row first."""
        width, height = self.size
        rgba = np.empty((height, width, 4), np.uint8)  # four channels: three would make the driver repack
        GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self._frame)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        GL.glReadPixels(0, 0, width, height, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, rgba)
        return np.ascontiguousarray(rgba[::-1, :, :3])

    def delete(self) -> None:
        """Give the memory back."""
        GL.glDeleteFramebuffers(1, [self._frame])
        GL.glDeleteTextures(1, [self._texture])

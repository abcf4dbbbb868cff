"""Which part of a convolution's result the filter after it reads: layers that crop need not convolve what they drop."""

from dataclasses import dataclass, replace

from torch import Tensor

from ops.filtered_lrelu import LreluSpec


@dataclass(frozen=True, slots=True)
class Window:
    """Rows and columns of a picture."""

    top: int
    height: int
    left: int
    width: int

    def of(self, picture: Tensor) -> Tensor:
        """The window of [batch, channels, height, width]."""
        return picture[:, :, self.top : self.top + self.height, self.left : self.left + self.width]

    def whole_rows(self, width: int) -> 'Window':
        """All columns of its rows."""
        return Window(self.top, self.height, 0, width)

    def moved(self, spec: LreluSpec, height: int, width: int) -> LreluSpec:
        """`spec` for the window alone, where it was for the whole picture of `height` and `width`."""
        left, right, top, bottom = spec.padding
        right += spec.up * (width - self.left - self.width)
        bottom += spec.up * (height - self.top - self.height)
        padding = (left + spec.up * self.left, right, top + spec.up * self.top, bottom)
        return spec if padding == spec.padding else replace(spec, padding=padding)


def whole(height: int, width: int) -> Window:
    """All of a picture."""
    return Window(0, height, 0, width)


def window_read(
    height: int, width: int, up_filter: Tensor | None, down_filter: Tensor | None, spec: LreluSpec
) -> Window:
    """What a filtered leaky ReLU reads of a picture of `height` and `width`."""
    left, right, top, bottom = spec.padding
    up_shape, down_shape = ((1,) if f is None else tuple(f.shape) for f in (up_filter, down_filter))
    first_y, last_y = _read(height, (top, bottom), (up_shape[0], down_shape[0]), spec)
    first_x, last_x = _read(width, (left, right), (up_shape[-1], down_shape[-1]), spec)
    return Window(first_y, last_y - first_y + 1, first_x, last_x - first_x + 1)


def _read(size: int, padding: tuple[int, int], taps: tuple[int, int], spec: LreluSpec) -> tuple[int, int]:
    """First and last sample read along an axis; all of them where nothing would be left."""
    before, after = padding
    more = sum(taps) - 2
    steps = (size * spec.up + before + after - more - 1) // spec.down
    first = max(0, -(before // spec.up))
    last = min(size - 1, (steps * spec.down + more - before) // spec.up)
    return (first, last) if steps >= 0 and first <= last else (0, size - 1)

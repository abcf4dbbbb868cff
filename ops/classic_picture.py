"""How StyleGAN2's pictures grow from rate to rate: what is there so far, doubled, plus what a layer adds (2020, Fig. 7 b)."""

from dataclasses import dataclass

from torch import Tensor

from ops.backend import implements, needs_gradient, pick
from ops.upfirdn2d import upsample2d


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """Everything about one call except its tensors; usable as a key."""

    channels: int
    filter_shape: tuple[int, ...]
    needs_gradient: bool


def add_upsampled(picture: Tensor, own: Tensor, f: Tensor) -> Tensor:
    """`own` + `upsample2d(picture, f)`.

    `picture`: [batch, channels, height, width].  `own`: [batch, channels, 2 * height, 2 * width].  `f`: as for `upsample2d`.
    """
    spec = PictureSpec(picture.shape[1], tuple(f.shape), needs_gradient(picture, own, f))
    return pick('add_upsampled', picture, spec)(picture, own, f, spec)


@implements('add_upsampled', 'reference')
def add_upsampled_reference(picture: Tensor, own: Tensor, f: Tensor, spec: PictureSpec) -> Tensor:
    """The definition."""
    return upsample2d(picture, f) + own

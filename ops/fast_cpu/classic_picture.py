"""StyleGAN2's pictures by a compiled kernel: float32, no gradients, four channels or fewer."""

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from ops.classic_picture import PictureSpec, add_upsampled_reference
from ops.fast_cpu import library
from ops.fast_cpu.classic import MOST_TAPS, taps_of_two_results
from ops.fast_cpu.geometry import segment_rows
from ops.fast_cpu.shapes import PictureShape
from ops.fast_cpu.threads import run

_LANES = 4
"""Numbers that a pixel has in the kernel."""
_SHAPE = PictureShape(_LANES)


def supports(x: Tensor, spec: PictureSpec) -> str | None:
    """None, or why the kernel does not run this call."""
    if spec.needs_gradient or forward_ad._current_level >= 0:
        return 'gradients are asked for'
    if type(x) not in (Tensor, Parameter):
        return f'its kernel takes plain tensors, not a {type(x).__name__}'
    if x.dtype != torch.float32:
        return f'its kernel computes in float32, not {str(x.dtype).removeprefix("torch.")}'
    if not 0 < max(spec.filter_shape, default=0) <= MOST_TAPS or spec.channels > _LANES:
        return f'its kernel is for filters of at most {MOST_TAPS} taps and at most {_LANES} channels'
    return library.why_not(_SHAPE)


def add_upsampled(picture: Tensor, own: Tensor, f: Tensor, spec: PictureSpec) -> Tensor:
    """`ops.add_upsampled` by its kernel."""
    batch, channels, height, width = picture.shape
    taps, kernel = taps_of_two_results(f), library.get(_SHAPE)
    fits = own.shape == (batch, channels, 2 * height, 2 * width) and own.dtype == picture.dtype and picture.numel() > 0
    if taps is None or kernel is None or not fits:
        return add_upsampled_reference(picture, own, f, spec)
    picture, own = _in_fours(picture), _in_fours(own)
    out = torch.empty(batch, 2 * height, 2 * width, _LANES).permute(0, 3, 1, 2)
    segments, segment = segment_rows(height, batch, torch.get_num_threads())
    fields = [picture.data_ptr(), own.data_ptr(), out.data_ptr(), taps.data_ptr(), taps.data_ptr() + 4 * MOST_TAPS]
    for one in (picture, own, out):
        fields += [one.stride(0), one.stride(2)]
    fields += [height, width, segments, segment]
    run(kernel, batch * segments, _SHAPE.scratch_floats(width), fields)
    return out[:, :channels]


def _in_fours(picture: Tensor) -> Tensor:
    """The picture with room for four numbers in every pixel: as it is where it has that."""
    sample, channel, row, pixel = picture.stride()
    batch, channels, height, width = picture.shape
    end = picture.storage_offset() + (batch - 1) * sample + (height - 1) * row + width * pixel
    if channel == 1 and pixel == _LANES and 4 * end <= picture.untyped_storage().nbytes():
        return picture
    room = picture.new_zeros(batch, height, width, _LANES)
    room[..., :channels] = picture.permute(0, 2, 3, 1)
    return room.permute(0, 3, 1, 2)

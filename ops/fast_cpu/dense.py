"""Styles as affine maps of latents, by their kernel."""

import torch
from torch import Tensor
from torch.nn import Parameter

from ops.fast_cpu import library
from ops.fast_cpu.shapes import DenseShape
from ops.fast_cpu.threads import float_bits, run
from ops.styles import LatentStyles


def is_plain(one: Tensor) -> bool:
    """Whether kernels can read a tensor as numbers one after the other."""
    return one.dtype is torch.float32 and one.is_cpu and one.is_contiguous() and type(one) in (Tensor, Parameter)


def latent_key(styles: LatentStyles) -> tuple[object, ...] | None:
    """What decides about the kernel's arguments besides addresses; None where it cannot compute the styles."""
    latent, weight, bias, *gains = styles
    if not is_plain(weight) or not is_plain(bias) or latent.dtype is not torch.float32 or not latent.is_cpu:
        return None
    sizes = weight.shape
    if latent.ndim != 2 or latent.shape[1:] != sizes[1:] or bias.shape != sizes[:1] or latent.stride(1) != 1:
        return None
    return sizes, latent.shape[0], latent.stride(0), *gains


def styles_by_kernel(styles: LatentStyles) -> Tensor | None:
    """The styles [batch, channels]; None where the kernel cannot compute them now."""
    latent, weight, bias = styles.latent, styles.weight, styles.bias
    lanes = 0 if latent_key(styles) is None else _lanes(*weight.shape)
    kernel = library.get(DenseShape(lanes)) if lanes else None
    if kernel is None:
        return None
    samples, (channels, features) = latent.shape[0], weight.shape
    out, blocks = torch.empty(samples, channels), -(-channels // lanes)
    fields = [latent.data_ptr(), weight.data_ptr(), bias.data_ptr(), out.data_ptr(), latent.stride(0)]
    fields += [features, channels, blocks, float_bits(styles.weight_gain), float_bits(styles.bias_gain)]
    run(kernel, samples * blocks, 0, fields)
    return out


def _lanes(channels: int, features: int) -> int:
    """Numbers in a vector of the kernel; 0 = it has none for these sizes."""
    widest = 16 if library.has_wide_vectors() else 8
    return next((one for one in (16, 8, 4) if one <= min(widest, channels) and features % one == 0), 0)

"""`ops.fourier_features` by kernels: the affine map of the latent, the waves, and a product for each pixel."""

from functools import lru_cache
from math import sqrt

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from ops.fast_cpu import blocks, library
from ops.fast_cpu.convolution import multiply_pixels, prepared_weight
from ops.fast_cpu.dense import styles_by_kernel
from ops.fast_cpu.shapes import ProductShape, WavesShape
from ops.fast_cpu.threads import float_bits, run, workspace
from ops.fourier_features import WaveSpec, fourier_features_reference
from ops.styles import LatentStyles

_FEWEST_CHANNELS = 4
_FEWEST_PIXELS = 24
_STILL = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
"""Neither turned nor shifted."""


def supports(freqs: Tensor, spec: WaveSpec) -> str | None:
    """None, or why compiled kernels do not run this call."""
    if spec.needs_gradient or forward_ad._current_level >= 0:
        return 'gradients are asked for'
    if type(freqs) not in (Tensor, Parameter) or freqs.dtype != torch.float32:
        return 'its kernels take plain tensors of float32'
    if freqs.shape[0] < _FEWEST_CHANNELS or spec.width * spec.height < _FEWEST_PIXELS:
        return f'its kernels need {_FEWEST_CHANNELS} channels and {_FEWEST_PIXELS} pixels'
    return library.why_not(_shape(freqs.shape[0]))


def fourier_features(
    motion: Tensor | LatentStyles | None,
    transform: Tensor,
    freqs: Tensor,
    phases: Tensor,
    weight: Tensor,
    spec: WaveSpec,
) -> Tensor:
    """The features, the channels of a pixel together."""
    channels, plain = freqs.shape[0], all(one.dtype == torch.float32 for one in (transform, freqs, phases, weight))
    prepared = prepared_weight(weight, demodulate=False, activated=False) if plain else None
    shape = _shape(channels)
    product = None if prepared is None or prepared.shape is None else library.get(prepared.shape)
    kernel = library.get(shape)
    if prepared is None or product is None or kernel is None or not isinstance(prepared.shape, ProductShape):
        return fourier_features_reference(motion, transform, freqs, phases, weight, spec)
    moved = _STILL if motion is None else _moved(motion)
    transform, freqs, phases = transform.contiguous(), freqs.contiguous(), phases.contiguous()
    samples, pixels = moved.shape[0], spec.width * spec.height
    waves = workspace(samples * pixels * channels)
    fields = [moved.data_ptr(), transform.data_ptr(), freqs.data_ptr(), phases.data_ptr(), waves.data_ptr()]
    fields += [moved.stride(0), channels, spec.width, spec.height, *_numbers(spec)]
    run(kernel, samples * spec.height, 0, fields)
    waves = waves.view(samples, spec.height, spec.width, channels).permute(0, 3, 1, 2)
    room = prepared.values.shape[0] * prepared.shape.panel
    out = blocks.result((samples * pixels * room,), (1,), samples * pixels * room)
    return multiply_pixels(waves, prepared, _factors(samples, channels), product, out)


def _moved(motion: Tensor | LatentStyles) -> Tensor:
    """[batch, 4]."""
    made = None
    if isinstance(motion, LatentStyles):
        made = styles_by_kernel(motion)
        motion = motion.compute() if made is None else made
    return motion.to(torch.float32).contiguous()


def _shape(channels: int) -> WavesShape:
    widest = 16 if library.has_wide_vectors() else 8
    return WavesShape(max(lanes for lanes in (4, 8, 16) if lanes <= min(channels, widest)))


@lru_cache(maxsize=64)
def _numbers(spec: WaveSpec) -> tuple[int, ...]:
    """The kernel's last fields."""
    values = (spec.width / 2 - 0.5, spec.height / 2 - 0.5, 1 / spec.rate, spec.bandwidth, 1 / spec.room)
    return tuple(float_bits(value) for value in values)


@lru_cache(maxsize=64)
def _factors(samples: int, channels: int) -> Tensor:
    with torch.inference_mode(False):
        return torch.full((samples, channels), 1 / sqrt(channels))

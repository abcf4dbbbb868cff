"""`ops.fourier_features` by kernels: the affine map of the latent, the waves, and a product for each pixel."""

from functools import lru_cache
from math import sqrt

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from ops.fast_cpu import blocks, library, recorded
from ops.fast_cpu.convolution import PreparedWeight, fewest_pixels, multiply_pixels, prepared_weight
from ops.fast_cpu.dense import is_plain, latent_key, styles_by_kernel
from ops.fast_cpu.recorded import FirstRun
from ops.fast_cpu.shapes import ProductShape, WavesShape
from ops.fast_cpu.threads import float_bits, recording, run, workspace
from ops.fourier_features import WaveSpec, fourier_features_reference
from ops.styles import LatentStyles

_FEWEST_CHANNELS = 4
STILL = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
"""Neither turned nor shifted."""


def supports(freqs: Tensor, spec: WaveSpec) -> str | None:
    """None, or why compiled kernels do not run this call."""
    if spec.needs_gradient or forward_ad._current_level >= 0:
        return 'gradients are asked for'
    if type(freqs) not in (Tensor, Parameter) or freqs.dtype != torch.float32:
        return 'its kernels take plain tensors of float32'
    channels = freqs.shape[0]
    if channels < _FEWEST_CHANNELS:
        return f'its kernels need {_FEWEST_CHANNELS} channels'
    if spec.width * spec.height < (fewest := fewest_pixels(channels, channels)):
        return f'its kernels need {fewest} pixels for {channels} channels'
    return library.why_not(_shape(channels))


def fourier_features(
    motion: Tensor | LatentStyles | None,
    transform: Tensor,
    freqs: Tensor,
    phases: Tensor,
    weight: Tensor,
    spec: WaveSpec,
) -> Tensor:
    """The features, the channels of a pixel together."""
    moved = STILL if motion is None else motion
    key = _key(moved, transform, freqs, phases, spec)
    program = None if key is None else recorded.find(weight, key)
    if program is not None and key is not None:
        return program.run((*_given(moved, by_kernel=program.origin == 'latents'), transform, freqs, phases))
    asked = library.asked()
    prepared = prepared_weight(weight, demodulate=False, activated=False) if weight.dtype == torch.float32 else None
    product = None if prepared is None or prepared.shape is None else library.get(prepared.shape)
    kernel = library.get(_shape(freqs.shape[0]))
    if key is None or prepared is None or product is None or kernel is None:
        return fourier_features_reference(motion, transform, freqs, phases, weight, spec)
    factors = _factors(_samples(moved), freqs.shape[0])
    with recording() as steps:
        (known,) = _given(moved, by_kernel=False)
        waves = _waves(kernel, known, transform, freqs, phases, spec)
        out = _mixed(waves, prepared, product, factors)
    mapped = len(steps) == 3
    given = (
        (*_given(moved, by_kernel=mapped), transform, freqs, phases) if mapped else (known, transform, freqs, phases)
    )
    between, origin = ((waves, known), 'latents') if mapped else ((waves,), 'motion')
    if library.had_all_since(asked):
        recorded.keep(weight, key, FirstRun(origin, steps, given, between, out, prepared, factors, int(mapped)))
    return out


def _key(
    motion: Tensor | LatentStyles, transform: Tensor, freqs: Tensor, phases: Tensor, spec: WaveSpec
) -> recorded.Key | None:
    """What decides about the program besides the weight; None where a call is unusual."""
    if not is_plain(transform) or not is_plain(freqs) or not is_plain(phases):
        return None
    if transform.shape != (3, 3) or freqs.shape != (len(phases), 2) or phases.ndim != 1:
        return None
    if isinstance(motion, LatentStyles):
        moved = latent_key(motion) if motion.weight.shape[0] == 4 else None
    else:
        moved = (motion.shape, motion.stride()) if is_plain(motion) and motion.shape[1:] == (4,) else None
    return None if moved is None else (spec, freqs.shape, moved, torch.get_num_threads())


def _waves(kernel: int, motion: Tensor, transform: Tensor, freqs: Tensor, phases: Tensor, spec: WaveSpec) -> Tensor:
    """[batch, channels, height, width] in memory that the next call on this thread overwrites."""
    samples, channels = motion.shape[0], freqs.shape[0]
    waves = workspace(samples * spec.height * spec.width * channels)
    fields = [motion.data_ptr(), transform.data_ptr(), freqs.data_ptr(), phases.data_ptr(), waves.data_ptr()]
    fields += [motion.stride(0), channels, spec.width, spec.height, *_numbers(spec)]
    run(kernel, samples * spec.height, 0, fields)
    return waves.view(samples, spec.height, spec.width, channels).permute(0, 3, 1, 2)


def _mixed(waves: Tensor, prepared: PreparedWeight, kernel: int, factors: Tensor) -> Tensor:
    """The waves times the matrix, and `factors`."""
    assert isinstance(prepared.shape, ProductShape)
    samples, _, height, width = waves.shape
    room = prepared.values.shape[0] * prepared.shape.panel * height * width * samples
    out = blocks.result((room,), (1,), room)
    return multiply_pixels(waves, prepared, factors, kernel, out)


def _given(motion: Tensor | LatentStyles, *, by_kernel: bool) -> tuple[Tensor, ...]:
    """What a run starts from: the motion [batch, 4], or, where a kernel of the program computes that, its latent and map."""
    if isinstance(motion, Tensor):
        return (motion,)
    if by_kernel:
        return motion.latent, motion.weight, motion.bias
    made = styles_by_kernel(motion)
    return (motion.compute() if made is None else made,)


def _samples(motion: Tensor | LatentStyles) -> int:
    return motion.shape[0] if isinstance(motion, Tensor) else motion.latent.shape[0]


def _shape(channels: int) -> WavesShape:
    widest = 16 if library.has_wide_vectors() else 8
    return WavesShape(max(lanes for lanes in (4, 8, 16) if lanes <= min(channels, widest)))


@lru_cache(maxsize=64)
def _numbers(spec: WaveSpec) -> tuple[int, ...]:
    """The kernel's last fields."""
    values = (spec.width / 2 - 0.5, spec.height / 2 - 0.5, 1 / spec.rate, spec.bandwidth, 1 / spec.room)
    return tuple(float_bits(value) for value in values)


def _factors(samples: int, channels: int) -> Tensor:
    """1 / sqrt(channels) for each."""
    with torch.inference_mode(False):
        return torch.full((samples, channels), 1 / sqrt(channels))

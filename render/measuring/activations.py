"""The non-linearity of a layer as it runs: what enters it, and the steps around it, for every kind of layer known here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.band import half_spectrum, refit
from analysis.nonlinearity import Nonlinearity, fade
from networks.info import LayerInfo
from networks.stylegan2 import SynthesisLayer as StyleGAN2Layer
from networks.stylegan2 import ToRGBLayer
from networks.stylegan3 import SynthesisLayer
from ops.modulated_conv2d import modulated_conv2d, modulated_conv2d_resample
from ops.upfirdn2d import upsample2d
from render.layer_calls import LayerCall, layer_rate

POINTWISE = (
    nn.LeakyReLU,
    nn.ReLU,
    nn.ReLU6,
    nn.SiLU,
    nn.GELU,
    nn.ELU,
    nn.SELU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.Mish,
)
"""Modules that are a pointwise non-linearity and nothing else."""
NO_RAISE = 'This layer does not raise the sampling rate for its non-linearity: there is no upsampled stage.'
NO_FILTER = 'Nothing is filtered away behind the non-linearity, and no sample is dropped: there is no low-passed stage.'
NO_CONVOLUTION = 'The module is the non-linearity alone; its first stage is what it receives.'


class NoNonlinearity(ValueError):
    """A layer whose non-linearity is not known here, or that has none."""


@dataclass(frozen=True, slots=True)
class Activation:
    """What enters the non-linearity of a layer in one run, and what happens to it there."""

    signal: Tensor
    """[batch, channels, height, width], float32: convolved, noise and bias added."""
    layer: Nonlinearity
    clean: Tensor | None = None
    """The signal without the images of the upsampling, where that came before the convolution."""
    missing: tuple[str, ...] = ()
    """A sentence for each stage that does not exist."""


def activation_of(layer: LayerInfo, call: LayerCall) -> Activation:
    """The non-linearity of `layer` in this run. Raises `NoNonlinearity` with a sentence; only valid inside the pass."""
    module = call.module
    if call.input is None:
        raise NoNonlinearity('This layer makes its features from the latent alone and has no non-linearity.')
    if isinstance(module, SynthesisLayer):
        return _alias_free(module, call)
    if isinstance(module, (StyleGAN2Layer, ToRGBLayer)):
        return _stylegan2(layer, module, call)
    if isinstance(module, POINTWISE) or (isinstance(module, nn.PReLU) and module.num_parameters == 1):
        function = cast(Callable[[Tensor], Tensor], _not_in_place(module))
        return Activation(
            call.input.float(), Nonlinearity(function, layer_rate(layer)), missing=(NO_CONVOLUTION, NO_RAISE, NO_FILTER)
        )
    raise NoNonlinearity(
        f'The layer is of type {type(module).__name__}, whose non-linearity is not known here; '
        f'choose a layer that is one of {", ".join(one.__name__ for one in POINTWISE[:5])}, … or a StyleGAN layer.'
    )


def _alias_free(module: SynthesisLayer, call: LayerCall) -> Activation:
    """A layer of StyleGAN3, or of a rung before it, with the filters of this call."""
    record, x = module.record, cast(Tensor, call.input).float()
    if record.torgb:
        raise NoNonlinearity('This layer turns features into colours by a convolution and has no non-linearity.')
    styles = module.affine(call.arguments[1]).float()
    gain = cast(Tensor, module.magnitude_ema).rsqrt()
    up_filter, down_filter = cast(Tensor | None, module.up_filter), cast(Tensor | None, module.down_filter)
    function = partial(leaky_relu, slope=0.2, gain=sqrt(2), clamp=module.clamp)
    bias = module.bias.float()[:, None, None]
    if not record.filtered:
        return _rung_e(module, x, styles, function)
    signal = modulated_conv2d(x, module.weight, styles, padding=record.kernel - 1, input_gain=gain) + bias
    (up_x, up_y), (down_x, down_y) = _size(up_filter), _size(down_filter)
    padding = *record.padding(up_x, down_x), *record.padding(up_y, down_y, vertical=True)
    layer = Nonlinearity(
        function, record.rate_in, record.up_factor, record.down_factor, up_filter, down_filter, padding
    )
    missing = (*((NO_RAISE,) if layer.up == 1 else ()), *((NO_FILTER,) if layer.down == 1 else ()))
    return Activation(signal, layer, missing=missing)


def _rung_e(module: SynthesisLayer, x: Tensor, styles: Tensor, function: Callable[[Tensor], Tensor]) -> Activation:
    """Upsampled before the convolution, bare leaky ReLU."""
    record = module.record

    def convolved(features: Tensor) -> Tensor:
        gain = cast(Tensor, module.magnitude_ema).rsqrt()
        made = modulated_conv2d(features, module.weight, styles, padding=record.kernel // 2, input_gain=gain)
        made = made + module.bias.float()[:, None, None]
        spare = (made.shape[3] - record.size) // 2
        return made[:, :, spare : spare + record.size, spare : spare + record.size]

    layer = Nonlinearity(function, record.rate)
    if record.up_factor == 1:
        return Activation(convolved(x), layer, missing=(NO_RAISE, NO_FILTER))
    taps = cast(Tensor | None, module.up_filter)
    x = x * fade(x, record.rate_in)
    raised = upsample2d(x, taps, up=record.up_factor)
    clean = without_images(raised, x.shape[-1], record.up_factor)
    return Activation(convolved(raised), layer, convolved(clean), (NO_RAISE, NO_FILTER))


def _stylegan2(layer: LayerInfo, module: StyleGAN2Layer | ToRGBLayer, call: LayerCall) -> Activation:
    """Upsampled, if at all, before the convolution; leaky ReLU at the output's rate."""
    if isinstance(module, ToRGBLayer):
        raise NoNonlinearity('This layer turns features into colours by a convolution and has no non-linearity.')
    x, w, plan = cast(Tensor, call.input).float(), call.arguments[1], call.arguments[2]
    gain = call.arguments[3] if len(call.arguments) > 3 else call.keywords.get('gain', 1.0)
    noise = plan.noise(cast(Tensor, module.noise_const), x.shape[0]) if module.use_noise else None
    styles = module.affine(w).float()
    clamp = None if module.clamp is None else module.clamp * gain
    function = partial(leaky_relu, slope=0.2, gain=sqrt(2) * gain, clamp=clamp)

    def convolved(features: Tensor, *, up: int) -> Tensor:
        made = modulated_conv2d_resample(
            features,
            module.weight.float(),
            styles,
            noise=None if noise is None else noise * module.noise_strength,
            up=up,
            padding=module.weight.shape[2] // 2,
            resample_filter=cast(Tensor, module.resample_filter),
            flip_weight=module.up == 1,
        )
        return made + module.bias.float()[:, None, None]

    ideal = Nonlinearity(function, layer_rate(layer))
    if module.up == 1:
        return Activation(convolved(x, up=1), ideal, missing=(NO_RAISE, NO_FILTER))
    x = x * fade(x, ideal.rate_in / module.up)
    raised = upsample2d(x, cast(Tensor, module.resample_filter), up=module.up)
    clean = convolved(without_images(raised, x.shape[-1], module.up), up=1)
    return Activation(convolved(x, up=module.up), ideal, clean, (NO_RAISE, NO_FILTER))


def without_images(raised: Tensor, side: int, up: int) -> Tensor:
    """An upsampled signal [batch, channels, side * up, side * up] with nothing left beyond the band of the `side` samples it
    was made of. What it holds must fade towards the borders, where the signal is taken to repeat."""
    large = side * up
    low = refit(half_spectrum(raised.float()), large, side)
    return torch.fft.irfft2(refit(low, side, large), s=(large, large))


def leaky_relu(x: Tensor, *, slope: float, gain: float, clamp: float | None) -> Tensor:
    """Leaky ReLU, gain and clamp, as the StyleGAN layers apply them."""
    x = F.leaky_relu(x, slope) * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def _not_in_place(module: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: module.forward(x.clone())


def _size(taps: Tensor | None) -> tuple[int, int]:
    """Width and height of a filter; (1, 1) for none."""
    return (1, 1) if taps is None else (taps.shape[-1], taps.shape[0])

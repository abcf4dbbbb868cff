"""Twins of StyleGAN2's layers (see `networks.variants`): without their noise, or with a filtered non-linearity."""

from __future__ import annotations

from math import sqrt

from torch import Tensor

from networks.stylegan2 import SynthesisLayer
from networks.variants import twin_of
from ops.classic_layer import classic_layer
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass

TAPS_A_SAMPLE = 6
"""n of the paper's filters (Karras et al. 2021, Sec. 3.2)."""


class FilteredLayer(SynthesisLayer):
    """The layer with its leaky ReLU at a multiple of its rate, between two low-pass filters (configuration F of the paper)."""

    oversampling: int
    taps: Tensor

    def run(self, x: Tensor, styles: Tensor, noise: Tensor | None, gain: float) -> Tensor:
        resample_filter = self._buffers['resample_filter']
        linear = {'slope': 1.0, 'gain': 1.0, 'clamp': None}
        x = classic_layer(
            x, self.weight, styles, None, noise=noise, resample_filter=resample_filter, up=self.up, **linear
        )
        return self.activate(x, gain)

    def activate(self, x: Tensor, gain: float) -> Tensor:
        """Bias and leaky ReLU between the filters."""
        factor = self.oversampling
        around = 2 * len(self.taps) - factor - 1  # as many samples come out as go in …
        first = (around + factor) // 2  # … at the same places
        return filtered_lrelu(
            x,
            self.taps,
            self.taps,
            self.bias,
            up=factor,
            down=factor,
            padding=[first, around - first] * 2,
            gain=sqrt(2) * gain,
            clamp=None if self.clamp is None else self.clamp * gain,
        )


def without_noise(layer: SynthesisLayer) -> SynthesisLayer:
    """A twin that adds no noise."""
    twin = twin_of(layer)
    twin.use_noise = False
    return twin


def filtered(layer: SynthesisLayer, factor: int) -> FilteredLayer:
    """A twin whose non-linearity runs at `factor` times its rate, f_c = s/2 and f_h = (sqrt 2 - 1) s/2 as in configuration F."""
    twin = twin_of(layer)
    half = layer.side / 2
    taps = lowpass(TAPS_A_SAMPLE * factor, half, 2 * (sqrt(2) - 1) * half, layer.side * factor)
    assert taps is not None
    twin.__class__ = FilteredLayer
    twin.oversampling, twin.taps = factor, taps.to(layer.weight.device)
    return twin

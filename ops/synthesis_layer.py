"""One layer of the alias-free synthesis network as one operator: modulated convolution, then filtered leaky ReLU.

Joined, a backend can fold the style into its loads and keep what lies between the two steps in its own memory and layout.
"""

from dataclasses import dataclass
from math import sqrt

from torch import Tensor

from ops.backend import implements, needs_gradient, pick
from ops.filtered_lrelu import LreluSpec, filtered_lrelu
from ops.modulated_conv2d import ModulationSpec, modulated_conv2d
from ops.upfirdn2d import Padding, parse_padding


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """Everything about one call except its tensors; usable as a key."""

    modulation: ModulationSpec
    lrelu: LreluSpec


def synthesis_layer(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    bias: Tensor,
    *,
    demodulate: bool = True,
    conv_padding: int = 0,
    input_gain: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    gain: float = sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
) -> Tensor:
    """`filtered_lrelu(modulated_conv2d(x, …), …)`.

    `weight`, `styles`, `demodulate`, `conv_padding`, `input_gain`: as for `modulated_conv2d`; the others as for
    `filtered_lrelu`.  Returns [batch, out channels, new height, new width], on the CPU with the channels of a pixel together
    (`torch.channels_last`) where that is faster.
    """
    modulation = ModulationSpec(
        demodulate,
        (conv_padding, conv_padding),
        tuple(weight.shape),
        input_gain is not None,
        needs_gradient(x, weight, styles, input_gain),
    )
    lrelu = LreluSpec(
        up,
        down,
        parse_padding(padding),
        gain,
        slope,
        clamp,
        False,
        () if up_filter is None else tuple(up_filter.shape),
        () if down_filter is None else tuple(down_filter.shape),
        True,
        needs_gradient(x, weight, styles, input_gain, bias, up_filter, down_filter),
    )
    spec = LayerSpec(modulation, lrelu)
    return pick('synthesis_layer', x, spec)(x, weight, styles, input_gain, up_filter, down_filter, bias, spec)


@implements('synthesis_layer', 'reference')
def synthesis_layer_reference(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    input_gain: Tensor | None,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    bias: Tensor,
    spec: LayerSpec,
) -> Tensor:
    """The two operators, each by its best backend."""
    x = modulated_conv2d(
        x,
        weight,
        styles,
        demodulate=spec.modulation.demodulate,
        padding=spec.modulation.padding,
        input_gain=input_gain,
    )
    return filtered_lrelu(
        x,
        up_filter,
        down_filter,
        bias,
        up=spec.lrelu.up,
        down=spec.lrelu.down,
        padding=spec.lrelu.padding,
        gain=spec.lrelu.gain,
        slope=spec.lrelu.slope,
        clamp=spec.lrelu.clamp,
    )

"""One layer of the alias-free synthesis network as one operator: modulated convolution, then filtered leaky ReLU.

Joined, a backend can fold the style into its loads and keep what lies between the two steps in its own memory and layout.
"""

from dataclasses import dataclass, field
from functools import lru_cache
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
    digest: int = field(init=False, compare=False)
    """The hash, once: a spec is a key several times a call."""

    def __post_init__(self) -> None:
        object.__setattr__(self, 'digest', hash((self.modulation, self.lrelu)))

    def __hash__(self) -> int:
        return self.digest


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

    `weight`, `styles`, `demodulate`, `conv_padding`, `input_gain` as for `modulated_conv2d`, the others as for `filtered_lrelu`.
    Returns [batch, out channels, new height, new width], on the CPU with the channels of a pixel together
    (`torch.channels_last`) where that is faster.
    """
    spec = _spec(
        demodulate,
        conv_padding,
        tuple(weight.shape),
        input_gain is not None,
        up,
        down,
        parse_padding(padding),
        gain,
        slope,
        clamp,
        () if up_filter is None else tuple(up_filter.shape),
        () if down_filter is None else tuple(down_filter.shape),
        needs_gradient(x, weight, styles, input_gain, bias, up_filter, down_filter),
    )
    return pick('synthesis_layer', x, spec)(x, weight, styles, input_gain, up_filter, down_filter, bias, spec)


@lru_cache(maxsize=256)
def _spec(
    demodulate: bool,
    conv_padding: int,
    weight_shape: tuple[int, ...],
    has_input_gain: bool,
    up: int,
    down: int,
    padding: tuple[int, int, int, int],
    gain: float,
    slope: float,
    clamp: float | None,
    up_shape: tuple[int, ...],
    down_shape: tuple[int, ...],
    needs_gradient: bool,
) -> LayerSpec:
    """The same object for the same values: a picture needs a dozen, again and again."""
    around = (conv_padding, conv_padding)
    modulation = ModulationSpec(demodulate, around, weight_shape, has_input_gain, needs_gradient)
    lrelu = LreluSpec(
        up, down, padding, gain, slope, clamp, False, up_shape, down_shape, has_bias=True, needs_gradient=needs_gradient
    )
    return LayerSpec(modulation, lrelu)


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

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
from ops.styles import LatentStyles
from ops.upfirdn2d import Padding, parse_padding


@dataclass(frozen=True, slots=True)
class LayerOptions:
    """How a layer runs, whatever its tensors are."""

    demodulate: bool = True
    conv_padding: int = 0
    """As `padding` of `modulated_conv2d`."""
    up: int = 1
    down: int = 1
    padding: Padding = 0
    gain: float = sqrt(2)
    slope: float = 0.2
    clamp: float | None = None


_USUAL = LayerOptions()


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
    styles: Tensor | LatentStyles,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    bias: Tensor,
    options: LayerOptions = _USUAL,
    *,
    input_gain: Tensor | None = None,
) -> Tensor:
    """`filtered_lrelu(modulated_conv2d(x, …), …)`.

    `weight`, `styles`, `input_gain` as for `modulated_conv2d`, the filters and `bias` as for `filtered_lrelu`.
    Returns [batch, out channels, new height, new width], on the CPU with the channels of a pixel together
    (`torch.channels_last`) where that is faster.
    """
    if isinstance(styles, LatentStyles) and styles.need_gradient():
        styles = styles.compute()
    learned = None if isinstance(styles, LatentStyles) else styles
    gradient = needs_gradient(x, weight, learned, input_gain, bias, up_filter, down_filter)
    spec = _spec(
        options,
        weight.shape,
        input_gain is not None,
        () if up_filter is None else up_filter.shape,
        () if down_filter is None else down_filter.shape,
        gradient,
    )
    return pick('synthesis_layer', x, spec)(x, weight, styles, input_gain, up_filter, down_filter, bias, spec)


@lru_cache(maxsize=256)
def _spec(
    options: LayerOptions,
    weight_shape: tuple[int, ...],
    has_input_gain: bool,
    up_shape: tuple[int, ...],
    down_shape: tuple[int, ...],
    needs_gradient: bool,
) -> LayerSpec:
    """The same object for the same values: a picture needs a dozen, again and again."""
    around = (options.conv_padding, options.conv_padding)
    modulation = ModulationSpec(options.demodulate, around, tuple(weight_shape), has_input_gain, needs_gradient)
    lrelu = LreluSpec(
        options.up,
        options.down,
        parse_padding(options.padding),
        options.gain,
        options.slope,
        options.clamp,
        False,
        tuple(up_shape),
        tuple(down_shape),
        has_bias=True,
        needs_gradient=needs_gradient,
    )
    return LayerSpec(modulation, lrelu)


@implements('synthesis_layer', 'reference')
def synthesis_layer_reference(
    x: Tensor,
    weight: Tensor,
    styles: Tensor | LatentStyles,
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
        styles if isinstance(styles, Tensor) else styles.compute(),
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

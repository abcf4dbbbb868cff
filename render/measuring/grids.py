"""Where the samples of layers lie, how far a layer looks, and why a layer cannot be measured."""

from torch import Tensor, nn

from analysis.layer_equivariance import Grid
from networks.info import LayerInfo
from render.layer_calls import LayerCall, layer_rate


def grid_of(layer: LayerInfo, features: Tensor) -> Grid:
    """The grid of a layer's output."""
    return Grid(layer_rate(layer), *features.shape[-2:])


def input_grid(layer: LayerInfo, call: LayerCall) -> Grid | None:
    """The grid of what the layer receives; None if it receives no features.

    The rate follows from the layer's own and its factors; where the family defines none, input and output are equally wide.
    """
    features = call.input
    if features is None:
        return None
    height, width = features.shape[-2:]
    if layer.rate is None:
        return Grid(float(width), height, width)
    return Grid(layer.rate * layer.down_factor / layer.up_factor, height, width)


def support_of(layer: LayerInfo, call: LayerCall, inner: Grid) -> float:
    """How far from a place the layer looks, in image widths: half its kernels and its filters."""
    reach = sum(filter_.taps / 2 / filter_.rate for filter_ in layer.filters)
    for module in call.module.modules():
        weight = getattr(module, 'weight', None)
        if isinstance(weight, Tensor) and weight.ndim == 4 and not isinstance(module, nn.Embedding):
            dilation = getattr(module, 'dilation', (1, 1))[-1]
            reach += (weight.shape[-1] // 2) * dilation / inner.rate
    return reach


def why_not_again(layer: LayerInfo, call: LayerCall) -> str:
    """Why the layer's own part cannot be separated from what it received; empty if it can."""
    if call.input is None:
        return 'This layer receives no features; all of its error is its own.'
    others = [*call.arguments[1:], *call.keywords.values()]
    if any(isinstance(one, Tensor) and one.ndim == 4 for one in others):
        return 'This layer receives several feature maps, so its own part cannot be told apart.'
    if layer.height * layer.width == 1:
        return 'This layer has one sample only, so nothing can move in it.'
    return ''

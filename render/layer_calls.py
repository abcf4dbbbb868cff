"""Layers as they run inside one pass: what each received and made, and a way to run it again on another input.

The measurements of single layers sit on this. Replaced filters and transforms are in force inside the pass, so whatever
a measurement runs again meets the same network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from networks.adapters.base import Inspectable
from networks.info import LayerInfo
from render.capture import find
from render.filters import edited
from render.renderer import make_latents, synthesize
from render.request import IDENTITY, Affine, RenderRequest

IMAGE = 'image'
"""Stands for the finished picture where layers are listed."""


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One run of a layer. Its tensors must not be changed."""

    name: str
    module: nn.Module
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    output: Tensor
    """[batch, channels, height, width]."""

    @property
    def input(self) -> Tensor | None:
        """The features [batch, channels, height, width] that it received; None where it starts from none."""
        first = self.arguments[0] if self.arguments else None
        return first if isinstance(first, Tensor) and first.ndim == 4 else None

    def again(self, features: Tensor) -> Tensor:
        """Its output for other features, in the same pass: hooks do not fire. Only valid inside the pass."""
        given = self.input
        if given is None:
            raise ValueError(f'The layer {self.name!r} receives no features, so it cannot be run on others.')
        return self.module.forward(features.to(given.dtype), *self.arguments[1:], **self.keywords)


OnCall = Callable[[LayerCall], None]


@contextmanager
def observe_calls(module: nn.Module, names: Sequence[str], on_call: OnCall) -> Iterator[None]:
    """Within the block, call `on_call` after each of the layers `names` ('name#2' = its second run) that yields features."""
    wanted = set(names)
    calls: dict[str, int] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def hook(submodule: nn.Module, arguments: Any, keywords: Any, output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            label = name if calls[name] == 1 else f'{name}#{calls[name]}'
            if label in wanted and isinstance(output, Tensor) and output.ndim == 4:
                on_call(LayerCall(label, submodule, arguments, keywords, output))

        return hook

    with ExitStack() as stack:
        for name in dict.fromkeys(one.partition('#')[0].partition(':')[0] for one in names):
            submodule = find(module, name)
            stack.callback(submodule.register_forward_hook(hook_for(name), with_kwargs=True).remove)
        yield


def run_pass(
    adapter: Inspectable,
    request: RenderRequest,
    seed: int | None,
    on_call: OnCall,
    *,
    transform: Affine = IDENTITY,
    until: str | None = None,
) -> Tensor:
    """One picture [1, channels, height, width] of a seed (None: of the request's latent), `on_call` for every layer on the way.

    With `until`, the output of that layer, and later ones do not run. Truncation, class, filters and precision are the request's; `transform` is given, layer and edits are left out.
    Random noise is replaced by the constant one, so that a layer can be run again.
    """
    noise = 'constant' if request.synthesis.noise == 'random' else request.synthesis.noise
    spec = replace(request.synthesis, layer=until, edits=(), transform=transform, noise=noise)
    adapter, _ = edited(adapter, spec.filters)
    names = [layer.name for layer in adapter.info.layers]
    with torch.inference_mode():
        latent = request.latent if seed is None else replace(request.latent, seeds=((seed, 1.0),))
        latents, _ = make_latents(adapter, latent)
        with observe_calls(adapter.module, names, on_call):
            return synthesize(adapter, latents, spec)[0][None]


def layer_rate(layer: LayerInfo) -> float:
    """Samples per image width; where the family does not define it, the layer is as wide as the picture."""
    return float(layer.width) if layer.rate is None else float(layer.rate)


def image_layer(adapter: Inspectable) -> LayerInfo:
    """The finished picture as the last entry of a list of layers."""
    info = adapter.info
    return LayerInfo(IMAGE, IMAGE, info.image_channels, info.resolution, info.resolution, rate=float(info.resolution))


def request_seeds(request: RenderRequest, samples: int, first_seed: int) -> range:
    """The seeds of `samples` latents. Raises `ValueError` below one."""
    if samples < 1:
        raise ValueError(f'A measurement needs at least one latent, got {samples}; choose 1 or more.')
    return range(first_seed, first_seed + samples)


def latents_from(request: RenderRequest, samples: int, first_seed: int | None) -> Sequence[int | None]:
    """Seeds for `run_pass`: those of `request_seeds`, or without a first seed (None,), the latent of `request` alone."""
    if first_seed is not None:
        return request_seeds(request, samples, first_seed)
    if samples != 1:
        raise ValueError(f'The request has one latent to measure, not {samples}; give a first seed for several.')
    return (None,)


def move_right(x: float, y: float = 0.0) -> Affine:
    """The map that moves the picture by (x, y) image widths."""
    return (1.0, 0.0, x, 0.0, 1.0, y)


def shown_transform(adapter: Inspectable, request: RenderRequest) -> Affine:
    """The request's transform where the generator has one, else none."""
    return IDENTITY if adapter.info.why_not('transform') else request.synthesis.transform


def known_layer(adapter: Inspectable, name: str) -> LayerInfo:
    """The layer called `name`; `ValueError` with a sentence if there is none."""
    layer = adapter.info.layer(name)
    if layer is None:
        raise ValueError(f'This generator has no layer {name!r}; the layer list shows those it has.')
    return layer

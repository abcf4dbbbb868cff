"""OpenVINO graphs as torch modules: whole, and cut into the layers through which all of the picture passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from networks.bad_file import BadFile, shown
from networks.files.limits import damaged, too_big
from networks.files.openvino_ir import Graph, Node, Source
from networks.openvino_steps import MAX_ELEMENTS, run_step

Kind = Literal['constant', 'start', 'scale', 'conv', 'noise', 'bias', 'relu', 'up', 'other']
BATCH = -1
"""In a shape: as many as pictures are made at once."""
Shapes = Mapping[Source, tuple[int, ...]]


class Steps(nn.Module):
    """A part of a graph: from the features before it (None where it begins with none) and the latents to its output."""

    def __init__(self, nodes: Sequence[Node], feeds: Mapping[Source, str], output: Source, shapes: Shapes) -> None:
        """`feeds`: which values come from outside, as 'features' or 'latents'. `nodes`: in order, without those.
        `shapes`: of all values, so that a step that asks for one need not have it."""
        super().__init__()
        self._shapes = {node.identity: shapes[node.sources[0]] for node in nodes if node.kind == 'ShapeOf'}
        self._nodes = tuple(node for node in nodes if node.kind != 'Const')
        self._sizes = {place: shapes[place][-2:] for place in feeds}
        self._feeds, self._output = dict(feeds), output
        self._whole: dict[Source, Tensor] = {}
        self._buffered: dict[Source, str] = {}
        for node in nodes:
            if node.value is None:
                continue
            value, place = torch.from_numpy(node.value.copy()), (node.identity, node.ports[0])
            if value.is_floating_point():
                name = f'c{node.identity}' if node.identity.isdecimal() else f'c_{len(self._buffered)}'
                self._buffered[place] = name
                self.register_buffer(name, value.float())
            else:
                self._whole[place] = value  # shapes stay on the CPU

    @property
    def needs_latents(self) -> bool:
        """Whether it reads the latents."""
        return 'latents' in self._feeds.values()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its operations, in order."""
        return self._nodes

    def buffer_of(self, source: Source) -> str | None:
        """The name of the buffer that holds a constant of the graph."""
        return self._buffered.get(source)

    def forward(self, features: Tensor | None, latents: Tensor | None = None) -> Tensor:
        """[batch, channels, height, width], or whatever the graph makes."""
        given = {'features': features, 'latents': latents}
        values: dict[Source, Tensor] = dict(self._whole)
        values |= {place: self.get_buffer(name) for place, name in self._buffered.items()}
        for place, name in self._feeds.items():
            value = given[name]
            if value is None:
                raise TypeError(f'This part of the network reads {name}, which were not given.')
            values[place] = value
        batch = next(len(values[place]) for place in self._feeds)
        for node in self._nodes:
            if node.kind == 'ShapeOf':
                outputs: Sequence[Tensor] = (self._shape(node, batch, features),)
            else:
                outputs = run_step(node, [values[source] for source in node.sources])
            values |= {(node.identity, port): output for port, output in zip(node.ports, outputs, strict=True)}
        return values[self._output]

    def _shape(self, node: Node, batch: int, features: Tensor | None) -> Tensor:
        """What a step that asks for a shape is told: that of the file, for this batch, and as much larger as the features are."""
        sides = [batch if side == BATCH else side for side in self._shapes[node.identity]]
        usual = next((self._sizes[place] for place, name in self._feeds.items() if name == 'features'), None)
        if usual is not None and features is not None and len(sides) >= 4:
            sides[-2:] = [
                side * now // before for side, now, before in zip(sides[-2:], features.shape[-2:], usual, strict=True)
            ]
        return torch.tensor(sides, dtype=torch.int64)


@dataclass(frozen=True, slots=True)
class Cut:
    """A place through which everything passes."""

    source: Source
    shape: tuple[int, ...]
    """[BATCH, channels, height, width]."""


class Whole(nn.Module):
    """A graph as one module: input [batch, …] to output."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        shapes = known_shapes(graph)
        self.input_size = shapes[_input_of(graph)][1]
        self.steps = _steps_between(graph, None, graph.result.sources[0], shapes)

    def forward(self, latents: Tensor) -> Tensor:
        """The output of the graph."""
        return self.steps(None, latents)


class Layered(nn.Module):
    """A graph that makes pictures from one latent, as a sequence of layers with the features between them."""

    def __init__(self, graph: Graph) -> None:
        """Raises `BadFile` for a graph that makes no picture of a vector, or has a step that is not known."""
        super().__init__()
        shapes = known_shapes(graph)
        self.latent_size = shapes[_input_of(graph)][1]
        shape = shapes[graph.result.sources[0]]
        if len(shape) != 4 or shape[1] not in (1, 3) or shape[2] != shape[3]:
            raise BadFile('foreign', f'The file makes {shown(shape)} instead of a picture.')
        _, self.channels, self.resolution, _ = shape
        self.kinds: dict[str, Kind] = {}
        """Name of each layer -> what it does, in order."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        """Name of each layer -> its output: [BATCH, channels, height, width]."""
        for kind, before, after in _layers(graph, shapes):
            number = sum(one != 'scale' for one in self.kinds.values())
            name = f'scale_{number}' if kind == 'scale' else f'L{number}_{after.shape[-1]}_{kind}'
            self.add_module(name, _steps_between(graph, before.source if before else None, after.source, shapes))
            self.kinds[name], self.shapes[name] = kind, after.shape

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures [batch, channels, height, width] of latents [batch, latent_size]."""
        features = None
        for name in self.kinds:
            layer = self.get_submodule(name)
            features = layer(features, latents) if layer.needs_latents else layer(features)
        assert features is not None
        return features

    def noise_maps(self) -> dict[str, str]:
        """Name of each layer that adds a fixed map -> name of the buffer that holds it."""
        found = {}
        for name, kind in self.kinds.items():
            layer = self.get_submodule(name)
            if kind == 'noise' and isinstance(layer, Steps):
                buffers = [layer.buffer_of(source) for node in layer.nodes for source in node.sources]
                found[name] = next(f'{name}.{one}' for one in buffers if one is not None)
        return found


def known_shapes(graph: Graph) -> Shapes:
    """The shape of every value, with `BATCH` where it grows with the number of pictures. Raises `BadFile`."""
    one, two = _traced(graph, 1), _traced(graph, 2)
    found = {}
    for source, shape in one.items():
        sides = tuple(
            BATCH if (first, second) == (1, 2) else first for first, second in zip(shape, two[source], strict=True)
        )
        if any(side != BATCH and side != second for side, second in zip(sides, two[source], strict=True)):
            raise BadFile('foreign', f'The file makes {shown(two[source])} of two latents, not one picture of each.')
        found[source] = sides
    return found


def _input_of(graph: Graph) -> Source:
    return graph.parameter.identity, graph.parameter.ports[0]


def _traced(graph: Graph, batch: int) -> dict[Source, tuple[int, ...]]:
    """The shape of every value for so many pictures: run without numbers. Raises `BadFile`."""
    shape = graph.parameter.whole_numbers('shape')
    if len(shape) != 2 or not 1 <= shape[1] <= 1 << 16 or len(graph.parameter.ports) != 1:
        raise BadFile('foreign', f'The file reads {shown(shape)} instead of one vector.')
    values: dict[Source, Tensor] = {}
    for node in graph.nodes:
        if node.value is not None:
            value = torch.from_numpy(node.value.copy())
            outputs: Sequence[Tensor] = (value.float().to('meta') if value.is_floating_point() else value,)
        elif node is graph.parameter:
            outputs = (torch.empty(batch, shape[1], device='meta'),)
        elif node is graph.result:
            continue
        else:
            outputs = _traced_step(node, [values[source] for source in node.sources])
        values |= {(node.identity, port): output for port, output in zip(node.ports, outputs, strict=True)}
        if any(output.numel() > 2 * MAX_ELEMENTS for output in outputs):
            raise too_big(f'a tensor of {max(output.numel() for output in outputs)} values')
    return {source: tuple(value.shape) for source, value in values.items()}


def _traced_step(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    try:
        outputs = run_step(node, inputs)
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, OverflowError) as error:
        raise damaged(f'{node.kind} {node.name}: {shown(error, limit=80)}') from None
    if len(outputs) != len(node.ports):
        raise damaged(f'{node.kind} {node.name} has {len(node.ports)} outputs')
    return outputs


def _is_large(shape: tuple[int, ...]) -> bool:
    """Whether a value of that shape is a picture, or parts of one."""
    return len(shape) >= 4 and shape[-1] * shape[-2] > 1


def _cuts(graph: Graph, shapes: Shapes) -> list[Cut]:
    """The places through which all features pass, in order: nothing else that is large is needed behind them."""
    last_use: dict[Source, int] = {}
    for index, node in enumerate(graph.nodes):
        if node.kind != 'ShapeOf':
            last_use |= dict.fromkeys(node.sources, index)
    alive: set[Source] = set()
    found = []
    for index, node in enumerate(graph.nodes):
        if node.value is not None:
            continue  # constants are there anyway
        places = [(node.identity, port) for port in node.ports]
        alive |= {place for place in places if _is_large(shapes.get(place, ()))}
        alive = {place for place in alive if last_use.get(place, -1) > index}
        if len(alive) == 1 and len(places) == 1 and places[0] in alive and len(shapes[places[0]]) == 4:
            found.append(Cut(places[0], shapes[places[0]]))
    return found


def _layers(graph: Graph, shapes: Shapes) -> list[tuple[Kind, Cut | None, Cut]]:
    """Layers as (kind, where it begins, where it ends): neighbouring steps that belong together are joined."""
    cuts = _cuts(graph, shapes)
    before: Cut | None = None
    pieces: list[tuple[Kind, Cut | None, Cut]] = []
    for cut in cuts:
        pieces.append((_kind(graph, before, cut, shapes), before, cut))
        before = cut
    joined: list[tuple[Kind, Cut | None, Cut]] = []
    for index, (kind, start, end) in enumerate(pieces):
        following = pieces[index + 1][0] if index + 1 < len(pieces) else None
        if joined and _belongs(joined[-1][0], kind, following):
            joined[-1] = (kind if kind in ('conv', 'relu', 'up') else joined[-1][0], joined[-1][1], end)
        else:
            joined.append((kind, start, end))
    return joined


def _belongs(before: Kind, kind: Kind, following: Kind | None) -> bool:
    """Whether a piece joins the one before it: scale and convolutions; a bias, with the activation behind it or with
    the convolution before."""
    if kind == 'conv':
        return before in ('scale', 'conv')
    if kind == 'bias':
        return before == 'conv' and following != 'relu'
    if kind == 'other':
        return before in ('constant', 'start')  # copies of it
    if kind == 'up':
        return before == 'other'  # the same features in another order
    return kind == 'relu' and before == 'bias'


def _kind(graph: Graph, before: Cut | None, after: Cut, shapes: Shapes) -> Kind:
    if before is None:
        return 'constant' if _is_fixed(graph, after.source) else 'start'
    if after.shape[-1] > before.shape[-1]:
        return 'up'
    nodes = {node.identity: node for node in graph.nodes}
    last = nodes[after.source[0]]
    if before.source not in last.sources:
        return 'other'
    others = [source for source in last.sources if source != before.source]
    if last.kind in ('Convolution', 'GroupConvolution'):
        return 'conv'
    if last.kind == 'PReLU':
        return 'relu'
    if last.kind == 'Multiply' and not any(_is_large(shapes[source]) for source in others):
        return 'scale'
    if last.kind == 'Add':
        fixed = all(nodes[source[0]].value is not None for source in others)
        if not any(_is_large(shapes[source]) for source in others):
            return 'bias'
        return 'noise' if fixed else 'other'
    return 'other'


def _is_fixed(graph: Graph, source: Source) -> bool:
    """Whether a value is the same for every latent; that there are as many as latents does not count."""
    return 'latents' not in _needs(graph, None, source)[1].values()


def _steps_between(graph: Graph, before: Source | None, after: Source, shapes: Shapes) -> Steps:
    """What leads from the features at `before`, and the latents, to the value at `after`."""
    needed, feeds = _needs(graph, before, after)
    feeds = feeds or {_input_of(graph): 'latents'}  # a constant alone: it needs to know how many pictures
    return Steps([node for node in graph.nodes if node.identity in needed], feeds, after, shapes)


def _needs(graph: Graph, before: Source | None, after: Source) -> tuple[set[str], dict[Source, str]]:
    """The steps behind the value at `after`, and what they read from outside (see `Steps`)."""
    nodes = {node.identity: node for node in graph.nodes}
    feeds: dict[Source, str] = {}
    needed: set[str] = set()
    waiting = [after]
    while waiting:
        source = waiting.pop()
        if source == before:
            feeds[source] = 'features'
        elif source == _input_of(graph):
            feeds[source] = 'latents'
        elif source[0] not in needed:
            needed.add(source[0])
            waiting += nodes[source[0]].sources if nodes[source[0]].kind != 'ShapeOf' else ()
    return needed, feeds

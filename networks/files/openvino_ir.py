"""OpenVINO's intermediate representation (version 10), read as data: a graph in XML, its constants in a file beside it.

The XML parser knows no entities: a document type of any kind is refused before it can say anything. Every constant is
checked against the bytes that are there. Nothing is executed, and no other file is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from types import MappingProxyType
from xml.parsers import expat

import numpy as np

from networks.bad_file import BadFile, shown
from networks.files.limits import LIMITS, Budget, damaged, too_big
from networks.files.mapped import mapped_file

MAX_XML_BYTES = 4 << 20
"""Real: 425 kB for a generator of 940 steps."""
MAX_ELEMENTS = 100_000
MAX_DEPTH = 16
MAX_NODES = 10_000
MAX_VALUE_CHARACTERS = 1_024
TYPES: Mapping[str, type[np.generic]] = MappingProxyType(
    {
        'f32': np.float32,
        'f16': np.float16,
        'i64': np.int64,
        'i32': np.int32,
        'u8': np.uint8,
        'boolean': np.bool_,
    }
)
Source = tuple[str, str]
"""Which output of which node: (node, port)."""


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the graph."""

    identity: str
    name: str
    kind: str
    """The operation: 'Convolution', 'Add', 'Const', …"""
    attributes: Mapping[str, str]
    sources: tuple[Source, ...] = ()
    ports: tuple[str, ...] = ()
    """Of its outputs."""
    value: np.ndarray | None = field(default=None, compare=False)
    """Of a 'Const'."""

    def whole_numbers(self, name: str) -> tuple[int, ...]:
        """The attribute `name`, written as '1, 2'; empty where there is none."""
        text = self.attributes.get(name, '')
        return _whole_numbers(text, f'{self.kind} {self.name}')


@dataclass(frozen=True, slots=True)
class Graph:
    """A network with one input and one output."""

    name: str
    nodes: tuple[Node, ...]
    """Those that the output needs, each after those it reads."""
    parameter: Node
    result: Node


def read_ir(path: Path) -> Graph:
    """The graph in the XML file at `path`, whose constants lie in the .bin of the same name. Raises `BadFile`."""
    weights = path.with_suffix('.bin')
    try:
        with mapped_file(path) as data:
            if len(data) > MAX_XML_BYTES:
                raise too_big(f'{len(data) >> 20} MB of XML')
            elements = _Elements()
            elements.parse(bytes(data))
    except BadFile as error:
        raise error.named(path.name) from None
    try:
        with mapped_file(weights) as data:
            return _graph(elements, data)
    except BadFile as error:
        raise error.named(weights.name) from None


class _Elements:
    """What of the XML is used, collected while it is parsed."""

    def __init__(self) -> None:
        self.name = ''
        self.layers: list[dict[str, str]] = []
        self.data: list[dict[str, str]] = []
        """Attributes of the operation, for each layer."""
        self.inputs: list[list[str]] = []
        self.outputs: list[list[str]] = []
        self.edges: list[dict[str, str]] = []
        self._path: list[str] = []
        self._count = 0

    def parse(self, text: bytes) -> None:
        """Read all of it. Raises `BadFile`."""
        parser = expat.ParserCreate()
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.ExternalEntityRefHandler = _refuse
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        try:
            parser.Parse(text, True)
        except expat.ExpatError as error:
            raise damaged(f'no valid XML at line {error.lineno}') from None
        if not self.layers:
            raise BadFile('foreign', 'The file is XML, but holds no OpenVINO network of version 10.')

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        self._path.append(tag)
        if self._count > MAX_ELEMENTS or len(self._path) > MAX_DEPTH:
            raise too_big(f'more than {MAX_ELEMENTS} elements, or {MAX_DEPTH} of them one inside the other')
        if any(len(value) > MAX_VALUE_CHARACTERS for value in attributes.values()):
            raise too_big(f'a value of more than {MAX_VALUE_CHARACTERS} characters')
        inside = self._path[1:-1]  # below <net>
        if len(self._path) == 1:
            self.name = attributes.get('name', '')
        elif inside == ['layers'] and tag == 'layer':
            if len(self.layers) >= MAX_NODES:
                raise too_big(f'more than {MAX_NODES} steps')
            self.layers.append(attributes)
            self.data.append({})
            self.inputs.append([])
            self.outputs.append([])
        elif inside == ['layers', 'layer'] and tag == 'data':
            self.data[-1] = attributes
        elif inside == ['layers', 'layer', 'input'] and tag == 'port':
            self.inputs[-1].append(_needed(attributes, 'id'))
        elif inside == ['layers', 'layer', 'output'] and tag == 'port':
            self.outputs[-1].append(_needed(attributes, 'id'))
        elif inside == ['edges'] and tag == 'edge':
            self.edges.append(attributes)

    def _end(self, _tag: str) -> None:
        self._path.pop()


def _refuse(*_details: object) -> int:
    raise BadFile(
        'attack',
        'The file declares a document type or entities, which no network needs; refused, get it from its source.',
    )


def _graph(elements: _Elements, data: memoryview) -> Graph:
    """The nodes with their constants, from the output backwards."""
    edges: dict[Source, Source] = {}
    for edge in elements.edges:
        target = (_needed(edge, 'to-layer'), _needed(edge, 'to-port'))
        edges[target] = (_needed(edge, 'from-layer'), _needed(edge, 'from-port'))
    budget, nodes = Budget(), {}
    for index, layer in enumerate(elements.layers):
        node = _node(layer, elements.data[index], elements.inputs[index], elements.outputs[index], edges)
        if node.identity in nodes:
            raise damaged(f'the step {shown(node.identity)} appears twice')
        if node.kind == 'Const':
            node = _constant(node, data, budget)
        nodes[node.identity] = node
    results = [node for node in nodes.values() if node.kind == 'Result']
    if len(results) != 1 or len(results[0].sources) != 1:
        raise BadFile('foreign', f'The file has {len(results)} outputs; only networks with one can be opened.')
    ordered = _in_order(nodes, results[0])
    parameters = [node for node in ordered if node.kind == 'Parameter']
    if len(parameters) != 1:
        raise BadFile('foreign', f'The file has {len(parameters)} inputs; only networks with one can be opened.')
    return Graph(elements.name, ordered, parameters[0], results[0])


def _node(
    layer: Mapping[str, str],
    data: Mapping[str, str],
    inputs: Sequence[str],
    outputs: Sequence[str],
    edges: Mapping[Source, Source],
) -> Node:
    identity = _needed(layer, 'id')
    missing = [port for port in inputs if (identity, port) not in edges]
    if missing:
        raise damaged(f'nothing leads to input {shown(missing[0])} of step {shown(identity)}')
    sources = tuple(edges[identity, port] for port in inputs)
    name, kind = shown(layer.get('name', identity), limit=80), _needed(layer, 'type')
    return Node(identity, name, kind, MappingProxyType(dict(data)), sources, tuple(outputs))


def _constant(node: Node, data: memoryview, budget: Budget) -> Node:
    """`node` with its numbers, copied out of the file."""
    kind = TYPES.get(node.attributes.get('element_type', ''))
    if kind is None:
        raise BadFile(
            'foreign',
            f'The file holds numbers of the type {shown(node.attributes.get("element_type"))}, which is not known here.',
        )
    shape = node.whole_numbers('shape')
    (offset,), (size,) = node.whole_numbers('offset') or (0,), node.whole_numbers('size') or (-1,)
    if len(shape) > LIMITS.tensor_dimensions or any(side < 0 for side in (*shape, offset)):
        raise damaged(f'{node.name} has the shape {shown(shape)}')
    if size != prod(shape) * np.dtype(kind).itemsize:
        raise damaged(f'{node.name} of shape {shown(shape)} claims {size} bytes')
    if offset + size > len(data):
        raise damaged(f'{node.name} ends at byte {offset + size} of {len(data)}')
    budget.spend_tensor(size, len(data))
    value = np.frombuffer(bytes(data[offset : offset + size]), kind).reshape(shape)
    return Node(node.identity, node.name, node.kind, node.attributes, (), node.ports, value)


def _in_order(nodes: Mapping[str, Node], result: Node) -> tuple[Node, ...]:
    """What `result` needs, each after those it reads. Raises `BadFile` for steps that wait for one another."""
    ordered: list[Node] = []
    state: dict[str, bool] = {}  # False while what it reads is being placed, then True
    waiting = [(result.identity, False)]
    while waiting:
        identity, is_ready = waiting.pop()
        if is_ready:
            state[identity] = True
            ordered.append(nodes[identity])
            continue
        if identity in state:
            continue
        state[identity] = False
        waiting.append((identity, True))
        for before, port in reversed(nodes[identity].sources):
            if before not in nodes or port not in nodes[before].ports:
                raise damaged(
                    f'step {shown(identity)} reads output {shown(port)} of {shown(before)}, which is not there'
                )
            if state.get(before) is False:
                raise damaged(f'the steps {shown(before)} and {shown(identity)} wait for one another')
            if before not in state:
                waiting.append((before, False))
    return tuple(ordered)


def _needed(attributes: Mapping[str, str], name: str) -> str:
    found = attributes.get(name)
    if found is None:
        raise damaged(f'an element without {name!r}')
    return found


def _whole_numbers(text: str, where: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(',')] if text.strip() else []
    if any(not part.lstrip('-').isdecimal() or len(part) > 15 for part in parts):
        raise damaged(f'{where} has {shown(text)} where whole numbers belong')
    return tuple(int(part) for part in parts)

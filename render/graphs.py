"""A picture as one CUDA graph: what is launched once per layer and step is recorded, and replayed with one call.

A graph holds for the shape of a request: latent and transform go in as tensors, so a drag replays one graph.
Who records is given, so that all but the recording itself is tested without a GPU.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from networks.info import GeneratorInfo
from render.models import ModelStore
from render.request import ModelKey, RenderRequest, SynthesisSpec
from render.rescue import trouble

Function = Callable[..., Tensor]
"""Of tensors: launches on the current stream only, waits for nothing, decides nothing by their values."""
Synthesize = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
"""Of latents and overrides."""
Replay = Callable[[Synthesize, Tensor, Mapping[str, Tensor]], Tensor]
Latents = Callable[[Tensor, int | None], Tensor]
"""Of z and a class."""
ReplayMapping = Callable[[Latents, Tensor, int | None], Tensor]
FAMILIES = ('stylegan2', 'stylegan3')
"""Our own networks: they launch the same kernels whatever the numbers. Nobody knows that of a user's module."""
ENTRIES = 6
"""Two sides of a comparison: latents, pictures moved and not moved."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What was recorded."""

    replay: Callable[[], None]
    """Run it again, with what the inputs hold now."""
    output: Tensor
    """Written by every replay."""


class Recorder(Protocol):
    """Who records."""

    def record(self, function: Function, inputs: tuple[Tensor, ...]) -> Recording:
        """`function(*inputs)`, ready to be replayed. Raises `RuntimeError` where that is not possible."""
        ...


class CudaRecorder:
    """Records CUDA graphs."""

    WARM_UP = 2
    """Runs before: kernels are compiled, libraries choose their algorithms."""

    def __init__(self) -> None:
        self._aside: torch.cuda.Stream | None = None
        """One for all: libraries keep memory for each stream that they have seen."""

    def record(self, function: Function, inputs: tuple[Tensor, ...]) -> Recording:
        """See `Recorder.record`. Other threads may use the device meanwhile, for instance to open a model."""
        aside = self._aside = self._aside or torch.cuda.Stream()
        here = torch.cuda.current_stream()
        aside.wait_stream(here)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(aside):  # around the recording too, which does not go back to `here` if its end fails
            for _ in range(self.WARM_UP):
                function(*inputs)
            with torch.cuda.graph(graph, stream=aside, capture_error_mode='thread_local'):
                output = function(*inputs)
        here.wait_stream(aside)
        return Recording(graph.replay, output)


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    inputs: tuple[Tensor, ...]
    recording: Recording
    function: Function
    """Keeps alive what a graph reads by its address: weights, filters."""


class GraphCache:
    """The last few graphs, by the shape of the request. A shape is recorded when it comes the second time."""

    def __init__(self, recorder: Recorder, entries: int = ENTRIES):
        self._recorder, self._limit = recorder, entries
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self._refused: dict[Hashable, str] = {}
        self.replays = 0

    def call(self, key: Hashable, function: Function, inputs: tuple[Tensor, ...]) -> Tensor:
        """`function(*inputs)`, replayed where possible. `key`: everything that decides it beside the numbers in `inputs`."""
        entry = self._entries.get(key)
        if entry is None and key in self._seen and key not in self._refused:
            entry = self._record(key, function, inputs)
        if entry is None:
            self._note(key)
            return function(*inputs)
        self._entries.move_to_end(key)
        for static, given in zip(entry.inputs, inputs, strict=True):
            static.copy_(given)
        entry.recording.replay()
        self.replays += 1
        return entry.recording.output.clone()  # the next replay writes there again

    def for_picture(self, request: RenderRequest, info: GeneratorInfo, models: ModelStore) -> Replay | None:
        """How a picture is replayed; None where it runs step by step."""
        model, spec = request.model, request.synthesis
        if models.device.type != 'cuda' or info.family not in FAMILIES or not can_record(spec):
            return None
        self.keep(models.open_keys())

        def replay(run: Synthesize, ws: Tensor, overrides: Mapping[str, Tensor]) -> Tensor:
            names = sorted(overrides)
            inputs = (ws, *(overrides[name] for name in names))
            key = key_of(model, spec, ws, overrides)
            return self.call(key, lambda ws, *rest: run(ws, dict(zip(names, rest, strict=True))), inputs)

        return replay

    def for_mapping(self, request: RenderRequest, info: GeneratorInfo, models: ModelStore) -> ReplayMapping | None:
        """How latents are replayed; None where they are mapped step by step."""
        if models.device.type != 'cuda' or info.family not in FAMILIES:
            return None
        return self.mapping(request.model, models.device)

    def mapping(self, model: ModelKey, device: torch.device) -> ReplayMapping:
        """How latents are replayed on a device."""

        def replay(latents: Latents, z: Tensor, class_index: int | None) -> Tensor:
            key = (model, 'mapping', tuple(z.shape), class_index)
            return self.call(key, lambda z: latents(z, class_index), (z.to(device),))

        return replay

    def keep(self, models: Collection[ModelKey]) -> None:
        """Drop the graphs of every other model: they would keep it in memory. Keys begin with their model."""
        for key in [key for key in self._entries if isinstance(key, tuple) and key[0] not in models]:
            del self._entries[key]

    def clear(self) -> None:
        """Drop every graph; they are recorded again when asked for."""
        self._entries.clear()
        self._seen.clear()

    def note(self) -> str:
        """For the performance panel."""
        if self._refused:
            return f'graphs: not recorded ({list(self._refused.values())[-1]}), so every layer is launched anew'
        return f'graphs: {len(self._entries)} recorded, {self.replays} pictures replayed'

    def _record(self, key: Hashable, function: Function, inputs: tuple[Tensor, ...]) -> _Entry | None:
        statics = tuple(given.clone() for given in inputs)
        try:
            recording = self._recorder.record(function, statics)
        except RuntimeError as error:
            cause = error.__context__ or error  # the end of a failed recording complains once more, and of less
            if trouble(cause) == 'lost':
                raise cause from None  # the device itself is in trouble: not for us
            self._refused[key] = (str(cause).splitlines() or [''])[0][:160]
            _log.warning('a CUDA graph could not be recorded: %s', cause)
            return None
        while len(self._entries) >= self._limit:
            self._entries.popitem(last=False)
        entry = self._entries[key] = _Entry(statics, recording, function)
        return entry

    def _note(self, key: Hashable) -> None:
        self._seen[key] = None
        while len(self._seen) > 4 * self._limit:
            self._refused.pop(self._seen.popitem(last=False)[0], None)


def can_record(spec: SynthesisSpec) -> bool:
    """Whether a picture runs through, whole, without looking at layers, changing them, or drawing new numbers on the way."""
    return spec.layer is None and not spec.edits and spec.noise != 'random' and spec.part is None


def key_of(model: ModelKey, spec: SynthesisSpec, ws: Tensor, overrides: Mapping[str, Tensor]) -> Hashable:
    """What decides a picture beside the latent's and the overrides' numbers."""
    shapes = tuple((name, tuple(one.shape), one.dtype) for name, one in sorted(overrides.items()))
    return model, spec.filters, spec.noise, spec.noise_seed, spec.precision, tuple(ws.shape), ws.dtype, shapes

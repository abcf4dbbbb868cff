"""Synthesis layers that ran before, run again: one program of kernels, into which only addresses are written.

Looking up and laying out what a layer needs takes longer than the kernels of a small one. So its first run is recorded: the
arguments of each kernel, and which of them are addresses of tensors that come anew each time. The key decides about the
rest. Programs belong to a weight, go with it, and are recorded anew when it has changed.
"""

import threading
import weakref
from array import array
from collections.abc import Callable, Sequence
from ctypes import string_at
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import Parameter

from ops.fast_cpu import blocks
from ops.fast_cpu.convolution import PreparedWeight
from ops.fast_cpu.threads import STEP_WORDS, Step, run_program, workspace_address
from ops.synthesis_layer import LayerSpec

_MOST = 64
"""Programs of a weight."""
_LINE = 64
"""Bytes of a line of the cache."""

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """The tensors of a run whose addresses change."""

    x: Tensor
    bias: Tensor
    first: Tensor
    second: Tensor | None
    """Styles and input gain where the program modulates, else factors of input and output channels."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the kernels of a run wrote."""

    out: Tensor
    signal: Tensor
    """The convolution's result."""
    modulation: tuple[Tensor, Tensor] | None
    """Factors of input and output channels; None where they were given."""


@dataclass(frozen=True, slots=True)
class Program:
    """The kernels of a layer: modulation where they include it, convolution, filter."""

    modulates: bool
    words: array
    """Steps, then their arguments; copied for each run."""
    places: tuple[tuple[int, int], ...]
    """Which words are addresses, and of what: `x`, `bias`, `first`, `second`, result, then as in `starts`."""
    steps: int
    most_jobs: int
    scratch_floats: int
    result: tuple[tuple[int, ...], tuple[int, ...], int]
    """Shape, strides and floats of what comes out."""
    starts: tuple[int, ...]
    """In the memory between kernels: of the signal, and, where they are made, of factors and scale; then its end. Bytes."""
    prepared: PreparedWeight
    plan: object
    """What other addresses point to."""

    def run(self, given: Given) -> Tensor:
        """The layer."""
        out = blocks.result(*self.result)
        *starts, end = self.starts
        memory = workspace_address(end // 4)
        addresses = [given.x.data_ptr(), given.bias.data_ptr(), given.first.data_ptr()]
        addresses += (0 if given.second is None else given.second.data_ptr(), out.data_ptr())
        addresses += [memory + start for start in starts]
        words = self.words[:]
        for index, number in self.places:
            words[index] = addresses[number]
        run_program(words, self.steps, self.most_jobs, self.scratch_floats)
        return out


@dataclass(slots=True)
class _OfWeight:
    """What is remembered of a weight."""

    weight: weakref.ref[Tensor]
    state: tuple[int, int]
    programs: dict[Key, Program] = field(default_factory=dict)


@dataclass(slots=True)
class _Programs:
    """The one owner of the programs."""

    of_weight: dict[int, _OfWeight] = field(default_factory=dict)
    """By the identity of the weight."""
    lock: threading.Lock = field(default_factory=threading.Lock)


_programs = _Programs()


def key_of(
    x: Tensor, styles: Tensor, gain: Tensor | None, filters: Sequence[Tensor | None], bias: Tensor, spec: LayerSpec
) -> Key | None:
    """What decides about a layer's program besides its weight; None where a call is unusual."""
    shape, strides = x.shape, x.stride()
    if len(shape) != 4 or strides[1] != 1 or not _is_plain(styles) or not _is_plain(bias):
        return None
    if styles.shape != shape[:2] or bias.shape != spec.modulation.weight_shape[:1]:
        return None
    contents = []
    for f in filters:
        if f is not None and not _is_plain(f):
            return None
        contents.append(None if f is None else string_at(f.data_ptr(), 4 * f.numel()))
    if gain is not None and (gain.dtype is not torch.float32 or not gain.is_cpu):
        return None
    gains = None if gain is None else (gain.shape, gain.stride())
    return spec, shape, strides, gains, *contents, torch.get_num_threads()


def find(weight: Tensor, key: Key) -> Program | None:
    """The program that was kept, unless the weight has changed since."""
    known = _programs.of_weight.get(id(weight))
    if known is None or known.weight() is not weight or known.state != _state(weight):
        return None
    return known.programs.get(key)


def keep(
    weight: Tensor,
    key: Key,
    steps: Sequence[Step],
    given: Given,
    made: Made,
    prepared: PreparedWeight,
    plan: object,
) -> None:
    """Remember what was recorded for calls with the same weight and key, unless it reads copies of what was given.

    `prepared`, `plan`: what arguments point to besides the tensors.
    """
    program = _program(steps, given, made, prepared, plan)
    if program is None:
        return
    with _programs.lock:
        known = _programs.of_weight.get(id(weight))
        if known is None or known.weight() is not weight or known.state != _state(weight):
            known = _OfWeight(weakref.ref(weight, _forgetting(id(weight))), _state(weight))
            _programs.of_weight[id(weight)] = known
        if len(known.programs) >= _MOST:
            known.programs.clear()
        known.programs[key] = program


def _program(steps: Sequence[Step], given: Given, made: Made, prepared: PreparedWeight, plan: object) -> Program | None:
    own = made.modulation or ()
    tensors = (given.x, given.bias, given.first, given.second, made.out, made.signal, *own)
    numbers = {one.data_ptr(): number for number, one in enumerate(tensors) if one is not None}
    words, start = array('q'), 8 * STEP_WORDS * len(steps)
    for step in steps:
        words.extend((step.kernel, step.jobs, start))
        start += 8 * len(step.fields)
    for step in steps:
        words.extend(step.fields)
    places = tuple((index, numbers[word]) for index, word in enumerate(words) if word in numbers)
    if {number for _, number in places} != set(numbers.values()):
        return None
    starts = [0, _aligned(4 * made.signal.shape[0] * made.signal.stride(0))]
    for one in own:
        starts.append(starts[-1] + _aligned(4 * one.numel()))
    return Program(
        made.modulation is not None,
        words,
        places,
        len(steps),
        max(step.jobs for step in steps),
        max(step.scratch_floats for step in steps),
        (tuple(made.out.shape), made.out.stride(), made.out.numel()),
        tuple(starts),
        prepared,
        plan,
    )


def _aligned(size: int) -> int:
    return -(-size // _LINE) * _LINE


def _is_plain(one: Tensor) -> bool:
    return one.dtype is torch.float32 and one.is_cpu and one.is_contiguous() and type(one) in (Tensor, Parameter)


def _state(weight: Tensor) -> tuple[int, int]:
    """Changes with the weight's content."""
    return 0 if weight.is_inference() else weight._version, weight.data_ptr()


def _forgetting(identity: int) -> Callable[[weakref.ref[Tensor]], None]:
    """What to do when the weight is gone."""

    def forget(weight: weakref.ref[Tensor]) -> None:
        known = _programs.of_weight.get(identity)
        if known is not None and known.weight is weight:
            _programs.of_weight.pop(identity, None)

    return forget

"""Synthesis layers that ran before, run again: one program of kernels, into which only addresses are written.

Looking up and laying out what a layer needs takes longer than the kernels of a small one. So its first run is recorded: the
arguments of each kernel, and which of them are addresses of tensors that come anew each time. The key decides about the
rest. Programs belong to a weight, go with it, and are recorded anew when it has changed.
"""

import threading
import weakref
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import string_at
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ops.fast_cpu import blocks
from ops.fast_cpu.convolution import PreparedWeight, is_kept
from ops.fast_cpu.dense import is_plain, latent_key
from ops.fast_cpu.threads import STEP_WORDS, Step, run_program, workspace_address
from ops.styles import LatentStyles
from ops.synthesis_layer import LayerSpec

_MOST = 64
"""Programs of a weight."""
_LINE = 64
"""Bytes of a line of the cache."""

Key = tuple[object, ...]


Given = tuple[Tensor | None, ...]
"""Tensors that a run starts from, whose addresses change."""


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What is recorded."""

    origin: str
    """What it starts from; decides what is given."""
    steps: Sequence[Step]
    given: Given
    between: tuple[Tensor, ...]
    """What its kernels leave for those after them; starts at its lowest address, the first axis has the largest stride."""
    out: Tensor
    prepared: PreparedWeight
    plan: object = None
    """What other addresses point to."""
    early: int = 0
    """Steps at the start that read nothing but a latent and its map."""


@dataclass(frozen=True, slots=True)
class Program:
    """Kernels to run one after the other."""

    origin: str
    words: array
    """Steps, then their arguments; copied for each run."""
    places: tuple[tuple[int, int], ...]
    """Which words are addresses, and of which tensor: those that are given, the result, then those in `starts`."""
    steps: int
    most_jobs: int
    scratch_floats: int
    result: tuple[tuple[int, ...], tuple[int, ...], int]
    """Shape, strides and floats of what comes out."""
    starts: tuple[int, ...]
    """Of what lies between kernels, in the memory for that, and the end; bytes."""
    prepared: PreparedWeight
    plan: object
    """What other addresses point to."""
    early: int
    """Steps at the start that read nothing but a latent and its map."""

    def run(self, given: Given) -> Tensor:
        """The layer."""
        out = blocks.result(*self.result)
        *starts, end = self.starts
        memory = workspace_address(end // 4)
        addresses = [0 if one is None else one.data_ptr() for one in given]
        addresses.append(out.data_ptr())
        addresses += [memory + start for start in starts]
        words = self.words[:]
        for index, number in self.places:
            words[index] = addresses[number]
        run_program(words, self.steps, self.most_jobs, self.scratch_floats)
        runs: list[Run] | None = getattr(_programs.watched, 'runs', None)
        if runs is not None:
            runs.append(Run(self, given, out))
        return out


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program."""

    program: Program
    given: Given
    out: Tensor


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
    watched: threading.local = field(default_factory=threading.local)
    """Of each thread: where its runs are noted."""


_programs = _Programs()


def key_of(
    x: Tensor,
    styles: Tensor | LatentStyles,
    gain: Tensor | None,
    filters: Sequence[Tensor | None],
    bias: Tensor,
    spec: LayerSpec,
) -> Key | None:
    """What decides about a layer's program besides its weight; None where a call is unusual."""
    shape, strides, (channels, *_) = x.shape, x.stride(), spec.modulation.weight_shape
    if len(shape) != 4 or strides[1] != 1 or not is_plain(bias) or bias.shape != (channels,):
        return None
    if isinstance(styles, LatentStyles):
        style_key = latent_key(styles) if (styles.latent.shape[0], styles.weight.shape[0]) == shape[:2] else None
    else:
        style_key = () if styles.shape == shape[:2] and is_plain(styles) else None
    if style_key is None or (gain is not None and (gain.dtype is not torch.float32 or not gain.is_cpu)):
        return None
    contents = []
    # Without filters, the kernel reads a copy of the bias, and a gain becomes a part of the latent's map.
    copied = (bias, gain) if isinstance(styles, LatentStyles) else (bias,)
    for one in filters if any(f is not None for f in filters) else copied:
        if one is not None and not is_plain(one):
            return None
        contents.append(None if one is None else string_at(one.data_ptr(), 4 * one.numel()))
    gains = None if gain is None else (gain.shape, gain.stride())
    return spec, shape, strides, style_key, gains, *contents, torch.get_num_threads()


@contextmanager
def watching() -> Iterator[list[Run]]:
    """Within the block, the runs of programs by this thread are noted in the list."""
    runs: list[Run] = []
    _programs.watched.runs = runs
    try:
        yield runs
    finally:
        _programs.watched.runs = None


def find(weight: Tensor, key: Key) -> Program | None:
    """The program that was kept, unless the weight has changed since."""
    known = _programs.of_weight.get(id(weight))
    if known is None or known.weight() is not weight or known.state != _state(weight):
        return None
    return known.programs.get(key)


def keep(weight: Tensor, key: Key, first: FirstRun) -> None:
    """Remember a first run for calls with the same weight and key, unless it reads copies of what was given."""
    program = _program(first)
    if program is None or not is_kept(weight, first.prepared):
        return
    with _programs.lock:
        known = _programs.of_weight.get(id(weight))
        if known is None or known.weight() is not weight or known.state != _state(weight):
            known = _OfWeight(weakref.ref(weight, _forgetting(id(weight))), _state(weight))
            _programs.of_weight[id(weight)] = known
        if len(known.programs) >= _MOST:
            known.programs.clear()
        known.programs[key] = program


def _program(first: FirstRun) -> Program | None:
    steps, out = first.steps, first.out
    tensors = enumerate((*first.given, out, *first.between))
    numbers = {one.data_ptr(): number for number, one in tensors if one is not None}
    words, start = array('q'), 8 * STEP_WORDS * len(steps)
    for step in steps:
        words.extend((step.kernel, step.jobs, start))
        start += 8 * len(step.fields)
    for step in steps:
        words.extend(step.fields)
    places = tuple((index, numbers[word]) for index, word in enumerate(words) if word in numbers)
    if {number for _, number in places} != set(numbers.values()):
        return None
    starts = [0]
    for one in first.between:
        starts.append(starts[-1] + aligned(4 * one.shape[0] * one.stride(0)))
    return Program(
        first.origin,
        words,
        places,
        len(steps),
        max(step.jobs for step in steps),
        max(step.scratch_floats for step in steps),
        (tuple(out.shape), out.stride(), out.shape[0] * out.stride(0)),
        tuple(starts),
        first.prepared,
        first.plan,
        first.early,
    )


def aligned(size: int) -> int:
    """Bytes to the end of a line of the cache."""
    return -(-size // _LINE) * _LINE


def version_of(one: Tensor) -> int:
    """Changes with the content of a tensor, unless that was made for inference."""
    return 0 if one.is_inference() else one._version


def _state(weight: Tensor) -> tuple[int, int]:
    return version_of(weight), weight.data_ptr()


def _forgetting(identity: int) -> Callable[[weakref.ref[Tensor]], None]:
    """What to do when the weight is gone."""

    def forget(weight: weakref.ref[Tensor]) -> None:
        known = _programs.of_weight.get(identity)
        if known is not None and known.weight is weight:
            _programs.of_weight.pop(identity, None)

    return forget

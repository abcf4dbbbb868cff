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

from ops.fast_cpu import blocks
from ops.fast_cpu.convolution import PreparedWeight
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
"""Tensors of a run whose addresses change: input, bias, gain; then latents and their affine map, or styles, or factors."""


@dataclass(frozen=True, slots=True)
class Made:
    """A first run: what ran, what it started from and what it wrote."""

    steps: Sequence[Step]
    latents: LatentStyles | Tensor | None
    """Those that the kernels mapped to styles, if they did."""
    styles: Tensor | None
    """Those that the kernels modulated with, if they did."""
    factors: Tensor
    scale: Tensor | None
    """Of the input and output channels."""
    signal: Tensor | None
    """The convolution's result, unless it is the layer's."""
    out: Tensor

    def given(self) -> tuple[Tensor | None, ...]:
        """What a program starts from besides input, bias and gain."""
        if self.styles is None:
            return self.factors, self.scale
        if isinstance(self.latents, LatentStyles):
            return self.latents.latent, self.latents.weight, self.latents.bias
        return (self.styles,)

    def between(self) -> tuple[Tensor, ...]:
        """What lies between its kernels."""
        if self.signal is None:
            return ()
        if self.styles is None or self.scale is None:
            return (self.signal,)
        made = (self.signal, self.factors, self.scale)
        return made if self.latents is None else (*made, self.styles)


@dataclass(frozen=True, slots=True)
class Program:
    """The kernels of a layer: affine map and modulation where they include these, convolution, filter."""

    from_latents: bool
    modulates: bool
    words: array
    """Steps, then their arguments; copied for each run."""
    places: tuple[tuple[int, int], ...]
    """Which words are addresses, and of which tensor: those that are given, the result, then as in `starts`."""
    steps: int
    most_jobs: int
    scratch_floats: int
    result: tuple[tuple[int, ...], tuple[int, ...], int]
    """Shape, strides and floats of what comes out."""
    starts: tuple[int, ...]
    """In the memory for what lies between kernels: of each tensor, and the end; bytes."""
    prepared: PreparedWeight
    plan: object
    """What other addresses point to."""

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
    # Without filters, the kernel reads a copy of the bias.
    for one in filters if any(f is not None for f in filters) else (bias,):
        if one is not None and not is_plain(one):
            return None
        contents.append(None if one is None else string_at(one.data_ptr(), 4 * one.numel()))
    gains = None if gain is None else (gain.shape, gain.stride())
    return spec, shape, strides, style_key, gains, *contents, torch.get_num_threads()


def find(weight: Tensor, key: Key) -> Program | None:
    """The program that was kept, unless the weight has changed since."""
    known = _programs.of_weight.get(id(weight))
    if known is None or known.weight() is not weight or known.state != _state(weight):
        return None
    return known.programs.get(key)


def keep(weight: Tensor, key: Key, given: Given, made: Made, prepared: PreparedWeight, plan: object) -> None:
    """Remember a first run for calls with the same weight and key, unless it reads copies of what was given.

    `given`: input, bias and gain.  `prepared`, `plan`: what arguments point to besides the tensors.
    """
    program = _program(given, made, prepared, plan)
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


def _program(given: Given, made: Made, prepared: PreparedWeight, plan: object) -> Program | None:
    between = made.between()
    modulates, from_latents = len(between) > 1, len(between) > 3
    given = (*given[:2], given[2] if modulates else None, *made.given())
    tensors = enumerate((*given, made.out, *between))
    numbers = {one.data_ptr(): number for number, one in tensors if one is not None}
    # A layer that does not modulate starts behind its styles.
    steps = made.steps[-1 - bool(between) - modulates - from_latents :]
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
    for one in between:
        starts.append(starts[-1] + _aligned(4 * one.shape[0] * one.stride(0)))
    return Program(
        from_latents,
        modulates,
        words,
        places,
        len(steps),
        max(step.jobs for step in steps),
        max(step.scratch_floats for step in steps),
        (tuple(made.out.shape), made.out.stride(), made.out.shape[0] * made.out.stride(0)),
        tuple(starts),
        prepared,
        plan,
    )


def _aligned(size: int) -> int:
    return -(-size // _LINE) * _LINE


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

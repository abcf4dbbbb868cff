"""Whole pictures as one program: what the programs of a network's layers do, in one call without Python in between.

Steps that only depend on latents come first, those of all layers together; what passes from layer to layer lies in memory that
stays in the cache. A chain holds as long as every tensor that its programs were recorded with is as it was.
"""

from array import array
from collections.abc import Sequence
from ctypes import string_at
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ops.fast_cpu import blocks, library
from ops.fast_cpu.recorded import Run, aligned
from ops.fast_cpu.threads import STEP_WORDS, group_kernel, run_program, workspace_address
from ops.fast_cpu.waves import STILL

_GAIN = 2
"""Which of the tensors that a layer is given is its gain."""
_MOST_PLACES = 4
_MEMBER_WORDS = 3
"""Of a kernel in a group, before its arguments."""

_Source = tuple[Literal['inner', 'moving', 'fixed', 'out'], int, int]
"""Of an address: which moving tensor, and bytes from its start, or from that of the memory between kernels; or the address."""


@dataclass(frozen=True, slots=True)
class _Fixed:
    """Tensors that programs read or were made from, as they were. To look at one costs cache misses, so no more than needed is."""

    all: tuple[Tensor, ...]
    """Those of which the place decides."""
    addresses: list[int]
    counted: tuple[Tensor, ...]
    """Those of them that count their versions, which decide too; tensors made for inference do not."""
    versions: list[int]
    copied: tuple[Tensor, ...]
    """Those whose content decides."""
    contents: list[bytes]

    @classmethod
    def of(cls, read: Sequence[Tensor], prepared: Sequence[Tensor], copied: Sequence[Tensor]) -> '_Fixed':
        both, counted = (*read, *prepared), tuple(one for one in prepared if not one.is_inference())
        addresses, versions = [one.data_ptr() for one in both], [one._version for one in counted]
        return cls(both, addresses, counted, versions, tuple(copied), [_content(one) for one in copied])

    def are_as_before(self) -> bool:
        """Whether nothing was written to them or put in their place."""
        return (
            [one.data_ptr() for one in self.all] == self.addresses
            and [one._version for one in self.counted] == self.versions
            and [_content(one) for one in self.copied] == self.contents
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """The programs of a picture, joined."""

    words: array
    """As for `run_program`. Addresses in the memory between kernels are counted from its start."""
    placed: dict[int, array]
    """The same for the places where that memory was last."""
    steps: int
    most_jobs: int
    scratch_floats: int
    inner_floats: int
    """Of the memory between kernels."""
    inner: tuple[tuple[int, int], ...]
    """Words that are addresses in that memory, and bytes from its start."""
    moving: tuple[tuple[int, int, int], ...]
    """Words that are addresses of moving tensors: of which one, and bytes from its start."""
    out: int
    """The word that is the address of the picture."""
    result: tuple[tuple[int, ...], tuple[int, ...], int]
    """Shape, strides and floats of the picture."""
    layouts: list[tuple[object, ...]]
    """What must not change about the moving tensors."""
    fixed: '_Fixed'
    threads: int
    kept: tuple[object, ...]
    """What addresses point to."""

    def holds(self, moving: Sequence[Tensor]) -> bool:
        """Whether a run with these tensors does what the layers would do."""
        if torch.get_num_threads() != self.threads or library.policy() == 'off' or forward_ad._current_level >= 0:
            return False
        return self.fixed.are_as_before() and [_layout(one) for one in moving] == self.layouts

    def run(self, moving: Sequence[Tensor]) -> Tensor:
        """The picture; only where the chain holds."""
        out, addresses = blocks.result(*self.result), [one.data_ptr() for one in moving]
        words = self._words(workspace_address(self.inner_floats))[:]
        for index, number, offset in self.moving:
            words[index] = addresses[number] + offset
        words[self.out] = out.data_ptr()
        run_program(words, self.steps, self.most_jobs, self.scratch_floats)
        return out

    def _words(self, start: int) -> array:
        """The program for a place of the memory between kernels; the place stays the same from picture to picture."""
        words = self.placed.get(start)
        if words is None:
            words = self.words[:]
            for index, offset in self.inner:
                words[index] = start + offset
            if len(self.placed) >= _MOST_PLACES:
                self.placed.clear()
            self.placed[start] = words
        return words


def join(
    runs: Sequence[Run],
    moving: Sequence[Tensor],
    *,
    read: Sequence[Tensor],
    prepared: Sequence[Tensor],
    copied: Sequence[Tensor],
) -> Chain | None:
    """The chain of programs that ran one after the other, each on the result of the one before; None where that is not so.

    `moving`: tensors that come anew each time.  `read`: others that the programs read where they are.  `prepared`: weights that they
    were made from.  `copied`: tensors whose content they hold.
    """
    if not runs or any(run.program.origin in ('styles', 'factors') for run in runs):
        return None
    areas, known = _Areas.of(runs), {id(one) for one in read}
    sources = [_sources(runs, number, areas, moving, known) for number in range(len(runs))]
    steps = [[] if found is None else _steps(run, found) for run, found in zip(runs, sources, strict=True)]
    if any(found is None for found in sources):
        return None
    early = [own[: run.program.early] for run, own in zip(runs, steps, strict=True)]
    groups = [[own[index] for own in early if index < len(own)] for index in range(max(map(len, early)))]
    late = [step for run, own in zip(runs, steps, strict=True) for step in own[run.program.early :]]
    words, places = _words(groups, late)
    programs = [run.program for run in runs]
    return Chain(
        words,
        {},
        len(groups) + len(late),
        max(*(step.jobs for step in late), *(sum(step.jobs for step in group) for group in groups)),
        max(program.scratch_floats for program in programs),
        areas.end // 4,
        tuple((index, offset) for index, (kind, _, offset) in places if kind == 'inner'),
        tuple((index, number, offset) for index, (kind, number, offset) in places if kind == 'moving'),
        next(index for index, (kind, _, _) in places if kind == 'out'),
        programs[-1].result,
        [_layout(one) for one in moving],
        _Fixed.of(read, prepared, copied),
        torch.get_num_threads(),
        (*programs, *(run.given[_GAIN] for run in runs[1:])),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of a program with the places of addresses in its arguments."""

    kernel: int
    jobs: int
    fields: array
    places: tuple[tuple[int, _Source], ...]


@dataclass(frozen=True, slots=True)
class _Areas:
    """Where things lie in the memory between kernels, in bytes: signals within a layer from its start, then pictures between layers."""

    pictures: int
    own: tuple[tuple[int, ...], ...]
    """Of each program: what else lies between its kernels, the latents' part first for all."""
    end: int

    @classmethod
    def of(cls, runs: Sequence[Run]) -> '_Areas':
        programs = [run.program for run in runs]
        signals = max(program.starts[1] if _has_signal(run) else 0 for program, run in zip(programs, runs, strict=True))
        pictures = max((aligned(4 * program.result[2]) for program in programs[:-1]), default=0)
        end, own = signals + pictures, []
        for run, program in zip(runs, programs, strict=True):
            first = 1 if _has_signal(run) else 0
            begin = end - program.starts[first]
            own.append(tuple(0 if index < first else begin + start for index, start in enumerate(program.starts[:-1])))
            end = begin + program.starts[-1]
        return cls(signals, tuple(own), end)


def _has_signal(run: Run) -> bool:
    """Whether what lies between its kernels begins with a signal that only the last two see."""
    return run.program.steps - run.program.early == 2


def _sources(
    runs: Sequence[Run], number: int, areas: _Areas, moving: Sequence[Tensor], fixed: set[int]
) -> list[_Source] | None:
    """Where the addresses of a program come from, in the order of its numbers; None where one is unknown."""
    program, given = runs[number].program, runs[number].given
    found: list[_Source] = []
    asked = {index for _, index in program.places}
    for index, one in enumerate(given):
        if one is None or index not in asked:
            found.append(('fixed', 0, 0))
            continue
        if id(one) in fixed or one is STILL or (number > 0 and index == _GAIN):
            found.append(('fixed', 0, one.data_ptr()))
            continue
        if number > 0 and index == 0 and one.data_ptr() == runs[number - 1].out.data_ptr():
            found.append(('inner', 0, areas.pictures))
            continue
        spans = [(one.data_ptr() - whole.data_ptr(), _span(whole)) for whole in moving]
        inside = [(which, offset) for which, (offset, span) in enumerate(spans) if 0 <= offset < span]
        if not inside:
            return None
        which, offset = inside[0]
        found.append(('moving', which, offset))
    is_last = number == len(runs) - 1
    found.append(('out', 0, 0) if is_last else ('inner', 0, areas.pictures))
    for offset in areas.own[number]:
        found.append(('inner', 0, offset))
    return found


def _steps(run: Run, sources: Sequence[_Source]) -> list[_Step]:
    """The steps of a program."""
    program, steps = run.program, []
    words, first = program.words, STEP_WORDS * program.steps
    starts = [words[STEP_WORDS * index + 2] // 8 for index in range(program.steps)] + [len(words)]
    assert starts[0] == first
    for index in range(program.steps):
        begin, end = starts[index], starts[index + 1]
        fields = words[begin:end]
        places = []
        for place, number in program.places:
            if begin <= place < end:
                if sources[number][0] == 'fixed':
                    fields[place - begin] = sources[number][2]
                else:
                    places.append((place - begin, sources[number]))
        kernel, jobs = words[STEP_WORDS * index : STEP_WORDS * index + 2]
        steps.append(_Step(kernel, jobs, fields, tuple(places)))
    return steps


def _words(groups: Sequence[Sequence[_Step]], late: Sequence[_Step]) -> tuple[array, list[tuple[int, _Source]]]:
    """The program, and where addresses that change are in it."""
    header = STEP_WORDS * (len(groups) + len(late))
    records, body, places = array('q'), array('q'), []

    def place(step: _Step) -> int:
        start = header + len(body)
        body.extend(step.fields)
        places.extend((start + index, source) for index, source in step.places)
        return start

    for group in groups:
        start = header + len(body)
        members = array('q', [0] * (1 + _MEMBER_WORDS * len(group)))
        body.extend(members)
        members[0] = len(group)
        for index, step in enumerate(group):
            own = array('q', [step.jobs, step.kernel, 8 * (place(step) - start)])
            members[1 + _MEMBER_WORDS * index : 1 + _MEMBER_WORDS * (index + 1)] = own
        body[start - header : start - header + len(members)] = members
        records.extend((group_kernel(), sum(step.jobs for step in group), 8 * start))
    for step in late:
        records.extend((step.kernel, step.jobs, 8 * place(step)))
    return records + body, places


def _content(one: Tensor) -> bytes:
    return string_at(one.data_ptr(), 4 * one.numel())


def _layout(one: Tensor) -> tuple[object, ...]:
    return type(one), one.dtype, one.is_cpu, one.shape, one.stride()


def _span(one: Tensor) -> int:
    """Bytes from the first number to the end of the last."""
    return 4 * (1 + sum((count - 1) * step for count, step in zip(one.shape, one.stride(), strict=True)))

"""Runs golden fixtures through our implementation: finds the cases, calls their handlers, compares.

A *handler* computes the outputs of one case:

    Handler = Callable[[Case], Mapping[str, Tensor | None]]

It returns a tensor for every name in `case.wanted` (extra names are ignored; None where the function returns
None). Where the fixture holds expectations that are not tensors (`expected_attributes`, `layer_names`, `num_ws`) the
handler checks them and raises `Mismatch` with one sentence. Handlers live in `kinds_*.py`, in a dict `KINDS`.

The manifest's `schedules` are checked by `kinds_networks.check_schedules(manifest, tensors)`, which yields one `Outcome`
per configuration, with the id `schedules/NAME`; `tensors.get(file, key)` returns a stored filter.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import Tensor

from tests.golden.compare import Comparison, compare
from tests.golden.fixture import FixtureError, TensorFolder, load_manifest


class Mismatch(Exception):
    """An expectation that is not a tensor was not met; the message says which, got and wanted."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of one entry, with its tensors loaded."""

    entry: Mapping[str, Any]
    """The manifest's entry as it stands (`parameters`, `buffers`, `expected_attributes`, `layer_names`, …)."""
    case: Mapping[str, Any]
    """The manifest's case as it stands."""
    args: Mapping[str, Any]
    inputs: Mapping[str, Tensor]
    """By name. Not listed = not given (None): use `.get`."""
    state: Mapping[str, Tensor]
    """Official tensor name -> value, float32; of the entry named by `state_from` where that is given."""
    config: Mapping[str, Any]
    """Keyword arguments of the constructor (of the `state_from` entry where the entry has none of its own)."""
    wanted: tuple[str, ...]
    """Names of the outputs that will be compared; also says which gradients and captures are asked for."""
    flags: frozenset[str]
    """'rng_draws': inject `draws()` where random numbers are drawn. 'rng_order': only with the official order."""

    @property
    def id(self) -> str:
        """`entry/case`, unique."""
        return f'{self.entry["id"]}/{self.case["id"]}'

    @property
    def kind(self) -> str:
        """Which handler runs it."""
        return self.entry['kind']

    def draws(self) -> list[tuple[str, Tensor]]:
        """Stored random numbers as (torch function name, values), in the order drawn."""
        names = [name for name in self.inputs if name.startswith('draws/')]
        names.sort(key=lambda name: int(name.removeprefix('draws/').split('_')[0]))
        return [(name.split('_', 1)[1], self.inputs[name]) for name in names]


Handler = Callable[[Case], Mapping[str, Tensor | None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case: one line of the report."""

    id: str
    passed: bool
    error: float | None = None
    """Largest difference, measured against its tolerance, over all outputs; None when nothing could be compared."""
    tolerance: float | None = None
    """What was allowed there: atol + rtol * |expected|."""
    reason: str = ''
    """Why it failed, one sentence; 'not yet' where nothing of ours answers this kind."""
    output: str = ''
    """The output that the numbers belong to."""

    def line(self) -> str:
        """The outcome as the report prints it."""
        numbers = ''
        if self.error is not None and self.tolerance is not None:
            numbers = f'error {self.error:.3g}, tolerance {self.tolerance:.3g}' + (
                f' ({self.output})' if self.output else ''
            )
        details = '; '.join(text for text in (numbers, self.reason) if text)
        return f'{"ok  " if self.passed else "FAIL"} {self.id:<48} {details}'.rstrip()


ScheduleCheck = Callable[[Mapping[str, Any], TensorFolder], Iterable[Outcome]]


def run_folder(folder: Path, only: str | None = None) -> Iterator[Outcome]:
    """Outcome of every case of a fixture folder, and of every configuration of its schedules, as they are computed.

    `only`: a glob, or a part, of the id (`upfirdn2d/00`) or the kind. Raises `FixtureError` when there is no manifest.
    """
    manifest = load_manifest(folder)
    handlers, check_schedules, broken = load_handlers()
    entries = {entry['id']: entry for entry in manifest['entries']}
    with TensorFolder(folder) as tensors:
        for entry in manifest['entries']:
            for case in entry.get('cases', ()):
                if _matches(only, f'{entry["id"]}/{case["id"]}', entry['kind']):
                    yield run_case(entry, case, entries, tensors, handlers, broken)
        schedules = {
            name: schedule
            for name, schedule in manifest.get('schedules', {}).items()
            if _matches(only, f'schedules/{name}', 'schedules')
        }
        if schedules:
            yield from check_schedules({**manifest, 'schedules': schedules}, tensors)


def run_case(
    entry: Mapping[str, Any],
    case: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
    tensors: TensorFolder,
    handlers: Mapping[str, Handler],
    broken: Sequence[str] = (),
) -> Outcome:
    """Outcome of one case; whatever goes wrong in it is the reason of its failure."""
    name = f'{entry["id"]}/{case["id"]}'
    handler = handlers.get(entry['kind'])
    if handler is None:
        reason = f'not yet: nothing of ours answers the kind {entry["kind"]}'
        return Outcome(name, False, reason='; '.join((reason, *broken)))
    try:
        loaded = _load_case(entry, case, entries, tensors)
        expected = tensors.named(entry['file'], case.get('outputs', {}))
        return _judge(loaded, handler(loaded), expected)
    except (FixtureError, Mismatch) as error:
        return Outcome(name, False, reason=str(error))
    except Exception as error:  # a case may break in any way; the report says how, and the others still run
        return Outcome(name, False, reason=f'{type(error).__name__}: {" ".join(str(error).split())}')


def _load_case(
    entry: Mapping[str, Any],
    case: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
    tensors: TensorFolder,
) -> Case:
    source = entry
    if 'state_from' in entry:
        if entry['state_from'] not in entries:
            raise FixtureError(f'the entry {entry["state_from"]!r}, whose state is to be used, is not in the manifest')
        source = entries[entry['state_from']]
    return Case(
        entry=entry,
        case=case,
        args=case.get('args', {}),
        inputs=tensors.named(entry['file'], case.get('inputs', {})),
        state=tensors.named(source['file'], source.get('state', {})),
        config=entry.get('config') or source.get('config', {}),
        wanted=tuple(case.get('outputs', {})),
        flags=frozenset(case.get('flags', ())),
    )


def _judge(case: Case, actual: Mapping[str, Tensor | None], expected: Mapping[str, Tensor]) -> Outcome:
    """Compare every wanted output; the worst one speaks for the case."""
    if case.case.get('returns_none'):
        correct = bool(actual) and all(value is None for value in actual.values())
        return (
            Outcome(case.id, correct, 0.0, 0.0)
            if correct
            else Outcome(case.id, False, reason='the result must be None')
        )
    if not expected:
        return Outcome(case.id, False, reason='the manifest names no output to compare')
    compared: dict[str, Comparison] = {}
    for name, golden in expected.items():
        if name in actual:
            compared[name] = compare(actual[name], golden, case.case['tolerance'][name])
        else:
            compared[name] = Comparison(False, reason='our implementation does not return it')
    output, worst = max(compared.items(), key=lambda pair: (not pair[1].passed, pair[1].severity))
    reason = f'{output}: {worst.reason}' if worst.reason else ''
    return Outcome(case.id, worst.passed, worst.error, worst.tolerance, reason, output)


def load_handlers() -> tuple[Mapping[str, Handler], ScheduleCheck, tuple[str, ...]]:
    """All handlers by kind from the modules `kinds_*`, the check of the schedules, and which modules failed to import.

    Imported here, not above, because those modules import this one.
    """
    handlers: dict[str, Handler] = {}
    check_schedules: ScheduleCheck = _no_schedules
    broken = []
    for path in sorted(Path(__file__).parent.glob('kinds_*.py')):
        try:
            module = importlib.import_module(f'tests.golden.{path.stem}')
        except ImportError as error:  # the kinds of the other modules can still be checked
            broken.append(f'{path.name} cannot be imported: {error}')
            continue
        handlers |= module.KINDS
        check_schedules = getattr(module, 'check_schedules', check_schedules)
    return handlers, check_schedules, tuple(broken)


def _no_schedules(manifest: Mapping[str, Any], tensors: TensorFolder) -> Iterator[Outcome]:
    for name in manifest['schedules']:
        yield Outcome(f'schedules/{name}', False, reason='not yet: nothing of ours answers the kind schedules')


def _matches(pattern: str | None, name: str, kind: str) -> bool:
    return pattern is None or pattern in name or fnmatchcase(name, pattern) or fnmatchcase(kind, pattern)

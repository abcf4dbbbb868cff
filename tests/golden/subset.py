"""`python -m tests.golden.subset SRC DST --max-bytes N`: a small fixture folder out of a large one, of the same schema.

Only kinds that our implementation answers are taken. The kind that has used the fewest bytes chooses next: the cheapest
case (tensors are shared between cases) of the entry with the fewest cases so far. A kind stops when nothing more fits.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from tests.golden.fixture import FixtureError, TensorFolder, load_manifest
from tests.golden.runner import load_handlers

Keys = frozenset[tuple[str, str]]
"""Tensors by (file, key)."""
Entries = Mapping[str, Mapping[str, Any]]
"""Manifest entries by id."""
EntryCase = tuple[Mapping[str, Any], Mapping[str, Any]]


@dataclass(slots=True)
class Selection:
    """What has been chosen so far, and how many bytes it will take."""

    tensors: TensorFolder
    cases: dict[str, list[str]] = field(default_factory=dict)
    """Entry id -> case ids."""
    schedules: list[str] = field(default_factory=list)
    keys: set[tuple[str, str]] = field(default_factory=set)
    bytes: int = 2000  # the manifest's own fields

    def cost(self, keys: Keys, *texts: Mapping[str, Any]) -> int:
        """Further bytes for these tensors, with their headers, and these parts of the manifest."""
        new = keys - self.keys
        tensors = sum(self.tensors.get(*key).nbytes + len(key[1]) + 80 for key in new)
        return tensors + sum(len(_dump(text)) + 2 for text in texts)

    def take(self, keys: Keys, bytes: int) -> None:
        """Count tensors and bytes as chosen."""
        self.keys |= keys
        self.bytes += bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the subset and say what it holds."""
    parser = argparse.ArgumentParser(prog='python -m tests.golden.subset', description=__doc__)
    parser.add_argument('source', type=Path, metavar='SRC')
    parser.add_argument('destination', type=Path, metavar='DST')
    parser.add_argument('--max-bytes', type=int, required=True, help='of all files together')
    parser.add_argument(
        '--favour', action='append', default=[], metavar='GLOB', help='kinds that may use four times the bytes'
    )
    parser.add_argument(
        '--skip', action='append', default=[], metavar='GLOB', help='kinds to leave out; may be repeated'
    )
    options = parser.parse_args(arguments)
    try:
        manifest = dict(load_manifest(options.source))
        manifest['entries'] = [_without_information(entry) for entry in manifest['entries']]
        with TensorFolder(options.source) as tensors:
            selection = select(manifest, tensors, options.max_bytes, options.skip, options.favour)
            write(manifest, selection, options.destination)
    except FixtureError as error:
        print(error, file=sys.stderr)
        return 1
    count = sum(len(cases) for cases in selection.cases.values())
    size = sum(path.stat().st_size for path in options.destination.iterdir())
    print(f'{count} cases of {len(selection.cases)} entries, {len(selection.schedules)} schedules, {size} bytes')
    return 0


def select(
    manifest: Mapping[str, Any], tensors: TensorFolder, max_bytes: int, skip: Sequence[str], favour: Sequence[str]
) -> Selection:
    """All schedules, then cases by turns of their kinds, up to `max_bytes`."""
    handlers, _, _ = load_handlers()
    entries = {entry['id']: entry for entry in manifest['entries']}
    waiting: dict[str, list[EntryCase]] = {}
    for entry in manifest['entries']:
        if entry['kind'] in handlers and not _any_matches(skip, entry['kind']):
            waiting.setdefault(entry['kind'], []).extend((entry, case) for case in entry['cases'])
    selection = Selection(tensors)
    for name, schedule in manifest.get('schedules', {}).items():
        keys = _schedule_keys(schedule)
        selection.take(keys, selection.cost(keys, schedule))
        selection.schedules.append(name)
    spent = dict.fromkeys(waiting, 0.0)
    while waiting:
        kind = min(waiting, key=lambda name: spent[name])
        found = _next_case(selection, waiting[kind], entries, max_bytes - selection.bytes)
        if found is None:
            del waiting[kind]
            continue
        price, index = found
        entry, case = waiting[kind].pop(index)
        selection.take(_case_keys(entry, case, entries), price)
        selection.cases.setdefault(entry['id'], []).append(case['id'])
        spent[kind] += price / 4 if _any_matches(favour, kind) else price
    return selection


def _next_case(
    selection: Selection, candidates: Sequence[EntryCase], entries: Entries, room: int
) -> tuple[int, int] | None:
    """Price and index of the case to take: of the entry with the fewest cases so far, the cheapest; None if none fits."""
    ranked = [
        (len(selection.cases.get(entry['id'], ())), _price(selection, entry, case, entries), index)
        for index, (entry, case) in enumerate(candidates)
    ]
    affordable = [one for one in ranked if one[1] <= room]
    return min(affordable)[1:] if affordable else None


def write(manifest: Mapping[str, Any], selection: Selection, destination: Path) -> None:
    """Save the chosen tensors and the manifest that lists them; replaces what lay there."""
    destination.mkdir(parents=True, exist_ok=True)
    for old in (*destination.glob('*.safetensors'), *destination.glob('manifest.json')):
        old.unlink()
    files: dict[str, dict[str, Tensor]] = {}
    for file, key in sorted(selection.keys):
        files.setdefault(file, {})[key] = selection.tensors.get(file, key).contiguous()
    for file, contents in files.items():
        save_file(contents, destination / file)
    entries = [
        {**entry, 'cases': [case for case in entry['cases'] if case['id'] in selection.cases[entry['id']]]}
        if entry['id'] in selection.cases
        else {**entry, 'cases': []}
        for entry in manifest['entries']
        if entry['id'] in selection.cases or _is_source(entry, manifest, selection)
    ]
    small = {
        **{name: value for name, value in manifest.items() if name not in ('entries', 'schedules', 'files')},
        'files': {file: {'tensors': len(contents)} for file, contents in files.items()},
        'schedules': {name: manifest['schedules'][name] for name in selection.schedules},
        'entries': entries,
    }
    (destination / 'manifest.json').write_text(_dump(small), encoding='utf-8')


def _is_source(entry: Mapping[str, Any], manifest: Mapping[str, Any], selection: Selection) -> bool:
    """Whether a chosen entry uses the state of this one."""
    return any(
        other.get('state_from') == entry['id'] and other['id'] in selection.cases for other in manifest['entries']
    )


def _price(selection: Selection, entry: Mapping[str, Any], case: Mapping[str, Any], entries: Entries) -> int:
    """Bytes that one more case adds."""
    texts = [case]
    for one in {entry['id'], entry.get('state_from', entry['id'])}:
        if one not in selection.cases:
            texts.append({name: value for name, value in entries[one].items() if name != 'cases'})
    return selection.cost(_case_keys(entry, case, entries), *texts)


def _case_keys(entry: Mapping[str, Any], case: Mapping[str, Any], entries: Entries) -> Keys:
    source = entries[entry.get('state_from', entry['id'])]
    own = (*case.get('inputs', {}).values(), *case.get('outputs', {}).values())
    return frozenset(
        {(entry['file'], key) for key in own} | {(source['file'], key) for key in source.get('state', {}).values()}
    )


def _schedule_keys(schedule: Mapping[str, Any]) -> Keys:
    filters = schedule.get('filters')
    return (
        frozenset((filters['file'], filters['prefix'] + name) for name in filters['names']) if filters else frozenset()
    )


def _any_matches(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _without_information(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without what its cases only tell (`measured`)."""
    cases = [{name: value for name, value in case.items() if name != 'measured'} for case in entry['cases']]
    return {**entry, 'cases': cases}


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(',', ':'), ensure_ascii=False)


if __name__ == '__main__':
    sys.exit(main())

"""Makes a training set: a ZIP of square PNGs of one size with their labels, and a report of what was left out and why."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageColor

from networks.files.atomic import replaced_when_complete, write_atomically
from training.decoding import Crop, Decoded, Unusable, to_square
from training.errors import TrainingError
from training.picture_files import LABELS_FILE, PictureFiles, classes_from_folders

LabelSource = Literal['auto', 'json', 'folders', 'none']
OnProgress = Callable[[int, int], None]
"""Receives pictures done, pictures in all."""
_NAMES_SHOWN = 10
_PER_FOLDER = 1000
_THE_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every entry, so that equal pictures make an equal ZIP."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How pictures become a training set."""

    resolution: int
    crop: Crop = 'centre'
    background: str = 'white'
    mirror: bool = False
    enlarge: bool = False
    labels: LabelSource = 'auto'
    max_images: int | None = None


@dataclass(slots=True)
class Tally:
    """How often something happened, and the first names that it happened to."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < _NAMES_SHOWN:
            self.first.append(name)


@dataclass(slots=True)
class Report:
    """What became of the pictures."""

    source: str
    options: dict[str, Any]
    found: int = 0
    written: int = 0
    labels: str = ''
    class_sizes: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, Tally] = field(default_factory=dict)
    """By reason."""
    changed: dict[str, Tally] = field(default_factory=dict)
    """Used, but not as they were, by what was done."""

    def as_json(self) -> str:
        """The report as it lies beside the ZIP."""
        tallies = {
            kind: {reason: {'count': tally.count, 'first': tally.first} for reason, tally in table.items()}
            for kind, table in (('skipped', self.skipped), ('changed', self.changed))
        }
        values = {
            'source': self.source,
            'options': self.options,
            'files_found': self.found,
            'images_written': self.written,
            'labels': self.labels,
            'class_sizes': self.class_sizes,
            **tallies,
        }
        return json.dumps(values, indent=2, ensure_ascii=False) + '\n'

    def lines(self) -> list[str]:
        """The report for a person."""
        lines = [f'{self.written} images of {self.found} files; {self.labels}']
        for word, table in (('skipped', self.skipped), ('changed', self.changed)):
            for reason, tally in sorted(table.items(), key=lambda item: -item[1].count):
                more = ', …' if tally.count > len(tally.first) else ''
                lines.append(f'{word} {tally.count}: {reason} ({", ".join(tally.first[:3])}{more})')
        return lines


@dataclass(frozen=True, slots=True)
class _Classes:
    """Which class each picture is of."""

    numbers: Mapping[str, int] | None
    names: tuple[str, ...] | None
    words: str


def prepare(
    source: Path, out: Path, options: PrepareOptions, *, on_progress: OnProgress = lambda done, total: None
) -> Report:
    """Write the training set `out`, and its report beside it as `report_path` says; returns the report.

    Equal pictures and options give equal bytes. When it is stopped or fails nothing is left half: `out` is the old file
    or absent. Raises `TrainingError`.
    """
    _check(options, out)
    with PictureFiles(source) as files:
        if not files.names:
            raise TrainingError(
                f'{source} holds no pictures; give a folder or a ZIP with some (PNG, JPEG, WebP, TIFF, BMP).'
            )
        classes = _classes(files, options.labels)
        report = Report(str(source), _said(options), found=len(files.names), labels=classes.words)
        report.found += sum(name != LABELS_FILE for name in files.others)
        for name in files.others:
            if name != LABELS_FILE:
                _count(report.skipped, 'not a picture by its name', name)
        try:
            with replaced_when_complete(out) as temporary:
                _write(temporary, files, classes, options, report, on_progress)
            write_atomically(report_path(out), [report.as_json().encode()])
        except OSError as error:
            reason = error.strerror or error
            raise TrainingError(
                f'{out} cannot be written ({reason}); make room there or choose another place.'
            ) from error
    return report


def report_path(out: Path) -> Path:
    """Where the report on the set `out` lies."""
    return out.with_suffix('.report.json')


def _check(options: PrepareOptions, out: Path) -> None:
    if options.resolution < 1 or options.resolution > 4096:
        raise TrainingError(f'--resolution is {options.resolution}; use a power of two such as 64 or 256.')
    if out.is_dir():
        raise TrainingError(f'{out} is a folder; name a ZIP file to write.')
    if not out.parent.is_dir():
        raise TrainingError(f'There is no folder {out.parent} to write {out.name} into; make it first.')
    try:
        ImageColor.getrgb(options.background)
    except ValueError:
        raise TrainingError(f'--background {options.background} is no colour; use a name or #rrggbb.') from None


def _said(options: PrepareOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__slots__}


def _classes(files: PictureFiles, wanted: LabelSource) -> _Classes:
    """Labels from dataset.json, else from folders, as wanted."""
    listed = files.labels() if wanted in ('auto', 'json') else None
    if listed is not None:
        return _Classes(listed, None, f'labels from {LABELS_FILE}')
    if wanted == 'json':
        raise TrainingError(f'{files.path} has no {LABELS_FILE} with labels; use --labels folders or --labels none.')
    found = classes_from_folders(files.names) if wanted in ('auto', 'folders') else None
    if found is None:
        if wanted == 'folders':
            raise TrainingError(f'The pictures in {files.path} do not lie in folders of classes; use --labels none.')
        return _Classes(None, None, 'no labels')
    names = tuple(sorted(set(found.values())))
    numbers = {name: names.index(kind) for name, kind in found.items()}
    return _Classes(numbers, names, f'{len(names)} classes from folders')


def _write(
    path: Path,
    files: PictureFiles,
    classes: _Classes,
    options: PrepareOptions,
    report: Report,
    on_progress: OnProgress,
) -> None:
    """The whole ZIP at `path`. Raises `TrainingError` when no picture can be used."""
    rows: list[tuple[str, int]] = []
    numbers = classes.numbers
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for done, (name, decoded) in enumerate(_decoded(files, options)):
            on_progress(done, len(files.names))
            if options.max_images is not None and report.written >= options.max_images:
                _count(report.skipped, 'beyond --max-images', name)
            elif isinstance(decoded, str):
                _count(report.skipped, decoded, name)
            elif numbers is not None and numbers.get(name, -1) < 0:
                _count(report.skipped, f'no label in {LABELS_FILE}', name)
            else:
                for change in decoded.changes:
                    _count(report.changed, change, name)
                for pixels in (decoded.pixels, decoded.pixels[:, ::-1])[: 2 if options.mirror else 1]:
                    entry = f'{report.written // _PER_FOLDER:05d}/img{report.written:08d}.png'
                    _store(archive, entry, png_bytes(Image.fromarray(pixels)))
                    report.written += 1
                    if numbers is not None:
                        rows.append((entry, numbers[name]))
        if report.written == 0:
            raise TrainingError(_nothing_usable(files, report))
        _store(archive, LABELS_FILE, _labels_json(rows if numbers is not None else None, classes.names))
    report.class_sizes = _sizes(rows, classes.names)


def _decoded(files: PictureFiles, options: PrepareOptions) -> Iterator[tuple[str, Decoded | str]]:
    """Each picture in order, or why it cannot be used. Decoded by several threads, a bounded number ahead."""

    def decode(name: str) -> Decoded | str:
        try:
            return to_square(
                files.read(name),
                options.resolution,
                crop=options.crop,
                background=options.background,
                enlarge=options.enlarge,
            )
        except OSError as error:
            return f'unreadable ({error})'
        except Unusable as error:
            return str(error)

    threads = min(os.cpu_count() or 1, 8)
    waiting: list[tuple[str, Future[Decoded | str]]] = []
    with ThreadPoolExecutor(threads) as pool:
        try:
            for name in files.names:
                waiting.append((name, pool.submit(decode, name)))
                if len(waiting) > 4 * threads:
                    first, future = waiting.pop(0)
                    yield first, future.result()
            for name, future in waiting:
                yield name, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def png_bytes(picture: Image.Image) -> bytes:
    """The picture as a PNG without compression: quick to read at random, equal for equal pixels."""
    file = io.BytesIO()
    picture.save(file, 'PNG', compress_level=0)
    return file.getvalue()


def _store(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _THE_DATE)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def _labels_json(rows: list[tuple[str, int]] | None, names: tuple[str, ...] | None) -> bytes:
    values: dict[str, Any] = {'labels': rows}
    if names is not None:
        values['class_names'] = names
    return json.dumps(values, ensure_ascii=False).encode()


def _sizes(rows: list[tuple[str, int]], names: tuple[str, ...] | None) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for _, label in rows:
        key = names[label] if names is not None else str(label)
        sizes[key] = sizes.get(key, 0) + 1
    return dict(sorted(sizes.items()))


def _nothing_usable(files: PictureFiles, report: Report) -> str:
    reason, tally = max(report.skipped.items(), key=lambda item: item[1].count)
    hint = 'add --enlarge or lower --resolution' if reason.startswith('smaller') else 'give other pictures'
    return f'None of the {report.found} files in {files.path} can be used ({tally.count}: {reason}, as {tally.first[0]}); {hint}.'


def _count(table: dict[str, Tally], reason: str, name: str) -> None:
    table.setdefault(reason, Tally()).add(name)

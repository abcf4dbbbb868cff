"""What a training run has written about itself, read while it goes on. Reads only; no torch: the window's thread asks it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

STATS = 'stats.jsonl'
_SNAPSHOT = re.compile(r'snapshot-(\d{1,12})(?:-(\d{3}))?\.safetensors')
"""Thousands of images, and the rest where there may be several of one thousand."""
_MAX_READ = 16 << 20
"""Bytes that are read at one time: the window must not stand still for a huge file; the rest comes the next time."""
_MAX_LINE = 1 << 20
_MAX_POINTS = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A number over the training."""

    kimg: np.ndarray
    """[points], thousands of images, growing."""
    values: np.ndarray
    """[points]"""


@dataclass(frozen=True, slots=True, eq=False)
class RunSpectra:
    """Mean radial power spectra of the snapshots."""

    kimg: np.ndarray
    """[snapshots]"""
    power_db: np.ndarray
    """[snapshots, rings from 0 Hz to the Nyquist frequency]"""


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A snapshot that can be opened."""

    name: str
    kimg: float


@dataclass(frozen=True, slots=True, eq=False)
class RunLog:
    """What is known about a run."""

    folder: Path
    curves: dict[str, Curve] = field(default_factory=dict)
    """By their names in stats.jsonl: 'generator_loss', 'eq_t_db', …"""
    spectra: RunSpectra | None = None
    snapshots: tuple[SnapshotFile, ...] = ()
    """Oldest first."""

    def index_of(self, name: str) -> int | None:
        """Place of the snapshot called `name`, or None."""
        return next((place for place, snapshot in enumerate(self.snapshots) if snapshot.name == name), None)


def run_folder_of(path: str) -> Path | None:
    """The run directory that `path` is, or that the snapshot `path` lies in; None when there is none."""
    place = Path(path)
    try:
        if place.is_dir():
            return place if (place / STATS).is_file() else None
        is_snapshot = _SNAPSHOT.fullmatch(place.name) is not None or place.name == 'latest.safetensors'
        return place.parent if is_snapshot and (place.parent / STATS).is_file() else None
    except (OSError, ValueError):
        return None


class RunReader:
    """Follows the statistics of one run: each time only what was added is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = RunLog(folder)
        self._read = 0
        self._identity: tuple[int, int] | None = None
        self._points: dict[str, list[tuple[float, float]]] = {}
        self._spectra: list[tuple[float, list[float]]] = []
        self._images: dict[str, float] = {}
        """Images seen, in thousands, by the snapshot's name."""

    def poll(self) -> RunLog:
        """What is known now; the same object as long as nothing is new. A file that cannot be read has not changed."""
        grown = self._read_stats()
        snapshots = self._find_snapshots()
        if grown or (snapshots is not None and snapshots != self._log.snapshots):
            kept = self._log.snapshots if snapshots is None else snapshots
            self._log = RunLog(self.folder, self._curves(), self._all_spectra(), kept)
        return self._log

    def _read_stats(self) -> bool:
        """Take in the complete lines that were added; whether there were any."""
        try:
            with (self.folder / STATS).open('rb') as file:
                status = os.fstat(file.fileno())
                identity = (status.st_dev, status.st_ino)
                grown = False
                if identity != self._identity or status.st_size < self._read:  # continued: cut back, or replaced
                    grown = self._read > 0
                    self._forget(identity)
                file.seek(self._read)
                data = file.read(_MAX_READ)
        except OSError:
            return False
        end = data.rfind(b'\n') + 1  # the trainer may be in the middle of a line
        if end == 0 and len(data) > _MAX_LINE:
            end = len(data)
        self._read += end
        for line in data[:end].split(b'\n'):
            grown = self._take(line) or grown
        return grown

    def _forget(self, identity: tuple[int, int]) -> None:
        self._identity, self._read = identity, 0
        self._points, self._spectra = {}, []

    def _take(self, line: bytes) -> bool:
        """Note the numbers of one line; False for one that is none."""
        try:
            row = json.loads(line) if 0 < len(line) <= _MAX_LINE else None
        except (ValueError, RecursionError):
            return False
        if not isinstance(row, dict) or not _is_number(row.get('images')):
            return False
        kimg = row['images'] / 1000
        for name, value in row.items():
            if name not in ('images', 'step') and _is_number(value):
                points = self._points.setdefault(str(name)[:80], [])
                if len(points) < _MAX_POINTS:
                    points.append((kimg, float(value)))
        spectrum = row.get('spectrum_db')
        if isinstance(spectrum, list) and len(spectrum) > 1 and all(map(_is_number, spectrum)):
            self._spectra.append((kimg, [float(value) for value in spectrum]))
        if isinstance(row.get('snapshot'), str):
            self._images[row['snapshot']] = kimg
        return True

    def _curves(self) -> dict[str, Curve]:
        curves = {}
        for name, points in self._points.items():
            array = np.array(points, np.float64)
            curves[name] = Curve(array[:, 0], array[:, 1])
        return curves

    def _all_spectra(self) -> RunSpectra | None:
        if not self._spectra:
            return None
        length = len(self._spectra[-1][1])
        rows = [(kimg, values) for kimg, values in self._spectra if len(values) == length]
        return RunSpectra(np.array([kimg for kimg, _ in rows]), np.array([values for _, values in rows], np.float32))

    def _find_snapshots(self) -> tuple[SnapshotFile, ...] | None:
        """Snapshots in the folder, oldest first; None when it cannot be read for a moment."""
        try:
            names = [entry.name for entry in os.scandir(self.folder)]
        except OSError:
            return None
        return tuple(sorted(self._snapshots(names), key=lambda snapshot: snapshot.kimg))

    def _snapshots(self, names: list[str]) -> Iterator[SnapshotFile]:
        for name in names:
            match = _SNAPSHOT.fullmatch(name)
            if match is not None:
                yield SnapshotFile(name, self._images.get(name, int(match[1]) + int(match[2] or 0) / 1000))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

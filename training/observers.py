"""Who is told how a training goes: the terminal, stats.jsonl, TensorBoard, and what is measured of each snapshot."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from tqdm import tqdm

from networks.bad_file import BadFile
from training.config import TrainConfig
from training.ranks import Ranks
from training.run_folder import RunFolder
from training.state import TrainState
from training.tensorboard import EventFile, open_events

Report = Callable[[str], None]
"""Receives a line of progress."""


class Observers:
    """Tells everybody; the first process has one that does, the others one that is silent."""

    def __init__(
        self, run: RunFolder, config: TrainConfig, *, bar: tqdm | None, events: EventFile | None, report: Report | None
    ) -> None:
        """`bar` None: silent in every way."""
        self._run, self._config, self._bar, self._events = run, config, bar, events
        self._report = report or self._print

    @classmethod
    def opened(cls, run: RunFolder, config: TrainConfig, ranks: Ranks, images: int, *, report: Report | None) -> Self:
        """Those of this process, for a training that has seen `images` images."""
        if not ranks.is_first:
            return cls(run, config, bar=None, events=None, report=report)
        bar = tqdm(
            total=int(config.kimg * 1000),
            initial=images,
            unit=' images',
            unit_scale=True,
            disable=None,
            dynamic_ncols=True,
            file=sys.stderr,
        )
        events, remark = open_events(run.path, images) if config.tensorboard else (None, '')
        observers = cls(run, config, bar=bar, events=events, report=report)
        if remark and images == 0:
            observers.say(remark)
        return observers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._events is not None:
            self._events.close()

    def say(self, line: str) -> None:
        """A line for a person."""
        if self._bar is not None:
            self._report(line)

    def warn(self, sentences: Iterable[str]) -> None:
        """Lines that begin with 'warning'."""
        for sentence in sentences:
            self.say(f'warning: {sentence}')

    def step(self, images: int) -> None:
        """A step is done."""
        if self._bar is not None:
            self._bar.update(images - self._bar.n)

    def tick(self, row: Mapping[str, Any], line: str) -> None:
        """Statistics are due: a row of numbers, and a line for a person."""
        if self._bar is None:
            return
        self._run.append_stats(row)
        if self._events is not None:
            self._events.numbers(row)
        self.say(line)

    def snapshot(self, state: TrainState, snapshot: Path, grid: np.ndarray) -> None:
        """A snapshot was saved: measure it and walk through its latents."""
        if self._bar is None:
            return
        if self._events is not None:
            self._events.picture(state.images, grid)
        samples = self._config.snapshot_samples
        if samples == 0:
            return
        from training.snapshot_report import measure_snapshot, write_walk  # the renderer, not needed until now

        row = {'images': state.images, 'snapshot': snapshot.name, **measure_snapshot(state.average, samples)}
        self._run.append_stats(row)
        if self._events is not None:
            self._events.numbers(row)
        walk = self._run.preview_path(state.images, self._config).with_suffix('.mp4')
        try:
            write_walk(walk, state.average, seed=self._config.seed)
        except BadFile as error:  # a clip is not worth stopping for
            self.warn([str(error)])

    def _print(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()

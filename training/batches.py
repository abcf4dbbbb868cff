"""Minibatches of one process, read ahead by worker processes: the order is that of `training.data`, whoever reads."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from training.data import Batch, ImageZip, Sampling, as_batch, read_pixels
from training.errors import TrainingError

_AHEAD = 2
"""Minibatches that each worker keeps ready."""
_RESTARTS = 3
"""How often dead workers are replaced without one minibatch between."""
_Read = tuple[np.ndarray, np.ndarray] | str
"""Pixels and classes, or what is wrong with the data."""


@dataclass(slots=True)
class _Minibatches(Dataset[_Read]):
    """Item n: this process's part of the minibatch whose first image is number n of the training."""

    images: ImageZip
    sampling: Sampling
    rows: tuple[int, ...]

    def __getitem__(self, first: int) -> _Read:
        try:
            return read_pixels(self.images, [first + row for row in self.rows], self.sampling)
        except TrainingError as error:  # its text is for people, so the traceback of a worker would only hide it
            return str(error)


@dataclass(frozen=True, slots=True)
class _From:
    """Positions `first`, `first` + `batch`, … without end."""

    first: int
    batch: int

    def __iter__(self) -> Iterator[int]:
        position = self.first
        while True:
            yield position
            position += self.batch


class BatchStream:
    """Reads minibatches one after another; close it when done, or use it in a `with`."""

    def __init__(
        self,
        images: ImageZip,
        sampling: Sampling,
        *,
        batch: int,
        class_count: int,
        rows: Sequence[int] | None = None,
        workers: int = 0,
    ) -> None:
        """`batch`: of all processes together.  `rows`: which of it this process holds, None = all.  `workers` 0: no others."""
        self._minibatches = _Minibatches(images, sampling, tuple(range(batch) if rows is None else rows))
        self._batch, self._class_count, self._workers = batch, class_count, workers
        self._next: int | None = None
        self._ahead: Iterator[_Read] | None = None
        self._children: list[BaseProcess] = []
        """The workers."""

    def __enter__(self) -> 'BatchStream':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        self._children, self._ahead, self._next = [], None, None

    def read(self, first: int) -> Batch:
        """The minibatch whose first image is number `first` of the training. Quick if it follows the one before.

        Raises `TrainingError` when the images are damaged, or the workers die again and again.
        """
        read = self._minibatches[first] if self._workers == 0 else self._from_workers(first)
        if isinstance(read, str):
            raise TrainingError(read)
        return as_batch(*read, class_count=self._class_count)

    def _from_workers(self, first: int) -> _Read:
        for _ in range(_RESTARTS):
            if self._ahead is None or self._next != first:
                self._ahead = self._begin(first)
            try:
                # One that was killed may have left half a message, for which the loader would wait for ever.
                with _told_of_children(self._check_children):
                    self._check_children()
                    read = next(self._ahead)
                self._next = first + self._batch
                return read
            except (RuntimeError, OSError) as error:  # what the loader says when a worker was killed
                self.close()
                problem = str(error).strip().split('\n')[0]
        raise TrainingError(
            f'The processes that read images die again and again ({problem}); use --workers 0, '
            'which reads in the training process itself: what was trained is kept.'
        )

    def _begin(self, first: int) -> Iterator[_Read]:
        loader = DataLoader(
            self._minibatches,
            batch_size=None,
            sampler=_From(first, self._batch),
            num_workers=self._workers,
            prefetch_factor=_AHEAD,
            collate_fn=_as_it_is,
            worker_init_fn=_ignore_interrupt,
            generator=torch.Generator(),  # else a loader takes a number from the global one, and resuming would differ
            multiprocessing_context='spawn',  # forked copies of a process with threads or a GPU hang now and then
        )
        others = set(multiprocessing.active_children())
        # The loader's own handler would raise wherever the training happens to be: in a step, or writing a file.
        with _told_of_children(None):
            ahead = iter(loader)
        self._children = [child for child in multiprocessing.active_children() if child not in others]
        return ahead

    def _check_children(self) -> None:
        for child in self._children:
            if child.exitcode is not None:
                raise RuntimeError(f'process {child.pid} ended with {child.exitcode}')


@contextmanager
def _told_of_children(check: Callable[[], None] | None) -> Iterator[None]:
    """Inside, `check` is called whenever a child process ends (None: nobody is told); afterwards all is as before.

    Only in the main thread, and where the system has such a signal.
    """
    if not hasattr(signal, 'SIGCHLD') or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL if check is None else lambda number, frame: check())
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)


def _as_it_is(read: Any) -> Any:
    return read


def _ignore_interrupt(worker: int) -> None:
    """Ctrl-C is for the training process: it finishes its step, which needs images."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

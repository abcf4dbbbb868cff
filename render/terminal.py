"""What commands say on the terminal: results on stdout, progress and remarks on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from render.models import ModelStore, choose_device
from render.options import Device
from render.request import ModelKey
from render.result import GeneratorInfo
from render.source import Source


class Report(Protocol):
    """Shows how far something is."""

    def __call__(self, fraction: float | None, text: str) -> None: ...


@contextmanager
def progress_bar() -> Iterator[Report]:
    """A bar on stderr if that is a terminal, gone when the block ends; nothing otherwise."""
    from tqdm import tqdm

    with tqdm(total=100, disable=None, leave=False, file=sys.stderr, bar_format='{desc} {bar} {n:.0f} %') as bar:

        def report(fraction: float | None, text: str) -> None:
            bar.set_description_str(text, refresh=False)
            if fraction is not None:
                bar.update(100 * fraction - bar.n)

        yield report


def open_source(source: Source, device: Device) -> tuple[ModelStore, ModelKey, GeneratorInfo]:
    """The model of `source`, open in a store. Raises `BadFile`. Remarks go to stderr."""
    for remark in source.remarks:
        say(remark)
    store = ModelStore(choose_device(device))
    with progress_bar() as report:
        key, info = store.open(source.path, source.network, allow_code=source.allow_code, on_progress=report)
    if store.note:
        say(store.note)
    if source.wanted is not None and source.wanted.sha256 != key.sha256:
        say(f'{source.path} is not the file that the session was made with.')
    return store, key, info


def say(text: str) -> None:
    """A remark that is no result."""
    print(f'note: {text}', file=sys.stderr)

"""Reading a fixture folder: its manifest and its tensors. What is missing or damaged becomes one sentence."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

FORMAT = 'stylegan-golden'


class FixtureError(Exception):
    """The folder, a file or a tensor cannot be used; the message says which and why."""


def load_manifest(folder: Path) -> Mapping[str, Any]:
    """The folder's `manifest.json`; raises `FixtureError` unless it has the schema of the goldens."""
    path = folder / 'manifest.json'
    if not path.is_file():
        inside = sorted(str(one.parent) for one in folder.glob('*/manifest.json'))
        hint = f'; did you mean {" or ".join(inside)}?' if inside else ''
        raise FixtureError(f'{folder} holds no manifest.json{hint}')
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FixtureError(f'{path} is not readable JSON: {error}') from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get('entries'), list):
        found = manifest.get('format') if isinstance(manifest, dict) else type(manifest).__name__
        raise FixtureError(f'{path} has no list of entries (format {found!r}); this reads folders of format {FORMAT!r}')
    return manifest


class TensorFolder:
    """The tensors of a fixture folder, read when asked for. Use as a context manager."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._files: dict[str, Any] = {}

    def __enter__(self) -> 'TensorFolder':
        return self

    def __exit__(self, *exception: object) -> None:
        self._files.clear()  # safetensors unmaps a file when its handle goes

    def get(self, file: str, key: str) -> Tensor:
        """One tensor; raises `FixtureError` when the file or the key is missing or damaged."""
        handle = self._open(file)
        try:
            return handle.get_tensor(key)
        except SafetensorError as error:
            raise FixtureError(f'{file} holds no readable tensor {key!r}: {error}') from error

    def named(self, file: str, keys: Mapping[str, str]) -> dict[str, Tensor]:
        """Several tensors of a file, from name -> key to name -> tensor."""
        return {name: self.get(file, key) for name, key in keys.items()}

    def _open(self, file: str) -> Any:
        if file not in self._files:
            path = self._folder / file
            if not path.is_file():
                raise FixtureError(f'the file {file} is missing from {self._folder}')
            try:
                self._files[file] = safe_open(path, framework='pt')
            except (SafetensorError, OSError) as error:
                raise FixtureError(f'{file} is not a readable safetensors file: {error}') from error
        return self._files[file]

"""The folder of a run: config.json, statistics, snapshots, previews. Every file in it is replaced atomically or appended to."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from networks.bad_file import BadFile
from networks.checkpoint import Checkpoint, save_checkpoint
from networks.files.atomic import write_atomically
from networks.files.mapped import mapped_file
from networks.files.safetensors_file import read_header, read_tensors, write_safetensors
from training.config import TrainConfig
from training.errors import TrainingError
from training.state import TrainState

_RUN = re.compile(r'(\d{5})-.+')
_STATE = re.compile(r'training-state-(\d+)\.safetensors')
_STATE_FORMAT = 'aliasscope-training-state'
_KEPT_STATES = 2


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps its files."""

    path: Path

    def write_config(self, config: TrainConfig) -> None:
        """Write config.json: the options, and what decides whether a later command continues this run."""
        values = {**json.loads(config.as_json()), 'identity': config.identity()}
        write_atomically(self.path / 'config.json', [(json.dumps(values, indent=2) + '\n').encode()])

    def append_stats(self, row: Mapping[str, Any]) -> None:
        """Add a line to stats.jsonl."""
        with (self.path / 'stats.jsonl').open('a', encoding='utf-8') as file:
            file.write(json.dumps(row) + '\n')

    def cut_stats(self, images: int) -> None:
        """Drop the lines of stats.jsonl that lie after the state that is continued from."""
        path = self.path / 'stats.jsonl'
        if path.exists():
            lines = path.read_text(encoding='utf-8').splitlines()
            kept = [line for line in lines if _images_of(line) <= images]
            write_atomically(path, [''.join(line + '\n' for line in kept).encode()])

    def preview_path(self, images: int) -> Path:
        """Where the picture grid goes."""
        folder = self.path / 'previews'
        folder.mkdir(exist_ok=True)
        return folder / f'{_number(images)}.png'

    def write_snapshot(
        self, state: TrainState, config: TrainConfig, keywords: Mapping[str, object], source: str
    ) -> Path:
        """Write the averaged generator as snapshot-NNNNNN.safetensors and as latest.safetensors; the number is in kimg."""
        tensors = {name: tensor.detach().cpu() for name, tensor in state.average.state_dict().items()}
        checkpoint = Checkpoint(config.architecture, dict(keywords), tensors, sha256='', source=source)
        path = self.path / f'snapshot-{_number(state.images)}.safetensors'
        for target in (path, self.path / 'latest.safetensors'):
            save_checkpoint(target, checkpoint)
        return path

    def write_state(self, state: TrainState, config: TrainConfig) -> Path:
        """Write all that is needed to continue, then drop all but the newest two."""
        path = self.path / f'training-state-{_number(state.images)}.safetensors'
        progress = {'step': state.step, 'images': state.images, 'seconds': state.seconds}
        metadata = {
            'format': _STATE_FORMAT,
            'version': '1',
            'progress': json.dumps(progress),
            'identity': json.dumps(config.identity(), sort_keys=True),
        }
        write_safetensors(path, state.tensors(), metadata)
        for old in self._states()[:-_KEPT_STATES]:
            old.unlink()
        return path

    def load_state(self, state: TrainState) -> tuple[str, ...]:
        """Bring `state` to the newest saved state that can be read, if any; notes on those that could not."""
        notes = []
        for path in reversed(self._states()):
            try:
                with mapped_file(path) as data:
                    header = read_header(data)
                    progress = json.loads(header.metadata['progress'])
                    tensors = read_tensors(data, header)
            except (BadFile, KeyError, ValueError) as error:
                notes.append(f'{path.name} cannot be used ({error}); trying the one before.')
                continue
            state.load_tensors(tensors)
            state.step, state.images = int(progress['step']), int(progress['images'])
            state.seconds = float(progress['seconds'])
            break
        return tuple(notes)

    def _states(self) -> list[Path]:
        """Saved states, oldest first."""
        found = [(int(match[1]), path) for path in self.path.iterdir() if (match := _STATE.fullmatch(path.name))]
        return [path for _, path in sorted(found)]


def open_run(config: TrainConfig) -> RunFolder:
    """The folder of the run that `config` describes, under `config.out`: the one to continue, or a new one.

    Raises `TrainingError` when it cannot be made.
    """
    try:
        config.out.mkdir(parents=True, exist_ok=True)
        runs = sorted(path for path in config.out.iterdir() if path.is_dir() and _RUN.fullmatch(path.name))
        for path in reversed(runs):
            if _identity(path / 'config.json') == config.identity():
                return RunFolder(path)
        number = 1 + max((int(path.name[:5]) for path in runs), default=-1)
        path = config.out / f'{number:05d}-{config.preset}-{config.data.stem}'
        path.mkdir()
    except OSError as error:
        reason = error.strerror or error
        raise TrainingError(f'No run can be kept in {config.out} ({reason}); choose another --out.') from error
    run = RunFolder(path)
    run.write_config(config)
    return run


def _identity(path: Path) -> Any:
    """What the run's config.json says about itself; None when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))['identity']
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _images_of(line: str) -> float:
    try:
        return float(json.loads(line)['images'])
    except (ValueError, KeyError, TypeError):
        return float('inf')


def _number(images: int) -> str:
    """Thousands of images as in file names; a fraction is dropped."""
    return f'{images // 1000:06d}'

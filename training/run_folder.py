"""The folder of a run: config.json, statistics, snapshots, previews. Every file in it is replaced atomically or appended to."""

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from networks.bad_file import BadFile
from networks.checkpoint import Checkpoint, save_checkpoint
from networks.files.atomic import write_atomically
from networks.files.mapped import mapped_file
from networks.files.safetensors_file import read_header, read_tensors, write_safetensors
from training.config import TrainConfig
from training.errors import TrainingError
from training.state import TrainState
from training.tally import Tally

_RUN = re.compile(r'(\d{5})-.+')
_STATE = re.compile(r'training-state-(\d+)\.safetensors')
_STATE_FORMAT = 'aliasscope-training-state'
_KEPT_STATES = 2
_UNFINISHED = '.new-run-'
_ABANDONED_SECONDS = 60


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

    def preview_path(self, images: int, config: TrainConfig) -> Path:
        """Where the picture grid goes."""
        folder = self.path / 'previews'
        folder.mkdir(exist_ok=True)
        return folder / f'{snapshot_number(images, config)}.png'

    def write_snapshot(
        self, state: TrainState, config: TrainConfig, keywords: Mapping[str, object], source: str
    ) -> Path:
        """Write the averaged generator as latest.safetensors and under its number (`snapshot_number`)."""
        tensors = {name: tensor.detach().cpu() for name, tensor in state.average.state_dict().items()}
        checkpoint = Checkpoint(config.architecture, dict(keywords), tensors, sha256='', source=source)
        path = self.path / f'snapshot-{snapshot_number(state.images, config)}.safetensors'
        for target in (path, self.path / 'latest.safetensors'):
            save_checkpoint(target, checkpoint)
        return path

    def write_state(self, state: TrainState, config: TrainConfig) -> Path:
        """Write all that is needed to continue and read it back; then drop all but the newest two.

        Raises OSError, or BadFile when the disk returns something else than was written.
        """
        path = self.path / f'training-state-{state.images:09d}.safetensors'
        progress = {
            'step': state.step,
            'images': state.images,
            'seconds': state.seconds,
            'tally': state.tally.as_json(),
            'threads': torch.get_num_threads(),
        }
        metadata = {
            'format': _STATE_FORMAT,
            'version': '1',
            'progress': json.dumps(progress),
            'identity': json.dumps(config.identity(), sort_keys=True),
        }
        write_safetensors(path, state.tensors(), metadata)
        _read_state(path)
        self.drop_old_states()
        return path

    def load_state(self, state: TrainState, identity: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Bring `state` to the newest saved state that can be read, if any; notes on those that could not.

        `identity`: of the configuration that is to be continued. Raises `TrainingError` for a state of another one.
        """
        notes = []
        for path in reversed(self.states()):
            try:
                metadata, tensors = _read_state(path)
                progress = json.loads(metadata['progress'])
                saved_identity = json.loads(metadata['identity'])
            except (BadFile, KeyError, ValueError) as error:
                notes.append(f'{path.name} cannot be used ({error}); trying the one before.')
                continue
            if identity is not None and saved_identity != identity:
                raise TrainingError(_other_configuration(path, saved_identity, identity))
            state.load_tensors(tensors)
            state.step, state.images = int(progress['step']), int(progress['images'])
            state.seconds = float(progress['seconds'])
            state.tally = Tally(**progress.get('tally', {}))
            if progress.get('threads', torch.get_num_threads()) != torch.get_num_threads():
                notes.append(
                    f'{path.name} was made with {progress["threads"]} threads, and now there are '
                    f'{torch.get_num_threads()}: the run goes on, but not bit by bit as without the interruption.'
                )
            break
        return tuple(notes)

    def sweep(self) -> None:
        """Remove what a killed process left half written; only for who holds the run's lock."""
        for path in (*self.path.glob('.*.tmp'), *self.path.glob('previews/.*.tmp')):
            path.unlink(missing_ok=True)

    def drop_old_states(self) -> None:
        """Remove all but the newest two, as `write_state` does: a process that was killed there left one more."""
        for old in self.states()[:-_KEPT_STATES]:
            old.unlink()

    def has_outputs(self, images: int, config: TrainConfig) -> bool:
        """Whether the state of `images` images has its snapshot, picture and, if wanted, its line of measurements."""
        state = self.path / f'training-state-{images:09d}.safetensors'
        preview = self.preview_path(images, config)
        if not preview.exists() or preview.stat().st_mtime_ns < state.stat().st_mtime_ns:
            return False
        stats = self.path / 'stats.jsonl'
        lines = stats.read_text(encoding='utf-8').splitlines() if stats.exists() else []
        return config.snapshot_samples == 0 or any(
            '"snapshot"' in line and _images_of(line) == images for line in lines
        )

    def states(self) -> list[Path]:
        """Saved states, oldest first."""
        found = [(int(match[1]), path) for path in self.path.iterdir() if (match := _STATE.fullmatch(path.name))]
        return [path for _, path in sorted(found)]


def _read_state(path: Path) -> tuple[Mapping[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a saved state, checked. Raises BadFile."""
    with mapped_file(path) as data:
        header = read_header(data)
        return header.metadata, read_tensors(data, header)


def newest_state_tensors(path: Path) -> dict[str, Mapping[str, Tensor]]:
    """Networks 'G', 'G_ema' and 'D' -> tensors, of a saved state or of the newest one in a run's folder that can be read.

    Empty when the folder has none. Raises BadFile for a file that cannot be read.
    """
    if path.is_dir():
        for state in reversed(RunFolder(path).states()):
            try:
                return newest_state_tensors(state)
            except BadFile:
                continue
        return {}
    _, tensors = _read_state(path)
    networks = ('G', 'G_ema', 'D')
    return {
        network: {name.removeprefix(f'{network}/'): tensors[name] for name in tensors if name.startswith(f'{network}/')}
        for network in networks
    }


def _other_configuration(path: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Which option differs."""
    names = [name for name in {**saved, **wanted} if saved.get(name) != wanted.get(name)]
    first = names[0]
    return (
        f'{path.name} is of another configuration (--{first.replace("_", "-")} was {saved.get(first)!r}, '
        f'now it is {wanted.get(first)!r}); move it away, or choose another --out.'
    )


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
        return _new_run(config, config.out / f'{number:05d}-{config.preset}-{config.data.stem}')
    except OSError as error:
        reason = error.strerror or error
        raise TrainingError(f'No run can be kept in {config.out} ({reason}); choose another --out.') from error


def _new_run(config: TrainConfig, path: Path) -> RunFolder:
    """A folder at `path` with its config.json: made elsewhere and moved there, so that no other process finds it without."""
    for left in config.out.glob(f'{_UNFINISHED}*'):  # by a process that was killed just here
        if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    unfinished = RunFolder(config.out / f'{_UNFINISHED}{os.getpid()}')
    unfinished.path.mkdir(exist_ok=True)
    unfinished.write_config(config)
    unfinished.path.rename(path)
    return RunFolder(path)


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


def is_due(images: int, batch: int, kimg: float) -> bool:
    """Whether the step that came to `images` passed a multiple of `kimg` thousands: the same ones after interruptions."""
    every = max(int(kimg * 1000), 1)
    return images // every > (images - batch) // every


def snapshot_number(images: int, config: TrainConfig) -> str:
    """What a snapshot is called: thousands of images, '000050'; those of other times than every so many whole thousands
    (ended by hand, or a fraction in --snapshot-kimg) with the rest, '000050-128'.
    """
    kimg, rest = divmod(images, 1000)
    regular = config.snapshot_kimg >= 1 and config.snapshot_kimg % 1 == 0
    if rest == 0 or (regular and is_due(images, config.batch, config.snapshot_kimg)):
        return f'{kimg:06d}'
    return f'{kimg:06d}-{rest:03d}'

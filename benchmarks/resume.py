"""Is a training that is killed and continued the same, bit by bit, as one that is left alone?

python -m benchmarks.resume [--kills N] [--steps N] [--seed S] [--instants random|files] [--json]

Tiny trainings with every term of the loss are killed (SIGKILL), at random instants or at every single access to a file of
the run. After each kill a copy of what is left is continued by the same call until it is done; then its weights, optimizers,
averages, augmentation, progress, snapshots and statistics are compared with those of a training that was never interrupted.
Exit code 1 if anything differs. Needs a system with fork (Linux, macOS).
"""

import importlib
import io
import itertools
import json
import os
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from PIL import Image

from networks.config import AliasFreeConfig, DiscriminatorConfig, MappingConfig, StyleGAN2Config
from networks.files.mapped import mapped_file
from networks.files.safetensors_file import read_header, read_tensors
from ops.fast_cpu import kernels
from training.config import TrainConfig
from training.loop import train
from training.run_folder import RunFolder

SIDE = 16
_TIMES = ('seconds', 'images_per_second')
"""What may differ between two equal runs."""
_FILE_EVENTS = ('open', 'os.rename', 'os.remove', 'os.mkdir', 'os.truncate')
"""Names of Python's audit events."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to try."""

    kills: int = 50
    """How many processes to kill at random instants."""
    steps: int = 24
    """Steps of each training; its state is saved every second one."""
    seed: int = 0
    """Decides the instants."""
    instants: Literal['random', 'files'] = 'random'
    """files: kill once before each opening, renaming or removing of a file of the run, whatever --kills says."""
    json: bool = False
    """Print JSON."""


@dataclass(slots=True)
class Result:
    """What happened."""

    kills: int = 0
    before_first_state: int = 0
    """Kills before anything was saved."""
    identical: int = 0
    """After how many kills the continuation ended like the training that was left alone."""
    differences: tuple[str, ...] = ()


def tiny_config(folder: Path, steps: int, *, stylegan2: bool) -> TrainConfig:
    """A training of a few thousand weights with every term of the loss; its data is written into `folder`."""
    data = folder / 'pictures.zip'
    if not data.exists():
        _write_pictures(data)
    return TrainConfig(
        data=data,
        out=folder / 'runs',
        kimg=steps * 4 / 1000,
        batch=4,
        device='cpu',
        threads=1,
        architecture='stylegan2' if stylegan2 else 'stylegan3',
        generator=AliasFreeConfig(channel_base=64, channel_max=8, num_layers=3, num_critical=1, margin_size=2),
        stylegan2=StyleGAN2Config(channel_base=64, channel_max=8, fourier_bandwidth=2.0),
        mapping=MappingConfig(num_layers=2),
        discriminator=DiscriminatorConfig(channel_base=64, channel_max=8),
        discriminator_mapping_layers=1,
        z_dim=8,
        w_dim=8,
        r1_interval=3,
        style_mixing=0.5,
        path_length_weight=2.0,
        path_length_interval=2,
        blur_sigma=2.0,
        blur_fade_kimg=0.04,
        augment='ada',
        ada_target=-0.9,
        ada_kimg=0.1,
        tick_kimg=0.012,
        snapshot_kimg=0.008,
        snapshot_samples=0,
        tensorboard=False,
    )


def _write_pictures(path: Path) -> None:
    random_pixels = np.random.default_rng(0)
    rows = []
    with zipfile.ZipFile(path, 'w') as archive:
        for index in range(12):
            file = io.BytesIO()
            Image.fromarray(random_pixels.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(file, 'PNG')
            archive.writestr(f'{index}.png', file.getvalue())
            rows.append([f'{index}.png', index % 2])
        archive.writestr('dataset.json', json.dumps({'labels': rows}))


def train_in_child(config: TrainConfig, *, kill_after: float | None = None, kill_at_access: int | None = None) -> bool:
    """Train in a process of its own; whether it came to its end.

    `kill_after`: seconds after which it is killed.  `kill_at_access`: it is killed just before access number so many
    (from 0) to a file of the runs.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if kill_at_access is not None:
                _kill_at_access(kill_at_access, str(config.out))
            train(config, report=lambda line: None)
            status = 0
        finally:
            os._exit(status)
    end = None if kill_after is None else time.monotonic() + kill_after
    while True:
        done, status = os.waitpid(child, 0 if end is None else os.WNOHANG)
        if done:
            break
        if end is not None and time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.0005)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError('a training ended with an error')
    return os.WIFEXITED(status)


def _kill_at_access(number: int, folder: str) -> None:
    """Let this process kill itself before access `number` to a file below `folder`."""
    accesses = itertools.count()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILE_EVENTS and arguments and str(arguments[0]).startswith(folder) and next(accesses) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def outcome(config: TrainConfig) -> dict[str, Any]:
    """What is left of a finished training: file name -> its content, without times.

    Previews are left out: they are made without gradients, by kernels if those are compiled by then, and may round differently.
    """
    (folder,) = config.out.glob('0*')
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob('*')):
        name = str(path.relative_to(folder))
        if path.name == 'stats.jsonl':
            found[name] = [_without_times(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.name.startswith('training-state'):
            found[name] = _state_of(path)
        elif path.suffix == '.safetensors':
            found[name] = path.read_bytes()
    return found


def _state_of(path: Path) -> tuple[Any, dict[str, bytes]]:
    """Progress without times, and the bytes of each tensor."""
    with mapped_file(path) as data:
        header = read_header(data)
        progress = _without_times(json.loads(header.metadata['progress']))
        progress['tally'] = _without_times(progress['tally'])
        tensors = read_tensors(data, header)
        return progress, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def _without_times(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _TIMES}


def kill_and_compare(options: Options, folder: Path) -> Result:
    """Kills trainings of both families in turns, and compares the continuation after each kill."""
    _load_what_children_need()
    result = Result()
    if options.instants == 'files':
        for stylegan2 in (False, True):
            trial, number = _Trial(folder, options.steps, stylegan2=stylegan2), 0
            while trial.is_killed(result, kill_at_access=number, afresh=True):
                number += 1
        return result
    instants, trials = random.Random(options.seed), {}
    for stylegan2 in itertools.cycle((False, True)):
        trial = trials.get(stylegan2) or _Trial(folder, options.steps, stylegan2=stylegan2)
        trials[stylegan2] = trial
        while result.kills < options.kills and trial.is_killed(  # again and again, until it comes to its end
            result, kill_after=instants.uniform(0, trial.seconds), afresh=False
        ):
            pass
        if result.kills >= options.kills:
            return result
        trial.remove()
    return result


def _load_what_children_need() -> None:
    """Children then need not load it, and all of them compute by the same code even if a file of the program changes meanwhile."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    for module in pkgutil.iter_modules(kernels.__path__):
        with suppress(ImportError):  # without llvmlite there are no kernels
            importlib.import_module(f'{kernels.__name__}.{module.name}')


class _Trial:
    """A training that is killed, and what it would have come to without."""

    def __init__(self, folder: Path, steps: int, *, stylegan2: bool) -> None:
        base = tiny_config(folder, steps, stylegan2=stylegan2)
        alone = replace(base, out=folder / f'alone-{stylegan2}')
        started = time.monotonic()
        train_in_child(alone)
        self.seconds = time.monotonic() - started
        """A whole training takes."""
        self._alone = outcome(alone)
        self._killed = replace(base, out=folder / f'killed-{stylegan2}')
        self._continued = replace(base, out=folder / f'continued-{stylegan2}')

    def is_killed(
        self, result: Result, *, afresh: bool, kill_after: float | None = None, kill_at_access: int | None = None
    ) -> bool:
        """Go on with the training, or begin `afresh`, and kill it; False when it came to its end before.

        A copy of what was left is continued to its end, and compared, in `result`.
        """
        if afresh:
            self.remove()
        if train_in_child(self._killed, kill_after=kill_after, kill_at_access=kill_at_access):
            return False
        result.kills += 1
        result.before_first_state += not _has_state(self._killed)
        if self._killed.out.exists():
            shutil.copytree(self._killed.out, self._continued.out)
        train_in_child(self._continued)
        _compare(result, self._alone, outcome(self._continued))
        shutil.rmtree(self._continued.out)
        return True

    def remove(self) -> None:
        """What is left of the killed training."""
        shutil.rmtree(self._killed.out, ignore_errors=True)


def _has_state(config: TrainConfig) -> bool:
    return any(RunFolder(path).states() for path in config.out.glob('0*'))


def _compare(result: Result, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    different = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    result.identical += not different
    result.differences += tuple(different)


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 all identical, 1 not."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    with tempfile.TemporaryDirectory() as folder:
        result = kill_and_compare(options, Path(folder))
    if options.json:
        print(json.dumps(asdict(result)))
    else:
        print(f'{result.kills} kills, {result.before_first_state} of them before anything was saved')
        print(f'{result.identical} continuations ended bit-identical to a training left alone')
        if result.differences:
            print('different: ' + ', '.join(sorted(set(result.differences))))
    return 0 if result.kills and result.identical == result.kills else 1


if __name__ == '__main__':
    sys.exit(main())

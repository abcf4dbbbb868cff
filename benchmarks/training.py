"""How fast does a network learn? Steps of training with our operators, with our plain-torch ones and with their definitions, in turns.

python -m benchmarks.training [--preset NAME] [--side N] [--batch N] [--steps N] [--device cpu|cuda] [--json]

Images are random: their content does not matter for the time. The two ways alternate, so that what else the machine does meets
all alike; under load only the ratio means something. All compute the same numbers up to rounding. 'reference' is the definition, step by
step: zeros inserted, convolutions at the high rate, samples dropped, weights modulated for each sample.
"""

import json
import os
import statistics
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Literal

if __name__ == '__main__':
    os.environ.setdefault('GOMP_SPINCOUNT', '10000')  # as train.py does

import torch
import tyro

from benchmarks.inputs import refuse_nonsense
from ops.backend import use_backend
from ops.memory import keep_freed_memory
from training.checks import device_of, group_of
from training.config import TrainConfig
from training.data import Batch, one_hot
from training.presets import PRESETS
from training.ranks import ALONE
from training.shares import share_for
from training.state import TrainState, new_state
from training.step import Latents, StepLatents, training_step

_WARM_UP = 2
_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure."""

    preset: str = 'twin-alias-free'
    """Whose networks and loss."""
    side: int = 64
    """Pixels of the images."""
    batch: int | None = None
    """Images per step; None = the preset's."""
    steps: int = 8
    """Timed steps of each kind."""
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'
    threads: int = 1
    """CPU threads."""
    keep_freed: bool = True
    """Keep freed memory for the next tensor, as the program does; without, as torch does by itself."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one way."""

    images_per_second: float
    """By the median step."""
    fastest_step_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """Of all."""

    preset: str
    device: str
    batch: int
    ours: Speed
    torch: Speed
    reference: Speed
    ratio: tuple[float, float, float]
    """How many times faster ours is than the reference: lowest, median and highest ratio of neighbouring steps."""
    torch_ratio: tuple[float, float, float]
    """Likewise than plain torch."""


def measure(options: Options) -> Result:
    """Trains equal states, a step of one after a step of the other."""
    config = replace(PRESETS[options.preset].config, device=options.device, threads=options.threads)
    config = config if options.batch is None else replace(config, batch=options.batch)
    torch.set_num_threads(options.threads)
    device = device_of(config)
    ways = {
        name: new_state(config, side=options.side, class_count=_CLASSES, device=device)
        for name in ('ours', 'torch', 'reference')
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for step in range(_WARM_UP + options.steps):
        for name, state in ways.items():
            state.step = max(step, 1)  # step 0 has the lazy regularization
            taken = _seconds_of_step(config, state, options.side, device, name)
            if step >= _WARM_UP:
                seconds[name].append(taken)
    ratio, torch_ratio = (
        _spread([slow / fast for fast, slow in zip(seconds['ours'], seconds[name], strict=True)])
        for name in ('reference', 'torch')
    )
    speeds = {name: _speed(values, config.batch) for name, values in seconds.items()}
    return Result(options.preset, str(device), config.batch, **speeds, ratio=ratio, torch_ratio=torch_ratio)


def _seconds_of_step(config: TrainConfig, state: TrainState, side: int, device: torch.device, name: str) -> float:
    draw = torch.Generator().manual_seed(state.step)
    images = torch.rand(config.batch, 3, side, side, generator=draw).to(device) * 2 - 1
    classes = one_hot(torch.arange(config.batch) % _CLASSES, _CLASSES).to(device)
    latents = Latents(torch.randn(config.batch, config.z_dim, generator=draw).to(device), classes)
    paths = latents if config.path_length_weight else None
    share = share_for(ALONE, batch=config.batch, group=group_of(config))
    backend: AbstractContextManager = nullcontext()
    if name == 'reference' or name == 'torch':
        backend = use_backend(name)
    with backend:
        started = time.perf_counter()
        training_step(state, Batch(images, classes), StepLatents(latents, latents, paths), config, share)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return time.perf_counter() - started


def _spread(values: list[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


def _speed(seconds: list[float], batch: int) -> Speed:
    return Speed(batch / statistics.median(seconds), min(seconds) * 1000)


def main(arguments: list[str] | None = None) -> int:
    """Prints the result."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    refuse_nonsense(options)
    if options.preset not in PRESETS:
        raise SystemExit(f'--preset is {options.preset!r}; choose one of {", ".join(PRESETS)}.')
    if options.keep_freed:
        keep_freed_memory()
    result = measure(options)
    if options.json:
        print(json.dumps(asdict(result)))
        return 0
    print(f'{result.preset}, {options.side} px, batch {result.batch}, {result.device}, {options.threads} thread(s)')
    for name, speed in (('ours', result.ours), ('torch', result.torch), ('reference', result.reference)):
        print(f'  {name:10} {speed.images_per_second:8.2f} images/s   fastest step {speed.fastest_step_ms:8.1f} ms')
    for name, (low, median, high) in (('the reference', result.ratio), ('plain torch', result.torch_ratio)):
        print(f'  ours is {median:.2f} [{low:.2f}-{high:.2f}] times as fast as {name}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

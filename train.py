"""Train a generator: `train.py PRESET --data ZIP --out RUNS_DIR`. The same command again continues the run."""

import os
import signal
import sys
from dataclasses import replace
from types import FrameType

if __name__ == '__main__':
    # Before torch is imported: its idle threads shall soon sleep; spinning, they take the cores from compiled kernels.
    os.environ.setdefault('GOMP_SPINCOUNT', '10000')

import tyro

from training.config import TrainConfig
from training.errors import TrainingError
from training.loop import train
from training.plan import plan
from training.presets import PRESETS
from training.ranks import is_first_process


class _Interrupt:
    """Turns the first Ctrl-C into a question that can be asked; the second ends the program at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.default_int_handler)
        print('Finishing this step, then saving. Ctrl-C again stops at once.', file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done or interrupted after saving, 1 failed with one line on stderr."""
    presets = {name: (preset.summary, replace(preset.config, data=tyro.MISSING)) for name, preset in PRESETS.items()}
    config: TrainConfig = tyro.extras.overridable_config_cli(presets, args=arguments, description=__doc__)
    if config.dry_run:
        return _print_plan(config)
    interrupt = _Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        folder = train(config, stop=lambda: interrupt.asked)
    except TrainingError as error:
        if config.verbose:
            raise
        print(error, file=sys.stderr)
        return 1
    if is_first_process():
        print(folder)
    return 0


def _print_plan(config: TrainConfig) -> int:
    """Exit status, as of `main`."""
    try:
        for line in plan(config):
            print(line, flush=True)
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())

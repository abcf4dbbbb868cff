"""A training whose disk fills up: what it says, and what is left. Prints JSON; argument: a folder that holds a small `disk`."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.resume import outcome, tiny_config
from training.config import TrainConfig
from training.errors import TrainingError
from training.loop import train
from training.run_folder import RunFolder


def fill(disk: Path) -> None:
    """Leave room for nothing on `disk`."""
    with (disk / 'filler').open('wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def sentence(config: TrainConfig, *, fill_after: int) -> str:
    """What a training says that finds its disk full after so many steps; '' = nothing."""
    steps = iter(range(10_000))

    def stop() -> bool:
        if next(steps) == fill_after:
            fill(config.out)
        return False

    try:
        train(config, stop=stop, report=lambda line: None)
    except TrainingError as error:
        return str(error)
    return ''


def main(folder: Path) -> None:
    """See above."""
    alone = tiny_config(folder, 8, stylegan2=False)
    config = replace(alone, out=folder / 'disk')
    first = sentence(config, fill_after=3)
    (run,) = (RunFolder(path) for path in config.out.iterdir() if path.is_dir())
    states = [path.name for path in run.states()]
    second = sentence(config, fill_after=-1)
    after = [path.name for path in run.states()]
    (config.out / 'filler').unlink()
    last = sentence(config, fill_after=-1)
    train(alone, report=lambda line: None)
    left_over = [path.name for path in run.path.glob('.*.tmp')]
    print(json.dumps([first, second, last, states, after, left_over, outcome(config) == outcome(alone)]))


if __name__ == '__main__':
    main(Path(sys.argv[1]))

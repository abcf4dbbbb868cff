"""Prepares and checks training sets: `python -m training.dataset prepare SOURCE OUT.zip --resolution N`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm
from tyro.conf import OmitSubcommandPrefixes, Positional, arg, subcommand

from training.decoding import Crop
from training.errors import TrainingError
from training.prepare import LabelSource, PrepareOptions, prepare, report_path


@dataclass(frozen=True, slots=True)
class Prepare:
    """Write a training set: a ZIP of square PNGs of one size, with labels, and a report beside it."""

    source: Positional[Path]
    """Folder (all below it) or ZIP of pictures; folders of classes become labels, a dataset.json is kept."""
    out: Annotated[Positional[Path], arg(metavar='OUT.zip')]
    """ZIP to write."""
    resolution: Annotated[int, arg(metavar='N')]
    """Width and height of the images; a power of two for training."""
    crop: Crop = 'centre'
    """centre: the largest square in the middle; pad: all of it with bars; stretch: all of it, distorted."""
    background: str = 'white'
    """Colour behind transparent pictures, and of bars: a name or #rrggbb."""
    mirror: bool = False
    """Add the mirrored picture after each one."""
    enlarge: bool = False
    """Use pictures smaller than N too. Enlarged pictures have no fine detail, and teach a generator to make none."""
    labels: LabelSource = 'auto'
    """auto: dataset.json if there is one, else folders of classes if there are; none: no labels."""
    max_images: int | None = None
    """Stop after so many images."""
    verbose: bool = False
    """Show the traceback of a failure."""


@dataclass(frozen=True, slots=True)
class Check:
    """Look for what spoils a training: jagged or blurred resizing, bars, JPEG blocks, doubles, damaged files."""

    data: Annotated[Positional[Path], arg(metavar='ZIP')]
    """Training set: ZIP or folder of images of one size."""
    samples: int = 5000
    """Look at so many images at most, evenly spread."""
    json: bool = False
    """Print the numbers as JSON."""
    verbose: bool = False
    """Show the traceback of a failure."""


Command = Annotated[Prepare, subcommand('prepare')] | Annotated[Check, subcommand('check')]


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed with one line on stderr; a check that finds something is done too."""
    command = tyro.cli(OmitSubcommandPrefixes[Command], args=arguments, description=__doc__)  # pyright: ignore
    try:
        _prepare(command) if isinstance(command, Prepare) else _check(command)
        return 0
    except TrainingError as error:
        if command.verbose:
            raise
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print('Stopped; nothing was written.', file=sys.stderr)
    return 1


def _prepare(command: Prepare) -> None:
    options = PrepareOptions(
        command.resolution,
        command.crop,
        command.background,
        command.mirror,
        command.enlarge,
        command.labels,
        command.max_images,
    )
    with tqdm(desc='Preparing', unit=' images', disable=None, leave=False, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = prepare(command.source, command.out, options, on_progress=show)
    for line in report.lines():
        print(line)
    print(f'{command.out} and {report_path(command.out).name} written')


def _check(command: Check) -> None:
    from training.check import check_set

    with tqdm(desc='Checking', unit=' images', disable=None, leave=False, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = check_set(command.data, samples=command.samples, on_progress=show)
    print(result.as_json() if command.json else '\n'.join(result.lines()))


if __name__ == '__main__':
    sys.exit(main())

"""Beginning with the weights of another model: what fits is taken, by name and shape, and what was not is listed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from networks.bad_file import BadFile
from networks.checkpoint import load_checkpoint
from networks.sources import newest_snapshot
from training.errors import TrainingError
from training.run_folder import newest_state_tensors
from training.state import TrainState

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the tensors of one network."""

    network: str
    """'G', 'G_ema' or 'D'."""
    source: str
    """Where they came from; empty = nowhere."""
    taken: int
    total: int
    missing: tuple[str, ...] = ()
    """Names that the source does not have."""
    other_shape: tuple[str, ...] = ()

    def row(self) -> str:
        """A line of the table."""
        if not self.source:
            return f'  {self.network:6} nothing: {self.network} begins with new weights'
        parts = [f'{self.taken} of {self.total} tensors from {self.source}']
        if self.missing:
            parts.append(f'not there: {_some(self.missing)}')
        if self.other_shape:
            parts.append(f'another shape: {_some(self.other_shape)}')
        return f'  {self.network:6} ' + '; '.join(parts)


def transfer(state: TrainState, path: Path) -> tuple[Taken, ...]:
    """Copy into the networks of `state` what the model at `path` has of the same name and shape.

    `path`: an official snapshot, a model of ours, the folder of a run, or a saved training state. The optimizers begin
    anew. Raises `TrainingError` when it cannot be read, or when nothing fits.
    """
    found = _networks_in(path.expanduser())
    average = found.get('G_ema', found.get('G', {}))
    current = found.get('G', average)
    sources = {'G': 'G' if 'G' in found else 'G_ema' if average else '', 'G_ema': 'G_ema' if 'G_ema' in found else 'G'}
    rows = (
        _copy('G', state.generator, current, sources['G'] if current else ''),
        _copy('G_ema', state.average, average, sources['G_ema'] if average else ''),
        _copy('D', state.discriminator, found.get('D', {}), 'D' if 'D' in found else ''),
    )
    if not any(row.taken for row in rows):
        raise TrainingError(f'Nothing in {path.name} fits the networks of this configuration; choose another preset.')
    return rows


def table(path: Path, rows: tuple[Taken, ...]) -> str:
    """The rows for people."""
    return '\n'.join([f'Weights taken from {path}:', *(row.row() for row in rows)])


@torch.no_grad()
def _copy(name: str, module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> Taken:
    own = module.state_dict()
    missing = tuple(key for key in own if key not in tensors)
    other = tuple(key for key in own if key in tensors and tensors[key].shape != own[key].shape)
    left = {*missing, *other}
    for key, tensor in own.items():
        if key not in left:
            tensor.copy_(tensors[key])
    return Taken(name, source, len(own) - len(left), len(own), missing, other)


def _networks_in(path: Path) -> dict[str, Mapping[str, Tensor]]:
    """Network name -> its tensors, of all that the file or folder holds."""
    try:
        if path.is_dir():
            return newest_state_tensors(path) or {'G_ema': load_checkpoint(newest_snapshot(path)).tensors}
        if path.name.startswith('training-state-'):
            return newest_state_tensors(path)
        if path.suffix == '.safetensors':
            checkpoint = load_checkpoint(path)
            return {'D' if checkpoint.family == 'discriminator' else 'G_ema': checkpoint.tensors}
        return {name: load_checkpoint(path, network=name).tensors for name in ('G', 'G_ema', 'D')}
    except BadFile as error:
        raise TrainingError(f'--resume-from {path}: {error}') from error
    except OSError as error:
        raise TrainingError(f'--resume-from {path} cannot be read ({error.strerror or error}).') from error


def _some(names: tuple[str, ...]) -> str:
    more = f' and {len(names) - _MOST_NAMED} more' if len(names) > _MOST_NAMED else ''
    return ', '.join(names[:_MOST_NAMED]) + more

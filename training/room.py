"""How much of the disk a training takes."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from training.config import TrainConfig
from training.errors import TrainingError
from training.state import TrainState

STATES = 3
"""Two are kept, and the next is complete before the older one goes."""
_FLOAT_BYTES = 4
_MOMENTS = 2
"""Of each learning weight, in Adam."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes."""

    snapshot: int
    """A generator."""
    snapshots: int
    """How many of them in the whole training."""
    state: int
    """All that is needed to continue."""
    free: int
    """In the folder of the runs."""
    folder: Path
    """Where that was looked up: the nearest one that exists."""

    @property
    def needed(self) -> int:
        """For the whole training, without previews."""
        return self.snapshot * (self.snapshots + 1) + self.state * STATES

    @property
    def needed_at_first(self) -> int:
        """For the first saved state, its snapshot and latest.safetensors."""
        return self.state + 2 * self.snapshot


def room_for(config: TrainConfig, state: TrainState) -> Room:
    """What the training that begins with `state` takes, and what there is."""
    folder = config.out.expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    learning = sum(p.numel() for module in _learning(state) for p in module.parameters())
    now = sum(tensor.nbytes for name, tensor in state.tensors().items() if '_adam/' not in name)
    return Room(
        snapshot=sum(tensor.nbytes for tensor in state.average.state_dict().values()),
        snapshots=max(config.total_images() // max(int(config.snapshot_kimg * 1000), 1), 1),
        state=now + _MOMENTS * _FLOAT_BYTES * learning,
        free=shutil.disk_usage(folder).free,
        folder=folder,
    )


def check_room(room: Room) -> None:
    """Raises `TrainingError` when not even the first saved state has room."""
    if room.needed_at_first > room.free:
        raise TrainingError(
            f'A saved state with its snapshot needs {shown_bytes(room.needed_at_first)}, and {shown_bytes(room.free)} are free in '
            f'{room.folder}; make room, or choose another --out.'
        )


def shown_bytes(count: float) -> str:
    """'789 kB', '12.3 MB', '4.56 GB'."""
    if count < 1e6:
        return f'{count / 1e3:.0f} kB'
    return f'{count / 1e9:.2f} GB' if count >= 1e9 else f'{count / 1e6:.1f} MB'


def _learning(state: TrainState) -> tuple[nn.Module, nn.Module]:
    return state.generator, state.discriminator

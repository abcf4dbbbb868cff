"""TensorBoard's files, if the package is installed; stats.jsonl holds the same numbers without it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MISSING = 'No TensorBoard files: pip install -r requirements-train.txt makes them; stats.jsonl holds the same numbers.'


class EventFile:
    """Takes numbers and pictures over the images seen."""

    def __init__(self, writer: Any) -> None:
        """`writer`: torch's SummaryWriter."""
        self._writer = writer

    def numbers(self, row: Mapping[str, Any]) -> None:
        """Every number of `row`, at its 'images'."""
        for name, value in row.items():
            if isinstance(value, (int, float)) and name not in ('images', 'step'):
                self._writer.add_scalar(_group(name), value, int(row['images']))
        self._writer.flush()

    def picture(self, images: int, grid: np.ndarray) -> None:
        """[height, width, 3] uint8."""
        self._writer.add_image('samples', grid, images, dataformats='HWC')

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def open_events(folder: Path, images: int) -> tuple[EventFile | None, str]:
    """A file in the run's folder that continues after `images`; or None, and the sentence why not."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None, MISSING
    except Exception as error:  # whatever a broken installation raises must not stop a training
        return (
            None,
            f'No TensorBoard files: the package tensorboard does not work here ({type(error).__name__}: {error}).',
        )
    return EventFile(SummaryWriter(str(folder / 'tensorboard'), purge_step=images + 1 if images else None)), ''


def _group(name: str) -> str:
    """TensorBoard puts names with the same beginning together."""
    kinds = {'loss': 'Loss', 'share': 'Scores', 'eq_': 'Equivariance'}
    kind = next((title for part, title in kinds.items() if part in name), 'Progress')
    return f'{kind}/{name}'

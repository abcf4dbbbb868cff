"""When a GPU gives up in the middle: the picture keeps coming, from the CPU if need be, and says why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

import torch

if TYPE_CHECKING:
    from render.models import ModelStore

Trouble = Literal['memory', 'lost']
Answer = TypeVar('Answer')
DROPPED = 'device: the GPU had too little memory for a moment, so pictures that were kept for later were dropped'
TOO_SMALL = (
    'device: the GPU has too little memory for this picture, so the CPU renders; start again with a smaller model'
)
NO_ROOM = (
    'device: the GPU has too little memory for this model, so the CPU renders; start again when others have left it'
)
LOST = 'device: the GPU stopped answering ({}), so the CPU renders; start again to use it'
_log = logging.getLogger(__name__)


def trouble(error: BaseException) -> Trouble | None:
    """What an exception says about the device; None: it is about something else."""
    if isinstance(error, torch.OutOfMemoryError):
        return 'memory'
    text = str(error)
    if not isinstance(error, RuntimeError) or 'captur' in text:
        return None  # that a graph cannot be recorded says nothing of the device, though torch calls it a CUDA error
    if 'out of memory' in text and ('CUDA' in text or 'cuda' in text):
        return 'memory'
    return 'lost' if isinstance(error, torch.AcceleratorError) or 'CUDA error' in text else None


def lost(error: BaseException) -> str:
    """The note that the device is gone."""
    return LOST.format(' '.join(str(error).split())[:80])


class Rescue:
    """Answers a call in spite of a device in trouble. Errors about anything else pass."""

    def __init__(self, models: ModelStore, forget: Callable[[], None]):
        """`forget`: drops everything on the device that can be computed again."""
        self._models, self._forget = models, forget
        self.note = ''
        """What happened, for the performance panel; empty while all is well."""

    def run(self, call: Callable[[], Answer]) -> Answer:
        """`call()`; again with memory freed, then again on the CPU, where the device failed."""
        answer, failure = self._attempt(call)
        if failure == 'memory':
            self._forget()
            _free()
            self.note = DROPPED
            answer, failure = self._attempt(call)
        if failure is None:
            return answer[0]
        self._forget()
        self._models.leave_gpu()
        if failure == 'memory':
            self.note = TOO_SMALL
            _free()
        return call()

    def _attempt(self, call: Callable[[], Answer]) -> tuple[list[Answer], Trouble | None]:
        """The answer in a list, or what is wrong with the device. No exception is kept: it would hold tensors."""
        try:
            return [call()], None
        except Exception as error:  # told apart below; what is not about the device goes on
            kind = trouble(error)
            if kind is None or self._models.device.type == 'cpu':
                raise
            _log.warning('the device failed: %s', error)
            if kind == 'lost':
                self.note = lost(error)
            return [], kind


def _free() -> None:
    """Give cached memory back to the device."""
    try:
        torch.cuda.empty_cache()
    except RuntimeError as error:  # the device is gone altogether
        _log.warning('memory of the device could not be freed: %s', error)

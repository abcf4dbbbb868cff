"""Several processes, on one machine or many, that train as one: what torchrun started, and what they tell each other.

PyTorch's own `torch.distributed`: NCCL between GPUs, gloo between CPUs. Gradients are averaged by its
DistributedDataParallel, in `training.gradients`.
"""

import gc
import hashlib
import importlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from traceback import clear_frames
from typing import Any

import torch
from torch import Tensor, distributed

from training.errors import TrainingError

_TIMEOUT = timedelta(hours=2)
"""The first process may measure a large snapshot meanwhile; that a process is gone is noticed at once by other means."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all; the default is a process on its own, for which every exchange is nothing."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the processes, of the same shape; every process gets the same."""
        if self.count == 1:
            return values
        total = values.detach().clone()
        with telling_who_is_gone():
            distributed.all_reduce(total)
        return total / self.count

    def learning_mean(self, values: Tensor) -> Tensor:
        """`mean` through which gradients pass back to every process."""
        return values if self.count == 1 else _LearningSum.apply(values) / self.count

    def any(self, flag: bool) -> bool:
        """Whether at least one process says yes: all then stop together."""
        if self.count == 1:
            return flag
        said = torch.tensor(float(flag), device=_message_device())
        with telling_who_is_gone():
            distributed.all_reduce(said, op=distributed.ReduceOp.MAX)
        return bool(said)

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite each tensor by that of the first process; all must bring the same shapes in the same order."""
        for tensor in tensors if self.count > 1 else ():
            message = tensor.detach().to(_message_device()).contiguous()
            with telling_who_is_gone():
                distributed.broadcast(message, src=0)
            tensor.data.copy_(message)

    def text_from_first(self, text: str) -> str:
        """The first process's `text`; the others' are dropped."""
        if self.count == 1:
            return text
        data = text.encode()
        length = torch.tensor([len(data)])
        self.copy_from_first([length])
        letters = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_first:
            letters = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        self.copy_from_first([letters])
        return bytes(letters.tolist()).decode()


ALONE = Ranks()


class _LearningSum(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        with telling_who_is_gone():
            distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        with telling_who_is_gone():
            distributed.all_reduce(total)
        return total


def started_by_torchrun() -> bool:
    """Whether this process is one of several that `torchrun` started."""
    return int(os.environ.get('WORLD_SIZE', '1')) > 1


def is_first_process() -> bool:
    """Whether this is the process that writes and speaks, known without asking the others."""
    return int(os.environ.get('RANK', '0')) == 0


def local_rank() -> int:
    """Number of this process among those of this machine, which is that of its GPU."""
    return int(os.environ.get('LOCAL_RANK', '0'))


@contextmanager
def joined(*, gpu: bool) -> Iterator[Ranks]:
    """This process in the company that `torchrun` made, until the block ends; `ALONE` without it.

    `gpu`: talk through NCCL, each with the GPU of its local rank. Raises `TrainingError` when they cannot find each other.
    """
    if not started_by_torchrun():
        yield ALONE
        return
    if gpu:
        _choose_gpu(local_rank())
    backend = 'nccl' if gpu else 'gloo'
    # What imports this later, as DistributedDataParallel does, keeps the group for ever as a default argument.
    importlib.import_module('torch.distributed.nn.functional')
    try:
        place = _meeting_file()
        if place is None:
            distributed.init_process_group(backend, timeout=_TIMEOUT)
        else:
            rank, count = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])
            store = distributed.FileStore(str(place), count)
            distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_TIMEOUT)
    except (RuntimeError, ValueError, OSError) as error:
        raise TrainingError(
            f'The processes could not find each other ({_first_line(error)}); start them with torchrun, all alike.'
        ) from error
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    except BaseException as error:
        _forget_frames(error)
        raise
    finally:
        _leave()


def _leave() -> None:
    """End the exchange and the threads that serve it; for that, nothing may use the group any more.

    A thread of gloo hands tensors back after their exchange, which needs Python's lock. If Python is ending by then, the
    process dies of SIGABRT ("terminate called without an active exception").
    """
    gc.collect()  # DistributedDataParallel lies in cycles; the group must outlive it, or its end would hold Python's lock
    distributed.destroy_process_group()


def _forget_frames(error: BaseException | None) -> None:
    """Drop the local variables of the calls that `error` ended: they hold what uses the group."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@contextmanager
def telling_who_is_gone() -> Iterator[None]:
    """Inside, a connection that broke raises `TrainingError`; whatever else goes wrong stays what it is."""
    try:
        yield
    except RuntimeError as error:
        if not _is_lost_connection(error):
            raise
        raise TrainingError(
            f'Another process of this training is gone ({_first_line(error)}); '
            'what was saved last is whole: the same command continues from there.'
        ) from error


def _is_lost_connection(error: RuntimeError) -> bool:
    """Whether it comes from gloo or NCCL: both say so in their text; newer NCCL errors have a type of their own."""
    return isinstance(error, distributed.DistError) or any(name in str(error).lower() for name in ('gloo', 'nccl'))


def _meeting_file() -> Path | None:
    """Where processes of one machine find each other; None: in the way that torchrun has prepared, as on many machines.

    A new file for each restart: through torchrun's own store, which outlives a killed process, the next ones wait for ever
    (pytorch issue 135712). And for each start, for the file of a killed training stays: it tells addresses where nobody
    listens to whoever takes it for his own.
    """
    attempt = os.environ.get('TORCHELASTIC_RESTART_COUNT')
    if attempt is None or os.environ.get('LOCAL_WORLD_SIZE') != os.environ.get('WORLD_SIZE'):
        return None
    user = getattr(os, 'getuid', lambda: 0)()
    folder = Path(tempfile.gettempdir()) / f'aliasscope-{user}'
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid not in (user, 0) or folder.is_symlink():
        return None  # somebody else's
    # torchrun is the parent of all of them, but its number is given again; it makes a new folder for each attempt.
    attempt_folder = Path(os.environ.get('TORCHELASTIC_ERROR_FILE', '')).parent.parent
    start = hashlib.sha256(f'{os.getppid()} {attempt_folder}'.encode()).hexdigest()[:16]
    return folder / f'meeting-{start}-{attempt}'


def _choose_gpu(number: int) -> None:
    count = torch.cuda.device_count()
    if number >= count:
        raise TrainingError(
            f'torchrun started process {number + 1} on this machine, which has {count} GPUs; '
            f'use --nproc_per_node={count}.'
        )
    torch.cuda.set_device(number)


def _message_device() -> torch.device:
    """Where a message to the others must lie."""
    return torch.device('cuda' if distributed.get_backend() == 'nccl' else 'cpu')


def _first_line(error: BaseException) -> str:
    """What an error says first, without the place in PyTorch's own source that it begins with."""
    return re.sub(r'^\[[^\]]*\]\s*', '', str(error).strip().split('\n')[0]).split('. ')[0].rstrip('.')

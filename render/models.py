"""The open models: at most two (an A/B comparison) and the one being loaded."""

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch

from networks.adapters.base import Inspectable
from networks.bad_file import BadFile, shown
from networks.checkpoint import file_sha256
from networks.info import GeneratorInfo
from networks.sources import is_function, open_model, resolve
from ops.memory import keep_freed_memory
from render.request import ModelKey
from render.rescue import NO_ROOM, lost, trouble

MAX_MODELS = 2
LoadProgress = Callable[[float, str], None]
"""(fraction 0 to 1, what is being done); may raise to stop."""
_ATTEMPTS = 3
_log = logging.getLogger(__name__)


def choose_device(name: str = 'auto') -> torch.device:
    """'auto' = an NVIDIA GPU if torch sees one, else the CPU; otherwise what is asked for, or a `ValueError`."""
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    if name == 'cpu' or (name == 'cuda' and torch.cuda.is_available()):
        return torch.device(name)
    if name == 'cuda':
        raise ValueError('torch sees no NVIDIA GPU here; use --device cpu, or see "visualizer.py doctor".')
    raise ValueError(f'there is no device {name!r}; choose auto, cpu or cuda.')


def device_title(device: torch.device) -> str:
    """What a person calls it."""
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type.upper()


def use_full_float32() -> None:
    """Compute float32 as such on a GPU: TF32 keeps 10 bits of a mantissa, which measurements would show as aliases."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


class ModelStore:
    """Opens models and keeps the last used ones. The only owner of networks.

    `open` may run on another thread than the renderer's; everything else belongs to the renderer's.
    """

    def __init__(self, device: torch.device | str = 'cpu', *, opener: Callable[..., Inspectable] = open_model):
        """`opener`: stands in for `networks.sources.open_model` in tests."""
        self.device = torch.device(device)
        if self.device.type == 'cuda':
            use_full_float32()
        keep_freed_memory()
        self.note = ''
        """Why models are on the CPU though a GPU was asked for; empty while all is well."""
        self._opener = opener
        self._models: OrderedDict[ModelKey, Inspectable] = OrderedDict()
        self._lock = threading.Lock()
        self._made = 0

    def open(
        self,
        path: str,
        network: str = 'G_ema',
        *,
        allow_code: bool = False,
        on_progress: LoadProgress | None = None,
    ) -> tuple[ModelKey, GeneratorInfo]:
        """Load the model that `path` names now, unless it is open already; its key and description.

        Raises `BadFile` when that is not possible; the models that are open stay open then. `on_progress` may raise to
        stop. See `networks.sources.open_model` for `path` and `allow_code`.
        """
        if is_function(path):
            adapter = self._load(path, network, allow_code, on_progress)
            self._made += 1  # what a function makes may differ each time, so each has a key of its own
            key = ModelKey(path, f'made-{self._made}', network)
        else:
            key, adapter = self._load_file(path, network, on_progress)
        self.put(key, adapter)
        return key, adapter.info

    def put(self, key: ModelKey, adapter: Inspectable) -> None:
        """Add a model that is there already, as the newest; the oldest beyond `MAX_MODELS` go."""
        with self._lock:
            self._models[key] = adapter
            self._models.move_to_end(key)
            while len(self._models) > MAX_MODELS:
                self._models.popitem(last=False)

    def get(self, key: ModelKey) -> Inspectable:
        """The model with that content, loaded again if it was closed. Raises `BadFile` if it cannot be had any more."""
        with self._lock:
            adapter = self._models.get(key)
            if adapter is not None:
                self._models.move_to_end(key)
                return adapter
        if is_function(key.path) or not key.sha256:
            raise BadFile('closed', f'{shown(key.path)} is not open any more; open it again.')
        found, adapter = self._load_file(key.path, key.network, None)
        if found != key:
            raise BadFile('changed', f'{shown(Path(key.path).name)} is not the file it was; open it again.')
        self.put(key, adapter)
        return adapter

    def __len__(self) -> int:
        return len(self._models)

    def open_keys(self) -> frozenset[ModelKey]:
        """Of the models that are open."""
        with self._lock:
            return frozenset(self._models)

    def leave_gpu(self) -> None:
        """Go on with the CPU, for good. Models are read from their files again when they are next wanted.

        One that a function made is moved, or closed where the device does not even give it back.
        """
        self.device = torch.device('cpu')
        with self._lock:
            for key, adapter in list(self._models.items()):
                if is_function(key.path) or not key.sha256:
                    try:
                        adapter.module.to('cpu')
                        continue
                    except RuntimeError as error:
                        _log.warning('%s could not be brought to the CPU: %s', key.path, error)
                del self._models[key]

    def _load_file(self, path: str, network: str, on_progress: LoadProgress | None) -> tuple[ModelKey, Inspectable]:
        """Key and model of one and the same content, even while a trainer replaces the file."""
        for _ in range(_ATTEMPTS):
            file = resolve(path)
            before = _identity(file)
            key = ModelKey(path, file_sha256(file), network)
            with self._lock:
                adapter = self._models.get(key)
            if adapter is None:
                adapter = self._load(path, network, False, on_progress)
            if resolve(path) == file and _identity(file) == before:
                return key, adapter
        raise BadFile('changing', f'{shown(path)} changes while it is read; try again when it is complete.')

    def _load(self, path: str, network: str, allow_code: bool, on_progress: LoadProgress | None) -> Inspectable:
        """The model on the device; on the CPU, for good, where the GPU is lost or has no room for a first model."""

        def opened() -> Inspectable:
            with torch.no_grad():
                return self._opener(path, self.device, allow_code=allow_code, network=network, on_progress=on_progress)

        try:
            return opened()
        except RuntimeError as error:
            kind = trouble(error) if self.device.type == 'cuda' else None
            if kind is None or (kind == 'memory' and self._models):
                raise  # of a second model a sentence says that there is no room, and the first stays
            _log.warning('the device failed: %s', error)
            self.note = lost(error) if kind == 'lost' else NO_ROOM
        self.leave_gpu()
        return opened()


def _identity(file: Path) -> tuple[int, int, int]:
    """Changes when the file is replaced or written."""
    try:
        status = os.stat(file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadFile('unreadable', f'{shown(file.name)} cannot be read ({reason}); check the path.') from None
    return status.st_ino, status.st_size, status.st_mtime_ns

"""From the inert tree of a snapshot to tensors and plain configuration values, all bounded."""

import math
import struct
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from networks.bad_file import BadFile, shown
from networks.files.limits import Budget, bad_option, malformed
from networks.files.pickle_names import ITEM_BYTES
from networks.files.pickle_values import Array, Name, Opaque, Persistent, Scalar, Span, TensorView

_STRUCT_CODES = {'f2': 'e', 'f4': 'f', 'f8': 'd', 'i1': 'b', 'i2': 'h', 'i4': 'i', 'i8': 'q'} | {
    'u1': 'B',
    'u2': 'H',
    'u4': 'I',
    'u8': 'Q',
    'b1': '?',
}


class Extractor:
    """Reads values of a parsed snapshot. `data`: the whole file."""

    def __init__(self, data: memoryview, budget: Budget) -> None:
        self._data = data
        self._budget = budget

    def tensors(self, network: Persistent) -> dict[str, TensorView]:
        """All parameters and buffers of `network` by dotted name, not yet read. None entries are left out."""
        return dict(self._walk(network, '', ()))

    def read(self, view: TensorView) -> Tensor:
        """A contiguous tensor of its own with the numbers of `view`, in the stored type."""
        storage = view.storage
        item_bytes = ITEM_BYTES[storage.dtype]
        self._budget.spend_tensor(math.prod(view.size) * item_bytes, len(self._data))
        # NumPy knows no bfloat16, and any byte may stand for a flag: both are copied as integers first.
        code = {'bf16': 'i2', 'b1': 'u1'}.get(storage.dtype, storage.dtype)
        if 0 in view.size:
            copied = np.zeros(view.size, dtype=f'<{code}')
        else:
            source = self._data if storage.span.owned is None else storage.span.owned
            start = storage.span.start + view.offset * item_bytes
            elements = np.frombuffer(source, f'<{code}', count=storage.count - view.offset, offset=start)
            strides = [step * item_bytes for step in view.stride]
            copied = np.array(np.lib.stride_tricks.as_strided(elements, view.size, strides, writeable=False), order='C')
        tensor = torch.from_numpy(copied)
        if storage.dtype == 'bf16':
            return tensor.view(torch.bfloat16)
        return tensor != 0 if storage.dtype == 'b1' else tensor

    def plain(self, value: object, *, depth: int = 0) -> object:
        """`value` in JSON types. Raises BadFile where it has none."""
        self._budget.spend_node(depth)
        match value:
            case None | bool() | int() | str():
                return value
            case float():
                if not math.isfinite(value):
                    raise bad_option(f'has the option value {value}')
                return value
            case list() | tuple():
                return [self.plain(item, depth=depth + 1) for item in value]
            case set():
                return sorted((self.plain(item, depth=depth + 1) for item in value), key=repr)
            case dict():
                return {self._option_name(key): self.plain(item, depth=depth + 1) for key, item in value.items()}
            case Scalar():
                return self.plain(self._numbers(value.dtype.code, 1, value.span)[0], depth=depth)
            case Array(shape=tuple()):
                return self._array(value)
            case Name():
                return str(value)
        what = value.what if isinstance(value, Opaque) else type(value).__name__
        raise bad_option(f'has an option of an unusual kind ({shown(what)})')

    def attributes(self, network: Persistent, path: str) -> dict[str, object]:
        """Numbers, flags, short texts and Nones that the module at dotted `path` below `network` has; {} if none."""
        module: object = network
        for part in path.split('.') if path else ():
            modules = module.state.get('_modules') if type(module) is Persistent else None
            module = modules.get(part) if type(modules) is dict else None
        state = module.state if type(module) is Persistent else {}
        simple = (type(None), bool, int, float, str, Scalar)
        return {str(name): self.plain(value) for name, value in state.items() if type(value) in simple}

    def _walk(self, network: Persistent, prefix: str, above: tuple[int, ...]) -> Iterator[tuple[str, TensorView]]:
        self._budget.spend_node(len(above))
        if id(network) in above:
            raise malformed('a network that contains itself')
        seen = set()
        for group in ('_parameters', '_buffers'):
            for key, value in self._entries(network, group):
                self._budget.spend_node(len(above))
                if key in seen:
                    raise malformed(f'two tensors called "{shown(prefix + key)}"')
                seen.add(key)
                if type(value) is TensorView:
                    yield prefix + key, value
                else:
                    raise _unreadable(prefix + key, value)
        for key, value in self._entries(network, '_modules'):
            if type(value) is not Persistent:
                raise _unreadable(prefix + key, value)
            yield from self._walk(value, f'{prefix}{key}.', (*above, id(network)))

    def _entries(self, network: Persistent, group: str) -> Iterator[tuple[str, object]]:
        """The entries of one table of a module that are not None, their keys checked."""
        table = network.state.get(group, {})
        if type(table) is not dict:
            raise _unreadable(group, table)
        for key, value in table.items():
            if type(key) is not str or not key or '.' in key or len(key) > self._budget.limits.name_characters:
                raise malformed(f'a layer called "{shown(key)}"')
            if value is not None:
                yield key, value

    def _option_name(self, key: object) -> str:
        if type(key) is not str or len(key) > self._budget.limits.name_characters:
            raise bad_option(f'has an option called {shown(key)}')
        return key

    def _array(self, array: Array) -> object:
        shape = array.shape or ()
        count = math.prod(shape)
        if count > self._budget.limits.config_values or (array.fortran and len(shape) > 1):
            raise bad_option(f'has an option that is an array of {count} numbers')
        for _ in range(count):
            self._budget.spend_node(0)
        return _nested(self._numbers(array.dtype.code, count, array.span), shape)

    def _numbers(self, code: str, count: int, span: Span) -> list:
        return list(struct.unpack(f'<{count}{_STRUCT_CODES[code]}', span.read(self._data)))


def _nested(numbers: list, shape: tuple[int, ...]) -> object:
    """`numbers` in row-major nested lists of `shape`; a bare number for the empty shape."""
    if not shape:
        return numbers[0]
    for count in reversed(shape[1:]):
        numbers = [numbers[start : start + count] for start in range(0, len(numbers), count)] if count else []
    return numbers


def _unreadable(name: str, value: object) -> BadFile:
    if type(value) is Opaque:
        return BadFile(
            'unknown-part',
            f'The file has a network whose part "{shown(name)}" is of a kind this program does not know '
            f'({shown(value.what)}); open an official-format snapshot.',
        )
    return malformed(f'a layer entry "{shown(name)}" of type {type(value).__name__}')

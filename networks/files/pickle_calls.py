"""What a snapshot may do with the names it uses: a fixed table of our own constructors of inert values."""

import hashlib
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from networks.bad_file import BadFile, shown
from networks.files.limits import Budget, damaged, forbidden, malformed, too_big
from networks.files.pickle_machine import dictionary_key
from networks.files.pickle_names import ARRAY_CODES, ITEM_BYTES, classify, is_dangerous, is_tensorflow
from networks.files.pickle_values import (
    Array,
    ArrayType,
    CodeText,
    Kind,
    LongText,
    Name,
    Opaque,
    Persistent,
    Scalar,
    Span,
    Storage,
    TensorView,
)
from networks.files.torch_stream import read_storage

_NEWEST_PERSISTENCE_VERSION = 6
_LARGEST_DIMENSION = 1 << 31
_LARGEST_COUNT = 1 << 40


class SnapshotActions:
    """Meaning of the names in one snapshot.

    Strict: a name that is on no list is an error. With `salvage`, such a name and all that is made of it become
    `Opaque` labels, so that a network beside it can still be read. Names that attacks use are errors in both.
    """

    def __init__(self, data: memoryview, budget: Budget, *, salvage: bool = False) -> None:
        self.unknown: set[str] = set()
        """Unknown names met (salvage only)."""
        self._data = data
        self._budget = budget
        self._salvage = salvage
        self._codes: dict[object, CodeText] = {}

    @property
    def codes(self) -> tuple[CodeText, ...]:
        """The distinct program texts met so far."""
        return tuple(dict.fromkeys(self._codes.values()))

    def resolve(self, module: str, name: str) -> Name:
        """The label for a name; BadFile when it is unknown (strict) or one that attacks use."""
        full_name = shown(f'{module}.{name}', limit=64)
        if is_dangerous(module, name):
            raise BadFile(
                'attack',
                f'The file tries to use "{full_name}", which could run programs on this computer. '
                'Nothing was run; get the model from its source.',
            )
        if is_tensorflow(module, name):
            raise BadFile(
                'tensorflow',
                'The file is a TensorFlow-era snapshot (StyleGAN 1 or 2), which is not supported yet; '
                'open the PyTorch version of the model instead.',
            )
        kind = classify(module, name)
        if kind is Kind.UNKNOWN:
            self._note_unknown(full_name)
        return Name(module, name, kind)

    def call(self, function: object, arguments: object) -> object:
        """The inert value for `function(*arguments)`."""
        return self._construct(function, arguments, _CALLS)

    def create(self, kind: object, arguments: object) -> object:
        """The inert value for an instance made without its constructor: only the dict classes may be."""
        return self._construct(kind, arguments, _CREATIONS)

    def build(self, target: object, state: object) -> None:
        """Give an array or dtype its state; other objects must have none that matters."""
        match target, state:
            case Opaque(), _:
                return
            case Array(shape=None), (1, tuple() as shape, ArrayType() as dtype, bool(fortran), Span() as span):
                self._fill(target, shape, dtype, fortran, span)
            case ArrayType(), (int(), '<' | '|', None, None, None, int(), int(), int(), *_):
                return
            case ArrayType(), (int(), '>', *_):
                raise malformed('numbers in big-endian byte order')
            case ArrayType(), _:
                raise malformed('an array of an unsupported type')
            case dict(), None | dict():
                return  # attributes of an OrderedDict or EasyDict: nothing we use
            case _:
                raise forbidden(f'sets the state of a value of type {type(target).__name__}')

    def persistent(self, key: object) -> object:
        """Refused: persistent ids belong inside tensor data."""
        raise malformed('a persistent id outside its tensor data')

    def _note_unknown(self, full_name: str) -> None:
        if not self._salvage:
            raise BadFile(
                'unknown-name',
                f'The file asks for "{full_name}", which is no part of a model format this program knows. '
                'Nothing was run; open an official-format snapshot.',
            )
        self.unknown.add(full_name)
        if len(self.unknown) > self._budget.limits.unknown_names:
            raise too_big(f'more than {self._budget.limits.unknown_names} unknown names')

    def _construct(self, function: object, arguments: object, table: 'Mapping[Kind, _Constructor]') -> object:
        if type(function) is Opaque:
            return function
        if type(function) is not Name:
            raise forbidden(f'calls a value of type {type(function).__name__}')
        if type(arguments) is not tuple:
            raise forbidden(f'calls a function with a value of type {type(arguments).__name__}')
        if function.kind is Kind.UNKNOWN:
            return Opaque(shown(function, limit=64))
        if arguments and type(arguments[0]) is Opaque:
            return arguments[0]
        constructor = table.get(function.kind)
        if constructor is None:
            raise malformed(f'a call of "{shown(function)}" of unknown form')
        return constructor(self, arguments)

    # Networks

    def _persistent(self, arguments: tuple) -> Persistent:
        if len(arguments) != 1 or type(arguments[0]) is not dict:
            raise malformed('a network without its description')
        match arguments[0]:
            case {
                'type': 'class',
                'version': int(version),
                'class_name': str(class_name),
                'module_src': str() | LongText() as source,
                'state': dict() as state,
            }:
                pass
            case _:
                raise malformed('a network without its description')
        if not 1 <= version <= _NEWEST_PERSISTENCE_VERSION:
            raise BadFile('version', f'The file has networks of version {version}; this program reads up to 6.')
        return Persistent(class_name[: self._budget.limits.name_characters], self._code(source), state)

    def _code(self, source: str | LongText) -> CodeText:
        """Length and hash of a program text, which is used for nothing else."""
        code = self._codes.get(source)
        if code is None:
            if len(self._codes) >= self._budget.limits.program_texts:
                raise too_big(f'more than {self._budget.limits.program_texts} program texts')
            raw = source.span.read(self._data) if isinstance(source, LongText) else source.encode()
            code = self._codes[source] = CodeText(len(raw), hashlib.sha256(raw).hexdigest())
        return code

    # Tensors

    def _storage(self, arguments: tuple) -> Storage:
        match arguments:
            case (Span() as span,):
                return read_storage(self._data, span, self._budget)
        raise malformed('tensor data of unknown form')

    def _tensor(self, arguments: tuple) -> TensorView:
        match arguments:
            case (
                Storage() as storage,
                offset,
                tuple() as size,
                tuple() as stride,
                bool(),
                dict() as hooks,
                *metadata,
            ) if not hooks and metadata in ([], [None], [{}]):
                return self._view(storage, offset, size, stride)
        raise malformed('a tensor of unknown form')

    def _old_tensor(self, arguments: tuple) -> TensorView:
        match arguments:
            case (Storage() as storage, offset, tuple() as size, tuple() as stride):
                return self._view(storage, offset, size, stride)
        raise malformed('a tensor of unknown form')

    def _view(self, storage: Storage, offset: object, size: tuple, stride: tuple) -> TensorView:
        """A window on `storage` that lies wholly inside it. Plain integers here, so nothing can overflow."""
        if len(size) > self._budget.limits.tensor_dimensions or len(size) != len(stride):
            raise malformed('a tensor of unknown form')
        start, *rest = _whole_numbers((offset, *size, *stride), 'a tensor')
        size, stride = tuple(rest[: len(size)]), tuple(rest[len(size) :])
        if math.prod(max(count, 1) for count in size) >= _LARGEST_COUNT:
            raise malformed(f'a tensor of shape {shown(size)}')
        last = start + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
        if all(size) and last >= storage.count:
            raise malformed(f'a tensor of shape {shown(size)} that reaches beyond its {storage.count} numbers')
        return TensorView(storage, start, size, stride)

    def _parameter(self, arguments: tuple) -> TensorView:
        match arguments:
            case (TensorView() as tensor, bool(), dict() as hooks) if not hooks:
                return tensor
        raise malformed('a parameter of unknown form')

    # Containers

    def _dict(self, arguments: tuple) -> dict:
        match arguments:
            case ():
                return {}
            case (list() as pairs,) if all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
                return {dictionary_key(key, self._data): value for key, value in pairs}
        raise malformed('a dictionary of unknown form')

    def _set(self, arguments: tuple) -> set:
        match arguments:
            case ():
                return set()
            case (list() as items,):
                return {dictionary_key(item, self._data) for item in items}
        raise malformed('a set of unknown form')

    def _size(self, arguments: tuple) -> tuple:
        match arguments:
            case (tuple() as size,):
                return size
        raise malformed('a size of unknown form')

    def _device(self, arguments: tuple) -> str:
        match arguments:
            case (str(device), *_):
                return device
        raise malformed('a device of unknown form')

    def _encode(self, arguments: tuple) -> Span:
        """Bytes as pickle protocol 2 spells them: text, one character per byte."""
        match arguments:
            case (str() | LongText() as text, 'latin1' | 'latin-1'):
                pass
            case _:
                raise malformed('bytes of unknown form')
        byte_count = len(text.span) if isinstance(text, LongText) else len(text)
        self._budget.spend_respelled(byte_count, len(self._data))
        try:
            decoded = str(text.span.read(self._data), 'utf-8') if isinstance(text, LongText) else text
            owned = decoded.encode('latin1')
        except UnicodeError:
            raise damaged('bytes spelled as text') from None
        return Span(0, len(owned), owned)

    # NumPy

    def _dtype(self, arguments: tuple) -> ArrayType:
        match arguments:
            case (str(code), *_) if code in ARRAY_CODES:
                return ArrayType(code)
        raise malformed('an array of an unsupported type')

    def _array(self, arguments: tuple) -> Array:
        match arguments:
            case (Name(kind=Kind.ARRAY_TYPE), *_):
                return Array()
        raise malformed('an array of unknown form')

    def _scalar(self, arguments: tuple) -> Scalar:
        match arguments:
            case (ArrayType() as dtype, Span() as span) if len(span) == ITEM_BYTES[dtype.code]:
                return Scalar(dtype, span)
        raise malformed('a number of unknown form')

    def _from_buffer(self, arguments: tuple) -> Array:
        match arguments:
            case (Span() as span, ArrayType() as dtype, tuple() as shape, 'C' | 'F' as order):
                array = Array()
                self._fill(array, shape, dtype, order == 'F', span)
                return array
        raise malformed('an array of unknown form')

    def _fill(self, array: Array, shape: tuple, dtype: ArrayType, fortran: bool, span: Span) -> None:
        if len(shape) > self._budget.limits.tensor_dimensions:
            raise malformed('an array of unknown form')
        shape = _whole_numbers(shape, 'an array')
        byte_count = math.prod(shape) * ITEM_BYTES[dtype.code]
        if byte_count != len(span):
            raise malformed(f'an array of shape {shown(shape)} with {len(span)} bytes of data')
        array.shape, array.dtype, array.fortran, array.span = shape, dtype, fortran, span


def _whole_numbers(values: tuple, what: str) -> tuple[int, ...]:
    """`values` as sizes and places of `what`; BadFile when one is none."""
    if not all(type(value) is int and 0 <= value < _LARGEST_DIMENSION for value in values):
        raise malformed(f'{what} of impossible size')  # values are not shown: they may nest without end
    return values


_Constructor = Callable[[SnapshotActions, tuple], object]

_CREATIONS: Mapping[Kind, _Constructor] = MappingProxyType(
    {Kind.ORDERED_DICT: SnapshotActions._dict, Kind.EASY_DICT: SnapshotActions._dict}
)
_CALLS: Mapping[Kind, _Constructor] = MappingProxyType(
    {
        **_CREATIONS,
        Kind.PERSISTENT: SnapshotActions._persistent,
        Kind.TENSOR: SnapshotActions._tensor,
        Kind.OLD_TENSOR: SnapshotActions._old_tensor,
        Kind.PARAMETER: SnapshotActions._parameter,
        Kind.STORAGE_BYTES: SnapshotActions._storage,
        Kind.SET: SnapshotActions._set,
        Kind.SIZE: SnapshotActions._size,
        Kind.DEVICE: SnapshotActions._device,
        Kind.ENCODE: SnapshotActions._encode,
        Kind.DTYPE: SnapshotActions._dtype,
        Kind.ARRAY: SnapshotActions._array,
        Kind.SCALAR: SnapshotActions._scalar,
        Kind.FROM_BUFFER: SnapshotActions._from_buffer,
    }
)

"""What the pickle machine makes: inert values that describe, and can do nothing.

Besides these, only Python's own None, bool, int, float, str, list, tuple, dict and set appear.
"""

import enum
from dataclasses import dataclass, field


class Kind(enum.Enum):
    """What a name in a file stands for. Names are labels: nothing is ever looked up by them."""

    PERSISTENT = enum.auto()
    TENSOR = enum.auto()
    OLD_TENSOR = enum.auto()
    PARAMETER = enum.auto()
    STORAGE_BYTES = enum.auto()
    STORAGE_TYPE = enum.auto()
    ORDERED_DICT = enum.auto()
    EASY_DICT = enum.auto()
    SET = enum.auto()
    ENCODE = enum.auto()
    DTYPE = enum.auto()
    ARRAY_TYPE = enum.auto()
    ARRAY = enum.auto()
    SCALAR = enum.auto()
    FROM_BUFFER = enum.auto()
    SIZE = enum.auto()
    DEVICE = enum.auto()
    TORCH_DTYPE = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True)
class Name:
    """A global that the file names: a label."""

    module: str
    name: str
    kind: Kind

    def __str__(self) -> str:
        return f'{self.module}.{self.name}'


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file (or of `owned`, where the file spells them otherwise), not yet read."""

    start: int
    stop: int
    owned: bytes | None = None

    def __len__(self) -> int:
        return self.stop - self.start

    def read(self, data: memoryview) -> bytes:
        """A copy of the bytes; `data` is the whole file."""
        source = data if self.owned is None else self.owned
        return bytes(source[self.start : self.stop])


@dataclass(frozen=True, slots=True)
class LongText:
    """A text too long to be a name or an option: kept as its UTF-8 bytes, not decoded."""

    span: Span


@dataclass(frozen=True, slots=True)
class Storage:
    """The elements that tensors view: `count` little-endian elements of type `dtype` in `span`."""

    dtype: str
    count: int
    span: Span


@dataclass(frozen=True, slots=True)
class TensorView:
    """A tensor that has not been read: a window on a storage. Bounds are checked when it is made."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ArrayType:
    """A NumPy dtype: kind letter and byte count, e.g. 'f8'; always little-endian."""

    code: str


@dataclass(slots=True)
class Array:
    """A NumPy array that has not been read. Empty until its state arrives."""

    shape: tuple[int, ...] | None = None
    dtype: ArrayType = field(default_factory=lambda: ArrayType('f8'))
    fortran: bool = False
    span: Span = field(default_factory=lambda: Span(0, 0))


@dataclass(frozen=True, slots=True)
class Scalar:
    """A NumPy scalar that has not been read."""

    dtype: ArrayType
    span: Span


@dataclass(frozen=True, slots=True)
class CodeText:
    """Program text carried by the file: measured and hashed, never parsed, compiled or run."""

    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Persistent:
    """A network (or part of one) as the file describes it: class label, program text, instance dict."""

    class_name: str
    code: CodeText
    state: dict


@dataclass(frozen=True, slots=True)
class Opaque:
    """Something of an unknown kind, outside the wanted network: a label, its contents dropped."""

    what: str

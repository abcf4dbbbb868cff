"""The safetensors container: a JSON header, then raw tensor bytes. Bounded reading, atomic writing.

Layout: 8 bytes little-endian header length, the header (a JSON object: tensor name -> dtype, shape and data_offsets;
'__metadata__' -> text to text), then the tensor bytes without holes. We add a CRC-32 over all of it to the metadata,
because the format has none; files of other programs without it are read too.
"""

import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from networks.bad_file import BadFile, shown
from networks.files.atomic import write_atomically
from networks.files.limits import LIMITS, damaged, too_big

_DTYPES = MappingProxyType(
    {
        'F64': (torch.float64, '<f8'),
        'F32': (torch.float32, '<f4'),
        'F16': (torch.float16, '<f2'),
        'BF16': (torch.bfloat16, '<i2'),
        'I64': (torch.int64, '<i8'),
        'I32': (torch.int32, '<i4'),
        'I16': (torch.int16, '<i2'),
        'I8': (torch.int8, 'i1'),
        'U8': (torch.uint8, 'u1'),
        'BOOL': (torch.bool, 'u1'),
    }
)
"""Name in the file -> type in torch, and how NumPy reads its bytes."""
_NAMES_OF_DTYPES = MappingProxyType({dtype: name for name, (dtype, _) in _DTYPES.items()})

_TENSOR_NAME = re.compile(r'[A-Za-z0-9_./#-]{1,200}')
_CRC = 'crc32'
_ALIGNMENT = 8
_LARGEST_DIMENSION = 1 << 31
_CHUNK_BYTES = 16 << 20

Advance = Callable[[float], None]
"""Called with the fraction done; may raise to stop."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor lies: `start` and `stop` count from the first byte after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header."""

    metadata: Mapping[str, str]
    entries: tuple[Entry, ...]
    """In the order of their bytes."""
    data_start: int


def read_header(data: memoryview) -> Header:
    """The checked header of the safetensors file `data`. Raises BadFile."""
    if len(data) < 8:
        raise damaged('its header is cut short')
    length = int.from_bytes(data[:8], 'little')
    if length > LIMITS.header_bytes:
        raise BadFile('too-big', f'The file claims a header of {length} bytes; the limit is {LIMITS.header_bytes}.')
    if length > len(data) - 8:
        raise damaged(f'a header of {length} bytes in a file of {len(data)}')
    table = _parse(bytes(data[8 : 8 + length]))
    metadata = table.pop('__metadata__', {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise damaged('its metadata is not text')
    if len(table) > LIMITS.tensors:
        raise too_big(f'{len(table)} tensors')
    entries = tuple(sorted((_entry(name, value) for name, value in table.items()), key=lambda entry: entry.start))
    _check_cover(entries, len(data) - 8 - length)
    return Header(MappingProxyType(metadata), entries, 8 + length)


def read_tensors(data: memoryview, header: Header, on_advance: Advance | None = None) -> dict[str, Tensor]:
    """All tensors of the file, each with memory of its own; the checksum, if there is one, is verified."""
    tensors = {}
    crc = 0
    for entry in header.entries:
        if on_advance is not None:
            on_advance((header.data_start + entry.start) / len(data))
        dtype, code = _DTYPES[entry.dtype]
        with data[header.data_start + entry.start : header.data_start + entry.stop] as raw:
            crc = zlib.crc32(raw, crc)
            copied = np.frombuffer(raw, code).reshape(entry.shape).copy()
        tensor = torch.from_numpy(copied)
        tensors[entry.name] = tensor != 0 if dtype is torch.bool else tensor.view(dtype)
    stored = header.metadata.get(_CRC)
    if stored is not None and stored != str(_header_crc(header.entries, header.metadata, crc)):
        raise BadFile(
            'checksum',
            'The file was damaged or changed after it was written (its checksum does not match); copy it again.',
        )
    return tensors


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], on_advance: Advance | None = None
) -> None:
    """Write `tensors` and `metadata` to `path`, atomically, in the order given. Raises OSError.

    Tensors may live on any device and have any strides. Raises ValueError for a name or type that cannot be stored.
    """
    entries = tuple(_laid_out(tensors))
    crc = 0
    for entry in entries:
        for piece in _pieces(tensors[entry.name]):
            crc = zlib.crc32(piece, crc)
    full = {**metadata, _CRC: str(_header_crc(entries, metadata, crc))}
    table = {'__metadata__': full} | {
        entry.name: {'dtype': entry.dtype, 'shape': list(entry.shape), 'data_offsets': [entry.start, entry.stop]}
        for entry in entries
    }
    text = json.dumps(table, separators=(',', ':'), ensure_ascii=False, allow_nan=False).encode()
    text += b' ' * (-len(text) % _ALIGNMENT)

    def pieces() -> Iterator[bytes | memoryview]:
        yield len(text).to_bytes(8, 'little') + text
        for entry in entries:
            if on_advance is not None:
                on_advance(entry.start / entries[-1].stop if entries[-1].stop else 1.0)
            yield from _pieces(tensors[entry.name])

    write_atomically(path, pieces())


def _parse(text: bytes) -> dict:
    """The JSON object in `text`, without repeated keys. Raises BadFile."""

    def unique(pairs: list[tuple[str, object]]) -> dict:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise damaged('its header has a name twice')
        return table

    def refuse(constant: str) -> None:
        raise damaged(f'its header holds {constant}')

    try:
        table = json.loads(text.decode('utf-8'), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise damaged('its header is not valid JSON') from None
    if not isinstance(table, dict):
        raise damaged('its header is not a table')
    return table


def _entry(name: str, value: object) -> Entry:
    """One checked entry of the header."""
    if not _TENSOR_NAME.fullmatch(name) or '..' in name:
        raise damaged(f'a tensor called "{shown(name)}"')
    match value:
        case {'dtype': str(dtype), 'shape': list(shape), 'data_offsets': [int(start), int(stop)], **rest} if not rest:
            pass
        case _:
            raise damaged(f'its entry "{shown(name)}"')
    if dtype not in _DTYPES:
        raise BadFile('bad-type', f'The file has the tensor "{shown(name)}" of type {shown(dtype)}, not supported.')
    whole = all(type(count) is int and 0 <= count < _LARGEST_DIMENSION for count in shape)
    if len(shape) > LIMITS.tensor_dimensions or not whole or type(start) is not int or type(stop) is not int:
        raise damaged(f'its entry "{shown(name)}"')
    if math.prod(max(count, 1) for count in shape) >= 1 << 40:
        raise damaged(f'its entry "{shown(name)}"')
    if not 0 <= start <= stop or stop - start != math.prod(shape) * _DTYPES[dtype][0].itemsize:
        raise damaged(f'its tensor "{shown(name)}" of shape {shown(shape)} has {shown(stop - start)} bytes')
    return Entry(name, dtype, tuple(shape), start, stop)


def _check_cover(entries: tuple[Entry, ...], data_bytes: int) -> None:
    """The tensors must cover the data exactly: no hole, no overlap, nothing behind."""
    position = 0
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.stop)):
        if entry.start != position:
            raise damaged(f'a hole or overlap before its tensor "{shown(entry.name)}"')
        position = entry.stop
    if position > data_bytes:
        raise BadFile(
            'truncated',
            f'The file is cut short: its tensors need {position} bytes, {data_bytes} are there; copy it again.',
        )
    if position < data_bytes:
        raise damaged(f'{data_bytes - position} bytes behind its last tensor')


def _laid_out(tensors: Mapping[str, Tensor]) -> Iterator[Entry]:
    position = 0
    for name, tensor in tensors.items():
        if not _TENSOR_NAME.fullmatch(name) or '..' in name:
            raise ValueError(
                f'A tensor cannot be stored under the name {name!r}; use letters, digits, "_", "." and "/".'
            )
        dtype = _NAMES_OF_DTYPES.get(tensor.dtype)
        if dtype is None:
            raise ValueError(f'{name} has type {tensor.dtype}, which safetensors files of ours do not hold.')
        size = tensor.numel() * tensor.element_size()
        yield Entry(name, dtype, tuple(tensor.shape), position, position + size)
        position += size


def _pieces(tensor: Tensor) -> Iterator[memoryview]:
    """The bytes of `tensor`, row-major, in chunks."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if not flat.numel():
        return
    raw = memoryview(flat.view(torch.uint8).numpy())  # type: ignore[arg-type]
    for start in range(0, len(raw), _CHUNK_BYTES):
        yield raw[start : start + _CHUNK_BYTES]


def _header_crc(entries: tuple[Entry, ...], metadata: Mapping[str, str], crc: int) -> int:
    """`crc` of the tensor bytes, continued over names, types, shapes and metadata: a flipped name must not pass."""
    rows = [[entry.name, entry.dtype, list(entry.shape)] for entry in entries]
    rest = sorted((key, value) for key, value in metadata.items() if key != _CRC)
    return zlib.crc32(json.dumps([rows, rest]).encode(), crc)

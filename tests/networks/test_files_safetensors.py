"""Our container: what goes in comes out, other programs agree, and damaged or hostile files are refused."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from networks.bad_file import BadFile
from networks.files import atomic
from networks.files.safetensors_file import read_header, read_tensors, write_safetensors

TENSORS = {
    'a.weight': torch.arange(12, dtype=torch.float32).reshape(3, 4),
    'b': torch.tensor(2.5, dtype=torch.float64),
    'c/d#e-f': torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    'half': torch.tensor([[0.5]], dtype=torch.float16),
    'flags': torch.tensor([True, False, True]),
    'empty': torch.zeros(0, 3),
    'long': torch.tensor([1 << 40, -1]),
    'byte': torch.tensor([255], dtype=torch.uint8),
}
DTYPES = {'F32': 4, 'F64': 8, 'F16': 2}


def load(data: bytes) -> dict[str, Tensor]:
    """All tensors of a file in memory."""
    view = memoryview(data)
    return read_tensors(view, read_header(view))


def raw(header: object, body: bytes = b'', *, length: int | None = None) -> bytes:
    """A file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(text) if length is None else length) + text + body


def entry(shape: object = (2,), start: object = 0, stop: object = 8, dtype: object = 'F32') -> dict[str, object]:
    """A header entry."""
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [start, stop]}


def test_every_type_and_shape_comes_back_with_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    write_safetensors(path, TENSORS, {'x': 'é "quoted"', 'y': '{"z": 1}'})
    data = path.read_bytes()
    metadata = read_header(memoryview(data)).metadata
    assert (metadata['x'], metadata['y']) == ('é "quoted"', '{"z": 1}')
    found = load(data)
    assert list(found) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


def test_the_safetensors_library_reads_what_we_write(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    write_safetensors(path, TENSORS, {'x': 'y'})
    found = safetensors.torch.load_file(path)
    assert set(found) == set(TENSORS)
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())


def test_we_read_what_the_safetensors_library_writes(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    safetensors.torch.save_file(TENSORS, path, metadata={'x': 'y'})
    found = load(path.read_bytes())
    assert set(found) == set(TENSORS)
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())


def test_strided_tensors_are_written_in_their_logical_order(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    tensor = torch.arange(6.0).reshape(2, 3).t()
    write_safetensors(path, {'a': tensor, 'b': torch.ones(1).expand(4)}, {})
    found = load(path.read_bytes())
    assert torch.equal(found['a'], tensor) and torch.equal(found['b'], torch.ones(4))


def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    for name, tensor in (('../x', torch.zeros(1)), ('', torch.zeros(1)), ('a', torch.zeros(1, dtype=torch.complex64))):
        with pytest.raises(ValueError):
            write_safetensors(path, {name: tensor}, {})
    assert not list(tmp_path.iterdir())


def test_any_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    write_safetensors(path, {'a.weight': torch.arange(8.0), 'b': torch.ones(2)}, {'config': '{"z": 1}'})
    data = path.read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x04
        try:
            found = load(bytes(damaged))
        except BadFile:
            continue
        in_name_of_checksum = 0 <= place - data.index(b'"crc32"') < 7  # then there is none to compare with
        assert data[place : place + 1] == b' ' or in_name_of_checksum, f'byte {place}: {found}'


def test_a_file_cut_at_any_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    write_safetensors(path, {'a': torch.arange(8.0)}, {})
    data = path.read_bytes()
    for length in range(len(data)):
        with pytest.raises(BadFile):
            load(data[:length])


HOSTILE = {
    'a header of 2^63 bytes': raw(b'{}', length=1 << 63),
    'a header of 100 MB': raw(b'{}', length=100 << 20),
    'a header longer than the file': raw(b'{}', length=1000),
    'no header': b'',
    'seven bytes': b'1234567',
    'a header that is no JSON': raw(b'{abc}'),
    'a header that is a list': raw([]),
    'a header that is a number': raw(7),
    'a header in Latin-1': raw('{"é": 1}'.encode('latin1')),
    'a header nested 100,000 deep': raw(b'{"a":' + b'[' * 100_000 + b']' * 100_000 + b'}'),
    'a header with a number of 5,000 digits': raw(b'{"a":' + b'1' * 5000 + b'}'),
    'a name twice': raw(
        b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b'}', bytes(8)
    ),
    'a constant': raw(b'{"a": NaN}'),
    'metadata that is a list': raw({'__metadata__': []}),
    'metadata with numbers': raw({'__metadata__': {'a': 1}}),
    'an entry that is a list': raw({'a': []}),
    'an entry without a shape': raw({'a': {'dtype': 'F32', 'data_offsets': [0, 8]}}, bytes(8)),
    'an entry with more keys': raw({'a': entry() | {'x': 1}}, bytes(8)),
    'an unknown type': raw({'a': entry(dtype='F8_E4M3')}, bytes(8)),
    'a type that is a list': raw({'a': entry(dtype=[])}, bytes(8)),
    'a shape that is a number': raw({'a': entry(shape=2)}, bytes(8)),
    'a shape of floats': raw({'a': entry(shape=[2.0])}, bytes(8)),
    'a shape of flags': raw({'a': entry(shape=[True, 2])}, bytes(8)),
    'a negative shape': raw({'a': entry(shape=[-2])}, bytes(8)),
    'a shape of 2^60 zeros': raw({'a': entry(shape=[0, 1 << 60], stop=0)}),
    'a shape whose product overflows': raw({'a': entry(shape=[1 << 30, 1 << 30, 1 << 4])}, bytes(8)),
    'a shape of 100 dimensions': raw({'a': entry(shape=[1] * 100, stop=4)}, bytes(4)),
    'a shape that does not fit its bytes': raw({'a': entry(shape=[3])}, bytes(8)),
    'offsets that are texts': raw({'a': entry(start='0')}, bytes(8)),
    'offsets the wrong way round': raw({'a': entry(start=8, stop=0)}, bytes(8)),
    'negative offsets': raw({'a': entry(start=-8, stop=0)}, bytes(8)),
    'offsets that are floats': raw({'a': entry(stop=8.0)}, bytes(8)),
    'one offset': raw({'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [8]}}, bytes(8)),
    'a tensor beyond the end': raw({'a': entry()}, bytes(7)),
    'a hole': raw({'a': entry(start=8, stop=16)}, bytes(16)),
    'an overlap': raw({'a': entry(), 'b': entry()}, bytes(8)),
    'bytes behind the last tensor': raw({'a': entry()}, bytes(9)),
    'no tensors but bytes': raw({}, bytes(9)),
    'a name with a path': raw({'../../x': entry()}, bytes(8)),
    'a name with a line end': raw({'a\nb': entry()}, bytes(8)),
    'a name of 300 letters': raw({'a' * 300: entry()}, bytes(8)),
    'an empty name': raw({'': entry()}, bytes(8)),
    '10,001 tensors': raw({f'a{index}': entry(shape=[0], stop=0) for index in range(10_001)}),
    'a wrong checksum': raw({'__metadata__': {'crc32': '7'}, 'a': entry()}, bytes(8)),
    'a surrogate in a name': raw(b'{"\\ud800": 1}'),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_containers_are_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(BadFile) as error:
        load(HOSTILE[name])
    assert str(error.value).startswith('The file ') and len(str(error.value)) <= 240 and str(error.value).isprintable()


def test_a_reader_that_stops_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'

    def stop(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_safetensors(path, {'a': torch.zeros(3)}, {}, stop)
    assert not list(tmp_path.iterdir())


class Disk:
    """The calls to the operating system that writing makes; the n-th fails."""

    CALLS = ('open', 'write', 'fsync', 'close', 'replace')

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
        self.count, self.fails_at, self.log = 0, fails_at, []
        for name in self.CALLS:
            monkeypatch.setattr(atomic.os, name, self.wrapped(name, getattr(atomic.os, name)))

    def wrapped(self, name: str, real: Callable) -> Callable:
        """The real call, or an error."""

        def call(*arguments: object, **options: object) -> object:
            self.count += 1
            self.log.append(name)
            if self.count == self.fails_at:
                if name == 'close':
                    real(*arguments, **options)
                raise OSError(28, 'No space left on device')
            return real(*arguments, **options)

        return call


def test_a_full_disk_at_any_call_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    old, new = {'a': torch.zeros(3)}, {'a': torch.ones(3)}
    for fails_at in range(1, 30):
        write_safetensors(path, old, {})
        before = path.read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, fails_at)
            try:
                write_safetensors(path, new, {})
                finished = True
            except OSError:
                finished = False
        if disk.count < fails_at:
            assert finished and torch.equal(load(path.read_bytes())['a'], new['a'])
            assert disk.log == ['open', 'write', 'write', 'fsync', 'close', 'replace', 'open', 'fsync', 'close']
            return
        renamed = 'replace' in disk.log[: fails_at - 1]
        assert not finished
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
        assert renamed or path.read_bytes() == before
    raise AssertionError('writing never finished')


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = atomic.os.write
    monkeypatch.setattr(atomic.os, 'write', lambda descriptor, data: real(descriptor, bytes(data[:7])))
    write_safetensors(tmp_path / 'a.safetensors', TENSORS, {})
    monkeypatch.undo()
    assert torch.equal(load((tmp_path / 'a.safetensors').read_bytes())['long'], TENSORS['long'])


def test_a_link_is_written_through_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / 'real').mkdir()
    link = tmp_path / 'link.safetensors'
    link.symlink_to(tmp_path / 'real' / 'a.safetensors')
    write_safetensors(link, {'a': torch.zeros(1)}, {})
    assert link.is_symlink() and (tmp_path / 'real' / 'a.safetensors').is_file()


def test_mutated_containers_raise_nothing_but_bad_file(tmp_path: Path) -> None:
    path = tmp_path / 'a.safetensors'
    write_safetensors(path, TENSORS, {'config': '{"z": 1}'})
    data = path.read_bytes()
    chance = np.random.RandomState(3)
    for _ in range(1500):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            place = chance.randint(0, len(changed) - 1)
            if chance.randint(0, 2):
                changed[place] = chance.randint(0, 256)
            else:
                del changed[place : place + chance.randint(1, 5)]
        try:
            load(bytes(changed))
        except BadFile as error:
            assert len(str(error)) <= 240

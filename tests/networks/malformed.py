"""Malformed, oversized and foreign files, made in code: each is a name and the bytes of a file."""

import io
import struct
import tarfile
from collections.abc import Iterator

import torch

from tests.networks.hostile import (
    File,
    _torch_zip,
    described,
    dump,
    genuine,
    genuine_options,
    network_with,
    root,
    state_of,
    storage,
    tensor,
    tiny,
)
from tests.networks.pickle_writer import (
    LOAD_FROM_BYTES,
    PERSISTENT,
    REBUILD_TENSOR,
    Call,
    Global,
    legacy_bytes,
    snapshot_bytes,
)

DTYPE = Global('numpy', 'dtype')
NDARRAY = Global('numpy', 'ndarray')
RECONSTRUCT = Global('numpy.core.multiarray', '_reconstruct')
SCALAR = Global('numpy.core.multiarray', 'scalar')
HEAD = b'\x80\x04'


def operations() -> Iterator[File]:
    """Operations that do not exist in model files, and broken programs."""
    for name, code in {
        'EXT1': b'\x82\x01',
        'EXT2': b'\x83\x01\x00',
        'EXT4': b'\x84\x01\x00\x00\x00',
        'DUP': b'}2',
        'PERSID': b'Pabc\n',
        'BINPERSID': b'}Q',
        'LONG4': b'\x8b\x04\x00\x00\x00\x01\x00\x00\x00',
        'INT': b'I1\n',
        'LONG': b'L1L\n',
        'FLOAT': b'F1.0\n',
        'STRING': b"S'a'\n",
        'UNICODE': b'Va\n',
        'BINSTRING': b'T\x01\x00\x00\x00a',
        'SHORT_BINSTRING': b'U\x01a',
        'FROZENSET': b'(\x91',
        'NEXT_BUFFER': b'\x97',
        'READONLY_BUFFER': b'}\x98',
        'POP_MARK': b'(1}',
        'DICT': b'(d',
        'GET': b'}p0\ng0\n',
        'unknown 0xff': b'\xff',
        'zero': b'\x00',
        'second PROTO': b'\x80\x04}',
        'protocol 6': b'}',
        'pop of nothing': b'0',
        'append to nothing': b'a',
        'tuple of nothing': b'\x87',
        'mark without end': b'(',
        'mark popped': b'}(0',
        'unknown memo': b'h\x07',
        'long memo': b'j\xff\xff\xff\x7f',
        'memoize nothing': b'\x94',
        'odd items': b'}(}u',
        'two values': b'}}',
        'items of a list': b']\x8c\x01ae}s',
        'append to a dict': b'}Na',
        'add to a list': b'](N\x90',
        'key that is a list': b'}]Ns',
        'key that is a float': b'}G\x00\x00\x00\x00\x00\x00\x00\x00Ns',
        'key that is a large number': b'}J\x00\x00\x01\x00Ns',
        'name without line end': b'cabcdef',
        'name that is a number': b'K\x01K\x02\x93',
        'name of 300 characters': b'c' + b'a' * 300 + b'\nb\n',
        'name in Chinese': 'c中\nb\n'.encode(),
        'damaged text': b'\x8c\x02\xff\xfe',
        'lone surrogate': b'\x8c\x03\xed\xa0\x80',
        'call of a number': b'K\x01)R',
        'call without a tuple': b'ccollections\nOrderedDict\n]R',
        'new without a tuple': b'ccollections\nOrderedDict\n]\x81',
        'build of a list': b']}b',
        'build of a name': b'ccollections\nOrderedDict\n}b',
    }.items():
        yield f'operation {name}', (b'\x80\x06' if name == 'protocol 6' else HEAD) + code + b'.'
    yield 'only a header', HEAD
    yield 'one byte', b'\x80'
    yield 'empty', b''


def bombs() -> Iterator[File]:
    """Few bytes that ask for much memory or time."""
    yield 'memo bomb of 2 GB', b'\x80\x02Nr\xff\xff\xff\x07.'
    yield 'memo bomb of 64 GB', b'\x80\x02Nr\xff\xff\xff\xfe.'
    for name, code in {'text': b'\x8d', 'bytes': b'\x8e', 'bytearray': b'\x96', 'frame': b'\x95'}.items():
        for power in (33, 62):
            yield f'{name} of 2^{power} bytes', HEAD + code + struct.pack('<Q', 1 << power) + b'abc.'
        yield f'{name} of 10 GB in a file', HEAD + code + struct.pack('<Q', 10 * 10**9) + b'a' * 1000 + b'.'
    yield 'text of 2^64-1 bytes', HEAD + b'\x8d' + b'\xff' * 8 + b'.'
    yield 'number of 255 bytes', HEAD + b'\x8a\xff' + b'\x7f' * 255 + b'.'
    yield '3 million marks', HEAD + b'(' * 3_000_000
    yield '3 million tuples', HEAD + b')' * 3_000_000
    yield 'a million nested lists', HEAD + b']' * 1_000_000 + b'a' * 999_999 + b'.'
    yield '90,000 nested lists', HEAD + b']' * 90_000 + b'a' * 89_999 + b'.'
    yield '90,000 nested tuples', HEAD + b')' + b'\x85' * 90_000 + b'.'
    nested: object = []
    for _ in range(60):
        nested = [nested, nested]
    yield 'doubling lists as options', root(network_with({'z_dim': nested}))
    laughs: tuple = ()
    for _ in range(60):
        laughs = (laughs, laughs)
    yield 'doubling tuples as options', root(network_with({'z_dim': laughs}))
    yield 'doubling tuples as a size', root(network_with(w_avg=tensor(storage(), size=laughs)))
    yield 'doubling tuples as a size number', root(network_with(w_avg=tensor(storage(), size=(laughs, 2))))
    yield 'doubling tuples as a key', HEAD + b')\x94' + b'h\x00h\x00\x86\x94h\x01h\x01\x86\x94' * 2 + b'}h\x04Ns.'
    part: object = described(state_of())
    for _ in range(40):
        part = described(state_of(_modules={'a': part, 'b': part}))
    yield 'doubling layers', root(part)
    deep: object = described(state_of())
    for _ in range(100):
        deep = described(state_of(_modules={'a': deep}))
    yield 'layers 100 deep', root(deep)
    inside: list = []
    inside.append(inside)
    yield 'a list that holds itself', root(network_with({'z_dim': inside}))
    table: dict = {}
    table['a'] = table
    yield 'options that hold themselves', root(network_with({'mapping_kwargs': table}))
    yield 'a layer that holds itself', _self_containing()
    yield (
        'a tensor repeated 10^9 times',
        root(network_with(w_avg=tensor(storage(), size=(1000, 1000, 1000), stride=(0, 0, 0)))),
    )
    shared = tensor(storage(65536, bytes(4 * 65536)), size=(256, 256), stride=(256, 1))
    yield '3,000 views of one tensor', root(network_with(**{f'a{index}': shared for index in range(3000)}))
    one = dump(storage(), 3)[2:-1] + b'0'  # without its header and end, taken off the stack again
    yield '20,000 tensors', b'\x80\x03' + one * 20_000 + b'N.'
    yield '20,000 colliding keys', dump({(index << 61) - 1 & (1 << 120) - 1: None for index in range(20_000)})
    yield 'a flood of text', HEAD + b']' + (b'\x8d' + struct.pack('<Q', 4096) + b'a' * 4096 + b'0') * 5000 + b'.'
    many = b''.join(b'\x8c\x80' + b'%064d' % index + b'a' * 64 + b'N' for index in range(130_000))
    yield 'a dictionary of 130,000 texts', HEAD + b'}(' + many + b'u.'
    encoded = b'c_codecs\nencode\n' + b'X' + struct.pack('<I', 1 << 20) + b'a' * (1 << 20) + b'\x8c\x06latin1\x86'
    again = b'\x94' + b'0h\x00R0c_codecs\nencode\nh\x00' * 10_000
    yield 'the same text respelled 10,000 times', HEAD + encoded + again + b'R.'
    data = dump(storage(), 3)
    for _ in range(30):
        data = dump(Call(LOAD_FROM_BYTES, data), 3)
    yield 'tensor data 30 deep', root(network_with(w_avg=tensor(Call(LOAD_FROM_BYTES, data))))


def _self_containing() -> bytes:
    modules: dict = {}
    network = described(state_of(_modules=modules))
    modules['a'] = network
    return dump({'modules': modules, 'G_ema': network})  # the table first, so that it is there to be filled later


def tensors() -> Iterator[File]:
    """Tensors and arrays whose description does not fit their data."""
    for name, value in {
        'beyond its data': tensor(storage(), size=(5,), stride=(1,)),
        'offset beyond its data': tensor(storage(), offset=1),
        'stride beyond its data': tensor(storage(), stride=(3, 1)),
        'negative offset': tensor(storage(), offset=-1),
        'negative stride': tensor(storage(), stride=(-2, 1)),
        'negative size': tensor(storage(), size=(-2, 2)),
        'overflowing size': tensor(storage(), size=(1 << 62, 4)),
        'overflowing stride': tensor(storage(), stride=(1 << 62, 1)),
        'overflowing empty size': tensor(storage(), size=(0, (1 << 31) - 1, (1 << 31) - 1), stride=(0, 0, 0)),
        'size of floats': tensor(storage(), size=(2.0, 2)),
        'size of flags': tensor(storage(), size=(True, True)),
        'size without stride': tensor(storage(), stride=(1,)),
        '70 dimensions': tensor(storage(), size=(1,) * 70, stride=(1,) * 70),
        'hooks': Call(REBUILD_TENSOR, storage(), 0, (2, 2), (2, 1), False, {'a': 1}),
        'too few arguments': Call(REBUILD_TENSOR, storage()),
        'a storage that is a number': tensor(7),
        'a count too large': tensor(storage(1 << 40, bytes(16))),
        'a count of 2^62': tensor(storage(1 << 62, bytes(16))),
        'a negative count': tensor(storage(-1, bytes(16))),
        'a count that is stored otherwise': tensor(storage(4, bytes(16), stored_count=5)),
        'a byte too many': tensor(storage(4, bytes(17))),
        'an unknown storage': tensor(storage(4, bytes(16), name='QInt8Storage')),
        'a complex storage': tensor(storage(4, bytes(32), name='ComplexFloatStorage')),
        'a hidden call': tensor(storage(4, bytes(16), name='hub')),
        'empty tensor data': tensor(Call(LOAD_FROM_BYTES, b'')),
        'tensor data cut short': tensor(Call(LOAD_FROM_BYTES, legacy_bytes('FloatStorage', 4, bytes(16))[:100])),
        'tensor data that is text': tensor(Call(LOAD_FROM_BYTES, b'hello')),
        'tensor data of zeros': tensor(Call(LOAD_FROM_BYTES, bytes(300))),
        'tensor data in a TAR': tensor(Call(LOAD_FROM_BYTES, _tar())),
        'a list as a tensor': [1.0],
        'a text as a tensor': 'weights',
        'a long text as a tensor': 'w' * 10_000,
    }.items():
        yield f'tensor with {name}', root(network_with(w_avg=value))
    for name, value in {
        'objects': Call(DTYPE, 'O8', False, True),
        'records': Call(DTYPE, 'V8', False, True),
        'texts': Call(DTYPE, 'U8', False, True),
        'a type that is a list': Call(DTYPE, [('a', 'f8')], False, True),
        'big-endian numbers': Call(DTYPE, 'f8', False, True, state=(3, '>', None, None, None, -1, -1, 0)),
        'fields': Call(DTYPE, 'f8', False, True, state=(3, '<', None, ('a',), {'a': 1}, -1, -1, 0)),
        'a memory map': Call(RECONSTRUCT, Global('numpy', 'memmap'), (0,), b'b'),
        'no state': Call(RECONSTRUCT, NDARRAY, (0,), b'b'),
        'too little data': _array((4,), b'1234'),
        'a size of 2^62': _array((1 << 62,), b'1234'),
        'a negative size': _array((-1,), bytes(8)),
        'too many numbers': _array((100_000,), bytes(800_000)),
        'a scalar too short': Call(SCALAR, Call(DTYPE, 'f8', False, True), b'1234'),
        'a scalar of text': Call(SCALAR, Call(DTYPE, 'f8', False, True), 'text'),
    }.items():
        yield f'array with {name}', root(network_with({'z_dim': value}))


def _array(shape: tuple[int, ...], data: bytes) -> Call:
    return Call(RECONSTRUCT, NDARRAY, (0,), b'b', state=(1, shape, Call(DTYPE, 'f8', False, True), False, data))


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        archive.addfile(tarfile.TarInfo('storages'))
    return buffer.getvalue()


def structures() -> Iterator[File]:
    """Pickles of the right kind whose parts are in the wrong places."""
    for name, value in {'list': [], 'number': 7, 'nothing': None, 'text': 'hello', 'tuple': (1, 2, 3)}.items():
        yield f'root that is a {name}', dump(value)
    yield 'no networks', dump({'training_set_kwargs': {}})
    yield 'only G', dump({'G': tiny()})
    yield 'G_ema that is a number', dump({'G_ema': 7, 'G': tiny()})
    yield 'G_ema that is a tensor', root(tensor(storage()))
    yield 'no tensors', root(described(state_of()))
    yield 'version 7', root(described(state_of(), version=7))
    yield 'version 0', root(described(state_of(), version=0))
    yield 'version that is text', root(described(state_of(), version='6'))
    yield 'another persistent type', root(described(state_of(), type='function'))
    yield 'class name that is a list', root(described(state_of(), class_name=[]))
    yield 'program text that is a number', root(described(state_of(), module_src=7))
    yield 'state that is a list', root(described([]))  # type: ignore[arg-type]
    yield 'description missing', root(Call(PERSISTENT, {}))
    yield 'two descriptions', root(Call(PERSISTENT, {}, {}))
    for name in ('_parameters', '_buffers', '_modules'):
        yield f'{name} that is a list', root(described(state_of(**{name: []})))
        yield f'{name} with a number', root(described(state_of(**{name: {'a': 7}})))
        yield f'{name} with a dotted name', root(described(state_of(**{name: {'a.b': tensor(storage())}})))
        yield f'{name} with a name that is a number', root(described(state_of(**{name: {1: tensor(storage())}})))
        yield (
            f'{name} with a name of 1,000 letters',
            root(described(state_of(**{name: {'a' * 1000: None, 'b' * 200: 1}}))),
        )
    twice = {'a': tensor(storage())}
    yield 'a parameter that is a buffer too', root(described(state_of(_parameters=twice, _buffers=twice)))
    yield 'a layer of an unknown class', root(described(state_of(_modules={'a': Call(Global('timm.models', 'ViT'))})))
    yield 'a network of an unknown class', root(Call(Global('timm.models', 'ViT')))
    yield 'an unknown global', b'\x80\x04cfoo\nbar\n.'
    yield 'a TensorFlow snapshot', dump(tuple(Call(Global('dnnlib.tflib.network', 'Network')) for _ in range(3)))
    yield 'a ProGAN snapshot', dump(tuple(Call(Global('tfutil', 'Network')) for _ in range(3)))


def options() -> Iterator[File]:
    """Honest tensors with options out of bounds, or that do not fit them."""
    for name, value in {
        'img_resolution': 65536,
        'channel_base': 10**12,
        'channel_max': 1 << 70,
        'z_dim': -1,
        'c_dim': 10**9,
        'w_dim': 0,
        'img_channels': 1000,
        'num_layers': 10**6,
        'num_critical': 64,
        'first_cutoff': 1e300,
        'first_stopband': 0.0,
        'last_stopband_rel': float('nan'),
        'margin_size': -5,
        'conv_kernel': 1000,
        'filter_size': 10**4,
        'lrelu_upsampling': 10**6,
        'use_radial_filters': 7,
        'conv_clamp': float('inf'),
        'magnitude_ema_beta': 'a lot',
        'mapping_kwargs': [1, 2],
        'rung': 'os.system',
        'img_resolution ': 16,
        'class_name': 'os.system',
        'unknown_option': 1,
        '': 1,
    }.items():
        yield f'option {name} = {value}', genuine_options(**{name: value})
    yield 'option z_dim = True', genuine_options(z_dim=True)
    yield 'option z_dim = text', genuine_options(z_dim='16')
    yield 'option mapping num_layers = 10^6', genuine_options(mapping_kwargs={'num_layers': 10**6})
    yield 'option mapping z_dim', genuine_options(mapping_kwargs={'z_dim': 4})
    yield 'option that is a network', genuine_options(z_dim=tiny())
    yield 'option that is a tensor', genuine_options(z_dim=torch.zeros(3))
    yield 'other resolution', genuine_options(img_resolution=32)
    yield 'other z_dim', genuine_options(z_dim=7)
    yield 'far larger network', genuine_options(channel_base=1 << 20, channel_max=16384, z_dim=16384, w_dim=16384)
    yield (
        'absurdly long filters',
        genuine_options(num_layers=2, filter_size=64, lrelu_upsampling=16, img_resolution=4096),
    )
    yield 'a size that is no power of two', genuine_options(img_resolution=24)
    yield 'no options', snapshot_bytes({'G_ema': _forgetful()}, options={'G_ema': {}})


def _forgetful() -> torch.nn.Module:
    """A network whose attributes do not repeat its options."""
    network = tiny()
    for name in ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels'):
        delattr(network, name)
    return network


def damage() -> Iterator[File]:
    """An honest snapshot, damaged, and files of other kinds."""
    honest = genuine()
    for permille in (1, 5, 20, 100, 250, 500, 750, 900, 999):
        yield f'cut at {permille} permille', honest[: len(honest) * permille // 1000]
    yield 'last byte missing', honest[:-1]
    yield 'a byte behind the end', honest + b'\x00'
    yield 'a second pickle behind the end', honest + honest
    yield 'first byte missing', honest[1:]
    yield 'line ends changed', honest.replace(b'\n', b'\r\n')
    yield 'saved as text', honest.decode('latin1').encode('utf-8')
    yield 'saved as text with replacements', honest.decode('utf-8', 'replace').encode('utf-8')
    yield 'upside down', honest[::-1]
    yield 'web page', b'<!DOCTYPE html><html><head><title>404</title></head></html>'
    yield 'web page after blanks', b'\n\n  <html><body>Not found</body></html>'
    yield 'LFS pointer', b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'
    yield 'gzip', b'\x1f\x8b\x08\x00' + bytes(100)
    yield 'PNG', b'\x89PNG\r\n\x1a\n' + bytes(100)
    yield 'JPEG', b'\xff\xd8\xff\xe0' + bytes(100)
    yield 'WebP', b'RIFF\x00\x00\x00\x00WEBPVP8 '
    yield 'video', b'\x00\x00\x00\x18ftypmp42' + bytes(100)
    yield 'ZIP', b'PK\x03\x04' + bytes(100)
    yield 'torch archive', _torch_zip(b'\x80\x02}.')
    yield 'JSON', b'{"version": 1, "panels": []}'
    yield 'text', b'To whom it may concern:\n'
    yield 'UTF-16 text', 'hello'.encode('utf-16')
    yield 'zeros', bytes(1000)
    yield 'noise', bytes((index * 7919 + 13) % 256 for index in range(1000))
    yield 'a bare state dict', legacy_bytes('FloatStorage', 4, bytes(16))


def harmless() -> Iterator[File]:
    """Files whose hostile part is mere data here: they may be read."""
    yield 'evil program text', genuine(module_src='import os\nos.system("false")\n')
    yield (
        'evil class name for the data set',
        genuine(extra={'training_set_kwargs': {'class_name': 'os.system', 'command': 'false'}}),
    )
    yield 'extra entries', genuine(extra={'progress': 7, 'notes': ['a', 2.5, None, True]})
    honest = bytearray(genuine())
    weight = tiny().get_parameter('synthesis.input.weight').detach().numpy().tobytes()
    honest[honest.index(weight) + 1] ^= 0x10
    yield 'one bit flipped', bytes(honest)


GROUPS = {
    'operations': operations,
    'bombs': bombs,
    'tensors': tensors,
    'structures': structures,
    'options': options,
    'damage': damage,
    'harmless': harmless,
}

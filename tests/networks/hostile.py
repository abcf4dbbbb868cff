"""Hostile and malformed snapshots, made in code: each is a name and the bytes of a file.

`attacks(canary)` holds those whose whole point is to run something: under Python's own `pickle.load` many of them
create the file `canary`, which a control test proves. Nothing here is ever loaded in the test process itself.
"""

import io
import pickletools
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from networks.stylegan3 import Generator
from tests.networks.pickle_writer import (
    LOAD_FROM_BYTES,
    PERSISTENT,
    REBUILD_TENSOR,
    Call,
    Global,
    SnapshotPickler,
    legacy_bytes,
    options_of,
    snapshot_bytes,
)

File = tuple[str, bytes]

STATE_TABLES = ('_parameters', '_buffers', '_modules')


def tiny() -> Generator:
    """A small generator whose snapshot the attacks are planted in; always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Generator(4, 0, 4, 16, 3, channel_base=32, channel_max=4, num_layers=3, num_critical=1)
    return network


def dump(value: object, protocol: int = 4) -> bytes:
    """`value` as a pickle; `Global` and `Call` are spelled as names and calls."""
    buffer = io.BytesIO()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # some of them nest deeper than the standard pickler likes
    try:
        SnapshotPickler(buffer, protocol).dump(value)
    finally:
        sys.setrecursionlimit(limit)
    return buffer.getvalue()


def described(state: dict, **meta: object) -> Call:
    """A persistent object with `state`; `meta` replaces parts of its description."""
    full = {'type': 'class', 'version': 6, 'module_src': '', 'class_name': 'Generator', 'state': state} | meta
    return Call(PERSISTENT, full)


def state_of(**entries: object) -> dict[str, object]:
    """An instance dict with empty tables, and `entries`."""
    return {name: {} for name in STATE_TABLES} | entries


def tensor(storage: object, offset: object = 0, size: object = (2, 2), stride: object = (2, 1)) -> Call:
    """A tensor over `storage`, its numbers unchecked."""
    return Call(REBUILD_TENSOR, storage, offset, size, stride, False, {})


def storage(count: int = 4, raw: bytes | None = None, name: str = 'FloatStorage', **how: Any) -> Call:
    """A storage of `count` elements."""
    raw = struct.pack(f'<{count}f', *range(count)) if raw is None else raw
    return Call(LOAD_FROM_BYTES, legacy_bytes(name, count, raw, **how))


def network_with(options: dict[str, object] | None = None, **tensors: object) -> Call:
    """A generator by its tensor names (family StyleGAN3), with more `tensors` and with `options` changed."""
    deeper = state_of(_buffers={'freqs': tensor(storage())})
    synthesis = state_of(_modules={'input': described(deeper)})
    state = state_of(_modules={'synthesis': described(synthesis)}, _buffers=tensors)
    return described(state | {'_init_args': (), '_init_kwargs': options_of(tiny()) | (options or {})})


def root(network: object, **extra: object) -> bytes:
    """A snapshot file with `network` as its G_ema."""
    return dump({'G_ema': network} | extra)


# Attacks: files that make a naive reader run something


def _commands(canary: str) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """(module, name, arguments) of calls that run something."""
    shell, code = f'touch {canary}', f'open({canary!r}, "w")'
    yield from ((module, 'system', (shell,)) for module in ('os', 'posix', 'nt'))
    yield from ((module, 'popen', (shell,)) for module in ('os', 'commands', 'platform'))
    yield from ((module, name, (code,)) for module in ('builtins', '__builtin__') for name in ('exec', 'eval'))
    for name in ('Popen', 'call', 'check_call', 'check_output', 'run'):
        yield 'subprocess', name, (['touch', canary],)
    yield from (('subprocess', name, (shell,)) for name in ('getoutput', 'getstatusoutput'))
    yield from ((module, 'open', (canary, 'w')) for module in ('builtins', 'io', '_io', 'codecs', '__builtin__'))
    yield from (('os', name, ('/bin/touch', ['touch', canary])) for name in ('execv', 'posix_spawn', 'spawnv'))
    yield from (('os', name, (canary,)) for name in ('mkdir', 'remove', 'mkfifo', 'mknod'))
    yield from (('timeit', name, (code,)) for name in ('timeit', 'repeat'))
    yield from ((module, 'run', (code,)) for module in ('cProfile', 'profile', 'pdb', 'trace'))
    yield 'runpy', '_run_code', (compile_text(code), {})
    yield 'runpy', 'run_path', (canary,)
    yield 'pydoc', 'pipepager', ('', shell)
    yield 'bdb', 'Bdb.run', (Call(Global('bdb', 'Bdb')), code)
    yield 'pathlib', 'Path.touch', (Call(Global('pathlib', 'PosixPath'), canary),)
    yield 'shutil', 'copyfile', ('/dev/null', canary)
    yield 'shutil', 'rmtree', (canary,)
    yield 'ctypes', 'CDLL', (canary,)
    yield 'pip', 'main', (['download', canary],)
    yield 'pip._internal', 'main', (['--log', canary],)
    yield 'socket', 'create_connection', (('127.0.0.1', 9),)
    yield 'urllib.request', 'urlopen', ('http://127.0.0.1:9/',)
    yield 'webbrowser', 'open', ('http://127.0.0.1:9/',)
    yield 'importlib', 'import_module', ('antigravity',)
    yield 'builtins', '__import__', ('antigravity',)
    yield 'builtins', 'getattr', (Global('os', 'system'), '__call__')
    yield 'builtins', 'compile', (code, 'x', 'exec')
    yield 'pkgutil', 'resolve_name', ('os:system',)
    yield 'operator', 'methodcaller', ('system', shell)
    yield 'operator', 'attrgetter', ('system',)
    yield 'functools', 'partial', (Global('os', 'system'), shell)
    yield 'functools', 'reduce', (Global('builtins', 'map'), [Global('os', 'system'), [shell]])
    yield 'types', 'FunctionType', (code, {})
    yield 'code', 'InteractiveInterpreter', ()
    yield 'asyncio', 'create_subprocess_shell', (shell,)
    yield 'multiprocessing', 'Process', ()
    yield 'logging', 'FileHandler', (canary,)
    yield 'sqlite3', 'connect', (canary,)
    yield 'tempfile', 'mktemp', ()
    yield 'zipimport', 'zipimporter', (canary,)
    yield 'distutils.spawn', 'spawn', (['touch', canary],)
    yield 'marshal', 'loads', (b'\xe3',)
    yield 'pickle', 'loads', (dump(Call(Global('os', 'system'), shell)),)
    yield '_pickle', 'loads', (dump(Call(Global('os', 'system'), shell)),)
    yield 'torch', 'load', (canary,)
    yield 'torch.serialization', 'load', (canary,)
    yield 'torch.hub', 'load', ('a/b', 'c')
    yield 'numpy', 'load', (canary,)
    yield 'numpy', 'memmap', (canary, 'u1', 'w+', 0, (1,))
    yield 'numpy.testing._private.utils', 'runstring', (code, {})
    yield 'dnnlib.util', 'call_func_by_name', ()
    yield 'dnnlib.util', 'construct_class_by_name', ()
    yield 'dnnlib.util', 'open_url', ('http://127.0.0.1:9/',)
    yield 'torch_utils.persistence', 'persistent_class', ()
    yield 'torch._utils', '_import_dotted_name', ('os.system',)
    yield 'torch.storage', '_load_from_bytes.__globals__', ()


def compile_text(code: str) -> str:
    """Program text as it stands in the file (a pickle cannot carry code objects)."""
    return code


def attacks(canary: str) -> Iterator[File]:
    """Files that run something under a naive reader."""
    system = Global('os', 'system')
    shell = f'touch {canary}'
    evil = Call(system, shell)
    for module, name, arguments in _commands(canary):
        yield f'call {module}.{name}', root(Call(Global(module, name), *arguments))
    for protocol in (2, 3, 5):
        yield f'call in protocol {protocol}', dump({'G_ema': evil}, protocol)
    yield 'call as the root', dump(evil)
    yield 'call in another network', root(tiny(), D=evil)
    yield 'call among options', root(network_with({'z_dim': evil}))
    yield 'call among buffers', root(network_with(w_avg=evil))
    yield 'call among attributes', root(described(state_of(hook=evil)))
    yield 'call in a hook table', root(described(state_of(_forward_hooks={1: evil})))
    yield 'call as a description', root(Call(PERSISTENT, evil))
    yield 'call as a dictionary key', root(network_with({'a': [evil]}))
    yield 'call as tensor size', root(network_with(w_avg=tensor(storage(), size=evil)))
    yield 'call as storage bytes', root(network_with(w_avg=tensor(Call(LOAD_FROM_BYTES, evil))))
    yield 'old names', b'cos\nsystem\n(S' + repr(shell).encode() + b'\ntR.'
    yield 'old names with protocol', b'\x80\x02cos\nsystem\n(U' + bytes([len(shell)]) + shell.encode() + b'tR.'
    yield 'instance operation', b'\x80\x02(X' + struct.pack('<I', len(shell)) + shell.encode() + b'ios\nsystem\n.'
    yield 'object operation', b'\x80\x02(cos\nsystem\nX' + struct.pack('<I', len(shell)) + shell.encode() + b'o.'
    new = b'\x80\x04cos\nsystem\nX' + struct.pack('<I', len(shell)) + shell.encode()
    yield 'new object', new + b'\x85\x81.'
    yield 'new object with keywords', new + b'\x85}\x92.'
    yield (
        'name through the memo',
        b'\x80\x04\x8c\x06system\x94\x8c\x02os\x94h\x01h\x00\x93\x8c' + _short(shell) + b'\x85R.',
    )
    yield (
        'name in an odd order',
        b'\x80\x04\x8c\x02osq\x07\x8c\x06systemq\x050' + b'h\x05\x93\x8c' + _short(shell) + b'\x85R.',
    )
    for stage in range(5):
        yield f'call in stage {stage} of a tensor', root(network_with(w_avg=tensor(_staged(stage, dump(evil, 2)))))
    yield 'ZIP as tensor data', root(network_with(w_avg=tensor(Call(LOAD_FROM_BYTES, _torch_zip(dump(evil, 2))))))
    yield 'program text in the file', root(described(state_of(), module_src=f'open({canary!r}, "w")\n'))


def _short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _staged(stage: int, program: bytes) -> Call:
    """Tensor data whose `stage`-th small pickle is `program`."""
    whole = legacy_bytes('FloatStorage', 4, bytes(16))
    pieces, file = [], io.BytesIO(whole)
    for _ in range(4):
        start = file.tell()
        _skip_pickle(file)
        pieces.append(whole[start : file.tell()])
    pieces += [whole[file.tell() : -24], whole[-24:]]
    pieces[stage] = program
    return Call(LOAD_FROM_BYTES, b''.join(pieces))


def _skip_pickle(file: io.BytesIO) -> None:
    for operation, _, _ in pickletools.genops(file):
        if operation.name == 'STOP':
            return


def _torch_zip(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('archive/data.pkl', program)
        archive.writestr('archive/version', '3')
    return buffer.getvalue()


def genuine(change: Callable[[nn.Module], object] | None = None, **how: Any) -> bytes:
    """An honest snapshot."""
    network = tiny()
    if change is not None:
        change(network)
    return snapshot_bytes({'G': network, 'D': None, 'G_ema': network}, **how)


def genuine_options(**changed: object) -> bytes:
    """An honest snapshot but for its options."""
    network = tiny()
    return snapshot_bytes({'G_ema': network}, options={'G_ema': options_of(network) | changed})

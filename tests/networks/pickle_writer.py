"""Writes official-format snapshot pickles from our own modules, for tests. They carry no program text of anyone's.

Built on the standard library's own pickler, so that memo, framing and the spellings of every protocol are real; only
the names are replaced. `pickle` is used in tests alone.
"""

import copyreg
import dataclasses
import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

OWN_COMMENT = '# written by a test; no program text\n'
CLASS_NAMES = {'FullyConnected': 'FullyConnectedLayer', 'Conv2d': 'Conv2dLayer', 'MinibatchStd': 'MinibatchStdLayer'}
STORAGE_NAMES = {
    torch.float32: 'FloatStorage',
    torch.float64: 'DoubleStorage',
    torch.float16: 'HalfStorage',
    torch.bfloat16: 'BFloat16Storage',
    torch.int64: 'LongStorage',
    torch.int32: 'IntStorage',
    torch.int16: 'ShortStorage',
    torch.int8: 'CharStorage',
    torch.uint8: 'ByteStorage',
    torch.bool: 'BoolStorage',
}
HOOK_TABLES = (
    '_backward_hooks',
    '_forward_hooks',
    '_forward_pre_hooks',
    '_state_dict_hooks',
    '_load_state_dict_pre_hooks',
)


class Global:
    """A name in the file that no module here has."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *arguments: object) -> None:
        raise TypeError('only a name')


class Call:
    """`function(*arguments)` in the file, then its state if any."""

    def __init__(self, function: object, *arguments: object, state: object = None) -> None:
        self.function, self.arguments, self.state = function, arguments, state


class EasyDict(dict):
    """Stands for the dictionary class of the official options."""


PERSISTENT = Global('torch_utils.persistence', '_reconstruct_persistent_obj')
REBUILD_TENSOR = Global('torch._utils', '_rebuild_tensor_v2')
REBUILD_PARAMETER = Global('torch._utils', '_rebuild_parameter')
LOAD_FROM_BYTES = Global('torch.storage', '_load_from_bytes')
EASY_DICT = Global('dnnlib.util', 'EasyDict')


class SnapshotPickler(pickle._Pickler):
    """Pickles `Global`, `Call`, tensors and modules in the official form; everything else as Python does."""

    def __init__(
        self,
        file: io.BytesIO,
        protocol: int = 4,
        *,
        numpy2: bool = True,
        location: str = 'cpu',
        module_src: str = OWN_COMMENT,
        tables: type = dict,
    ) -> None:
        super().__init__(file, protocol)
        self.numpy2, self.location, self.module_src, self.tables = numpy2, location, module_src, tables
        self.names: dict[tuple[str, str], Global] = {}
        self.storages: dict[int, Call] = {}
        self.keep: list[object] = []

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """As the base class, with our spellings."""
        if obj is EasyDict:
            obj = EASY_DICT
        if isinstance(obj, BuiltinFunctionType | FunctionType | type) and (obj.__module__ or '').startswith('numpy'):
            module = obj.__module__ if self.numpy2 else obj.__module__.replace('numpy._core', 'numpy.core')
            obj = self.names.setdefault((module, obj.__qualname__), Global(module, obj.__qualname__))
        if isinstance(obj, Global):
            self.save_name(obj)
        else:
            super().save(obj, save_persistent_id)

    def save_name(self, name: Global) -> None:
        """A name, once; later uses refer to it."""
        known = self.memo.get(id(name))
        if known is not None:
            self.write(self.get(known[0]))
            return
        if self.proto >= 4:
            self.save(name.module)
            self.save(name.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f'{name.module}\n{name.name}\n'.encode())
        self.memoize(name)

    def reducer_override(self, obj: Any) -> Any:
        """How our objects are spelled."""
        if isinstance(obj, Call):
            return obj.function, obj.arguments, obj.state
        if isinstance(obj, EasyDict):
            return copyreg.__newobj__, (EasyDict,), None, None, iter(obj.items())
        if isinstance(obj, nn.Parameter):
            return REBUILD_PARAMETER, (self.kept(obj.detach()), False, OrderedDict())
        if isinstance(obj, Tensor):
            storage = self.storage(obj)
            return REBUILD_TENSOR, (
                storage,
                obj.storage_offset(),
                tuple(obj.shape),
                obj.stride(),
                False,
                OrderedDict(),
            )
        if isinstance(obj, nn.Module):
            return PERSISTENT, (self.kept(self.meta(obj, {})),)
        return NotImplemented

    def kept(self, value: Any) -> Any:
        """`value`, alive as long as the memo that knows it by its address."""
        self.keep.append(value)
        return value

    def storage(self, tensor: Tensor) -> Call:
        """The storage of `tensor`; the same object for tensors that share it."""
        base = tensor.untyped_storage()
        if base.data_ptr() not in self.storages or not base.nbytes():
            elements = torch.empty(0, dtype=tensor.dtype).set_(base)  # type: ignore[call-overload]
            self.keep.append(tensor)
            self.storages[base.data_ptr()] = Call(LOAD_FROM_BYTES, legacy_stream(elements, self.location))
        return self.storages[base.data_ptr()]

    def meta(self, module: nn.Module, options: Mapping[str, object]) -> dict[str, object]:
        """The description of a persistent object."""
        state: dict[str, object] = {'training': False}
        state['_parameters'] = self.tables(module._parameters)
        state['_buffers'] = self.tables(module._buffers)
        state['_non_persistent_buffers_set'] = set()
        for name in HOOK_TABLES:
            state[name] = OrderedDict()
        state['_is_full_backward_hook'] = None
        state['_modules'] = self.tables(module._modules)
        state |= attributes_of(module)
        state |= {'_init_args': (), '_init_kwargs': easy(options)}
        name = type(module).__name__
        return {
            'type': 'class',
            'version': 6,
            'module_src': self.module_src,
            'class_name': CLASS_NAMES.get(name, name),
            'state': state,
        }


def legacy_stream(elements: Tensor, location: str = 'cpu', *, key: str = '94512345678901') -> bytes:
    """The legacy torch.save stream of one storage with `elements` [count]."""
    raw = elements.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if elements.numel() else b''
    return legacy_bytes(STORAGE_NAMES[elements.dtype], elements.numel(), raw, location=location, key=key)


def legacy_bytes(
    storage: str, count: int, raw: bytes, *, location: str = 'cpu', key: str = '1', stored_count: int | None = None
) -> bytes:
    """Five small pickles, the count once more, and the elements."""
    buffer = io.BytesIO()
    pickler = _StorageReference(buffer, 2)
    pickler.dump(('storage', Global('torch', storage), key, location, count, None))
    sizes = {'short': 2, 'int': 4, 'long': 4}
    system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': sizes}
    head = b''.join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, system))
    stored = count if stored_count is None else stored_count
    return head + buffer.getvalue() + pickle.dumps([key], 2) + struct.pack('<q', stored) + raw


class _StorageReference(SnapshotPickler):
    def persistent_id(self, obj: Any) -> Any:
        """Tuples that start with 'storage' are references."""
        return obj if isinstance(obj, tuple) and obj[0] == 'storage' else None

    def save_pers(self, pid: Any) -> None:
        """The reference itself is an ordinary tuple."""
        self.save(pid, save_persistent_id=False)
        self.write(pickle.BINPERSID)


def easy(options: Mapping[str, object]) -> EasyDict:
    """`options`, and the tables inside them, as the official dictionary class."""
    return EasyDict({name: easy(value) if isinstance(value, Mapping) else value for name, value in options.items()})


def attributes_of(module: nn.Module) -> dict[str, object]:
    """Ordinary attributes in the types that official modules have: NumPy scalars and small arrays among them."""
    found: dict[str, object] = {}
    for name, value in vars(module).items():
        if name.startswith('_') or name == 'training':
            continue
        if name == 'clamp':
            found['conv_clamp'] = value
        elif name == 'half_precision':
            found['use_fp16'] = np.bool_(value)
        elif name.endswith('_gain'):
            found[name] = np.float64(value)
        elif value is None or type(value) in (bool, int, float, str):
            found[name] = value
        elif isinstance(value, tuple) and all(type(item) in (int, str) for item in value):
            found[name] = list(value)
        elif name == 'record':
            found['size'] = np.array([value.size, value.size], dtype=np.int64)
            found['bandwidth'] = np.float64(value.rate)
    return found


def options_of(module: nn.Module) -> dict[str, object]:
    """Official constructor options of one of our generators or discriminators, as far as it remembers them."""
    top = ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels')
    options: dict[str, object] = {name: getattr(module, name) for name in top if hasattr(module, name)}
    config = module.synthesis.config if hasattr(module, 'synthesis') else module.config
    block = ('resample_filter', 'freeze_layers', 'fp16_channels_last')
    for name, value in dataclasses.asdict(config).items():  # type: ignore[call-overload]
        value = list(value) if isinstance(value, tuple) else value
        if name == 'rung' and value is None:
            continue
        if not hasattr(module, 'synthesis') and name in (*block, 'mbstd_group_size', 'mbstd_num_channels'):
            table = options.setdefault('block_kwargs' if name in block else 'epilogue_kwargs', {})
            assert isinstance(table, dict)
            table[name] = value
        else:
            options[name] = value
    if hasattr(module, 'mapping'):
        options['mapping_kwargs'] = dataclasses.asdict(module.mapping.config)
    return options


def snapshot_bytes(
    networks: Mapping[str, nn.Module | object],
    *,
    options: Mapping[str, Mapping[str, object]] | None = None,
    protocol: int = 4,
    numpy2: bool = True,
    location: str = 'cpu',
    module_src: str = OWN_COMMENT,
    tables: type = dict,
    extra: Mapping[str, object] | None = None,
) -> bytes:
    """An official-format snapshot. `networks`: 'G', 'D', 'G_ema' -> one of our modules (or any picklable value).

    `options`: constructor options by network, else `options_of`. `numpy2`: spell NumPy's names as version 2 does.
    `location`: where the writer's tensors lived. `tables`: dict, or OrderedDict as older torch had. `extra`: more
    entries of the root.
    """
    buffer = io.BytesIO()
    pickler = SnapshotPickler(buffer, protocol, numpy2=numpy2, location=location, module_src=module_src, tables=tables)
    root: dict[str, object] = {}
    for name, network in networks.items():
        if isinstance(network, nn.Module):
            given = (options or {}).get(name)
            network = Call(PERSISTENT, pickler.meta(network, options_of(network) if given is None else given))
        root[name] = network
    root |= {'augment_pipe': None, 'training_set_kwargs': {'class_name': 'none', 'path': 'none', 'xflip': False}}
    pickler.dump(root | dict(extra or {}))
    return buffer.getvalue()


def write_snapshot(path: Path, networks: Mapping[str, nn.Module | object], **how: Any) -> Path:
    """Writes `snapshot_bytes(networks, **how)` to `path`, which comes back."""
    path.write_bytes(snapshot_bytes(networks, **how))
    return path

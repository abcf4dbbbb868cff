"""The closed list of names that a snapshot may use, and what each stands for."""

from types import MappingProxyType

from networks.files.pickle_values import Kind

STORAGE_DTYPES = MappingProxyType(
    {
        'FloatStorage': 'f4',
        'DoubleStorage': 'f8',
        'HalfStorage': 'f2',
        'BFloat16Storage': 'bf16',
        'LongStorage': 'i8',
        'IntStorage': 'i4',
        'ShortStorage': 'i2',
        'CharStorage': 'i1',
        'ByteStorage': 'u1',
        'BoolStorage': 'b1',
    }
)
"""Storage class of torch -> element type."""

ITEM_BYTES = MappingProxyType(
    {'f2': 2, 'bf16': 2, 'f4': 4, 'f8': 8, 'i1': 1, 'i2': 2, 'i4': 4, 'i8': 8}
    | {'u1': 1, 'u2': 2, 'u4': 4, 'u8': 8, 'b1': 1}
)
ARRAY_CODES = frozenset(ITEM_BYTES) - {'bf16'}

_TORCH_DTYPES = frozenset(
    [
        'float16',
        'float32',
        'float64',
        'bfloat16',
        'int8',
        'int16',
        'int32',
        'int64',
        'uint8',
        'bool',
        'half',
        'float',
        'double',
        'long',
        'int',
        'short',
    ]
)

_EXACT = MappingProxyType(
    {
        ('torch._utils', '_rebuild_tensor_v2'): Kind.TENSOR,
        ('torch._utils', '_rebuild_tensor'): Kind.OLD_TENSOR,
        ('torch._utils', '_rebuild_parameter'): Kind.PARAMETER,
        ('torch.storage', '_load_from_bytes'): Kind.STORAGE_BYTES,
        ('torch', 'Size'): Kind.SIZE,
        ('torch', 'device'): Kind.DEVICE,
        ('collections', 'OrderedDict'): Kind.ORDERED_DICT,
        ('builtins', 'set'): Kind.SET,
        ('__builtin__', 'set'): Kind.SET,
        ('_codecs', 'encode'): Kind.ENCODE,
        ('numpy', 'dtype'): Kind.DTYPE,
        ('numpy', 'ndarray'): Kind.ARRAY_TYPE,
        ('dnnlib', 'EasyDict'): Kind.EASY_DICT,
    }
    # NumPy 2 moved these modules; both spellings mean the same.
    | {(f'numpy.{core}.multiarray', '_reconstruct'): Kind.ARRAY for core in ('core', '_core')}
    | {(f'numpy.{core}.multiarray', 'scalar'): Kind.SCALAR for core in ('core', '_core')}
    | {(f'numpy.{core}.numeric', '_frombuffer'): Kind.FROM_BUFFER for core in ('core', '_core')}
)

# Forks move these packages below their own, so only the end of the module path is fixed.
_BY_ENDING = MappingProxyType(
    {
        ('torch_utils.persistence', '_reconstruct_persistent_obj'): Kind.PERSISTENT,
        ('dnnlib.util', 'EasyDict'): Kind.EASY_DICT,
    }
)

_DANGEROUS_MODULES = frozenset(
    [
        'os',
        'posix',
        'nt',
        'subprocess',
        'sys',
        'importlib',
        'runpy',
        'pty',
        'ctypes',
        'shutil',
        'socket',
        'code',
        'codeop',
        'pdb',
        'bdb',
        'profile',
        'cProfile',
        'timeit',
        'pip',
        'webbrowser',
        'io',
        'pathlib',
        'operator',
        'functools',
        'types',
        'inspect',
        'marshal',
        'pickle',
        '_pickle',
        'copyreg',
        'pydoc',
        'doctest',
        'commands',
        'popen2',
        'asyncio',
        'multiprocessing',
        'threading',
        'signal',
        'http',
        'urllib',
        'ftplib',
        'smtplib',
        'tempfile',
        'zipimport',
        'pkgutil',
        '_io',
        '_osx_support',
        'distutils',
        'setuptools',
        'platform',
        'trace',
        'pstats',
        'sqlite3',
        'ssl',
        'venv',
        'ensurepip',
        'idlelib',
    ]
)


def classify(module: str, name: str) -> Kind:
    """What `module`.`name` stands for; Kind.UNKNOWN when it is on no list."""
    kind = _EXACT.get((module, name))
    if kind is not None:
        return kind
    if module == 'torch' and name in _TORCH_DTYPES:
        return Kind.TORCH_DTYPE
    for (ending, known), kind in _BY_ENDING.items():
        if name == known and (module == ending or module.endswith('.' + ending)):
            return kind
    return Kind.UNKNOWN


def storage_dtype(module: str, name: str) -> str | None:
    """Element type of a torch storage class, or None when the name is not one."""
    return STORAGE_DTYPES.get(name) if module in ('torch', 'torch.cuda') else None


def is_dangerous(module: str, name: str) -> bool:
    """Whether the name is one that attacks use. Only the sentence depends on it: unknown names never do anything."""
    if module in ('builtins', '__builtin__'):
        return name != 'set'
    return module.split('.')[0] in _DANGEROUS_MODULES


def is_tensorflow(module: str, name: str) -> bool:
    """Whether this is the network class of the TensorFlow-era snapshots (StyleGAN 1 and 2, ProGAN)."""
    return name == 'Network' and (module == 'tfutil' or module.endswith('tflib.network'))

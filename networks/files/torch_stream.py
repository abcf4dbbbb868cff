"""One tensor's storage as a legacy torch stream: five small pickles, then the raw elements."""

from networks.bad_file import BadFile, shown
from networks.files.limits import Budget, malformed, truncated
from networks.files.pickle_machine import PickleMachine
from networks.files.pickle_names import ITEM_BYTES, storage_dtype
from networks.files.pickle_values import Kind, Name, Span, Storage

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_COUNT_BYTES = 8
_LARGEST_COUNT = 1 << 48


class _StorageActions:
    """Inside tensor data the only names are storage classes, and nothing can be called."""

    def __init__(self) -> None:
        self.storages: dict[str, tuple[str, int]] = {}
        """Key -> (element type, element count)."""

    def resolve(self, module: str, name: str) -> Name:
        """A storage class, or BadFile."""
        if storage_dtype(module, name) is None:
            full_name = shown(f'{module}.{name}', limit=64)
            if module == 'torch' and name.endswith('Storage'):
                raise BadFile('bad-type', f'The file has tensors of the unsupported type "{full_name}".')
            raise BadFile(
                'attack',
                f'The file hides the name "{full_name}" in its tensor data, where programs have no business. '
                'Nothing was run; get the model from its source.',
            )
        return Name(module, name, Kind.STORAGE_TYPE)

    def persistent(self, key: object) -> str:
        """Note the storage that a persistent id describes; its key comes back."""
        match key:
            case ('storage', Name() as kind, str(text), str(), int(count)):
                pass
            case ('storage', Name() as kind, str(text), str(), int(count), None):
                pass
            case _:
                raise malformed('a tensor reference of unknown form')
        dtype = storage_dtype(kind.module, kind.name)
        if dtype is None or type(count) is not int or not 0 <= count < _LARGEST_COUNT or self.storages:
            raise malformed('a tensor reference of unknown form')
        self.storages[text] = (dtype, count)
        return text

    def call(self, function: object, arguments: object) -> object:
        """Refused."""
        raise malformed('a call inside tensor data')

    def create(self, kind: object, arguments: object) -> object:
        """Refused."""
        raise malformed('an object inside tensor data')

    def build(self, target: object, state: object) -> None:
        """Refused."""
        raise malformed('object state inside tensor data')


def read_storage(data: memoryview, span: Span, budget: Budget) -> Storage:
    """The storage in `span` of `data`, its elements not yet read. Raises BadFile for anything else."""
    budget.spend_storage()
    source = data if span.owned is None else memoryview(span.owned)
    actions = _StorageActions()
    position = span.start
    values = []
    for _ in range(5):
        machine = PickleMachine(source, position, span.stop, budget=budget, actions=actions)
        values.append(machine.run())
        position = machine.position
    magic, version, system, root, keys = values
    if type(magic) is not int or magic != _MAGIC or type(version) is not int or version != _VERSION:
        raise malformed('tensor data that is not a torch stream of version 1001')
    if type(system) is not dict or system.get('little_endian') is not True:
        raise malformed('tensor data that is not little-endian')
    if type(root) is not str or type(keys) is not list or len(keys) != 1 or keys[0] != root:
        raise malformed('tensor data without its storage')
    if root not in actions.storages:
        raise malformed('tensor data without its storage')
    dtype, count = actions.storages[root]
    return Storage(dtype, count, _elements(source, position, span, count, ITEM_BYTES[dtype]))


def _elements(source: memoryview, position: int, span: Span, count: int, item_bytes: int) -> Span:
    """Where the elements lie: the count once more, then exactly that many."""
    if span.stop - position < _COUNT_BYTES:
        raise truncated(_COUNT_BYTES, span.stop - position)
    stored = int.from_bytes(source[position : position + _COUNT_BYTES], 'little')
    position += _COUNT_BYTES
    if stored != count or span.stop - position != count * item_bytes:
        raise malformed(f'a tensor of {count} elements with data for {(span.stop - position) // item_bytes}')
    return Span(position, span.stop, span.owned)

"""An official-format snapshot as tensors and options: parsing, choice of the network, copying out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from networks.bad_file import BadFile, shown
from networks.files.config_schema import check_config
from networks.files.families import Family, family_of, stated_options
from networks.files.limits import Budget, damaged
from networks.files.mapped import Progress
from networks.files.pickle_calls import SnapshotActions
from networks.files.pickle_extract import Extractor
from networks.files.pickle_machine import PickleMachine
from networks.files.pickle_names import ITEM_BYTES
from networks.files.pickle_values import Array, CodeText, LongText, Opaque, Persistent, Scalar, TensorView

NETWORK_NAMES = ('G_ema', 'G', 'D')
_OPEN = 'open an official snapshot.'
_KINDS: Mapping[type, str] = MappingProxyType(
    {
        dict: 'a dict', list: 'a list', tuple: 'a tuple', set: 'a set', str: 'text', LongText: 'text', bool: 'a truth value',
        int: 'a number', float: 'a number', Scalar: 'a number', TensorView: 'a tensor', Array: 'an array', type(None): 'nothing',
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SnapshotNetwork:
    """One network of a snapshot."""

    family: Family
    config: dict[str, object]
    """Checked constructor options under official names."""
    tensors: dict[str, Tensor]
    codes: tuple[CodeText, ...]
    """The program texts that the whole file carries."""
    left_out: tuple[str, ...]
    """Unknown names used by other parts of the file, which were not read."""


def read_snapshot(data: memoryview, network: str, on_progress: Progress) -> SnapshotNetwork:
    """The network called `network` ('G_ema', 'G' or 'D') of the snapshot pickle `data`. Raises BadFile.

    Progress runs from 0 to 1 over the tensors.
    """
    try:
        return _read(data, network, on_progress, salvage=False)
    except BadFile as error:
        if error.code != 'unknown-name':
            raise
        strict = error
    except (RecursionError, MemoryError):
        raise damaged('its parts are nested beyond any model') from None
    # Only a name is unknown. If it belongs to another network, this one can still be read, as inertly as before.
    try:
        return _read(data, network, on_progress, salvage=True)
    except BadFile as error:
        raise (error if error.code in ('attack', 'unknown-part', 'tensorflow', 'bad-config') else strict) from None
    except (RecursionError, MemoryError):
        raise strict from None


def _read(data: memoryview, network: str, on_progress: Progress, *, salvage: bool) -> SnapshotNetwork:
    budget = Budget()
    actions = SnapshotActions(data, budget, salvage=salvage)
    root = _parse(data, budget, actions)
    chosen = _choose(root, network)
    extractor = Extractor(data, budget)
    views = extractor.tensors(chosen)
    family = family_of(views)
    config = check_config(family, stated_options(chosen, family, extractor))
    tensors = _copied(views, extractor, on_progress)
    return SnapshotNetwork(family, config, tensors, actions.codes, tuple(sorted(actions.unknown)))


def _parse(data: memoryview, budget: Budget, actions: SnapshotActions) -> object:
    machine = PickleMachine(data, 0, len(data), budget=budget, actions=actions)
    root = machine.run()
    if machine.position != len(data):
        raise BadFile(
            'trailing',
            f'The file goes on after its end (bytes: {len(data) - machine.position}); '
            'it is no snapshot, or damaged: get it from its source.',
        )
    return root


def _choose(root: object, network: str) -> Persistent:
    """The wanted network of the parsed file `root`."""
    if type(root) is not dict:
        raise BadFile('not-a-snapshot', f'The file is a pickle of {_kind(root)}, no StyleGAN snapshot; {_OPEN}')
    present = [name for name in NETWORK_NAMES if isinstance(root.get(name), Persistent | Opaque)]
    chosen = root.get(network)
    if isinstance(chosen, Opaque):
        raise BadFile(
            'unknown-part',
            f'The file has a {shown(network)} of a kind this program does not know ({shown(chosen.what)}); '
            'open an official-format snapshot.',
        )
    if not (chosen is None or isinstance(chosen, Persistent)):
        raise BadFile(
            'not-a-snapshot', f'The file has {_kind(chosen)} as {shown(network)}, where a network belongs; {_OPEN}'
        )
    if not present:
        raise BadFile('not-a-snapshot', f'The file is a pickle without G_ema, G or D; {_OPEN}')
    if chosen is None:
        raise BadFile('no-network', f'The file has no network "{shown(network)}"; it has {", ".join(present)}.')
    return chosen


def _kind(value: object) -> str:
    """What a parsed value is, in two words."""
    return 'a network' if isinstance(value, Persistent) else _KINDS.get(type(value), 'something else')


def _copied(views: dict[str, TensorView], extractor: Extractor, on_progress: Progress) -> dict[str, Tensor]:
    sizes = {name: math.prod(view.size) * ITEM_BYTES[view.storage.dtype] for name, view in views.items()}
    total = sum(sizes.values()) or 1
    done = 0
    tensors = {}
    for name, view in views.items():
        on_progress(done / total, 'Reading the weights')
        tensors[name] = extractor.read(view)
        done += sizes[name]
    return tensors

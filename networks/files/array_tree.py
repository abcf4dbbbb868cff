"""Weights as nested dictionaries of NumPy arrays, as JAX programs pickle them: read as inertly as a snapshot."""

import math
from collections.abc import Iterator

from torch import Tensor

from networks.bad_file import shown
from networks.files.limits import Budget, damaged, malformed
from networks.files.pickle_calls import SnapshotActions
from networks.files.pickle_extract import Extractor
from networks.files.pickle_machine import PickleMachine
from networks.files.pickle_values import Array, Storage, TensorView


def read_arrays(data: memoryview) -> dict[str, Tensor]:
    """The arrays of the pickle `data` by their keys from the outside in: 'a/b/c' -> tensor. Raises BadFile.

    Nothing of the file is executed: what is no dictionary with short text keys and no array is refused.
    """
    budget = Budget()
    try:
        machine = PickleMachine(data, 0, len(data), budget=budget, actions=SnapshotActions(data, budget))
        root = machine.run()
        if machine.position != len(data):
            raise damaged(f'bytes after its end: {len(data) - machine.position}')
        extractor = Extractor(data, budget)
        return {name: extractor.read(_view(array)) for name, array in _walk(root, '', budget, 0)}
    except (RecursionError, MemoryError):
        raise damaged('its parts are nested beyond any model') from None


def _walk(value: object, prefix: str, budget: Budget, depth: int) -> Iterator[tuple[str, Array]]:
    budget.spend_node(depth)
    if type(value) is Array and value.shape is not None:
        yield prefix, value
        return
    if type(value) is not dict:
        raise malformed(f'weights "{shown(prefix)}" of type {type(value).__name__}')
    for key, inner in value.items():
        if type(key) is not str or not key or '/' in key or len(key) > budget.limits.name_characters:
            raise malformed(f'weights called "{shown(key)}"')
        yield from _walk(inner, f'{prefix}/{key}' if prefix else key, budget, depth + 1)


def _view(array: Array) -> TensorView:
    shape = array.shape or ()
    strides = [math.prod(shape[:axis]) if array.fortran else math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return TensorView(Storage(array.dtype.code, math.prod(shape), array.span), 0, shape, tuple(strides))

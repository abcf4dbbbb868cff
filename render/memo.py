"""The last few values of a computation, by what they were computed from."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MEMO_ENTRIES = 2
"""Of each stage: one for each side of a comparison."""
Key = TypeVar('Key', bound=Hashable)
Value = TypeVar('Value')


class Memo(Generic[Key, Value]):
    """The last few values of one stage, by what they were computed from."""

    def __init__(self, entries: int = MEMO_ENTRIES):
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._entries = entries
        self.misses = 0
        """How often something had to be computed."""

    def get(
        self, key: Key, compute: Callable[[], Value], *, is_good: Callable[[Value], bool] = lambda value: True
    ) -> Value:
        """The value for `key`, computed if none that `is_good` is at hand. Nothing is kept when `compute` raises."""
        if key not in self._values or not is_good(self._values[key]):
            self.misses += 1
            value = compute()
            self._values.pop(key, None)
            while len(self._values) >= self._entries:
                self._values.popitem(last=False)
            self._values[key] = value
        self._values.move_to_end(key)
        return self._values[key]

    def forget(self, key: Key) -> None:
        """Forget one value, if it is known."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Forget every value."""
        self._values.clear()

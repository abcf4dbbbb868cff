"""A closed machine for pickle programs: it makes inert values and can do nothing else.

Not a subclass of Python's unpickler. It imports nothing and calls nothing that a file names: a name becomes a
label, and what a program asks to be done with a label goes to `Actions`, a fixed table of our own constructors.
Operations outside the table below do not exist here. Every resource is bounded before it is spent.
"""

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from networks.files.limits import Budget, damaged, forbidden, too_big, truncated
from networks.files.pickle_values import LongText, Opaque, Span

_STOP = 0x2E
_LONGEST_NUMBER_BYTES = 16
_LARGEST_INTEGER_KEY = 1 << 16
_LONGEST_LINE = 256


class Actions(Protocol):
    """What names mean; the machine itself knows none."""

    def resolve(self, module: str, name: str) -> object:
        """The label for `module`.`name`."""
        ...

    def call(self, function: object, arguments: object) -> object:
        """The inert value that stands for `function(*arguments)`."""
        ...

    def create(self, kind: object, arguments: object) -> object:
        """The inert value that stands for an instance of `kind`, made without its constructor."""
        ...

    def build(self, target: object, state: object) -> None:
        """Give `target` its state."""
        ...

    def persistent(self, key: object) -> object:
        """The value that a persistent id stands for."""
        ...


def dictionary_key(value: object, data: memoryview) -> object:
    """`value` as a key: text, a small integer, a flag, None or short bytes.

    Text is hashed with a secret of the process; free integers or floats would let a file force collisions.
    """
    if value is None or type(value) in (str, bool):
        return value
    if type(value) is int and -_LARGEST_INTEGER_KEY < value < _LARGEST_INTEGER_KEY:
        return value
    if type(value) is Span and len(value) <= _LONGEST_LINE:
        return value.read(data)
    raise forbidden(f'uses a value of type {type(value).__name__} as a key')


class PickleMachine:
    """Runs one pickle program in `data[start:stop]`; `position` is where it ended."""

    def __init__(self, data: memoryview, start: int, stop: int, *, budget: Budget, actions: Actions) -> None:
        self.position = start
        self._start = start
        self._stop = stop
        self._data = data
        self._budget = budget
        self._actions = actions
        self._stack: list = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """The value that the program leaves. Raises BadFile when it breaks a rule or a bound."""
        while True:
            self._budget.spend_operation()
            code = self._unsigned(1)
            if code == _STOP:
                return self._finish()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise forbidden(f'uses the pickle operation 0x{code:02x}')
            operation(self)

    # Reading

    def _need(self, count: int) -> None:
        if count > self._stop - self.position:
            raise truncated(count, self._stop - self.position)

    def _unsigned(self, count: int) -> int:
        self._need(count)
        value = int.from_bytes(self._data[self.position : self.position + count], 'little')
        self.position += count
        return value

    def _span(self, count: int) -> Span:
        self._need(count)
        span = Span(self.position, self.position + count)
        self.position += count
        return span

    def _text(self, count: int) -> str | LongText:
        span = self._span(count)
        if count > self._budget.limits.text_bytes:
            return LongText(span)
        self._budget.spend_text(count)
        try:
            return str(self._data[span.start : span.stop], 'utf-8')
        except UnicodeDecodeError:
            raise damaged(f'text at byte {span.start}') from None

    def _line(self) -> str:
        raw = bytes(self._data[self.position : min(self._stop, self.position + _LONGEST_LINE)])
        length = raw.find(b'\n')
        if length < 0:
            raise damaged(f'name at byte {self.position}')
        self.position += length + 1
        try:
            return raw[:length].decode('ascii')
        except UnicodeDecodeError:
            raise damaged(f'name at byte {self.position}') from None

    # Stack, marks and memo

    def _push(self, value: object) -> None:
        if len(self._stack) >= self._budget.limits.stack_values:
            raise too_big(f'more than {self._budget.limits.stack_values} values at once')
        self._stack.append(value)

    def _pop(self) -> object:
        floor = self._marks[-1] if self._marks else 0
        if len(self._stack) <= floor:
            raise damaged(f'empty stack at byte {self.position}')
        return self._stack.pop()

    def _top(self) -> object:
        floor = self._marks[-1] if self._marks else 0
        if len(self._stack) <= floor:
            raise damaged(f'empty stack at byte {self.position}')
        return self._stack[-1]

    def _pop_to_mark(self) -> list:
        if not self._marks:
            raise damaged(f'missing mark at byte {self.position}')
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _remember(self, slot: int) -> None:
        if len(self._memo) >= self._budget.limits.memo_slots:
            raise too_big(f'more than {self._budget.limits.memo_slots} remembered values')
        self._memo[slot] = self._top()  # a dict: a slot number of 4 billion costs nothing

    def _recall(self, slot: int) -> None:
        if slot not in self._memo:
            raise damaged(f'unknown reference {slot} at byte {self.position}')
        self._push(self._memo[slot])

    def _finish(self) -> object:
        value = self._pop()
        if self._stack or self._marks:
            raise damaged(f'left-over values at byte {self.position}')
        return value

    # Operations

    def _protocol(self) -> None:
        first = self.position == self._start + 1
        version = self._unsigned(1)
        if version > 5 or not first:
            raise damaged(f'pickle protocol {version} at byte {self.position - 2}')

    def _frame(self) -> None:
        self._need(self._unsigned(8))

    def _mark(self) -> None:
        if len(self._marks) >= self._budget.limits.marks:
            raise too_big(f'values nested more than {self._budget.limits.marks} deep')
        self._marks.append(len(self._stack))

    def _signed(self) -> None:
        span = self._span(4)
        self._push(struct.unpack_from('<i', self._data, span.start)[0])

    def _float(self) -> None:
        span = self._span(8)
        self._push(struct.unpack_from('>d', self._data, span.start)[0])

    def _long(self) -> None:
        count = self._unsigned(1)
        if count > _LONGEST_NUMBER_BYTES:
            raise damaged(f'a number of {count} bytes at byte {self.position}')
        self._push(int.from_bytes(self._span(count).read(self._data), 'little', signed=True))

    def _tuple_of(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def _extend(self, items: list) -> None:
        target = self._top()
        if type(target) is list:
            target.extend(items)
        elif type(target) is not Opaque:
            raise forbidden(f'appends to a {type(target).__name__}')

    def _append(self) -> None:
        value = self._pop()
        self._extend([value])

    def _set_items(self, items: list) -> None:
        target = self._top()
        if len(items) % 2:
            raise damaged(f'a key without a value at byte {self.position}')
        if type(target) is dict:
            for key, value in zip(items[::2], items[1::2], strict=True):
                target[dictionary_key(key, self._data)] = value
        elif type(target) is not Opaque:
            raise forbidden(f'sets items of a {type(target).__name__}')

    def _set_item(self) -> None:
        value = self._pop()
        key = self._pop()
        self._set_items([key, value])

    def _add_items(self) -> None:
        items = self._pop_to_mark()
        target = self._top()
        if type(target) is set:
            target.update(dictionary_key(item, self._data) for item in items)
        elif type(target) is not Opaque:
            raise forbidden(f'adds to a {type(target).__name__}')

    # Operations that run code elsewhere; here they ask the table

    def _name_from(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:
            raise damaged(f'a name at byte {self.position}')
        longest = self._budget.limits.name_characters
        if len(module) > longest or len(name) > longest:
            raise damaged(f'a name of {len(module) + len(name)} characters')
        self._push(self._actions.resolve(module, name))

    def _global(self) -> None:
        module = self._line()
        self._name_from(module, self._line())

    def _stack_global(self) -> None:
        name = self._pop()
        self._name_from(self._pop(), name)

    def _reduce(self) -> None:
        arguments = self._pop()
        self._push(self._actions.call(self._pop(), arguments))

    def _new(self) -> None:
        arguments = self._pop()
        self._push(self._actions.create(self._pop(), arguments))

    def _build(self) -> None:
        state = self._pop()
        self._actions.build(self._top(), state)

    def _persistent_id(self) -> None:
        self._push(self._actions.persistent(self._pop()))


_OPERATIONS: Mapping[int, Callable[[PickleMachine], object]] = MappingProxyType(
    {
        0x80: PickleMachine._protocol,
        0x95: PickleMachine._frame,
        # memo: MEMOIZE, BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
        0x94: lambda machine: machine._remember(len(machine._memo)),
        0x71: lambda machine: machine._remember(machine._unsigned(1)),
        0x72: lambda machine: machine._remember(machine._unsigned(4)),
        0x68: lambda machine: machine._recall(machine._unsigned(1)),
        0x6A: lambda machine: machine._recall(machine._unsigned(4)),
        # numbers: NONE, NEWTRUE, NEWFALSE, BININT1, BININT2, BININT, BINFLOAT, LONG1
        0x4E: lambda machine: machine._push(None),
        0x88: lambda machine: machine._push(True),
        0x89: lambda machine: machine._push(False),
        0x4B: lambda machine: machine._push(machine._unsigned(1)),
        0x4D: lambda machine: machine._push(machine._unsigned(2)),
        0x4A: PickleMachine._signed,
        0x47: PickleMachine._float,
        0x8A: PickleMachine._long,
        # text: SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
        0x8C: lambda machine: machine._push(machine._text(machine._unsigned(1))),
        0x58: lambda machine: machine._push(machine._text(machine._unsigned(4))),
        0x8D: lambda machine: machine._push(machine._text(machine._unsigned(8))),
        # bytes: SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
        0x43: lambda machine: machine._push(machine._span(machine._unsigned(1))),
        0x42: lambda machine: machine._push(machine._span(machine._unsigned(4))),
        0x8E: lambda machine: machine._push(machine._span(machine._unsigned(8))),
        0x96: lambda machine: machine._push(machine._span(machine._unsigned(8))),
        # containers: MARK, POP, the empty ones, TUPLE and TUPLE1-3, LIST, APPEND(S), SETITEM(S), ADDITEMS
        0x28: PickleMachine._mark,
        0x30: PickleMachine._pop,
        0x7D: lambda machine: machine._push({}),
        0x5D: lambda machine: machine._push([]),
        0x8F: lambda machine: machine._push(set()),
        0x29: lambda machine: machine._push(()),
        0x74: lambda machine: machine._push(tuple(machine._pop_to_mark())),
        0x85: lambda machine: machine._tuple_of(1),
        0x86: lambda machine: machine._tuple_of(2),
        0x87: lambda machine: machine._tuple_of(3),
        0x6C: lambda machine: machine._push(machine._pop_to_mark()),
        0x61: PickleMachine._append,
        0x65: lambda machine: machine._extend(machine._pop_to_mark()),
        0x73: PickleMachine._set_item,
        0x75: lambda machine: machine._set_items(machine._pop_to_mark()),
        0x90: PickleMachine._add_items,
        # names and what is done with them: GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ, BUILD, BINPERSID
        0x63: PickleMachine._global,
        0x93: PickleMachine._stack_global,
        0x52: PickleMachine._reduce,
        0x81: PickleMachine._new,
        0x62: PickleMachine._build,
        0x51: PickleMachine._persistent_id,
    }
)

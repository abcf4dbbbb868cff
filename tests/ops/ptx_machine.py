"""Runs a PTX kernel on the CPU, all threads at once in NumPy: what NVRTC made of a kernel is tested without a GPU.

Threads that stand at the same instruction go together; the group that is furthest behind goes first; a barrier holds its block.
It also looks for what a GPU does not tell: accesses outside of the arrays, reads of what was never written, threads of a block
that meet at different barriers, and races: two threads at one place of shared memory between two barriers, one of them
writing something new.
"""

import numpy as np

from tests.ops.ptx_text import Instruction, Kernel

_TYPES = {
    **{f'u{n}': np.dtype(f'u{n // 8}') for n in (8, 16, 32, 64)},
    **{f'b{n}': np.dtype(f'u{n // 8}') for n in (8, 16, 32, 64)},
    **{f's{n}': np.dtype(f'i{n // 8}') for n in (8, 16, 32, 64)},
    **{f'f{n}': np.dtype(f'f{n // 8}') for n in (16, 32, 64)},
    'pred': np.dtype(bool),
}
_COMPARE = {
    'eq': np.equal, 'ne': np.not_equal, 'lt': np.less, 'le': np.less_equal, 'gt': np.greater, 'ge': np.greater_equal,
    'lo': np.less, 'ls': np.less_equal, 'hi': np.greater, 'hs': np.greater_equal,
}  # fmt: skip
_TWO = {
    'add': np.add, 'sub': np.subtract, 'mul': np.multiply, 'and': np.bitwise_and, 'or': np.bitwise_or, 'xor': np.bitwise_xor,
    'min': np.minimum, 'max': np.maximum,
}  # fmt: skip
_ONE = {
    'neg': np.negative, 'abs': np.abs, 'sqrt': np.sqrt, 'rcp': np.reciprocal, 'ex2': np.exp2, 'lg2': np.log2, 'mov': np.array,
}  # fmt: skip


class Memory:
    """Global memory: the tensors that a kernel was given, at their own addresses, with gaps between them."""

    def __init__(self, arrays: dict[int, np.ndarray]) -> None:
        """`arrays`: address -> uint8 [bytes], which `write_back` changes."""
        self.arrays = dict(sorted(arrays.items()))
        self._starts = np.array(list(self.arrays), np.int64)
        sizes = np.array([len(array) for array in self.arrays.values()])
        self._ends = self._starts + sizes
        rooms = -(-sizes // 16) * 16 + 16
        self._shift = np.concatenate([[0], np.cumsum(rooms)[:-1]]) - self._starts
        self.bytes = np.zeros(int(rooms.sum()), np.uint8)
        for start, array in self.arrays.items():
            self._part(start, len(array))[:] = array

    def write_back(self) -> None:
        """Into the arrays."""
        for start, array in self.arrays.items():
            array[:] = self._part(start, len(array))

    def places(self, addresses: np.ndarray, size: int) -> np.ndarray:
        """Indices into `bytes` as items of `size` bytes."""
        which = np.searchsorted(self._starts, addresses, side='right') - 1
        assert (which >= 0).all() and (addresses + size <= self._ends[which]).all(), 'outside of every tensor'
        places = addresses + self._shift[which]
        assert not (places % size).any(), 'not aligned'
        return places // size

    def _part(self, start: int, size: int) -> np.ndarray:
        first = start + int(self._shift[np.searchsorted(self._starts, start)])
        return self.bytes[first : first + size]


class Machine:
    """One launch."""

    def __init__(self, kernel: Kernel, memory: Memory, parameter: bytes, *, blocks: int, threads: int) -> None:
        assert len(parameter) == kernel.parameter_bytes, 'the parameter has another size than the kernel thinks'
        self.kernel, self.memory, self.count = kernel, memory, blocks * threads
        self.parameter = np.frombuffer(parameter, np.uint8)
        self.block, self.thread = (part.ravel() for part in np.indices((blocks, threads)))
        self.special = {'%tid.x': self.thread, '%ctaid.x': self.block, '%ntid.x': np.full(self.count, threads)}
        self.special['%nctaid.x'] = np.full(self.count, blocks)
        size = -(-kernel.shared_bytes // 16) * 16
        self.shared_size = size
        self.shared = np.zeros(blocks * size, np.uint8)
        self.written = np.zeros(blocks * size, bool)
        self.owned = np.zeros(size, bool)
        for start, end in kernel.shared:
            self.owned[start:end] = True
        self.writer = np.full(blocks * size // 4, -1)
        self.reader = np.full(blocks * size // 4, -1)
        self.registers: dict[str, np.ndarray] = {}
        self.executed = 0

    def run(self) -> None:
        """To the end of every thread."""
        groups, waiting = {0: np.arange(self.count)}, {}
        while groups or waiting:
            if not groups:
                groups = self._release(waiting)
                waiting = {}
            at = min(groups)
            lanes = groups.pop(at)
            stops = min(groups, default=len(self.kernel.instructions) + 1)
            for target, some in self._straight(at, lanes, stops):
                where = waiting if target < 0 else groups
                key = -target if target < 0 else target
                where[key] = np.sort(np.concatenate([where[key], some])) if key in where else some

    def _release(self, waiting: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        """All threads of a block have come to one barrier, or the kernel is wrong."""
        blocks = [set(self.block[lanes].tolist()) for lanes in waiting.values()]
        assert sum(map(len, blocks)) == len(set().union(*blocks)), 'threads of a block wait at different barriers'
        for lanes in waiting.values():
            counts = np.bincount(self.block[lanes])
            assert set(counts[counts > 0].tolist()) == {int(self.special['%ntid.x'][0])}, 'a barrier misses threads'
        self.writer[:], self.reader[:] = -1, -1
        return dict(waiting)

    def _straight(self, at: int, lanes: np.ndarray, stops: int) -> list[tuple[int, np.ndarray]]:
        """Run until the threads part, wait (a negative target), end, or come to where others stand: (instruction, threads)."""
        instructions = self.kernel.instructions
        while at < stops and at < len(instructions):
            one = instructions[at]
            self.executed += 1
            some, rest = lanes, lanes[:0]
            if one.guard:
                chosen = self.registers[one.guard][lanes] != one.negated
                some, rest = lanes[chosen], lanes[~chosen]
            match one.name[0]:
                case 'bra':
                    target = self.kernel.labels[one.operands[0]]
                    parts = [(target, some), (at + 1, rest)]
                    if len(some) and len(rest):
                        return parts
                    if len(some) == 0:
                        at += 1
                        continue
                    return [(target, some)]
                case 'bar' | 'barrier':
                    return [(-(at + 1), some)]
                case 'ret' | 'exit':
                    return [(at + 1, rest)] if len(rest) else []
            if len(some):
                with np.errstate(all='ignore'):
                    self._execute(one, some)
            at += 1
        return [(at, lanes)] if at < len(instructions) else []

    def _execute(self, one: Instruction, lanes: np.ndarray) -> None:
        name, operands = one.name, one.operands
        kind = _TYPES[name[-1]]
        match name[0]:
            case 'ld':
                self._load(one, lanes, kind)
            case 'st':
                self._store(one, lanes, kind)
            case 'cvta':
                self._set(operands[0], lanes, self._value(operands[1], lanes, kind))
            case 'cvt':
                value = self._value(operands[1], lanes, kind)
                target = _TYPES[name[-2]]
                self._set(operands[0], lanes, value.astype(target))
            case 'setp':
                self._set(operands[0], lanes, self._compare(one, lanes, kind))
            case 'selp':
                first, second = (self._value(operand, lanes, kind) for operand in operands[1:3])
                self._set(operands[0], lanes, np.where(self.registers[operands[3]][lanes], first, second))
            case _:
                self._set(operands[0], lanes, self._arithmetic(one, lanes, kind))

    def _arithmetic(self, one: Instruction, lanes: np.ndarray, kind: np.dtype) -> np.ndarray:
        name = one.name
        values = [self._value(operand, lanes, kind) for operand in one.operands[1:]]
        a = values[0]
        wide = kind if kind.kind not in 'iu' else np.dtype(f'{kind.kind}{min(2 * kind.itemsize, 8)}')
        match name[0]:
            case 'mul' | 'mad' if 'wide' in name:
                product = a.astype(wide) * values[1].astype(wide)
                return product if name[0] == 'mul' else product + self._value(one.operands[3], lanes, wide)
            case 'mul' if 'hi' in name:
                return ((a.astype(wide) * values[1].astype(wide)) >> (8 * kind.itemsize)).astype(kind)
            case 'mad':
                return a * values[1] + values[2]
            case 'fma':
                return (a.astype('f8') * values[1].astype('f8') + values[2].astype('f8')).astype(kind)
            case 'shl' | 'shr':
                count = self._value(one.operands[2], lanes, _TYPES['u32']).astype(kind)
                shift = np.left_shift if name[0] == 'shl' else np.right_shift
                return shift(a, np.minimum(count, 8 * kind.itemsize - 1))
            case 'copysign':
                return np.copysign(values[1], a)
            case 'not':
                return ~a
            case 'div':
                return a / values[1] if kind.kind == 'f' else _truncated(a, values[1])
            case 'rem':
                return a - _truncated(a, values[1]) * values[1]
            case 'min' | 'max' if kind.kind == 'f':
                return (np.fmin if name[0] == 'min' else np.fmax)(a, values[1])
        return (_TWO[name[0]](a, values[1]) if name[0] in _TWO else _ONE[name[0]](a)).astype(kind)

    def _compare(self, one: Instruction, lanes: np.ndarray, kind: np.dtype) -> np.ndarray:
        a, b = (self._value(operand, lanes, kind) for operand in one.operands[1:3])
        test = one.name[1]
        if test in _COMPARE:
            return _COMPARE[test](a, b)
        if test in ('nan', 'num'):
            return (np.isnan(a) | np.isnan(b)) == (test == 'nan')
        return _COMPARE[test[:-1]](a, b) | np.isnan(a) | np.isnan(b)  # 'ltu' …: true for NaN

    def _value(self, operand: str, lanes: np.ndarray, kind: np.dtype) -> np.ndarray:
        """An operand, as `kind`; a copy or a broadcast constant."""
        if operand in self.special:
            return self.special[operand][lanes].astype(kind)
        if operand.startswith('%'):
            value = self.registers[operand][lanes]
            if value.dtype == kind or kind.kind == 'b':
                return value
            if value.itemsize == kind.itemsize:
                return value.view(kind)
            return value.view(f'u{value.itemsize}').astype(f'u{kind.itemsize}').view(kind)
        if operand.startswith(('0f', '0F')):
            return np.full(len(lanes), np.uint32(int(operand[2:], 16)).view(np.float32))
        number = self.kernel.symbols[operand] if operand in self.kernel.symbols else int(operand, 0)
        return np.full(len(lanes), number & (2 ** (8 * kind.itemsize) - 1), f'u{kind.itemsize}').view(kind)

    def _set(self, register: str, lanes: np.ndarray, value: np.ndarray) -> None:
        known = self.registers.get(register)
        if known is None or known.dtype != value.dtype:
            same_size = known is not None and known.itemsize == value.itemsize and value.dtype != bool
            known = known.view(value.dtype) if known is not None and same_size else np.zeros(self.count, value.dtype)
            self.registers[register] = known
        known[lanes] = value

    def _addresses(self, operand: str, lanes: np.ndarray) -> np.ndarray:
        base, _, offset = operand.strip('[]').partition('+')
        return self._value(base, lanes, np.dtype('i8')) + int(offset or 0)

    def _load(self, one: Instruction, lanes: np.ndarray, kind: np.dtype) -> None:
        registers = one.operands[0].strip('{}').replace(',', ' ').split()
        addresses = self._addresses(one.operands[1], lanes)
        for index, register in enumerate(registers):
            here = addresses + index * kind.itemsize
            if 'param' in one.name:
                value = self.parameter[here[:, None] + np.arange(kind.itemsize)].copy().view(kind)[:, 0]
            elif 'shared' in one.name:
                value = self.shared.view(kind)[self._shared_places(here, lanes, kind.itemsize, None)]
            else:
                value = self._global(kind)[self.memory.places(here, kind.itemsize)]
            self._set(register, lanes, value)

    def _store(self, one: Instruction, lanes: np.ndarray, kind: np.dtype) -> None:
        value = self._value(one.operands[1], lanes, kind)
        addresses = self._addresses(one.operands[0], lanes)
        if 'shared' in one.name:
            places = self._shared_places(addresses, lanes, kind.itemsize, value)
            self.shared.view(kind)[places] = value
        else:
            self._global(kind)[self.memory.places(addresses, kind.itemsize)] = value

    def _global(self, kind: np.dtype) -> np.ndarray:
        return self.memory.bytes.view(kind)

    def _shared_places(self, here: np.ndarray, lanes: np.ndarray, size: int, new: np.ndarray | None) -> np.ndarray:
        """Indices into shared memory as items of `size` bytes, checked; `new`: what will be written."""
        assert size == 4 and not (here % 4).any(), 'not aligned'
        inside = here.min() >= 0 and here.max() < len(self.owned) and self.owned[here].all()
        assert inside, 'outside of every shared array'
        places = (self.block[lanes] * self.shared_size + here) // 4
        if new is None:
            assert self.written[4 * places].all(), 'shared memory is read that nobody wrote'
            assert not _others(self.writer[places], lanes).any(), 'a race: read after write without a barrier'
            self.reader[places] = np.where(_others(self.reader[places], lanes), self.count, lanes)
            return places
        changed = self.shared.view('u4')[places] != new.view('u4')
        changed |= ~self.written[4 * places]
        clash = _others(self.writer[places], lanes) | _others(self.reader[places], lanes)
        assert not (clash & changed).any(), 'a race: write after an access without a barrier'
        self.written[4 * places] = True
        self.writer[places] = lanes
        return places


def _others(known: np.ndarray, lanes: np.ndarray) -> np.ndarray:
    """Where a thread other than the one at hand was."""
    return (known >= 0) & (known != lanes)


def _truncated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Integer division towards zero."""
    quotient = np.abs(a.astype('i8')) // np.abs(b.astype('i8'))
    return (quotient * np.sign(a.astype('i8')) * np.sign(b.astype('i8'))).astype(a.dtype)

"""A small language for vector kernels: Python expressions that write LLVM instructions.

A Python `for` unrolls, `with kernel.loop(...)` is a loop of the machine. Vectors hold the same number of float32 lanes
throughout a kernel; each lane is a channel. Only the thread that compiles imports this module: it needs llvmlite.

Every kernel is one C function that does one job: of an array of 64-bit fields, the number of the job, and memory to work in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from llvmlite import ir

_I64 = ir.IntType(64)
_I32 = ir.IntType(32)
_FLOAT = ir.FloatType()
_POINTER = ir.PointerType()


class Int:
    """A 64-bit integer computed by the kernel."""

    def __init__(self, kernel: 'Kernel', value: Any):
        self.kernel, self.value = kernel, value

    def __add__(self, other: 'Int | int') -> 'Int':
        return self._binary(self.kernel.builder.add, other)

    def __sub__(self, other: 'Int | int') -> 'Int':
        return self._binary(self.kernel.builder.sub, other)

    def __mul__(self, other: 'Int | int') -> 'Int':
        return self._binary(self.kernel.builder.mul, other)

    def __floordiv__(self, other: 'Int | int') -> 'Int':
        """Quotient of numbers that are not negative."""
        return self._binary(self.kernel.builder.udiv, other)

    def __mod__(self, other: 'Int | int') -> 'Int':
        """Remainder of numbers that are not negative."""
        return self._binary(self.kernel.builder.urem, other)

    def __and__(self, other: 'Int | int') -> 'Int':
        return self._binary(self.kernel.builder.and_, other)

    def __lt__(self, other: 'Int | int') -> Any:
        return self._compare('<', other)

    def __ge__(self, other: 'Int | int') -> Any:
        return self._compare('>=', other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: int) -> 'Int':
        return self.kernel.integer(other) - self

    def minimum(self, other: 'Int | int') -> 'Int':
        """The smaller one."""
        other = self.kernel.integer(other)
        return Int(self.kernel, self.kernel.builder.select(self < other, self.value, other.value))

    def maximum(self, other: 'Int | int') -> 'Int':
        """The larger one."""
        other = self.kernel.integer(other)
        return Int(self.kernel, self.kernel.builder.select(self < other, other.value, self.value))

    def _binary(self, operation: Callable[..., Any], other: 'Int | int') -> 'Int':
        return Int(self.kernel, operation(self.value, self.kernel.integer(other).value))

    def _compare(self, sign: str, other: 'Int | int') -> Any:
        return self.kernel.builder.icmp_signed(sign, self.value, self.kernel.integer(other).value)


class Vec:
    """A vector of float32 lanes computed by the kernel."""

    def __init__(self, kernel: 'Kernel', value: Any):
        self.kernel, self.value = kernel, value

    def __add__(self, other: 'Vec') -> 'Vec':
        return Vec(self.kernel, self.kernel.builder.fadd(self.value, other.value))

    def __sub__(self, other: 'Vec') -> 'Vec':
        return Vec(self.kernel, self.kernel.builder.fsub(self.value, other.value))

    def __mul__(self, other: 'Vec') -> 'Vec':
        return Vec(self.kernel, self.kernel.builder.fmul(self.value, other.value))

    def fma(self, factor: 'Vec', addend: 'Vec') -> 'Vec':
        """self * factor + addend, rounded once."""
        return Vec(self.kernel, self.kernel.call('llvm.fma', self.value, factor.value, addend.value))

    def reciprocal_root(self) -> 'Vec':
        """1 / sqrt of each lane."""
        root = self.kernel.call('llvm.sqrt', self.value)
        return Vec(self.kernel, self.kernel.builder.fdiv(self.kernel.constant(1.0).value, root))

    def magnitude(self) -> 'Vec':
        """Absolute values."""
        return Vec(self.kernel, self.kernel.call('llvm.fabs', self.value))

    def maximum(self, other: 'Vec') -> 'Vec':
        """Lane by lane; what is not a number in `self` stays so."""
        return self._pick('>', other)

    def minimum(self, other: 'Vec') -> 'Vec':
        """Lane by lane; what is not a number in `self` stays so."""
        return self._pick('<', other)

    def where_positive(self, one: 'Vec', other: 'Vec') -> 'Vec':
        """Lanes of `one` where this one's are above zero, else of `other`."""
        builder = self.kernel.builder
        above = builder.fcmp_ordered('>', self.value, self.kernel.constant(0.0).value)
        return Vec(self.kernel, builder.select(above, one.value, other.value))

    def where_below(self, limit: 'Vec', one: 'Vec', other: 'Vec') -> 'Vec':
        """Lanes of `other` where this one's are `limit` or more, else of `one`."""
        builder = self.kernel.builder
        reached = builder.fcmp_ordered('>=', self.value, limit.value)
        return Vec(self.kernel, builder.select(reached, other.value, one.value))

    def _pick(self, sign: str, other: 'Vec') -> 'Vec':
        builder = self.kernel.builder
        better = builder.fcmp_ordered(sign, other.value, self.value)
        return Vec(self.kernel, builder.select(better, other.value, self.value))


class Array:
    """Float32 numbers in memory, from an address on."""

    def __init__(self, kernel: 'Kernel', pointer: Any):
        self.kernel, self.pointer = kernel, pointer

    def at(self, offset: Int | int) -> 'Array':
        """The numbers from number `offset` on."""
        offset = self.kernel.integer(offset)
        return Array(self.kernel, self.kernel.builder.gep(self.pointer, [offset.value], source_etype=_FLOAT))

    def load(self, offset: Int | int = 0) -> Vec:
        """A vector of consecutive numbers."""
        value = self.kernel.builder.load(self.at(offset).pointer, typ=self.kernel.vector, align=4)
        return Vec(self.kernel, value)

    def store(self, value: Vec, offset: Int | int = 0) -> None:
        """Write a vector to consecutive numbers."""
        self.kernel.builder.store(value.value, self.at(offset).pointer, align=4)

    def prefetch(self, offset: Int | int = 0, *, write: bool = False, cache: int = 1) -> None:
        """Have the line of the cache fetched that holds a number; where there is no memory, nothing happens.

        `write`: as its owner.  `cache`: 1 = the nearest, 2 = the second, for what is needed later.
        """
        kernel, name = self.kernel, 'llvm.prefetch.p0'
        if name not in kernel.declared:
            kind = ir.FunctionType(ir.VoidType(), [_POINTER, _I32, _I32, _I32])
            kernel.declared[name] = ir.Function(kernel.module, kind, name)
        how, near, data = (ir.Constant(_I32, value) for value in (int(write), 4 - cache, 1))
        kernel.builder.call(kernel.declared[name], [self.at(offset).pointer, how, near, data])

    def where(self, condition: Any, other: 'Array') -> 'Array':
        """This one where the condition holds, else `other`."""
        return Array(self.kernel, self.kernel.builder.select(condition, self.pointer, other.pointer))

    def gather(self, stride: Int, first: Int | int = 0) -> Vec:
        """A vector of the numbers `first`, `first` + 1, … of those that lie `stride` apart."""
        builder, value = self.kernel.builder, ir.Constant(self.kernel.vector, ir.Undefined)
        for lane in range(self.kernel.lanes):
            place = self.at(stride * (self.kernel.integer(first) + lane))
            scalar = builder.load(place.pointer, typ=_FLOAT, align=4)
            value = builder.insert_element(value, scalar, ir.Constant(_I32, lane))
        return Vec(self.kernel, value)

    def scatter(self, value: Vec, stride: Int) -> None:
        """Write the lanes of a vector `stride` apart."""
        builder = self.kernel.builder
        for lane in range(self.kernel.lanes):
            scalar = builder.extract_element(value.value, ir.Constant(_I32, lane))
            builder.store(scalar, self.at(stride * lane).pointer, align=4)

    def splat(self, offset: Int | int = 0) -> Vec:
        """One number in every lane."""
        return self.kernel.splat(self.kernel.builder.load(self.at(offset).pointer, typ=_FLOAT, align=4))


_Number = TypeVar('_Number', Int, Vec)


class Slot:
    """A variable that a loop changes; becomes a register."""

    def __init__(self, kernel: 'Kernel', first: Int | Vec):
        self.kernel, self.kind = kernel, type(first)
        with kernel.builder.goto_entry_block():
            self.place = kernel.builder.alloca(first.value.type)
        self.set(first)

    def get(self) -> Any:
        """Its value now."""
        return self.kind(self.kernel, self.kernel.builder.load(self.place, typ=self.place.allocated_type))

    def set(self, value: Int | Vec) -> None:
        """Change its value."""
        self.kernel.builder.store(value.value, self.place)


class Kernel:
    """One function being written."""

    def __init__(self, name: str, lanes: int, fields: Sequence[str]):
        self.lanes = lanes
        self.vector = ir.VectorType(_FLOAT, lanes)
        self.module = ir.Module(name)
        self.fields = tuple(fields)
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [_POINTER, _I64, _POINTER]), name)
        self.builder = ir.IRBuilder(function.append_basic_block('entry'))
        self._arguments = function.args[0]
        self.job = Int(self, function.args[1])
        """Number of the job that this call does."""
        self.scratch = Array(self, function.args[2])
        """Memory that only this thread uses."""
        self.declared: dict[str, ir.Function] = {}
        """Functions of LLVM that it calls."""
        self._align_stack()

    def finish(self) -> str:
        """The kernel as text of LLVM's language."""
        self.builder.ret_void()
        return str(self.module)

    def integer(self, value: Int | int) -> Int:
        """A constant."""
        return value if isinstance(value, Int) else Int(self, ir.Constant(_I64, value))

    def constant(self, value: float) -> Vec:
        """A number in every lane, fixed when the kernel is compiled."""
        return Vec(self, ir.Constant(self.vector, [value] * self.lanes))

    def field(self, name: str) -> Int:
        """An integer argument."""
        return Int(self, self.builder.load(self._place(name), typ=_I64))

    def array(self, name: str) -> Array:
        """An argument that is an address."""
        return Array(self, self.builder.inttoptr(self.field(name).value, _POINTER))

    def number(self, name: str) -> Vec:
        """A float argument, in every lane; its bits are the lower half of the field."""
        low = self.builder.trunc(self.field(name).value, _I32)
        return self.splat(self.builder.bitcast(low, _FLOAT))

    def splat(self, scalar: Any) -> Vec:
        """A scalar in every lane."""
        first = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), scalar, ir.Constant(_I32, 0))
        lanes = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        return Vec(self, self.builder.shuffle_vector(first, ir.Constant(self.vector, ir.Undefined), lanes))

    def shuffle(self, one: Vec, other: Vec, lanes: Sequence[int]) -> Vec:
        """Lanes picked out of `one` (numbered from 0) and `other` (from there on)."""
        picks = ir.Constant(ir.VectorType(_I32, self.lanes), list(lanes))
        return Vec(self, self.builder.shuffle_vector(one.value, other.value, picks))

    def transpose(self, vectors: Sequence[Vec]) -> list[Vec]:
        """Lane `i` of vector `k` becomes lane `k` of vector `i`; as many vectors as lanes."""
        values, step = list(vectors), 1
        while step < self.lanes:  # swap the off-diagonal quarters of every square of 2 * step vectors and lanes
            for index in range(self.lanes):
                if index & step:
                    continue
                one, other = values[index], values[index + step]
                low = [lane + self.lanes - step if lane & step else lane for lane in range(self.lanes)]
                high = [lane + self.lanes if lane & step else lane + step for lane in range(self.lanes)]
                values[index], values[index + step] = self.shuffle(one, other, low), self.shuffle(one, other, high)
            step *= 2
        return values

    def slot(self, first: Int | Vec | int) -> Slot:
        """A variable that a loop may change."""
        return Slot(self, self.integer(first) if isinstance(first, int) else first)

    @contextmanager
    def loop(self, stop: Int | int, *, start: Int | int = 0, step: Int | int = 1) -> Iterator[Int]:
        """The body runs for start, start + step, … below `stop`."""
        stop, function = self.integer(stop), self.builder.function
        index = self.slot(self.integer(start))
        head, body, after = (function.append_basic_block(name) for name in ('head', 'body', 'after'))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(index.get() < stop, body, after)
        self.builder.position_at_end(body)
        yield index.get()
        index.set(index.get() + step)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    @contextmanager
    def repeat_while(self, condition: Callable[[], Any]) -> Iterator[None]:
        """The body runs as long as `condition()`, asked before each time, holds."""
        function = self.builder.function
        head, body, after = (function.append_basic_block(name) for name in ('head', 'body', 'after'))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(condition(), body, after)
        self.builder.position_at_end(body)
        yield
        self.builder.branch(head)
        self.builder.position_at_end(after)

    @contextmanager
    def when(self, condition: Any) -> Iterator[None]:
        """The body runs if the condition holds."""
        with self.builder.if_then(condition):
            yield

    def both(self, one: Any, other: Any) -> Any:
        """Whether both conditions hold."""
        return self.builder.and_(one, other)

    def any_of(self, one: Any, other: Any) -> Any:
        """Whether one of the conditions holds."""
        return self.builder.or_(one, other)

    def all_below(self, one: Vec, other: Vec) -> Any:
        """Whether every lane of `one` is smaller than that of `other`."""
        smaller = self.builder.fcmp_ordered('<', one.value, other.value)
        mask = ir.IntType(self.lanes)
        bits = self.builder.bitcast(smaller, mask)
        return self.builder.icmp_unsigned('==', bits, ir.Constant(mask, 2**self.lanes - 1))

    def either(self, condition: Any) -> Any:
        """Two context managers: `with kernel.either(c) as (yes, no): with yes: …; with no: …`."""
        return self.builder.if_else(condition)

    def pick(self, condition: Any, one: _Number, other: _Number) -> _Number:
        """`one` if the condition holds, else `other`."""
        return type(one)(self, self.builder.select(condition, one.value, other.value))

    def choose(self, number: Int, choices: Mapping[int, Callable[[], None]]) -> None:
        """Do what the choice of that number writes; there must be one."""
        function = self.builder.function
        impossible, after = function.append_basic_block('impossible'), function.append_basic_block('after')
        switch = self.builder.switch(number.value, impossible)
        for key, write in choices.items():
            block = function.append_basic_block('choice')
            switch.add_case(ir.Constant(_I64, key), block)
            self.builder.position_at_end(block)
            write()
            self.builder.branch(after)
        self.builder.position_at_end(impossible)
        self.builder.unreachable()
        self.builder.position_at_end(after)

    def call(self, intrinsic: str, *values: Any) -> Any:
        """An intrinsic of LLVM on vectors."""
        name = f'{intrinsic}.v{self.lanes}f32'
        if name not in self.declared:
            kind = ir.FunctionType(self.vector, [self.vector] * len(values))
            self.declared[name] = ir.Function(self.module, kind, name)
        return self.builder.call(self.declared[name], values)

    def _align_stack(self) -> None:
        """Have vectors that do not fit the registers begin at lines of the cache.

        LLVM aligns the stack only for variables that need it, not for what it keeps there itself: by chance of the caller, each load of
        such a vector would touch two lines, a fifth of some kernels' time. So there is a variable; fetching it lets no pass take it away.
        """
        place = self.builder.alloca(_I32)
        place.align = 4 * self.lanes  # type: ignore[assignment]
        Array(self, self.builder.bitcast(place, _POINTER)).prefetch()

    def _place(self, field: str) -> Any:
        number = ir.Constant(_I64, self.fields.index(field))
        return self.builder.gep(self._arguments, [number], source_etype=_I64)

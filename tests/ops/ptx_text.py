"""The text of a PTX kernel as a list of instructions: the part of the language that NVRTC writes for our kernels."""

import re
from dataclasses import dataclass, field

_INSTRUCTION = re.compile(r'(?:@(!?)(%p\d+)\s+)?([a-z][\w.]*)\s*(.*)')
_SHARED = re.compile(r'\.shared \.align (\d+) \.b8 (\S+)\[(\d+)\]')
_PARAMETER = re.compile(r'\.param \.align \d+ \.b8 (\w+)\[(\d+)\]')
_GAP = 1024


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line: `@(!)guard name operands`."""

    name: tuple[str, ...]
    """'mad.lo.s32' in parts."""
    operands: tuple[str, ...]
    guard: str = ''
    negated: bool = False


@dataclass(slots=True)
class Kernel:
    """One entry point."""

    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)
    """Where shared arrays and the parameter begin, each in its own memory."""
    shared: list[tuple[int, int]] = field(default_factory=list)
    """First byte and end of each shared array; there are gaps between them, to notice who writes into the next."""
    shared_bytes: int = 0
    parameter_bytes: int = 0


def parse(text: str) -> Kernel:
    """The only entry point of `text`."""
    kernel = Kernel()
    body = text[text.index('.entry') :]
    parameter = _PARAMETER.search(body)
    if parameter is not None:
        kernel.symbols[parameter[1]] = 0
        kernel.parameter_bytes = int(parameter[2])
    for raw in body[body.index('{') + 1 :].splitlines():
        line = raw.split('//')[0].strip()
        shared = _SHARED.match(line)
        if shared is not None:
            align = int(shared[1])
            start = -(-kernel.shared_bytes // align) * align
            kernel.symbols[shared[2]] = start
            kernel.shared.append((start, start + int(shared[3])))
            kernel.shared_bytes = start + int(shared[3]) + _GAP
        elif line.endswith(':'):
            kernel.labels[line[:-1]] = len(kernel.instructions)
        elif line.endswith(';') and not line.startswith('.'):
            kernel.instructions.append(_instruction(line.rstrip(';').strip(' {}\t')))
    return kernel


def _instruction(line: str) -> Instruction:
    found = _INSTRUCTION.fullmatch(line)
    if found is None:
        raise ValueError(f'not understood: {line}')
    negated, guard, name, rest = found.groups()
    parts = re.findall(r'\{[^}]*\}|\[[^\]]*\]|[^,\s]+', rest)
    return Instruction(tuple(name.split('.')), tuple(parts), guard or '', bool(negated))

"""Child process of the hostile tests: reads files under watch and prints what happened as JSON.

python -m tests.networks.hostile_child read FOLDER       our reader on every file, all audit events recorded
python -m tests.networks.hostile_child fuzz SEED COUNT  our reader on COUNT mutated snapshots, in memory
"""

import contextlib
import json
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from networks.bad_file import BadFile
from networks.build import build_checked
from networks.checkpoint import load_checkpoint
from networks.files.snapshot import read_snapshot
from tests.networks.hostile import genuine, network_with, root, storage, tensor

# Reading the file itself, and what the interpreter does on its own.
HARMLESS = ('mmap.__new__', 'builtins.id', 'object.__getattr__', 'sys._getframe', 'os.fspath')
MEMORY_BYTES = 4 << 30
CPU_SECONDS = 300


def main(arguments: list[str]) -> None:
    """Runs the command and prints its result."""
    command, *rest = arguments
    result = read(Path(rest[0])) if command == 'read' else fuzz(int(rest[0]), int(rest[1]))
    print(json.dumps(result))


@contextlib.contextmanager
def watched(events: list[str]) -> Iterator[None]:
    """Records every audit event inside the block."""
    watching = True

    def hook(event: str, arguments: tuple) -> None:
        if not watching or event in HARMLESS:
            return
        if event == 'open' and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            event = f'read {Path(os.fspath(arguments[0])).parent.name}'
        events.append(event)

    sys.addaudithook(hook)
    try:
        yield
    finally:
        watching = False


def read(folder: Path) -> dict[str, object]:
    """Per file: error code and sentence (or 'fine', or a foreign exception), seconds of CPU, events."""
    files = sorted(folder.iterdir())
    warm_up(folder.parent / 'warm-up.pkl')
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    before = peak_megabytes()
    results = {}
    events: list[str] = []
    with watched(events):
        for file in files:
            events.clear()
            start = time.process_time()
            code, sentence = outcome(file)
            seconds = time.process_time() - start
            results[file.name] = {'code': code, 'sentence': sentence, 'seconds': seconds, 'events': sorted(set(events))}
    return {'files': results, 'megabytes': peak_megabytes() - before}


def outcome(file: Path) -> tuple[str, str]:
    """Error code and sentence of one file."""
    try:
        checkpoint = load_checkpoint(file)
        build_checked(checkpoint.family, checkpoint.config, checkpoint.tensors)
    except BadFile as error:
        return error.code, str(error)
    except Exception as error:  # the very thing that must not happen; the test shows it
        return 'foreign', f'{type(error).__name__}: {error}'
    return 'fine', ''


def warm_up(path: Path) -> None:
    """Lazy imports happen before the watch begins."""
    for data in (genuine(), genuine()[:1000], genuine(protocol=2)):
        path.write_bytes(data)
        outcome(path)


def peak_megabytes() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(seed: int, count: int) -> dict[str, object]:
    """Mutated snapshots: how many of each outcome, foreign exceptions, events, the slowest."""
    chance = random.Random(seed)
    seeds = [root(network_with(w_avg=tensor(storage()))), *(genuine(protocol=protocol) for protocol in (2, 4))]
    weights = [20, 1, 1]
    codes: dict[str, int] = {}
    foreign: list[str] = []
    events: list[str] = []
    slowest = 0.0
    for data in seeds:
        read_in_memory(data)
    with watched(events):
        for index in range(count):
            data = mutated(chance.choices(seeds, weights)[0], chance)
            start = time.process_time()
            code = read_in_memory(data)
            slowest = max(slowest, time.process_time() - start)
            codes[code] = codes.get(code, 0) + 1
            if code.startswith('foreign'):
                foreign.append(f'{index}: {code}')
    return {'codes': codes, 'foreign': foreign, 'events': sorted(set(events)), 'slowest': slowest}


def read_in_memory(data: bytes) -> str:
    """Error code of a snapshot in memory."""
    try:
        read_snapshot(memoryview(data), 'G_ema', lambda done, text: None)
    except BadFile as error:
        assert str(error) and len(str(error)) <= 240
        return error.code
    except Exception as error:  # as above
        return f'foreign {type(error).__name__}: {error}'
    return 'fine'


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with a few bytes changed, inserted, removed or copied from elsewhere."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        place = chance.randrange(len(changed))
        length = chance.choice((1, 1, 2, 4, 9))
        kind = chance.randrange(5)
        if kind == 0:
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[place : place + length] = chance.randbytes(length)
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            source = chance.randrange(len(changed))
            changed[place:place] = changed[source : source + length * 4]
        else:
            changed[place] = chance.choice(
                b'(.0Nc)}]aetsbR\x81\x93\x94hjqrXBCKMJG\x85\x86\x87\x8a\x8c\x8d\x8e\x8f\x90\x95\x96Q'
            )
        if not changed:
            changed = bytearray(b'\x80')
    return bytes(changed)


if __name__ == '__main__':
    main(sys.argv[1:])

"""The program's commands on a GPU against the CPU: every kind of measurement once, the numbers side by side.

    python -m benchmarks.gpu_compare [--device cuda] [--model demo:]

What differs by more than the tolerance, or fails on one of the two, is marked; nothing stops at the first failure.
"""

import argparse
import contextlib
import io
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import visualizer

MEASUREMENTS = ('eq-t', 'eq-t-frac', 'eq-r', 'layers', 'spectrum', 'sticking', 'diagnose')
PICTURES = (
    (),
    ('--translate', '0.1', '0.05', '--rotate-degrees', '10'),
    ('--truncation', '0.5', '--scale', '1.5'),
    ('--layer', 'L3'),
    ('--filters', 'sinc'),
    ('--class-index', '2'),
)
_TOLERANCE = 0.02
"""Of a number; half a decibel where numbers are decibels."""
_NUMBER = re.compile(r'-?\d+\.?\d*(?:e-?\d+)?')


def main(arguments: list[str]) -> int:
    """Print a line for each command; 1 where one failed or differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--model', default='demo:')
    options = parser.parse_args(arguments)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for words in commands(options.model, Path(folder)):
            bad += not compare(words, options.device)
    print(f'{bad} commands differ or failed')
    return int(bad > 0)


def commands(model: str, folder: Path) -> Iterator[list[str]]:
    """What is compared, without the device."""
    layer = first_layer_like(model, 'L3')
    for number, words in enumerate(PICTURES):
        named = [layer if word == 'L3' else word for word in words]
        yield ['render', model, '--full-precision', *named, '--out', str(folder / f'{number}.npy')]
    for what in MEASUREMENTS:
        yield ['analyze', model, '--what', what, '--samples', '2', '--json']


def first_layer_like(model: str, start: str) -> str:
    """The label of a layer that `info` lists."""
    _, text = run(['info', model])
    return next(word for line in text.splitlines() for word in line.split() if word.startswith(start))


def compare(words: list[str], device: str) -> bool:
    """Whether both devices say the same; printed."""
    numbers, seconds = [], []
    for where in (device, 'cpu'):
        started = time.perf_counter()
        code, text = run([*words, '--device', where])
        seconds.append(time.perf_counter() - started)
        if code:
            last = text.strip().splitlines()[-1:] or ['it said nothing']
            print(f'FAILED on {where}: {" ".join(words[:5])}: {last[0][:300]}', flush=True)
            return False
        numbers.append(values_of(words, text))
    worst = furthest(*reversed(numbers))
    good = worst <= _TOLERANCE
    name = ' '.join(word for word in words if not word.startswith('/') and word != '--out')
    print(
        f'{"same  " if good else "DIFFER"} {name[:70]:70} {len(numbers[0])} numbers, furthest {worst:.1e}; '
        f'{seconds[0]:.1f} s, then {seconds[1]:.1f} s',
        flush=True,
    )
    return good


def run(words: list[str]) -> tuple[int, str]:
    """Exit code of a command, and what it printed."""
    caught = io.StringIO()
    with contextlib.redirect_stdout(caught), contextlib.redirect_stderr(caught):
        try:
            code = visualizer.main(words)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except Exception as error:  # what a command does wrong on one device is what is looked for
            print(f'{type(error).__name__}: {" ".join(str(error).split())}')
            code = 1
    return int(code or 0), caught.getvalue()


def values_of(words: list[str], text: str) -> list[float]:
    """The numbers that a command made."""
    if words[0] == 'render':
        import numpy as np

        return np.load(words[words.index('--out') + 1]).astype(float).ravel().tolist()
    start = min((text.index(sign) for sign in '{[' if sign in text), default=-1)
    if start < 0:
        return [float(found) for found in _NUMBER.findall(text)]
    found, _ = json.JSONDecoder().raw_decode(text[start:])
    return list(numbers_in(found))


def numbers_in(document: object) -> Iterator[float]:
    """Those of a JSON document, in order; not how long something took."""
    if isinstance(document, bool) or document is None or isinstance(document, str):
        return
    if isinstance(document, (int, float)):
        yield float(document)
    elif isinstance(document, dict):
        for key, value in document.items():
            if 'second' not in key:
                yield from numbers_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from numbers_in(value)


def furthest(one: list[float], other: list[float]) -> float:
    """The largest difference, relative to the number but not to less than 25; infinite where they are not as many."""
    if len(one) != len(other):
        return math.inf
    far = 0.0
    scale = max((abs(value) for value in one if math.isfinite(value)), default=1.0)
    for a, b in zip(one, other, strict=True):
        if math.isfinite(a) and math.isfinite(b):
            far = max(far, abs(a - b) / max(abs(a), min(scale, 25.0), 1e-9))
        elif not (a == b or (math.isnan(a) and math.isnan(b))):
            far = math.inf
    return far


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

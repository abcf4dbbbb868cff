"""`python -m tests.golden DIR`: does our implementation agree with the goldens in a folder?"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path

from ops.backend import Usage, backends, note_usage, use_backend
from tests.golden.fixture import FixtureError
from tests.golden.runner import Outcome, run_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per case and the count; 0 only if there were cases and none failed."""
    parser = argparse.ArgumentParser(prog='python -m tests.golden', description=__doc__)
    parser.add_argument('folder', type=Path, metavar='DIR', help='folder with a manifest.json and safetensors files')
    parser.add_argument('--only', metavar='PATTERN', help='glob or part of the id of a case, or glob of its kind')
    parser.add_argument(
        '--backend', choices=('reference', 'torch', 'cpu', 'cuda'), default='reference', help='who runs the operators'
    )
    parser.add_argument('--json', action='store_true', help='print one JSON document instead; the count goes to stderr')
    options = parser.parse_args(arguments)

    outcomes = []
    try:
        with use_backend(options.backend), note_usage() as usage:
            for outcome in run_folder(options.folder, options.only):
                outcomes.append(outcome)
                if not options.json:
                    print(outcome.line(), flush=True)
    except FixtureError as error:
        print(error, file=sys.stderr)
        return 1
    passed = sum(outcome.passed for outcome in outcomes)
    failed = len(outcomes) - passed
    if options.json:
        print(json.dumps({'cases': [_plain(one) for one in outcomes], 'passed': passed, 'failed': failed}, indent=1))
    if not outcomes:
        print(f'no case matches {options.only!r}' if options.only else 'the manifest lists no case', file=sys.stderr)
    if options.backend != 'reference':
        print(_share(usage, options.backend), file=sys.stderr)
    print(f'{passed} passed, {failed} failed', file=sys.stderr if options.json else sys.stdout)
    return 0 if passed and not failed else 1


def _share(usage: Usage, backend: str) -> str:
    """How much of the operators' work the backend that was asked for did; why it did none."""
    own = sum(count for (_, ran), count in usage.calls.items() if ran.split()[0] == backend)
    share = f'{own} of {sum(usage.calls.values())} calls of operators ran on {backend}'
    state = backends()[backend]
    return share if state == 'ready' else f'{share}, which cannot be used: {state}'


def _plain(outcome: Outcome) -> dict[str, object]:
    """An outcome for JSON, which knows no infinity."""
    values = asdict(outcome)
    return {name: None if isinstance(one, float) and not isfinite(one) else one for name, one in values.items()}


if __name__ == '__main__':
    sys.exit(main())

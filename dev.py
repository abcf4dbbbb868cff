"""One command on a fresh machine: makes .venv, installs the pinned requirements, runs, trains or tests.

    python3 dev.py [run ARGS]     open the visualizer (no ARGS: the bundled demo)
    python3 dev.py test [ARGS]    the tests (ARGS go to pytest)
    python3 dev.py lint           formatter, linter, type checker
    python3 dev.py check          lint, then test: what CI runs
    python3 dev.py train ARGS     train.py ARGS

Standard library only. A stamp of the requirements in .venv makes the second run start at once.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / '.venv'
PYTHON = VENV / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
COMMANDS = ('run', 'test', 'lint', 'check', 'train')
SOURCES = ('ops', 'networks', 'analysis', 'render', 'training', 'gui_utils', 'viz', 'tests', 'benchmarks')
SCRIPTS = ('visualizer.py', 'train.py', 'dev.py')


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    command = arguments[0] if arguments and arguments[0] in COMMANDS else 'run'
    rest = arguments[1:] if arguments and arguments[0] in COMMANDS else arguments
    if rest in (['--help'], ['-h']) and command != 'train':
        print(__doc__)
        return 0
    if sys.version_info < (3, 11):
        return fail(
            f'AliasScope needs Python 3.11 or newer; this is {sys.version.split()[0]}. Start dev.py with a newer one.'
        )
    problem = set_up('requirements.txt' if command in ('run', 'train') else 'requirements-dev.txt')
    if problem:
        return fail(problem)
    steps = {
        'run': [['visualizer.py', *(rest or ['window', '--fallback-folder', 'out'])]],
        'train': [['train.py', *rest]],
        'lint': lint_steps(),
        'test': [test_step(rest)],
        'check': [*lint_steps(), test_step(rest)],
    }[command]
    return next((code for code in (call(step) for step in steps) if code), 0)


def lint_steps() -> list[list[str]]:
    """Formatter, linter, type checker, as module calls."""
    files = [name for name in (*SOURCES, *SCRIPTS) if (ROOT / name).exists()]
    return [
        ['-m', 'ruff', 'format', '--check', '--quiet', *files],
        ['-m', 'ruff', 'check', '--quiet', *files],
        ['-m', 'basedpyright', '--pythonpath', str(PYTHON), '--level', 'error'],
    ]


def test_step(arguments: list[str]) -> list[str]:
    """The tests, on all cores unless the caller says otherwise."""
    return ['-m', 'pytest', *([] if '-n' in arguments else ['-n', 'auto']), *arguments]


def set_up(requirements: str) -> str | None:
    """Make .venv fit `requirements` (a superset already there is fine); return what went wrong, or None."""
    wanted = {name: stamp(name) for name in ('requirements.txt', 'requirements-dev.txt')}
    stamp_file = VENV / 'requirements.stamp'
    have = stamp_file.read_text().split() if PYTHON.exists() and stamp_file.exists() else []
    if wanted[requirements] in have:
        return None
    uv = shutil.which('uv')
    print(f'Setting up {VENV} (once; a few minutes, mostly the download of PyTorch) …', file=sys.stderr, flush=True)
    make = [uv, 'venv', '--quiet', str(VENV)] if uv else [sys.executable, '-m', 'venv', str(VENV)]
    if not PYTHON.exists() and subprocess.run(make, check=False).returncode:
        shutil.rmtree(VENV, ignore_errors=True)  # half a .venv would be taken for a whole one
        return 'The virtual environment could not be made; on Debian or Ubuntu: apt-get install -y python3-venv'
    pip = [uv, 'pip', 'install', '--python', str(PYTHON)] if uv else [str(PYTHON), '-m', 'pip', 'install', '--quiet']
    if subprocess.run([*pip, '-r', str(ROOT / requirements)], check=False).returncode:
        return (
            f'The packages of {requirements} could not be installed (see above); check the network and run this again.'
        )
    covered = wanted.values() if requirements == 'requirements-dev.txt' else [wanted[requirements]]
    stamp_file.write_text('\n'.join(covered))
    return None


def stamp(requirements: str) -> str:
    """A name for the exact content of a requirements file under this Python."""
    text = (ROOT / 'requirements.txt').read_text() + (ROOT / requirements).read_text() + sys.version
    return hashlib.sha256(text.encode()).hexdigest()


def call(arguments: list[str]) -> int:
    """Run .venv's Python, tools in the project's root and scripts where the user stands; return its exit code."""
    if arguments[0] in SCRIPTS:
        arguments, folder = [str(ROOT / arguments[0]), *arguments[1:]], None
    else:
        folder = ROOT
    try:
        code = subprocess.run([str(PYTHON), *arguments], cwd=folder, check=False).returncode
    except KeyboardInterrupt:
        return 130
    return code if code >= 0 else 128 - code  # killed by a signal: the shell's convention


def fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

"""Every command that the README shows is run as written, in a folder of its own that looks like the project's root."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_RUN = {
    r'python3 dev\.py( .*)?': 'sets up a virtual environment; CI itself runs it',
    r'apt-get .*': 'changes the system',
    r'git clone .*': 'needs a network',
    r'python visualizer\.py( \S*)?': 'opens a window that only a person closes; tests/viz drives the same window headless',
    r'python train\.py .*': 'trains for hours; tests/training runs two steps of the same loop',
    r'python -m training\.dataset .*': 'needs pictures of the reader; tests/training prepares and checks small sets',
    r'pip install .*': 'changes the environment',
    r'python -m benchmarks\..*': 'takes minutes; numbers are no test',
    r'python -m tests\.golden \.\./shared/.*': "the folder lies beside a developer's checkout only; tests/test_golden.py runs the subset",
}


def commands() -> list[str]:
    """The lines of README's ```sh blocks, comments removed, in order."""
    blocks = re.findall(r'```sh\n(.*?)```', (ROOT / 'README.md').read_text(encoding='utf-8'), flags=re.S)
    lines = [line.split('  #')[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith('#')]


def reason_not_to_run(command: str) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if re.fullmatch(pattern, command)), None)


@pytest.fixture(scope='module')
def root_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the project's files lie as links, so that outputs do not land in the checkout."""
    folder = tmp_path_factory.mktemp('readme')
    for path in ROOT.iterdir():
        if path.name not in {'out', 'runs', '.git', '.venv'}:
            (folder / path.name).symlink_to(path)
    return folder


def test_the_readme_shows_commands():
    assert any(reason_not_to_run(command) is None for command in commands())


def test_readme_commands_work_in_order(root_copy: Path):
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    for command in commands():
        if reason_not_to_run(command):
            continue
        words = shlex.split(command)
        assert words[0] == 'python', f'README command is neither run nor excused: {command}'
        done = subprocess.run(
            [sys.executable, *words[1:]], check=False, cwd=root_copy, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f'{command}\n{done.stderr[-2000:]}'

"""Child process of the control: what a reader that trusts files would have done.

python tests/networks/naive_child.py FOLDER CANARY   `pickle.load` on every file, each in a process of its own
"""

import contextlib
import json
import os
import pickle
import shutil
import signal
import sys
import time
import types
from pathlib import Path

PATIENCE_SECONDS = 2.0


def naive(folder: Path, canary: Path) -> dict[str, bool]:
    """Per file: whether `pickle.load` ran what it asks for, seen by the canary file."""
    persistence = types.ModuleType('torch_utils.persistence')
    # What a loader that trusts the file does with the program text in it, in one line of our own.
    persistence._reconstruct_persistent_obj = lambda meta: exec(meta['module_src'], {})  # type: ignore[attr-defined]
    sys.modules |= {'torch_utils': types.ModuleType('torch_utils'), 'torch_utils.persistence': persistence}
    ran = {}
    for file in sorted(folder.iterdir()):
        process = os.fork()
        if process == 0:
            load(file)
        os.waitpid(process, 0)
        deadline = time.monotonic() + PATIENCE_SECONDS  # some commands are started without waiting for them
        while not canary.exists() and 'open' in file.name and time.monotonic() < deadline:
            os.sched_yield()
        ran[file.name] = canary.exists()
        if canary.is_dir():
            shutil.rmtree(canary)
        canary.unlink(missing_ok=True)
    return ran


def load(file: Path) -> None:
    """Ends the process, whatever the file does."""
    with contextlib.suppress(BaseException):
        signal.alarm(20)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        with file.open('rb') as stream:
            pickle.load(stream)
    os._exit(0)


if __name__ == '__main__':
    print(json.dumps(naive(Path(sys.argv[1]), Path(sys.argv[2]))))

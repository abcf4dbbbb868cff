import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import train
from tests.training.conftest import MakeZip, png

ROOT = Path(__file__).resolve().parents[2]


def test_missing_data_is_one_line_and_exit_one(capsys: pytest.CaptureFixture, tmp_path: Path):
    assert train.main(['demo', '--data', str(tmp_path / 'none.zip'), '--out', str(tmp_path)]) == 1
    assert capsys.readouterr().err.count('\n') == 1


def test_a_wrong_option_is_exit_two(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as caught:
        train.main(['demo', '--no-such-option'])
    assert caught.value.code == 2


def test_ctrl_c_finishes_the_step_saves_and_exits_with_zero(make_zip: MakeZip, tmp_path: Path):
    data = make_zip([png(64, seed) for seed in range(4)])
    command = [sys.executable, 'train.py', 'demo', '--data', str(data), '--out', str(tmp_path / 'runs')]
    command += ['--batch', '4', '--tick-kimg', '0.004', '--threads', '1', '--kimg', '9', '--snapshot-samples', '0']
    group = {'creationflags': subprocess.CREATE_NEW_PROCESS_GROUP} if os.name == 'nt' else {}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **group) as run:
        assert run.stderr is not None
        assert 'images/s' in run.stderr.readline()  # the first step is done
        run.send_signal(signal.CTRL_C_EVENT if os.name == 'nt' else signal.SIGINT)
        folder = Path(run.communicate(timeout=60)[0].strip())
    assert run.returncode == 0
    assert (folder / 'latest.safetensors').exists()
    assert list(folder.glob('training-state-*.safetensors'))

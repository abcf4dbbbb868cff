import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.resume import Options, kill_and_compare, outcome, tiny_config, train_in_child
from training.config import TrainConfig
from training.errors import TrainingError
from training.loop import train
from training.run_folder import RunFolder
from training.run_lock import locked
from training.state import new_state

needs_fork = pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')


def quietly(config: TrainConfig, *, steps: int | None = None) -> Path:
    asked = iter(range(10_000))
    return train(config, stop=lambda: steps is not None and next(asked) >= steps, report=lambda line: None)


@needs_fork
def test_two_killed_processes_leave_what_an_undisturbed_one_does(tmp_path: Path):
    result = kill_and_compare(Options(kills=2, steps=6, seed=1), tmp_path)
    assert (result.kills, result.identical, result.differences) == (2, 2, ())


@needs_fork
@pytest.mark.slow
def test_a_process_killed_at_any_access_to_a_file_leaves_what_an_undisturbed_one_does(tmp_path: Path):
    result = kill_and_compare(Options(instants='files', steps=2), tmp_path)
    assert result.kills > 30
    assert (result.identical, result.differences) == (result.kills, ())


def test_a_folder_that_a_killed_process_did_not_finish_is_no_run(tmp_path: Path):
    config = tiny_config(tmp_path, 2, stylegan2=False)
    unfinished = config.out / '.new-run-12345'
    unfinished.mkdir(parents=True)
    os.utime(unfinished, (0, 0))
    assert quietly(config).name.startswith('00000-')
    assert not unfinished.exists()


@pytest.mark.parametrize('stylegan2', [False, True])
def test_a_run_that_was_stopped_anywhere_gives_the_same_files(tmp_path: Path, stylegan2: bool):
    config = tiny_config(tmp_path, 4, stylegan2=stylegan2)
    whole, parts = (replace(config, out=tmp_path / name) for name in ('whole', 'parts'))
    quietly(whole)
    for steps in (1, 2, 5):
        quietly(parts, steps=steps)
    assert _without_extra_snapshots(outcome(parts)) == _without_extra_snapshots(outcome(whole))


def _without_extra_snapshots(found: dict) -> dict:
    """Stopping politely saves where a killed process would not: only the last state and the statistics are comparable."""
    last = max(name for name in found if name.startswith('training-state'))
    return {name: found[name] for name in ('stats.jsonl', 'latest.safetensors', last)}


def test_the_strength_of_the_augmentation_moves_and_is_continued(tmp_path: Path):
    config = tiny_config(tmp_path, 6, stylegan2=False)
    folder = quietly(config)
    state = new_state(config, side=16, class_count=2, device=torch.device('cpu'))
    assert RunFolder(folder).load_state(state) == ()
    assert state.augment is not None
    rows = [json.loads(line) for line in (folder / 'stats.jsonl').read_text().splitlines()]
    assert len({row['augment_p'] for row in rows}) > 1
    assert float(state.augment.get_buffer('p')) > 0
    assert float(state.loss.path_length_mean) > 0


def test_a_state_of_another_configuration_is_refused_by_the_option_that_differs(tmp_path: Path):
    config = tiny_config(tmp_path, 2, stylegan2=False)
    folder = quietly(config)
    state = new_state(config, side=16, class_count=2, device=torch.device('cpu'))
    other = replace(config, generator_rate=0.5)
    with pytest.raises(TrainingError, match=r'another configuration \(--generator-rate was 0.0025, now it is 0.5\)'):
        RunFolder(folder).load_state(state, other.identity())


def test_another_number_of_threads_is_told(tmp_path: Path):
    config = tiny_config(tmp_path, 2, stylegan2=False)
    folder = quietly(config)
    state = new_state(config, side=16, class_count=2, device=torch.device('cpu'))
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        (note,) = RunFolder(folder).load_state(state, config.identity())
    finally:
        torch.set_num_threads(before)
    assert 'not bit by bit' in note


def test_two_trainings_do_not_share_a_folder(tmp_path: Path):
    with locked(tmp_path), pytest.raises(TrainingError, match='Another process trains'), locked(tmp_path):
        pass


def test_half_written_files_of_a_killed_process_are_swept_away(tmp_path: Path):
    config = tiny_config(tmp_path, 2, stylegan2=False)
    folder = quietly(config, steps=1)
    torn = folder / '.training-state-000000008.safetensors.123-abc.tmp'
    torn.write_bytes(b'half')
    quietly(config)
    assert not torn.exists()


def test_a_state_that_a_process_did_not_come_to_remove_is_removed_on_the_next_start(tmp_path: Path):
    config = tiny_config(tmp_path, 6, stylegan2=False)
    folder = quietly(config)
    kept = RunFolder(folder).states()
    (folder / 'training-state-000000008.safetensors').write_bytes(kept[0].read_bytes())
    quietly(config)
    assert RunFolder(folder).states() == kept


def test_a_snapshot_whose_process_died_after_saving_the_state_is_made_on_the_next_start(tmp_path: Path):
    config = tiny_config(tmp_path, 2, stylegan2=False)
    folder = quietly(config)
    before = (folder / 'latest.safetensors').read_bytes()
    for name in ('latest.safetensors', 'previews/000000-008.png'):
        (folder / name).unlink()
    quietly(config)
    assert (folder / 'latest.safetensors').read_bytes() == before
    assert (folder / 'previews' / '000000-008.png').exists()


@needs_fork
def test_a_disk_that_takes_no_more_stops_the_run_with_one_sentence_and_keeps_what_was_saved(tmp_path: Path):
    config = tiny_config(tmp_path, 4, stylegan2=False)
    folder = quietly(config, steps=1)
    (before,) = RunFolder(folder).states()
    sentence = _with_small_files_only(config)
    assert 'cannot be saved (File too large); what was saved before is whole' in sentence
    assert '\n' not in sentence
    assert not list(folder.glob('.*.tmp'))
    assert RunFolder(folder).states() == [before]
    alone = replace(config, out=tmp_path / 'alone')
    assert quietly(config) == folder
    quietly(alone)
    assert _without_extra_snapshots(outcome(config)) == _without_extra_snapshots(outcome(alone))


@pytest.mark.slow  # imports torch in another process
def test_a_disk_that_is_really_full_stops_the_run_and_with_room_it_goes_on(tmp_path: Path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    mount = [
        'unshare',
        '--user',
        '--map-root-user',
        '--mount',
        'sh',
        '-c',
        'mount -t tmpfs -o size=2m tmpfs "$0" && "$@"',
    ]
    if (
        shutil.which('unshare') is None
        or subprocess.run([*mount, disk, 'true'], check=False, capture_output=True).returncode
    ):
        pytest.skip('a small disk needs the right to mount one in a namespace of its own')
    child = [sys.executable, '-m', 'tests.training.full_disk_child', tmp_path]
    answer = subprocess.run([*mount, disk, *child], check=False, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    first, second, last, states, after, left_over, is_equal = json.loads(answer.stdout)
    assert 'cannot be saved (No space left on device); what was saved before is whole' in first
    assert 'are free in' in second
    assert last == ''
    assert states == after == ['training-state-000000008.safetensors']
    assert left_over == []
    assert is_equal


def _with_small_files_only(config: TrainConfig) -> str:
    """What a training says, in a process that may write no file above 20 kB."""
    import resource

    reading, writing = os.pipe()
    if os.fork() == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            quietly(config)
        except TrainingError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        sentence = answer.read()
    os.wait()
    return sentence


@pytest.mark.skipif(os.name == 'nt' or os.geteuid() == 0, reason='nothing is forbidden to root')
def test_a_folder_without_permission_is_one_sentence(tmp_path: Path):
    config = tiny_config(tmp_path, 2, stylegan2=False)
    config.out.mkdir()
    config.out.chmod(0o500)
    with pytest.raises(TrainingError, match='No run can be kept'):
        quietly(config)


@needs_fork
def test_the_child_of_the_benchmark_is_killed_in_time(tmp_path: Path):
    config = tiny_config(tmp_path, 10_000, stylegan2=False)
    assert not train_in_child(config, kill_after=0.05)

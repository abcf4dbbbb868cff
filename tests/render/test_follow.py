"""Watching a run directory."""

import os
from pathlib import Path

from render.follow import Follower


def test_new_replaced_and_removed_snapshots_are_noticed(tmp_path: Path):
    follower = Follower(tmp_path)
    assert not follower.changed()
    (tmp_path / 'log.txt').write_text('no model')
    assert not follower.changed()
    (tmp_path / 'snapshot-000200.safetensors').write_text('first')
    assert follower.changed() and not follower.changed()
    (tmp_path / 'new').write_text('second')
    os.replace(tmp_path / 'new', tmp_path / 'snapshot-000200.safetensors')
    assert follower.changed() and not follower.changed()
    (tmp_path / 'snapshot-000200.safetensors').unlink()
    assert follower.changed()
    (tmp_path / 'snapshot-000200-064.safetensors').write_text('third')
    assert follower.changed()


def test_what_is_there_at_first_is_no_change(tmp_path: Path):
    (tmp_path / 'network-snapshot-000000.pkl').write_text('x')
    follower = Follower(tmp_path)
    assert not follower.changed()
    (tmp_path / 'latest.safetensors').write_text('y')
    assert follower.changed()


def test_a_folder_that_is_away_for_a_moment_has_not_changed(tmp_path: Path):
    folder = tmp_path / 'run'
    follower = Follower(folder)
    assert not follower.changed()
    folder.mkdir()
    assert not follower.changed()
    (folder / 'latest.safetensors').write_text('y')
    assert follower.changed()
    folder.rename(tmp_path / 'away')
    assert not follower.changed()
    (tmp_path / 'away').rename(folder)
    assert not follower.changed()

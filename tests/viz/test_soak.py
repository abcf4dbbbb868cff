"""A short version of `benchmarks.soak`: random events must break nothing and leave nothing behind."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import soak
from gui_utils.texture import count_textures
from render.session_file import session_from_bytes, session_text
from tests.viz.conftest import Rig
from tests.viz.fake_renderer import make_info, make_layers
from viz.history import LIMIT

pytestmark = pytest.mark.display
OTHER = make_info(title='Other', layers=make_layers(6), class_count=0)


def test_random_events_break_nothing(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    rig = make_rig((1100, 760))
    rig.open()
    driven = soak.Rig(rig.app.window, rig.app, rig.worker)
    chance = random.Random(1)
    textures = 0
    for index in range(500):
        soak.random_event(driven, chance)
        driven.frame()
        if index == 200:
            textures = count_textures()
    assert count_textures() <= textures + 4, 'a few kinds of pictures may be seen later for the first time'
    assert len(rig.app.view.history.past) <= LIMIT
    session, remarks = session_from_bytes(session_text(rig.app.session).encode())
    assert remarks == () and session == rig.app.session, 'whatever was chosen can be saved'


def test_models_opened_in_turn_leave_nothing_behind(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig((1100, 760), infos={'demo:': make_info(), 'other': OTHER})
    driven = soak.Rig(rig.app.window, rig.app, rig.worker)
    samples = soak.swap_models(driven, ['demo:', 'other', str(tmp_path / 'missing.pkl')], 15)
    assert samples[-1]['textures'] == samples[0]['textures']
    assert rig.renderer.models.opened[-1].endswith('missing.pkl') and rig.side.model.path == 'other'


def test_growth_compares_the_end_with_the_beginning() -> None:
    samples = [{'mib': value} for value in (100, 103, 101, 110, 104, 103, 105, 120)]
    assert soak.growth(samples) == pytest.approx(0.05)

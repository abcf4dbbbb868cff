import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gui_utils.testing import PanelTester
from render.run_log import Curve, RunLog, RunSpectra, SnapshotFile
from render.session import LatentState, Session, Side
from tests.viz.conftest import Rig, draw
from tests.viz.fake_renderer import KEY, make_info
from viz import commands
from viz.commands import Command
from viz.run_panel import run_panel, spectrum_picture
from viz.run_view import RunView
from viz.view import Desk, View

MakeDesk = Callable[..., Desk]
SESSION = Session(a=Side(model=KEY))
SNAPSHOTS = tuple(SnapshotFile(f'snapshot-{kimg:06d}.safetensors', float(kimg)) for kimg in (2, 4, 6))


def curve(*values: float) -> Curve:
    return Curve(np.arange(len(values)) * 2.0, np.array(values))


def view_of(shown: str | None = None, **parts: object) -> View:
    curves = {'generator_loss': curve(1, 2, 3), 'discriminator_loss': curve(3, 2, 1), 'eq_t_db': curve(20, 60)}
    spectra = RunSpectra(np.array([2.0, 6.0]), np.array([[0, -10, -20], [-5, -15, -25]], np.float32))
    log = RunLog(Path('/runs/one'), **{'curves': curves, 'spectra': spectra, 'snapshots': SNAPSHOTS, **parts})
    return View(run=RunView(log, shown, shown))


def texts(tester: PanelTester) -> str:
    return '\n'.join(item.label for item in tester.recorder.texts)


@pytest.mark.parametrize('plot', ['losses', 'equivariance', 'spectra'])
def test_every_plot_is_drawn_with_and_without_measurements(tester: PanelTester, make_desk: MakeDesk, plot: str) -> None:
    session = replace(SESSION, run_plot=plot)
    assert draw(tester, run_panel, session, make_desk(view=view_of())) is session
    assert 'appears' not in texts(tester)
    draw(tester, run_panel, session, make_desk(view=view_of(curves={}, spectra=None, snapshots=())))
    assert 'No snapshot yet.' in texts(tester)


def test_a_generator_that_cannot_be_moved_has_no_equivariance(tester: PanelTester, make_desk: MakeDesk) -> None:
    desk = make_desk(view=view_of(curves={'generator_loss': curve(1, 2)}))
    draw(tester, run_panel, replace(SESSION, run_plot='equivariance'), desk)
    assert 'cannot be moved' in texts(tester)


def test_the_plot_is_chosen(tester: PanelTester, make_desk: MakeDesk) -> None:
    assert tester.click(run_panel, SESSION, 'Spectra', make_desk(view=view_of())).run_plot == 'spectra'


def test_one_back_from_the_newest_opens_the_snapshot_before(
    tester: PanelTester, make_desk: MakeDesk, asked: list[Command]
) -> None:
    tester.click(run_panel, SESSION, 'The snapshot before', make_desk(view=view_of()))
    assert asked == [commands.ShowSnapshot(SNAPSHOTS[1].name)]


def test_the_newest_is_followed_again(tester: PanelTester, make_desk: MakeDesk, asked: list[Command]) -> None:
    tester.click(run_panel, SESSION, 'Newest', make_desk(view=view_of(SNAPSHOTS[0].name)))
    assert asked == [commands.ShowSnapshot(None)]


def test_at_the_first_snapshot_there_is_none_before(
    tester: PanelTester, make_desk: MakeDesk, asked: list[Command]
) -> None:
    tester.click(run_panel, SESSION, 'The snapshot before', make_desk(view=view_of(SNAPSHOTS[0].name)))
    assert asked == []


def test_each_column_of_the_spectra_is_that_of_the_nearest_snapshot() -> None:
    spectra = RunSpectra(np.array([1.0, 8.0]), np.array([[1, 2], [3, 4]], np.float32))
    picture = spectrum_picture(spectra)  # columns at 0.5, 1.5, … 7.5
    assert picture.shape == (2, 8)
    assert picture[0].tolist() == [2] * 5 + [4] * 3  # the highest frequency on top; 4.5 is as near to both
    assert picture[1, 0] == 1


def test_a_run_is_scrubbed_in_place_and_followed_again(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    (tmp_path / 'stats.jsonl').write_text(json.dumps({'images': 8, 'generator_loss': 1.0}) + '\n')
    names = [f'snapshot-{kimg:06d}.safetensors' for kimg in (1, 2)]
    for name in names:
        (tmp_path / name).touch()
    rig = make_rig(infos={str(tmp_path): make_info(), str(tmp_path / names[0]): make_info()})
    rig.open(str(tmp_path))
    rig.driver.step(4)
    assert any(label.startswith('Run/') for label in rig.driver.labels())
    rig.change(latent=LatentState(x=0.25, y=3.0))
    rig.driver.click('The snapshot before')
    rig.settle()
    assert rig.renderer.models.opened == [str(tmp_path), str(tmp_path / names[0])]
    assert (rig.side.latent.x, rig.side.latent.y) == (0.25, 3.0)
    assert rig.app.session.recent == (str(tmp_path),)
    rig.driver.click('Newest')
    rig.settle()
    assert rig.side.model is not None
    assert rig.side.model.path == str(tmp_path)


def test_without_a_run_there_is_no_tab(rig: Rig) -> None:
    assert not any(label.startswith('Run/') for label in rig.driver.labels())


def test_both_sides_follow_their_runs(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ('aliased', 'alias-free')]
    for folder in folders:
        folder.mkdir()
    rig = make_rig(infos={str(folder): make_info() for folder in folders})
    rig.open(str(folders[0]))
    rig.app.open(str(folders[1]), beside=True)
    rig.settle()
    look_again(rig)
    opened = list(rig.renderer.models.opened)
    for folder in reversed(folders):
        (folder / 'snapshot-000001.safetensors').touch()
        look_again(rig)
        opened.append(str(folder))
        assert rig.renderer.models.opened == opened


def look_again(rig: Rig) -> None:
    """As if a second had passed."""
    rig.app._following._looked_at = -10.0
    rig.driver.step(2)
    rig.settle()

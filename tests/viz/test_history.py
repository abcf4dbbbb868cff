"""Undo and redo."""

from dataclasses import replace

from render.session import LatentState, Session, Side, TransformState
from viz.history import LIMIT, History


def moved(x: float, **parts: object) -> Session:
    return Session(a=Side(transform=TransformState(x=x)), **parts)


def test_a_drag_of_many_frames_is_one_step() -> None:
    history = History()
    for x in (0.0, 0.1, 0.2):
        history = history.edited(moved(x))
    history = history.settled(moved(0.3))
    assert history.past == (moved(0.0),)


def test_undo_and_redo_go_there_and_back() -> None:
    history = History().edited(moved(0)).settled(moved(1)).edited(moved(1)).settled(moved(2))
    history, session = history.undo(moved(2))
    assert session == moved(1)
    history, session = history.undo(session)
    assert session == moved(0)
    history, session = history.undo(session)
    assert session == moved(0), 'there is nothing before the first'
    history, session = history.redo(session)
    history, session = history.redo(session)
    assert session == moved(2)


def test_a_new_edit_forgets_what_was_undone() -> None:
    history, session = History().edited(moved(0)).settled(moved(1)).undo(moved(1))
    history = history.edited(session).settled(moved(5))
    assert history.redo(moved(5))[1] == moved(5)


def test_undo_during_an_edit_takes_the_edit_back() -> None:
    assert History().edited(moved(0)).undo(moved(3))[1] == moved(0)


def test_an_edit_that_comes_back_to_its_start_is_no_step() -> None:
    assert History().edited(moved(0)).settled(moved(0)).past == ()


def test_looking_elsewhere_is_not_undone() -> None:
    before, after = moved(0), moved(0)
    after = replace(after, canvas=replace(after.canvas, zoom=4.0), recent=('x.pkl',))
    assert History().edited(before).settled(after).past == ()
    looked = replace(moved(1), canvas=replace(after.canvas, zoom=3.0, outline=True), recent=('y.pkl',))
    session = History().edited(before).settled(looked).undo(looked)[1]
    assert session.a == before.a and session.canvas.outline is False
    assert session.canvas.zoom == 3.0 and session.recent == ('y.pkl',)


def test_what_is_computed_for_a_hidden_plot_is_not_undone() -> None:
    side = Side(latent=LatentState(x=1))
    hidden = replace(side, spectrum=replace(side.spectrum, visible=False))
    assert History().edited(Session(a=side)).settled(Session(a=hidden)).past == ()


def test_the_history_is_bounded() -> None:
    history = History()
    for x in range(LIMIT + 50):
        history = history.edited(moved(x)).settled(moved(x + 1))
    assert len(history.past) == LIMIT
    assert history.past[-1] == moved(LIMIT + 49)

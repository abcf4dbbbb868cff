"""Ctrl-C: a frame is finished, then the window closes; whoever is in a hurry asks twice."""

import os
import signal

import pytest

from viz.ending import ends_between_frames


def test_the_first_signal_asks_and_the_frame_is_finished() -> None:
    asked: list[str] = []
    with pytest.raises(KeyboardInterrupt), ends_between_frames(lambda: asked.append('end')):
        os.kill(os.getpid(), signal.SIGINT)
        asked.append('rest of the frame')
    assert asked == ['end', 'rest of the frame']


def test_the_second_signal_ends_at_once() -> None:
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt), ends_between_frames(lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        reached.append('after the first')
        os.kill(os.getpid(), signal.SIGINT)
        reached.append('after the second')
    assert reached == ['after the first']


def test_a_request_to_end_has_the_exit_code_that_shells_expect() -> None:
    with pytest.raises(SystemExit) as ended, ends_between_frames(lambda: None):
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with ends_between_frames(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

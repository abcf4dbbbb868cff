"""What the canvas says while the hand is faster than the network."""

import pytest

from viz.overlay import waiting_words


@pytest.mark.parametrize(
    ('seconds', 'words'), [(0.0, 'rendering…'), (0.05, 'rendering…'), (0.31, 'full · 3.2 /s'), (4.0, 'full · 0.25 /s')]
)
def test_a_model_that_cannot_follow_the_hand_says_that_each_picture_is_the_full_one(seconds: float, words: str):
    assert waiting_words(seconds) == words

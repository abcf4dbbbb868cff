import pytest
import torch

from training.ema import half_life_decay, ramped_half_life, update_average


def test_after_the_half_life_half_of_the_old_weights_is_left():
    average, current = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    average.weight.data.fill_(1)
    current.weight.data.fill_(0)
    for _ in range(10):  # 10 steps of 100 images
        update_average(average, current, half_life_decay(100, 1000))
    assert average.weight.item() == pytest.approx(0.5, rel=1e-5)


def test_the_half_life_grows_with_the_images_seen_up_to_its_value():
    lives = [ramped_half_life(seen, half_life_images=1000, rampup=0.05) for seen in (0, 2000, 20_000, 90_000)]
    assert lives == [0, 100, 1000, 1000]


def test_nothing_is_kept_at_the_start():
    assert half_life_decay(8, 0) == 0


def test_buffers_are_copied():
    average, current = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    current.running_mean.fill_(3)
    update_average(average, current, 0.9)
    assert average.running_mean.tolist() == [3, 3]

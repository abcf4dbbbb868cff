import math

import pytest
import torch

from analysis.triage import order, phase_likeness


def test_a_wave_looks_like_a_phase_noise_less_and_spots_not_at_all():
    axis = torch.arange(96.0)
    wave = torch.sin(2 * math.pi * (6 * axis[None, :] + 4 * axis[:, None]) / 96)
    noise = torch.randn(96, 96, generator=torch.Generator().manual_seed(0))
    spots = torch.zeros(96, 96)
    spots[30:33, 40:43] = 1
    a, b, c = phase_likeness(torch.stack([wave, noise, spots]))
    assert a > 0.97
    assert b == pytest.approx(8 / (3 * math.pi), abs=0.03)
    assert c < 0.3


def test_brightness_and_offset_do_not_matter():
    noise = torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert phase_likeness(noise)[0] == pytest.approx(phase_likeness(5 * noise + 3)[0], abs=1e-6)


def test_a_flat_channel_has_no_likeness():
    assert math.isnan(phase_likeness(torch.ones(1, 16, 16))[0])


def test_channels_without_a_number_come_last():
    assert order([2.0, math.nan, 1.0, 3.0], highest_first=False) == (2, 0, 3, 1)
    assert order([2.0, math.nan, 1.0, 3.0], highest_first=True) == (3, 0, 2, 1)

"""conv2d_resample against its definition: upsample, convolve, downsample, with all padding at the start."""

import numpy as np
import pytest
import torch

from ops.conv2d_resample import conv2d_resample
from tests.ops import dense

pytestmark = pytest.mark.usefixtures('on_each_backend')

DOUBLE = torch.float64


def random(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=DOUBLE)


def definition(x, w, f, up: int, down: int, padding, groups: int, flip_weight: bool, flip_filter: bool):
    """The three steps one after the other; the filters' own extent is added to the padding so that sizes come out even."""
    height, width = dense.full_filter(f).shape
    left, right, top, bottom = padding
    if up > 1:
        left, right = left + (width + up - 1) // 2, right + (width - up) // 2
        top, bottom = top + (height + up - 1) // 2, bottom + (height - up) // 2
    if down > 1:
        left, right = left + (width - down + 1) // 2, right + (width - down) // 2
        top, bottom = top + (height - down + 1) // 2, bottom + (height - down) // 2
    around = (left, right, top, bottom)
    x = dense.resample(x, f if up > 1 else None, (up, up), padding=around, flip=flip_filter, gain=up**2)
    x = dense.correlate(x, w if flip_weight else w[:, :, ::-1, ::-1], groups=groups)
    return dense.resample(x, f if down > 1 else None, down=(down, down), flip=flip_filter)


@pytest.mark.parametrize('seed', range(24))
def test_it_equals_the_three_steps_for_any_factors_kernel_and_filter(seed: int):
    generator = torch.Generator().manual_seed(seed)
    up, down = ((1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (1, 3), (3, 2), (4, 1))[seed % 8]
    groups = 1 + seed // 8 % 2
    rows, columns = ((3, 3), (1, 1), (2, 3))[seed % 3]
    padding = tuple(torch.randint(0, 4, (4,), generator=generator).tolist())
    x, w = random(generator, 2, 4, 8, 7), random(generator, 6, 4 // groups, rows, columns)
    f = (random(generator, 4, 4), random(generator, 6), None, random(generator, 3, 4))[seed // 3 % 4]
    flips = {'flip_weight': bool(seed % 2), 'flip_filter': seed % 5 == 0}
    ours = conv2d_resample(x, w, f, up=up, down=down, padding=padding, groups=groups, **flips)
    numbers = None if f is None else f.numpy()
    expected = definition(x.numpy(), w.numpy(), numbers, up, down, padding, groups, **flips)
    np.testing.assert_allclose(ours, expected, atol=1e-11)


@pytest.mark.parametrize('up', [1, 2])
@pytest.mark.parametrize('down', [1, 2])
def test_padding_of_half_a_kernel_gives_up_over_down_times_the_size(up: int, down: int):
    x, w = torch.zeros(1, 2, 12, 16), torch.zeros(3, 2, 3, 3)
    y = conv2d_resample(x, w, torch.ones(4) / 4, up=up, down=down, padding=1)
    assert y.shape == (1, 3, 12 * up // down, 16 * up // down)


@pytest.mark.parametrize(('up', 'down', 'side'), [(1, 1, 3), (2, 1, 3), (1, 2, 3), (2, 2, 3), (2, 1, 1), (1, 2, 1)])
def test_first_and_second_derivatives_are_right(up: int, down: int, side: int):
    generator = torch.Generator().manual_seed(5)
    x, w = random(generator, 1, 2, 4, 4).requires_grad_(), random(generator, 2, 2, side, side).requires_grad_()
    f = random(generator, 4, 4)

    def call(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return conv2d_resample(x, w, f, up=up, down=down, padding=side // 2)

    assert torch.autograd.gradcheck(call, (x, w))
    assert torch.autograd.gradgradcheck(call, (x, w))

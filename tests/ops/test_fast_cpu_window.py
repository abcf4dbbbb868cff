"""The part of a picture that a filter reads, against what its gradient says."""

import pytest
import torch

from ops.backend import use_backend
from ops.fast_cpu.window import whole, window_read
from ops.filtered_lrelu import LreluSpec, filtered_lrelu

CALLS = [
    (2, 2, 12, 12, -11, -12),
    (4, 2, 24, 12, -6, -9),
    (2, 2, 12, 12, 9, 8),
    (1, 2, 1, 5, -4, -7),
    (3, 1, 6, 1, -20, 4),
]


def _spec(up: int, down: int, before: int, after: int) -> LreluSpec:
    return LreluSpec(up, down, (before, after, before - 1, after - 2), 1.0, 1.0, None, False, (), (), False, False)


def _filters(up_taps: int, down_taps: int) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    return tuple(torch.ones(taps) if taps > 1 else None for taps in (up_taps, down_taps))  # type: ignore[return-value]


@pytest.mark.parametrize(('up', 'down', 'up_taps', 'down_taps', 'before', 'after'), CALLS)
def test_the_window_is_what_the_gradient_of_the_filter_reaches(
    up: int, down: int, up_taps: int, down_taps: int, before: int, after: int
) -> None:
    x = torch.zeros(1, 1, 39, 42, dtype=torch.float64, requires_grad=True)
    filters, spec = _filters(up_taps, down_taps), _spec(up, down, before, after)
    with use_backend('reference'):
        y = filtered_lrelu(x, *filters, up=up, down=down, padding=spec.padding, gain=1.0, slope=1.0)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    reached = gradient[0, 0] != 0
    rows, columns = reached.any(1).nonzero()[:, 0], reached.any(0).nonzero()[:, 0]
    window = window_read(39, 42, *filters, spec)
    assert (window.top, window.top + window.height - 1) == (rows[0], rows[-1])
    assert (window.left, window.left + window.width - 1) == (columns[0], columns[-1])


@pytest.mark.parametrize(('up', 'down', 'up_taps', 'down_taps', 'before', 'after'), CALLS)
def test_the_window_alone_gives_the_same_bits(
    up: int, down: int, up_taps: int, down_taps: int, before: int, after: int
) -> None:
    x = torch.randn(1, 16, 39, 42, generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=torch.channels_last
    )
    filters, spec = _filters(up_taps, down_taps), _spec(up, down, before, after)
    window = window_read(39, 42, *filters, spec)
    moved = window.moved(spec, 39, 42)
    one, other = (
        filtered_lrelu(signal, *filters, up=up, down=down, padding=padding, slope=0.2)
        for signal, padding in ((x, spec.padding), (window.of(x), moved.padding))
    )
    assert torch.equal(one, other)


def test_a_filter_that_reads_nothing_gets_everything() -> None:
    spec = LreluSpec(2, 2, (-90, 0, 0, 0), 1.0, 1.0, None, False, (), (), False, False)
    assert window_read(8, 8, None, None, spec) == whole(8, 8)

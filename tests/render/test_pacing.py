"""What the time of a picture stands for: the first one of a generator is no measure of the next ones."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ops.fast_cpu import library
from render.pacing import Pacing
from render.renderer import Renderer
from render.request import RenderRequest, SynthesisSpec
from render.result import Pace, RenderResult
from tests.render.fakes import KEY, FakeGenerator, fake_store

BASE = RenderRequest(KEY)
MOVED = replace(BASE, synthesis=SynthesisSpec(transform=(1.0, 0.0, 0.125, 0.0, 1.0, 0.0)))


class Script:
    """Stands in for a renderer: each picture takes as long as is written here, and asks for so many kernels."""

    def __init__(
        self, seconds: Sequence[float], *, kernels: Sequence[int] = (), waits: float = 0.0, repeats: bool = True
    ):
        self.seconds, self.kernels = iter(seconds), iter(kernels)
        self.asked, self.waits = 0, waits
        self.rendered = self.forgotten = 0
        self.generator = FakeGenerator(0)
        self.pacing = Pacing(repeats=repeats)
        self.provisional, self.is_stale = False, False

    def _render(self) -> RenderResult:
        self.rendered += 1
        self.asked += next(self.kernels, 0)
        return RenderResult(BASE, seconds=next(self.seconds), provisional=self.provisional)

    def _forget(self) -> None:
        self.forgotten += 1

    def picture(self, monkeypatch: pytest.MonkeyPatch) -> tuple[float, Pace]:
        """Its time, and what that stands for."""
        monkeypatch.setattr(library, 'asked', lambda: self.asked)
        monkeypatch.setattr(library, 'waited', lambda: self.waits if self.asked else 0.0)
        result = self.pacing.run(self.generator, self._render, self._forget, lambda: self.is_stale)
        return result.seconds, result.pace


def test_a_quick_first_picture_is_made_again_until_it_takes_as_long_as_the_next_ones(monkeypatch):
    script = Script([0.2, 0.015, 0.006, 0.005, 0.004], kernels=[9])
    assert script.picture(monkeypatch) == (0.005, 'steady')
    assert script.forgotten == 3, 'else the picture would be remembered, not made'
    assert script.picture(monkeypatch) == (0.004, 'steady') and script.rendered == 5


def test_a_slow_first_picture_is_not_made_again_but_marked(monkeypatch):
    script = Script([1.2, 0.7])
    assert script.picture(monkeypatch) == (1.2, 'first')
    assert script.picture(monkeypatch) == (0.7, 'steady')


def test_what_a_first_picture_waited_for_its_kernels_does_not_make_it_a_slow_one(monkeypatch):
    assert Script([9.0, 0.01, 0.009], kernels=[9], waits=8.9).picture(monkeypatch) == (0.009, 'steady')
    assert Script([9.0], kernels=[9], waits=7.0).picture(monkeypatch) == (9.0, 'first')


def test_repetitions_take_half_a_second_at_most(monkeypatch):
    script = Script([0.49, 0.3, 0.2, 0.1])
    assert script.picture(monkeypatch) == (0.3, 'steady') and script.rendered == 2


def test_nothing_is_repeated_where_somebody_waits_for_another_picture(monkeypatch):
    script = Script([0.2])
    script.is_stale = True
    assert script.picture(monkeypatch) == (0.2, 'first')


def test_a_picture_by_slower_operators_is_a_first_one_and_the_one_after_it_too(monkeypatch):
    script = Script([0.4, 0.03, 0.005, 0.005], kernels=[9])
    script.provisional = True
    assert script.picture(monkeypatch) == (0.4, 'first')
    script.provisional = False
    assert script.picture(monkeypatch) == (0.005, 'steady') and script.rendered == 4


def test_a_picture_that_asked_for_kernels_is_a_first_one(monkeypatch):
    script = Script([0.005, 0.005, 0.3, 0.02, 0.005], kernels=[4, 0, 1])
    assert [script.picture(monkeypatch) for _ in range(3)] == [(0.005, 'steady'), (0.3, 'first'), (0.02, 'steady')]


def test_without_repetitions_the_first_picture_is_only_marked(monkeypatch):
    script = Script([0.2, 0.005], repeats=False)
    assert [script.picture(monkeypatch) for _ in range(2)] == [(0.2, 'first'), (0.005, 'steady')]


def test_the_renderer_makes_its_first_picture_again_with_the_same_bits():
    once, often = FakeGenerator(0), FakeGenerator(0)
    plain = Renderer(fake_store(once)).render(BASE)
    repeated = Renderer(fake_store(often), repeats_first=True).render(BASE)
    assert once.synthesized == 1 and often.synthesized > 1
    assert (plain.pace, repeated.pace) == ('first', 'steady')
    np.testing.assert_array_equal(plain.image, repeated.image)


def test_another_look_at_the_same_picture_says_that_it_was_remembered():
    renderer = Renderer(fake_store(FakeGenerator(0)))
    requests = BASE, replace(BASE, view=replace(BASE.view, gain_db=3.0)), MOVED
    assert [renderer.render(request).pace for request in requests] == ['first', 'remembered', 'steady']

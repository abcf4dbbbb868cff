"""What the time of a picture stands for. The first one of a generator waits for kernels and prepares weights: not the next ones."""

from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

from networks.adapters.base import Inspectable
from ops.fast_cpu import library
from render.result import RenderResult
from render.worker import IsStale

_MOST = 4
"""Repetitions of a first picture."""
_MOST_SECONDS = 0.5
"""That they take together: whoever opens a slow generator does not wait for them."""
_STEADY = 0.75
"""A picture that took more than this share of the time of the one before is as quick as it gets."""


class Pacing:
    """Says of each picture whether its time is that of the next ones; makes quick first pictures again until it is."""

    def __init__(self, *, repeats: bool):
        """`repeats`: make a generator's first picture a few times; without, its time is only marked as a first one's."""
        self._repeats = repeats
        self._asked: WeakKeyDictionary[Inspectable, int] = WeakKeyDictionary()
        """Of each generator that made a picture: how many kernels had been asked for then."""

    def run(
        self,
        generator: Inspectable,
        render: Callable[[], RenderResult],
        forget: Callable[[], None],
        is_stale: IsStale,
    ) -> RenderResult:
        """What `render` answers, with its pace. After `forget` the network runs again for the same request.

        The bits do not depend on the repetitions: equal requests give equal pictures.
        """
        is_new, waited = generator not in self._asked, library.waited()
        result, spent = self._once(generator, render), 0.0
        if not (self._repeats and is_new and result.pace == 'first') or result.provisional:
            return result
        before = result.seconds - (library.waited() - waited)
        for _ in range(_MOST):
            if spent + before > _MOST_SECONDS or is_stale():
                break
            forget()
            result = self._once(generator, render)
            spent += result.seconds
            if result.seconds > _STEADY * before:
                break
            before = result.seconds
        return result

    def _once(self, generator: Inspectable, render: Callable[[], RenderResult]) -> RenderResult:
        asked = library.asked()
        result = render()
        if result.pace == 'remembered':
            return result
        is_first = result.provisional or self._asked.get(generator) != asked or library.asked() != asked
        if not result.provisional:
            self._asked[generator] = library.asked()
        return replace(result, pace='first' if is_first else 'steady')

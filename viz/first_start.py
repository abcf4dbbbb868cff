"""What a first start shows: the twins, side by side. The same images, once learned with aliasing and once without."""

from __future__ import annotations

from render.session import LatentState, Session, Side
from viz.opening import Plan

ALIASED = 'demo:aliased'
ALIAS_FREE = 'demo:alias-free'
ROCK = 4
"""The class with the largest shapes: what sticks is seen at once."""
SEED = 8.0


def first_plans() -> tuple[Plan, ...]:
    """The two generators, with the same latent."""
    target = Session(a=Side(latent=LatentState(x=SEED, class_index=ROCK)))
    return Plan(ALIASED, 'a', target=target), Plan(ALIAS_FREE, 'b', beside=True)

"""The bundled twins keep what is said of them."""

import pytest
import torch

from networks.adapters.base import Inspectable
from networks.checkpoint import load_checkpoint
from networks.sources import TWINS, open_model, resolve
from render.jobs_equivariance import equivariance
from render.models import ModelStore
from render.renderer import Renderer
from render.request import ModelKey, RenderRequest
from training.presets import PRESETS
from training.state import generator_keywords


@pytest.fixture(scope='module')
def twins() -> dict[str, Inspectable]:
    return {name: open_model(f'demo:{name}') for name in TWINS}


def eq_t(adapter: Inspectable, samples: int = 3) -> float:
    """EQ-T in dB, as `analyze --what eq-t` measures it."""
    key, store = ModelKey('twin', '0' * 64), ModelStore(torch.device('cpu'))
    store.put(key, adapter)
    job = equivariance(Renderer(store), request=RenderRequest(key), metric='eq-t', samples=samples)
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value.decibels


def test_texture_sticks_in_one_and_moves_in_the_other(twins: dict[str, Inspectable]):
    assert eq_t(twins['aliased']) <= 25
    assert eq_t(twins['alias-free']) >= 55


def test_they_have_the_same_capacity_and_are_small(twins: dict[str, Inspectable]):
    aliased, alias_free = (twins[name].info for name in TWINS)
    assert abs(aliased.parameters / alias_free.parameters - 1) <= 0.1
    assert aliased.resolution == alias_free.resolution == 64
    assert aliased.class_count == alias_free.class_count == 10
    assert sum(resolve(f'demo:{name}').stat().st_size for name in TWINS) <= 16e6


@pytest.mark.parametrize('name', TWINS)
def test_a_bundled_twin_is_what_its_preset_describes(name: str):
    checkpoint = load_checkpoint(resolve(f'demo:{name}'))
    expected = generator_keywords(PRESETS[f'twin-{name}'].config, side=64, class_count=10)
    expected = {key: list(value) if isinstance(value, tuple) else value for key, value in expected.items()}
    assert {key: checkpoint.config[key] for key in expected} == expected
    assert checkpoint.notes == ()
